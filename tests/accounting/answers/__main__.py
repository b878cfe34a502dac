"""Writes `known_answers.json`: numbers that the accountants must reproduce, from code that shares nothing with theirs.

    python -m tests.accounting.answers

Everything marked "mpmath" is a closed form, an exact sum or a quadrature; its formula stands beside its source.
Figures of dp-accounting come from the installed version, which each of them names, and are upper or lower bounds (its
pessimistic and optimistic estimates). Figures printed in papers are facts with citation. Of `accounting` nothing is
imported.
"""

import json
from pathlib import Path

from tests.accounting.answers.book import VECTORS
from tests.accounting.answers.choices import exponentials, pure_events
from tests.accounting.answers.divergences import concentrated, renyi
from tests.accounting.answers.elsewhere import library, printed
from tests.accounting.answers.noise import discrete_gaussians, gaussians, laplaces, selections
from tests.accounting.answers.sampling import sampled_gaussians

FAMILIES = (
    gaussians,
    discrete_gaussians,
    pure_events,
    laplaces,
    exponentials,
    renyi,
    sampled_gaussians,
    selections,
    concentrated,
    printed,
    library,
)

if __name__ == "__main__":
    for family in FAMILIES:
        family()
    lines = ",\n".join(" " + json.dumps(vector) for vector in VECTORS)
    Path(__file__).parent.with_name("known_answers.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(VECTORS)} vectors")
