"""The oracle of clipped sums: each unit's gradient by autograd alone, clipped in float64, added up."""

from __future__ import annotations

import numpy as np
import torch

from dpsynth.sgd.arrays import on_cpu, rows_for
from dpsynth.sgd.clipping import MARGIN


def clipped_sums(twin, rows, units, clip):
    """Sums (name -> float64) and norms by autograd, one unit at a time.

    Args:
        twin: `parameters` (name -> tensor) and `loss(rows)`, each row's loss.
        rows: int64, shape (rows, columns).
        units: int64, shape (rows,), or None.
        clip: bound on a unit's norm.
    """
    rows = torch.from_numpy(rows)
    numbers = torch.arange(len(rows)) if units is None else torch.from_numpy(units)
    parameters = twin.parameters
    sums = {name: np.zeros(tuple(tensor.shape)) for name, tensor in parameters.items()}
    norms = []
    for tensor in parameters.values():
        tensor.requires_grad_(True)
    try:
        for unit in range(int(numbers[-1]) + 1):
            loss = twin.loss(rows[numbers == unit]).sum()
            gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            doubled = {
                name: np.zeros(tuple(tensor.shape)) if gradient is None else gradient.double().numpy()
                for (name, tensor), gradient in zip(parameters.items(), gradients, strict=True)
            }
            norms.append(np.sqrt(sum((gradient**2).sum() for gradient in doubled.values())))
            for name, gradient in doubled.items():
                sums[name] += min(1.0, clip * (1 - MARGIN) / max(norms[-1], 1e-12)) * gradient
    finally:
        for tensor in parameters.values():
            tensor.requires_grad_(False)
    return sums, np.array(norms)


def errors(network, twin, rows, units, clip):
    """Largest error of a norm (relative above 1), of a sum for each unit in it, and the largest masked entry."""
    sums, norms = of(network, rows, units, clip)
    true_sums, true_norms = clipped_sums(twin, rows, units, clip)
    of_norms = float((np.abs(norms - true_norms) / np.maximum(true_norms, 1.0)).max())
    of_sums = max(float(np.abs(sums[name] - true_sums[name]).max()) for name in sums) / len(true_norms)
    masked = [float(np.abs(sums[name][~on_cpu(mask)]).max()) for name, mask in network.live.items() if (~mask).any()]
    return of_norms, of_sums, max(masked, default=0.0)


def of(network, rows, units, clip):
    """`clipped_sum` of a network of either kind, as numpy."""
    parameter = next(iter(network.parameters.values()))
    with torch.no_grad():
        sums, norms = network.clipped_sum(rows_for(parameter, rows), rows_for(parameter, units), clip)
    return {name: on_cpu(summed) for name, summed in sums.items()}, on_cpu(norms)


def leaks(network, rows, clip, *, tolerance=1e-5):
    """Whether one row's presence changes what the others add: batch statistics, batch-shaped masks."""
    whole, together = of(network, rows, None, clip)
    without, apart = of(network, rows[:-1], None, clip)
    alone, _ = of(network, rows[-1:], None, clip)
    added = max(float(np.abs(whole[name] - without[name] - alone[name]).max()) for name in whole)
    return bool(np.abs(together[:-1] - apart).max() > tolerance) or added > tolerance * clip
