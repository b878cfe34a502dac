"""White-box audit on a language model: a canary's own gradient is looked for in the noisy sum of one real step.

Two worlds, with and without a unit of four canaries among other texts. Who knows the parameters knows the canaries'
gradient and projects the step's sum on it: the best score there is, Gaussian in both worlds. Its mu, shift over
deviation, is 1 / sigma at most; with half the noise, or a unit's texts clipped one by one, more.
"""

from __future__ import annotations

import copy
from functools import lru_cache

import numpy as np
import pytest
import torch

import dpsynth.sgd.training as training_module
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.sgd.gaussian_noise import GaussianNoise
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.taped_module import TapedModule
from dpsynth.sgd.training import Units, clipped_total, train
from dpsynth.text.training.causal_loss import CausalLoss
from dpsynth.text.training.causal_network import engine_for
from dpsynth.text.training.rows import Layout
from dpsynth.text.training.trainable import trainable
from tests.text.small_models import network

LAYOUT = Layout(length=8, vocabulary=40, end=2)
OF = Schedule(probability="1", steps=1, sigma="1.5", clip="0.1")
RUNS, COPIES = 200, 4


@lru_cache(maxsize=1)
def module():
    base = network("gpt2", vocabulary=40, width=8, layers=1, positions=16)
    return trainable(base, "full", rank=1, device=torch.device("cpu"))


def fresh():
    loss = CausalLoss([np.array([1])], vocabulary=40, end=2)
    return engine_for(copy.deepcopy(module()), loss, LAYOUT).network


def units(joined):
    """Ten texts of ten people, and of an eleventh, where they take part, `COPIES` texts that are all one canary."""
    rng = np.random.default_rng(0)
    rows = [LAYOUT.row(rng.integers(3, 40, rng.integers(1, 8)), 0) for _ in range(10)]
    canary = LAYOUT.row(np.array([39, 3, 38, 4, 37, 5]), 0)
    held = [*rows, *([canary] * COPIES if joined else [])]
    return Units.of(np.stack(held), np.array([*range(10), *[10] * (len(held) - 10)]))


def direction(net):
    """The canaries' gradient, of norm 1."""
    alone = Units.of(units(True).codes[10:], np.zeros(COPIES, dtype=np.int64))
    found = clipped_total(net, alone, np.array([0]), 1e-3)
    length = sum(float((part**2).sum()) for part in found.values()) ** 0.5
    return {name: part / length for name, part in found.items()}


def scores(patch, joined, aim, net):
    """Of `RUNS` steps, in clips."""
    real, found, parameters = training_module.noisy_mean, [], {n: p.clone() for n, p in net.parameters.items()}

    def listening(*asked):
        made = real(*asked)
        found.append(sum(float((made[name] * aim[name]).sum()) for name in aim) * 10 / float(OF.clip))
        return made

    with patch.context() as own:
        own.setattr(training_module, "noisy_mean", listening)
        for run in range(RUNS):
            for name, parameter in net.parameters.items():
                parameter.copy_(parameters[name])
            train(net, units(joined), OF, size=10.0, rate=1e-3, noise=unsafe_SeededNoise(2 * run + joined))
    return np.array(found)


def shown(patch):
    """Lower bound on mu, 5 standard errors below the estimate (one in three millions)."""
    net = fresh()
    aim = direction(net)
    without, joined = (scores(patch, at, aim, net) for at in (0, 1))
    deviation = np.sqrt((without.var(ddof=1) + joined.var(ddof=1)) / 2)
    mu = (joined.mean() - without.mean()) / deviation
    return mu - 5 * np.sqrt((2 + mu**2 / 4) / RUNS)


def half_noise(patch):
    real = GaussianNoise.normals
    patch.setattr(GaussianNoise, "normals", lambda self, n: real(self, n) / 2)


def texts_one_by_one(patch):
    real = TapedModule.clipped_sum
    patch.setattr(TapedModule, "clipped_sum", lambda self, rows, units, clip: real(self, rows, None, clip))


def test_a_unit_moves_a_sum_by_at_most_the_clip_however_many_texts_it_has():
    net = fresh()
    without, joined = (clipped_total(net, units(at), np.arange(10 + at), 0.1) for at in (0, 1))
    moved = sum(float(((joined[name] - without[name]) ** 2).sum()) for name in joined) ** 0.5
    assert 0.0999 * (1 - 2e-3) <= moved <= 0.1


@pytest.mark.audit
@pytest.mark.parametrize(("fault", "caught"), [(None, False), (half_noise, True), (texts_one_by_one, True)])
def test_canaries_show_less_than_is_charged_and_more_of_a_broken_step(fault, caught, monkeypatch):
    if fault is not None:
        fault(monkeypatch)
    found = float(shown(monkeypatch))
    assert found > 0 and (found > 1 / float(OF.sigma)) is caught
