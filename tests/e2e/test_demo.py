"""The demo, as `make demo` runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dpsynth.cli.app import call
from dpsynth.demo.data import DATASETS, write
from dpsynth.demo.run import canaries_only
from dpsynth.release.policy import Policy, default_policy_text
from dpsynth.schema.checks import prepare
from dpsynth.schema.model import Schema


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_every_demo_table_fits_its_published_schema(name: str, tmp_path: Path) -> None:
    table, schema = write(name, tmp_path)
    found = prepare(table, Schema.from_yaml(schema))
    assert found.schema.target is not None
    assert found.schema.sensitive


def test_the_policy_for_canaries_alone_asks_for_canaries_alone() -> None:
    policy = Policy.from_yaml(canaries_only(default_policy_text()))
    default = Policy.from_yaml(default_policy_text())
    assert policy.attacks.required == ("canary",)
    assert dict(policy.attacks.limits) == {"canary.auc": default.attacks.limits["canary.auc"]}
    assert policy.guarantee == default.guarantee
    assert policy.digest() != default.digest()


@pytest.mark.parametrize("name", sorted(DATASETS))
def test_the_demo_ends_with_a_decision_and_what_ships_verifies(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Noise comes from the operating system, so the gate may send a draft back; what it ships must verify."""
    code = call(["demo", "--data", name, "--out", str(tmp_path), "--json"])
    out = json.loads(capsys.readouterr().out)
    assert code == {"ship": 0, "regenerate": 3}[out["decision"]]
    assert out["verified"] == (out["decision"] == "ship")
    assert Path(out["report"]).is_file()
    if out["bundle"]:
        assert (
            call(["verify", out["bundle"], "--key", str(tmp_path / f"{name}-1" / "vault" / "keys" / "release.pub")])
            == 0
        )


def test_an_unknown_table_lists_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["demo", "--data", "nonsense", "--out", str(tmp_path)]) == 1
    assert "fair, randhie" in capsys.readouterr().err


def test_a_second_demo_leaves_the_first_alone(tmp_path: Path) -> None:
    from dpsynth.demo.run import _next_folder

    (tmp_path / "fair-1").mkdir()
    assert _next_folder(tmp_path, "fair") == tmp_path / "fair-2"
