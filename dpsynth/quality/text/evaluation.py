"""Quality of synthetic texts, each figure beside what real texts score; a report like that on tables.

`evaluate_text` makes the anchors (`sets`) and asks each family of metrics (`measures`): words and their order, rare
n-grams, repetition, points in a space of meaning, a public language model's surprise, what a learner learns from the
texts, marks such as blackened names. No single figure decides: gibberish of real words passes every embedding, fifty
good texts repeated pass every precision.

>>> a = [f"{x} {y} {z}" for x in "abcdef" for y in "ghijkl" for z in "mnopqr"]
>>> report = evaluate_text(a[::3], a[1::3], a[2::3])
>>> report.metric("text_repeated").value, report.metric("text_self_bleu4").group
(0.0, 'text')

All figures are un-noised functions of private texts: the report is internal.

Not guaranteed: that texts are true, harmless or well written; nobody reads them here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from attacks.text.embedding import Embedding
from dpsynth.core.errors import DataError, ParameterError
from dpsynth.core.progress import Progress, silent
from dpsynth.quality.neighbours import prdc
from dpsynth.quality.report import Metric, QualityReport, Rows, TextSettings, too_few, worst_first
from dpsynth.quality.text import labels as taught
from dpsynth.quality.text.embedding import FALLBACK, space_of
from dpsynth.quality.text.likelihood import Scorer, perplexity_gap, surprise
from dpsynth.quality.text.mauve import SEEDS
from dpsynth.quality.text.measures import (
    likelihood_metrics,
    mark_metrics,
    metric,
    point_metrics,
    repetition_metrics,
    word_metrics,
)
from dpsynth.quality.text.ngrams import Spread, divergence
from dpsynth.quality.text.sets import MOST, REDRAWS, Sets, TextSet, anchored

FEWEST = 12
"""Texts of each set; below, no figure here means anything."""
SHAKY = 200
Labels: TypeAlias = Sequence[object]
_Labelled: TypeAlias = tuple[list[str], NDArray[np.object_] | None]


def evaluate_text(
    real: Sequence[str | None],
    synthetic: Sequence[str | None],
    holdout: Sequence[str | None],
    *,
    later: Sequence[str | None] | None = None,
    labels: tuple[Labels, Labels, Labels] | None = None,
    later_labels: Labels | None = None,
    embedding: Embedding | None = None,
    scorer: Scorer | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> QualityReport:
    """Measure synthetic texts against real ones, each figure beside what real held-out texts score.

    Args:
        real: texts that the generator was fitted on; missing ones are left out.
        synthetic: its texts.
        holdout: real texts that it never saw, of the same source.
        later: real texts from after the fit: the headline figures once more against them, with what real texts score.
        labels: topics of the three sets, one a text: what learners make of the texts (TSTR).
        later_labels: those of the later texts: the same learners are tested on them too.
        embedding: sentence encoder; default latent semantics fitted on all three alike.
        scorer: texts -> (log-likelihoods in nats, tokens) of a public language model: perplexity; see
            `dpsynth.text.scoring`.
        seed: of halves, draws and orders; the report is reproducible from it.
        progress: receives the step `text quality`.

    Returns:
        the report, worst metrics first; without figures where a set has fewer than 12 texts.

    Raises:
        DataError: something else than text, no text or no word at all; a scorer or encoder that returns no figures.
        ParameterError: labels that are not one a text; labels of later texts alone.
    """
    if later_labels is not None and (later is None or labels is None):
        raise ParameterError("Labels of later texts come with those texts and with labels of the others.")
    sources = {"real": real, "synthetic": synthetic, "holdout": holdout}
    told = labels if labels is not None else (None, None, None)
    parts = {name: _texts(name, source, own) for (name, source), own in zip(sources.items(), told, strict=True)}
    texts = {name: part[0] for name, part in parts.items()}
    if min(map(len, texts.values())) < FEWEST:
        return too_few(len(texts["synthetic"]))
    rng = np.random.Generator(np.random.PCG64(seed))
    sets = anchored(texts["real"], texts["synthetic"], texts["holdout"], rng)
    for name, own in (("real", sets.real), ("synthetic", sets.synthetic), ("holdout", sets.held)):
        if not len(own.encoded.words):
            raise DataError(f"The {name} texts hold no word.", "Pass texts with words.")
    few = sets.few()
    steps = 5 + (scorer is not None) + (labels is not None) + (later is not None)
    metrics: list[Metric] = []

    def step(found: list[Metric]) -> None:
        metrics.extend(found)
        done[0] += 1
        progress("text quality", done[0], steps)

    done = [0]
    progress("text quality", 0, steps)
    step(word_metrics(sets))
    step(repetition_metrics(few))
    step(mark_metrics(few))
    space = space_of(embedding, few)
    step(point_metrics(few, space))
    if scorer is not None:
        step(likelihood_metrics(few, scorer))
    if labels is not None:
        step(_label_metrics(parts, rng))
    if later is not None:
        parts["later"] = _texts("later", later, later_labels)
        after = TextSet.of(_mixed(parts["later"], rng)[0]).first(MOST)
        near = {
            name: prdc(space.points(after.encoded), space.points(getattr(few, name).encoded)).coverage
            for name in ("synthetic", "held", "drawn")
        }
        found = [*_later_metrics(sets, few, after, scorer), metric("text_coverage_later", "high", _named(near))]
        if later_labels is not None:
            found += _later_taught(parts, rng)
        step([one.model_copy(update={"confidentiality": "internal"}) for one in found])
    progress("text quality", steps, steps)
    return QualityReport(
        schema=QualityReport.SCHEMA,
        rows=Rows(
            real=len(sets.real),
            synthetic=len(sets.synthetic),
            holdout=len(texts["holdout"]),
            later=None if later is None else len(parts["later"][0]),
        ),
        metrics=worst_first(metrics),
        columns=(),
        pairs=(),
        pairs_total=0,
        tails=(),
        warnings=_warnings(sets),
        seed=seed,
        text=TextSettings(
            embedding=FALLBACK if embedding is None else embedding.name,
            texts=len(few.held),
            clusterings=SEEDS,
            scored=scorer is not None,
            labelled=labels is not None,
            scored_by=getattr(scorer, "name", None),
        ),
    )


def together(table: QualityReport, text: QualityReport) -> QualityReport:
    """One report of a table's columns and of its texts; rows, seed and the rest are the table's."""
    return table.model_copy(
        update={
            "metrics": worst_first([*table.metrics, *text.metrics]),
            "warnings": (*table.warnings, *(w for w in text.warnings if w not in table.warnings)),
            "text": text.text,
        }
    )


def _texts(name: str, source: Sequence[str | None], labels: Labels | None) -> _Labelled:
    """Texts that are there, with their labels."""
    if isinstance(source, str | bytes):
        raise DataError(f"The {name} texts are a single {type(source).__name__}.", "Pass a list of texts.")
    texts = list(source)
    kept = [i for i, text in enumerate(texts) if not _missing(text)]
    strange = next((type(texts[i]).__name__ for i in kept if not isinstance(texts[i], str)), None)
    if strange is not None:
        raise DataError(f"The {name} texts hold a {strange}, which is not text.", "Convert or decode it first.")
    if not kept:
        raise DataError(f"There is no {name} text.", "Pass its texts.")
    own = None
    if labels is not None:
        if len(labels) != len(texts):
            raise ParameterError(f"The {name} labels are not one a text.", "Pass as many labels as texts.")
        own = np.array([str(labels[i]) for i in kept], dtype=object)
    return [str(texts[i]) for i in kept], own


def _missing(text: object) -> bool:
    return text is None or (isinstance(text, float) and np.isnan(text)) or type(text).__name__ in ("NAType", "NaTType")


def _mixed(part: _Labelled, rng: np.random.Generator) -> tuple[list[str], NDArray[np.object_]]:
    """In random order: a set may be sorted by label, and some figures read its beginning."""
    texts, own = part
    order = rng.permutation(len(texts))
    return [texts[i] for i in order], np.array([own[i] if own is not None else "" for i in order], dtype=object)


def _named(found: dict[str, float]) -> dict[str, float]:
    return {"value": found["synthetic"], "reference": found["held"], "shuffle": found["drawn"]}


def _later_taught(parts: dict[str, _Labelled], rng: np.random.Generator) -> list[Metric]:
    """Train on synthetic and on real texts, test on those of the later time."""
    (real, own), (made, theirs), (tests, truths) = (_mixed(parts[key], rng) for key in ("real", "synthetic", "later"))
    kinds = set(truths[:MOST])
    if len(kinds) < 2:
        return []
    count = min(len(real), len(made), MOST)
    sides = {"value": (made, theirs), "reference": (real, own)}
    return [
        metric(
            f"text_tstr_{learner}_later",
            "high",
            {
                key: taught.recall_of(texts[:count], labels[:count], tests[:MOST], truths[:MOST], learner)
                for key, (texts, labels) in sides.items()
            }
            | {"shuffle": 1.0 / len(kinds)},
        )
        for learner in taught.LEARNERS
    ]


def _label_metrics(parts: dict[str, _Labelled], rng: np.random.Generator) -> list[Metric]:
    """Train on synthetic, test on real; shares of labels."""
    (real, own), (made, theirs), (tests, truths) = (_mixed(parts[key], rng) for key in ("real", "synthetic", "holdout"))
    if len(set(truths)) < 2:
        return []
    count = min(len(real), len(made), MOST)
    out = []
    for learner in taught.LEARNERS:
        found: dict[str, float | Spread] = {
            "value": taught.recall_of(made[:count], theirs[:count], tests[:MOST], truths[:MOST], learner),
            "reference": taught.recall_of(real[:count], own[:count], tests[:MOST], truths[:MOST], learner),
            "floor": taught.recall_of(real[: count // 2], own[: count // 2], tests[:MOST], truths[:MOST], learner),
            "shuffle": 1.0 / len(set(truths)),
        }
        out.append(metric(f"text_tstr_{learner}", "high", found))
    pool = np.concatenate([own, truths])
    pairs = {"value": (own, theirs), "reference": (own, truths)}
    for at in range(REDRAWS):
        mixed = rng.permutation(pool)
        pairs[f"redraw{at}"] = (mixed[len(truths) :], mixed[: len(truths)])
    apart = {key: taught.label_distance(left, right) for key, (left, right) in pairs.items()}
    kept = {key: taught.labels_kept(left, right) for key, (left, right) in pairs.items()}
    return [
        *out,
        metric("text_label_shares", "low", {**apart, "shuffle": 1.0}),
        metric("text_labels_kept", "high", {**kept, "shuffle": 0.0}),
    ]


def _later_metrics(sets: Sets, few: Sets, after: TextSet, scorer: Scorer | None) -> list[Metric]:
    """Against real texts of a later time; `floor` is how far real texts were from real ones before."""
    js = {name: divergence(after, getattr(sets, name), 2).value for name in ("matched", "held", "drawn")}
    found = {"value": js["matched"], "reference": js["held"], "shuffle": js["drawn"]}
    out = [metric("text_js2_later", "low", {**found, "floor": divergence(sets.real, sets.held, 2).value})]
    if scorer is not None:
        said = {name: surprise(scorer, getattr(few, name).written) for name in ("synthetic", "held", "drawn", "real")}
        truth = surprise(scorer, after.written)
        gaps = {name: perplexity_gap(truth, one) for name, one in said.items()}
        before = perplexity_gap(said["real"], said["held"])
        out.append(metric("text_perplexity_later", "low", {**_named(gaps), "floor": before}))
    return out


def _warnings(sets: Sets) -> tuple[str, ...]:
    """What the reader must know before trusting a figure; no counts of private texts."""
    if len(sets.held) >= SHAKY:
        return ()
    return (
        f"Holdout or synthetic set has fewer than {SHAKY} texts: they show gross faults only. Hold out more texts.",
    )
