"""A stream as a folder of Parquet files, one a partition, that a broken run can be taken up from.

    FOLDER/_plan.json            what is being written: rows, partitions, seed, digest of the model, condition, price
    FOLDER/part-00007.parquet    partition 7, complete: a part is renamed into place when it is whole

Readers of folders (Spark, DuckDB, Polars, Arrow) skip names that begin with `_` or `.`. Writing into a folder that has
a plan goes on with it: the seed is the plan's, whole parts are kept, missing ones drawn, and a plan of another sample
is refused. So deleting a part and writing again gives its bytes back. Several processes may write different parts; two
that write the same one write the same bytes.

Parquet as for drafts (`release.formats`), without metadata; text as dictionaries, wide integers and dates by
DELTA_BINARY_PACKED and wide floats by BYTE_STREAM_SPLIT, which shrinks and speeds both. A part holds a row group a
block, so writing takes the memory of a block, however many rows there are.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dpsynth.core.errors import DataError
from dpsynth.core.progress import Progress, silent
from dpsynth.schema.domain import CategoryDomain
from dpsynth.tabular.columns.cells import NARROW
from dpsynth.tabular.conditions.given import conditions
from dpsynth.tabular.saved.saving import SavedModel, to_bytes
from dpsynth.tabular.streams.row_stream import RowStream

PLAN, SCHEMA = "_plan.json", "dpsynth.rows/1"
MOST_PLAN_BYTES = 2**20


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A folder with all its parts.

    Attributes:
        folder: where they are.
        rows: in all of them.
        drawn: numbers of the parts that this call wrote.
        kept: how many were there already.
        size: bytes of all parts.
    """

    folder: Path
    rows: int
    drawn: tuple[int, ...]
    kept: int
    size: int


def write_parts(
    saved: SavedModel, stream: RowStream, folder: Path, *, workers: int = 1, progress: Progress = silent
) -> Written:
    """Write the parts of a stream that a folder lacks.

    Args:
        saved: the stream's model with its price, which the plan states.
        stream: what to write; its seed gives way to that of a plan in the folder.
        folder: a new folder, an empty one, or one that an earlier call began.
        workers: processes, each with a part at a time.
        progress: called as parts finish.

    Raises:
        DataError: the folder holds something else, or cannot be made.
    """
    plan = plan_of(saved, stream)
    planned = replace(stream, seed=_begun(folder, plan))
    missing = [part for part in range(stream.partitions) if not _whole(folder, planned, part)]
    name, done = "write parts", stream.partitions - len(missing)
    for part in _drawn(planned, folder, missing, workers):
        done += 1
        progress(name, done, stream.partitions, f"part {part}")
    sizes = [part_path(folder, part).stat().st_size for part in range(stream.partitions)]
    return Written(
        folder=folder,
        rows=stream.rows,
        drawn=tuple(missing),
        kept=stream.partitions - len(missing),
        size=sum(sizes),
    )


def write_part(stream: RowStream, folder: Path, part: int) -> int:
    """Write one part, whole or not at all; its bytes depend on stream and number alone. Returns the number."""
    path = part_path(folder, part)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    blocks = stream.encoded_batches(part)
    first = next(blocks)
    try:
        with pq.ParquetWriter(scratch, first.schema, **_settings(stream, first.schema)) as writer:
            writer.write_table(first)
            for block in blocks:
                writer.write_table(block)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
    return part


def part_path(folder: Path, part: int) -> Path:
    """Where a part lies."""
    return folder / f"part-{part:05d}.parquet"


def plan_of(saved: SavedModel, stream: RowStream) -> dict[str, Any]:
    """What a stream will write, ready for JSON."""
    asked = conditions(stream.given, stream.model.domains)
    return {
        "schema": SCHEMA,
        "rows": stream.rows,
        "partitions": stream.partitions,
        "block": stream.block,
        "seed": stream.seed,
        "generator": stream.model.generator,
        "model": hashlib.sha256(to_bytes(saved)).hexdigest(),
        "given": {name: list(one.text(stream.model.domains[name])) for name, one in asked.items()},
        "guarantee_if_private": saved.guarantee.to_json(),
        "writers": {"numpy": np.__version__, "pyarrow": pa.__version__},
    }


def _begun(folder: Path, plan: Mapping[str, Any]) -> str:
    """The seed that the folder's parts have: of its plan, which agrees with this one, or of this one, now written."""
    if folder.is_symlink():
        raise DataError(f"'{folder.name}' is a link; output is never written through one.", "Choose another name.")
    if not folder.exists():
        try:
            folder.mkdir()
        except OSError:
            raise DataError(
                f"The folder '{folder}' cannot be made.", "Make the one above it, or choose another."
            ) from None
    if not folder.is_dir():
        raise DataError(f"'{folder.name}' is a file; parts go into a folder.", "Choose another name.")
    path = folder / PLAN
    if path.is_file() and not path.is_symlink():
        found = _read_plan(path)
        differ = sorted(name for name in plan if name != "seed" and found.get(name) != plan[name])
        if differ or set(found) != set(plan) or not isinstance(found["seed"], str):
            raise DataError(
                f"The folder '{folder.name}' holds parts of another sample: {', '.join(differ) or 'its plan'} differ.",
                "Choose a new folder, or ask for what its _plan.json says.",
            )
        return found["seed"]
    if any(folder.iterdir()):
        raise DataError(f"The folder '{folder.name}' is not empty and holds no plan.", "Choose a new folder.")
    scratch = folder / f".{PLAN}.{os.getpid()}"
    scratch.write_text(json.dumps(plan, indent=1, ensure_ascii=False) + "\n", "utf-8")
    scratch.replace(path)
    return str(plan["seed"])


def _read_plan(path: Path) -> dict[str, Any]:
    if path.stat().st_size <= MOST_PLAN_BYTES:
        try:
            found = json.loads(path.read_text("utf-8"))
        except ValueError:
            found = None
        if isinstance(found, dict):
            return found
    raise DataError(f"The plan of the folder '{path.parent.name}' cannot be read.", "Choose a new folder.")


def _whole(folder: Path, stream: RowStream, part: int) -> bool:
    """Whether a part is there; one with another number of rows is drawn again."""
    path = part_path(folder, part)
    if path.is_symlink():
        raise DataError(f"'{path.name}' is a link; parts are never written through one.", "Choose a new folder.")
    if not path.is_file():
        return False
    try:
        return int(pq.read_metadata(path).num_rows) == stream.rows_of(part)
    except (pa.ArrowException, OSError):
        return False


def _drawn(stream: RowStream, folder: Path, parts: list[int], workers: int) -> Iterator[int]:
    """Numbers of parts as they are written."""
    if workers == 1 or len(parts) < 2:
        for part in parts:
            yield write_part(stream, folder, part)
        return
    from joblib import Parallel, delayed

    run = Parallel(n_jobs=min(workers, len(parts)), return_as="generator_unordered", inner_max_num_threads=1)
    yield from run(delayed(write_part)(stream, folder, part) for part in parts)


def _settings(stream: RowStream, schema: pa.Schema) -> dict[str, Any]:
    """Encodings by public facts: a column of few values as a dictionary, others by what their type packs well."""
    domains = stream.model.domains
    dictionaries, encodings = [], {}
    for field in schema:
        domain = domains.get(field.name)  # none: a column that orders or names people
        text = pa.types.is_string(field.type) or pa.types.is_dictionary(field.type) or pa.types.is_boolean(field.type)
        if text or isinstance(domain, CategoryDomain) or (domain is not None and domain.size <= NARROW):
            dictionaries.append(field.name)
        else:
            packed = "BYTE_STREAM_SPLIT" if pa.types.is_floating(field.type) else "DELTA_BINARY_PACKED"
            encodings[field.name] = packed
    return {
        "compression": "zstd",
        "store_schema": False,
        "write_statistics": False,
        "version": "2.6",
        "data_page_version": "1.0",
        "use_dictionary": dictionaries or False,
        "column_encoding": encodings or None,
    }
