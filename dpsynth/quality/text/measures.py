"""The metrics of a text report, family by family, each with its anchors.

Distances are held against real, held-out texts and against words drawn at random (`sets`). Figures of one set alone
have the worst set for anchor, one text over and over: self-BLEU 1, no distinct n-gram, one mode. So have figures of
points, for which random words are no anchor: they lie near everything (coverage 0.83 on complaints). Figures that need
equal numbers of texts or cost more than a pass are computed on `Sets.few`; they have no `matched` value, being matched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

import numpy as np

from attacks.text.identifiers import KINDS
from dpsynth.quality.anchors import redraws_of
from dpsynth.quality.neighbours import Cloud, prdc, spread, vendi
from dpsynth.quality.report import Metric
from dpsynth.quality.text.embedding import Space
from dpsynth.quality.text.likelihood import Scorer, perplexity_gap, shares_beyond, surprise
from dpsynth.quality.text.marks import gap, shares
from dpsynth.quality.text.mauve import SEEDS, mauve, mauve_and_redraws, worst_group
from dpsynth.quality.text.names import TAIL
from dpsynth.quality.text.ngrams import Spread, divergence, length_distance, tail
from dpsynth.quality.text.repetition import distinct, repeated, self_bleu
from dpsynth.quality.text.sets import Sets

Better = Literal["low", "high"]
WHOLE = ("value", "reference", "matched", "floor", "shuffle")
FEW = ("value", "reference", "floor")
"""Anchors at equal numbers: all are matched."""
_Z = 1.959963984540054
ROUGH = 2
"""Clusterings in redraws, of the five elsewhere."""


def metric(
    name: str,
    better: Better,
    found: Mapping[str, float | Spread | None],
    *,
    widened: float = 1.0,
    least: float = 0.0,
) -> Metric:
    """A text metric from its anchors; intervals of value and reference where they have one.

    Eight redraws may agree by luck: chance is at least that of the reference's own interval, if it has one.

    Args:
        name: of the metric.
        better: low or high.
        found: anchor -> figure.
        widened: what the standard deviation over redraws is multiplied by, see `Sets.beyond_redraws`.
        least: spread of a figure of few things of which redraws happen to show the same.
    """
    fields: dict[str, Any] = {"floor": None}
    chance: dict[str, float | None] = {}
    for key, one in found.items():
        if key.startswith("redraw"):
            chance[key] = one.value if isinstance(one, Spread) else one
            continue
        spread_ = one if isinstance(one, Spread) else Spread(value=one) if one is not None else None
        fields[key] = None if spread_ is None else spread_.value
        if spread_ is not None and spread_.low is not None and key in ("value", "reference"):
            prefix = "ci" if key == "value" else "reference"
            fields |= {f"{prefix}_low": spread_.low, f"{prefix}_high": spread_.high}
            if key == "reference" and spread_.high is not None:
                least = max(least, (spread_.high - spread_.low) / (2.0 * _Z))
    redrawn, varied = redraws_of(chance)
    varied = None if varied is None else max(varied * widened, least)
    return Metric(name=name, group="text", better=better, spread=varied, redrawn=redrawn, **fields)


def word_metrics(sets: Sets) -> list[Metric]:
    """Divergences of n-grams, what became of rare ones, lengths."""
    pairs = sets.between(*WHOLE)
    out = []
    for n in (1, 2, 3):
        found: dict[str, Any] = {
            key: divergence(left, right, n, interval=key in ("value", "reference"))
            for key, (left, right) in pairs.items()
        }
        if n == 1:  # words drawn from the real ones have their shares
            found["shuffle"] = 1.0
        out.append(metric(f"text_js{n}", "low", found))
    for n, kind in ((1, "words"), (2, "pairs")):
        tails = {key: tail(left, right, n) for key, (left, right) in pairs.items()}
        if n == 1:
            del tails["shuffle"]
        for band in sorted(tails["value"].kept):
            kept = {key: one.kept.get(band) for key, one in tails.items()}
            one_of = 1.0 / tails["value"].kinds[band]
            out.append(metric(f"{TAIL}{kind}_{band[0]}_{band[1]}", "high", kept, least=one_of))
        invented = {key: one.invented for key, one in tails.items()}
        out.append(metric(f"text_invented_{kind}", "low", {"shuffle": 1.0, **invented}))
    lengths = {key: length_distance(left, right) for key, (left, right) in pairs.items()}
    return [*out, metric("text_length", "low", {**lengths, "shuffle": 1.0})]


def repetition_metrics(few: Sets) -> list[Metric]:
    """How much each set repeats itself, at one number of texts and of words."""
    alone = few.alone()
    found: dict[str, Any] = {key: self_bleu(own) for key, own in alone.items()}
    wide = few.beyond_redraws
    out = [metric("text_self_bleu4", "low", {**found, "shuffle": 1.0}, widened=wide)]
    for n in (1, 2, 3):
        total = min(own.size(n) for own in alone.values())
        shares_ = {key: distinct(own, n, total) for key, own in alone.items()}
        out.append(metric(f"text_distinct{n}", "high", {**shares_, "shuffle": 0.0}, widened=wide))
    twice = {key: repeated(own) for key, own in alone.items()}
    return [*out, metric("text_repeated", "low", {**twice, "shuffle": 1.0}, widened=wide)]


def point_metrics(few: Sets, space: Space) -> list[Metric]:
    """Nearness, diversity and alikeness of the sets as points."""
    between = few.between(*FEW)
    clouds = {one: Cloud.of(space.points(one.encoded)) for one in dict.fromkeys(chain(*between.values(), [few.half]))}
    pairs = {key: (clouds[left].points, clouds[right].points) for key, (left, right) in between.items()}
    found = {key: prdc(clouds[left], clouds[right]) for key, (left, right) in between.items()}
    out = []
    for figure in ("precision", "recall", "density", "coverage"):
        values: dict[str, Any] = {key: getattr(one, figure) for key, one in found.items()}
        for key in ("value", "reference"):
            if figure != "density":
                values[key] = _share(values[key], len(pairs[key][1]))
        out.append(metric(f"text_{figure}", "high", {**values, "shuffle": 0.0}))
    scores: dict[str, Any] = {key: mauve(*pairs[key]) for key in FEW if key != "reference"}
    scores["reference"], chance = mauve_and_redraws(*pairs["reference"], len(few.redraws))
    scores |= {f"redraw{at}": one for at, one in enumerate(chance)}
    out.append(metric("text_mauve", "high", {**scores, "shuffle": 0.0}))
    worst = {
        key: worst_group(left, right, seeds=ROUGH if key.startswith("redraw") else SEEDS)
        for key, (left, right) in pairs.items()
    }
    out.append(metric("text_group_worst", "high", {**worst, "shuffle": 0.0}))
    own = {key: clouds[one] for key, one in few.alone().items()}
    modes = {key: vendi(one.points) for key, one in own.items()}
    apart = {key: spread(one) for key, one in own.items()}
    return [
        *out,
        metric("text_vendi", "high", {**modes, "shuffle": 1.0}, widened=few.beyond_redraws),
        metric("text_spread", "high", {**apart, "shuffle": 0.0}, widened=few.beyond_redraws),
    ]


def _share(value: float, texts: int) -> Spread:
    """A share with Wilson's 95 % interval, texts taken for independent."""
    z2 = _Z**2
    middle, half = (
        (value + z2 / (2 * texts)) / (1 + z2 / texts),
        np.sqrt(z2 * (value * (1 - value) / texts + z2 / (4 * texts * texts))) / (1 + z2 / texts),
    )
    return Spread(value=value, low=float(max(0.0, middle - half)), high=float(min(1.0, middle + half)))


def likelihood_metrics(few: Sets, scorer: Scorer) -> list[Metric]:
    """What a public language model is surprised by; no redraws, a model is slow."""
    pairs = replace(few, redraws=()).between(*FEW, "shuffle")
    each = {id(one): one for pair in pairs.values() for one in pair}
    said = {key: surprise(scorer, one.written) for key, one in each.items()}
    scored = {key: (said[id(left)], said[id(right)]) for key, (left, right) in pairs.items()}
    gaps = {key: perplexity_gap(left, right) for key, (left, right) in scored.items()}
    beyond = {key: shares_beyond(left, right) for key, (left, right) in scored.items()}
    return [
        metric("text_perplexity_gap", "low", gaps),
        metric("text_perplexity_low", "low", {key: low for key, (low, _) in beyond.items()} | {"shuffle": 1.0}),
        metric("text_perplexity_high", "low", {key: high for key, (_, high) in beyond.items()} | {"shuffle": 1.0}),
    ]


def mark_metrics(few: Sets) -> list[Metric]:
    """Blackened names and identifiers: as often as in real texts?"""
    pairs = replace(few, redraws=()).between(*FEW)
    marked = {one: shares(one.written) for one in dict.fromkeys(chain(*pairs.values()))}
    out = []
    for title, kinds in (("redaction", ("redaction",)), ("identifiers", KINDS)):
        gaps = {key: gap(marked[left], marked[right], kinds) for key, (left, right) in pairs.items()}
        out.append(metric(f"text_marks_{title}", "low", {**gaps, "shuffle": 1.0}))
    return out
