"""How the rows were judged, as the card says it: classes and verdicts of `evidence.json`, reasons of `decision.json`.

The card repeats; it decides nothing. Both functions read documents that are published anyway, so the card can say no
more than they do, and `verify` computes both again. The five headings are always there, whatever was measured: an
empty one says that nothing of the kind is published.

    real_holdout         quality beside real rows that no model saw, one of four classes each
    temporal_holdout     quality on a later time: always internal, so never more than "not published"
    contamination_scan   verdicts on texts that no release may hold
    diversity_metrics    spread and repetition, one of four classes each
    published_figures    distances to the fitted rows that epsilon was paid for: bounds at 95 %, with the price

>>> shown = {"quality": [{"name": "tvd2_mean", "group": "fidelity", "class": "rough"}], "attacks": []}
>>> evals_of(shown)["real_holdout"], evals_of(shown)["temporal_holdout"]
([{'name': 'tvd2_mean', 'group': 'fidelity', 'result': 'rough'}], 'not published')

Not guaranteed: that a class is good enough for your purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from pydantic import Field

from dpsynth.release.documents import JSON
from dpsynth.release.fields import Closed, Name

_DIVERSE: Final = ("text_coverage", "text_self_bleu4")
_SCAN: Final = "contamination"


class EvalFacts(Closed):
    """One question and its public answer, in a word."""

    name: Name
    group: Name
    result: Name


class EvalsFacts(Closed):
    """The section `evals` of a card."""

    real_holdout: tuple[EvalFacts, ...] = Field(default=(), max_length=4096)
    temporal_holdout: Literal["not published"] = "not published"
    contamination_scan: tuple[EvalFacts, ...] = Field(default=(), max_length=4096)
    diversity_metrics: tuple[EvalFacts, ...] = Field(default=(), max_length=4096)
    published_figures: tuple[EvalFacts, ...] = Field(default=(), max_length=4096)


def evals_of(evidence: Mapping[str, JSON]) -> dict[str, Any]:
    """The section of what `evidence.json` shows."""
    sections: dict[str, list[dict[str, str]]] = {"real_holdout": [], "contamination_scan": [], "diversity_metrics": []}
    for row in _rows(evidence, "quality"):
        name, group = str(row.get("name")), str(row.get("group"))
        diverse = group == "diversity" or name in _DIVERSE
        entry = {"name": name, "group": group, "result": str(row.get("class"))}
        sections["diversity_metrics" if diverse else "real_holdout"].append(entry)
    for row in _rows(evidence, "attacks"):
        name = str(row.get("name"))
        if name.partition(":")[0] == _SCAN:
            entry = {"name": name, "group": str(row.get("stratum")), "result": str(row.get("verdict"))}
            sections["contamination_scan"].append(entry)
    bought = [row for figure in _rows(evidence, "figures") for row in _bought(figure)]
    return {**sections, "temporal_holdout": "not published", "published_figures": bought}


def _bought(figure: Mapping[str, JSON]) -> Iterator[dict[str, str]]:
    """Bounds of a figure of quality; those of copies are an attack's."""
    shown = figure.get("quality")
    for name, said in shown.items() if isinstance(shown, Mapping) else ():
        if isinstance(said, Mapping):
            result = f"{said.get('ci_low')} to {said.get('ci_high')}, epsilon {figure.get('epsilon')}"
            yield {"name": name, "group": str(figure.get("statistic")), "result": result}


def reasons_of(decision: Mapping[str, JSON]) -> dict[str, str]:
    """Why, by rule, as `decision.json` says it: confidential values are words there."""
    return {str(row.get("name")): str(row.get("reason")) for row in _rows(decision, "rules")}


def _rows(document: Mapping[str, JSON], name: str) -> Iterator[Mapping[str, JSON]]:
    found = document.get(name)
    yield from (row for row in found if isinstance(row, Mapping)) if isinstance(found, list | tuple) else ()
