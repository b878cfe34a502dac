"""Capabilities: what a used-up token is worth in the process that used it, once.

`Ledger.check_token` writes the `access` entry, after which no other process can use the token, and returns a
`ReadCapability`: an object that says which reservation it stands for, on which data commitment, for which plan.
Whoever holds private rows asks `Ledger.redeem` for leave to hand them out. A capability is

- genuine: the ledger object that made it knows it by identity, so a copy, a subclass or a look-alike is refused;
- spent once: of two threads that redeem one, exactly one wins; a forked child cannot redeem its parent's;
- bound: to the commitment of the data and to the digest of the plan;
- live: redeeming reads the ledger again, so a reservation that was closed meanwhile opens nothing.

>>> ReadCapability(reservation_id="run-1", budget_id="b", commitment="c", plan_digest="d")
Traceback (most recent call last):
    ...
accounting.ledger.errors.CapabilityRefused: Only a ledger hands out capabilities. Reserve, then check_token(...).

Not guaranteed: anything against code in the same process that means to cheat. Python has no private memory: such code
can reach into the objects, or open the file without asking. This stops forgetting, not fraud.
"""

from __future__ import annotations

import os
import threading
from typing import NoReturn, final

from accounting.ledger.errors import CapabilityRefused

_MADE_HERE = object()


@final
class ReadCapability:
    """Leave to read one data set for one plan, once; compared by identity, never copied.

    Attributes:
        reservation_id: whose token was used.
        budget_id: what that reservation is charged to.
        commitment: of the data that may be read.
        plan_digest: `EventTree.digest()` of what was reserved.
    """

    __slots__ = ("budget_id", "commitment", "plan_digest", "reservation_id")

    reservation_id: str
    budget_id: str
    commitment: str
    plan_digest: str

    def __init__(
        self, *, reservation_id: str, budget_id: str, commitment: str, plan_digest: str, made_by: object = None
    ) -> None:
        if made_by is not _MADE_HERE:
            raise CapabilityRefused("Only a ledger hands out capabilities.", "Reserve, then check_token(...).")
        for name, value in (
            ("reservation_id", reservation_id),
            ("budget_id", budget_id),
            ("commitment", commitment),
            ("plan_digest", plan_digest),
        ):
            object.__setattr__(self, name, value)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("A ReadCapability has no subclasses.")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise CapabilityRefused("A capability is not changed.", "Reserve for what the run is to read.")

    def __delattr__(self, name: str) -> NoReturn:
        raise CapabilityRefused("A capability is not changed.", "Reserve for what the run is to read.")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A ReadCapability is neither pickled nor copied: it is worth one read in this process.")

    def __repr__(self) -> str:
        return f"ReadCapability({self.reservation_id!r})"


@final
class Capabilities:
    """The capabilities that one ledger object handed out and that nobody redeemed yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # By identity, with the process; held here, so that no id is given out twice.
        self._unused: dict[int, tuple[ReadCapability, int]] = {}

    def grant(self, *, reservation_id: str, budget_id: str, commitment: str, plan_digest: str) -> ReadCapability:
        """A new one."""
        made = ReadCapability(
            reservation_id=reservation_id,
            budget_id=budget_id,
            commitment=commitment,
            plan_digest=plan_digest,
            made_by=_MADE_HERE,
        )
        with self._lock:
            self._unused[id(made)] = made, os.getpid()
        return made

    def take(self, capability: ReadCapability, *, commitment: str, plan_digest: str) -> None:
        """Use one up; what was offered for other data or another plan is gone too.

        Raises:
            CapabilityRefused: not handed out here, used before, or for another data set or plan.
        """
        with self._lock:
            known, process = self._unused.pop(id(capability), (None, None))
        if known is not capability or process != os.getpid():
            raise CapabilityRefused(
                "This capability was not handed out by this ledger, or was used before: one reservation pays for one "
                "read.",
                "Reserve again for another run.",
            )
        if capability.commitment != commitment:
            raise CapabilityRefused(
                "The capability is for another data set than the one to be read.", "Reserve on this data's budget."
            )
        if capability.plan_digest != plan_digest:
            raise CapabilityRefused(
                "The capability is for another plan than the one to be fitted.", "Reserve the plan that will run."
            )
