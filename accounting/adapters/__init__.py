"""Work done with other libraries, charged too: their accountants' histories as our events.

    opacus          from_opacus(engine.accountant, poisson=True)    one event a phase of training
    diffprivlib     from_diffprivlib(accountant, relation=...)      one event a query, black boxes of (epsilon, delta)
    dp_accounting   from_dp_accounting(event)                       the same tree, multiplied out

Each gives an `EventTree` that can be priced, reserved and committed like any other. What their own accountants would
report is not taken over: the events are, and both of our accountants price them. None of the libraries is imported
before it is needed, and the first two are not needed at all.

Not guaranteed: that the other library ran what its history says. Its noise is its own, floating-point noise included.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "from_diffprivlib": "accounting.adapters.diffprivlib",
    "from_dp_accounting": "accounting.adapters.dp_accounting",
    "from_opacus": "accounting.adapters.opacus",
}
__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
