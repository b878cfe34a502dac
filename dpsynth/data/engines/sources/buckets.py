"""A bucket's file system in the words that DuckDB asks: fsspec's, over pyarrow's own.

pyarrow speaks S3 and Google's protocol and finds credentials in the environment, profiles and roles; fsspec wraps it;
DuckDB reads ranges of files through it, the footer and the columns that it needs, without an extension.

Not guaranteed: speed; requests wait for one another more than in an engine of its own.
"""

from __future__ import annotations

from typing import Any, cast


def wrapped(filesystem: Any, scheme: str) -> Any:
    """An fsspec file system of that scheme over a `pyarrow.fs.FileSystem`; reads only what it is asked for."""
    from fsspec.implementations.arrow import ArrowFSWrapper

    class Bucket(ArrowFSWrapper):  # type: ignore[misc] # fsspec has no types
        """pyarrow's file system under a scheme of ours."""

        protocol = scheme
        cachable = False

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return path.removeprefix(f"{scheme}://")

    return cast("Any", Bucket(filesystem))
