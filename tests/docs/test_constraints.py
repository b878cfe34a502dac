"""The page on constraints lists every kind with its fields; test_code_blocks runs its example."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from dpsynth.schema.constraints import Constraint
from dpsynth.schema.model import Schema

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/constraints.md").read_text("utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)
    return str(found)


def test_it_lists_every_kind_with_its_fields():
    for kind in get_args(get_args(Constraint)[0]):
        name = get_args(kind.model_fields["kind"].annotation)[0]
        (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
        assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == set(kind.model_fields) - {"kind"}


def test_its_schema_survives_being_written():
    schema = Schema.from_yaml(block("yaml"))
    assert Schema.from_yaml(schema.to_yaml()) == schema
