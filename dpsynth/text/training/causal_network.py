"""A causal language model as a `Network`, by one of two engines that find the same sums.

    book-keeping   closed forms from one forward and one activation-only backward (`taped_module`)
    hooks          Opacus' gradient of each row: for layers without a closed form here, and the other's oracle

`auto` takes book-keeping wherever the model passes its proof on made-up rows, else hooks; what was taken, and why not
the other, is said. Rows of one pass are bounded by memory alone, from public sizes.

Not guaranteed: speed by hooks, which hold a whole parameter set a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.network import Network
from dpsynth.sgd.taped_module import TapedModule
from dpsynth.text.training.causal_loss import CausalLoss
from dpsynth.text.training.rows import Layout

if TYPE_CHECKING:
    from torch import Tensor, nn

ENGINES = ("auto", "book-keeping", "hooks")
MEMORY = 1 << 29
"""Bytes that one pass may take for what layers keep, about."""

MOST = 64
"""Rows of one pass at most: on a CPU more are no faster."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A network and how it finds its sums; `reason` says why book-keeping was not taken."""

    network: Network
    name: str
    reason: str | None = None


def engine_for(module: nn.Module, loss: CausalLoss, layout: Layout, *, engine: str = "auto") -> Engine:
    """The network of a module whose trainable parameters require gradients.

    Args:
        module: as `trainable` makes it.
        loss: of rows.
        layout: of rows.
        engine: auto, book-keeping or hooks.

    Raises:
        ParameterError: no such engine, or the model cannot be trained privately by it.
    """
    if engine not in ENGINES:
        raise ParameterError(f"Unknown engine {engine!r}.", f"Use one of {', '.join(ENGINES)}.")
    example = made_up(layout, loss.topics, widest=loss.widest).to(next(module.parameters()).device)
    _prefer_fused_attention(module, loss, example)
    reason = None
    if engine != "hooks":
        try:
            physical = rows_at_once(module, layout.length)
            made = TapedModule(module, loss, example=example, physical=physical)
        except ParameterError as error:
            if engine == "book-keeping":
                raise
            reason = error.message
        else:
            return Engine(network=made, name="book-keeping")
    return Engine(network=_hooked(module, loss, example, layout.length), name="hooks", reason=reason)


def made_up(layout: Layout, topics: int, *, widest: int = 0) -> Tensor:
    """Rows of public nonsense: a full one on the topic with the longest prompt, a short one, an empty one.

    The first is as wide as any block can be: some models compute positions in another way beyond a width (longrope),
    for all rows of a block. No private row may be the first to show that.
    """
    import torch

    rng = np.random.default_rng(0)
    sizes = (layout.length, max(layout.length // 3, 1), 0)
    topic = (widest, 1 % topics, 2 % topics)
    made = [layout.row(rng.integers(0, layout.vocabulary, size), topic[at]) for at, size in enumerate(sizes)]
    return torch.from_numpy(np.stack(made).astype(np.int64))


def rows_at_once(module: nn.Module, length: int) -> int:
    """Rows of one tape: inputs and slopes of every layer, the head's over the whole vocabulary, twice over."""
    wide = sum(sum(p.shape) for p in module.parameters() if p.dim() == 2)
    return int(min(max(MEMORY // (4 * 3 * wide * length), 1), MOST))


def _prefer_fused_attention(module: nn.Module, loss: CausalLoss, example: Tensor) -> None:
    """Torch's own attention where it says the same: some models cap or scale scores in a way that it does not know."""
    import torch

    choose = getattr(module, "set_attn_implementation", None)
    if choose is None or not getattr(module, "_supports_sdpa", False):
        return
    with torch.no_grad():
        before = loss(module, example)
        choose("sdpa")
        if not torch.allclose(before, loss(module, example), rtol=1e-4, atol=1e-5):
            choose("eager")


def _hooked(module: nn.Module, loss: CausalLoss, example: Tensor, length: int) -> Network:
    import torch

    from dpsynth.sgd.opacus_network import OpacusNetwork

    class Losses(torch.nn.Module):
        """The model as a module of rows, which is what Opacus wraps."""

        def __init__(self) -> None:
            super().__init__()
            self.model = module

        def forward(self, rows: Tensor) -> Tensor:
            return loss(self.model, rows)

    for layer in module.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
        if isinstance(getattr(layer, "attention_dropout", None), float):
            layer.attention_dropout = 0.0  # type: ignore[assignment]
    size = sum(p.numel() for p in module.parameters() if p.requires_grad)
    physical = int(min(max(MEMORY // (4 * 2 * max(size, 1)), 1), rows_at_once(module, length)))
    made = OpacusNetwork(Losses(), lambda losses, _: losses, example=example, physical=physical)
    return _Renamed(made, "model.")


@final
class _Renamed:
    """A network whose parameters' names lose a prefix."""

    def __init__(self, network: Network, prefix: str) -> None:
        self._network, self._prefix = network, prefix
        self.parameters = {name.removeprefix(prefix): p for name, p in network.parameters.items()}
        self.live: dict[str, Tensor] = {}

    def clipped_sum(self, rows: Tensor, units: Tensor | None, clip: float) -> tuple[dict[str, Tensor], Tensor]:
        """See `Network.clipped_sum`."""
        sums, norms = self._network.clipped_sum(rows, units, clip)
        return {name.removeprefix(self._prefix): summed for name, summed in sums.items()}, norms
