r"""Parquet files as one source: a folder or pattern, here or in a bucket, with partitions in the folders' names.

    folder/                    every Parquet file below it, but what lies under names that begin with _ or .
    folder/year=*/*.parquet    a pattern: * and ? within a name, ** over folders
    s3://bucket/prefix/        likewise in a bucket (also gs://); credentials come from the environment

Buckets are read through pyarrow's own file systems, which DuckDB is handed; no extension is fetched. A URL with
credentials or parameters in it is refused: `AWS_PROFILE`, `AWS_ACCESS_KEY_ID` …, `AWS_REGION`, `AWS_ENDPOINT_URL` and
Google's default credentials say all of it.

Folders called `key=value` below the fixed part of the pattern are columns (Hive's partitions). The type of one is told
from all its values by the rules of our CSV reader: integers without leading zeros, ISO dates, else text.

>>> matched("year=*/*.parquet", ["year=1/a.parquet", "year=1/b/c.parquet", "year=2/_a.parquet", "year=3/a.csv"])
['year=1/a.parquet']

`version` says whether these are the files that they were. A row of them is told from others by its file and its place
in it (`DuckDB.files(…, numbered=True)`), but only while the files stay as they are: keys of a split by such identities
must be derived from the version, or rows would change sides with a file.

Not guaranteed: that two patterns which overlap are one place. CSV is not read here: each file would have types of its
own. Google's buckets are listed and read by the same code as Amazon's; no test has a server of theirs.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Self, final
from urllib.parse import unquote, urlsplit

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.data.distinct import INTEGER
from dpsynth.data.source import PARQUET
from dpsynth.data.warning import shown

BUCKETS = ("s3", "gs")
WILD = re.compile(r"[*?\[]")
NULL = "__HIVE_DEFAULT_PARTITION__"
TEXTS = (".csv", ".csv.gz", ".tsv", ".txt")
_KEY = re.compile(r"([^/=]+)=([^/]*)")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class FileSource:
    """Parquet files, in the order of their names.

    Attributes:
        root: the fixed part of the pattern: an absolute folder, or bucket/prefix; in no message.
        names: the files, relative to it.
        filesystem: a `pyarrow.fs.FileSystem`.
        local: whether paths are this machine's.
    """

    root: str = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    filesystem: Any = field(repr=False, compare=False)
    local: bool

    @classmethod
    def at(cls, pattern: str) -> Self:
        """List the files of a folder, a pattern or a single file.

        Raises:
            ParameterError: there are none, or credentials in the URL.
            DataError: the folder or bucket cannot be listed; it holds CSV.
        """
        scheme, separator, rest = pattern.partition("://")
        if separator and scheme in BUCKETS:
            require_bare(pattern)
            with _reached(local=False):
                filesystem = _bucket_system(scheme)
            return cls._listed(filesystem, rest.strip("/"), local=False)
        from pyarrow.fs import LocalFileSystem

        return cls._listed(LocalFileSystem(), str(Path(pattern).absolute()), local=True)

    @classmethod
    def _listed(cls, filesystem: Any, path: str, *, local: bool) -> Self:
        from pyarrow.fs import FileSelector, FileType

        root, wild = parted(path)
        with _reached(local=local):
            (about,) = filesystem.get_file_info([root])
            if about.type == FileType.File and not wild:
                root, _, name = root.rpartition("/")
                return cls(root=root or "/", names=(name,), filesystem=filesystem, local=local)
            if about.type != FileType.Directory:
                raise _none(path)
            found = filesystem.get_file_info(FileSelector(root, recursive=True))
        inside = len(root.rstrip("/")) + 1
        names = [info.path[inside:] for info in found if info.type == FileType.File]
        chosen = matched(wild or "**/*.parquet", names)
        if chosen and all(name.lower().endswith(".parquet") for name in chosen):
            return cls(root=root, names=tuple(chosen), filesystem=filesystem, local=local)
        if any(name.lower().endswith(TEXTS) for name in (chosen or names)):
            raise DataError(
                "The files are CSV, and each would get types of its own.",
                "Write each as Parquet: pyarrow.parquet.write_table(dpsynth.read('a.csv').to_arrow(), 'a.parquet').",
            )
        raise _none(path)

    @property
    def paths(self) -> tuple[str, ...]:
        """The files' paths in their file system."""
        return tuple(f"{self.root.rstrip('/')}/{name}" for name in self.names)

    def partitions(self) -> Mapping[str, str]:
        """Column -> SQL type (BIGINT, DATE, VARCHAR) of the folders' names.

        Raises:
            DataError: files lie under different keys.
        """
        rows = [dict(_keys(name)) for name in self.names]
        if len({tuple(row) for row in rows}) > 1:
            raise DataError(
                "Some files lie in folders called key=value and others not, or under other keys.",
                "Give a pattern of files that are partitioned alike.",
            )
        return {key: _type_of([row[key] for row in rows]) for key in rows[0]}

    def outer_keys(self) -> tuple[str, ...]:
        """Keys of folders above the fixed part of the pattern, which are no columns of this source."""
        return tuple(dict(_keys(self.root + "/")))

    def version(self) -> str:
        """Digest of path, size, time of change and footer of each file, in order, 64 hexadecimal digits (private).

        A footer holds schema, places of the pages and statistics of each column: whoever writes other rows into a file
        writes another footer, or another time. Keep a keyed commitment of it, not itself.

        Raises:
            DataError: a file cannot be read, or is no Parquet file.
        """
        whole = hashlib.sha256(b"dpsynth.files/1")
        with _reached(local=self.local):
            about = self.filesystem.get_file_info(list(self.paths))
            for name, path, info in zip(self.names, self.paths, about, strict=True):
                if info.size is None:
                    raise _changed()
                with self.filesystem.open_input_file(path) as file:
                    footer = _footer(file, info.size, name)
                for part in (name.encode(), str(info.size).encode(), str(info.mtime_ns).encode(), footer):
                    whole.update(hashlib.sha256(part).digest())
        return whole.hexdigest()

    def require_parquet(self) -> None:
        """Refuse the first file that is cut, damaged or no Parquet file, or that may not be read, by its name.

        Raises:
            DataError: there is one, or the file system cannot be reached.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        with _reached(local=self.local):
            for name, path in zip(self.names, self.paths, strict=True):
                try:
                    pq.read_metadata(path, filesystem=self.filesystem)
                except PermissionError:
                    raise DataError(
                        f"This account may not read the file {_last(name)}.", "Get the right to read every file."
                    ) from None
                except (pa.ArrowInvalid, OSError) as error:
                    if isinstance(error, OSError) and "thrift" not in str(error).lower():
                        raise  # of the disk or the network
                    raise _no_parquet(name) from None


def parted(path: str) -> tuple[str, str]:
    """The fixed folder of a pattern, and the rest; the rest is empty where nothing is wild.

    >>> parted("/data/x/year=*/*.parquet")
    ('/data/x', 'year=*/*.parquet')
    """
    parts = path.split("/")
    fixed = next((at for at, part in enumerate(parts) if WILD.search(part)), len(parts))
    return "/".join(parts[:fixed]) or ("/" if path.startswith("/") else ""), "/".join(parts[fixed:])


def matched(pattern: str, names: Sequence[str]) -> list[str]:
    """The names that a pattern fits, ascending, without those under a name that begins with _ or a dot."""
    fits = _compiled(pattern)
    return sorted(name for name in names if fits(name) and not any(part[:1] in "_." for part in name.split("/")))


def require_bare(url: str) -> None:
    """Refuse a bucket's URL that holds more than bucket and path.

    Raises:
        ParameterError: it does; what is not said.
    """
    _, _, rest = url.partition("://")
    bucket = rest.partition("/")[0]
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", bucket):
        raise ParameterError(
            "The URL of the bucket names no bucket, or holds an account, a key or a port.",
            "Write s3://bucket/prefix; credentials and endpoint come from AWS_PROFILE, AWS_ACCESS_KEY_ID, "
            "AWS_ENDPOINT_URL … in the environment.",
        )
    if re.search(r"\?[A-Za-z_-]+=|#", rest):
        raise ParameterError(
            "The URL of the bucket has parameters, which could hold a key.",
            "Leave them out: region and endpoint come from AWS_REGION and AWS_ENDPOINT_URL in the environment.",
        )


def _compiled(pattern: str) -> Callable[[str], Any]:
    """A pattern of paths as a test: * ? [ ] within a name, ** over folders."""
    words = []
    for part in pattern.split("/"):
        if part == "**":
            words.append("(?:[^/]+/)*")
            continue
        word = re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        words.append(re.sub(r"\\\[(!|\\\^)?(.*?)\\\]", lambda m: f"[{'^' if m[1] else ''}{m[2]}]", word) + "/")
    text = "".join(words)
    return re.compile(text[:-1] if text.endswith("/") else text + "[^/]+").fullmatch


def _keys(name: str) -> Iterator[tuple[str, str | None]]:
    for folder in name.split("/")[:-1]:
        if pair := _KEY.fullmatch(folder):
            yield unquote(pair[1]), None if pair[2] == NULL else unquote(pair[2])


def _type_of(values: Sequence[str | None]) -> str:
    present = [value for value in values if value is not None]
    if present and all(re.fullmatch(INTEGER, value) and -(2**63) <= int(value) < 2**63 for value in present):
        return "BIGINT"
    return "DATE" if present and all(_is_date(value) for value in present) else "VARCHAR"


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _footer(file: Any, size: int, name: str) -> bytes:
    if size < 12:
        raise _no_parquet(name)
    file.seek(size - 8)
    end: bytes = file.read(8)
    length = int.from_bytes(end[:4], "little")
    if end[4:] != PARQUET or length > size - 12:
        raise _no_parquet(name)
    file.seek(size - 8 - length)
    return bytes(file.read(length)) + end


def _bucket_system(scheme: str) -> Any:
    from pyarrow import fs

    if scheme == "gs":
        return fs.GcsFileSystem()
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or "")
    if not endpoint.netloc:
        return fs.S3FileSystem()
    if endpoint.scheme not in ("http", "https") or "@" in endpoint.netloc or endpoint.query or endpoint.path.strip("/"):
        raise ParameterError(
            "AWS_ENDPOINT_URL is more than http(s)://host:port.",
            "Credentials belong into AWS_PROFILE or AWS_ACCESS_KEY_ID.",
        )
    return fs.S3FileSystem(endpoint_override=endpoint.netloc, scheme=endpoint.scheme)


@contextmanager
def _reached(*, local: bool) -> Iterator[None]:
    """Refusals of a file system without its words, which hold paths, accounts and requests."""
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        code = re.search(r"AWS Error ([A-Z_]{3,40})", str(error))
        said = code[1] if code else type(error).__name__
        raise DataError(
            f"The {'folder' if local else 'bucket'} cannot be read ({said}).",
            "Check that this account may read it."
            if local
            else "Check its name, its region and endpoint (AWS_REGION, AWS_ENDPOINT_URL), and that the credentials of "
            "the environment may list and read it.",
        ) from None


def _none(path: str) -> ParameterError:
    return ParameterError(
        f"There is no Parquet file at {shown(path.rstrip('/').rpartition('/')[2])}.", "Check the path or pattern."
    )


def _no_parquet(name: str) -> DataError:
    return DataError(f"The file {_last(name)} is cut, damaged or no Parquet file.", "Copy or export it again.")


def _last(name: str) -> str:
    """A file with its folder, which may be what tells it from others."""
    return shown("/".join(name.split("/")[-2:]))


def _changed() -> DataError:
    return DataError("A file that was listed is gone.", "Run again while nobody writes to the folder.")
