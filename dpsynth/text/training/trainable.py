"""A copy of a public model with what is to be trained: all of it, or low-rank additions to its linear layers (LoRA).

    full   every parameter
    lora   rank-r factors beside every linear layer but the head (Hu et al. 2022; peft), the model itself frozen

The copy is in float32 on its device before adapters are added: peft's factors must live where they train. First factors
come from a fixed public seed, so that a run that goes on starts from the same network.

Not guaranteed: that a method suits a model. `auto` asks for its size alone: up to `FULL` parameters all are trained,
as every layer's noise grows with its parameters and memory with all of them.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.sgd import arrays

if TYPE_CHECKING:
    import torch
    from torch import nn

METHODS = ("auto", "full", "lora")
FULL = 50_000_000
"""Parameters up to which `auto` trains all of them."""

SEED = 20240607
Arrays = dict[str, NDArray[np.float32]]


def method_for(module: nn.Module, method: str) -> str:
    """`full` or `lora`; `auto` by the number of parameters.

    Raises:
        ParameterError: no such method.
    """
    if method not in METHODS:
        raise ParameterError(f"Unknown method {method!r}.", f"Use one of {', '.join(METHODS)}.")
    if method != "auto":
        return method
    return "full" if sum(p.numel() for p in module.parameters()) <= FULL else "lora"


def trainable(module: nn.Module, method: str, *, rank: int, device: torch.device) -> nn.Module:
    """A copy in float32 on the device; what requires gradients is to be trained.

    Args:
        module: the public model, left as it is.
        method: full or lora.
        rank: of LoRA's factors.
        device: where it is trained.

    Raises:
        ParameterError: LoRA without peft, or on a module without linear layers.
    """
    import torch

    made = copy.deepcopy(module).float().to(device).eval()
    for layer in made.modules():
        if isinstance(layer, torch.nn.Embedding):
            layer.padding_idx = None  # padding lies beyond the vocabulary here
    for parameter in made.parameters():
        parameter.requires_grad_(method == "full")
    return made if method == "full" else _adapted(made, rank)


def trained_arrays(module: nn.Module, names: Mapping[str, Any]) -> Arrays:
    """Copies of the named parameters."""
    own = dict(module.named_parameters())
    return {name: np.array(arrays.on_cpu(own[name]), dtype=np.float32) for name in names}


def with_arrays(module: nn.Module, method: str, found: Arrays, *, rank: int, device: torch.device) -> nn.Module:
    """A copy of the public model with trained arrays in place; LoRA's products are added to the weights.

    Raises:
        ModelError: the arrays are not those of this model and method.
    """
    import torch

    made = trainable(module, method, rank=rank, device=device)
    own = {name: p for name, p in made.named_parameters() if p.requires_grad}
    if {name: tuple(p.shape) for name, p in own.items()} != {name: a.shape for name, a in found.items()}:
        raise ModelError("The trained arrays do not fit the public model.", "Use the model that was trained.")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(torch.from_numpy(found[name]))
            parameter.requires_grad_(False)
    if method == "lora":
        from peft.tuners.lora import LoraLayer

        for layer in made.modules():
            if isinstance(layer, LoraLayer):
                layer.merge()
    return made


def require_moved(before: Mapping[str, NDArray[Any]], after: Mapping[str, NDArray[Any]]) -> None:
    """Return if every tensor moved: noise moves each one, so what stands still was never trained.

    Raises:
        ModelError: one did not.
    """
    still = [name for name, array in after.items() if np.array_equal(array, before[name])]
    if still:
        raise ModelError(
            f"{len(still)} of {len(after)} trainable tensors did not move in training, such as {still[0]!r}; what was "
            "spent stays spent.",
            "Report this model; train it with engine hooks, or by another method.",
        )


def _adapted(module: nn.Module, rank: int) -> nn.Module:
    """LoRA beside every linear layer, in place."""
    import torch

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)  # of what peft itself imports
            from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise ParameterError(
            "Training by LoRA needs peft, which is not installed.", "Install it: pip install 'dpsynth[text]'."
        ) from None
    transposed = any(type(layer).__name__ == "Conv1D" for layer in module.modules())
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=0.0, target_modules="all-linear", fan_in_fan_out=transposed
    )
    with torch.random.fork_rng(devices=[]):  # peft draws first factors from torch's own generator
        torch.random.manual_seed(SEED)
        try:
            inject_adapter_in_model(config, module)
        except ValueError as error:
            raise ParameterError(f"LoRA cannot be added to this model: {error}", "Use method full.") from None
    rng = np.random.default_rng(SEED)
    for name, parameter in module.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if "lora_A" in name:
            bound = parameter.shape[1] ** -0.5
            drawn = rng.uniform(-bound, bound, tuple(parameter.shape)).astype(np.float32)
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(drawn))
    return module.eval()
