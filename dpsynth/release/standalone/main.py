"""Command line of `verify_bundle.py`: the words and exit codes of `dpsynth verify`, and one code more.

    0  verified     5  not verified     2  usage
    8  everything that can be checked here holds, and what could not be is named

>>> main(["no such bundle", "--key", "no such key"])
FAIL  layout: There is no bundle at no such bundle. Check the path.
not reached: key, signature, statement, ...
NOT VERIFIED
5
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from accounting.ledger.entry import Head
from dpsynth.release.verification import VerificationReport
from dpsynth.release.verify import verify

PARTLY = 8


def main(arguments: list[str]) -> int:
    """Check one bundle; the exit code."""
    asked = argparse.ArgumentParser(prog="verify_bundle.py", description="Check a dpsynth bundle, offline.")
    asked.add_argument("bundle", type=Path, help="a bundle: a folder or a .zip file")
    asked.add_argument("--key", "-k", required=True, type=Path, help="the publisher's public key, from elsewhere")
    asked.add_argument("--anchor", type=_head, help="SEQ:HASH of a ledger head seen earlier")
    asked.add_argument("--ledger-key", type=Path, help="the ledger's public key, if you hold it")
    asked.add_argument("--recalls", type=Path, help="recall notices that you have from the publisher")
    asked.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    given = asked.parse_args(arguments)
    report = verify(given.bundle, given.key, anchor=given.anchor, ledger_key=given.ledger_key, recalls=given.recalls)
    sys.stdout.write(json.dumps(report.to_json(), indent=2) + "\n" if given.json else _lines(report))
    return 5 if not report.ok else PARTLY if report.not_checked else 0


def _lines(report: VerificationReport) -> str:
    lines = [f"ok    {check.name}" for check in report.checks if check.ok]
    if report.failure is not None:
        lines.append(f"FAIL  {report.failure.name}: {report.failure.reason}")
        rest = [check.name for check in report.checks if not check.ok and check is not report.failure]
        lines += [f"not reached: {', '.join(rest)}"] if rest else []
    lines += [*report.facts(), *(f"note: {warning}" for warning in report.warnings)]
    lines += [f"not checked here: {what}" for what in report.not_checked]
    verdict = "NOT VERIFIED" if not report.ok else "VERIFIED" if not report.not_checked else "NOT FULLY VERIFIED"
    return "\n".join([*lines, verdict, ""])


def _head(text: str) -> Head:
    seq, _, digest = text.partition(":")
    if not seq.isascii() or not seq.isdigit() or len(seq) > 17 or len(digest) != 64:
        raise argparse.ArgumentTypeError("expected SEQ:HASH")
    return Head(int(seq), digest)
