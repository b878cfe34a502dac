"""A bundle that is there is there whole, after a loss of power as well: files before their folder, then the name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.release.bundle import check_target, put_in_place, staged, write_members
from dpsynth.release.layout import MEMBERS
from tests.flushed import watched

BODIES = {name: name.encode() * 9 for name in MEMBERS}


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_all_bytes_are_on_disk_before_the_name_is_and_then_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    told, target = watched(monkeypatch), tmp_path / name
    with staged(target) as stage:
        write_members(stage, BODIES)
        written = list(told)
        put_in_place(stage, target)
    if name.endswith(".zip"):
        assert written == [(stage.resolve(), target.stat().st_size)]
    else:
        assert written[:-1] == [(stage.resolve() / member, len(BODIES[member])) for member in BODIES]
        assert written[-1][0] == stage.resolve(), "the folder comes after its files"
        assert {path.name: path.read_bytes() for path in target.iterdir()} == BODIES
        assert {stat.S_IMODE(path.stat().st_mode) for path in target.iterdir()} == {0o644}
        assert stat.S_IMODE(target.stat().st_mode) == 0o755 & ~_mask()
    assert [path for path, _ in told[len(written) :]] == [tmp_path.resolve()]
    assert sorted(path.name for path in tmp_path.iterdir()) == [name], "nothing else is left"


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_no_descriptor_is_left_open(tmp_path: Path, name: str) -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - what it lists is links that vanish
    with staged(tmp_path / name) as stage:
        write_members(stage, BODIES)
        put_in_place(stage, tmp_path / name)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda path: path.write_text("x"), "something"),
        (lambda path: path.mkdir(), "something"),
        (lambda path: path.symlink_to("nowhere"), "a link"),
    ],
)
@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_nothing_is_overwritten_whenever_it_appeared(tmp_path: Path, name: str, make, word: str) -> None:
    target = tmp_path / name
    with staged(target) as stage:
        write_members(stage, BODIES)
        make(target)
        with pytest.raises(ParameterError, match="appeared"):
            put_in_place(stage, target)
    assert [path.name for path in tmp_path.iterdir()] == [name], "what was there stays, what was staged goes"
    with pytest.raises(ParameterError, match=word):
        check_target(target)


def test_a_bundle_is_exactly_its_members(tmp_path: Path) -> None:
    for members in ({**BODIES, "more": b""}, dict(list(BODIES.items())[1:])):
        with pytest.raises(ParameterError, match="exactly"):
            write_members(tmp_path / "bundle", members)
    with pytest.raises(ParameterError, match="folder"):
        check_target(tmp_path / "none" / "bundle")
    assert not list(tmp_path.iterdir())
