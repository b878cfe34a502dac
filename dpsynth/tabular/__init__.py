"""Generators of synthetic tables: fitted to noisy counts of a private table, sampled without it.

`GENERATORS` is the whole list: name -> "module:class". Strings keep imports lazy; a test holds the table against the
folder.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.tabular.aim import AIM
    from dpsynth.tabular.auto import Auto
    from dpsynth.tabular.autoregressive import Autoregressive
    from dpsynth.tabular.gibbs import Gibbs
    from dpsynth.tabular.independent import Independent
    from dpsynth.tabular.mst import MST
    from dpsynth.tabular.protocol import Generator, Model, Plan
    from dpsynth.tabular.saved.saving import SavedModel, load, save

GENERATORS = {
    "aim": "dpsynth.tabular.aim:AIM",
    "auto": "dpsynth.tabular.auto:Auto",
    "autoregressive": "dpsynth.tabular.autoregressive:Autoregressive",
    "gibbs": "dpsynth.tabular.gibbs:Gibbs",
    "independent": "dpsynth.tabular.independent:Independent",
    "mst": "dpsynth.tabular.mst:MST",
}
_NAMES = {
    "AIM": GENERATORS["aim"],
    "Auto": GENERATORS["auto"],
    "Autoregressive": GENERATORS["autoregressive"],
    "MST": GENERATORS["mst"],
    "Generator": "dpsynth.tabular.protocol:Generator",
    "Gibbs": GENERATORS["gibbs"],
    "Independent": GENERATORS["independent"],
    "Model": "dpsynth.tabular.protocol:Model",
    "Plan": "dpsynth.tabular.protocol:Plan",
    "SavedModel": "dpsynth.tabular.saved.saving:SavedModel",
    "load": "dpsynth.tabular.saved.saving:load",
    "save": "dpsynth.tabular.saved.saving:save",
}
__all__ = [
    "AIM",
    "GENERATORS",
    "MST",
    "Auto",
    "Autoregressive",
    "Generator",
    "Gibbs",
    "Independent",
    "Model",
    "Plan",
    "SavedModel",
    "generator",
    "load",
    "save",
]


def generator(name: str) -> Generator:
    """The generator of that name with default settings.

    Raises:
        ParameterError: unknown name.
    """
    if name not in GENERATORS:
        raise ParameterError(f"Unknown generator {name!r}.", f"Use one of {', '.join(sorted(GENERATORS))}.")
    made: Generator = _load(GENERATORS[name])()
    return made


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _load(_NAMES[name])


def _load(dotted: str) -> Any:
    module, attribute = dotted.split(":")
    return getattr(import_module(module), attribute)
