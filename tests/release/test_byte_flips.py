"""Every bit of every file counts: one byte changed anywhere, and the bundle is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

from dpsynth.release.archive import read_bundle
from dpsynth.release.documents import Refusal
from dpsynth.release.layout import MEMBERS, STATEMENT
from dpsynth.release.verify import verify

EVERY_BYTE_UP_TO = 1200
SAMPLED = 300


def flips(size, seed):
    """Positions and masks: every byte of a small file, first, last and a sample of a large one."""
    rng = np.random.default_rng(seed)
    if size <= EVERY_BYTE_UP_TO:
        positions = np.arange(size)
    else:
        positions = np.unique(np.r_[:8, size - 8 : size, rng.integers(0, size, SAMPLED)])
    return [(int(at), int(rng.integers(1, 256))) for at in positions]


@pytest.fixture
def bundle(released, tmp_path):
    world, folder, _ = released
    copy = tmp_path / "bundle"
    copy.mkdir()
    for name in MEMBERS:  # hard links: only the flipped file is a copy
        os.link(folder / name, copy / name)
    return world, copy


@pytest.mark.parametrize("name", MEMBERS)
def test_one_byte_changed_in_a_file_is_refused(bundle, name):
    world, folder = bundle
    raw = (folder / name).read_bytes()
    (folder / name).unlink()
    assert len(raw) > 16
    for at, mask in flips(len(raw), seed=len(name)):
        (folder / name).write_bytes(raw[:at] + bytes([raw[at] ^ mask]) + raw[at + 1 :])
        report = verify(folder, world.signer.public_bytes)
        assert not report.ok, (name, at, mask)
        expected = "signature" if name == STATEMENT else "files"
        assert report.failure.name == expected, (name, at, mask, str(report))
    (folder / name).write_bytes(raw)
    assert verify(folder, world.signer.public_bytes).ok


@pytest.mark.parametrize("name", MEMBERS)
def test_one_byte_more_or_less_is_refused(bundle, name):
    world, folder = bundle
    raw = (folder / name).read_bytes()
    (folder / name).unlink()
    for other in (raw + b"\n", raw + b"\0", raw[:-1], raw[1:], b""):
        (folder / name).write_bytes(other)
        assert not verify(folder, world.signer.public_bytes).ok


def test_every_byte_of_the_archive_s_own_structure_counts(released, tmp_path):
    """Headers, directory and end record of the zip: all their bytes; of the members a sample."""
    world, _, archive = released
    raw = archive.read_bytes()
    directory = raw.index(b"PK\x01\x02")
    rng = np.random.default_rng(5)
    positions = [*range(34), *range(directory, len(raw)), *rng.integers(34, directory, 100).tolist()]
    target = tmp_path / "flipped.zip"
    for at in positions:
        target.write_bytes(raw[:at] + bytes([raw[at] ^ int(rng.integers(1, 256))]) + raw[at + 1 :])
        report = verify(target, world.signer.public_bytes)
        assert not report.ok, at
        assert report.failure.name == "layout", (at, str(report))
    target.write_bytes(raw)
    assert verify(target, world.signer.public_bytes).ok


def test_a_zip_cut_anywhere_is_refused(released, tmp_path):
    _, _, archive = released
    raw = archive.read_bytes()
    target = tmp_path / "cut.zip"
    for length in [*range(0, 200, 7), *range(len(raw) - 400, len(raw), 9)]:
        target.write_bytes(raw[:length])
        with pytest.raises(Refusal):
            read_bundle(target)
