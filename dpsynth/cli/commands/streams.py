"""Folders, patterns and files of Parquet that an audit reads in blocks, of whatever size.

    out/                    every Parquet file below it
    out/part-*.parquet      a pattern
    s3://bucket/out/        likewise in a bucket; credentials come from the environment

Each block is read in the types that a file of the same rows would be read in, so that figures are those of one file.

>>> is_place(Path("out/part-*.parquet")), is_place(Path("out.parquet"))
(True, False)

Not guaranteed: that texts of moments all bear an offset or none; a file in memory is refused, of blocks each by itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import DataError

if TYPE_CHECKING:
    from attacks import Released
    from dpsynth.data.options import ColumnOptions, ReadOptions
    from dpsynth.data.table import Table

PARQUET = (".parquet", ".pq")
PIECE = 1 << 20
_BUCKET = re.compile(r"^(s3|gs):/+")


def is_place(path: Path) -> bool:
    """Whether this is a folder, a pattern or a bucket, and not one file."""
    wild = re.search(r"[*?\[]", str(path)) or _BUCKET.match(str(path))
    return path.is_dir() or (wild is not None and not path.exists())


def opened(name: str, path: Path) -> Released:
    """The rows of a place or of a Parquet file, none of them read yet.

    Raises:
        ParameterError: there is no file.
        DataError: the files are CSV, or lie in folders whose names are columns.
        AttackInputError: they differ in columns or types, or are no Parquet.
    """
    import pyarrow as pa
    import pyarrow.dataset as ds

    from attacks import Released
    from attacks.errors import AttackInputError

    files = _files(path)
    if files.partitions():
        raise DataError(
            f"The {name} files lie in folders called key=value, whose names are columns that the files lack.",
            "Write these columns into the files.",
        )
    try:
        found = ds.dataset(list(files.paths), filesystem=files.filesystem, format="parquet")
    except (OSError, pa.ArrowException) as error:
        raise AttackInputError(
            f"The {name} table cannot be read as Parquet: {type(error).__name__}.", "Export the files again."
        ) from None
    return Released.of(found, name=name)


def empty(source: Released, options: ReadOptions) -> Table:
    """A table without rows, of the names and types that the rows are read in."""
    from dpsynth.data.read import conformed
    from dpsynth.data.table import Table
    from dpsynth.data.warning import listed

    absent = [name for name in options.columns if name not in source.columns]
    if absent:
        raise DataError(f"The files have no column {listed(absent)}.", "Correct the name in the schema.")
    none = source.source.schema.empty_table().select(list(source.columns)).replace_schema_metadata(None)
    return conformed(Table.from_arrow(none), options)


def typed(source: Released, columns: Sequence[str], options: Mapping[str, ColumnOptions]) -> Released:
    """The rows with these columns, in declared types."""
    from dpsynth.data.options import ReadOptions
    from dpsynth.data.read import conformed
    from dpsynth.data.table import Table

    def shape(block: Any) -> Any:
        here = {name: options[name] for name in block.column_names if name in options}
        table = Table.from_arrow(block.replace_schema_metadata(None))
        return conformed(table, ReadOptions(columns=here)).to_arrow()

    return source.read_as(columns, shape)


def digest(path: Path) -> tuple[int, str]:
    """How many files, and SHA-256 of the one file's bytes, or of names and digests of many in their order."""
    if not is_place(path):
        from dpsynth.data.source import fingerprint

        return 1, fingerprint(path)
    files, whole = _files(path), hashlib.sha256()
    for name, where in zip(files.names, files.paths, strict=True):
        own = hashlib.sha256()
        with files.filesystem.open_input_stream(where) as stream:
            while piece := stream.read(PIECE):
                own.update(piece)
        whole.update(hashlib.sha256(name.encode()).digest() + own.digest())
    return len(files.names), whole.hexdigest()


def _files(path: Path) -> Any:
    from dpsynth.data.engines.sources.files import FileSource

    return FileSource.at(_BUCKET.sub(r"\1://", str(path)))
