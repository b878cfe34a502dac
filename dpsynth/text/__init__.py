"""Writers of synthetic texts: fitted through mechanisms, written without the private texts.

`METHODS` is the whole list: name -> "module:class". Strings keep imports lazy; a test holds the table against the
folder. `synthesizer` makes a method a generator that a workspace plans, charges and seals like one of tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.text.generator import TextGenerator
    from dpsynth.text.protocol import Writer

METHODS: dict[str, str] = {
    "dpsgd": "dpsynth.text.dpsgd:DPSGD",
    "evolution": "dpsynth.text.evolution:Evolution",
    "private-prediction": "dpsynth.text.private_prediction:PrivatePrediction",
}
_NAMES = {
    "TextGenerator": "dpsynth.text.generator:TextGenerator",
    "Writer": "dpsynth.text.protocol:Writer",
}
__all__ = ["METHODS", "TextGenerator", "Writer", "class_of", "writer"]


def writer(name: str, **settings: Any) -> Writer:
    """The method of that name.

    Args:
        name: of `METHODS`.
        settings: of its class, such as `model`.

    Raises:
        ParameterError: unknown name.
    """
    made: Writer = class_of(name)(**settings)
    return made


def class_of(name: str) -> type[Any]:
    """The class of the method of that name.

    Raises:
        ParameterError: unknown name.
    """
    if name not in METHODS:
        raise ParameterError(f"Unknown method {name!r}.", f"Use one of {', '.join(sorted(METHODS))}.")
    found: type[Any] = _load(METHODS[name])
    return found


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _load(_NAMES[name])


def _load(dotted: str) -> Any:
    module, attribute = dotted.split(":")
    return getattr(import_module(module), attribute)
