"""A trained generator as a law of rows: given the noise that enters it, columns are independent.

The generator maps noise z (and CTGAN's condition vector, drawn from released shares) to one distribution a column, and
a row takes one code of each. So its law is a mixture of products, `E_z prod_j p_j(x_j | z)`, and stays one when every
code has a weight f:

    weight of z: prod_j sum_c p_j(c | z) f_j(c)          given z: p_j(x_j | z) f_j(x_j), normalised

Evidence is such weights; so are the factors by which the law is raked onto the released 1-ways (`raked_factors`). A
conditional is drawn by weighing a pool of z and drawing inside it: importance sampling, right as the pool grows, with
conditions met exactly. Plain numpy: a saved model needs neither torch nor the extra that trained it.

Batch norm of a generator is folded into its linear maps at the statistics of training; it has never seen a private row.

Not guaranteed: a rare condition's variety. If few of the pool's z can meet it, its rows come from those few.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.tabular.gan.encoding import Layout, drawn_conditions
from dpsynth.tabular.sampling import systematic

Floats = NDArray[np.float32]
SWEEPS, LEAST, MOST, FARTHEST = 10, 0.1, 10.0, 1e6
"""Turns of raking; bounds of a factor in one turn; bound of a factor in all, and of its inverse."""
LIVING = 1e-30


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatentRows:
    """Residual layers `x -> [relu(x W + b), x]`, then a linear map to all columns' logits.

    Attributes:
        sizes: number of codes of each column.
        noise: width of z.
        conditional: whether a condition vector follows z.
        shares: released share of each code, float64, shape (sum of sizes,), sums to 1 in each column.
        factors: weight of each code, float64, same shape, positive.
        arrays: "weight0", "bias0", … of the layers, the last pair the linear map's; float32.
    """

    sizes: tuple[int, ...]
    noise: int
    conditional: bool
    shares: NDArray[np.float64]
    factors: NDArray[np.float64]
    arrays: Mapping[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        width, into = sum(self.sizes), self.noise + (sum(self.sizes) if self.conditional else 0)
        fits = (
            self.noise >= 1 and min(self.sizes, default=0) >= 1 and self.shares.shape == self.factors.shape == (width,)
        )
        layers = len(self.arrays) // 2
        fits = fits and layers >= 1 and len(self.arrays) == 2 * layers
        for at in range(layers if fits else 0):
            weight, bias = self.arrays.get(f"weight{at}"), self.arrays.get(f"bias{at}")
            if weight is None or bias is None or weight.ndim != 2 or weight.shape[0] != into:
                fits = False
                break
            fits = fits and bias.shape == (weight.shape[1],) and (at < layers - 1 or weight.shape[1] == width)
            into += weight.shape[1]
        if not fits:
            raise ParameterError("The arrays of a generator network do not fit its columns.")

    @classmethod
    def independent(cls, sizes: tuple[int, ...], shares: NDArray[np.float64]) -> LatentRows:
        """Columns by themselves: a map that ignores its noise."""
        bias = np.log(np.maximum(shares, LIVING)).astype(np.float32)
        arrays = {"weight0": np.zeros((1, len(bias)), dtype=np.float32), "bias0": bias}
        ones = np.ones(len(bias))
        return cls(sizes=sizes, noise=1, conditional=False, shares=shares, factors=ones, arrays=arrays)

    @property
    def starts(self) -> NDArray[np.int64]:
        """First code of each column, shape (columns,)."""
        return Layout(self.sizes).starts

    def laws(self, rows: int, rng: np.random.Generator) -> Floats:
        """Distributions of all columns for `rows` fresh z, side by side; before any factor, shape (rows, width)."""
        x = rng.standard_normal((rows, self.noise), dtype=np.float32)
        if self.conditional:
            x = np.concatenate([x, drawn_conditions(Layout(self.sizes), self.shares, rows, rng)], axis=1)
        layers = len(self.arrays) // 2
        for at in range(layers - 1):
            own = x @ self.arrays[f"weight{at}"] + self.arrays[f"bias{at}"]
            x = np.concatenate([np.maximum(own, 0.0), x], axis=1)
        logits: Floats = x @ self.arrays[f"weight{layers - 1}"] + self.arrays[f"bias{layers - 1}"]
        for start, size in zip(self.starts.tolist(), self.sizes, strict=True):
            own = logits[:, start : start + size]
            own -= own.max(axis=1, keepdims=True)
            np.exp(own, out=own)
            own /= own.sum(axis=1, keepdims=True)
        return logits

    def masses(self, laws: Floats, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a weight for each code leaves of each column given each z, shape (rows, columns)."""
        left: NDArray[np.float64] = np.add.reduceat(laws * weights.astype(np.float32), self.starts, axis=1)
        return left.astype(np.float64)

    def draw(
        self, rows: int, weights: NDArray[np.float64], pool: int, rng: np.random.Generator
    ) -> NDArray[np.int64] | None:
        """Codes under a weight for each code, shape (rows, columns); None if the pool has no z that meets it.

        Args:
            rows: how many.
            weights: of each code, factors included, shape (width,).
            pool: number of z to choose from.
            rng: random numbers for post-processing.
        """
        laws = self.laws(pool, rng)
        logs = log(self.masses(laws, weights)).sum(axis=1)
        if not np.isfinite(logs).any():
            return None
        heights = np.exp(logs - logs.max())
        chosen = systematic(np.zeros(rows, dtype=np.int64), np.array([0, pool]), heights, rng)
        return self.codes(laws[chosen] * weights.astype(np.float32), rng)

    def codes(self, masses: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
        """One code of each column by its masses, shape (rows, columns); one without mass never."""
        made = np.zeros((len(masses), len(self.sizes)), dtype=np.int64)
        for at, (start, size) in enumerate(zip(self.starts.tolist(), self.sizes, strict=True)):
            own = masses[:, start : start + size]
            upper = np.cumsum(own, axis=1, dtype=np.float64)
            points = rng.random(len(own)) * upper[:, -1]
            last = size - 1 - np.argmax(own[:, ::-1] > 0, axis=1)
            made[:, at] = np.minimum((upper <= points[:, None]).sum(axis=1), last)
        return made

    def raked(self, pool: int, rng: np.random.Generator) -> LatentRows:
        """The same law with factors that lead its 1-ways to the released shares.

        Iterative proportional fitting (Deming and Stephan 1940) over a pool of z. Post-processing.
        """
        laws, starts = self.laws(pool, rng), self.starts.tolist()
        factors = np.ones(len(self.shares))
        masses = self.masses(laws, factors)
        logs = log(masses)
        for _ in range(SWEEPS):
            height = logs.sum(axis=1)
            for at, (start, size) in enumerate(zip(starts, self.sizes, strict=True)):
                inside, own = slice(start, start + size), laws[:, start : start + size]
                weights = np.exp(height - height.max())
                held = ((weights / masses[:, at]) @ own) * factors[inside] / weights.sum()
                ratio = np.clip(self.shares[inside] / np.maximum(held, LIVING), LEAST, MOST)
                factors[inside] = np.clip(factors[inside] * ratio, 1 / FARTHEST, FARTHEST)
                masses[:, at] = own @ factors[inside]
                height += np.log(masses[:, at]) - logs[:, at]
                logs[:, at] = np.log(masses[:, at])
        return replace(self, factors=factors)


def log(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm, -inf at 0 without a warning."""
    with np.errstate(divide="ignore"):
        logs: NDArray[np.float64] = np.log(values)
    return logs
