"""The composition filter of a family of budgets: what is added up across runs, and what the sum proves.

Chosen when the root is created, and frozen. Runs may be chosen in any way from what earlier runs gave, as long as the
price of each is fixed before it starts; a filter then admits runs while the sums stay inside the limits.

    basic   sum epsilon_i <= epsilon, sum delta_i <= delta           (Dwork et al. 2006; Rogers et al. 2016)
    zcdp    sum rho_i <= rho, sum delta_i <= atoms                   (Whitehouse et al. 2023, Theorem 1)
    rdp     sum D_alpha,i <= divergence, sum delta_i <= atoms        (Feldman and Zrnic 2021, one fixed alpha)

For zcdp and rdp the limits follow from the grant: delta = conversion delta + atoms, epsilon = conversion of the limit
at the conversion delta (`accounting.conversion`). The proof is in docs/concepts/ledger.md.

>>> made = Composition.zcdp(conversion_delta=Decimal("5e-6"))
>>> limit = made.limit(Grant(epsilon=Decimal(3), delta=Decimal("1e-5")))
>>> print(limit, "is", made.epsilon(limit.loss))
rho 0.210876536429 delta 5e-6 is 2.999999999998

Not guaranteed: anything for prices that were chosen after a run began; those stand in a `ZCDPFilter` event. A privacy
loss distribution is not a filter across runs (arXiv 2602.06756), which is why it stays inside one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from accounting.conversion import rdp_epsilon_up, rdp_limit, zcdp_epsilon_up, zcdp_limit
from accounting.decimals import decimal_text
from accounting.ledger.amounts import Charge, Currency, Grant, parse_delta, parse_epsilon, subtract
from accounting.ledger.entry import JSON
from accounting.ledger.errors import AmountRefused, BudgetRefused

MAX_ORDER = Decimal(4096)
_SMALLEST_LIMIT = Decimal("1e-12")


class FilterName(StrEnum):
    """The filters of this version; another name is refused."""

    BASIC = "basic"
    ZCDP = "zcdp"
    RDP = "rdp"


_CURRENCY = {
    FilterName.BASIC: Currency.EPSILON,
    FilterName.ZCDP: Currency.RHO,
    FilterName.RDP: Currency.DIVERGENCE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """A filter with its parameters; `basic`, `zcdp` and `rdp` make one.

    Attributes:
        name: which filter.
        conversion_delta: the part of a grant's delta that the conversion to epsilon takes; None for basic.
        order: alpha of an rdp filter.
    """

    name: FilterName
    conversion_delta: Decimal | None = None
    order: Decimal | None = None

    @staticmethod
    def basic() -> Composition:
        """Epsilons and deltas add up."""
        return Composition(name=FilterName.BASIC)

    @staticmethod
    def zcdp(*, conversion_delta: Decimal) -> Composition:
        """Rhos add up; deltas of thresholds and approximate mechanisms beside them."""
        return Composition(name=FilterName.ZCDP, conversion_delta=conversion_delta)

    @staticmethod
    def rdp(*, order: Decimal, conversion_delta: Decimal) -> Composition:
        """Divergences of one order add up; deltas of thresholds and approximate mechanisms beside them.

        Raises:
            AmountRefused: the order is not above 1, or too large to mean anything.
        """
        if not order.is_finite() or not 1 < order <= MAX_ORDER:
            raise AmountRefused(f"Expected 1 < order <= {MAX_ORDER}.", "Ask for one: dpsynth budget plan.")
        return Composition(name=FilterName.RDP, conversion_delta=conversion_delta, order=order)

    @property
    def currency(self) -> Currency:
        """What charges are stated in."""
        return _CURRENCY[self.name]

    def limit(self, granted: Grant) -> Charge:
        """What the sum of charges may reach under a grant, rounded down.

        Raises:
            BudgetRefused: the grant is too small for its conversion: not even a tiny charge is within it.
        """
        if self.conversion_delta is None:
            return Charge(loss=granted.epsilon, delta=granted.delta)
        atoms = subtract(granted.delta, self.conversion_delta)
        if self.order is None:
            loss = zcdp_limit(granted.epsilon, self.conversion_delta)
        else:
            loss = rdp_limit(granted.epsilon, self.order, self.conversion_delta)
        if atoms < 0 or loss < _SMALLEST_LIMIT:
            raise BudgetRefused(
                f"A grant of {granted} holds nothing under {self}: the conversion alone takes as much.",
                "Grant more, choose a lower conversion delta or another order, or the basic filter.",
            )
        return Charge(loss=loss, delta=atoms, currency=self.currency)

    def epsilon(self, loss: Decimal) -> Decimal:
        """Epsilon of a sum of charges, at the conversion delta, rounded up."""
        if self.conversion_delta is None:
            return loss
        if self.order is None:
            return zcdp_epsilon_up(loss, self.conversion_delta)
        return rdp_epsilon_up(loss, self.order, self.conversion_delta)

    def same_kind(self, other: Composition) -> bool:
        """Whether charges of both add up; the conversion delta is each budget's own."""
        return self.name is other.name and self.order == other.order

    def to_json(self, limit: Charge) -> JSON:
        """`"basic"`, or an object with name, conversion_delta, limit, and order for rdp."""
        if self.conversion_delta is None:
            return self.name.value
        body: dict[str, JSON] = {
            "name": self.name.value,
            "conversion_delta": decimal_text(self.conversion_delta),
            "limit": dict(limit.to_json()),
        }
        return body if self.order is None else body | {"order": decimal_text(self.order)}

    @staticmethod
    def from_json(data: object, granted: Grant) -> tuple[Composition, Charge] | None:
        """The filter and the limit that an entry states; None for a filter that this version does not know.

        Raises:
            AmountRefused: a known filter in another shape, or a limit above what the grant converts to.
            BudgetRefused: as `limit`.
        """
        if data == FilterName.BASIC.value:
            return Composition.basic(), Composition.basic().limit(granted)
        if not isinstance(data, Mapping) or data.get("name") not in (FilterName.ZCDP.value, FilterName.RDP.value):
            return None
        ordered = data["name"] == FilterName.RDP.value
        if data.keys() != {"name", "conversion_delta", "limit"} | ({"order"} if ordered else set()):
            raise AmountRefused("Expected a filter of name, conversion_delta, limit, and order for rdp.")
        made = Composition.chosen(data["name"], order=data.get("order"), conversion_delta=data["conversion_delta"])
        limit = Charge.from_json(data["limit"], made.currency)
        delta = made.conversion_delta or Decimal(0)
        if made.epsilon(limit.loss) > granted.epsilon or limit.delta > subtract(granted.delta, delta):
            raise AmountRefused("Expected a filter's limit to stay within its grant.")
        return made, limit

    @staticmethod
    def chosen(
        name: str,
        *,
        order: str | int | float | Decimal | None = None,
        conversion_delta: str | int | float | Decimal | None = None,
        delta: Decimal | None = None,
    ) -> Composition:
        """A filter by the name and numbers that a person wrote.

        Args:
            name: basic, zcdp or rdp.
            order: alpha, for rdp only.
            conversion_delta: for zcdp and rdp; default half of `delta`.
            delta: of the grant.

        Raises:
            BudgetRefused: an unknown name, or numbers that this filter does not take.
            AmountRefused: numbers out of range.
        """
        if name not in set(FilterName):
            raise BudgetRefused(f"There is no filter {name[:40]!r}.", f"Use one of {', '.join(FilterName)}.")
        if (order is None) == (name == FilterName.RDP):
            raise BudgetRefused("An rdp filter has one order, no other filter has any.", "See: dpsynth budget plan.")
        if name == FilterName.BASIC:
            if conversion_delta is not None:
                raise BudgetRefused("Basic composition converts nothing.", "Leave out the conversion delta.")
            return Composition.basic()
        if conversion_delta is None:
            if delta is None:
                raise BudgetRefused("This filter sets a conversion delta apart.", "State it.")
            conversion_delta = delta / 2
        apart = parse_delta(conversion_delta, name="conversion delta")
        if order is None:
            return Composition.zcdp(conversion_delta=apart)
        return Composition.rdp(order=parse_epsilon(order, name="order"), conversion_delta=apart)

    def __str__(self) -> str:
        if self.conversion_delta is None:
            return "basic composition"
        at = f"conversion delta {decimal_text(self.conversion_delta)}"
        return f"zcdp ({at})" if self.order is None else f"rdp of order {decimal_text(self.order)} ({at})"
