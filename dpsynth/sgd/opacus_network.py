"""Any torch module as a `Network`: gradients of rows by Opacus (Yousefpour et al. 2021), then clipped and summed.

For architectures without a closed form here, and the oracle of those with one. Opacus records each layer's per-row
gradient; a unit's is the sum over its rows, its norm and clip are taken over all parameters together. That costs one
parameter set a row in memory (`physical` rows at once) and runs at 2 to 40 % of plain training; `networks/` is faster.

A module that mixes rows has no per-row gradient, and its training would not be private. So these are refused:

- layers that Opacus rejects, and batch norm in any form, with or without weights;
- any module that, on the caller's made-up `example` rows, gives a row another loss alone than among others, or that
  changes a buffer in its forward pass (running statistics);
- any whose per-row gradients there are not autograd's of each row alone: a layer that sees positions where Opacus
  expects rows would be clipped by position, and a weight that is used outside its own layer would miss a part.

Not guaranteed: that a module which mixes rows only for inputs unlike the example is caught.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, final

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.bookkeeping import clipped_sum
from dpsynth.sgd.device import check_precision
from dpsynth.sgd.layers import kept

if TYPE_CHECKING:
    from torch import Tensor, nn

TOLERANCE = 1e-4
"""How far, relative, a row's loss alone may be from its loss among others, and an entry of its gradient from
autograd's (relative to the largest): float32 sums in another order."""

MIXED = "{}, so clipping would not bound what a row adds."
REPLACE = "Let every layer see its rows first and its own weights alone, or freeze it."


@final
class OpacusNetwork:
    """A module and a loss of each row.

    Args:
        module: rows first; in training mode.
        loss: (module's output, rows) -> loss of each row, shape (rows,).
        example: made-up rows, never private ones, at least 2, int64, shape (rows, columns).
        physical: rows whose gradients are held at once.

    Raises:
        ParameterError: the module mixes rows, has nothing to train, or has parameters below float32.
    """

    def __init__(
        self, module: nn.Module, loss: Callable[[Any, Tensor], Tensor], *, example: Tensor, physical: int = 256
    ) -> None:
        from opacus import GradSampleModule

        module.train()
        _refuse_known(module)
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        if not trained:
            raise ParameterError("The module has no parameter to train.", "Set requires_grad on those to be trained.")
        check_precision(dict(module.named_parameters()))
        _refuse_found(module, loss, example)
        try:
            self._module = GradSampleModule(module, loss_reduction="sum", strict=True)
        except NotImplementedError as error:
            raise ParameterError(
                "Opacus has no per-row gradients for a layer of this module.", "Replace the layer, or freeze it."
            ) from error
        self._trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        self._loss, self._physical = loss, physical
        self.parameters: Mapping[str, Tensor] = {name: p.detach() for name, p in self._trained.items()}
        self.live: Mapping[str, Tensor] = {}
        self._prove(example)

    def clipped_sum(self, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
        """See `Network.clipped_sum`."""
        return clipped_sum(self._record, rows, units, clip, physical=self._physical)

    def _record(self, rows: Tensor) -> _PerRow:
        return _PerRow(self._gradients(rows)[0])

    def _gradients(self, rows: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Of every row by Opacus, and of their sum by autograd."""
        import torch

        with torch.enable_grad(), warnings.catch_warnings():
            # codes carry no gradient, so torch says of the first layer what is meant to be
            warnings.filterwarnings("ignore", "Full backward hook is firing", UserWarning)
            self._loss(self._module(rows), rows).sum().backward()  # type: ignore[no-untyped-call]
        found, summed = {}, {}
        for name, parameter in self._trained.items():
            own = getattr(parameter, "grad_sample", None)
            found[name] = parameter.new_zeros(len(rows), *parameter.shape) if own is None else own.detach()
            summed[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach()
            parameter.grad_sample = None  # type: ignore[attr-defined]
            parameter.grad = None
        if any(len(own) != len(rows) for own in found.values()):
            raise ParameterError(MIXED.format("A layer does not see its rows first"), REPLACE)
        return found, summed

    def _prove(self, example: Tensor) -> None:
        """Hold each made-up row's gradient against autograd's of that row alone; see the module's docstring.

        Raises:
            ParameterError: they differ, or Opacus cannot run the module.
        """
        import torch

        zeros = [p for p in self._trained.values() if not bool(p.any())]
        random = [m for m in self._module.modules() if isinstance(m, torch.nn.modules.dropout._DropoutNd)]
        rates = [layer.p for layer in random]
        for layer in random:
            layer.p = 0.0  # Opacus wants training mode
        with torch.no_grad():
            for p in zeros:  # such as LoRA's second factor, which hides the first one's gradient
                p.copy_(torch.linspace(-0.02, 0.03, p.numel(), device=p.device).view(p.shape))
        try:
            each = self._gradients(example)[0]
            alone = [self._gradients(row[None])[1] for row in example]
        except ParameterError:
            raise
        except (RuntimeError, TypeError, AttributeError, ValueError) as error:  # of made-up rows: nothing private
            raise ParameterError(
                f"Opacus cannot run this module: {type(error).__name__}.", "Train it by another method, or another one."
            ) from error
        finally:
            for layer, rate in zip(random, rates, strict=True):
                layer.p = rate
            with torch.no_grad():
                for p in zeros:
                    p.zero_()
        largest = max(float(g.abs().max()) for one in alone for g in one.values())
        for name, own in each.items():
            expected = torch.stack([one[name] for one in alone])
            if not float((own - expected).abs().max()) <= TOLERANCE * largest:
                raise ParameterError(MIXED.format(f"What Opacus finds for {name!r} is not its gradient"), REPLACE)


@final
class _PerRow:
    """Every row's gradient."""

    def __init__(self, gradients: dict[str, Tensor]) -> None:
        self._gradients = gradients

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """See `Tape.squared_norms`."""
        import torch

        own = [g if index is None else g[index].sum(1) for g in self._gradients.values()]
        return torch.stack([gradient.flatten(1).square().sum(1) for gradient in own]).sum(0)

    def keep(self, rows: Tensor) -> None:
        """See `Tape.keep`."""
        self._gradients = {name: kept(gradient, rows) for name, gradient in self._gradients.items()}

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """See `Tape.weighted_sum`."""
        import torch

        return {name: torch.tensordot(factors, gradient, dims=1) for name, gradient in self._gradients.items()}


def _refuse_known(module: nn.Module) -> None:
    """Layers that are known to mix rows."""
    from opacus.validators import ModuleValidator
    from torch.nn.modules.batchnorm import _BatchNorm

    for name, layer in module.named_modules():
        if isinstance(layer, _BatchNorm):
            raise ParameterError(
                f"Layer {name!r} is {type(layer).__name__}: it mixes rows, so no row has a gradient of its own.",
                "Use GroupNorm or LayerNorm.",
            )
    found = ModuleValidator.validate(module, strict=False)
    if found:
        raise ParameterError(
            f"Opacus rejects this module: {found[0]}", "Let opacus.validators.ModuleValidator.fix replace the layer."
        )


def _refuse_found(module: nn.Module, loss: Callable[[Any, Tensor], Tensor], example: Tensor) -> None:
    """Modules that are seen to mix rows."""
    import torch

    if len(example) < 2:
        raise ParameterError("Expected at least 2 example rows: one alone cannot show that rows are mixed.")
    random = [layer for layer in module.modules() if isinstance(layer, torch.nn.modules.dropout._DropoutNd)]
    for layer in random:
        layer.eval()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    with torch.no_grad():
        together = loss(module(example), example)
        if together.shape != (len(example),):
            raise ParameterError(
                f"Expected one loss a row, shape ({len(example)},), and got {tuple(together.shape)}.",
                'Use reduction="none" and add up within rows.',
            )
        alone = torch.cat([loss(module(row[None]), row[None]) for row in example])
    for layer in random:
        layer.train()
    changed = [name for name, buffer in module.named_buffers() if not torch.equal(buffer, before[name])]
    if changed:
        raise ParameterError(
            f"The forward pass changes the buffer {changed[0]!r}: it gathers statistics over rows.",
            "Remove it, or use GroupNorm or LayerNorm.",
        )
    if not torch.allclose(together, alone, rtol=TOLERANCE, atol=TOLERANCE):
        raise ParameterError(
            "A row's loss depends on the rows beside it, so clipping its gradient would not bound what it adds.",
            "Remove what runs across the first axis: batch statistics, batch-shaped masks, means over rows.",
        )
