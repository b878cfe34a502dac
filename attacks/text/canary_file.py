"""Text canaries as a file: planted before training, needed again at the audit, secret in between.

One JSON object `dpsynth.text_canaries/1` with texts, coins, the public texts they were made from, lengths and delta.
Whoever reads the coins can fool the audit, so the file is written for its owner alone.

>>> import tempfile, pathlib, numpy as np
>>> from attacks.text.canaries import make_text_canaries
>>> made = make_text_canaries(["a loan was paid late by a bank"], 4, rng=np.random.default_rng(0), suffix_words=3)
>>> with tempfile.TemporaryDirectory() as folder:
...     write_canaries(made, pathlib.Path(folder, "canaries.json"))
...     read_canaries(pathlib.Path(folder, "canaries.json")).texts == made.texts
True

Not guaranteed: that nobody has read the file meanwhile.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attacks.errors import AttackInputError
from attacks.text.canaries import TextCanaries

SCHEMA = "dpsynth.text_canaries/1"
MAX_BYTES = 1 << 28


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    schema_: Literal["dpsynth.text_canaries/1"] = Field(alias="schema")
    texts: tuple[str, ...] = Field(min_length=2)
    included: tuple[bool, ...]
    public: tuple[str, ...] = Field(min_length=1)
    prefix_words: int = Field(ge=0)
    suffix_words: int = Field(ge=2)
    delta: float = Field(gt=0.0, lt=1.0)


def write_canaries(canaries: TextCanaries, path: str | Path) -> None:
    """Writes a new file that only its owner may read.

    Raises:
        AttackInputError: there is a file of that name; canaries are never overwritten.
    """
    body = {
        "schema": SCHEMA,
        "texts": canaries.texts,
        "included": [bool(coin) for coin in canaries.included],
        "public": canaries.public,
        "prefix_words": canaries.prefix_words,
        "suffix_words": canaries.suffix_words,
        "delta": canaries.delta,
    }
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise AttackInputError(
            "There is a file of that name; canaries are not overwritten.", "Name another."
        ) from error
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(body, file, ensure_ascii=False)


def read_canaries(path: str | Path) -> TextCanaries:
    """Reads a file strictly.

    Raises:
        AttackInputError: it cannot be read, is too large, or is no file of canaries.
    """
    try:
        raw = Path(path).read_bytes()
        if len(raw) > MAX_BYTES:
            raise ValueError
        found = _File.model_validate_json(raw)
    except OSError as error:
        raise AttackInputError(f"The file of canaries cannot be read ({error.strerror}).", "Name it.") from error
    except (ValidationError, ValueError, RecursionError) as error:
        raise AttackInputError("This is no file of text canaries.", "Take it as write_canaries wrote it.") from error
    return TextCanaries(
        texts=found.texts,
        included=np.array(found.included, dtype=bool),
        public=found.public,
        prefix_words=found.prefix_words,
        suffix_words=found.suffix_words,
        delta=found.delta,
    )
