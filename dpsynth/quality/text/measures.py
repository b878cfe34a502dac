"""The metrics of a text report, family by family, each with its anchors.

Distances are held against real, held-out texts and against words drawn at random (`sets`). Figures of one set alone
have the worst set for anchor, one text over and over: self-BLEU 1, no distinct n-gram, one mode. So have figures of
points, for which random words are no anchor: they lie near everything (coverage 0.83 on complaints). Figures that need
equal numbers of texts or cost more than a pass are computed on `Sets.few`; they have no `matched` value, being matched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from attacks.text.identifiers import KINDS
from dpsynth.quality.neighbours import prdc, spread, vendi
from dpsynth.quality.report import Metric
from dpsynth.quality.text.embedding import Points, Space
from dpsynth.quality.text.likelihood import Scorer, Surprise, perplexity_gap, shares_beyond, surprise
from dpsynth.quality.text.marks import gap, shares
from dpsynth.quality.text.mauve import mauve, worst_group
from dpsynth.quality.text.names import TAIL
from dpsynth.quality.text.ngrams import Spread, divergence, length_distance, tail
from dpsynth.quality.text.repetition import distinct, repeated, self_bleu
from dpsynth.quality.text.sets import Sets

Better = Literal["low", "high"]
WHOLE: Mapping[str, tuple[str, str]] = {
    "value": ("real", "synthetic"),
    "reference": ("real", "held"),
    "matched": ("real", "matched"),
    "floor": ("half", "other_half"),
    "shuffle": ("real", "drawn"),
}
FEW = {key: pair for key, pair in WHOLE.items() if key != "matched"}
ALONE = {"value": "synthetic", "reference": "held", "floor": "half"}


def metric(name: str, better: Better, found: Mapping[str, float | Spread | None]) -> Metric:
    """A text metric from its anchors; intervals of value and reference where they have one."""
    fields: dict[str, Any] = {"floor": None}
    for key, one in found.items():
        spread_ = one if isinstance(one, Spread) else Spread(value=one) if one is not None else None
        fields[key] = None if spread_ is None else spread_.value
        if spread_ is not None and spread_.low is not None and key in ("value", "reference"):
            prefix = "ci" if key == "value" else "reference"
            fields |= {f"{prefix}_low": spread_.low, f"{prefix}_high": spread_.high}
    return Metric(name=name, group="text", better=better, **fields)


def word_metrics(sets: Sets) -> list[Metric]:
    """Divergences of n-grams, what became of rare ones, lengths."""
    out = []
    for n in (1, 2, 3):
        found: dict[str, Any] = {
            key: divergence(getattr(sets, left), getattr(sets, right), n, interval=key in ("value", "reference"))
            for key, (left, right) in WHOLE.items()
        }
        if n == 1:  # words drawn from the real ones have their shares
            found["shuffle"] = 1.0
        out.append(metric(f"text_js{n}", "low", found))
    for n, kind in ((1, "words"), (2, "pairs")):
        tails = {key: tail(getattr(sets, left), getattr(sets, right), n) for key, (left, right) in WHOLE.items()}
        if n == 1:
            del tails["shuffle"]
        bands = sorted(tails["value"].kept)
        for band in bands:
            kept = {key: one.kept.get(band) for key, one in tails.items()}
            out.append(metric(f"{TAIL}{kind}_{band[0]}_{band[1]}", "high", kept))
        invented = {key: one.invented for key, one in tails.items()}
        out.append(metric(f"text_invented_{kind}", "low", {"shuffle": 1.0, **invented}))
    lengths = {key: length_distance(getattr(sets, left), getattr(sets, right)) for key, (left, right) in WHOLE.items()}
    return [*out, metric("text_length", "low", {**lengths, "shuffle": 1.0})]


def repetition_metrics(few: Sets) -> list[Metric]:
    """How much each set repeats itself, at one number of texts and of words."""
    found = {key: self_bleu(getattr(few, name)) for key, name in ALONE.items()}
    out = [metric("text_self_bleu4", "low", {**found, "shuffle": 1.0})]
    for n in (1, 2, 3):
        total = min(len(getattr(few, name).grams(n)[0]) for name in ALONE.values())
        shares_ = {key: distinct(getattr(few, name), n, total) for key, name in ALONE.items()}
        out.append(metric(f"text_distinct{n}", "high", {**shares_, "shuffle": 0.0}))
    twice = {key: repeated(getattr(few, name)) for key, name in ALONE.items()}
    return [*out, metric("text_repeated", "low", {**twice, "shuffle": 1.0})]


def point_metrics(few: Sets, space: Space) -> list[Metric]:
    """Nearness, diversity and alikeness of the sets as points."""
    points: dict[str, Points] = {
        name: space.points(getattr(few, name).encoded) for name in ("real", "synthetic", "held", "half", "other_half")
    }
    near = {key: pair for key, pair in FEW.items() if key != "shuffle"}
    found = {key: prdc(points[left], points[right]) for key, (left, right) in near.items()}
    out = []
    for figure in ("precision", "recall", "density", "coverage"):
        values: dict[str, Any] = {key: getattr(one, figure) for key, one in found.items()}
        for key, side in (("value", "synthetic"), ("reference", "held")):
            if figure != "density":
                values[key] = _share(values[key], len(points[side]))
        out.append(metric(f"text_{figure}", "high", {**values, "shuffle": 0.0}))
    alike: dict[str, Any] = {key: mauve(points[left], points[right]) for key, (left, right) in near.items()}
    out.append(metric("text_mauve", "high", {**alike, "shuffle": 0.0}))
    groups: dict[str, Any] = {key: worst_group(points[left], points[right]) for key, (left, right) in near.items()}
    out.append(metric("text_group_worst", "high", {**groups, "shuffle": 0.0}))
    modes = {key: vendi(points[name]) for key, name in ALONE.items()}
    apart = {key: spread(points[name]) for key, name in ALONE.items()}
    return [
        *out,
        metric("text_vendi", "high", {**modes, "shuffle": 1.0}),
        metric("text_spread", "high", {**apart, "shuffle": 0.0}),
    ]


def _share(value: float, texts: int) -> Spread:
    """A share with Wilson's 95 % interval, texts taken for independent."""
    z2 = 1.959963984540054**2
    middle, half = (
        (value + z2 / (2 * texts)) / (1 + z2 / texts),
        np.sqrt(z2 * (value * (1 - value) / texts + z2 / (4 * texts * texts))) / (1 + z2 / texts),
    )
    return Spread(value=value, low=float(max(0.0, middle - half)), high=float(min(1.0, middle + half)))


def likelihood_metrics(few: Sets, scorer: Scorer) -> list[Metric]:
    """What a public language model is surprised by."""
    names = {name for pair in FEW.values() for name in pair}
    said: dict[str, Surprise] = {name: surprise(scorer, getattr(few, name).written) for name in sorted(names)}
    gaps = {key: perplexity_gap(said[left], said[right]) for key, (left, right) in FEW.items()}
    beyond = {key: shares_beyond(said[left], said[right]) for key, (left, right) in FEW.items()}
    return [
        metric("text_perplexity_gap", "low", gaps),
        metric("text_perplexity_low", "low", {key: low for key, (low, _) in beyond.items()} | {"shuffle": 1.0}),
        metric("text_perplexity_high", "low", {key: high for key, (_, high) in beyond.items()} | {"shuffle": 1.0}),
    ]


def mark_metrics(sets: Sets) -> list[Metric]:
    """Blackened names and identifiers: as often as in real texts?"""
    found = {name: shares(getattr(sets, name).written) for name in ("real", "synthetic", "held", "half", "other_half")}
    pairs = {key: pair for key, pair in FEW.items() if key != "shuffle"}
    out = []
    for title, kinds in (("redaction", ("redaction",)), ("identifiers", KINDS)):
        gaps = {key: gap(found[left], found[right], kinds) for key, (left, right) in pairs.items()}
        out.append(metric(f"text_marks_{title}", "low", {**gaps, "shuffle": 1.0}))
    return out
