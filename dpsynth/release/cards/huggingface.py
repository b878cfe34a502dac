r"""A Hugging Face dataset card (`README.md` with YAML in front) of a verified bundle.

Names come from a private table's publisher and may hold anything: in the text they lose line breaks and control
characters, and what Markdown or HTML would read as markup is escaped; in front of it they are quoted YAML.

>>> escaped("<b>|x|</b> [a](http://b)")
'&lt;b&gt;\\|x\\|&lt;/b&gt; \\[a\\](http:&#47;&#47;b)'

Format: https://huggingface.co/docs/hub/datasets-cards

Not guaranteed: that the hub reads every Arrow type; types are named as Arrow names them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from dpsynth.release.card import NOT_STATED
from dpsynth.release.cards import words
from dpsynth.release.cards.facts import DATA, CardFacts
from dpsynth.release.documents import JSON, to_yaml

LICENCES: Final = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0"}
    | {f"cc-by-{version}" for version in ("2.0", "2.5", "3.0", "4.0")}
    | {f"cc-by-{terms}-{version}" for terms in ("sa", "nc", "nc-nd", "nc-sa") for version in ("3.0", "4.0")}
    | {"cc-by-nc-2.0", "cc-by-nc-sa-2.0", "cc-by-nd-4.0"}
    | {"cdla-sharing-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0"}
)
"""The hub's words that are SPDX identifiers in small letters."""
SIZES: Final = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
)
_MARKS: Final = re.compile(r"([\\`*_\[\]|~$#])")
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "://": ":&#47;&#47;", "www.": "www&#46;", "@": "&#64;"}


def huggingface(facts: CardFacts) -> bytes:
    """Deterministic bytes."""
    front = to_yaml(_front(facts)).decode()
    body = "\n".join(_body(facts))
    return f"---\n{front}---\n\n{body}\n".encode()


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, in one line."""
    plain = words.printable(text)
    for mark, entity in _ENTITIES.items():
        plain = plain.replace(mark, entity)
    plain = _MARKS.sub(r"\\\1", plain).replace("&\\#", "&#")
    return f"\\{plain}" if plain[:1] in {"-", "+", "="} else plain


def _front(facts: CardFacts) -> dict[str, JSON]:
    card = facts.card
    return {
        "pretty_name": words.title(card),
        **_licence(card.licence),
        "tags": ["synthetic", "differential-privacy"],
        "size_categories": [next((word for bound, word in SIZES if card.rows < bound), "1B<n<10B")],
        "configs": [{"config_name": "default", "data_files": DATA}],
        "dataset_info": {
            "features": [{"name": words.printable(n), "dtype": _dtype(kind)} for n, kind in facts.types.items()],
            "splits": [{"name": "train", "num_examples": card.rows}],
        },
    }


def _licence(stated: str | None) -> dict[str, JSON]:
    if stated in (None, NOT_STATED):
        return {"license": "unknown"}
    if stated.lower() in LICENCES:
        return {"license": stated.lower()}
    return {"license": "other", "license_name": stated}


def _dtype(kind: Any) -> str:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _dtype(kind.value_type)
    return {"double": "float64", "float": "float32", "halffloat": "float16"}.get(str(kind), str(kind))


def _body(facts: CardFacts) -> Iterator[str]:
    card = facts.card
    yield f"# {escaped(card.dataset)} {words.SYNTHETIC}"
    yield from ("", words.WHAT, "", escaped(card.guarantee_in_words), "", words.CHECK, "")
    yield from _table(("fact", "value"), words.figures(facts).items())
    yield from ("## Columns", "")
    yield from _table(("column", "type"), ((name, _dtype(kind)) for name, kind in facts.types.items()))
    yield from ("## How the rows were judged", "")
    rows = [*words.judged(card)]
    yield from _table(("evaluation", "question", "answer"), rows) if rows else (words.NOTHING, "")
    if card.reasons is not None:
        yield from ("## Why the gate let them pass", "")
        yield from _table(("rule", "reason"), card.reasons.items())
    yield from ("## Where they come from", "", words.COLLECTION, "")
    if card.text is not None:
        yield from (escaped(card.text.words()), "")
    if card.lineage is not None:
        yield from (escaped(card.lineage.words()), "")
    yield from ("## What this does not protect", "", *(f"- {escaped(limit)}" for limit in card.limits), "")
    yield from ("## Biases, sensitive information, impact", "")
    yield from (f"- {said}" for said in (*words.BIASES, *words.SENSITIVE, words.IMPACT))
    yield from ("", words.MAINTENANCE, "", "## Files", "")
    yield from _table(("file", "SHA-256"), facts.digests.items())


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(map(escaped, row))} |" for row in rows)
    yield ""
