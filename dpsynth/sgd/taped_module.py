"""Any torch module of known layers as a `Network`: book-keeping by hooks, without any gradient of a row.

Hooks keep what goes into each trained layer and what comes out. One backward pass finds the loss's derivatives at all
outputs; parameters do not require gradients meanwhile, so none is formed. From the tape follow the norms, from them the
clip factors, and then each weight's clipped sum by one product (Bu et al. 2023; `bookkeeping`). Trained layers may be
linear (torch's, or GPT-2's transposed one), embeddings, normalisations with a scale, and an embedding tied to a head.

No closed form is taken on trust: a module is tried on the caller's made-up rows before it is given any other, and
refused unless

- a row's loss alone is its loss among others (as `opacus_network` asks);
- every trained layer is reached by the loss, once, rows first;
- the tape's sum is autograd's gradient, and its norms are the norms of rows taken one by one.

Not guaranteed: that a module which mixes rows only for inputs unlike the example is caught.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.bookkeeping import clipped_sum
from dpsynth.sgd.device import check_precision
from dpsynth.sgd.module_layers import Dense, Lookup, Scale, Tap, Tied, Uses

if TYPE_CHECKING:
    from torch import Tensor, nn

EXACT = 1e-4
"""How far, relative to the largest, an entry or a norm may be from autograd's: float32 of deep networks."""


@final
class TapedModule:
    """A module and a loss of each row.

    Args:
        module: in evaluation mode, so that no dropout draws.
        loss: (module, rows) -> loss of each row, shape (rows,).
        example: made-up rows, never private ones, at least 2, int64, shape (rows, columns).
        physical: rows of one tape at most.

    Raises:
        ParameterError: a trained layer has no closed form here, the module mixes rows, or tape and autograd differ.
    """

    def __init__(
        self, module: nn.Module, loss: Callable[[nn.Module, Tensor], Tensor], *, example: Tensor, physical: int = 64
    ) -> None:
        module.eval()
        trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
        if not trained:
            raise ParameterError("The module has no parameter to train.", "Set requires_grad on those to be trained.")
        check_precision(trained)
        self._module, self._loss, self._physical = module, loss, physical
        self._trained = trained
        self._kinds = _Kinds(module, trained)
        self._prove(example)
        for parameter in module.parameters():
            parameter.requires_grad_(False)
        self.parameters: Mapping[str, Tensor] = {name: p.detach() for name, p in trained.items()}
        self.live: Mapping[str, Tensor] = {}

    def clipped_sum(self, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
        """See `Network.clipped_sum`; exact, without a row's gradient."""
        return clipped_sum(self._record, rows, units, clip, physical=self._physical)

    def _record(self, rows: Tensor) -> ModuleTape:
        import torch

        with torch.enable_grad(), self._kinds.listening(len(rows)) as taps:
            losses = self._loss(self._module, rows)
            unread = [tap.name for tap in taps if not hasattr(tap, "output")]
            if unread:
                raise ParameterError(f"Layer {unread[0]!r} is trained and does not run.", "Use engine hooks.")
            # one entry a tap; a layer that this loss does not reach has no derivative, and adds nothing
            outputs = [tap.output for tap in taps]
            slopes = torch.autograd.grad(losses.sum(), outputs, allow_unused=True)
        for tap, slope in zip(taps, slopes, strict=True):
            tap.slope = torch.zeros_like(tap.output) if slope is None else slope
            tap.output = tap.slope
        return ModuleTape(self._kinds.uses(taps))

    def _prove(self, example: Tensor) -> None:
        """Try the module on made-up rows; see the module's docstring."""
        import torch

        if len(example) < 2:
            raise ParameterError("Expected at least 2 example rows: one alone cannot show that rows are mixed.")
        zeros = [p for p in self._trained.values() if not bool(p.any())]
        with torch.no_grad():
            for p in zeros:  # such as LoRA's second factor, which hides the first one's gradient
                p.copy_(torch.linspace(-0.02, 0.03, p.numel(), device=p.device).view(p.shape))
        try:
            self._compare(example)
        finally:
            with torch.no_grad():
                for p in zeros:
                    p.zero_()

    def _compare(self, example: Tensor) -> None:
        import torch

        with torch.enable_grad():
            losses = self._loss(self._module, example)
            if losses.shape != (len(example),):
                raise ParameterError(f"Expected one loss a row, and got shape {tuple(losses.shape)}.")
            true = torch.autograd.grad(losses.sum(), list(self._trained.values()), allow_unused=True)
        with torch.no_grad():
            alone = torch.cat([self._loss(self._module, row[None]) for row in example])
        if not torch.allclose(losses, alone, rtol=1e-4, atol=1e-4):
            raise ParameterError(
                "A row's loss depends on the rows beside it, so clipping its gradient would not bound what it adds.",
                "Remove what runs across the first axis: batch statistics, batch-shaped masks, means over rows.",
            )
        required = {p: p.requires_grad for p in self._module.parameters()}
        for p in required:
            p.requires_grad_(False)
        try:
            tape = self._record(example)
        finally:
            for p, flag in required.items():
                p.requires_grad_(flag)
        one = torch.ones(len(example), device=example.device, dtype=losses.dtype)
        found, told = tape.weighted_sum(one), torch.sqrt(tape.squared_norms(None))
        largest = max(float(g.abs().max()) for g in true if g is not None)
        for (name, parameter), gradient in zip(self._trained.items(), true, strict=True):
            expected = torch.zeros_like(parameter) if gradient is None else gradient
            if not float((found[name] - expected).abs().max()) <= EXACT * largest:
                raise ParameterError(f"The closed form of {name!r} is not its gradient.", "Use engine hooks.")
        for row, eye in enumerate(torch.diag(one)):
            parts = [part.double().square().sum() for part in tape.weighted_sum(eye).values()]
            norm = float(torch.stack(parts).sum()) ** 0.5
            if not abs(float(told[row]) - norm) <= EXACT * norm:
                raise ParameterError(
                    "A row's norm in closed form is not the norm of its gradient.", "Use engine hooks."
                )


@final
class ModuleTape:
    """A `Tape` of a module's layers."""

    def __init__(self, uses: list[Uses]) -> None:
        self._uses = uses

    def squared_norms(self, index: Tensor | None) -> Tensor:
        """Sum over the layers."""
        total = self._uses[0].squared_norms(index)
        for use in self._uses[1:]:
            total = total + use.squared_norms(index)
        return total

    def keep(self, rows: Tensor) -> None:
        """In every layer."""
        for use in self._uses:
            use.keep(rows)

    def weighted_sum(self, factors: Tensor) -> dict[str, Tensor]:
        """Of every layer."""
        made: dict[str, Tensor] = {}
        for use in self._uses:
            made |= use.weighted_sum(factors)
        return made


@final
class _Kinds:
    """Which layers are trained, and what each is."""

    def __init__(self, module: nn.Module, trained: Mapping[str, nn.Parameter]) -> None:
        name_of = {id(p): name for name, p in trained.items()}
        self._layers: list[tuple[str, nn.Module, dict[str, str]]] = []
        for path, layer in module.named_modules():
            own = {n: name_of[id(p)] for n, p in layer.named_parameters(recurse=False) if id(p) in name_of}
            if own:
                self._layers.append((path, layer, own))
                if _kind(layer) is None or not set(own) <= {"weight", "bias"}:
                    raise ParameterError(
                        f"Layer {path!r} ({type(layer).__name__}) has no closed form here.", "Use engine hooks."
                    )
        held: dict[str, list[int]] = {}
        for at, (_, _, own) in enumerate(self._layers):
            for name in own.values():
                held.setdefault(name, []).append(at)
        self._tied: dict[int, int] = {}
        """Place of the head of each tied lookup."""
        for name, places in held.items():
            kinds = [_kind(self._layers[at][1]) for at in places]
            if kinds == ["lookup", "dense"]:
                self._tied[places[0]] = places[1]
            elif len(places) > 1:
                raise ParameterError(f"Several layers share {name!r} in a way unknown here.", "Use engine hooks.")

    @contextmanager
    def listening(self, rows: int) -> Iterator[list[Tap]]:
        """Inside, a forward pass fills the list, one tap a layer in the order of the layers."""
        taps = [Tap(path) for path, _, _ in self._layers]
        handles = [
            layer.register_forward_hook(_hook(tap, rows)) for tap, (_, layer, _) in zip(taps, self._layers, strict=True)
        ]
        try:
            yield taps
        finally:
            for handle in handles:
                handle.remove()

    def uses(self, taps: list[Tap]) -> list[Uses]:
        """Taps with their slopes, layer by layer."""
        heads, made = set(self._tied.values()), list[Uses]()
        for at, (tap, (_, layer, own)) in enumerate(zip(taps, self._layers, strict=True)):
            weight, bias, kind = own.get("weight"), own.get("bias"), _kind(layer)
            if at in heads:
                continue
            if kind == "lookup" and weight is not None:
                found: Any = layer
                scale, ignored = _scale(layer), found.padding_idx
                if at in self._tied:
                    head = self._tied[at]
                    bias = self._layers[head][2].get("bias")
                    made.append(Tied(tap, taps[head], weight=weight, bias=bias, scale=scale, ignored=ignored))
                else:
                    shape = tuple(found.weight.shape)
                    made.append(Lookup(tap, weight=weight, shape=shape, scale=scale, ignored=ignored))
            elif kind == "scale":
                made.append(Scale(tap, weight=weight, bias=bias, layer=layer))
            else:
                made.append(Dense(tap, weight=weight, bias=bias, transposed=kind == "transposed"))
        return made


def _kind(layer: nn.Module) -> str | None:
    """What a layer is, by its class; what a class of that name does otherwise is found out by `_prove`."""
    from torch import nn

    name = type(layer).__name__
    if isinstance(layer, nn.Embedding):
        return "lookup"
    if isinstance(layer, nn.Linear):
        return "dense"
    if name == "Conv1D" and not isinstance(layer, nn.Conv1d):
        return "transposed"
    return "scale" if isinstance(layer, nn.LayerNorm) or name.endswith("RMSNorm") else None


def _scale(layer: Any) -> float:
    """Factor that an embedding's class puts on what it looks up (Gemma)."""
    return float(getattr(layer, "embed_scale", 1.0))


def _hook(tap: Tap, rows: int) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    """Keeps one call; what no gradient flows through yet becomes the place where the graph begins."""

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if hasattr(tap, "output"):
            raise ParameterError(f"Layer {tap.name!r} runs more than once.", "Use engine hooks.")
        if len(inputs) != 1 or len(inputs[0]) != rows or len(output) != rows:
            raise ParameterError(f"Layer {tap.name!r} does not see its rows first.", "Use engine hooks.")
        tap.inputs = inputs[0].detach()
        tap.output = output if output.requires_grad else output.detach().requires_grad_()
        return tap.output

    return keep
