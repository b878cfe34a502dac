"""The loop of PATE-GAN: teachers vote on generated rows, noisy counts teach a student, the generator follows.

    teachers learn from their own rows and generated ones; votes are counted      private
    released = count + discrete Gaussian                                          the one way out, all of it paid for
    a student learns half of the released counts; the other half says how far
    to believe it; the generator is fitted to its own rows, weighed by it         post-processing

Add/remove one unit changes one teacher (`teachers`), so a count by at most 1: each count is a query of L2 sensitivity 1
whatever k is, and all counts of all rounds are composed. Rows asked in a round depend on private data through earlier
released counts alone, which is adaptive composition. Under replace-one two teachers may change, by 2 together: a factor
that a tree under add/remove neither has nor needs.

Jordon, Yoon and van der Schaar (2019) with these changes: votes are released as noisy counts at a price fixed before
(a moments bound that depends on the votes is itself private); the student is told shares, not majorities, which throw
away most of a noisy count; the generator is not moved along the student's slope but by weighed likelihood (Che et al.
2017, MaliGAN), since categories have no slope and a slope taken through noise made it worse than independent columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import DiscreteGaussian
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import Progress
from dpsynth.mechanisms.discrete_gaussian import discrete_gaussian
from dpsynth.sgd.adam import Adam
from dpsynth.tabular.allocation import Votes
from dpsynth.tabular.gan.adversarial import check_finite
from dpsynth.tabular.gan.encoding import Layout
from dpsynth.tabular.gan.residual_generator import ResidualGenerator
from dpsynth.tabular.gan.teachers import Teachers
from dpsynth.tabular.sampling import systematic

if TYPE_CHECKING:
    from torch import Tensor

POOL, LATENT = 4096, 256
"""Generated rows that are weighed in a round, and noise vectors that stand for all in a likelihood."""
GENERATED, FACED = 256, 64
"""Generated rows that generator and student learn from at once, and those that teachers face at once."""
FIRST = 0.3
"""Standard deviation of a student's first weights."""
FARTHEST, SWEEPS, LEAST, MOST, TINY = 4.0, 3, 0.2, 5.0, 1e-9
"""Bound of a row's height in nats; turns of raking the weights, and bounds of one."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How a round goes; all public.

    Attributes:
        rounds: how many; the votes are divided equally between them.
        own: private rows that a teacher learns from at once.
        teacher_steps, student_steps, generator_steps: in a round.
        student_hidden: width of the student's layer.
        rates: learning rates of the student and the generator at the first step.
        strength: standard deviation, in nats, of the weights that a student who is believed gives to rows.
    """

    rounds: int
    own: int
    teacher_steps: int
    student_steps: int
    generator_steps: int
    student_hidden: int
    rates: tuple[float, float]
    strength: float


def taught_by_votes(
    generator: ResidualGenerator,
    teachers: Teachers,
    layout: Layout,
    log_shares: NDArray[np.float32],
    votes: Votes,
    pace: Pace,
    *,
    noise: NoiseSource,
    rng: np.random.Generator,
    progress: Progress,
) -> DiscreteGaussian:
    """Train the generator in place; the event of all votes that were released.

    Args:
        generator: ends as the running mean of its parameters.
        teachers: who have not learned yet.
        layout: of the columns.
        log_shares: logarithms of the released shares of all codes.
        votes: what is spent.
        pace: of the rounds.
        noise: uniform words for the noise on counts.
        rng: random numbers that need not be secret.
        progress: called once a round.

    Raises:
        ModelError: the parameters left the finite numbers.
    """
    import torch

    def drawn(rows: int) -> Tensor:
        with torch.no_grad():
            noise_vectors = torch.from_numpy(rng.standard_normal((rows, generator.noise), dtype=np.float32))
            return layout.drawn(generator(noise_vectors))

    shares = np.exp(log_shares.astype(np.float64))
    follows = Adam(generator.arrays, rate=pace.rates[1], steps=pace.rounds * pace.generator_steps)
    asked = 0
    for turn in range(pace.rounds):
        for _ in range(pace.teacher_steps):
            teachers.learn(drawn(FACED), pace.own)
        own = votes.count * (turn + 1) // pace.rounds - asked
        rows = drawn(own)
        released, event = discrete_gaussian(
            teachers.votes(rows), sigma=votes.sigma, noise=noise, l2_sensitivity=1, count=own
        )
        asked += event.count
        student, half, told = Student(layout.width, pace, rng), own // 2, released / teachers.count
        student.learn(rows[:half], told[:half], rng)
        pool = drawn(POOL)
        with torch.no_grad():
            worth = believed(student(rows[half:]).numpy(), told[half:])
            heights = pace.strength * worth * standardised(student(pool).numpy())
        weights = weights_of(pool.numpy(), heights, layout, shares)
        for step in range(pace.generator_steps):
            chosen = systematic(np.zeros(GENERATED, dtype=np.int64), np.array([0, POOL]), weights, rng)
            slopes = generator.likelihood_slope(pool[torch.from_numpy(chosen)], layout, LATENT, rng)
            with np.errstate(invalid="ignore", over="ignore"):  # found out at the round's end
                follows.step(turn * pace.generator_steps + step, slopes)
        check_finite(generator.arrays)
        progress("train", turn + 1, pace.rounds)
    follows.average()
    return DiscreteGaussian(sigma=votes.sigma, l2_sensitivity=Decimal(1), count=asked, noise=noise.kind)


@final
class Student:
    """One hidden layer that learns noisy shares of votes by least squares; sees generated rows alone.

    Args:
        width: of a row.
        pace: of its steps.
        rng: random numbers for first weights.
    """

    def __init__(self, width: int, pace: Pace, rng: np.random.Generator) -> None:
        import torch

        hidden = pace.student_hidden
        self.weights = {
            "in": (FIRST * rng.standard_normal((width, hidden))).astype(np.float32),
            "at": np.zeros(hidden, dtype=np.float32),
            "out": np.zeros(hidden, dtype=np.float32),
        }
        self._tensors = {name: torch.from_numpy(own).requires_grad_() for name, own in self.weights.items()}
        self._pace = pace

    def __call__(self, rows: Tensor) -> Tensor:
        """By how much more teachers than on average take each row for real, as a share, shape (rows,)."""
        inside = (rows @ self._tensors["in"] + self._tensors["at"]).relu()
        judged: Tensor = inside @ self._tensors["out"]
        return judged

    def learn(self, rows: Tensor, shares: NDArray[np.float64], rng: np.random.Generator) -> None:
        """Least squares by Adam.

        Args:
            rows: generated one-hots, shape (rows, width).
            shares: released votes for each over the number of teachers; noisy, so also below 0 or above 1.
            rng: random numbers that need not be secret.
        """
        import torch

        if not len(rows):
            return
        told = torch.from_numpy((shares - shares.mean()).astype(np.float32))
        moves = Adam(self.weights, rate=self._pace.rates[0], steps=self._pace.student_steps)
        for step in range(self._pace.student_steps):
            at = torch.from_numpy(rng.integers(len(rows), size=GENERATED))
            loss = (self(rows[at]) - told[at]).square().mean()
            slopes = torch.autograd.grad(loss, list(self._tensors.values()))
            moves.step(step, {name: slope.numpy() for name, slope in zip(self._tensors, slopes, strict=True)})


def believed(judged: NDArray[np.float32], shares: NDArray[np.float64]) -> float:
    """What part of a student's opinion holds on rows that it was not told of, less two standard errors.

    From 0 to 1: the slope of released shares on its opinion, near 1 if it learned votes, near 0 if it learned their
    noise. All of it is released, so this costs nothing; it keeps a student of noise from teaching anything.
    """
    opinion, told = judged - judged.mean(dtype=np.float64), shares - shares.mean()
    spread = float(opinion @ opinion)
    if len(told) < 3 or spread <= 0:
        return 0.0
    slope = float(opinion @ told) / spread
    error = math.sqrt(float(((told - slope * opinion) ** 2).sum()) / (len(told) - 2) / spread)
    return min(max(slope - 2 * error, 0.0), 1.0)


def standardised(judged: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean 0 and standard deviation 1; zeros if all are equal."""
    centred: NDArray[np.float64] = judged.astype(np.float64) - judged.mean(dtype=np.float64)
    spread = float(centred.std())
    return centred / spread if spread > 0 else centred


def weights_of(
    rows: NDArray[np.float32], heights: NDArray[np.float64], layout: Layout, shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights near exp(heights) under which rows keep the released 1-ways, shape (rows,).

    Args:
        rows: generated one-hots, shape (rows, width).
        heights: in nats, shape (rows,).
        layout: of the columns.
        shares: released, of all codes.
    """
    parts = list(zip(layout.starts.tolist(), layout.sizes, strict=True))
    codes = [rows[:, start : start + size].argmax(axis=1) for start, size in parts]
    weights: NDArray[np.float64] = np.exp(np.clip(heights, -FARTHEST, FARTHEST))
    for _ in range(SWEEPS):
        for own, (start, size) in zip(codes, parts, strict=True):
            held = np.bincount(own, weights=weights, minlength=size)
            ratio = shares[start : start + size] * weights.sum() / np.maximum(held, TINY)
            weights = weights * np.clip(ratio, LEAST, MOST)[own]
    return weights
