"""Attacks and quality of a draft: of its table, of its texts, or of both in one report.

Rows come through the draft, whose door asks the ledger; figures go back to it, to be bound and recorded. Columns beside
a text are attacked and measured as a table, the text as texts, and the worse verdict counts.

Few columns identify nobody by themselves, and attacks on them have no power. So where fewer than `ALONE` stand beside a
text, the attacks on tables look at whole rows: columns and the text's coordinates (`attacks.text.coordinates`).

Not guaranteed: that a leak of the columns alone shows where they are few.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dpsynth.core.errors import ParameterError
from dpsynth.core.progress import Progress
from dpsynth.quality import evaluate
from dpsynth.quality.report import QualityReport, too_few
from dpsynth.workspace.layout import read_json
from dpsynth.workspace.private.targets import SAMPLED, TARGETS
from dpsynth.workspace.runs.resampling import comparable, condition

if TYPE_CHECKING:
    import pandas as pd

    from attacks import AttackReport, TextCanaries
    from dpsynth.data.table import Table
    from dpsynth.quality.ablation.document import Ablation
    from dpsynth.quality.comparators.score import Comparators
    from dpsynth.release.policy import Policy
    from dpsynth.text.scoring import ModelScorer
    from dpsynth.workspace.draft import Draft


ALONE = 8
"""Columns from which they are attacked by themselves; the tables that our attacks were tried on have nine and more."""


NO_TABLES = (
    "{} measures no table of counts of two columns, so that no noise of a count says which group it can show: "
    "read the groups' own figures."
)


def attacked(draft: Draft, suite: str, policy: Policy, *, seed: int, progress: Progress) -> AttackReport:
    """The attack report of a draft, against the policy's limits; see `Draft.attack`."""
    from attacks.report import together

    if draft.document.text is None:
        return _attacked_table(draft, suite, policy, canaries=draft._canaries(), seed=seed, progress=progress)
    texts = _attacked_texts(draft, draft.document.text.column, policy, seed=seed, progress=progress)
    if not draft.document.tabular:
        return texts
    return together(_attacked_table(draft, suite, policy, canaries=None, seed=seed, progress=progress), texts)


def _attacked_table(
    draft: Draft, suite: str, policy: Policy, *, canaries: Any, seed: int, progress: Progress
) -> AttackReport:
    import attacks

    source = draft._source
    sides = comparable(draft, draft._fitted_rows(), source.parts.holdout)
    text = draft.document.text
    whole = text is not None and len(draft.document.tabular) < ALONE
    names = (*source.schema.modelled, *((text.column,) if text is not None and whole else ()))

    def shown(frame: pd.DataFrame) -> pd.DataFrame:
        return frame if text is None or not whole else _with_coordinates(frame, text.column)

    return attacks.run(
        suite,
        release=shown(draft._rows_frame(names)),
        members=None if sides is None else shown(draft._people(sides[0], names)),
        nonmembers=None if sides is None else shown(draft._people(sides[1], names)),
        drawn=None if draft.dataset.place is None else TARGETS,
        roles=attacks.Roles(
            sensitive=source.schema.sensitive,
            quasi_identifiers=source.schema.quasi_identifiers,
            target=source.schema.target,
            unit=draft.unit.column,
        ),
        canaries=canaries,
        limits={**attacks.DEFAULT_LIMITS["public"], **policy.attack_limits()},
        seed=seed,
        progress=progress,
    )


def _with_coordinates(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """The text's coordinates in place of the text."""
    from attacks.text.coordinates import coordinates

    points = coordinates(["" if text is None else text for text in frame[column].tolist()])
    made = frame.drop(columns=column)
    for at in range(points.shape[1]):
        made[f"{column}: coordinate {at + 1}"] = points[:, at]
    return made


def _attacked_texts(draft: Draft, column: str, policy: Policy, *, seed: int, progress: Progress) -> AttackReport:
    import attacks

    members, holdout = (
        draft._people(_with_text(side, column), (column,))
        for side in (draft._fitted_rows(), draft._source.parts.holdout)
    )
    return attacks.audit_text(
        members,
        draft._rows_frame((column,)),
        holdout,
        column=column,
        unit=draft.unit.column,
        canaries=_text_canaries(draft, column),
        limits={**attacks.DEFAULT_LIMITS["public"], **policy.attack_limits()},
        seed=seed,
        progress=progress,
    )


def evaluated(
    draft: Draft, comparators: Comparators | None, progress: Progress, sections: Mapping[str, Any]
) -> QualityReport:
    """The quality report of a draft, which says where it looked at a sample; see `Draft.evaluate`."""
    report = _evaluated(draft, comparators, progress, sections)
    if draft.dataset.place is None:
        return report
    return report.model_copy(update={"warnings": (SAMPLED, *report.warnings)})


def _evaluated(
    draft: Draft, comparators: Comparators | None, progress: Progress, sections: Mapping[str, Any]
) -> QualityReport:
    text, sections = draft.document.text, dict(sections)
    model: str | None = sections.pop("model", None)
    if text is None:
        if model is not None:
            raise ParameterError("A language model judges texts, and this draft has none.", "Leave out the model.")
        return _evaluated_table(draft, comparators, progress, sections)
    scorer, mixing = _scorer(model), sections.pop("ablation", False)
    if mixing is not False:
        _check_predicted(draft)
    report = _with_texts(draft, text.column, comparators, progress, sections, scorer)
    if mixing is False:
        return report
    options = {} if mixing is True else dict(mixing)
    return report.model_copy(update={"ablation": _mixed_texts(draft, text.column, progress, options)})


def _check_predicted(draft: Draft) -> None:
    target = draft.schema.target
    if target is None or target not in draft.document.tabular:
        raise ParameterError("An ablation trains models to predict a column.", "Name one when synthesizing: --target.")
    if draft.condition is not None:
        raise ParameterError("Mixes are measured for drafts of the whole table.", "Leave out the ablation.")


def _mixed_texts(draft: Draft, column: str, progress: Progress, options: dict[str, Any]) -> Ablation:
    """Models that read the texts, and the columns beside them, trained on mixes of real and synthetic rows."""
    from dpsynth.data.table import Table
    from dpsynth.quality.ablation.study import ablate
    from dpsynth.quality.coding import column_kind

    source = draft._source
    names = (*draft.document.tabular, column)
    frames = [
        _with_text(table, column).select(names).to_pandas()
        for table in (source.parts.train, Table.from_arrow(draft.rows()), source.parts.holdout)
    ]
    kinds = {name: column_kind(frames[0][name], source.schema.columns[name].kind) for name in draft.document.tabular}
    target = str(source.schema.target)
    return ablate(*frames, target=target, kinds=kinds, text=(column,), seed=0, progress=progress, **options)


def _with_texts(
    draft: Draft,
    column: str,
    comparators: Comparators | None,
    progress: Progress,
    sections: Mapping[str, Any],
    scorer: ModelScorer | None,
) -> QualityReport:
    """Texts, and the columns beside them if there are two or more."""
    if len(draft.document.tabular) < 2:  # one column has no pair; how the texts tell its values apart is among theirs
        if comparators is not None or any(sections.values()):
            raise ParameterError("Models are compared, and time is told, by two columns or more beside the text.")
        return _evaluated_texts(draft, column, progress, scorer)
    from dpsynth.quality.text import together

    table = _evaluated_table(draft, comparators, progress, sections)
    return together(table, _evaluated_texts(draft, column, progress, scorer))


def _scorer(model: str | None) -> ModelScorer | None:
    """The scorer of a public model, loaded before any private row is read."""
    if model is None:
        return None
    from dpsynth.text.backends import load
    from dpsynth.text.scoring import scorer_of

    return scorer_of(load(model))


def _evaluated_table(
    draft: Draft, comparators: Comparators | None, progress: Progress, sections: Mapping[str, Any]
) -> QualityReport:
    source, people = draft._source, draft._sequences
    sides = comparable(draft, source.parts.train, source.parts.holdout)
    if sides is None:
        return too_few(draft.document.rows)
    names = (*source.schema.modelled, *(() if people is None else (people.unit, people.order)))
    real, holdout = (side.select(names).to_pandas() for side in sides)
    later = _later(draft, source.parts.later)
    target = source.schema.target
    # a condition may leave one class: no utility then, where an error would tell so of private rows
    if target and condition(draft) is not None and min(real[target].nunique(), holdout[target].nunique()) < 2:
        target, sections = None, {**sections, "ablation": False}
    if later is not None:
        if sections.get("time_column") is not None:
            raise ParameterError("Rows of a later time were set aside before the fit.", "Leave out --time-column.")
        time = None if draft.dataset.time is None else draft.dataset.time.column
        sections = {**sections, "later": later.select(names).to_pandas()}
        sections["time_column"] = time if time in names else None
    made = read_json(draft.folder / "model.json")
    sigma = made.get("pair_sigma")
    measure = partial(
        evaluate,
        real,
        draft._rows_frame(names),
        holdout,
        schema=source.schema,
        target=target,
        # noise of one pair table, if the generator measured any: it bounds which cells can be seen at all
        sigma=None if sigma is None else float(sigma),
        no_resolution=NO_TABLES.format(made.get("generator", "This generator")),
        people=people,
        progress=progress,
        **sections,
    )
    if comparators is None:
        return measure(comparators=None)
    from dpsynth.workspace.figures.comparators import beside

    return beside(draft, comparators, draft._rows_frame(), lambda paid: measure(comparators=paid))


def _evaluated_texts(draft: Draft, column: str, progress: Progress, scorer: ModelScorer | None) -> QualityReport:
    from dpsynth.quality.text.evaluation import FEWEST, evaluate_text

    parts, target = draft._source.parts, draft._source.schema.target
    sides = [_with_text(side, column) for side in (parts.train, parts.holdout)]
    real, holdout = (side.column(column).to_pylist() for side in sides)
    after = None if parts.later is None else _with_text(parts.later, column)
    if after is not None and after.unsafe_num_rows < FEWEST:
        after = None  # the gate then finds no figure of the later time
    released = draft.rows()
    labels = later_labels = None
    if target is not None and target in draft.document.tabular:
        ours, theirs = (_labels(side.column(target)) for side in sides)
        labels = (ours, _labels(released.column(target)), theirs)
        later_labels = None if after is None else _labels(after.column(target))
    return evaluate_text(
        real,
        released.column(column).to_pylist(),
        holdout,
        later=None if after is None else after.column(column).to_pylist(),
        labels=labels,
        later_labels=later_labels,
        scorer=scorer,
        seed=0,
        progress=progress,
    )


def _later(draft: Draft, rows: Table | None) -> Table | None:
    """Later rows that the draft is compared with: under its condition, and none where that leaves few."""
    if rows is None:
        return None
    met = comparable(draft, rows, rows)
    return None if met is None else met[0]


def _labels(cells: pa.ChunkedArray) -> list[str]:
    return ["" if cell is None else str(cell) for cell in cells.to_pylist()]


def _with_text(table: Table, column: str) -> Table:
    """The rows whose text is there: a missing one is nobody's writing."""
    return table.take(np.flatnonzero(~np.asarray(table.column(column).is_null())))


def _text_canaries(draft: Draft, column: str) -> TextCanaries | None:
    """Planted canaries with their coins and the public texts that they were made from."""
    if not draft.document.canaries.planted:
        return None
    from attacks import TextCanaries
    from dpsynth.pipeline import PREFIX_WORDS, SUFFIX_WORDS

    texts, coins = draft._planted_texts(column)
    public = json.loads(draft.workspace.vault.open(f"{draft.name}-canary-texts"))
    promised = draft.guarantee
    delta = {} if promised is None else {"delta": float(promised.delta)}
    return TextCanaries(
        texts=texts,
        included=coins,
        public=tuple(public),
        prefix_words=PREFIX_WORDS,
        suffix_words=SUFFIX_WORDS,
        **delta,
    )
