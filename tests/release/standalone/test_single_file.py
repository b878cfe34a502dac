"""`verify_bundle.py`: the verdicts of `dpsynth verify`, from one file that imports nothing of ours."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tests.release.bundle_cases
import tests.release.bundle_cases_insider
import tests.release.bundle_cases_owner
import tests.release.bundle_cases_text  # noqa: F401 - all four register their cases
from accounting import EventTree, Gaussian, PoissonSampled
from dpsynth.release.standalone import build, loader
from dpsynth.release.verify import verify
from tests.release.bundle_tools import CASES
from tests.release.test_families import OLD, OLD_KEY
from tests.release.world import TERMS, make_world, ready_world, reviewed_policy

_MANY = """
import io, json, sys
from contextlib import redirect_stdout
class Nothing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {"cryptography", "_cffi_backend"}:
            raise ModuleNotFoundError(f"{name} is not allowed here")
file, todo = sys.argv[1], json.loads(sys.stdin.read())
text = open(file, encoding="utf-8").read()
space = {"__name__": "verify_bundle", "__file__": file}
sys.meta_path.insert(0, Nothing())
exec(compile(text, file, "exec"), space)
sys.meta_path.insert(0, space["Sections"](space["sections"](text)))
import importlib
sys.modules.update({name: importlib.import_module(target) for name, target in space["STAND_INS"].items()})
from dpsynth.release.verify import verify
for bundle, key in todo:
    report = verify(bundle, bytes.fromhex(key))
    rows = [(c.name, c.ok, c.code) for c in report.checks]
    print(json.dumps([report.ok, rows, list(report.not_checked)]), flush=True)
"""


def verdicts(single: Path, todo: list[tuple[Path, bytes]], python: str = sys.executable) -> list[list[object]]:
    """What the single file says of many bundles, in one process in which only the standard library can be imported."""
    told = json.dumps([(str(path), key.hex()) for path, key in todo])
    ran = subprocess.run([python, "-c", _MANY, str(single)], input=told, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]


def expected(path: Path, key: bytes) -> list[object]:
    report = verify(path, key)
    return [report.ok, [[c.name, c.ok, c.code] for c in report.checks], []]


def made(released, folder: Path, cases) -> list[tuple[Path, bytes]]:
    world, bundle, _ = released
    todo = []
    for bad in cases:
        place = folder / bad.name / "bundle"
        shutil.copytree(bundle, place)
        key = world.ledger_signer if bad.name == "signed_with_the_ledger_key" else world.signer
        todo.append((bad.make(world, place), key.public_bytes))
    return todo


@pytest.fixture(scope="module")
def good(released) -> list[tuple[Path, bytes]]:
    world, folder, archive = released
    return [(folder, world.signer.public_bytes), (archive, world.signer.public_bytes)]


@pytest.mark.parametrize("cases", [CASES[::6], pytest.param(CASES, marks=pytest.mark.slow)], ids=["sixth", "all"])
def test_the_single_file_says_of_every_good_and_bad_bundle_what_verify_says(single, released, good, tmp_path, cases):
    todo = [*good, *made(released, tmp_path, cases)]
    told = verdicts(single, todo)
    assert [row[0] for row in told] == [True, True] + [False] * len(cases)
    for (path, key), row in zip(todo, told, strict=True):
        assert row == expected(path, key), path


@pytest.mark.slow
def test_it_runs_where_only_python_and_cryptography_are_installed(single, run, released, good, tmp_path):
    home = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = str(home / "bin" / "python")
    installed = subprocess.run([python, "-m", "pip", "install", "-q", "cryptography"], capture_output=True, check=False)
    if installed.returncode:
        pytest.skip("no package index to install cryptography from")
    key = tmp_path / "key"
    key.write_bytes(good[0][1])
    for path, _ in good:
        ran = run(path, "--key", key, python=python)
        assert (ran.returncode, ran.stdout.splitlines()[-1], ran.stderr) == (0, "VERIFIED", "")
    todo = made(released, tmp_path, CASES)
    assert [row[0] for row in verdicts(single, todo, python)] == [False] * len(CASES)


def test_a_bundle_of_before_there_was_a_single_file_verifies_in_both(single):
    told = verdicts(single, [(OLD, OLD_KEY)])
    assert told == [expected(OLD, OLD_KEY)]
    assert told[0][0]


def test_steps_that_need_a_library_are_named_and_never_called_verified(single, run, tmp_path):
    step = Gaussian(sigma="1", l2_sensitivity="1")
    events = EventTree(events=(PoissonSampled(probability="0.01", count=300, event=step),), **TERMS)
    world = make_world(tmp_path)
    world.synthesize("draft-1", events=events)
    world.attack()
    world.evaluate()
    bundle, key = tmp_path / "bundle", tmp_path / "key"
    world.release(bundle)
    key.write_bytes(world.signer.public_bytes)
    assert verify(bundle, key).ok
    ran = run(bundle, "--key", key)
    assert ran.returncode == 8, ran.stdout
    assert ran.stdout.splitlines()[-1] == "NOT FULLY VERIFIED"
    assert "not checked here: epsilon" in ran.stdout
    assert "Proved here, by Renyi DP: epsilon at most" in ran.stdout
    told = json.loads(run(bundle, "--key", key, "--json").stdout)
    assert told["ok"]
    assert len(told["not_checked"]) == 1


def test_a_module_that_lies_beside_the_file_is_not_run(single, run, released, tmp_path):
    """A forged bundle may hold `hashlib.py`; whoever runs the verifier from there must not run that."""
    world, folder, _ = released
    stranger = tmp_path / "bundle"
    shutil.copytree(folder, stranger)
    for name in ("hashlib", "argparse", "cryptography", "json", "dpsynth", "numpy"):
        (stranger / f"{name}.py").write_text("raise SystemExit('the stranger was run')")
    key = tmp_path / "key"
    key.write_bytes(world.signer.public_bytes)
    file = stranger / single.name
    plain = subprocess.run([sys.executable, file.name, ".", "--key", key], cwd=stranger, capture_output=True, text=True)
    assert "the stranger was run" not in plain.stdout + plain.stderr
    assert plain.returncode == 5
    assert "FAIL  layout" in plain.stdout


def test_its_first_lines_say_where_not_to_take_it_from():
    head = "\n".join(build.verifier().decode().splitlines()[:20])
    assert "Do not use the copy of this file that lies inside the bundle" in head
    assert "sha256sum" in head


def test_it_is_made_of_our_sources_as_they_are_and_can_be_read(run, tmp_path):
    assert run("--unpack", tmp_path / "out").returncode == 0
    for name in ("dpsynth/release/verify.py", "accounting/pld.py", "accounting/ledger/slice.py"):
        ours = Path(__file__).parents[3] / name
        assert (tmp_path / "out" / name).read_text("utf-8") == ours.read_text("utf-8")
    for name, source in build.sources().items():
        assert (tmp_path / "out" / name).read_text("utf-8").rstrip("\n") == source.rstrip("\n"), name


def test_what_it_carries_can_be_imported_there():
    """No module of the file needs at import what is neither in it nor in the standard library nor cryptography."""
    carried = {name.partition("/")[0].removesuffix(".py") for name in build.sources()}
    known = carried | {"cryptography"} | {name.partition(".")[0] for name in loader.STAND_INS}
    for name, source in build.sources().items():
        if name == "yaml/__init__.py":
            continue  # tries the C library
        for node in ast.parse(source).body:
            found = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            found += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for wanted in found:
                top = wanted.partition(".")[0]
                assert top in known or top in sys.stdlib_module_names, f"{name} imports {wanted}"


def test_the_same_sources_give_the_same_bytes():
    first = build.digest()
    build.verifier.cache_clear()
    build.sources.cache_clear()
    assert build.digest() == first


@pytest.mark.parametrize(
    ("arguments", "code"),
    [((), 2), (("bundle",), 2), (("none", "--key", "none"), 5), (("none", "--key", "none", "--anchor", "1:2"), 2)],
)
def test_its_exit_codes_are_those_of_the_command(run, arguments, code):
    assert run(*arguments).returncode == code


def test_a_reviewed_bundle_and_a_recall_notice_are_judged_as_by_the_command(single, run, tmp_path):
    """Somebody who has only this file must be able to heed the publisher's notice."""
    world = ready_world(tmp_path, policy=reviewed_policy())
    world.judge()
    world.review("approve", "approve")
    world.ledger.approve(world.budget_id, "draft-1")
    released = world.release(tmp_path / "bundle", decision=world.decision)
    assert verdicts(single, [(released.path, released.public_key)]) == [expected(released.path, released.public_key)]
    key, notices = tmp_path / "key", tmp_path / "recalls.json"
    key.write_bytes(released.public_key)
    entry = world.ledger.recall(
        world.budget_id, released.release, root=released.root, reason="a source was wrong", signer=world.signer
    )
    unsaid = {"kind", "nonce", "time", "budget_id"}
    notices.write_text(json.dumps({name: value for name, value in entry.body.items() if name not in unsaid}))
    assert run(released.path, "--key", key).returncode == 0
    ran = run(released.path, "--key", key, "--recalls", notices)
    assert (ran.returncode, "called this release back" in ran.stdout) == (5, True)
