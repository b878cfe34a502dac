"""The package as a whole: lazy, light where it must be, and without shortcuts in its source."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import accounting.ledger as ledger
import dpsynth.release as package

SOURCE = Path(package.__file__).parent


PUBLIC = {
    "Card", "Decision", "Documents", "DraftDocument", "Evidence", "Finding", "Policy", "Release", "ReportInputs",
    "SealedFacts", "Vault", "VerificationReport", "bind", "card_json_schema", "default_policy", "default_policy_text",
    "encode_parquet", "gather", "judge", "next_attempt", "policy_json_schema", "record_attempt", "record_recall",
    "record_report",
}  # fmt: skip
LEDGER = {
    "Amendment", "Amounts", "Balance", "BudgetRecord", "Charge", "Composition", "Entry", "Grant", "Head", "KeyRecord",
    "Kind", "Ledger", "Odometer", "Recipient", "Reservation", "ReservationRecord", "Signer", "SliceFacts",
    "verify_slice",
}  # fmt: skip


@pytest.mark.parametrize(("of", "names"), [(package, PUBLIC), (ledger, LEDGER)], ids=["release", "ledger"])
def test_every_export_is_what_its_name_says_and_none_hides_a_module(of, names):
    modules = {path.stem for path in Path(of.__file__).parent.glob("*.py")}
    assert set(of.__all__) == names and not names & modules
    for name in names:
        assert getattr(of, name).__name__ == name
    assert names <= {*dir(package), *LEDGER}
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        of.Nothing  # noqa: B018


@pytest.mark.parametrize("module", ["seal", "evidence", "entries", "policy", "verify", "archive", "dsse"])
def test_light_modules_bring_no_data_frames_and_no_optimisers(module):
    code = (
        f"import sys, dpsynth.release.{module}; "
        "print([m for m in ('pandas', 'scipy.optimize', 'sklearn', 'matplotlib', 'attacks') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_source_holds_no_assert_pickle_eval_or_broad_except():
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Assert), path
            if isinstance(node, ast.ExceptHandler):
                names = {name.id for name in ast.walk(node.type) if isinstance(name, ast.Name)} if node.type else {""}
                assert not names & {"", "Exception", "BaseException"}, path
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imported = {alias.name.partition(".")[0] for alias in node.names}
                assert not imported & {"pickle", "marshal", "shelve", "urllib", "requests", "socket"}, path


def test_rules_are_stateless():
    rules = import_module("dpsynth.release.rules")
    for rule in rules.load_rules():
        assert not vars(rule), rule.name
