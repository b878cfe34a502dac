"""Tables that stay where they are: engines that count for us.

An engine is one file here (`duckdb`, `postgresql`, `spark.engine`): it connects, says how its own column types become
the six of a table, and runs SQL. `sources` turns what a person types into an engine and a place. The rest is the same
for all: `encoding` compiles a recipe, `counting` asks for many histograms in few scans, `warehouse` is the table
that a fit sees.

>>> sorted(ENGINES)
['duckdb', 'postgresql', 'spark']

Not guaranteed: privacy, as with `Table`: integers that come out are exact, and only mechanisms may release them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "duckdb": "dpsynth.data.engines.duckdb:DuckDB",
        "postgresql": "dpsynth.data.engines.postgresql:PostgreSQL",
        "spark": "dpsynth.data.engines.spark.engine:Spark",
    }
)
"""Name -> module:class."""
