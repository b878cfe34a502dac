"""What was promised and what was spent, read from documents: the budget's bar, its family, and the privacy profile.

>>> amounts = {"granted": "3", "spent": "1", "reserved": "0", "left": "2"}
>>> budget_view({"epsilon": amounts, "delta": {**amounts, "granted": "1e-6"}}).parts
(('spent', '1', 33.33), ('left', '2', 66.67))
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from dpsynth.release.family import amendment_words, filter_words
from dpsynth.report.views import Document, clean, reading


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetView:
    """Epsilon before, by this release, reserved and left, of what was granted; shares in percent.

    `first` is the original grant in words, if the grant was amended.
    """

    granted: str
    parts: tuple[tuple[str, str, float], ...]  # label, epsilon, percent of the grant
    delta_left: str
    delta_granted: str
    entry: str | None
    entry_hash: str | None
    ledger_id: str | None
    first: str | None
    amendments: tuple[str, ...]

    @property
    def amounts(self) -> dict[str, str]:
        """Epsilon by label."""
        return {label: amount for label, amount, _ in self.parts}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLine:
    """One budget of the line from the whole to the one that paid; amounts as text, "(epsilon, delta)"."""

    role: str
    name: str
    purpose: str | None
    recipient: str
    filter: str
    granted: str
    first: str | None
    spent: str
    reserved: str
    left: str
    amendments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyView:
    """The line, root first, what was spent so far, and the digest by which `verify` ties the page to the ledger."""

    nodes: tuple[NodeLine, ...]
    amended: bool
    as_of: str
    odometer: str
    digest: str

    @property
    def whole(self) -> NodeLine:
        """The root."""
        return self.nodes[0]

    @property
    def paid(self) -> NodeLine:
        """The budget that was charged."""
        return self.nodes[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileView:
    """Epsilon at several deltas, rho and mu where they exist, and the attacker's ceiling in percent."""

    deltas: tuple[tuple[str, str, str], ...]  # delta, epsilon, accountant
    rho: str | None
    mu: str | None
    failure: str
    ceiling: str


def budget_view(balance: Document, *, this: str | None = None, ledger: Document | None = None) -> BudgetView:
    """The bar: spent before, by this release, reserved by others, left.

    Args:
        balance: `Balance.to_json()`, or a node of a budget section.
        this: epsilon that this release was charged, contained in what is spent; None shows the balance alone.
        ledger: where the entry stands: `entry`, `hash`, `ledger_id`.
    """
    with reading("balance"):
        epsilon = {k: Decimal(str(balance["epsilon"][k])) for k in ("granted", "spent", "reserved", "left")}
        own = min(Decimal(this), epsilon["spent"]) if this is not None else Decimal(0)
        before = max(epsilon["spent"] - own, Decimal(0))
        amounts = [("spent" if this is None else "spent before", before), ("this release", own),
                   ("reserved", epsilon["reserved"]), ("left", epsilon["left"])]  # fmt: skip
        whole = max(epsilon["granted"], sum((a for _, a in amounts), Decimal(0)), Decimal("1e-9"))
        where = ledger or {}
        return BudgetView(
            granted=f"{epsilon['granted']:f}",
            parts=tuple((k, f"{a:f}", round(float(100 * a / whole), 2)) for k, a in amounts if a or k == "left"),
            delta_left=clean(balance["delta"]["left"]),
            delta_granted=clean(balance["delta"]["granted"]),
            entry=clean(where["entry"]) if where.get("entry") else None,
            entry_hash=clean(where["hash"]) if where.get("hash") else None,
            ledger_id=clean(where["ledger_id"]) if where.get("ledger_id") else None,
            first=_first(balance),
            amendments=tuple(clean(amendment_words(change)) for change in balance.get("amendments", ())),
        )


def family_view(section: Document | None, digest: str | None) -> FamilyView | None:
    """The family of budgets from `dpsynth.release.family.budget_section`, and the section's digest."""
    if section is None:
        return None
    with reading("budget"):
        nodes, meter = section["line"], section["odometer"]
        return FamilyView(
            nodes=tuple(_node(node, place, len(nodes)) for place, node in enumerate(nodes)),
            amended=any(node["amendments"] for node in nodes),
            as_of=clean(section["as_of"]),
            odometer=clean(
                f"Spent so far proves epsilon {meter['epsilon']} at delta {meter['delta']}. {meter['caveat']}"
            ),
            digest=clean(digest or ""),
        )


def profile_view(section: Document | None) -> ProfileView | None:
    """The privacy section of a card."""
    if section is None:
        return None
    with reading("privacy"):
        rate = 100 * Decimal(section["attacker"]["tpr_at_most"])
        return ProfileView(
            deltas=tuple((clean(r["delta"]), clean(r["epsilon"]), clean(r["accountant"])) for r in section["deltas"]),
            rho=None if section["rho"] is None else clean(section["rho"]),
            mu=None if section["mu"] is None else clean(section["mu"]),
            failure=clean(section["failure"]),
            ceiling=f"{rate.normalize():f}",
        )


def _node(node: Document, place: int, generations: int) -> NodeLine:
    role = "the whole" if place == 0 else "share" if place < generations - 1 else "share that paid"
    return NodeLine(
        role="the whole, which paid" if generations == 1 else role,
        name=clean(node["dataset"]),
        purpose=None if node["purpose"] is None else clean(node["purpose"]),
        recipient=clean(node["recipient"]),
        filter=clean(filter_words(node["filter"])),
        granted=_pair(node, "granted"),
        first=clean("({epsilon}, {delta})".format(**node["original"])) if node["amendments"] else None,
        spent=_pair(node, "spent"),
        reserved=_pair(node, "reserved"),
        left=_pair(node, "left"),
        amendments=tuple(clean(amendment_words(change)) for change in node["amendments"]),
    )


def _pair(node: Document, key: str) -> str:
    return clean(f"({node['epsilon'][key]}, {node['delta'][key]})")


def _first(balance: Document) -> str | None:
    if not balance.get("amendments"):
        return None
    first = balance["original"]
    return clean(f"epsilon {first['epsilon']}, delta {first['delta']}")
