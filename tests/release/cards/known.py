"""The derived cards of a bundle that does not change, as files: what other programs read, byte for byte.

`known/old.*` are of the bundle of commit f161650 as it is, `known/full.*` of the same with every optional section of a
card and a column of each type. `mlcroissant validate` 1.1.1 accepted both `croissant.json` files on 2026-11-23, run by
hand. A change here is a change for every reader: `python -m tests.release.cards.known` writes the files anew, and the
difference is to be read before it is kept.
"""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from dpsynth.release.card import Card
from dpsynth.release.cards.croissant import croissant
from dpsynth.release.cards.facts import CardFacts, read_facts
from dpsynth.release.cards.huggingface import huggingface
from dpsynth.release.keys import read_public_key

HERE = Path(__file__).with_name("known")
OLD = Path(__file__).parents[1] / "bundle_f161650.zip"
TYPES = {
    "age": pa.int64(), "note": pa.dictionary(pa.int32(), pa.string()), "half": pa.float16(), "single": pa.float32(),
    "yes/no": pa.bool_(), "day": pa.date32(), "moment": pa.timestamp("us"), "price": pa.decimal128(9, 2),
}  # fmt: skip
SECTIONS = {
    "dataset": "affairs & <others>", "columns": tuple(TYPES), "rows": 25_000, "attempts": 3, "licence": "CC-BY-NC-4.0",
    "constraints": ("sum(age, single)", "order(half, single)"), "release": "release 7/8",
    "text": {"column": "note", "model": "tiny-writer", "fingerprint": "ab" * 32, "settings_sha256": "cd" * 32,
             "filters": [{"name": "length", "settings": {"most": 80}, "seen": 1200, "kept": 1100}]},
    "lineage": {"parents": ["12" * 32, "34" * 32], "real_anchor": True},
    "reasons": {"attempts": "3 of 5.", "utility": "a|b *c*"},
    "evals": {"real_holdout": [{"name": "tvd2_mean", "group": "fidelity", "result": "rough"}],
              "contamination_scan": [{"name": "contamination:a", "group": "all", "result": "pass"}],
              "diversity_metrics": [{"name": "recall", "group": "diversity", "result": "close to real"}],
              "published_figures": [{"name": "tvd2", "group": "marginals", "result": "0.1 to 0.2, epsilon 0.5"}]},
}  # fmt: skip


def facts() -> Mapping[str, CardFacts]:
    """By the name of the files."""
    with zipfile.ZipFile(OLD) as archive:
        key = archive.read("release.pub")
    old = read_facts(OLD, read_public_key(key))
    body = {**old.card.model_dump(mode="json", by_alias=True), **SECTIONS}
    unit = {"kind": "user", "column": "id", "max_records": 4}
    body["guarantee"] = {**body["guarantee"], "unit": unit}
    full = replace(old, card=Card.model_validate(body), types=TYPES)
    return {"old": old, "full": full}


def files() -> Mapping[str, bytes]:
    """What the files should hold."""
    return {f"{name}.{form}": make(found) for name, found in facts().items()
            for form, make in (("croissant.json", croissant), ("huggingface.md", huggingface))}  # fmt: skip


def main() -> int:
    HERE.mkdir(exist_ok=True)
    for name, body in files().items():
        (HERE / name).write_bytes(body)
    return 0


if __name__ == "__main__":
    sys.exit(main())
