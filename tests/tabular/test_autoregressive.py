"""Autoregressive: the inherited checks, and what training adds."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.schema.derive import derive
from dpsynth.tabular import SavedModel
from dpsynth.tabular.autoregressive import Autoregressive
from dpsynth.tabular.saved.saving import from_bytes, to_bytes
from tests.conformance.generator import GeneratorConformance, without_noise_kind
from tests.conformance.tables import MIXED, RECORD, mixed_table


class TestAutoregressive(GeneratorConformance):
    """With fewer steps than by default: 200 fits of the audit take 100 s otherwise."""

    fits, seen = 60, 400

    def make(self):
        return Autoregressive(steps=40)


@pytest.mark.parametrize(
    ("network", "options"), [("made", {"width": 4}), ("transformer", {"width": 8, "layers": 1, "heads": 2})]
)
def test_a_fit_with_another_network_spends_its_plan_and_its_file_draws_the_same_rows(network, options):
    made = Autoregressive(network=network, options=options, steps=15)
    plan = made.plan(MIXED, RECORD, epsilon="3", delta="1e-6")
    noise = unsafe_SeededNoise(1)
    domains, spent = derive(mixed_table(600), MIXED, plan.settings.derive, noise=noise)
    model = made.fit(mixed_table(600), MIXED, domains, plan, noise=noise, spent=spent)
    assert without_noise_kind(model.events.events) == plan.tree.events
    saved = SavedModel(model=model, guarantee=plan.guarantee, schema_digest=MIXED.digest())
    again = from_bytes(to_bytes(saved)).model
    assert again.state.kind == network
    one, two = (of.sample(300, np.random.default_rng(2)) for of in (model, again))
    assert one.equals(two)


def test_a_device_that_is_not_there_is_refused_before_anything_is_planned(monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match="'cuda' was asked for"):
        Autoregressive(network="made", device="cuda").plan(MIXED, RECORD, epsilon="1", delta="1e-6")
    with pytest.raises(ParameterError, match="trains on the CPU"):
        Autoregressive(device="cuda").plan(MIXED, RECORD, epsilon="1", delta="1e-6")
