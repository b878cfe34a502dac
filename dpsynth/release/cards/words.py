r"""Sentences and lists that derived cards share: constants, and values of the signed card beside them.

>>> licence_url("CC-BY-4.0"), licence_url("MIT OR Apache-2.0"), licence_url(None)
('https://spdx.org/licenses/CC-BY-4.0.html', 'MIT OR Apache-2.0', 'not stated')
>>> printable("a\u202eb")
'a\ufffdb'

Not guaranteed: that the sentences fit your publication; they say what holds of every release.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from dpsynth.release.card import NOT_STATED, Card
from dpsynth.release.cards.facts import CardFacts

SYNTHETIC: Final = "(synthetic)"
WHAT: Final = "These rows were artificially generated from a private table with differential privacy."
CHECK: Final = "Only the signed bundle proves this card; check it with the publisher's public key: dpsynth verify."
COLLECTION: Final = (
    "No row was collected from a person: rows were drawn from a model that was fitted to a private table with noise."
)
RAW: Final = "A private table, named by a keyed commitment:"
BIASES: Final = (
    "Biases of the private table remain.",
    "Small groups are noisier than large ones: below the resolution in the report they are noise.",
)
SENSITIVE: Final = (
    "The private table may describe people; the guarantee bounds what these rows tell about any one of them.",
    "Column names, declared types and what the schema declared public are published as they are.",
)
IMPACT: Final = (
    "Findings about the population as a whole show through and can concern people who are in no row. "
    "Judge decisions about single persons or small groups on real data."
)
USES: Final = ("Exploring, teaching, developing and testing; training where a real holdout confirms the result.",)
MAINTENANCE: Final = "A release is never changed; a new one has a new name. The ledger shows whether it was recalled."
ONLY_SYNTHETIC: Final = "Synthetic rows of earlier releases are among the training data."
HEADINGS: Final = {
    "real_holdout": "beside a real holdout",
    "temporal_holdout": "on later real rows",
    "contamination_scan": "scan for texts that no release may hold",
    "diversity_metrics": "diversity",
    "published_figures": "distance to the fitted rows, bought with epsilon",
}
NOTHING: Final = "nothing published"

_SPDX_ID: Final = re.compile(r"[A-Za-z0-9.+-]+")


def title(card: Card) -> str:
    """Never the bare name of the private table."""
    return f"{printable(card.dataset)} {SYNTHETIC}"


def licence(card: Card) -> str:
    """As stated, or that it is not."""
    return card.licence or NOT_STATED


def licence_url(text: str | None) -> str:
    """The page of one SPDX identifier; expressions and private licences stay words."""
    if text is None or not _SPDX_ID.fullmatch(text) or text.startswith("LicenseRef-"):
        return text or NOT_STATED
    return f"https://spdx.org/licenses/{text}.html"


def judged(card: Card) -> Iterator[tuple[str, str, str]]:
    """Heading, question, answer of each published class and verdict."""
    if card.evals is None:
        return
    for section, heading in HEADINGS.items():
        found = getattr(card.evals, section)
        if isinstance(found, str) or not found:
            yield heading, "", found or NOTHING
        else:
            yield from ((heading, printable(f"{row.group} {row.name}"), printable(row.result)) for row in found)


def figures(facts: CardFacts) -> dict[str, str]:
    """Short facts for tables and property lists, by name."""
    card, guarantee = facts.card, facts.card.guarantee
    unit = guarantee["unit"]
    shown = {
        "epsilon": guarantee["epsilon"],
        "delta": guarantee["delta"],
        "relation": guarantee["relation"],
        "unit": unit if isinstance(unit, str) else ", ".join(f"{name}: {value}" for name, value in unit.items()),
        "generator": card.generator.name,
        "generator version": card.generator.version,
        "rows": card.rows,
        "attempts": card.attempts,
        "noise": card.noise,
        "decision": card.decision,
        "licence": licence(card),
        "release": card.release,
        "root": facts.root,
        "release key": facts.release_key,
        "source commitment": card.source_commitment,
        "draft commitment": card.draft_digest,
        "policy digest": card.policy.digest,
        **{f"seed commitment {name}": value for name, value in card.seeds.items()},
    }
    if card.text is not None:
        shown |= {"language model": card.text.model, "language model fingerprint": card.text.fingerprint}
        if card.text.settings_sha256 is not None:
            shown["settings and prompts digest"] = card.text.settings_sha256
    if card.lineage is not None:
        shown["synthetic parents"] = ", ".join(card.lineage.parents)
    return {printable(name): printable(str(value)) for name, value in shown.items()}


def printable(text: str) -> str:
    """Without control characters, line breaks and marks that turn the direction of writing."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
