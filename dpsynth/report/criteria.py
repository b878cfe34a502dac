"""Attacks by what they threaten: the three criteria of the Article 29 Working Party, and membership. Worst first.

Opinion 05/2014 asks of anonymised data whether a person can be singled out, records be linked, and attributes be
inferred. Each gets one line: its worst attack, never an average. A criterion that nothing tested is a finding of
its own, between a failure and an open question, because nobody looked.

>>> [line.title for line in criteria((), ())]
['Singling out', 'Linkability', 'Attribute inference', 'Membership']

Not guaranteed: completeness. An attack that found nothing says that this attack found nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dpsynth.report.views import AttackLine
from dpsynth.report.words import Words, criterion

ASKED: Final = ("Singling out", "Linkability", "Attribute inference", "Membership")
BESIDE: Final = ("Canary audit", "Identifiers", "Contamination", "Other")
NOT_RUN: Final = "not run"
_ORDER: Final = {"fail": 0, NOT_RUN: 1, "inconclusive": 2, "pass": 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class CriterionLine:
    """One criterion: the verdict of its worst attack, that attack, how many endpoints were asked, and why none was."""

    title: str
    verdict: str
    worst: AttackLine | None
    asked: int
    why: str

    @property
    def count(self) -> str:
        """How many endpoints stand behind the line."""
        return f"worst of {self.asked} endpoints" if self.asked > 1 else "one endpoint"


def criteria(lines: Sequence[AttackLine], untested: Sequence[Words]) -> tuple[CriterionLine, ...]:
    """The four criteria, always all of them, and whatever else was tested; worst first.

    Args:
        lines: attacks, worst first.
        untested: criteria that nothing tested, with the reason.
    """
    reasons = {words.title: words.meaning for words in untested}
    found = []
    for title in (*ASKED, *BESIDE):
        asked = [line for line in lines if criterion(line.limit_id) == title]
        if asked or title in ASKED:
            found.append(
                CriterionLine(
                    title=title,
                    verdict=asked[0].verdict if asked else NOT_RUN,
                    worst=asked[0] if asked else None,
                    asked=len(asked),
                    why="" if asked else reasons.get(title, "no attack of its own was run"),
                )
            )
    return tuple(sorted(found, key=lambda line: (_ORDER[line.verdict], -(line.worst.closeness if line.worst else 0.0))))
