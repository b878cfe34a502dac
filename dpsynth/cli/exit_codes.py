"""What a command leaves behind for a script: one number for each kind of ending.

>>> decision_code("ship"), decision_code("regenerate"), decision_code("reject")
(0, 3, 4)
"""

from __future__ import annotations

from dpsynth.core.errors import DpsynthError, GateRefused


def exit_code(error: Exception) -> int:
    """The documented exit code of an error."""
    if isinstance(error, GateRefused):
        return decision_code(error.decision)
    if isinstance(error, DpsynthError):
        return error.exit_code
    from accounting.errors import AccountingError

    if isinstance(error, AccountingError):
        from accounting.ledger.errors import BudgetRefused

        return 6 if isinstance(error, BudgetRefused) else 1
    return 1


def decision_code(decision: str) -> int:
    """0 for ship, 3 for regenerate, 4 for anything else."""
    return {"ship": 0, "regenerate": 3}.get(decision, 4)
