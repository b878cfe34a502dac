"""A device that was asked for and is not there is an error with a remedy; precision is never traded."""

from __future__ import annotations

import pytest
import torch

from dpsynth.core.errors import ParameterError
from dpsynth.sgd.device import check_precision, device
from tests.conformance.network import SIZES, made_rows
from tests.sgd.small_networks import columns_of, shaken

no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")


def test_cpu_and_auto_are_always_there():
    assert device("cpu") == torch.device("cpu")
    assert device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:-1", "cpu:0", "mps", "", "cuda:1\n"])
def test_a_device_of_no_such_name_is_refused(name):
    with pytest.raises(ParameterError, match="Unknown device"):
        device(name)


def test_a_gpu_that_is_not_there_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ParameterError, match=r"'cuda' was asked for, and torch finds 0 GPUs") as refused:
        device("cuda")
    assert "cpu or auto" in refused.value.remedy
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert device("cuda") == torch.device("cuda", 0) and device("auto") == torch.device("cuda", 0)
    with pytest.raises(ParameterError, match="finds 1 GPUs"):
        device("cuda:1")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(dtype):
    with pytest.raises(ParameterError, match="clipping needs float32 or float64"):
        check_precision({"weights": torch.zeros(2, dtype=dtype)})
    check_precision({"weights": torch.zeros(2), "more": torch.zeros(2, dtype=torch.float64)})


@no_gpu
def test_a_gpu_with_shortened_products_is_refused(monkeypatch):
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: "high")
    with pytest.raises(ParameterError, match="TF32"):
        check_precision({"weights": torch.zeros(2, device="cuda")})


@no_gpu
@pytest.mark.parametrize("kind", ["made", "transformer"])
def test_a_gpu_finds_the_same_sums(kind):
    import numpy as np

    from dpsynth.tabular.networks.protocol import network

    both = [
        shaken(network(kind).fresh(columns_of(SIZES), np.random.default_rng(0), device=name))
        for name in ("cpu", "cuda")
    ]
    rows, units = made_rows(60), torch.arange(60) // 3
    (cpu, norms), (gpu, gpu_norms) = (
        made.clipped_sum(rows.to(name), units.to(name), 1.0) for made, name in zip(both, ("cpu", "cuda"), strict=True)
    )
    assert torch.allclose(norms, gpu_norms.cpu(), rtol=1e-5)
    assert all(torch.allclose(cpu[name], gpu[name].cpu(), atol=2e-5) for name in cpu)
