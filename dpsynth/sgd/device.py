"""Which device a network is trained on, by name; asked for and absent is an error, not a silent fall-back.

    auto      the first GPU where there is one, else the CPU
    cpu       always there
    cuda      the first NVIDIA GPU;  cuda:1 the second

Parameters and clipped sums are float32 or better on every device: half precision would let rounding carry a gradient
past its clip. Products of matrices must not be shortened to 10 bits (TF32) for the same reason.

>>> device("cpu")
device(type='cpu')

Not guaranteed: the same bits on two devices. Noise is drawn on the CPU from the noise source whatever the device.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    import torch


def device(name: str = "auto") -> torch.device:
    """The device of that name.

    Raises:
        ParameterError: no such name, or no such GPU on this machine.
    """
    import torch

    match = re.fullmatch(r"auto|cpu|cuda(?::(\d{1,3}))?", name)
    if match is None:
        raise ParameterError(f"Unknown device {name!r}.", "Use auto, cpu, cuda, or a GPU by number such as cuda:1.")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(match.group(1) or 0)
    if number >= found:
        built = "" if torch.version.cuda else " This build of torch has no CUDA."
        raise ParameterError(
            f"Device {name!r} was asked for, and torch finds {found} GPUs here.{built}",
            "Use device cpu or auto, or install a build of torch for CUDA and check its driver with nvidia-smi.",
        )
    return torch.device("cuda", number)


def check_precision(parameters: Mapping[str, torch.Tensor]) -> None:
    """Refuse what would round gradients beyond the margin of the clip.

    Raises:
        ParameterError: a parameter below float32, or products of matrices set to TF32 on a GPU.
    """
    import torch

    for name, parameter in parameters.items():
        if parameter.dtype not in (torch.float32, torch.float64):
            dtype = str(parameter.dtype).removeprefix("torch.")
            raise ParameterError(
                f"Parameter {name!r} is {dtype}; clipping needs float32 or float64.",
                "Convert the network with .float().",
            )
    on_gpu = any(parameter.device.type == "cuda" for parameter in parameters.values())
    if on_gpu and torch.get_float32_matmul_precision() != "highest":
        raise ParameterError(
            "Products of float32 matrices are shortened on this GPU (TF32), which is too coarse for clipping.",
            'Call torch.set_float32_matmul_precision("highest").',
        )
