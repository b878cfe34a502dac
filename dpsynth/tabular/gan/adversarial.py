"""The loop of DP-CTGAN: a private step of the discriminator, then free steps of the generator.

    noisy = sum of clipped gradients on a Poisson sample + noise      the one counted use of private rows
    critic.step(noisy / (q * size) + gradient on generated rows)      the second term never saw a private row
    generator.step(gradient through the critic)                       post-processing

Every step of the discriminator that touches private rows draws its own sample and is counted, also when the sample is
empty. There is no early stopping and no choice of a best epoch: no loss on private rows is ever looked at.

DP-SGD on the discriminator alone: Xie et al. (2018), for tables Fang et al. (2022). Several private steps to one of the
generator: Bie et al. (2023), who find it the setting that matters most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from accounting.event import PoissonSampled
from dpsynth.core.errors import ModelError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress
from dpsynth.sgd import training
from dpsynth.sgd.adam import Adam
from dpsynth.sgd.gaussian_noise import GaussianNoise
from dpsynth.sgd.poisson import PoissonSampler
from dpsynth.sgd.schedule import Schedule
from dpsynth.sgd.training import Units
from dpsynth.tabular.gan.critic import Critic
from dpsynth.tabular.gan.encoding import Layout, drawn_conditions

if TYPE_CHECKING:
    from torch import Tensor, nn

GENERATED = 500
"""Generated rows of a step; CTGAN's batch."""


def train_adversarially(
    generator: nn.Module,
    critic: Critic,
    layout: Layout,
    shares: NDArray[np.float64],
    units: Units,
    schedule: Schedule,
    *,
    noise_width: int,
    size: float,
    rates: tuple[float, float],
    every: int,
    noise: NoiseSource,
    rng: np.random.Generator,
    progress: Progress,
) -> PoissonSampled:
    """Train both in place; the event of the discriminator's steps that ran.

    Args:
        generator: (noise, condition) -> logits; ends as the running mean of its parameters.
        critic: the discriminator.
        layout: of the columns.
        shares: released shares of all codes, one column after another.
        units: the private rows.
        schedule: what is spent, add/remove one unit.
        noise_width: of the generator's noise.
        size: released number of units; a step's sum is divided by `q * size`.
        rates: learning rates of the discriminator and the generator.
        every: discriminator steps to one of the generator.
        noise: uniform words for samples and noise.
        rng: random numbers that need not be secret.
        progress: called once a step with numbers of steps.

    Raises:
        ModelError: the parameters left the finite numbers.
    """
    import torch

    def generated() -> tuple[Tensor, Tensor, Tensor]:
        condition = torch.from_numpy(drawn_conditions(layout, shares, GENERATED, rng))
        logits = generator(torch.cat([torch.randn(GENERATED, noise_width), condition], dim=1))
        return layout.drawn(logits), condition, logits

    own = _shared(dict(generator.named_parameters()))
    generator.train()
    moves = Adam(_shared(critic.parameters), rate=rates[0], steps=schedule.steps)
    follows = Adam(own, rate=rates[1], steps=max(schedule.steps // every, 1))
    sampler = PoissonSampler(units.count, schedule.probability, noise)
    normals = GaussianNoise(noise)
    step = 0
    while step < schedule.steps:
        total = training.clipped_total(critic, units, sampler.draw(), float(schedule.clip))
        slope = training.noisy_mean(critic, total, schedule, size, normals)
        with torch.no_grad():
            rows, condition, _ = generated()
        free = critic.generated_slope(torch.cat([rows, condition], dim=1))
        with np.errstate(invalid="ignore", over="ignore"):  # found out at the end
            moves.step(step, {name: slope[name] + free[name].numpy() for name in slope})
        step += 1
        if step % every == 0:
            rows, condition, logits = generated()
            judged = critic(torch.cat([rows, condition], dim=1))
            loss = torch.nn.functional.softplus(-judged).mean() + layout.missed(logits, condition)
            slopes = torch.autograd.grad(loss, list(generator.parameters()))
            with np.errstate(invalid="ignore", over="ignore"):
                follows.step(step // every - 1, {name: one.numpy() for name, one in zip(own, slopes, strict=True)})
        progress("train", step, schedule.steps)
    if schedule.steps >= every:
        follows.average()
    check_finite(own)
    ran = Schedule(probability=schedule.probability, steps=step, sigma=schedule.sigma, clip=schedule.clip)
    return ran.event(noise.kind)


def _shared(parameters: Mapping[str, Tensor]) -> dict[str, NDArray[Any]]:
    """The parameters as arrays of the same memory: what moves one moves the other."""
    return {name: parameter.detach().numpy() for name, parameter in parameters.items()}


def check_finite(parameters: Mapping[str, NDArray[Any]]) -> None:
    """Return if a trained generator can be used.

    Raises:
        ModelError: it cannot; what was spent stays spent.
    """
    if not all(bool(np.isfinite(array).all()) for array in parameters.values()):
        raise ModelError(
            "Training left the finite numbers, so there is no model; what it spent stays spent.",
            "Choose a smaller learning rate or more noise.",
        )
