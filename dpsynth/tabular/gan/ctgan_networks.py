"""SDV's CTGAN networks (Xu et al. 2019), from the optional extra `baselines`: the one file that imports `ctgan`.

`ctgan` is under the Business Source License 1.1, so it is never a dependency of the base package. Its two networks are
used; its transformer, its sampler and its loop are not: they read the private table without paying (`encoding`).

The discriminator is used with pac = 1: groups of `pac` rows get one output, so one row would change the gradients of
its whole group. Its gradient penalty is not used: it ties private rows to generated ones, two at a time. Batch norm in
the generator is harmless, since no private row passes through it, and is folded away when training ends.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from torch import nn

SMALL = 0.1
"""Of torch's initial weights, what the last layer starts with."""


def require_ctgan() -> None:
    """Return if `ctgan` can be imported.

    Raises:
        ParameterError: it is not installed.
    """
    if find_spec("ctgan") is None:
        raise ParameterError(
            "DP-CTGAN trains SDV's CTGAN networks, which are not installed (an extra: Business Source License 1.1).",
            "Install them: pip install 'dpsynth-release[baselines]', or use another generator.",
        )


def ctgan_networks(
    noise: int, width: int, generator_layers: tuple[int, ...], critic_layers: tuple[int, ...]
) -> tuple[nn.Module, nn.Module]:
    """An untrained generator and discriminator of rows of `width`, each with a condition vector beside.

    Initial weights come from torch's own generator: seed it before.
    """
    require_ctgan()
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its imports: pandas and torch deprecations
        from ctgan.synthesizers.ctgan import Discriminator, Generator
    made = Generator(noise + width, generator_layers, width)
    critic = Discriminator(2 * width, critic_layers, pac=1)
    return made, critic


def start_independent(generator: nn.Module, log_shares: NDArray[np.float32]) -> None:
    """Make the last layer's bias the released shares, and its weights small: nearly independent columns."""
    import torch

    last: Any = list(generator.seq)[-1]  # type: ignore[arg-type]
    with torch.no_grad():
        last.weight.mul_(SMALL)
        last.bias.copy_(torch.from_numpy(log_shares))


def folded(generator: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Arrays of `LatentRows`: residual layers with batch norm folded into their linear maps, then the last map."""
    *residuals, last = list(generator.seq)  # type: ignore[arg-type]
    arrays: dict[str, NDArray[np.float32]] = {}
    for at, layer in enumerate(residuals):
        weight, bias = _array(layer.fc.weight), _array(layer.fc.bias)
        scale = _array(layer.bn.weight) / np.sqrt(_array(layer.bn.running_var) + layer.bn.eps)
        arrays[f"weight{at}"] = (weight * scale[:, None]).T.astype(np.float32).copy()
        arrays[f"bias{at}"] = ((bias - _array(layer.bn.running_mean)) * scale + _array(layer.bn.bias)).astype(
            np.float32
        )
    arrays[f"weight{len(residuals)}"] = _array(last.weight).T.astype(np.float32).copy()
    arrays[f"bias{len(residuals)}"] = _array(last.bias).astype(np.float32)
    return arrays


def _array(tensor: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = tensor.detach().cpu().numpy().astype(np.float64)
    return found
