"""One error tree for the attack suite.

    AttackError                  base: what happened, why it matters, what to do next
    |- AttackInputError          a table, a role or a canary set cannot be attacked as it stands
    |- AttackParameterError      a limit, suite name, seed or level is outside its range (also a ValueError)
    `- AttackReportError         a report file does not follow its schema

A weak test is not an error: too few rows end as the verdict `inconclusive`, which blocks a release just as well.
Messages name columns and never a cell value. The one count they hold is that of rows or units shared by training
and holdout, because the person who must repair the split needs it.
"""

from __future__ import annotations


class AttackError(Exception):
    """Base of all errors of this package that a user is meant to read.

    Args:
        message: what happened and why it matters.
        remedy: what to do next, an imperative sentence.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def to_json(self) -> dict[str, str]:
        """Type, message and remedy, the form that `--json` prints."""
        return {"type": type(self).__name__, "message": self.message, "remedy": self.remedy}


class AttackInputError(AttackError):
    """The tables, roles or canaries cannot be attacked as they stand."""


class AttackParameterError(AttackError, ValueError):
    """A limit, a suite name or a level is outside its documented range."""


class AttackReportError(AttackError):
    """A report does not follow the schema that it names."""
