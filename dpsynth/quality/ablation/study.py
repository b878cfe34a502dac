"""Ablation over the synthetic share: what mixes of real and synthetic rows are worth to several learners.

Each learner is trained on every mix (`mixes`) and scored on the real holdout, and on later rows if there are any. The
gain of a mix is its score less that of the same learner without synthetic rows; its standard error comes from
complementary halves of *all* tables (`halves`), so that luck with training rows does not pass for a gain. "Does it beat
no synthetic data at all" is the smallest p-value over all mixes and learners, adjusted for their number (Holm).

Read both modes: `fixed` (one size, 0 to 100 % synthetic; 1 is TSTR, 0 is TRTR) and `extra` (all real rows and more).

>>> rng = np.random.default_rng(0)
>>> def rows(n): x = rng.normal(size=n); return pd.DataFrame({"x": x, "y": x + rng.normal(size=n) > 0})
>>> found = ablate(rows(200), rows(200), rows(400), target="y", learners=("linear",), shares=(0, 1), splits=3)
>>> found.primary, len(found.mixes)
('auc', 9)

Not guaranteed: anything about another target or another run of the generator. A DP generator has seen all real rows: a
mix of few real rows with synthetic ones knows more of the rest than its rows say, so `fixed` flatters large shares.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.progress import Progress, silent
from dpsynth.quality.ablation.document import Ablation
from dpsynth.quality.ablation.mixes import SHARES, Draw, Mix, checked_shares, draws, plan
from dpsynth.quality.ablation.published import advise, checked_task
from dpsynth.quality.ablation.summary import Measured, summarise
from dpsynth.quality.coding import Kind, as_float, check_columns, column_kind
from dpsynth.quality.learners import Boosting, Learner, Linear, Own, named, taught
from dpsynth.quality.scores import Score, accuracy
from dpsynth.quality.targets import TESTS, Task, ready, scorable

MOST_ROWS = 40_000
SPLITS = 6
_Key = tuple[str, int, int, int]  # learner, draw, real rows, synthetic rows


def ablate(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    holdout: pd.DataFrame,
    *,
    target: str,
    later: pd.DataFrame | None = None,
    kinds: Mapping[str, Kind] | None = None,
    text: Sequence[str] = (),
    learners: Sequence[Any] = ("boosting", "linear"),
    shares: Sequence[float] = SHARES,
    splits: int = SPLITS,
    task: str | None = None,
    rows: int = MOST_ROWS,
    alpha: float = 0.05,
    jobs: int = 2,
    seed: int = 0,
    progress: Progress = silent,
) -> Ablation:
    """Train on mixes of real and synthetic rows, test on real ones.

    Args:
        real: training rows; what `synthetic` was made from.
        synthetic: synthetic rows.
        holdout: real rows that neither saw.
        target: the column to predict.
        later: later real rows: everything is scored on them too.
        kinds: column -> how it is read; else by pandas types.
        text: columns of free text, read by TF-IDF.
        learners: `boosting`, `linear`, or scikit-learn estimators (each cloned for every fit).
        shares: of synthetic rows, between 0 and 1; 0 is always added.
        splits: cuts into halves; the degrees of freedom of every test, at least 3.
        task: a key of `PUBLISHED`, whose range is held beside the measured share.
        rows: most rows of a table that are used.
        alpha: level of the answer.
        jobs: fits at once, in threads.
        seed: of all draws; figures do not depend on `jobs`.
        progress: receives the step `ablation`.

    Raises:
        SchemaError: the tables' columns differ, or lack the target.
        DataError: the target has one class or value in the real or holdout table.
        ParameterError: no such learner or task, shares outside [0, 1], fewer than three splits.
    """
    wanted, chosen = checked_shares(shares), _learners(learners, tuple(text))
    if splits < 3 or rows < 2 or not 0 < alpha < 1 or jobs < 1:
        raise ParameterError("Expected splits >= 3, rows >= 2, 0 < alpha < 1 and jobs >= 1.")
    checked_task(task)
    whole = {"real": real, "synthetic": synthetic, "holdout": holdout} | ({} if later is None else {"later": later})
    frames, read_as = _read(whole, target, kinds, tuple(text))
    rng = np.random.Generator(np.random.PCG64(seed))
    notes = [] if later is None else ["Later rows have their own answer; each answer has its own level."]
    if len(frames["real"]) > rows:
        notes.append(
            f"At most {rows} rows of a table were used: with fewer real rows than there are, synthetic ones are worth "
            "more than they will be."
        )
    frames = {t: f.iloc[rng.permutation(len(f))[:rows]] if len(f) > rows else f for t, f in frames.items()}
    kept, made = ready(frames, read_as, target)
    tests = tuple(t for t in TESTS if scorable(made, t))
    inputs = {name: kind for name, kind in read_as.items() if name != target and name not in text}
    mixes = plan(wanted, real=len(kept["real"]), synthetic=len(kept["synthetic"]))
    drawn = draws(
        len(kept["real"]), len(kept["synthetic"]), {t: len(kept[t]) for t in tests}, splits=splits, rng=rng
    )  # fmt: skip
    fits = _Fits(task=made, frames=kept, inputs=inputs, text=tuple(text), tests=tests)
    scored = _run(fits, chosen, mixes, drawn, jobs, progress)
    measured = Measured(
        learners=tuple(one.name for one in chosen),
        scores={name: better for name, (_, better) in fits.scores.items()},
        tests=tests,
        mixes=mixes,
        draws=drawn,
        found=scored,
    )
    missing = [f"{100 * s:.0f} %" for s in wanted if s > 0 and ("extra", s) not in {(m.mode, m.share) for m in mixes}]
    if missing:
        notes.append(f"Beside all real rows, not measured for want of synthetic rows: "
                     f"{', '.join(missing)}.")  # fmt: skip
    body = summarise(measured, primary=next(iter(made.scores)), alpha=alpha)
    if task is not None:
        notes += [
            f"{best.learner}, {best.mode}: {advise(task, best.share)}" for best in body.best if best.test == "holdout"
        ]
    return Ablation(
        target=target,
        task="regression" if made.size is None else "classification",
        primary=next(iter(made.scores)),
        learners=measured.learners,
        shares=wanted,
        splits=splits,
        alpha=alpha,
        fixed_rows=min(len(kept["real"]), len(kept["synthetic"])),
        real_rows=len(kept["real"]),
        mixes=body.mixes,
        best=body.best,
        answers=body.answers,
        notes=tuple(notes),
    )


def _learners(asked: Sequence[Any], text: tuple[str, ...]) -> tuple[Learner, ...]:
    out: list[Learner] = []
    for one in asked:
        learner = named(one)
        if text and isinstance(learner, Boosting | Linear):
            learner = type(learner)(texts=text)
        while learner.name in [before.name for before in out] and isinstance(learner, Own):
            learner = Own(estimator=learner.estimator, name=f"{learner.name}'")
        out.append(learner)
    if not out or len({one.name for one in out}) < len(out):
        raise ParameterError("Expected at least one learner, and each named once.")
    return tuple(out)


def _read(
    whole: Mapping[str, pd.DataFrame], target: str, kinds: Mapping[str, Kind] | None, text: tuple[str, ...]
) -> tuple[dict[str, pd.DataFrame], dict[str, Kind]]:
    """Frames with plain numbers and, for categories, codes over all tables; the same columns everywhere."""
    columns = check_columns(whole)
    absent = [name for name in (target, *text) if name not in columns]
    if absent or target in text:
        raise SchemaError(f"Target or text {(absent or [target])[0]!r} is not a column, or both.", "Name a column.")
    plain = {t: f.rename(columns=str)[list(columns)] for t, f in whole.items()}
    found: dict[str, Kind] = {
        name: "categorical" if name in text else (kinds or {}).get(name) or column_kind(plain["real"][name])
        for name in columns
    }
    out: dict[str, dict[str, Any]] = {t: {} for t in plain}
    for name, kind in found.items():
        cells = {t: f[name] for t, f in plain.items()}
        if kind == "categorical" and name != target and name not in text:
            together = pd.unique(pd.concat([c.astype(object) for c in cells.values()]).dropna())
            dtype = pd.CategoricalDtype(pd.Index(together, dtype=object))
            for t, c in cells.items():
                out[t][name] = pd.Categorical(c.astype(object), dtype=dtype)
        else:
            for t, c in cells.items():
                out[t][name] = c.array if kind == "categorical" else as_float(c, kind, table=t)
    numbers: dict[str, Kind] = {name: "number" if kind == "date" else kind for name, kind in found.items()}
    return {t: pd.DataFrame(columns_of) for t, columns_of in out.items()}, numbers


class _Fits:
    """Trains one learner on one mix of one draw, and scores it on that draw's test rows."""

    def __init__(
        self, *, task: Task, frames: Mapping[str, pd.DataFrame], inputs: Mapping[str, Kind], text: tuple[str, ...],
        tests: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.task, self.inputs, self.tests = task, inputs, tests
        columns = [*inputs, *text]
        self.frames = {t: f[columns] for t, f in frames.items()}
        # a user's pipeline gets categories as plain values: its encoder must see what is in its own training rows
        self.plain = {t: _uncoded(f) for t, f in self.frames.items()}
        both = task.size == 2 and "accuracy" not in task.scores
        self.scores: dict[str, tuple[Score, str]] = {
            **task.scores, **({"accuracy": (accuracy, "high")} if both else {})
        }  # fmt: skip

    def __call__(self, learner: Learner, draw: Draw, real: int, synthetic: int) -> dict[str, dict[str, float]]:
        frames = self.plain if isinstance(learner, Own) else self.frames
        a, b = draw.real[:real], draw.synthetic[:synthetic]
        x = pd.concat([frames["real"].iloc[a], frames["synthetic"].iloc[b]], ignore_index=True)
        y = np.concatenate([self.task.y["real"][a], self.task.y["synthetic"][b]])
        predict = taught(learner, x, y, kinds=self.inputs, classes=self.task.size, seed=draw.seed)
        out = {}
        for test in self.tests:
            rows = draw.tests[test]
            truth = self.task.y[test][rows]
            if np.unique(truth).size < 2:
                out[test] = dict.fromkeys(self.scores, float("nan"))
                continue
            predicted = predict(frames[test].iloc[rows])
            even = np.ones(rows.size)
            out[test] = {name: score(predicted, truth, even) for name, (score, _) in self.scores.items()}
        return out


def _uncoded(frame: pd.DataFrame) -> pd.DataFrame:
    coded = [name for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)]
    return frame.astype(dict.fromkeys(coded, object))


def _run(
    fits: _Fits, learners: Sequence[Learner], mixes: Sequence[Mix], drawn: Sequence[Draw], jobs: int, progress: Progress
) -> dict[tuple[str, Mix, int], dict[str, dict[str, float]]]:
    """Scores of every learner on every mix of every draw; mixes with the same rows are trained once."""
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401 - thread pools must be loaded before they can be limited
    from threadpoolctl import threadpool_limits

    places: dict[_Key, list[tuple[str, Mix, int]]] = {}
    for learner in learners:
        for number, draw in enumerate(drawn):
            of_draw = plan([mix.share for mix in mixes], real=draw.real.size, synthetic=draw.synthetic.size)
            for mix in mixes:
                sizes = next(m for m in of_draw if (m.mode, m.share) == (mix.mode, mix.share))
                key = learner.name, number, sizes.real, sizes.synthetic
                places.setdefault(key, []).append((learner.name, mix, number))
    by_name = {learner.name: learner for learner in learners}
    out: dict[tuple[str, Mix, int], dict[str, dict[str, float]]] = {}
    # OpenMP's limit is one for each thread, so each worker sets its own; the outer one gives back what was before
    with (
        threadpool_limits(limits=1),
        ThreadPoolExecutor(jobs, initializer=partial(threadpool_limits, limits=1)) as pool,
    ):
        keys = list(places)
        results = pool.map(lambda key: fits(by_name[key[0]], drawn[key[1]], key[2], key[3]), keys)
        for done, (key, result) in enumerate(zip(keys, results, strict=True)):
            if done % 10 == 0:
                progress("ablation", done, len(keys))
            for place in places[key]:
                out[place] = result
        progress("ablation", len(keys), len(keys))
    return out
