"""One error tree for the whole package.

    DpsynthError                 exit 1; every message says what, why, and (remedy) what to do next
    |- ParameterError            a value given by the caller is outside its range (also a ValueError)
    |- DataError                 the file or table cannot be read as it stands
    |- SchemaError               the schema contradicts itself, the data, or the request
    |- WorkspaceError            no workspace, no such draft, a step out of order
    |- PolicyError               the policy file cannot be used
    |- SealError                 a sealed draft is missing, altered or unreadable
    |- ModelError                a saved model cannot be read, or does not give the guarantee that it states
    |- SourceError               an interface that writes public texts failed, or returned something else
    |- BudgetRefused             exit 6; the ledger does not grant the spend
    |- GateRefused               exit 3 or 4; the decision is not `ship`
    |- ReviewRefused             exit 7; a review, an approval or a step before it is missing
    `- VerificationError         exit 5; a bundle does not prove what it claims

No message ever holds a cell value or a private row count: messages travel to terminals, logs and tickets.
"""

from __future__ import annotations

from typing import ClassVar


class DpsynthError(Exception):
    """Base of all errors that a user is meant to read.

    Args:
        message: what happened and why it matters, one or two sentences.
        remedy: what to do next, an imperative sentence or a command.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()

    def to_json(self) -> dict[str, str]:
        """The `error` object of `--json`: type, message, remedy."""
        return {"type": type(self).__name__, "message": self.message, "remedy": self.remedy}


class ParameterError(DpsynthError, ValueError):
    """A parameter is outside its documented range."""


class DataError(DpsynthError):
    """A data file or table cannot be used as it stands."""


class SchemaError(DpsynthError):
    """A schema contradicts itself, the data, or what was asked for."""


class WorkspaceError(DpsynthError):
    """No workspace here, no such draft, or a step taken out of order."""


class PolicyError(DpsynthError):
    """A policy file cannot be used."""


class SealError(DpsynthError):
    """A sealed draft is missing, altered, or cannot be opened with this vault's key."""


class ModelError(DpsynthError):
    """A saved model cannot be read, or does not give the guarantee that it states."""


class SourceError(DpsynthError):
    """An interface that writes public texts failed, or returned something else than was asked for."""


class BudgetRefused(DpsynthError):
    """The ledger does not grant the spend."""

    exit_code: ClassVar[int] = 6


class GateRefused(DpsynthError):
    """The gate's decision is not `ship`; nothing leaves the workspace."""

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, remedy: str = "", *, decision: str = "regenerate") -> None:
        super().__init__(message, remedy)
        self.decision = decision


class ReviewRefused(DpsynthError):
    """A draft is not in the state that the step needs: a review, an approval or something before it is missing."""

    exit_code: ClassVar[int] = 7


class VerificationError(DpsynthError):
    """A bundle does not prove what it claims."""

    exit_code: ClassVar[int] = 5
