"""Small inputs that ask for much: each parser refuses them in bounded memory and time."""

from __future__ import annotations

import io
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fuzz.targets import zip_of

ROOT = Path(__file__).resolve().parents[2]
_READ = """
import resource, sys
from pathlib import Path
from tests.fuzz import targets
if sys.argv[1].startswith("signed") or sys.argv[1] in ("bundle", "envelope", "slice", "export"): targets.world()
raw = Path(sys.argv[2]).read_bytes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
start = resource.getrusage(resource.RUSAGE_SELF).ru_utime
accepted = targets.attempt(sys.argv[1], raw)
used = resource.getrusage(resource.RUSAGE_SELF)
print(int(accepted), used.ru_utime - start, (used.ru_maxrss - before) // 1024)
"""


def _lying_parquet() -> bytes:
    """Two million equal values in a few kilobytes, and a footer whose counts were raised to the largest there are."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array(["x" * 1000] * 200_000)}), sink, compression="zstd")
    return sink.getvalue()


BOMBS: list[tuple[str, str, bytes]] = [
    ("bundle", "zip that inflates", zip_of({"data.csv": b"0" * 50_000_000})),
    ("bundle", "many members", zip_of({f"{n}": b"" for n in range(30_000)})),
    ("policy", "aliases", b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(12))),
    ("schema", "aliases", b"a: &a [x,x,x,x]\n" + b"".join(
        b"%c: &%c [%s]\n" % (98 + i, 98 + i, b",".join([b"*%c" % (97 + i)] * 9)) for i in range(12))),
    ("run and text request", "merge keys", b"a: &a {x: 1}\nb: {<<: *a}\n" * 1000),
    ("policy", "deep flow", b"[" * 200_000),
    ("schema", "deep flow", b"[" * 200_000),
    ("card", "deep block", b"".join(b" " * n + b"a:\n" for n in range(900))),
    ("statement", "deep", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ("slice", "deep", b"[" * 500_000 + b"]" * 500_000),
    ("events", "deep", b"[" * 90_000),
    ("events", "huge number", b'{"schema": ' + b"9" * 500_000 + b"}"),
    ("statement", "huge number", b'{"a": ' + b"9" * 900_000 + b"}"),
    ("evidence", "huge exponent", b'{"a": 1e999999999}'),
    ("events", "huge decimal", b'{"schema": "dpsynth.events/1", "relation": "add_remove", "unit": "record", "events": '
     b'[{"type": "laplace", "scale": "1e999999999", "l1_sensitivity": "1"}]}'),
    ("slice", "many values", b"[" + b"0," * 8_000_000 + b"0]"),
    ("csv", "one wide line", b"," * 3_000_000),
    ("csv", "one long cell", b'a\n"' + b"x" * 20_000_000 + b'"\n'),
    ("parquet", "repeated long cells", _lying_parquet()),
    ("key", "long", b"-----BEGIN PUBLIC KEY-----\n" + b"A" * 5_000_000),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "what", "raw"), BOMBS, ids=[f"{name}-{what}" for name, what, _ in BOMBS])
def test_a_bomb_ends_in_bounded_time_and_memory(name, what, raw, tmp_path):
    file = tmp_path / "bomb"
    file.write_bytes(raw)
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))  # noqa: E731
    ran = subprocess.run([sys.executable, "-c", _READ, name, str(file)], cwd=ROOT, capture_output=True, text=True,
                         timeout=300, preexec_fn=limit, check=False)  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-1500:]
    accepted, seconds, mebibytes = ran.stdout.split()
    assert accepted == "0" or what in ("repeated long cells", "one long cell"), what
    assert float(seconds) < 20
    assert int(mebibytes) < 1200
