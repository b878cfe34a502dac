"""Recall notices: a bundle that left before its recall is refused by whoever holds the notice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from accounting import Signer
from accounting.ledger.review import recall_notice
from dpsynth.release.verify import verify
from tests.release.world import World


@pytest.fixture
def notice(released: tuple[World, Path, Path]) -> dict[str, Any]:
    world, folder, _ = released
    from tests.release.bundle_tools import predicate, read

    claims = predicate(read(folder))
    return recall_notice(
        ledger_id=claims["ledger"]["id"], release=claims["release"], root=claims["root"], reason="a source was wrong",
        issued="2026-11-23T08:00:00Z", signer=world.signer,
    )  # fmt: skip


def _answer(released: tuple[World, Path, Path], tmp_path: Path, document: Any) -> str:
    path = tmp_path / "recalls.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    world, folder, _ = released
    report = verify(folder, world.signer.public_bytes, recalls=path)
    return "ok" if report.failure is None else report.failure.code


def test_a_notice_stops_the_bundle_that_it_names(released: Any, notice: dict[str, Any], tmp_path: Path) -> None:
    assert _answer(released, tmp_path, notice) == "recalled"
    listed = {"schema": "dpsynth.recalls/1", "notices": [{**notice, "release": "release-of-others"}, notice]}
    assert _answer(released, tmp_path, listed) == "recalled"


def test_notices_about_others_stop_nothing(released: Any, notice: dict[str, Any], tmp_path: Path) -> None:
    assert _answer(released, tmp_path, {**notice, "release": "release-of-others"}) == "ok"
    assert _answer(released, tmp_path, {**notice, "ledger_id": "another ledger"}) == "ok"
    assert _answer(released, tmp_path, {"schema": "dpsynth.recalls/1", "notices": []}) == "ok"


@pytest.mark.parametrize("changes", [{"reason": "nothing serious"}, {"root": "00" * 32}, {"signature": "00" * 64},
                                     {"signature": "zz"}, {"issued": "2030-01-01T00:00:00Z"}])  # fmt: skip
def test_an_altered_notice_is_refused_and_not_ignored(
    released: Any, notice: dict[str, Any], tmp_path: Path, changes: dict[str, str]
) -> None:
    assert _answer(released, tmp_path, {**notice, **changes}) == "recall_not_signed"


def test_a_stranger_calls_nothing_back(released: Any, notice: dict[str, Any], tmp_path: Path) -> None:
    fields = {name: notice[name] for name in ("ledger_id", "release", "root", "reason", "issued")}
    assert _answer(released, tmp_path, recall_notice(**fields, signer=Signer.generate())) == "recall_not_signed"


@pytest.mark.parametrize(
    "document", ["[]", "{}", '{"schema": "dpsynth.recall/1"}', '{"schema": "dpsynth.recalls/1", "notices": [1]}', "x",
                 '{"schema": "dpsynth.recalls/1", "notices": {}}']
)  # fmt: skip
def test_a_file_that_is_no_notice_is_refused(released: Any, tmp_path: Path, document: str) -> None:
    assert _answer(released, tmp_path, document) in {"recalls_malformed", "not_json", "not_an_object"}


def test_a_missing_file_is_refused(released: Any, tmp_path: Path) -> None:
    world, folder, _ = released
    failure = verify(folder, world.signer.public_bytes, recalls=tmp_path / "none.json").failure
    assert failure is not None
    assert failure.code == "recalls_unreadable"


def test_files_of_notices_are_read_up_to_sixteen_mebibytes_and_ten_thousand(
    released: Any, notice: dict[str, Any], tmp_path: Path
) -> None:
    for size, code in ((2**24, "not_json"), (2**24 + 1, "document_too_large")):
        assert _answer(released, tmp_path, "x" * size) == code
    other = {**notice, "release": "release-of-others"}
    for count, code in ((10_000, "ok"), (10_001, "recalls_malformed")):
        assert _answer(released, tmp_path, {"schema": "dpsynth.recalls/1", "notices": [other] * count}) == code


@pytest.mark.parametrize("changes", [{"schema": "dpsynth.recall/2"}, {"more": "1"}, {"reason": 5}, {"root": None}])
def test_a_notice_of_another_form_is_refused_in_a_list_and_alone(
    released: Any, notice: dict[str, Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    wrong = {**notice, **changes}
    for document in (wrong, {"schema": "dpsynth.recalls/1", "notices": [notice, wrong]}):
        assert _answer(released, tmp_path, document) == "recalls_malformed"
    for name in notice:
        assert _answer(released, tmp_path, {k: v for k, v in notice.items() if k != name}) == "recalls_malformed"
    listed = {"schema": "dpsynth.recalls/1", "notices": [], "more": 1}
    assert _answer(released, tmp_path, listed) == "recalls_malformed"
