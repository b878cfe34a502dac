"""Private models beside a paid draft: reserved before the rows are read, committed as diffprivlib counted them.

Every draw of every model is charged to the budget that paid for the draft, at the draft's own epsilon unless another is
asked for. The trained table has as many rows as the draft's released total says; its bounds and categories are the
schema's, else those of the sealed synthetic rows, which are released facts as far as the budget goes.

Not guaranteed: that a figure is worth its epsilon. Scores on the holdout are exact and confidential, as all of quality.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from accounting.ledger.errors import BudgetExceeded as LedgerExceeded
from dpsynth.core.errors import ParameterError
from dpsynth.data.engines.protocol import UnsupportedByEngine
from dpsynth.data.table import Table
from dpsynth.quality.coding import column_kind
from dpsynth.quality.comparators.score import Comparators
from dpsynth.quality.targets import MAX_CLASSES
from dpsynth.release.figures import COMPARATORS
from dpsynth.workspace.budgets import BudgetExceeded
from dpsynth.workspace.private.room import open_source
from dpsynth.workspace.registry.overlaps import refuse_grown_together

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.quality.report import QualityReport
    from dpsynth.schema.model import Schema
    from dpsynth.workspace.draft import Draft


def beside(
    draft: Draft, asked: Comparators, released: pd.DataFrame, measure: Callable[[Comparators], QualityReport]
) -> QualityReport:
    """Reserve, train and score, commit.

    Args:
        draft: with a guarantee.
        asked: epsilon, models and draws; the rest is filled in here.
        released: the draft's rows.
        measure: makes the report with the comparators that it is given.

    Raises:
        ParameterError: the draft has no guarantee, no target or a numeric one, or a condition.
        BudgetExceeded: the draws do not fit; nothing was read.
        UnsupportedByEngine: the rows stay in an engine.
    """
    workspace, schema, terms = draft.workspace, draft.schema, draft.guarantee
    target = schema.target
    if terms is None or draft.document.sampling is not None:
        raise ParameterError(
            "Private models are compared with a first draft of a generator that has a guarantee.",
            "Evaluate without comparators.",
        )
    if target is None:
        raise ParameterError("There is no target that a model could predict.", "Name one when synthesizing: --target.")
    kind = column_kind(released[target], schema.columns[target].kind)
    if kind != "categorical" and released[target].nunique() > MAX_CLASSES:
        raise ParameterError("Private models here tell classes apart, and the target is a number.", "Leave them out.")
    if draft.dataset.place is not None:
        raise _stay_there()
    full = replace(asked, unit=draft.unit, rows=draft.document.row_total, bounds=declared_bounds(schema))
    record = draft.dataset
    with workspace.ledger(write=True) as ledger:
        refuse_grown_together(workspace, ledger, record)
        rows = open_source(workspace, record, schema=schema).rows
        try:
            paid = ledger.reserve(
                draft.document.budget_id, full.plan, delta=terms.delta, run_id=f"{draft.name}-comparators",
                purpose=COMPARATORS, policy_digest=workspace.policy().digest(),
            )  # fmt: skip
        except LedgerExceeded as short:
            raise BudgetExceeded(short, record.name) from None
        try:
            capability = ledger.check_token(paid.id, paid.token)
            key = workspace.secret(f"bound/{paid.id}")
            train = rows.to_fit(ledger, capability, full.plan, bound_key=key)
            if not isinstance(train, Table):
                raise _stay_there()
            with_rows = replace(full, train=train.select(schema.modelled).to_pandas())
            report = measure(with_rows)
        except BaseException:
            ledger.abort(paid.id, "the comparison failed", data_was_read=True)
            raise
        facts = {"draft": draft.name, "models": ", ".join(full.models), "made_by": "diffprivlib"}
        ledger.commit(paid.id, with_rows.spent, facts=facts)
    return report


def _stay_there() -> UnsupportedByEngine:
    """Why models are not trained beside a draft of an engine's table.

    Not on the targets that are sealed with the draft either: coins choose about `TARGETS` rows, so the share that they
    take follows from the number of rows. One person more moves the share, and with it whether others are chosen, so a
    model of the sample would spend more than the epsilon of its own noise.
    """
    return UnsupportedByEngine(
        "Private models are trained row by row in this process, and the rows of this data set stay in their engine. "
        "The sample that is sealed with the draft cannot stand in: how large a share it is follows from the number of "
        "rows, which is private, so models of it would cost more than their epsilon says.",
        "Evaluate without comparators; or export the table to a file and compare there.",
    )


def declared_bounds(schema: Schema) -> dict[str, tuple[float, float]]:
    """Column -> minimum and maximum where the schema declares both; dates as days since 1970."""
    return {
        name: (_number(spec.min), _number(spec.max))
        for name, spec in schema.columns.items()
        if spec.min is not None and spec.max is not None
    }


def asked(epsilon: str | None, draws: int | None, draft: Draft | None = None) -> Comparators:
    """What the command line asked for; a draft's own epsilon by default.

    Raises:
        ParameterError: no epsilon, or no number.
    """
    own = None if draft is None or draft.guarantee is None else draft.guarantee.epsilon
    try:
        chosen = own if epsilon is None else Decimal(epsilon)
    except ArithmeticError:
        chosen = None
    if chosen is None:
        raise ParameterError("Private models need an epsilon.", "Say --epsilon, such as 1.")
    return Comparators(epsilon=chosen) if draws is None else Comparators(epsilon=chosen, draws=draws)


def _number(bound: int | float | date | datetime) -> float:
    if isinstance(bound, datetime):
        return bound.replace(tzinfo=UTC).timestamp() / 86_400
    return float(bound.toordinal() - date(1970, 1, 1).toordinal()) if isinstance(bound, date) else float(bound)
