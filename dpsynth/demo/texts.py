"""Texts for tests, the notebook and a first try, with no file to fetch: docstrings of installed packages.

`private_records` stands in for a private column: what scipy says about each of its functions and classes, with the part
of scipy as topic. `public_texts` is what the embedded models learn from: other packages. Nothing of this is secret; it
is there so that the way of private text can be walked.

>>> table = private_records()
>>> table.column_names, table.num_rows >= 1_500
(['text', 'topic'], True)

Not guaranteed: the same records with another version of scipy.
"""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from dpsynth.core.errors import DataError
from dpsynth.text.backends.embedded_text import PUBLIC, docstrings, documents, paragraphs

PACKAGE = "scipy"
TOPICS = (
    "stats",
    "signal",
    "special",
    "optimize",
    "sparse",
    "interpolate",
    "linalg",
    "ndimage",
    "spatial",
    "integrate",
)
"""Subpackages that are topics of their own; the others are `other`."""

LONGEST = 600
"""Characters of a record, cut at the end of a sentence where there is one."""


@cache
def private_records(packages: tuple[str, ...] = (PACKAGE,)) -> pa.Table:
    """Columns `text` and `topic`, one row for each documented function, class or module, in the order of the sources.

    Args:
        packages: by default scipy; with sympy, which comes with PyTorch, there are enough records for attacks on few
            columns to have power. The embedded models have read neither.

    Raises:
        DataError: the package yields fewer records than the demo needs.
    """
    texts: dict[str, str] = {}
    seen: set[str] = set()
    for package, found in ((name, found) for name in packages for found in docstrings(name)):
        own = [text for text in paragraphs(found.text) if text not in seen]  # many functions share a parameter's words
        seen.update(own)
        whole = " ".join(own)
        part = found.module.split(".")[1] if "." in found.module else ""
        topic = package if package != PACKAGE else part if part in TOPICS else "other"
        if whole:
            texts.setdefault(_cut(whole), topic)
    if len(texts) < 1_500:
        raise DataError(
            f"The installed {PACKAGE} has too few docstrings for the demo's private texts.",
            "Install it from PyPI, with its sources.",
        )
    return pa.table({"text": pa.array(texts.keys(), pa.string()), "topic": pa.array(texts.values(), pa.string())})


def public_texts(packages: tuple[str, ...] = PUBLIC) -> tuple[str, ...]:
    """Paragraphs from other packages without those that share a whole sentence with a private record.

    Some do, since packages copy each other's words; the embedded models learn those too (about one paragraph in sixty).
    """
    private = {sentence for text in private_records().column("text").to_pylist() for sentence in _sentences(text)}
    return tuple(text for text in documents(packages) if private.isdisjoint(_sentences(text)))


def _sentences(text: str) -> list[str]:
    return [sentence.rstrip(".:") for sentence in text.split(". ")]


def _cut(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    cut = text[:LONGEST]
    return cut[: cut.rfind(". ") + 1] if ". " in cut else cut
