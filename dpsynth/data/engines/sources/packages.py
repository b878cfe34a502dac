"""The packages that an engine needs, which are optional extras; said by name before anything else is tried.

>>> require("duckdb")
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType

from dpsynth.core.errors import DpsynthError

NEEDED: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        "duckdb": (("ibis", "duckdb"), "engines"),
        "postgresql": (("ibis", "psycopg"), "engines,postgresql"),
        "spark": (("ibis", "pyspark"), "spark"),
    }
)


def require(kind: str) -> None:
    """Refuse where a package is not installed.

    Raises:
        DpsynthError: with the command that installs it.
    """
    packages, extra = NEEDED[kind]
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise DpsynthError(
            f"Rows of this engine ({kind}) need packages that are not installed: {', '.join(missing)}.",
            f"pip install 'dpsynth-release[{extra}]'",
        )
