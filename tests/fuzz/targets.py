"""Everything that reads bytes of a stranger or of a user, as a function from bytes to nothing: `TARGETS`.

A target returns, or raises what it is documented to raise (`REFUSALS`); anything else is a finding. `seeds` are valid
documents to start from; without them a fuzzer spends its life before the first brace.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from accounting.errors import AccountingError
from accounting.event import EventTree
from accounting.ledger.evidence.checkpoint import read as read_checkpoints
from accounting.ledger.evidence.export import export_lines, read_export
from accounting.ledger.evidence.parsing import parse_slice
from accounting.ledger.slice import verify_slice
from dpsynth.core.errors import DpsynthError
from dpsynth.data.read import read
from dpsynth.release.archive import read_bundle
from dpsynth.release.card import read_card
from dpsynth.release.documents import parse_json, parse_yaml
from dpsynth.release.dsse import open_envelope
from dpsynth.release.evidence import Evidence
from dpsynth.release.keys import read_public_key
from dpsynth.release.layout import LEDGER, MEMBERS, STATEMENT
from dpsynth.release.policy import Policy, default_policy_text
from dpsynth.release.recalls import notices
from dpsynth.release.statement import read_statement
from dpsynth.release.verify import verify
from dpsynth.schema.model import Schema
from dpsynth.workspace.run import RunConfig
from tests.release.world import World, ready_world, synthetic_table

REFUSALS = (AccountingError, DpsynthError)


@dataclass(frozen=True)
class Target:
    """A reader, and documents that it accepts."""

    read: Callable[[bytes], object]
    seeds: Callable[[], list[bytes]]


@cache
def world() -> tuple[World, dict[str, bytes]]:
    """A workspace that released one bundle, and the bundle's files."""
    made = ready_world(Path(tempfile.mkdtemp(prefix="dpsynth-fuzz-")))
    made.release(made.home / "bundle")
    return made, {name: (made.home / "bundle" / name).read_bytes() for name in MEMBERS}


def members() -> dict[str, bytes]:
    """Files of a good bundle."""
    return world()[1]


@contextmanager
def _file(raw: bytes, suffix: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dpsynth-fuzz-") as folder:
        path = Path(folder) / f"input{suffix}"
        path.write_bytes(raw)
        yield path


def _bundle(raw: bytes) -> None:
    with _file(raw, ".zip") as path:
        report = verify(path, world()[0].signer.public_bytes)
        if report.ok and raw != _zip():
            raise AssertionError("a changed bundle verified")
        read_bundle(path)


def _member(name: str) -> Callable[[bytes], None]:
    def check(raw: bytes) -> None:
        """The document in a bundle that its publisher signed again: the strictest reader that it meets."""
        with tempfile.TemporaryDirectory(prefix="dpsynth-fuzz-") as folder:
            from tests.release.bundle_tools import resign

            place = Path(folder)
            for other, body in resign({**members(), name: raw}, world()[0].signer).items():
                (place / other).write_bytes(body)
            verify(place, world()[0].signer.public_bytes)

    return check


def _zip() -> bytes:
    return (world()[0].home / "bundle.zip").read_bytes() if (world()[0].home / "bundle.zip").exists() else _packed()


@cache
def _packed() -> bytes:
    from dpsynth.release.bundle import write_members

    path = world()[0].home / "packed.zip"
    write_members(path, members())
    return path.read_bytes()


def _payload() -> bytes:
    return open_envelope(members()[STATEMENT], public_key=world()[0].signer.public_bytes)


def _slice(raw: bytes) -> None:
    verify_slice(parse_slice(raw), ledger_key=world()[0].ledger_signer.public_bytes)


def _export_seeds() -> list[bytes]:
    made = world()[0]
    lines = export_lines(list(made.ledger.entries()), made.ledger.ledger_id, made.ledger.public_key)
    return ["\n".join(line.rstrip("\n") for line in lines).encode()]


def _export(raw: bytes) -> None:
    read_export(io.BytesIO(raw), ledger_key=world()[0].ledger_signer.public_bytes)


def _checkpoints(raw: bytes) -> None:
    with _file(raw, ".jsonl") as path:
        read_checkpoints(path)


def _table(suffix: str) -> Callable[[bytes], None]:
    def check(raw: bytes) -> None:
        with _file(raw, suffix) as path:
            read(path)

    return check


def _run(raw: bytes) -> None:
    with _file(raw, ".yaml") as path:
        RunConfig.from_yaml(path)


def _schema(raw: bytes) -> None:
    with _file(raw, ".yaml") as path:
        Schema.from_yaml(path)


def _evidence(raw: bytes) -> None:
    body = parse_json(raw, name="evidence")
    Evidence.assemble(draft=body, attack=body, quality=body, ledger=None)


def _parquet() -> list[bytes]:
    found = []
    for compression in ("none", "snappy"):
        sink = io.BytesIO()
        pq.write_table(synthetic_table(30), sink, compression=compression)
        found.append(sink.getvalue())
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1, None], "d": pa.array([1, 2], pa.date32())}), sink)
    return [*found, sink.getvalue()]


_SCHEMA = b"""version: 1
columns:
  age: {kind: integer, min: 0, max: 120}
  sex: {kind: categorical, values: [f, m]}
  income: {kind: float, min: 0, max: 1e6, precision: 2}
"""
_RUN = b"""data: people.csv
workspace: vault
schema: schema.yaml
synthesize: {generator: mst, epsilon: 1, delta: 1e-9}
text: {column: note, method: private-prediction, model: tiny, settings: {tokens: 20}, filters: [length]}
"""
_EVENTS = json.dumps(
    {"schema": "dpsynth.events/1", "relation": "add_remove", "unit": "record",
     "events": [{"type": "laplace", "scale": "10", "l1_sensitivity": "1"},
                {"type": "gaussian", "sigma": "10", "l2_sensitivity": "1", "count": 20},
                {"type": "poisson_sampled", "probability": "0.01", "count": 1000,
                 "event": {"type": "gaussian", "sigma": "1", "l2_sensitivity": "1"}}]}
).encode()  # fmt: skip


def _documents() -> list[bytes]:
    documents = world()[0].documents
    return [json.dumps(body).encode() for body in (documents.draft, documents.attack, documents.quality)]


TARGETS: dict[str, Target] = {
    "bundle": Target(_bundle, lambda: [_packed()]),
    "envelope": Target(
        lambda raw: open_envelope(raw, public_key=world()[0].signer.public_bytes), lambda: [members()[STATEMENT]]
    ),
    "statement": Target(read_statement, lambda: [_payload()]),
    "slice": Target(_slice, lambda: [members()[LEDGER]]),
    "signed ledger": Target(_member(LEDGER), lambda: [members()[LEDGER]]),
    "signed card": Target(_member("card.yaml"), lambda: [members()["card.yaml"]]),
    "signed decision": Target(_member("decision.json"), lambda: [members()["decision.json"]]),
    "signed evidence": Target(_member("evidence.json"), lambda: [members()["evidence.json"]]),
    "export": Target(_export, _export_seeds),
    "checkpoints": Target(_checkpoints, lambda: [b'{"schema": "dpsynth.checkpoint/1"}']),
    "policy": Target(Policy.from_yaml, lambda: [default_policy_text().encode(), members()["policy.yaml"]]),
    "schema": Target(_schema, lambda: [_SCHEMA]),
    "run and text request": Target(_run, lambda: [_RUN]),
    "card": Target(read_card, lambda: [members()["card.yaml"]]),
    "evidence": Target(_evidence, _documents),
    "events": Target(EventTree.parse, lambda: [_EVENTS]),
    "recalls": Target(lambda raw: notices(raw, name="recalls"), lambda: [b'{"schema": "dpsynth.recall/1"}']),
    "key": Target(read_public_key, lambda: [members()["release.pub"]]),
    "yaml": Target(lambda raw: parse_yaml(raw, name="y"), lambda: [_SCHEMA, b"a: [1, {b: 'x'}]\n"]),
    "parquet": Target(_table(".parquet"), _parquet),
    "csv": Target(_table(".csv"), lambda: [b'age,sex,note\n31,f,"a, b"\n40,m,\n', b"a;b\r\n1,5;2\r\n"]),
}


def attempt(name: str, raw: bytes) -> bool:
    """Read; whether it was accepted. Anything but a typed refusal is raised."""
    try:
        TARGETS[name].read(raw)
    except REFUSALS:
        return False
    return True


def zip_of(files: dict[str, bytes]) -> bytes:
    """An ordinary compressed zip."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return sink.getvalue()
