"""DuckDB: files where they lie, larger than memory, on as many threads as are given.

Rows of ours live in temporary tables. What memory does not hold spills to a folder of this account alone, which `close`
deletes. No extension is loaded or fetched.

>>> engine = DuckDB(threads=1)
>>> engine.table("(VALUES ('f'), ('m'), ('f'), (NULL)) people(sex)").value_counts("sex").counts.tolist()
[2, 1]

Not guaranteed: a share of memory smaller than a few hundred MiB; DuckDB needs some for each thread. Nor secrecy of what
spills from whoever reads the disk: it is encrypted with a key of this process, but DuckDB draws such keys with a
generator that it does not call secure itself unless an extension brings one, and a process that is killed leaves the
files. Keep temporary files on an encrypted disk.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, final

import pyarrow as pa

from dpsynth.core.errors import DataError
from dpsynth.data.arrow_types import too_wide
from dpsynth.data.engines.builtin import builtin
from dpsynth.data.engines.protocol import ROW, EngineLost, Field, quoted
from dpsynth.data.engines.sources.files import FileSource
from dpsynth.data.engines.sources.footers import Footers
from dpsynth.data.engines.sources.unchanged import UnchangedFiles
from dpsynth.data.engines.types import dtype_of, kind_of, warning_of
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.recipe import Kind
from dpsynth.data.warning import listed

EXACT_DIGITS = 15
SHARE, LEAST = 0.4, 512 << 20
"""Of the memory there is, at least so many bytes: answers, the model and this process need some too. Beyond it codes go
to the private folder."""
CONTAINER = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
FILE_ROWS = 40
"""Bits of a row's identity that say its place in its file; 23 say which file."""


@final
class DuckDB:
    """A connection to an engine in this process.

    Args:
        threads: how many; all cores if None.
        memory_limit: as DuckDB writes it, "2GiB"; `SHARE` of the machine's (or of its container's) if None.
        folder: where rows may spill; a private folder in the temporary folder if None.
    """

    name: ClassVar[str] = "duckdb"
    dialect: ClassVar[str] = "duckdb"
    batch: ClassVar[int] = 64
    singles: ClassVar[int] = 400

    def __init__(
        self, *, threads: int | None = None, memory_limit: str | None = None, folder: Path | None = None
    ) -> None:
        import duckdb

        self._folder = Path(tempfile.mkdtemp(prefix="dpsynth-duckdb-", dir=folder))
        self._numbers, self._files, self._other = itertools.count(), UnchangedFiles(), False
        self._systems: list[str] = []
        self.connection: Any = duckdb.connect()
        settings: dict[str, Any] = {
            "temp_directory": str(self._folder),
            "force_mbedtls_unsafe": True,  # else the first row that spills is an error, for want of a secure generator
            "temp_file_encryption": True,
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "threads": threads,
            "memory_limit": memory_limit or f"{max(int(SHARE * memory()), LEAST) >> 20}MiB",
        }
        for setting, value in settings.items():
            if value is not None:
                words = str(value).lower() if value is True or value is False else str(value)
                self.connection.execute(f"SET {setting} = {self.literal(words)}")

    def parquet(self, files: Sequence[Path]) -> EngineTable:
        """The rows of Parquet files, which are read where they lie each time that they are asked for.

        Only columns whose footers do not name finite ends are searched for numbers that are not finite.

        Raises:
            SourceChanged: now, or at any later statement: a file is another than it was now.
        """
        from pyarrow.fs import LocalFileSystem

        paths = [str(path.absolute()) for path in files]
        listed = FileSource(root="/", names=tuple(p[1:] for p in paths), filesystem=LocalFileSystem(), local=True)
        self._files.add(listed)
        names = _listed(_literal_path(path) for path in paths)
        return self._read(f"read_parquet([{names}], union_by_name = true)", Footers.of(self.fetch, listed, names))

    def files(self, source: FileSource, *, numbered: bool = False) -> EngineTable:
        """The rows of files, here or in a bucket, with the partitions of their folders as columns.

        Args:
            source: which files; they are read where they lie each time that they are asked for.
            numbered: give each row an identity of its own (`ROW`): its file's place in the list, and its place in the
                file. It holds for one version of the files only (`FileSource.version`).

        Raises:
            DataError: a column stands in the files and in the folders' names; files of different partitions.
            SourceChanged: now, or at any later statement: a file is another than it was now.
        """
        self._files.add(source)
        names = _listed(_literal_path(path) for path in self._paths(source))
        footers = Footers.of(self.fetch, source, names)
        return self._read(f"({self.query_of(source, names, numbered=numbered)})", footers)

    def query_of(self, source: FileSource, names: str | None = None, *, numbered: bool = False) -> str:
        """SQL that reads all columns of files; `names` if they are known to this connection already."""
        if names is None:
            names = _listed(_literal_path(path) for path in self._paths(source))
        partitions = source.partitions()
        options = "union_by_name = true, hive_partitioning = false"
        inside = self.fetch(f"SELECT column_name FROM (DESCRIBE SELECT * FROM read_parquet([{names}], {options}))")  # noqa: S608
        ours = {ROW, *(("file_index", "file_row_number") if numbered else ())}
        folders = {name.lower() for name in partitions}  # DuckDB does not tell names apart by case
        twice = sorted(name for name in inside.column(0).to_pylist() if name.lower() in folders | ours)
        twice += sorted(name for name in partitions if name.lower() in ours)
        if twice:
            raise DataError(
                f"Column {listed(twice)} stands in the files, and is also the name of a partition or of a row's place.",
                "Rename it in the files.",
            )
        chosen = "*"
        if partitions:
            kinds = ", ".join(f"{quoted(name)}: {kind}" for name, kind in partitions.items())
            options = f"union_by_name = true, hive_partitioning = true, hive_types = {{{kinds}}}"
            above = [quoted(name) for name in source.outer_keys() if name not in partitions]
            chosen = f"* EXCLUDE ({', '.join(above)})" if above else "*"
        row = f'(CAST(file_index AS BIGINT) << {FILE_ROWS}) + file_row_number AS "{ROW}"'
        chosen += f", {row}" if numbered else ""
        return f"SELECT {chosen} FROM read_parquet([{names}], {options})"  # noqa: S608 - names are quoted

    def _require_64_bits(self, relation: str, columns: Sequence[str]) -> None:
        """Refuse integers that are wider than the type that a table has."""
        if not columns:
            return
        asked = ", ".join(
            f"COALESCE(BOOL_OR({quoted(name)} NOT BETWEEN {-(2**63)} AND {2**63 - 1}), false)" for name in columns
        )
        answer = self.fetch(f'SELECT {asked} FROM "{relation}"')  # noqa: S608 - quoted names
        odd = [name for name, column in zip(columns, answer.columns, strict=True) if column[0].as_py()]
        if odd:
            raise too_wide(odd)

    def _paths(self, source: FileSource) -> list[str]:
        """Paths as this connection reads them; a bucket's go through its file system in this process."""
        if source.local:
            return list(source.paths)
        from dpsynth.data.engines.sources.buckets import wrapped

        scheme = f"bucket{next(self._numbers)}"
        self.connection.register_filesystem(wrapped(source.filesystem, scheme))
        self._systems.append(scheme)
        return [f"{scheme}://{path}" for path in source.paths]

    def table(self, source: str) -> EngineTable:
        """A table of whatever stands after FROM, which is trusted SQL.

        Raises:
            DataError: a column of a type that no table has; a number beyond 64 bits, or not finite.
        """
        self._other = True
        return self._read(source)

    def _read(self, source: str, footers: Footers | None = None) -> EngineTable:
        """A table; columns that footers say are finite are not searched for numbers that are not."""
        footers = Footers() if footers is None else footers
        view = self.view(f"SELECT * FROM {source}")  # noqa: S608 - trusted by contract
        described = self.fetch(f'SELECT column_name, column_type FROM (DESCRIBE "{view}")')  # noqa: S608 - our own name
        fields: dict[str, Field] = {}
        hidden: dict[str, Field] = {}
        cells, doubtful, wide = [], {}, []
        for at, row in enumerate(described.to_pylist()):
            name, dtype = row["column_name"], dtype_of(self.dialect, row["column_name"], row["column_type"])
            kind, decimals = kind_of(name, dtype)
            (hidden if name == ROW else fields)[name] = Field(
                cell=f"c{at}",
                kind=kind,
                decimals=decimals,
                warning=footers.warning_of(name, kind) or warning_of(name, dtype),
            )
            cells.append(f'{_raw(quoted(name), kind, dtype)} AS "c{at}"')
            if kind == "integer" and (dtype.is_decimal() or dtype.is_uint64()):
                wide.append(name)
            if kind == "float" and not dtype.is_decimal() and name not in footers.finite:
                doubtful[name] = f"c{at}"
        self._require_64_bits(view, wide)
        raw = self.view(f'SELECT {", ".join(cells)} FROM "{view}"')  # noqa: S608 - our own names
        self._require_finite(raw, doubtful)
        return EngineTable(self, raw, fields, row=hidden.get(ROW))

    def store(self, query: str) -> str:
        """Run a query once and keep its rows inside the engine; the name they are kept under."""
        name = self._name()
        self._execute(f'CREATE TEMP TABLE "{name}" AS {query}')
        return name

    def view(self, query: str) -> str:
        """A name for a query that is run each time it is asked."""
        name = self._name()
        self._execute(f'CREATE TEMP VIEW "{name}" AS {query}')
        return name

    def upload(self, rows: pa.Table) -> str:
        """A small public table inside the engine; its name."""
        name = self._name()
        with self._asked():
            self.connection.register(f"{name}_arrow", rows)
            self.connection.execute(f'CREATE TEMP TABLE "{name}" AS SELECT * FROM "{name}_arrow"')  # noqa: S608
            self.connection.unregister(f"{name}_arrow")
        return name

    def drop(self, relation: str) -> None:
        """Forget what `store` or `upload` kept."""
        self._execute(f'DROP TABLE "{relation}"')

    def fetch(self, query: str) -> pa.Table:
        """The rows of a query."""
        with self._asked():
            return self.connection.sql(query).to_arrow_table()

    def stream(self, query: str, rows: int) -> Iterator[pa.RecordBatch]:
        """The rows of a query, about so many at a time."""
        with self._asked():
            yield from self.connection.sql(query).to_arrow_reader(rows)

    def exploded(self, source: str, numbers: Sequence[str]) -> None:
        """Grouping sets are counted as fast."""
        del source, numbers

    def nearest(self, number: Any) -> Any:
        """Ibis: a double rounded to the nearest whole double, half to even."""
        return builtin("round_even", ("float64", "int64"), "float64")(number, 0)

    def quotient(self, dividend: Any, divisor: int) -> Any:
        """Ibis: whole part of a non-negative 64-bit integer divided by a positive one, exactly."""
        return builtin("divide", ("int64", "int64"), "int64")(dividend, divisor)

    def sha256(self, text: str) -> str:
        """SQL: SHA-256 of an expression of text's UTF-8 bytes, as 64 lower-case hexadecimal digits in byte order."""
        return f"sha256({text})"

    def text(self, cell: str) -> str:
        """SQL: an expression of an integer (or text) as text."""
        return f"CAST({cell} AS VARCHAR)"

    def whole(self, digits: str) -> str:
        """SQL: fifteen hexadecimal digits, an expression of text, as a whole number whose sums do not overflow."""
        return f"CAST('0x' || {digits} AS BIGINT)"

    def parsed(self, cell: str, kind: Kind) -> str:
        """SQL: a raw cell of an expression of text (or number) that is one in ISO."""
        words = {"integer": "BIGINT", "float": "DOUBLE", "date": "DATE", "datetime": "TIMESTAMP"}
        typed = f"CAST({cell} AS {words[kind]})"
        return _raw(typed, kind, None) if kind in ("date", "datetime") else typed

    def literal(self, text: str) -> str:
        """SQL: a constant text."""
        return "'" + text.replace("'", "''") + "'"

    def matches(self, cell: str, pattern: str) -> str:
        """SQL: whether an expression of text matches a pattern somewhere."""
        return f"regexp_matches({cell}, {self.literal(pattern)})"

    def not_ascii(self, cell: str) -> str:
        """SQL: whether an expression of text has a character beyond ASCII: more bytes than characters."""
        return f"(STRLEN({cell}) > LENGTH({cell}))"

    def composed(self, cell: str) -> str:
        """SQL: an expression of text in Unicode's form NFC."""
        return f"nfc_normalize({cell})"

    def bucketed(self, relation: str, cells: Sequence[str], buckets: int) -> str:
        """SQL after FROM: a relation, and in `bucket` a number that equal rows share."""
        return f'(SELECT *, hash({", ".join(cells)}) % {buckets} AS "bucket" FROM "{relation}") AS "t"'  # noqa: S608 - our own names

    def content(self) -> str | None:
        """Digest of all opened files (private); None if a table was opened that may be more than files."""
        return None if self._other else self._files.version()

    def close(self) -> None:
        """Leave nothing behind."""
        while self._systems:
            self.connection.unregister_filesystem(self._systems.pop())
        self.connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _name(self) -> str:
        return f"dpsynth_{next(self._numbers)}"

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """A statement, and a look at the files after it; that they changed is said before what came of it."""
        try:
            with _refused():
                yield
        finally:
            self._files.check()

    def _execute(self, statement: str) -> None:
        with self._asked():
            self.connection.execute(statement)

    def _require_finite(self, relation: str, floats: Mapping[str, str]) -> None:
        if not floats:
            return
        asked = ", ".join(f'COALESCE(BOOL_OR(isinf("{cell}")), false)' for cell in floats.values())
        answer = self.fetch(f'SELECT {asked} FROM "{relation}"')  # noqa: S608 - our own names
        odd = [name for name, column in zip(floats, answer.columns, strict=True) if column[0].as_py()]
        if odd:
            raise DataError(
                f"Column {listed(odd)} holds numbers that are not finite; no bound can hold them.",
                "Replace them by missing cells or by a public bound.",
            )


def memory() -> int:
    """Bytes of memory of this machine, or of the container that it is."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in CONTAINER:
        if file.exists() and (text := file.read_text("ascii").strip()).isdigit():
            found = min(found, int(text))
    return found


def _raw(cell: str, kind: str, dtype: Any) -> str:
    """SQL of a raw cell: text, integer, double or truth value; days and microseconds since 1970."""
    if kind == "float":
        exact = f"CAST({cell} AS VARCHAR)" if dtype.is_decimal() and (dtype.precision or 38) > EXACT_DIGITS else cell
        double = f"CAST({exact} AS DOUBLE)"
        # ends in footers pass over NaN, and by them `isnan` and comparisons are taken for false before a cell is read
        number = f"CASE WHEN isfinite({double}) THEN {double} WHEN isinf({double}) THEN {double} END"
        return double if dtype.is_decimal() else number
    if kind == "date":
        return f"CAST({cell} - DATE '1970-01-01' AS BIGINT)"
    if kind == "datetime":
        return f"epoch_us({cell})"
    if kind == "string":  # a column's own collation may take two people for one, and join one row twice
        return f'CAST({cell} AS VARCHAR) COLLATE "C"'
    return f"CAST({cell} AS {'BOOLEAN' if kind == 'boolean' else 'BIGINT'})"


def _listed(paths: Iterable[str]) -> str:
    return ", ".join(f"'{path}'" for path in paths)


def _literal_path(path: str) -> str:
    """A path in which nothing is a pattern, between quotes of SQL."""
    return re.sub(r"([*?\[])", r"[\1]", path).replace("'", "''")


def _lost(duckdb: Any) -> tuple[type[Exception], ...]:
    """What is no fault of the rows."""
    return (
        duckdb.IOException,
        duckdb.OutOfMemoryException,
        duckdb.ConnectionException,
        duckdb.FatalException,
        duckdb.InterruptException,
    )


@contextmanager
def _refused() -> Iterator[None]:
    """DuckDB's refusals without its words, which hold cells, paths and credentials."""
    import duckdb

    try:
        yield
    except _lost(duckdb) as error:
        raise EngineLost(
            f"DuckDB gave up ({type(error).__name__}): a file, memory, or the disk that it spills to; its own words are"
            " left out, since they may hold cells.",
            "Check that the files are there, and give it memory and disk.",
        ) from None
    except duckdb.Error as error:
        raise DataError(
            f"DuckDB refused ({type(error).__name__}); its own words are left out, since they may hold cells.",
            "Check that the files are readable and their numbers fit 64 bits.",
        ) from None
