"""Scores of all fits, put together: figures with intervals, the best shares, and the answer with its p-value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.quality.ablation.document import Answer, Best, MixScore, Mode, Test
from dpsynth.quality.ablation.halves import holm, interval, p_above_zero
from dpsynth.quality.ablation.mixes import Draw, Mix

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Measured:
    """All scores.

    Attributes:
        learners: names.
        scores: name -> better, `high` or `low`.
        tests: test tables.
        mixes: what was tried.
        draws: on which rows.
        found: (learner, mix, number of the draw) -> test -> score -> value, NaN where a test had no contrast.
    """

    learners: tuple[str, ...]
    scores: Mapping[str, str]
    tests: tuple[str, ...]
    mixes: tuple[Mix, ...]
    draws: tuple[Draw, ...]
    found: Mapping[tuple[str, Mix, int], Mapping[str, Mapping[str, float]]]

    def values(self, test: str, learner: str, mix: Mix, score: str) -> tuple[float, Floats]:
        """The mean over draws of all rows, and the values of halves, shape (cuts, 2)."""
        all_rows: list[float] = []
        halves: list[float] = []
        for number, draw in enumerate(self.draws):
            value = self.found[learner, mix, number][test][score]
            (all_rows if draw.cut is None else halves).append(value)
        return float(np.mean(all_rows)), np.asarray(halves).reshape(-1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What the document says of all mixes."""

    mixes: tuple[MixScore, ...]
    best: tuple[Best, ...]
    answers: tuple[Answer, ...]


def summarise(measured: Measured, *, primary: str, alpha: float) -> Body:
    """Figures of all mixes; the family of tests is that of one test table and the primary score."""
    mixes: list[MixScore] = []
    best: list[Best] = []
    answers: list[Answer] = []
    for test in measured.tests:
        rows = [
            _row(measured, cast("Test", test), learner, mix, score)
            for learner in measured.learners
            for mix in measured.mixes
            for score in measured.scores
        ]
        family = [row.score == primary and row.share > 0 for row in rows]
        adjusted = holm([row.p_value if member else None for row, member in zip(rows, family, strict=True)])
        rows = [row.model_copy(update={"p_adjusted": p}) for row, p in zip(rows, adjusted, strict=True)]
        mixes += rows
        answers.append(_answer(cast("Test", test), rows, alpha))
        best += [
            found
            for learner in measured.learners
            for mode in ("fixed", "extra")
            if (found := _best(measured, cast("Test", test), learner, mode, primary)) is not None
        ]
    return Body(mixes=tuple(mixes), best=tuple(best), answers=tuple(answers))


def _row(measured: Measured, test: Test, learner: str, mix: Mix, score: str) -> MixScore:
    value, halves = measured.values(test, learner, mix, score)
    low, high = interval(value, halves) or (None, None)
    none = next(m for m in measured.mixes if m.mode == mix.mode and m.share == 0)
    gain, gains = _gain(measured, test, learner, (none, mix), score)
    gain_low, gain_high = (interval(gain, gains) if mix.share > 0 else None) or (None, None)
    return MixScore(
        test=test,
        learner=learner,
        mode=mix.mode,
        share=mix.share,
        score=score,
        value=_finite(value),
        ci_low=_finite(low),
        ci_high=_finite(high),
        gain=_finite(gain),
        gain_low=_finite(gain_low),
        gain_high=_finite(gain_high),
        p_value=p_above_zero(gain, gains) if mix.share > 0 else None,
        p_adjusted=None,
    )


def _gain(
    measured: Measured, test: str, learner: str, mixes: tuple[Mix, Mix], score: str
) -> tuple[float, Floats]:  # fmt: skip
    """How much better the second mix is than the first: at full size, and on all halves."""
    sign = 1.0 if measured.scores[score] == "high" else -1.0
    (before, of_before), (after, of_after) = (measured.values(test, learner, mix, score) for mix in mixes)
    return sign * (after - before), sign * (of_after - of_before)


def _best(measured: Measured, test: Test, learner: str, mode: str, primary: str) -> Best | None:
    """The best share of a mode and all that may be as good; None where the mode has one share only."""
    mine = [mix for mix in measured.mixes if mix.mode == mode]
    sign = 1.0 if measured.scores[primary] == "high" else -1.0
    values = [sign * measured.values(test, learner, mix, primary)[0] for mix in mine]
    if len(mine) < 2 or not np.isfinite(values).all():
        return None
    top = mine[int(np.argmax(values))]
    plausible = []
    for mix in mine:
        bounds = interval(*_gain(measured, test, learner, (mix, top), primary))
        if mix is top or bounds is None or bounds[0] <= 0:
            plausible.append(mix.share)
    return Best(
        test=test, learner=learner, mode=cast("Mode", mode), share=top.share, plausible=tuple(sorted(plausible))
    )


def _answer(test: Test, rows: list[MixScore], alpha: float) -> Answer:
    known = [(row.p_adjusted, row) for row in rows if row.p_adjusted is not None]
    if not known:
        return Answer(test=test, beats_real=False, p_value=None, learner=None, mode=None, share=None)
    p, first = min(known, key=lambda pair: (pair[0], -(pair[1].gain or 0.0)))
    yes = p <= alpha
    return Answer(
        test=test,
        beats_real=yes,
        p_value=p,
        learner=first.learner if yes else None,
        mode=first.mode if yes else None,
        share=first.share if yes else None,
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
