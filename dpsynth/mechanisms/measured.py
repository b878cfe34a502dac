"""Measure once: what a mechanism released is kept with the run, and a run that goes on reads it.

`once(noise, name, measure)` is where a count meets its noise. `measure` asks the table and adds the noise; what it
returns is released, so it may be kept. If the noise is of a run that keeps its measurements and this one was made
before, the table is not asked; `core.replayed_noise` says why one event is spent. With any other source of noise,
`measure` is simply run.

>>> from dpsynth.core.replayed_noise import ReplayedNoise
>>> class Memory(list):
...     read = list.copy
>>> kept = Memory()
>>> first = once(ReplayedNoise(bytes(32), kept), "a histogram", lambda: (np.array([3, 4]), "x"))
>>> again = once(ReplayedNoise(bytes(32), kept), "a histogram", lambda: 1 // 0)   # nobody is asked
>>> again[0].tolist(), again[1]
([3, 4], 'x')

Not guaranteed: that `measure` returns only what was released; a caller keeps exact counts inside it.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from typing import Any, TypeVar, cast, get_args

import numpy as np

from accounting.event import Event, event_from_json
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import NoiseSource
from dpsynth.core.replayed_noise import ReplayedNoise

Released = TypeVar("Released")


def once(noise: NoiseSource, name: str, measure: Callable[[], Released]) -> Released:
    """A released value, measured now or read.

    Args:
        noise: uniform words, and with `ReplayedNoise` what was measured with them.
        name: what is measured, from public and released facts.
        measure: asks and adds noise; gives tuples and lists of integer arrays, integers, text, None and events.

    Returns:
        What `measure` gives.

    Raises:
        SealError: another measurement was kept at this place.
    """
    if not isinstance(noise, ReplayedNoise):
        return measure()
    kept = noise.once(name, lambda: zlib.compress(json.dumps(_plain(measure())).encode(), 1))
    return cast("Released", _value(json.loads(zlib.decompress(kept))))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.ndarray) and value.dtype == np.int64:
        cells = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"int64": cells, "shape": value.shape}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_plain(part) for part in value]}
    if isinstance(value, get_args(Event)):
        return {"event": value.to_json()}
    raise ParameterError(f"A measurement cannot be kept as {type(value).__name__}.", "Return integers and events.")


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(part) for part in plain]
    if not isinstance(plain, dict):
        return plain
    if "tuple" in plain:
        return tuple(_value(part) for part in plain["tuple"])
    if "event" in plain:
        return event_from_json(plain["event"])
    return np.frombuffer(base64.b64decode(plain["int64"]), dtype=np.int64).reshape(plain["shape"]).copy()
