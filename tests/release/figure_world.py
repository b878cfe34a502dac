"""Figures as the door writes them into the ledger of the small release world, and some that it never would."""

from __future__ import annotations

from typing import Any

from accounting import DiscreteLaplace, EventTree
from dpsynth.release.figures import CELLS, PURPOSE, Figure, facts_of
from tests.release.world import TERMS, World

CLEAN = (20, 10, 7000, 6, 2, 2992)
COPIED = (900, 0, 6100, 6, 2, 2992)


def figure(counts: tuple[int, ...], **changes: Any) -> Figure:
    """A figure of draft-1 at epsilon 0.1."""
    body = {
        "statistic": "copies", "version": "1", "draft": "draft-1", "draft_digest": "00" * 32,
        "cells": CELLS["copies"], "counts": counts, "scale": "10", "epsilon": "0.1", "commit": "00" * 32,
    }  # fmt: skip
    return Figure.model_validate({**body, **changes})


def buy(world: World, counts: tuple[int, ...] = CLEAN, *, scale: str = "10", events: Any = None, **told: Any) -> str:
    """Reserve, use the token, commit with the counts as facts; the commit's hash."""
    plan = EventTree(events=events or (DiscreteLaplace(scale=scale, l1_sensitivity="1"),), **TERMS)
    run = world.ledger.reserve(world.budget_id, plan, delta="1e-15", run_id="figure", purpose=PURPOSE,
                               policy_digest=world.policy.digest())  # fmt: skip
    world.ledger.check_token(run.id, run.token)
    facts: dict[str, Any] = {
        "statistic": "copies", "version": "1", "draft": world.draft.draft, "draft_digest": world.draft.draft_digest,
        "cells": list(CELLS["copies"]), "counts": list(counts), **told,
    }  # fmt: skip
    return world.ledger.commit(run.id, plan, facts=facts_of(facts)).hash
