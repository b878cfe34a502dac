"""Maps from texts to points for votes of private texts: fitted on public texts, or pretrained.

`EMBEDDINGS` is the whole list: name -> "module:class". Strings keep imports lazy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.text.embeddings.protocol import Embedding, Fitting

EMBEDDINGS: dict[str, str] = {
    "lexical": "dpsynth.text.embeddings.lexical:Lexical",
    "minilm": "dpsynth.text.embeddings.minilm:MiniLM",
}


def embedding(name: str) -> Embedding | Fitting:
    """The embedding of that name, with its defaults.

    Raises:
        ParameterError: unknown name.
    """
    if name not in EMBEDDINGS:
        raise ParameterError(f"Unknown embedding {name!r}.", f"Use one of {', '.join(sorted(EMBEDDINGS))}.")
    module, attribute = EMBEDDINGS[name].split(":")
    made: Embedding | Fitting = getattr(import_module(module), attribute)()
    return made
