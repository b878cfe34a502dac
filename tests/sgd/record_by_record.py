"""The oracle of clipped sums: each unit's gradient by autograd alone, clipped in float64, added up."""

from __future__ import annotations

import torch

from dpsynth.sgd.clipping import MARGIN


def clipped_sums(network, rows, units, clip):
    """Sums and norms as `Network.clipped_sum`, from `network.loss`, one unit at a time."""
    numbers = torch.arange(len(rows)) if units is None else units
    parameters = network.parameters
    sums = {name: torch.zeros_like(tensor, dtype=torch.float64) for name, tensor in parameters.items()}
    norms = []
    for tensor in parameters.values():
        tensor.requires_grad_(True)
    try:
        for unit in range(int(numbers[-1]) + 1):
            loss = network.loss(rows[numbers == unit]).sum()
            gradients = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
            doubled = {
                name: torch.zeros_like(tensor, dtype=torch.float64) if gradient is None else gradient.double()
                for (name, tensor), gradient in zip(parameters.items(), gradients, strict=True)
            }
            norm = torch.sqrt(sum((gradient**2).sum() for gradient in doubled.values()))
            norms.append(norm)
            factor = min(1.0, clip * (1 - MARGIN) / max(float(norm), 1e-12))
            for name, gradient in doubled.items():
                sums[name] += factor * gradient
    finally:
        for tensor in parameters.values():
            tensor.requires_grad_(False)
    return sums, torch.stack(norms)


def errors(network, rows, units, clip):
    """Largest error of a norm, of a sum (both relative to the clip where that is above 1), and of masked entries."""
    with torch.no_grad():
        sums, norms = network.clipped_sum(rows, units, clip)
    true_sums, true_norms = clipped_sums(network, rows, units, clip)
    of_norms = float(((norms.double() - true_norms).abs() / true_norms.clamp(min=1.0)).max())
    count = float(len(true_norms))
    of_sums = max(float((sums[name].double() - true_sums[name]).abs().max()) for name in sums) / count
    masked = max([float(sums[name][~mask].abs().max()) for name, mask in network.live.items() if (~mask).any()] or [0])
    return of_norms, of_sums, masked


def leaks(network, rows, clip, *, tolerance=1e-5):
    """Whether one row's presence changes what the others add: batch statistics, batch-shaped masks."""
    with torch.no_grad():
        _, together = network.clipped_sum(rows, None, clip)
        _, apart = network.clipped_sum(rows[:-1], None, clip)
        whole, _ = network.clipped_sum(rows, None, clip)
        without, _ = network.clipped_sum(rows[:-1], None, clip)
        alone, _ = network.clipped_sum(rows[-1:], None, clip)
    added = max(float((whole[name] - without[name] - alone[name]).abs().max()) for name in whole)
    return bool((together[:-1] - apart).abs().max() > tolerance) or added > tolerance * clip
