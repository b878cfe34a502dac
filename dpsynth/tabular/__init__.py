"""Generators of synthetic tables: fitted to noisy counts of a private table, sampled without it.

`GENERATORS` is the whole list: name -> "module:class". Strings keep imports lazy; a test holds the table against the
folder. `BASELINES` are other libraries' generators without any guarantee, to compare with; none of them can be shipped.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.tabular.aim import AIM
    from dpsynth.tabular.auto import Auto
    from dpsynth.tabular.autoregressive import Autoregressive
    from dpsynth.tabular.baselines.protocol import Baseline, BaselineModel
    from dpsynth.tabular.gibbs import Gibbs
    from dpsynth.tabular.independent import Independent
    from dpsynth.tabular.mst import MST
    from dpsynth.tabular.protocol import Generator, Model, Plan
    from dpsynth.tabular.saved.saving import SavedModel, load, save

GENERATORS = {
    "aim": "dpsynth.tabular.aim:AIM",
    "auto": "dpsynth.tabular.auto:Auto",
    "autoregressive": "dpsynth.tabular.autoregressive:Autoregressive",
    "dpctgan": "dpsynth.tabular.dpctgan:DPCTGAN",
    "gibbs": "dpsynth.tabular.gibbs:Gibbs",
    "independent": "dpsynth.tabular.independent:Independent",
    "mst": "dpsynth.tabular.mst:MST",
    "pategan": "dpsynth.tabular.pategan:PATEGAN",
}
BASELINES = {
    "sdv-ctgan": "dpsynth.tabular.baselines.sdv:SDV",
    "sdv-gaussian-copula": "dpsynth.tabular.baselines.sdv:SDV",
    "sdv-tvae": "dpsynth.tabular.baselines.sdv:SDV",
}
_NAMES = {
    "AIM": GENERATORS["aim"],
    "Auto": GENERATORS["auto"],
    "Autoregressive": GENERATORS["autoregressive"],
    "Baseline": "dpsynth.tabular.baselines.protocol:Baseline",
    "BaselineModel": "dpsynth.tabular.baselines.protocol:BaselineModel",
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
    "BASELINES",
    "GENERATORS",
    "MST",
    "Auto",
    "Autoregressive",
    "Baseline",
    "BaselineModel",
    "Generator",
    "Gibbs",
    "Independent",
    "Model",
    "Plan",
    "SavedModel",
    "baseline",
    "generator",
    "load",
    "save",
]


def generator(name: str) -> Generator:
    """The generator of that name with default settings.

    Raises:
        ParameterError: unknown name.
    """
    if name in BASELINES:
        raise ParameterError(
            f"{name!r} protects nobody, so it is no generator that could be planned or priced.",
            "Use `dpsynth.tabular.baseline(name)`, on public data or to compare with.",
        )
    if name not in GENERATORS:
        raise ParameterError(f"Unknown generator {name!r}.", f"Use one of {', '.join(sorted(GENERATORS))}.")
    made: Generator = _load(GENERATORS[name])()
    return made


def baseline(name: str) -> Baseline:
    """The baseline of that name with its library's default settings; it has no guarantee.

    Raises:
        ParameterError: unknown name.
    """
    if name not in BASELINES:
        raise ParameterError(f"Unknown baseline {name!r}.", f"Use one of {', '.join(sorted(BASELINES))}.")
    made: Baseline = _load(BASELINES[name])(name=name)
    return made


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _load(_NAMES[name])


def _load(dotted: str) -> Any:
    module, attribute = dotted.split(":")
    return getattr(import_module(module), attribute)
