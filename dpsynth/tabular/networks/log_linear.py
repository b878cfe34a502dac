"""The log-linear network: p(x_i | x_<i) = softmax(b_i + sum over j < i of W_ij[x_j]), clipped in closed form.

W_ij is a fixed table of features of column j (`features`) times a trained block; blocks of j >= i are masked. Without a
sequence axis the gradient of a row is a (its features) times g (probabilities minus one-hot), of rank one, so

    || gradient ||^2 = sum over i of ||g_i||^2 (1 + sum over j < i of ||a_j||^2)

costs d numbers a row, and the clipped sum is one matrix product A^T (c G): no gradient of a single row is ever formed
(Goodfellow 2015; Bu et al. 2022 on book-keeping). For units of several rows the norm of their summed gradient is the
same sum over pairs of rows of `<a_j, a'_j> <g_i, g'_i>` (Gram matrices), or the gradient itself for large units.

The loss is convex and weights start at zero, which is the model of independent columns: there is nothing to seed.
About 20,000 parameters on 15 columns.

Not guaranteed: dependence beyond what sums over pairs can say; the conditionals are exact, their shape is limited.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.clipping import clip_factors
from dpsynth.tabular.networks.features import all_features
from dpsynth.tabular.networks.protocol import Columns, NetworkState

if TYPE_CHECKING:
    from torch import Tensor

GRAM_ROWS = 16
"""Units of more rows have their gradient formed, one at a time."""


@final
class LogLinear:
    """Biases and masked blocks of one linear map.

    Args:
        columns: sizes, places and released shares.
        device: where the parameters live.
    """

    kind: ClassVar[str] = "log_linear"

    def __init__(self, columns: Columns, *, device: str = "cpu") -> None:
        import torch

        tables = all_features(columns)
        widths = [table.shape[1] for table in tables]
        self._columns = columns
        self._outputs = np.concatenate([[0], np.cumsum(columns.sizes)])
        self._inputs = np.concatenate([[0], np.cumsum(widths)])
        every = np.zeros((self._outputs[-1], self._inputs[-1]), dtype=np.float32)
        for at, table in enumerate(tables):
            every[self._outputs[at] : self._outputs[at + 1], self._inputs[at] : self._inputs[at + 1]] = table
        count = len(columns.sizes)
        self._features = torch.from_numpy(every).to(device)
        self._squares = (self._features**2).sum(1)
        self._offsets = torch.from_numpy(self._outputs[:-1].copy()).to(device)
        of_output = torch.repeat_interleave(torch.arange(count), torch.tensor(columns.sizes)).to(device)
        of_input = torch.repeat_interleave(torch.arange(count), torch.tensor(widths)).to(device)
        self._of_output = of_output
        mask = of_input[:, None] < of_output[None, :]
        self._mask = mask.to(torch.float32)
        self.parameters: Mapping[str, Tensor] = {
            "bias": torch.from_numpy(columns.log_shares).to(device),
            "weights": torch.zeros(mask.shape, dtype=torch.float32, device=device),
        }
        self.live: Mapping[str, Tensor] = {"weights": mask}

    @classmethod
    def fresh(cls, columns: Columns, rng: np.random.Generator, **options: int) -> Self:
        """An untrained network: independent columns with the released shares."""
        del rng
        if options:
            raise ParameterError(f"A log-linear network has no option {sorted(options)[0]!r}.")
        return cls(columns)

    def clipped_sum(self, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
        """See `Network.clipped_sum`; exact, without a row's gradient."""
        import torch

        index = rows + self._offsets
        inputs = torch.nn.functional.embedding_bag(index, self._features, mode="sum")
        slopes = self._slopes(inputs, index)
        if units is None:
            norms = self._row_norms(index, slopes)
            factors = clip_factors(norms, clip)
        else:
            norms = self._unit_norms(inputs, slopes, units)
            factors = clip_factors(norms, clip)[units]
        slopes = torch.where(factors[:, None] > 0, slopes, torch.zeros_like(slopes)) * factors[:, None]
        return {"bias": slopes.sum(0), "weights": (inputs.T @ slopes) * self._mask}, norms

    def loss(self, rows: Tensor) -> Tensor:
        """Each row's loss, shape (rows,): private; for tests and for training on public rows."""
        import torch

        index = rows + self._offsets
        inputs = torch.nn.functional.embedding_bag(index, self._features, mode="sum")
        weights = self.parameters["weights"] * self._mask
        logits = self._split(inputs @ weights + self.parameters["bias"])
        losses = [
            torch.nn.functional.cross_entropy(own, rows[:, at], reduction="none") for at, own in enumerate(logits)
        ]
        return torch.stack(losses).sum(0)

    def _slopes(self, inputs: Tensor, index: Tensor) -> Tensor:
        """Probabilities minus one-hots: the loss's slope in every logit, shape (rows, outputs)."""
        import torch

        logits = torch.addmm(self.parameters["bias"], inputs, self.parameters["weights"])
        for own in self._split(logits):
            own.copy_(torch.softmax(own, dim=1))
        return logits.scatter_add_(1, index, torch.full(index.shape, -1.0, device=logits.device))

    def _split(self, values: Tensor) -> tuple[Tensor, ...]:
        """Views of (rows, outputs) by column."""
        import torch

        views: tuple[Tensor, ...] = torch.split(values, list(self._columns.sizes), dim=1)
        return views

    def _by_column(self, squares: Tensor) -> Tensor:
        """Sums of (rows, outputs) over each column's outputs, shape (rows, columns)."""
        import torch

        return torch.stack([own.sum(1) for own in self._split(squares)], dim=1)

    def _row_norms(self, index: Tensor, slopes: Tensor) -> Tensor:
        import torch

        known = self._squares[index]
        before = torch.cumsum(known, dim=1) - known
        norms: Tensor = torch.sqrt((self._by_column(slopes**2) * (1.0 + before)).sum(1))
        return norms

    def _unit_norms(self, inputs: Tensor, slopes: Tensor, units: Tensor) -> Tensor:
        """Norms of the units' summed gradients, shape (units,)."""
        import torch

        count = int(units[-1]) + 1
        sizes = torch.bincount(units, minlength=count)
        starts = torch.cumsum(sizes, 0) - sizes
        norms = torch.zeros(count, dtype=torch.float32, device=inputs.device)
        small = (sizes <= GRAM_ROWS).nonzero().squeeze(1)
        if len(small):
            place = torch.arange(int(sizes[small].max()), device=inputs.device)
            held = place[None, :] < sizes[small][:, None]
            at = torch.where(held, starts[small][:, None] + place, torch.zeros_like(place))
            norms[small] = self._gram_norms(inputs[at] * held[..., None], torch.where(held[..., None], slopes[at], 0.0))
        for unit in (sizes > GRAM_ROWS).nonzero().squeeze(1).tolist():
            own = slice(int(starts[unit]), int(starts[unit] + sizes[unit]))
            gradient = (inputs[own].T @ slopes[own]) * self._mask
            norms[unit] = torch.sqrt((gradient**2).sum() + (slopes[own].sum(0) ** 2).sum())
        return norms

    def _gram_norms(self, inputs: Tensor, slopes: Tensor) -> Tensor:
        """Norms from pairs of rows; inputs and slopes of shape (units, rows, ·), zero where a unit has no row."""
        import torch

        total = torch.zeros(len(inputs), dtype=torch.float32, device=inputs.device)
        shared = torch.ones(inputs.shape[0], inputs.shape[1], inputs.shape[1], device=inputs.device)  # of the bias
        for at in range(len(self._columns.sizes)):
            own = slopes[..., self._outputs[at] : self._outputs[at + 1]]
            total += ((own @ own.transpose(1, 2)) * shared).sum((1, 2))
            known = inputs[..., self._inputs[at] : self._inputs[at + 1]]
            shared = shared + known @ known.transpose(1, 2)
        return torch.sqrt(torch.clamp(total, min=0.0))

    def state(self) -> NetworkState:
        """Biases, and each code's own row of weights: features times blocks, so that sampling adds rows up."""
        import torch

        with torch.no_grad():
            rows = self._features @ (self.parameters["weights"] * self._mask)
        arrays = {"bias": self.parameters["bias"].cpu().numpy().copy(), "rows": rows.cpu().numpy()}
        return NetworkState(kind=self.kind, sizes=self._columns.sizes, arrays=arrays)

    @classmethod
    def sampler(cls, state: NetworkState) -> LogLinearSampler:
        """See `ColumnNetwork.sampler`; needs no torch."""
        outputs = sum(state.sizes)
        shapes = {name: array.shape for name, array in state.arrays.items()}
        if shapes != {"bias": (outputs,), "rows": (outputs, outputs)}:
            raise ParameterError("The arrays of a log-linear network do not fit its columns.")
        return LogLinearSampler(state)


@final
class LogLinearSampler:
    """Draws by adding up rows of weights."""

    def __init__(self, state: NetworkState) -> None:
        self._bias, self._rows = state.arrays["bias"], state.arrays["rows"]
        self._ends = np.concatenate([[0], np.cumsum(state.sizes)]).tolist()

    def begin(self, rows: int) -> LogLinearPrefix:
        """See `Sampler.begin`; holds one float32 for each row and each output."""
        return LogLinearPrefix(np.tile(self._bias, (rows, 1)), self._rows, self._ends)


@final
class LogLinearPrefix:
    """Logits of all columns so far."""

    def __init__(self, logits: NDArray[np.float32], rows: NDArray[np.float32], ends: list[int]) -> None:
        self._logits, self._rows, self._ends, self._column = logits, rows, ends, 0

    def logits(self) -> NDArray[np.float32]:
        """See `Prefix.logits`."""
        return self._logits[:, self._ends[self._column] : self._ends[self._column + 1]]

    def append(self, codes: NDArray[np.integer[Any]]) -> None:
        """See `Prefix.append`."""
        start, end = self._ends[self._column], self._ends[self._column + 1]
        self._column += 1
        if self._column + 1 < len(self._ends):
            self._logits[:, end:] += self._rows[start:end, end:][codes]
