"""Documents of strangers: whatever they hold, a reader ends with a typed refusal, soon, and in little memory."""

from __future__ import annotations

import copy
import json
import resource
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounting.errors import AccountingError
from accounting.ledger.errors import LedgerTampered, Reason, SliceRefused
from accounting.ledger.evidence import checkpoint as checkpoints
from accounting.ledger.evidence.compare import compare_slices
from accounting.ledger.evidence.export import read_export
from accounting.ledger.evidence.parsing import parse, parse_slice
from accounting.ledger.slice import verify_slice
from tests.accounting.ledger.tampering import RESERVE, Story, linked, tell
from tests.accounting.ledger.test_tamper_everywhere import check_export, check_slice, slice_text

MANY = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
KEY = bytes(32)

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("dpsynth.workspace:Workspace"),
    st.just("__import__('os').system"), st.just("../../etc/passwd"), st.just("1e999999999"), st.just("00" * 32),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell(tmp_path_factory.mktemp("story") / "ledger.db")


def _typed(call: Callable[[], object]) -> bool:
    """Whether it was accepted; any other error than a typed refusal is a failure of the test."""
    try:
        call()
    except AccountingError:
        return False
    return True


def _replaced(value: Any, path: list[Any], new: Any) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return changed


def _paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(*at, step) for step, _ in inner] + [path for step, one in inner for path in _paths(one, (*at, step))]


@MANY
@given(value=VALUES)
def test_no_value_is_taken_for_evidence(value: Any) -> None:
    for call in (
        lambda: verify_slice(value, ledger_key=KEY),
        lambda: compare_slices(value, value, ledger_key=KEY),
        lambda: checkpoints.Checkpoint.from_json(value),
        lambda: read_export([json.dumps(value)], ledger_key=KEY),
    ):
        assert not _typed(call)


@MANY
@given(data=st.data(), new=VALUES)
def test_a_slice_with_any_part_replaced_is_refused(story: Story, data: st.DataObject, new: Any) -> None:
    genuine = parse_slice(slice_text(story, story.entries))
    path = data.draw(st.sampled_from(_paths(genuine)))
    lie = _replaced(genuine, list(path), new)
    same = json.dumps(lie, sort_keys=True) == json.dumps(genuine, sort_keys=True)
    accepted = _typed(lambda: verify_slice(lie, ledger_key=story.first.public_bytes, anchor=story.kept.head))
    assert accepted == same, path


@MANY
@given(data=st.data(), new=VALUES)
def test_a_body_with_any_part_replaced_and_signed_by_the_owner_ends_in_a_verdict(
    story: Story, data: st.DataObject, new: Any
) -> None:
    """The owner may sign anything; readers must come to a verdict, and to the same where a slice shows the entry."""
    place = data.draw(st.integers(1, len(story.entries) - 1))
    body = json.loads(story.entries[place]["body"])
    path = data.draw(st.sampled_from(_paths(body)))
    changed = _replaced(body, list(path), new)
    text = json.dumps(changed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    chain = linked(copy.deepcopy(story.entries), text.encode("utf-8", "replace").decode(), story.second)
    whole, part = _typed(lambda: check_export(story, chain)), _typed(lambda: check_slice(story, chain))
    assert whole == part or changed.get("budget_id") not in (None, story.budget)


@MANY
@given(data=st.binary(max_size=200))
def test_no_bytes_are_taken_for_evidence(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "kept"
    path.write_bytes(data)
    for call in (lambda: parse_slice(data), lambda: read_export([data], ledger_key=KEY)):
        assert not _typed(call)
    assert _typed(lambda: checkpoints.read(path)) == (not data)


BOMBS: dict[str, tuple[bytes, Reason]] = {
    "eight million empty lists": (b"[" + b"[]," * 8_000_000 + b"[]]", Reason.TOO_LARGE),
    "brackets without end": (b"[" * 10_000_000, Reason.MALFORMED),
    "objects nested a hundred thousand deep": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, Reason.MALFORMED),
    "a number of a million digits": (b'{"seq":' + b"9" * 1_000_000 + b"}", Reason.MALFORMED),
    "not a number": (b'{"seq": NaN}', Reason.MALFORMED),
    "infinity": (b'{"seq": -Infinity}', Reason.MALFORMED),
    "a field twice": (b'{"seq": 1, "seq": 2}', Reason.MALFORMED),
    "another encoding": ('{"a": "ä"}'.encode("latin-1"), Reason.MALFORMED),
    "nothing": (b"", Reason.MALFORMED),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_soon_and_in_little_memory(name: str) -> None:
    data, reason = BOMBS[name]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    tracemalloc.start()
    with pytest.raises(SliceRefused) as refused:
        parse_slice(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert refused.value.reason == reason
    assert peak < 4 * len(data) + 1_000_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 5


def test_a_document_longer_than_its_limit_is_not_read() -> None:
    with pytest.raises(LedgerTampered, match="longer than") as refused:
        parse(b" " * 11, limit=10)
    assert refused.value.reason == Reason.TOO_LARGE


AMOUNTS = ["1e999999999", "1e-999999999", "9" * 200_000, "0." + "0" * 200_000 + "1", "NaN", "-1", "Infinity", "1_000"]


@pytest.mark.parametrize("amount", AMOUNTS, ids=lambda text: text[:12])
@pytest.mark.parametrize("quantity", ["epsilon", "delta"])
def test_an_amount_that_is_a_bomb_is_no_charge(story: Story, quantity: str, amount: str) -> None:
    body = json.loads(story.entries[RESERVE]["body"])
    body["charge"][quantity] = body["guarantee"][quantity] = amount
    body["reservation_id"] = "run-bomb"
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with pytest.raises(SliceRefused) as refused:
        check_slice(story, linked(copy.deepcopy(story.entries), text, story.second))
    assert refused.value.reason in (Reason.RULE_BROKEN, Reason.OVERSPENT, Reason.MALFORMED)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 2


def test_a_file_of_checkpoints_without_an_end_of_line_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_bytes(b"{" * 10_000_000)
    with pytest.raises(LedgerTampered) as refused:
        checkpoints.read(path)
    assert refused.value.reason == Reason.TOO_LARGE
