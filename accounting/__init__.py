"""Events in, guarantee out: privacy accounting that needs neither the data nor the generator.

The names below load on first use, so that `import accounting` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "ApproxDP": "accounting.event:ApproxDP",
    "AccountingError": "accounting.errors:AccountingError",
    "CalibrationError": "accounting.errors:CalibrationError",
    "CrossCheckError": "accounting.errors:CrossCheckError",
    "DiscreteGaussian": "accounting.event:DiscreteGaussian",
    "DiscreteLaplace": "accounting.event:DiscreteLaplace",
    "Event": "accounting.event:Event",
    "EventError": "accounting.errors:EventError",
    "EventTree": "accounting.event:EventTree",
    "FilterExhaustedError": "accounting.errors:FilterExhaustedError",
    "Exponential": "accounting.event:Exponential",
    "Gaussian": "accounting.event:Gaussian",
    "Guarantee": "accounting.guarantee:Guarantee",
    "Laplace": "accounting.event:Laplace",
    "Ledger": "accounting.ledger:Ledger",
    "NeighboringRelation": "accounting.relation:NeighboringRelation",
    "ParameterError": "accounting.errors:ParameterError",
    "PartitionSelection": "accounting.event:PartitionSelection",
    "PoissonSampled": "accounting.event:PoissonSampled",
    "PredictionTokens": "accounting.event:PredictionTokens",
    "PrivacyReport": "accounting.privacy_report:PrivacyReport",
    "PrivacyUnit": "accounting.relation:PrivacyUnit",
    "PureDP": "accounting.event:PureDP",
    "Signer": "accounting.ledger:Signer",
    "SparseVector": "accounting.event:SparseVector",
    "UnsupportedEventError": "accounting.errors:UnsupportedEventError",
    "ZCDPFilter": "accounting.event:ZCDPFilter",
    "calibrate": "accounting.calibration:calibrate",
    "decimal_down": "accounting.decimals:decimal_down",
    "decimal_up": "accounting.decimals:decimal_up",
    "price": "accounting.crosscheck:price",
    "report": "accounting.privacy_report:report",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'accounting' has no attribute {name!r}")
    module, attribute = _EXPORTS[name].split(":")
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
