"""The discriminator as a `Network`: per-unit gradients of its loss on private rows, in closed form.

Its loss on a private row is `softplus(-D(row, condition))`, with a condition that is the row's own cell in a column
drawn without looking. A chain of linear layers has a gradient of rank one a row and layer, so norms and clipped sums
come from what went in, a, and the slope at what came out, g, whatever the dropout: ||grad||^2 = (|a|^2 + 1) |g|^2 a
layer, and the sum of (<a, a'> + 1) <g, g'> over pairs of rows of a unit (Goodfellow 2015). Nothing else of a step
touches private rows: the loss on generated rows is added after the noise.

A chain that mixes rows has no per-row gradient; anything but linear layers, rectifiers and dropout is refused, by type:
batch norm, groups of rows (pac), attention over the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, final

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.clipping import clip_factors
from dpsynth.tabular.gan.encoding import Layout

if TYPE_CHECKING:
    from torch import Tensor, nn


@final
class Critic:
    """A discriminator of (row, condition).

    Args:
        module: a chain of layers in `seq`, as SDV's `Discriminator`; in training mode.
        layout: of the columns.

    Raises:
        ParameterError: the module mixes rows, or might.
    """

    def __init__(self, module: nn.Module, layout: Layout) -> None:
        import torch

        refuse_mixing(module)
        module.train()
        self._chain, self._layout = list(module.seq), layout  # type: ignore[arg-type]
        self._names = {
            id(layer): f"seq.{at}" for at, layer in enumerate(self._chain) if isinstance(layer, torch.nn.Linear)
        }
        self._module = module
        self.parameters: Mapping[str, Tensor] = {name: own.detach() for name, own in module.named_parameters()}
        self.live: Mapping[str, Tensor] = {}

    def __call__(self, rows: Tensor) -> Tensor:
        """Logits of (one-hots, condition) side by side, shape (rows,); positive for rows it takes for real."""
        for layer in self._chain:
            rows = layer(rows)
        return rows[:, 0]

    def clipped_sum(self, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
        """See `Network.clipped_sum`; exact: a unit's norm is over its rows together and all layers together."""
        import torch

        names, inputs, slopes = self._passed(rows)
        norms = unit_norms(inputs, slopes, units)
        factors = clip_factors(norms, clip)
        of_row = (factors if units is None else factors[units])[:, None]
        made: dict[str, Tensor] = {}
        for name, a, g in zip(names, inputs, slopes, strict=True):
            scaled = torch.where(of_row > 0, g, torch.zeros_like(g)) * of_row
            known = torch.where(of_row > 0, a, torch.zeros_like(a))
            made |= {f"{name}.weight": scaled.T @ known, f"{name}.bias": scaled.sum(0)}
        return made, norms

    def generated_slope(self, rows: Tensor) -> dict[str, Tensor]:
        """Gradient of the mean loss on generated rows: no private row takes part."""
        import torch

        with torch.enable_grad():
            loss = torch.nn.functional.softplus(self(rows)).mean()
            slopes = torch.autograd.grad(loss, list(self._module.parameters()))
        return dict(zip(self.parameters, slopes, strict=True))

    def _passed(self, codes: Tensor) -> tuple[list[str], list[Tensor], list[Tensor]]:
        """Of each linear layer its name, what went in, and the slope of the rows' losses at what came out."""
        import torch

        x = torch.cat([self._layout.one_hot(codes), self._layout.own_condition(codes)], dim=1)
        names, inputs, outputs = [], [], []
        with torch.enable_grad():
            for layer in self._chain:
                if id(layer) in self._names:
                    names.append(self._names[id(layer)])
                    inputs.append(x.detach())
                    outputs.append(layer(x))
                    x = outputs[-1]
                else:
                    x = layer(x)
            slopes = torch.autograd.grad(torch.nn.functional.softplus(-x[:, 0]).sum(), outputs)
        return names, inputs, list(slopes)


def unit_norms(inputs: list[Tensor], slopes: list[Tensor], units: Tensor | None) -> Tensor:
    """Norm of each unit's gradient over all layers, shape (units,).

    Args:
        inputs: of each layer, shape (rows, in).
        slopes: of each layer, shape (rows, out).
        units: number of each row's unit, 0 … m-1, ascending; None if every row is one.
    """
    import torch

    if units is None:
        squares = [(a.square().sum(1) + 1.0) * g.square().sum(1) for a, g in zip(inputs, slopes, strict=True)]
        return torch.sqrt(torch.stack(squares).sum(0))
    count = int(units[-1]) + 1
    if count == 1:  # of any number of rows
        sums = [(g.T @ a).square().sum() + g.sum(0).square().sum() for a, g in zip(inputs, slopes, strict=True)]
        return torch.sqrt(torch.stack(sums).sum()).reshape(1)
    same = units[:, None] == units[None, :]
    total = torch.zeros(len(units), dtype=torch.float64, device=units.device)
    for a, g in zip((own.double() for own in inputs), (own.double() for own in slopes), strict=True):
        # in float64: rows that cancel each other would lose their sum's norm in float32
        total += torch.where(same, (a @ a.T + 1.0) * (g @ g.T), 0.0).sum(1)
    squares_of = torch.zeros(count, dtype=torch.float64, device=units.device).index_add_(0, units, total)
    return torch.sqrt(torch.clamp(squares_of, min=0.0)).float()


def refuse_mixing(module: nn.Module) -> None:
    """Return if no layer can let one row change what another adds.

    Raises:
        ParameterError: a layer that does, or is not known not to.
    """
    from torch import nn

    known = (nn.Linear, nn.LeakyReLU, nn.ReLU, nn.Dropout)
    if getattr(module, "pac", 1) != 1:
        raise ParameterError(
            "Expected pac = 1 in a private discriminator: a group of rows has one gradient, which any of them changes.",
            "Make the discriminator with pac=1.",
        )
    for layer in module.seq:  # type: ignore[union-attr]
        if not isinstance(layer, known):
            raise ParameterError(
                f"A private discriminator cannot hold {type(layer).__name__}: it mixes rows, or may do so, so "
                "that a row's gradient would not be its own.",
                "Use linear layers, rectifiers and dropout.",
            )
