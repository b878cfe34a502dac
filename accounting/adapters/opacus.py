"""Opacus: the history of noise multipliers, sample rates and steps, as Poisson-sampled Gaussians.

An Opacus accountant keeps `history`, a list of (noise multiplier, sample rate, steps). Noise is relative to the
clipping norm, which is the L2 sensitivity of a summed gradient under add/remove of one unit. The sample rate amplifies
only if each step's batch was a Poisson sample, which the history does not tell, so the caller does; a loader that
shuffles, or a weighted sampler, is `poisson=False`, and each step is then charged in full.

>>> from types import SimpleNamespace
>>> run = SimpleNamespace(history=[(1.0, 0.01, 1000)])
>>> from accounting import price
>>> price(from_opacus(run, poisson=True), "1e-5").epsilon < 2 < price(from_opacus(run, poisson=False), "1e-5").epsilon
True

Not guaranteed: that gradients were clipped a unit, that noise was added once a step, or that it came from a source
that nobody can predict (`secure_mode`). Opacus's GDP accountant under-reports; its figure is not used.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from accounting.adapters.numbers import scale_of, share_of, times_of
from accounting.errors import EventError
from accounting.event import Event, EventTree, Gaussian, PoissonSampled
from accounting.relation import NeighboringRelation, PrivacyUnit

RECORD = PrivacyUnit()
ONE = Decimal(1)


def from_opacus(accountant: Any, *, poisson: bool, unit: PrivacyUnit = RECORD) -> EventTree:
    """Events of a training run.

    Args:
        accountant: an Opacus accountant, or anything with its `history`; `PrivacyEngine.accountant` is one.
        poisson: whether every batch was drawn by Poisson sampling at the sample rate, as Opacus's own loader does.
        unit: whose gradients were clipped together; a record unless the run said otherwise.

    Returns:
        One event for each phase of equal noise and rate, under add/remove.

    Raises:
        EventError: no history, or one of another shape; noise, rate or steps outside their ranges.
    """
    history = getattr(accountant, "history", None)
    if not isinstance(history, Iterable):
        raise EventError(
            "Expected an Opacus accountant, which has a `history`.", "Hand over `PrivacyEngine.accountant`."
        )
    events: list[Event] = []
    for phase in history:
        if not isinstance(phase, (tuple, list)) or len(phase) != 3:
            raise EventError("Expected a history of (noise multiplier, sample rate, steps).")
        noise, rate, steps = phase
        step = Gaussian(sigma=scale_of(noise, "noise multiplier"), l2_sensitivity=ONE)
        probability = share_of(rate, "sample rate")
        count = times_of(steps, "steps")
        if poisson and probability < 1:
            events.append(PoissonSampled(probability=probability, event=step, count=count))
        else:
            events.append(Gaussian(sigma=step.sigma, l2_sensitivity=step.l2_sensitivity, count=count))
    return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=unit, events=tuple(events))
