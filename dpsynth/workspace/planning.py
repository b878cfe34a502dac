"""What runs would cost, before any of them: the price under each filter, how many fit, and which limit stops them.

A generator's plan follows from schema, unit, epsilon and delta alone, so no row is read and nothing is reserved.
Without a schema file, names and types of the columns are read, as `dpsynth schema draft` does. A file's bytes are
hashed, to find its budget. Answers are therefore free, and the same for every table of that schema.

For a new grant, zcdp and rdp are looked at with the tenth of its delta as conversion delta under which most such runs
fit: more leaves less for the thresholds of runs that derive their domains, less leaves a smaller sum of losses.

>>> from accounting.event import Gaussian
>>> from accounting.relation import NeighboringRelation
>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(Gaussian(sigma="20", l2_sensitivity="1", count=20),))
>>> conversion_share(tree, Grant(epsilon=Decimal(6), delta=Decimal("1e-5")))
Decimal('0.000009')

Not guaranteed: that later runs are like this one. The filter charges what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accounting.decimals import decimal_text
from accounting.errors import UnsupportedEventError
from accounting.event import EventTree
from accounting.ledger.amounts import Charge, Currency, Grant, parse_delta, parse_epsilon
from accounting.ledger.composition import Composition, FilterName
from accounting.ledger.errors import BudgetRefused
from accounting.ledger.quotes import Quote, best_order, quote
from accounting.relation import PrivacyUnit
from dpsynth.data.engines.sources.credentials import without_secrets
from dpsynth.workspace.budgets import budget_of
from dpsynth.workspace.registry.places import located, stays
from dpsynth.workspace.registry.public_schema import public_schema

if TYPE_CHECKING:
    import pandas as pd

    from accounting.ledger.records import BudgetRecord
    from dpsynth.tabular.protocol import Generator, Plan
    from dpsynth.workspace.registry.datasets import DatasetRecord
    from dpsynth.workspace.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One filter's answer for a grant of which nothing is spent.

    Attributes:
        composition: the filter.
        quote: charge of one run, epsilon of all, how many fit; without a charge if it has no price.
        first: epsilon of one run, at the conversion delta; None without a price.
        stopped_by: the quantity that the run after the last has too little of; None without a price.
    """

    composition: Composition
    quote: Quote
    first: Decimal | None
    stopped_by: str | None

    def to_json(self) -> dict[str, Any]:
        """One of the `quotes` of `budget plan --json`."""
        apart = self.composition.conversion_delta
        return {
            **self.quote.to_json(),
            "conversion_delta": None if apart is None else decimal_text(apart),
            "epsilon_of_one": None if self.first is None else decimal_text(self.first),
            "stopped_by": self.stopped_by,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How many such runs fit into a budget as it stands.

    Attributes:
        budget: that would pay.
        runs: how many.
        blocking: the budget, this one or one above it, that stops the next.
        stopped_by: of which quantity it has too little then.
    """

    budget: BudgetRecord
    runs: int
    blocking: BudgetRecord
    stopped_by: str

    def to_json(self) -> dict[str, Any]:
        """The `room` of `budget plan --json`."""
        return {
            "budget_id": self.budget.budget_id,
            "node": self.budget.label,
            "filter": str(self.budget.composition),
            "runs": self.runs,
            "stopped_by": {
                "budget_id": self.blocking.budget_id,
                "node": self.blocking.label,
                "quantity": self.stopped_by,
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What `budget plan` answers.

    Attributes:
        data: as it was asked for.
        plan: of one run.
        runs: how many are meant.
        granted: what the offers are about: the budget's grant, or a planned one.
        offers: of basic, zcdp and rdp, or of the one filter that was asked for.
        room: what a budget that is there has left; None if there is none.
        read: what was read of the data.
    """

    data: str
    plan: Plan
    runs: int
    granted: Grant
    offers: tuple[Offer, ...]
    room: Room | None
    read: str

    @property
    def best(self) -> Offer | None:
        """The offer that holds most runs; among equals the smaller epsilon of the planned ones."""
        priced = [offer for offer in self.offers if offer.quote.epsilon is not None]
        return max(priced, key=lambda one: (one.quote.fits, -(one.quote.epsilon or Decimal(0))), default=None)

    def table(self) -> pd.DataFrame:
        """A row for each filter: epsilon of one run and of all, how many fit the grant, what the next would lack."""
        import pandas as pd

        rows = [
            {
                "filter": str(offer.composition),
                "one run": None if offer.first is None else float(offer.first),
                f"{self.runs} runs": None if offer.quote.epsilon is None else float(offer.quote.epsilon),
                "fit": offer.quote.fits,
                "the next lacks": offer.stopped_by,
            }
            for offer in self.offers
        ]
        return pd.DataFrame(rows).set_index("filter")

    def to_json(self) -> dict[str, Any]:
        """The object of `budget plan --json`; numbers as decimal strings."""
        best = self.best
        return {
            "data": self.data,
            "generator": self.plan.generator,
            "guarantee": self.plan.guarantee.to_json(),
            "runs": self.runs,
            "granted": self.granted.to_json(),
            "quotes": [offer.to_json() for offer in self.offers],
            "best": None if best is None else best.quote.name.value,
            "room": None if self.room is None else self.room.to_json(),
            "read": self.read,
        }


def plan_budget(
    data: str | Path | DatasetRecord,
    generator: Generator | str = "auto",
    *,
    epsilon: Any,
    delta: Any,
    runs: int = 5,
    workspace: Workspace | None = None,
    schema: str | Path | None = None,
    unit: PrivacyUnit | None = None,
    budget: str | None = None,
    grant_epsilon: Any = None,
    grant_delta: Any = None,
) -> Outlook:
    """What runs would cost under each filter, and how many fit; nothing is reserved, and with a schema nothing is read.

    Args:
        data: a file; or, with a workspace, a registered data set.
        generator: of the runs, or its name.
        epsilon: what one run may cost, add/remove one `unit`.
        delta: likewise.
        runs: how many are meant.
        workspace: where to look for a budget; None plans a new one.
        schema: file that says what is public; default the registered one, else names and types.
        unit: of data that is not registered; default one record.
        budget: purpose of the share that would pay.
        grant_epsilon: of a new grant; default `runs` times what one run may cost.
        grant_delta: likewise.

    Raises:
        BudgetRefused, SchemaError, DataError: as `outlook`.
    """
    from dpsynth.tabular import generator as generator_named

    name = str(data) if isinstance(data, str | Path) else data.name
    return outlook(
        workspace, name, generator_named(generator) if isinstance(generator, str) else generator,
        epsilon=str(epsilon), delta=str(delta), runs=runs, schema=None if schema is None else Path(schema),
        unit=unit or PrivacyUnit(), grant_epsilon=None if grant_epsilon is None else str(grant_epsilon),
        grant_delta=None if grant_delta is None else str(grant_delta), purpose=budget,
    )  # fmt: skip


def outlook(
    workspace: Workspace | None,
    data: str,
    generator: Generator,
    *,
    table: str | None = None,
    row_key: str | None = None,
    epsilon: str,
    delta: str,
    runs: int,
    schema: Path | None = None,
    target: str | None = None,
    unit: PrivacyUnit,
    grant_epsilon: str | None = None,
    grant_delta: str | None = None,
    filter_: str | None = None,
    order: str | None = None,
    conversion_delta: str | None = None,
    purpose: str | None = None,
) -> Outlook:
    """Price one run and `runs` like it, and count how many fit.

    Args:
        workspace: where to look for a budget; None plans a new one.
        data: a file, rows in an engine, or the name of a registered data set.
        generator: of the run.
        table: of a URL: `schema.table`.
        row_key: of rows in an engine: a column that is another for each record; a registered data set has its own.
        epsilon: what one run may cost, add/remove one `unit`.
        delta: likewise.
        runs: how many such runs are meant.
        schema: what is public; default the registered one, else names and types.
        target: the column that models will predict.
        unit: whose data one step adds or removes; a registered data set has its own.
        grant_epsilon: of the new grant; default `runs` times what one run may cost.
        grant_delta: likewise.
        filter_: look at this one only.
        order: of an rdp filter; default the best for `runs` runs.
        conversion_delta: of zcdp and rdp; default `conversion_share`.
        purpose: of the share that would pay.

    Raises:
        BudgetRefused: no such share, or a filter with numbers that it does not take.
        SchemaError, DataError: the schema does not suit.
    """
    record = None if workspace is None else workspace.registered(data, table=table)
    if record is not None:
        unit = record.unit
    source = record or (located(data, table) if stays(data, table) else Path(data))
    known, read = public_schema(source, schema, workspace=workspace, unit=unit, row_key=row_key, target=target)
    plan = generator.plan(known, unit, epsilon=epsilon, delta=delta)
    paying = _paying(workspace, record, purpose)
    if paying is None:
        granted = Grant(
            epsilon=parse_epsilon(grant_epsilon or parse_epsilon(epsilon) * runs),
            delta=parse_delta(grant_delta or parse_delta(delta) * runs),
        )
    else:
        granted = paying.granted
    made = _compositions(plan, granted, runs, filter_, order, conversion_delta)
    each = parse_delta(delta)
    return Outlook(
        data=without_secrets(data) if record is None or record.place is None else record.name,
        plan=plan,
        runs=runs,
        granted=granted,
        offers=tuple(_offer(plan, one, each, granted, runs) for one in made),
        room=None if workspace is None or paying is None else _room(workspace, paying, plan, each),
        read=read,
    )


def conversion_share(tree: EventTree, granted: Grant) -> Decimal:
    """The tenth of a grant's delta to convert at, so that most such runs fit under zcdp; half if it has no price.

    Args:
        tree: worst case of one run.
        granted: of a new root.
    """
    from accounting.lifetime import total_atoms_up, total_rho_up

    try:
        each = Charge(loss=total_rho_up(tree), delta=total_atoms_up(tree), currency=Currency.RHO)
    except UnsupportedEventError:
        return granted.delta / 2

    def fits(apart: Decimal) -> int:
        try:
            return Composition.zcdp(conversion_delta=apart).limit(granted).holds(each)
        except BudgetRefused:  # the conversion alone takes the whole grant
            return 0

    tenths = (granted.delta * tenth / 10 for tenth in range(9, 0, -1))
    return max(tenths, key=fits)


def _paying(workspace: Workspace | None, record: DatasetRecord | None, purpose: str | None) -> BudgetRecord | None:
    if workspace is None or record is None:
        if purpose is not None:
            raise BudgetRefused(
                f"There is no budget yet that a share for '{purpose}' could be a part of.", "Leave out --purpose."
            )
        return None
    with workspace.ledger() as ledger:
        if purpose is None and ledger.find_budget(record.commitment) is None:
            return None
        return budget_of(ledger, record, purpose)


def _compositions(
    plan: Plan, granted: Grant, runs: int, name: str | None, order: str | None, conversion_delta: str | None
) -> list[Composition]:
    """All three filters, or the named one; an order that nobody gave is the best one for the planned runs."""
    if name == FilterName.BASIC:
        return [Composition.chosen(name, order=order, conversion_delta=conversion_delta)]
    if conversion_delta is None:
        apart = conversion_share(plan.tree, granted)
    else:
        apart = parse_delta(conversion_delta, name="conversion delta")
    alpha: str | Decimal | None = order
    if order is None and name in (None, FilterName.RDP):
        alpha = best_order(plan.tree, runs=runs, conversion_delta=apart)
    if name is not None:
        return [Composition.chosen(name, order=alpha, conversion_delta=apart)]
    by_order = Composition.chosen(FilterName.RDP, order=alpha, conversion_delta=apart)
    return [Composition.basic(), Composition.zcdp(conversion_delta=apart), by_order]


def _offer(plan: Plan, composition: Composition, delta: Decimal, granted: Grant, runs: int) -> Offer:
    found = quote(plan.tree, composition, delta=delta, granted=granted, runs=runs)
    if found.charge is None:
        return Offer(composition=composition, quote=found, first=None, stopped_by=None)
    first = composition.epsilon(found.charge.loss)
    try:
        stopped_by = _short_of(composition.limit(granted), found.charge, found.fits)
    except BudgetRefused:  # the conversion alone takes the whole grant
        stopped_by = found.charge.currency.value
    return Offer(composition=composition, quote=found, first=first, stopped_by=stopped_by)


def _room(workspace: Workspace, budget: BudgetRecord, plan: Plan, delta: Decimal) -> Room:
    from accounting.ledger.pricing import charge_of

    with workspace.ledger() as ledger:
        runs, blocking = ledger.room(budget.budget_id, plan.tree, delta=delta)
        loss = ledger.balance(blocking.budget_id).loss
    charge = charge_of(plan.tree, plan.guarantee, blocking.composition)
    lacks_loss = charge.loss * (runs + 1) > loss.left
    return Room(
        budget=budget, runs=runs, blocking=blocking, stopped_by=charge.currency.value if lacks_loss else "delta"
    )


def _short_of(limit: Charge, charge: Charge, fits: int) -> str:
    return charge.currency.value if charge.loss * (fits + 1) > limit.loss else "delta"
