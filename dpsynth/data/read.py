r"""One function from a path to a table.

>>> import pathlib, tempfile
>>> with tempfile.TemporaryDirectory() as folder:
...     path = pathlib.Path(folder, "a.csv"); _ = path.write_text("age,sex\n31,f\n40,m\n")
...     read(path).types["age"]
'integer'

Not guaranteed: that the table fits synthesis; `dpsynth.schema.checks.prepare` reads and checks.
"""

from __future__ import annotations

import os
from pathlib import Path

from dpsynth.core.errors import DataError
from dpsynth.data import csv_source, parquet_source
from dpsynth.data.declared import conform
from dpsynth.data.options import ReadOptions
from dpsynth.data.source import fingerprint, load
from dpsynth.data.table import Table
from dpsynth.data.warning import listed

DEFAULTS = ReadOptions()


def read(path: str | os.PathLike[str], *, options: ReadOptions = DEFAULTS) -> Table:
    """Read a CSV (also gzipped) or Parquet file whole.

    Args:
        path: a regular file, or a link to one.
        options: words for missing, declared types, encoding, limits.

    Returns:
        The table; its `warnings` name columns whose reading may surprise.

    Raises:
        DataError: the file cannot be read without losing or guessing something; names line or column and
            remedy.
    """
    source = load(path, options)
    if source.format == "text":
        table = csv_source.parse(source.content, options)
    else:
        table = conformed(parquet_source.parse(source.content, options), options)
    absent = [name for name in options.columns if name not in table.types]
    if absent:
        raise DataError(f"The file has no column {listed(absent)}.", "Correct the name in the schema.")
    origin = (str(Path(path).resolve()), fingerprint(path))
    return Table(table.to_arrow(), decimals=table.decimals, warnings=table.warnings, origin=origin)


def conformed(table: Table, options: ReadOptions) -> Table:
    """A table that has types already, with the columns that `options` speak of in their declared type."""
    arrow = table.to_arrow()
    for position, name in enumerate(table.columns):
        wanted = options.of(name)
        if wanted.type is not None or wanted.missing:
            arrow = arrow.set_column(position, name, conform(name, arrow.column(position), wanted))
    return Table(arrow, decimals=table.decimals, warnings=table.warnings)
