"""Teachers of PATE: many small discriminators, each of which sees the rows of its own units and generated rows.

Why one unit changes one vote (Papernot et al. 2017; Jordon, Yoon and van der Schaar 2019):

- `assigned` gives each unit to a teacher by a word of its own. It looks at no row, no order and no number of units, so
  with the words of all other units held fixed, a unit that comes or goes changes one teacher's rows.
- A teacher's weights are a function of its first weights (drawn without looking), its own rows, words of its own and
  generated rows, all but its own rows being the same in both worlds. Losses are added up, so slopes stay apart, and the
  optimiser moves each number by itself. There is no normalisation, no clip and no stopping across teachers.
- A vote is 0 or 1 a row. So each count of votes changes by at most 1, whatever the number of rows of the unit.

A teacher without rows takes every row for generated. It must vote: leaving it out would make the number of votes tell
that it is empty. Neither weights nor single votes ever leave; counts leave with noise alone (`voting`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.noise import NoiseSource
from dpsynth.sgd.adam import Adam
from dpsynth.tabular.gan.encoding import Layout

if TYPE_CHECKING:
    from torch import Tensor

FIRST = 0.1
"""Standard deviation of first weights: a row has as many ones as columns."""
BLOCK = 4_000_000
"""Most hidden numbers at once when votes are counted."""


def assigned(units: int, teachers: int, noise: NoiseSource) -> NDArray[np.int64]:
    """The teacher of each unit, shape (units,): independent, uniform to within `teachers` / 2^32."""
    words = noise.uint64(units) >> np.uint64(32)
    return ((words * np.uint64(teachers)) >> np.uint64(32)).astype(np.int64)


@final
class Teachers:
    """`count` discriminators with one hidden layer, moved together, each by itself.

    Args:
        codes: private rows without gaps, unsigned, shape (rows, columns).
        teacher_of_row: number of the teacher who may see it, shape (rows,).
        count: of teachers, those without rows included; public or released.
        layout: of the columns.
        hidden: width of a teacher's layer.
        rate: learning rate at the first step.
        steps: over which the rate falls.
        rng: random numbers for first weights and for the rows of each step, drawn alike whatever the rows are.
    """

    def __init__(
        self,
        codes: NDArray[np.unsignedinteger[Any]],
        teacher_of_row: NDArray[np.int64],
        *,
        count: int,
        layout: Layout,
        hidden: int,
        rate: float,
        steps: int,
        rng: np.random.Generator,
    ) -> None:
        import torch

        order = np.argsort(teacher_of_row, kind="stable")
        self._rows = np.bincount(teacher_of_row, minlength=count)
        self._starts = np.cumsum(self._rows) - self._rows
        nothing = np.zeros((1, codes.shape[1]), dtype=codes.dtype)  # where a teacher without rows would look
        self._codes = np.concatenate([codes[order], nothing])
        self.count, self._layout, self._rng = count, layout, rng

        def first(*shape: int) -> NDArray[np.float32]:
            return (FIRST * rng.standard_normal(shape)).astype(np.float32)

        self.weights = {
            "in": first(count, layout.width, hidden),
            "at": first(count, hidden),
            "out": first(count, hidden),
            "from": np.zeros(count, dtype=np.float32),
        }
        self._tensors = {name: torch.from_numpy(own) for name, own in self.weights.items()}
        self._moves, self._steps, self._done = Adam(self.weights, rate=rate, steps=steps), steps, 0

    def learn(self, generated: Tensor, own: int) -> None:
        """One step of every teacher: `own` of its rows, drawn with return, against the generated ones.

        Args:
            generated: one-hots side by side, shape (rows, width).
            own: private rows a teacher.
        """
        import torch

        points = self._rng.random((self.count, own))
        at = self._starts[:, None] + (points * self._rows[:, None]).astype(np.int64)
        at[self._rows == 0] = len(self._codes) - 1
        codes = torch.from_numpy(self._codes[at.ravel()].astype(np.int64))
        real = self._layout.one_hot(codes).reshape(self.count, own, -1)
        some = torch.from_numpy((self._rows > 0).astype(np.float32))
        tensors = {name: tensor.detach().requires_grad_() for name, tensor in self._tensors.items()}
        with torch.enable_grad():
            loss = torch.nn.functional.softplus(-_judged(real, tensors)).mean(1) * some
            loss = loss + torch.nn.functional.softplus(self._judged_by_all(generated, tensors)).mean(0)
            slopes = torch.autograd.grad(loss.sum(), list(tensors.values()))
        named = {name: slope.numpy() for name, slope in zip(tensors, slopes, strict=True)}
        self._moves.step(min(self._done, self._steps - 1), named)
        self._done += 1

    def votes(self, generated: Tensor) -> NDArray[np.int64]:
        """Number of teachers who take each row for real, shape (rows,): private, of sensitivity 1 each."""
        import torch

        counts = np.zeros(len(generated), dtype=np.int64)
        block = max(1, BLOCK // self.weights["at"].size)
        with torch.no_grad():
            for start in range(0, len(generated), block):
                judged = self._judged_by_all(generated[start : start + block], self._tensors).numpy()
                counts[start : start + block] = ((judged > 0) & (self._rows > 0)).sum(axis=1)
        return counts

    def _judged_by_all(self, rows: Tensor, tensors: dict[str, Tensor]) -> Tensor:
        """Logits, shape (rows, teachers), of rows that all teachers see."""
        hidden = tensors["at"].shape[1]
        flat = tensors["in"].transpose(0, 1).reshape(rows.shape[1], self.count * hidden)
        inside = (rows @ flat).reshape(len(rows), self.count, hidden) + tensors["at"]
        judged: Tensor = (inside.relu() * tensors["out"]).sum(2) + tensors["from"]
        return judged


def _judged(rows: Tensor, tensors: dict[str, Tensor]) -> Tensor:
    """Logits, shape (teachers, rows), of each teacher's own rows (teachers, rows, width)."""
    inside = rows.bmm(tensors["in"]) + tensors["at"][:, None]
    judged: Tensor = (inside.relu() * tensors["out"][:, None]).sum(2) + tensors["from"][:, None]
    return judged
