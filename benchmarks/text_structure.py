"""Holding decoding to a form: seconds to compile, microseconds a mask, over vocabularies of three sizes.

    python benchmarks/text_structure.py [--out FILE] [--against-outlines]

Vocabularies are all bytes and the most frequent words and pieces of words of the Python language reference, filled up
with numbered words. Walks are uniform over what is allowed, which keeps strings and free text open for longest. CPU
seconds of one thread. `--against-outlines` measures outlines-core beside it, where that is installed.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np

from dpsynth.text.structure.json_schema import JSONSchema
from dpsynth.text.structure.regex import Regex

SIZES = (2_048, 50_257, 150_000)
STEPS, WALKS = 120, 10
SCHEMA = {
    "type": "object",
    "properties": {
        "issue": {"enum": ["fees", "fraud", "service"]},
        "story": {"type": "string", "maxLength": 300},
        "amount": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 20}, "maxItems": 4},
    },
    "required": ["issue", "story", "amount"],
    "additionalProperties": False,
}
PATTERNS = {
    "date": r"20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    "story": r"Issue: [A-Za-z ,]{5,60}\nStory: [^\n]{1,400}",
}


@dataclass(frozen=True)
class Vocabulary:
    """As much of a model as a form asks for."""

    name: str
    spelling: tuple[bytes, ...]
    end: int

    @property
    def vocabulary(self) -> int:
        """V."""
        return len(self.spelling)

    @property
    def fingerprint(self) -> str:
        """Of the tokens."""
        return sha256(repr(self.spelling).encode()).hexdigest()


def vocabulary(size: int) -> Vocabulary:
    """Bytes, words, pieces; the last id ends a text."""
    words = Counter(re.findall(r" ?[A-Za-z]+|\d{1,3}|[^\w\s]{1,3}|\s+", " ".join(topics.values())))
    pieces = Counter[str]()
    for word, times in words.items():
        for low in range(len(word)):
            for high in range(low + 2, min(len(word), low + 6) + 1):
                pieces[word[low:high]] += times
    spelled = dict.fromkeys(bytes([byte]) for byte in range(256))
    for token, _ in (*words.most_common(size // 2), *pieces.most_common()):
        spelled.setdefault(token.encode())
    for number in range(size):
        spelled.setdefault(f" w{number}".encode())
    return Vocabulary(f"{size} tokens", (*list(spelled)[: size - 1], b""), size - 1)


def ours(form: Callable[[], Any], model: Any) -> tuple[float, float, Iterator[float]]:
    """Seconds to make the form, to compile it over the model, and of each mask."""
    start = time.process_time()
    made = form()
    read = time.process_time()
    made.begin(model)
    compiled = time.process_time()

    def walk() -> Iterator[float]:
        rng = np.random.default_rng(0)
        for _ in range(WALKS):
            automaton = made.begin(model)
            for _ in range(STEPS):
                before = time.process_time()
                mask = automaton.allowed()
                yield time.process_time() - before
                token = int(rng.choice(np.flatnonzero(mask)))
                automaton.advance(token)
                if token == model.end:
                    break

    return read - start, compiled - read, walk()


def outlines(pattern: str, model: Any) -> tuple[float, float, Iterator[float]]:
    """The same of outlines-core, which tabulates states times tokens."""
    import outlines_core

    ids = defaultdict(list)
    for number, token in enumerate(model.spelling):
        if number != model.end:
            ids[token].append(number)
    start = time.process_time()
    known = outlines_core.Vocabulary(model.end, dict(ids))
    read = time.process_time()
    index = outlines_core.Index(pattern, known)
    compiled = time.process_time()

    def walk() -> Iterator[float]:
        rng = np.random.default_rng(0)
        for _ in range(WALKS):
            guide = outlines_core.Guide(index)
            for _ in range(STEPS):
                before = time.process_time()
                allowed = guide.get_tokens()
                np.zeros(model.vocabulary, dtype=np.bool_)[allowed] = True
                yield time.process_time() - before
                token = int(rng.choice(allowed))
                if token == model.end:
                    break
                guide.advance(token)
                if guide.is_finished():
                    break

    return read - start, compiled - read, walk()


def main() -> None:
    """Print a row for each vocabulary, form and engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--against-outlines", action="store_true")
    given = parser.parse_args()
    rows = []
    for size in SIZES:
        model: Any = vocabulary(size)
        forms: dict[str, Callable[[], Any]] = {
            **{name: (lambda pattern=pattern: Regex(pattern)) for name, pattern in PATTERNS.items()},
            "schema": lambda: JSONSchema(SCHEMA),
        }
        for name, form in forms.items():
            runs = {"llguidance": ours(form, model)}
            if given.against_outlines:
                from outlines_core.json_schema import build_regex_from_schema

                pattern = PATTERNS.get(name) or build_regex_from_schema(json.dumps(SCHEMA))
                runs["outlines-core"] = outlines(pattern, model)
            for engine, (read, compiled, walk) in runs.items():
                masks = np.array(list(walk)) * 1e6
                row = {
                    "vocabulary": size,
                    "form": name,
                    "engine": engine,
                    "read_ms": round(read * 1e3, 1),
                    "compile_ms": round(compiled * 1e3, 1),
                    "mask_us_mean": round(float(masks.mean()), 1),
                    "mask_us_p99": round(float(np.quantile(masks, 0.99)), 1),
                    "masks": len(masks),
                }
                rows.append(row)
                print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
