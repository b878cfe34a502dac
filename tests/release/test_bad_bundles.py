"""Each named bad bundle is refused, by the right check, with the right reason."""

from __future__ import annotations

import shutil

import pytest

import tests.release.bundle_cases
import tests.release.bundle_cases_insider
import tests.release.bundle_cases_owner
import tests.release.bundle_cases_reviews
import tests.release.bundle_cases_text  # noqa: F401 - all five register their cases
from dpsynth.release.verify import verify
from tests.release.bundle_tools import CASES


@pytest.mark.parametrize("bad", CASES, ids=lambda bad: f"{bad.who}-{bad.name}")
def test_bad_bundle_is_refused_with_its_reason(bad, released, tmp_path):
    world, folder, _ = released
    copy = tmp_path / "bundle"
    shutil.copytree(folder, copy)
    target = bad.make(world, copy)
    key = world.ledger_signer.public_bytes if bad.name == "signed_with_the_ledger_key" else world.signer.public_bytes
    report = verify(target, key)
    assert not report.ok
    assert report.guarantee is None
    assert (report.failure.name, report.failure.code) == (bad.check, bad.code), str(report)
    assert report.failure.reason.endswith(".")


def test_the_corpus_is_as_large_as_promised():
    assert len(CASES) >= 60
    assert len({bad.name for bad in CASES}) == len(CASES)
