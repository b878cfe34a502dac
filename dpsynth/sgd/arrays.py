"""Parameters are numpy arrays or torch tensors; the loop asks here, and needs torch for networks that have it only.

Gradients are summed where the network lives. Once a step the sum comes to the CPU as numpy, takes its noise, moves a
numpy copy of the parameters (the same memory for arrays and CPU tensors) and goes back. So a linear network trains
without PyTorch, which is 180 MiB and a second of import, and one on a GPU trains by the same code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_numpy(value: Any) -> bool:
    """Whether it is a numpy array and not a tensor."""
    return isinstance(value, np.ndarray)


def rows_for(parameter: Any, rows: NDArray[Any] | None) -> Any:
    """Integers as the network takes them: numpy, or a tensor on its device; None stays None."""
    if rows is None or is_numpy(parameter):
        return rows
    import torch

    return torch.from_numpy(rows).to(parameter.device)


def zeros_like(parameter: Any) -> Any:
    """Zeros in float64 where the parameter lives."""
    if is_numpy(parameter):
        return np.zeros(parameter.shape, dtype=np.float64)
    import torch

    return torch.zeros_like(parameter, dtype=torch.float64)


def finite(value: Any) -> bool:
    """Whether all entries are."""
    return bool(np.isfinite(value).all() if is_numpy(value) else value.isfinite().all())


def on_cpu(value: Any) -> NDArray[Any]:
    """As numpy; shares memory with arrays and CPU tensors."""
    array: NDArray[Any] = value if is_numpy(value) else value.detach().cpu().numpy()
    return array


def put_back(parameter: Any, array: NDArray[Any]) -> None:
    """The parameter takes the array's values, unless it shares them already."""
    if is_numpy(parameter):
        if parameter is not array:
            parameter[...] = array
        return
    import torch

    if parameter.device.type != "cpu" or parameter.data_ptr() != array.ctypes.data:
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(array))
