r"""From what a person types to where the rows are, without a credential in it.

    postgresql://analyst:secret@host:5432/warehouse   --table health.claims     PostgreSQL
    spark://host:7077, local[2]                       --table warehouse.claims  Spark
    folder/, folder/*.parquet, file.parquet           DuckDB
    s3://bucket/prefix/*.parquet, gs://…              DuckDB; credentials from the environment or a profile

`place` is what may be shown, logged and committed to: engine, host, port, database, schema and table, or the absolute
path; never an account, a password or a parameter of the URL. A budget belongs to a place, so a new version of a table
has no new budget. One place has one name: links are followed, a table without a schema is PostgreSQL's `public`, and
what would lead elsewhere than host, port and database of the URL (`?host=`, `PGHOSTADDR`) is refused. The URL as typed
is held only until the engine is open, and no `repr` shows it.

>>> source = parse("postgresql://ann:hunter2@db.example/claims?sslmode=require", table="health.visits")
>>> source.place, "hunter2" in repr(source)
('postgresql://db.example:5432/claims/health.visits', False)

Not guaranteed: that two names of one host are one place (but for names of this very machine), nor that a view is the
table below it; a person who grants a budget twice does so knowingly.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final
from urllib.parse import parse_qsl, unquote, urlsplit

from dpsynth.core.errors import ParameterError
from dpsynth.data.engines.protocol import Engine
from dpsynth.data.engines.sources import packages
from dpsynth.data.engines.sources.files import WILD, FileSource, parted, require_bare
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.warning import shown

if TYPE_CHECKING:
    from dpsynth.data.engines.postgresql import PostgreSQL
    from dpsynth.data.engines.spark.engine import Spark

AnyEngine = TypeVar("AnyEngine", bound=Engine)
Kind = Literal["duckdb", "postgresql", "spark"]
POSTGRESQL = ("postgresql", "postgres")
PORT, MASTER = 5432, 7077
SCHEMA = "public"
LEADING = ("host", "hostaddr", "port", "dbname", "service", "servicefile")
"""Parameters of a URL that libpq prefers to its host, port and database."""
HERE = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})
LONGEST = 63
"""Bytes of a name of PostgreSQL; it cuts longer ones, so that one table would have many names."""
_LOCAL = re.compile(r"local(\[(\d+|\*)(,\d+)?\])?|local-cluster\[\d+,\d+,\d+\]")
_NUMBER = re.compile(r"(0x[0-9a-f]+|[0-9]+)(\.(0x[0-9a-f]+|[0-9]+)){0,3}", re.IGNORECASE)
_MASTER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s/?#;:@,\[\]]+)(:[0-9]{1,5})?")
_PART = re.compile(r"\w+|`(?:[^`/]|``)+`", re.ASCII)
_ELSEWHERE = re.compile(r"[\\/]{2}|[A-Za-z][A-Za-z0-9+.-]*:")
_CONNECTION = re.compile(
    r"(?i)\b((ssl)?password|passfile|pwd)\s*=\s*[^/*?]|\b(user|host|dbname|service)\s*=\s*\S+\s+\w+\s*="
)
ALIASES = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gs", "gcs": "gs"}
"""Schemes of buckets, and the one that each is another word for."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SourceURL:
    """Where rows are.

    Attributes:
        kind: the engine.
        place: what may be shown: without account, password and parameters.
        table: name of the table, `schema.table` or `table`; None for files.
        pattern: path or glob of files; None for a server.
        connection: what the engine connects with; may hold credentials, and is in no repr.
    """

    kind: Kind
    place: str
    table: str | None = None
    pattern: str | None = None
    connection: str = field(default="", repr=False, compare=False)

    def files(self) -> FileSource:
        """The Parquet files of a folder or pattern, in order of their names.

        Raises:
            ParameterError: there are none.
            DataError: they cannot be listed, or are CSV.
        """
        return FileSource.at(self.pattern or "")

    def open(self, *, numbered: bool = False, **options: Any) -> EngineTable:
        """Connect, and make the table.

        Args:
            numbered: give rows of files an identity of their own, see `DuckDB.files`; of files only.
            options: the engine's own.

        Raises:
            DataError: the engine refuses; its own words are left out.
            ParameterError: rows of a server, which have no numbers, are to be numbered.
        """
        packages.require(self.kind)
        if self.kind == "duckdb":
            from dpsynth.data.engines.duckdb import DuckDB

            files = self.files()
            with _closed_unless_made(DuckDB(**options)) as duckdb:
                return duckdb.files(files, numbered=numbered)
        if numbered:
            raise ParameterError("Rows of a server have no place that stays.", "Name a row key, or a unit.")
        if self.kind == "postgresql":
            schema, _, name = (self.table or "").rpartition(".")
            with _closed_unless_made(server(self, **options)) as postgresql:
                return postgresql.table(name, schema or None)
        with _closed_unless_made(cluster(self, **options)) as spark:
            return spark.table(self.table or "")


def server(source: SourceURL, **options: Any) -> PostgreSQL:
    """A connection to the server of a source, which is where its place says.

    Raises:
        DataError: the server refuses, or is away.
        ParameterError: libpq's environment leads elsewhere.
    """
    from dpsynth.data.engines.postgresql import PostgreSQL

    with _closed_unless_made(PostgreSQL(source.connection, **options)) as made:
        _require_place(made.connection, source)
        return made


def cluster(source: SourceURL, **options: Any) -> Spark:
    """A session of the cluster of a source: Spark hands out the one that this process has, whatever it was asked for.

    Raises:
        DataError: the cluster refuses, or is away.
        ParameterError: this process has a session elsewhere.
    """
    from dpsynth.data.engines.spark.engine import Spark

    with _closed_unless_made(Spark(source.connection, **options)) as made:
        if _spark_place(made.session.sparkContext.master) != _spark_place(source.connection):
            raise ParameterError(
                "This process has a Spark session on another cluster than the URL says.",
                "Stop that session, or name its cluster: a budget belongs to that place.",
            )
        return made


@contextmanager
def _closed_unless_made(engine: AnyEngine) -> Iterator[AnyEngine]:
    """Nothing is left open where no table came of it."""
    try:
        yield engine
    except BaseException:
        engine.close()
        raise


def is_engine(source: str) -> bool:
    """Whether an argument names an engine's rows rather than one file to be read into memory."""
    scheme = source.partition("://")[0]
    if "://" in source:
        return scheme.lower() in (*POSTGRESQL, *ALIASES, "spark", "file")
    if _LOCAL.fullmatch(source) or WILD.search(source):
        return not Path(source).is_file()  # a file's name may hold a bracket
    return Path(source).expanduser().is_dir()


def parse(source: str, *, table: str | None = None) -> SourceURL:
    """Read an argument.

    Args:
        source: a URL, a Spark master, a folder, a glob or a file.
        table: `--table`.

    Raises:
        ParameterError: an unknown scheme, a URL without host or database, a table that is missing or out of place. No
            message repeats the argument, which may hold a password.
    """
    if _LOCAL.fullmatch(source) or source.startswith("spark://"):
        place = f"{_spark_place(source)}/{_in_catalogue(_named(table))}"
        return SourceURL(kind="spark", place=place, table=table, connection=source)
    scheme, separator, rest = source.partition("://")
    if table is None and separator and scheme.lower() in ALIASES:
        return _in_bucket(ALIASES[scheme.lower()], rest)
    if separator and scheme == "file":
        return parse(_of_file_url(rest), table=table)
    if separator and scheme in POSTGRESQL:
        server, qualified = _server(source), _qualified(_named(table))
        return SourceURL(kind="postgresql", place=f"{server}/{qualified}", table=qualified, connection=source)
    if separator:
        raise ParameterError(
            f"Sources of the scheme {shown(scheme)} are not read."
            if re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme)
            else "The source is no URL that is read.",
            "Give postgresql://host/database, spark://host:port, local[2], s3://bucket/prefix, or a path to files.",
        )
    _require_path(source)
    if table is not None:
        raise ParameterError("Files have no table to name.", "Leave --table out.")
    whole = _whole_path(source)
    return SourceURL(kind="duckdb", place=whole, pattern=whole)


def _in_bucket(scheme: str, rest: str) -> SourceURL:
    """A bucket's place: its name, and the path without empty parts at its ends."""
    require_bare(f"{scheme}://{rest}")
    place = f"{scheme}://{rest.strip('/')}"
    if any(part in ("", ".", "..") for part in rest.strip("/").split("/")):
        raise ParameterError(
            "The path in the bucket has parts that are empty, '.' or '..', so one file would have many names.",
            "Write it without them.",
        )
    return SourceURL(kind="duckdb", place=place, pattern=place)


def _of_file_url(rest: str) -> str:
    host, slash, path = rest.partition("/")
    if host.lower() not in ("", "localhost") or "?" in path or "#" in path:
        raise ParameterError("The file's URL names another computer, or has parameters.", "Write file:///folder.")
    return unquote(f"{slash}{path}")


def _require_path(source: str) -> None:
    """Refuse what is no path here, but may hold a password: a URL with a slash missing, a connection string, …"""
    fixed = fixed_part(source)
    if fixed.parts and os.path.exists(fixed):  # noqa: PTH110 - a name too long is no error here
        return
    if _ELSEWHERE.match(source) or "\0" in source:
        raise ParameterError(
            "The source is a path of another computer, of another system, or a URL that is not complete.",
            "Give a path on this computer, or a whole URL: postgresql://host/database, s3://bucket/prefix.",
        )
    if _CONNECTION.search(source):
        raise ParameterError(
            "The source looks like a connection string, which may hold a password.",
            "Write postgresql://host/database, and leave the password to ~/.pgpass or PGPASSWORD.",
        )


def without_credentials(text: str) -> str:
    """A text with what stands between :// and @ of any URL in it left out, and its parameters.

    >>> without_credentials("cannot open postgresql://ann:pw@host/db?password=x now")
    'cannot open postgresql://host/db now'
    """
    bare = re.sub(r"(\w://)\S*@", r"\1", text)
    bare = re.sub(r"(\w://[^\s?]*)\?\S*", r"\1", bare)
    return re.sub(
        r"(?i)\b(\w*password|passwd|pwd|\w*secret\w*|\w*token)(\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s;&]+)", r"\1\2…", bare
    )


def _server(source: str) -> str:
    """Host, port and database of a URL, as a place names them."""
    try:
        parts = urlsplit(source)
        host, port = _host(parts.netloc), parts.port
        said = dict(parse_qsl(parts.query, keep_blank_values=True))
        if "@" in parts.path or parts.fragment:  # the rest of a password whose / or # stands as it is
            raise ValueError
    except ValueError:
        raise ParameterError("The URL of the server cannot be read.", "Quote special characters as %xx.") from None
    database = unquote(parts.path.strip("/"))
    if host is None:  # a socket's folder can only be a parameter
        host = said.pop("host", None)
        port = port or (int(said["port"]) if said.get("port", "").isdigit() else None)
        said.pop("port", None)
    if not host or not database or "/" in database:
        raise ParameterError(
            "The URL names no host, or no database.", "Write postgresql://host/database; name the table by --table."
        )
    elsewhere = [name for name in LEADING if name in said]
    if elsewhere or "," in host:
        raise ParameterError(
            f"The URL's parameter '{elsewhere[0]}' leads elsewhere than its host, port and database."
            if elsewhere
            else "The URL names several hosts, and a budget belongs to one place.",
            "Write postgresql://host:port/database, without it: a budget belongs to that place.",
        )
    if len(database.encode()) > LONGEST:
        raise _too_long()
    return _server_place(host, port or PORT, database)


def _server_place(host: str, port: int | str, database: str) -> str:
    return f"postgresql://{_known_host(host)}:{port}/{database}"


def _host(netloc: str) -> str | None:
    """The host of a URL as libpq decodes it: a socket's folder may be quoted there, and its case counts."""
    host = netloc.rpartition("@")[2]
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return unquote(host) or None


def _known_host(host: str) -> str:
    """One spelling of a host: a socket's folder without links, an address in its shortest form, a name in ASCII."""
    if host.startswith("/"):
        return str(Path(host).resolve())
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        known = host.lower().rstrip(".")
        with suppress(UnicodeError):
            known = known.encode("idna").decode()
        if not _NUMBER.fullmatch(known):
            return "localhost" if known in HERE else known
        try:  # 127.1, 0x7f000001: what every resolver reads as an address
            address = ip_address(socket.inet_aton(known))
        except OSError:
            return known
    address = getattr(address, "ipv4_mapped", None) or address
    return "localhost" if address.is_loopback or address.is_unspecified else str(address)


def _require_place(connection: Any, source: SourceURL) -> None:
    """What libpq connected to is the place: its environment may say something else than the URL.

    Psycopg looks a host up itself and hands its address on, so an address is there with every host; one of a socket's
    folder, or of `PGHOSTADDR`, came from elsewhere.
    """
    found = {option.keyword.decode(): (option.val or b"").decode() for option in connection.pgconn.info}
    server = _server_place(found["host"], found["port"], found["dbname"])
    led = found["hostaddr"] and (found["host"].startswith("/") or os.environ.get("PGHOSTADDR"))
    if led or f"{server}/{source.table}" != source.place:
        raise ParameterError(
            "The connection led elsewhere than the URL says: PGHOSTADDR, PGPORT or a service is set.",
            "Unset it, and write host, port and database into the URL: a budget belongs to that place.",
        )


def _qualified(table: str) -> str:
    """A table with its schema: the same one whatever the account's search path."""
    if table.count(".") > 1:
        raise ParameterError("A table of PostgreSQL is schema.table.", "The database stands in the URL.")
    if any(len(part.encode()) > LONGEST for part in table.split(".")):
        raise _too_long()
    return table if "." in table else f"{SCHEMA}.{table}"


def _in_catalogue(table: str) -> str:
    """A table of Spark's own catalogue by its whole name; catalogues may not tell names apart by case.

    Raises:
        ParameterError: Spark's parser would read something else than names there: blanks, comments, a path of files.
    """
    parts = [found[0] for found in _PART.finditer(table)]
    if not 1 <= len(parts) <= 3 or ".".join(parts) != table:
        raise ParameterError(
            "The name of Spark's table is none of a catalogue.",
            "Write catalogue.database.table, a part with signs in backticks; files are named as the source itself.",
        )
    bare = [part[1:-1].replace("``", "`") if part.startswith("`") else part for part in parts]
    name = ".".join(bare).lower().removeprefix("spark_catalog.")
    return name if "." in name else f"default.{name}"


def fixed_part(pattern: str) -> Path:
    """The folder (or file) above the first wildcard of a path; of a bucket's URL likewise."""
    return Path(parted(pattern)[0])


def _whole_path(source: str) -> str:
    """An absolute path without links and `..`, so that one folder has one name; wildcards as they are."""
    path = Path(source).expanduser().absolute()
    fixed = fixed_part(str(path))
    rest = path.parts[len(fixed.parts) :]
    if ".." in rest:
        raise ParameterError("A pattern goes down only: it has `..` behind a wildcard.", "Name the folder itself.")
    return str(fixed.resolve().joinpath(*rest))


def _spark_place(source: str) -> str:
    if source.startswith("local"):
        return "spark://local"
    masters = source.removeprefix("spark://").rpartition("@")[2].split(",")
    return "spark://" + ",".join(sorted(_master(master) for master in masters))


def _master(text: str) -> str:
    found = _MASTER.fullmatch(text)
    if found is None:
        raise ParameterError("The URL of the cluster has more than hosts and ports.", "Write spark://host:7077.")
    return f"{_known_host(found[1].strip('[]'))}:{int((found[2] or f':{MASTER}')[1:])}"


def _too_long() -> ParameterError:
    return ParameterError(
        f"A name of more than {LONGEST} bytes is cut by PostgreSQL, so that its table would have many names.",
        "Write the name as the server shows it.",
    )


def _named(table: str | None) -> str:
    if not table or len(table.split(".")) > 3 or not all(table.split(".")):
        raise ParameterError("The source is a server, and no table is named.", "Name one by --table schema.table.")
    return table
