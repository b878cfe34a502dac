"""Quality that is published with a release: bought once, and only where nothing known stands in the release's way.

What is charged stays charged, so before it is: the gate ships the draft, the place of the bundle is free, and rows and
figures together stay within the policy's limit. Where the policy asks for reviews, nothing is bought on the way out,
because reviewers vote on what the bundle publishes: `buy_quality` comes before the votes. A draft whose figure was
bought before is not charged again.

Not guaranteed: that the gate still ships afterwards; it judges the evidence as it stands when the bundle is written.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.core.errors import GateRefused, ParameterError, ReviewRefused
from dpsynth.release.bundle import check_target
from dpsynth.release.export import gather, leaving
from dpsynth.release.figures import AnyFigure, together
from dpsynth.workspace.figures.figure import amount, buy, sold
from dpsynth.workspace.releasing import decided

if TYPE_CHECKING:
    from dpsynth.workspace.draft import Draft

QUALITY = "marginals"


def publish_quality(draft: Draft, out: Path, epsilon: Decimal | str | float) -> AnyFigure | None:
    """The figure that the release of `draft` will show; None if the draft may not leave, and nothing is bought.

    Args:
        draft: to be released.
        out: where the bundle goes.
        epsilon: of the figure, in the budget's relation and unit.

    Raises:
        ReviewRefused: the policy asks for reviews, and the figure was not bought before them.
        ParameterError: rows and figures together would be beyond the policy's limit.
        BudgetExceeded: the budget is short; nothing was read.
    """
    price = amount(epsilon)
    known = sold(draft, QUALITY)
    if known:
        return known[-1]
    if draft.workspace.policy().review is not None:
        raise ReviewRefused(
            "The policy asks for reviews, and no reviewer has seen a figure that is bought now. Nothing was bought.",
            f"Release without it; or buy it before the votes: dpsynth evaluate {draft.name} --publish-quality "
            f"epsilon={price}",
        )
    if not _may_leave(draft):
        return None
    check_target(out)
    _check_limit(draft, price)
    return buy(draft, QUALITY, epsilon=price)


def buy_quality(draft: Draft, epsilon: Decimal | str | float) -> AnyFigure:
    """The figure that a release of `draft` would show, bought before people review it.

    Args:
        draft: that nobody voted on yet.
        epsilon: of the figure, in the budget's relation and unit.

    Raises:
        ReviewRefused: votes lie on the draft.
        ParameterError: rows and figures together would be beyond the policy's limit.
        BudgetExceeded: the budget is short; nothing was read.
    """
    price = amount(epsilon)
    known = sold(draft, QUALITY)
    if known:
        return known[-1]
    _check_limit(draft, price)
    return buy(draft, QUALITY, epsilon=price)


def _may_leave(draft: Draft) -> bool:
    """As the export will ask."""
    workspace = draft.workspace
    with workspace.ledger(write=True) as ledger:
        decision = decided(draft, ledger)
        try:
            leaving(gather(draft.documents, ledger, workspace.vault), decision, workspace.policy(), ledger)
        except (GateRefused, ReviewRefused):
            return False
    return True


def _check_limit(draft: Draft, price: Decimal) -> None:
    workspace = draft.workspace
    with workspace.ledger() as ledger:
        facts = gather(draft.documents, ledger, workspace.vault).ledger
    if facts is None:
        return
    limit = workspace.policy().guarantee.max_epsilon_per_release
    total = together(facts.guarantee.epsilon, facts.figures) + price
    if total > limit:
        raise ParameterError(
            f"With this figure the release would cost epsilon {format(total.normalize(), 'f')}; the policy allows "
            f"{limit}. Nothing was bought.",
            "Ask for less, or release without the figure.",
        )
