"""The adapter of vLLM, held to the suite where vLLM is installed; nowhere else has it ever run."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends import load
from tests.conformance.backend import BackendConformance


@cache
def made():
    pytest.importorskip("vllm", reason="vllm is not installed: its adapter is not tested here")
    from tests.text import small_models

    return load(f"vllm:{small_models.save(Path(mkdtemp(prefix='dpsynth-model-')), 'llama')}")


class TestVLLM(BackendConformance):
    def make(self):
        return made()


def test_without_vllm_the_error_says_what_to_install():
    if find_spec("vllm") is not None:
        pytest.skip("vllm is installed")
    with pytest.raises(ParameterError, match=r"need vllm.*pip install"):
        load("vllm:some/model")
