"""`python -m accounting price EVENTS.json --delta 1e-5 [--json]`: the price of an event tree, for scripts and auditors.

Epsilon by every sound accountant and at three deltas, rho and mu where they exist, and the ceiling on an attacker.

Needs neither the data nor the generator. Exit codes: 0 priced, 1 refused, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from accounting.decimals import decimal_text
from accounting.errors import AccountingError, EventError
from accounting.event import MAX_BYTES, EventTree

if TYPE_CHECKING:
    from accounting.privacy_report import PrivacyReport


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m accounting", description="Price differentially private events.")
    commands = parser.add_subparsers(dest="command", required=True)
    pricing = commands.add_parser("price", help="epsilon of an event tree at a delta, by every sound accountant")
    pricing.add_argument("events", help="a dpsynth.events/1 JSON file, or - for standard input")
    pricing.add_argument("--delta", required=True, help="decimal in [0, 1), such as 1e-5")
    pricing.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        from accounting.privacy_report import report

        found = report(EventTree.parse(_read(options.events)), options.delta)
    except AccountingError as error:
        if options.json:
            sys.stdout.write(json.dumps({"error": error.to_json()}) + "\n")
        else:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(found.to_json()) + "\n" if options.json else _table(found))
    return 0


def _read(path: str) -> bytes:
    try:
        if path == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(path).open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise EventError(
            f"Cannot read {path}: {error.strerror}.", "Give the path of a dpsynth.events/1 file."
        ) from None


def _table(found: PrivacyReport) -> str:
    guarantee = found.guarantee
    lines = [found.sentence(), ""]
    for name, epsilon in guarantee.all.items():
        lines.append(f"  {'>' if name == guarantee.accountant else ' '} {name:<34} epsilon {epsilon}")
    lines.append("")
    lines += [f"  at delta {decimal_text(g.delta):<12} epsilon {g.epsilon}" for g in found.guarantees]
    failing = f", but for a probability of {found.failure}" if found.failure else ""
    lines += [f"  rho {found.rho} (zCDP){failing}"] if found.rho is not None else []
    lines += [f"  mu {found.mu} (GDP){failing}"] if found.mu is not None else []
    return "\n".join(lines) + "\n"
