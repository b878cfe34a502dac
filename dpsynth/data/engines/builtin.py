"""Functions that engines have and ibis has no exact word for, such as rounding half to even.

>>> import ibis
>>> rint = builtin("rint", ("float64",), "float64")
>>> print(ibis.to_sql(ibis.table({"x": "float64"}, name="t").select(y=rint(ibis._.x)), dialect="duckdb"))
SELECT
  RINT(...x...) AS "y"
FROM ...

Not guaranteed: that an engine has the function; only engines' own modules name one.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def builtin(name: str, arguments: tuple[str, ...], result: str) -> Any:
    """An ibis function that is compiled to a call of `name`.

    Args:
        name: as SQL calls it.
        arguments: ibis types of one or two arguments.
        result: ibis type of the result.
    """
    import ibis

    shape = _of_one if len(arguments) == 1 else _of_two
    return ibis.udf.scalar.builtin(shape, name=name, signature=(arguments, result))


def _of_one(argument: Any) -> Any:
    """The engine's own."""


def _of_two(first: Any, second: Any) -> Any:
    """The engine's own."""
