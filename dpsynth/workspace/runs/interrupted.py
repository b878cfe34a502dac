"""Runs that were interrupted go on under the reservation they began with, and nothing is spent twice.

While a generator that counts or trains is fitted, the workspace keeps one sealed file for its reservation: the token, a
key of noise, what was asked for, and the last state of training; and one for each measurement
(`sealed_measurements`). They are encrypted under the vault (AES-256-GCM, the reservation and the data's commitment as
associated data). Going on means:

- the reservation is still open, its token is the one in the file; data, plan and request are the same, and so are the
  rows of an engine (their version is part of the request);
- what was measured is read, and what was not is measured on the same rows with the words that were meant for it
  (`ReplayedNoise`, which says why one event is spent): one release was made;
- the steps of training that were kept are not taken again, the others are, with fresh samples and fresh noise; of those
  that ran after the last state nothing was kept.

So each event of the plan happened once in what is released. The file is destroyed once the run is committed or aborted;
a reservation that a person closed opens nothing, and its file goes at the data's next run, as does one of a process
that was killed in between.

Not guaranteed: that the disk forgets what was deleted; the file needs the vault's key to be read. Two processes that
go on at once do the work twice, and one of them cannot commit.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, final, runtime_checkable

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import dpsynth
from accounting.guarantee import Guarantee
from accounting.ledger import Reservation, ReservationRecord
from accounting.ledger.records import Status
from dpsynth.core.errors import SealError, WorkspaceError
from dpsynth.core.replayed_noise import ReplayedNoise
from dpsynth.release.documents import digest
from dpsynth.workspace.runs.sealed_measurements import LIMIT, SealedMeasurements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from accounting.event import EventTree
    from dpsynth.pipeline import AnyGenerator, AnyPlan
    from dpsynth.sgd.checkpoint import Checkpoints
    from dpsynth.workspace.workspace import Workspace


@runtime_checkable
class Resumable(Protocol):
    """A generator whose training can go on: `checkpoints` is handed to `dpsynth.sgd.training.train`."""

    @property
    def checkpoints(self) -> Checkpoints | None:
        """Where the state of training is kept."""


def goes_on(generator: AnyGenerator, plan: AnyPlan) -> bool:
    """Whether an interrupted fit can go on: one that only counts, and one that keeps the state of its training."""
    return isinstance(generator, Resumable) or not plan.reads_rows


def request(
    generator: AnyGenerator, plan: AnyPlan, *, schema_digest: str, prior: str | None, **asked: int | str | None
) -> str:
    """Digest of everything that must be the same when a run goes on, versions of the code included."""
    facts = {"generator": repr(generator), "plan": plan.tree.digest(), "schema": schema_digest, "prior": prior}
    versions = {"dpsynth": dpsynth.__version__, "numpy": np.__version__}
    return digest({**facts, **versions, **asked})


@final
class SealedRun:
    """The sealed file of one reservation; what `train` knows as `Checkpoints`.

    Args:
        folder: where the file lies.
        secret: 32 bytes of the vault, of this reservation alone.
        reservation_id: of the run.
        commitment: of its data.
    """

    def __init__(self, folder: Path, secret: bytes, reservation_id: str, commitment: str) -> None:
        self._path = folder / f"{reservation_id}.sealed"
        self._cipher, self._bound = AESGCM(secret), f"dpsynth.interrupted/1 {reservation_id} {commitment}".encode()
        self._measured = SealedMeasurements(folder / f"{reservation_id}.measured", self._cipher, self._bound)
        self._facts: dict[str, str] = {}

    def __repr__(self) -> str:
        return "SealedRun()"

    @classmethod
    def of(cls, workspace: Workspace, reservation_id: str, commitment: str) -> Self:
        """The file of a reservation, whether it is there or not."""
        secret = workspace.secret(f"interrupted/{reservation_id}")
        return cls(workspace.layout.root / "interrupted", secret, reservation_id, commitment)

    def begin(self, reservation: Reservation, asked: str) -> None:
        """Seal token, request and a fresh key of noise, before any row is read."""
        guarantee = json.dumps(reservation.guarantee.to_json())
        self._facts = {
            "token": reservation.token,
            "asked": asked,
            "guarantee": guarantee,
            "noise": os.urandom(32).hex(),
        }
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        self._measured.begin()
        self._write(b"")

    def opened(self, run: ReservationRecord, plan: EventTree, asked: str) -> Reservation | None:
        """The reservation that the file is of; None if there is no file, or it is of another request.

        Raises:
            SealError: the file was altered.
        """
        if not self._path.exists():
            return None
        self._read()
        if self._facts["asked"] != asked:
            return None
        for _ in self._measured.read():
            pass  # what was altered is found before anything is asked, so that the reservation stands
        guarantee = Guarantee.from_json(json.loads(self._facts["guarantee"]))
        token, own = self._facts["token"], run.reservation_id
        return Reservation(id=own, budget_id=run.budget_id, token=token, guarantee=guarantee, plan=plan)

    @property
    def noise(self) -> ReplayedNoise:
        """Words of everything that comes before training, from the first, and what was measured with them."""
        return ReplayedNoise(bytes.fromhex(self._facts["noise"]), self._measured)

    def load(self) -> bytes | None:
        """The last state of training."""
        return self._read() or None

    def save(self, state: bytes) -> None:
        """Replace the file as a whole; not if it was destroyed meanwhile, since another process has committed then."""
        if self._path.exists():
            self._write(state)

    def _write(self, state: bytes) -> None:
        head = json.dumps(self._facts).encode()
        plain = len(head).to_bytes(4, "big") + head + state
        if len(plain) > LIMIT:
            raise SealError("The state of training is larger than 2 GiB.", "Use a smaller network.")
        nonce = os.urandom(12)
        handle, scratch = tempfile.mkstemp(dir=self._path.parent, prefix=".sealing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(nonce + self._cipher.encrypt(nonce, plain, self._bound))
                file.flush()
                os.fsync(handle)
            Path(scratch).replace(self._path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise

    def destroy(self) -> None:
        """The run was committed or aborted: neither key nor state is needed any more."""
        self._path.unlink(missing_ok=True)
        self._measured.destroy()

    def _read(self) -> bytes:
        raw = self._path.read_bytes()
        try:
            plain = self._cipher.decrypt(raw[:12], raw[12:], self._bound)
        except (InvalidTag, ValueError):
            raise SealError(
                "The state of the interrupted run was altered, or sealed under another vault key.",
                "Close its reservation with a reason, and run anew.",
            ) from None
        length = int.from_bytes(plain[:4], "big")
        self._facts = json.loads(plain[4 : 4 + length])
        return plain[4 + length :]


def waiting(
    workspace: Workspace,
    runs: Iterable[ReservationRecord],
    budget_id: str,
    commitment: str,
    plan: EventTree,
    asked: str,
) -> tuple[SealedRun, Reservation, ReservationRecord] | None:
    """The last interrupted run of this request.

    Args:
        workspace: in which the runs were.
        runs: of the data set, oldest first.
        budget_id: that paid.
        commitment: of the data.
        plan: the events that would run.
        asked: its digest.
    """
    found = None
    for run in runs:
        sealed = SealedRun.of(workspace, run.reservation_id, commitment)
        if (
            run.status is Status.OPEN
            and run.budget_id == budget_id
            and (reservation := sealed.opened(run, plan, asked)) is not None
        ):
            found = sealed, reservation, run
    return found


def forget_closed(workspace: Workspace, runs: Iterable[ReservationRecord], commitment: str) -> None:
    """Destroy what is kept of runs that are closed: their noise must not be found again."""
    for run in runs:
        if run.status is not Status.OPEN:
            SealedRun.of(workspace, run.reservation_id, commitment).destroy()


def nothing_to_resume() -> WorkspaceError:
    """There is no such run."""
    return WorkspaceError(
        "No interrupted run of this very request can go on: it was closed, asked for something else, used a "
        "generator that keeps no state, or the engine's rows are others now.",
        "Ask for what was asked for then, or run anew; `dpsynth ledger show` lists what is still open.",
    )
