"""Language models behind one protocol; `load` makes one from a name.

tiny            a small GPT-2 that is trained here, once, from public text on this machine (`dpsynth text pretrain`)
ngram           counts of the same kind of text: no library beside numpy, seconds
FOLDER, ID      any causal model of transformers
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from dpsynth.core.errors import ModelError
from dpsynth.core.progress import Progress, silent

if TYPE_CHECKING:
    from dpsynth.text.backends.protocol import LanguageModel

__all__ = ["load"]
INTERFACES = frozenset({"anthropic", "azure", "bedrock", "gemini", "ollama", "openai", "tgi"})
"""Prefixes that people give to hosted models and servers."""


def load(
    name: str, *, device: str = "auto", local_files_only: bool = True, progress: Progress = silent
) -> LanguageModel:
    """The model of that name.

    Args:
        name: see the module.
        device: auto, cpu, cuda or cuda:N; `ngram` has none.
        local_files_only: whether a hub id must be in the local cache already.
        progress: of the training of `tiny`, where this machine has none yet.

    Raises:
        ModelError: there is no such model here.
        ParameterError: no such device.
    """
    if "://" in name or name.partition(":")[0] in INTERFACES:
        raise ModelError(
            "An interface of that kind gives no logits of the whole vocabulary, which this method needs.",
            "Use a model that runs here, or method evolution with `CallableSource`, in Python.",
        )
    if name == "ngram":
        return _ngram()
    if name.startswith("llama.cpp:"):
        from dpsynth.text.backends.llama_cpp import LlamaCppBackend

        return LlamaCppBackend.load(name.removeprefix("llama.cpp:"))
    if name.startswith("vllm:"):
        from dpsynth.text.backends.vllm import VLLMBackend

        return VLLMBackend.load(name.removeprefix("vllm:"), local_files_only=local_files_only)
    if name in ("tiny", "tiny-quick"):
        from dpsynth.text.backends.tiny import tiny

        return tiny(name, device=device, progress=progress)
    from dpsynth.text.backends.hugging_face import HFBackend

    return HFBackend.load(name, device=device, local_files_only=local_files_only)


@cache
def _ngram() -> LanguageModel:
    from dpsynth.text.backends.embedded_text import SMALL, documents
    from dpsynth.text.backends.ngram import NgramBackend

    return NgramBackend.of(documents(SMALL), name="ngram")
