r"""The schema as YAML: written with comments that teach, read without YAML's surprises.

Only the JSON part of YAML is read: `yes`, `no` and `00042` are text, dates are text, a repeated key is an
error, and there are no anchors, aliases, tags or merge keys, so a few hundred bytes cannot unfold into
gigabytes.

>>> load('version: 1\ncolumns: {answer: {kind: categorical, values: [yes, no]}}')["columns"]["answer"]["values"]
['yes', 'no']

Not guaranteed: that comments of a file survive reading and writing it.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dpsynth.core.errors import SchemaError

if TYPE_CHECKING:
    from dpsynth.schema.model import ColumnSpec, Schema

MAX_CHARACTERS = 8 << 20
MAX_DEPTH = 8
LONGEST_PLAIN_KEY = 900
INDENT = "    "
PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
RESERVED = frozenset(["null", "true", "false", "yes", "no", "on", "off", "y", "n"])
IDENTIFIER_NAME = re.compile(
    r"(^|[_\W])(id|uuid|mail|email|e_mail|phone|telephone|mobile|ssn|iban|passport)([_\W]|$)|_id$"
)
HEADER = """\
# What is public about this table. Names, kinds and roles below are public.
# - A value or bound that you write here is used as it is and costs no budget. Write only what you would know
#   without looking at this table: a code list, a legal limit, an age from 0 to 110. Never copy it from the data.
# - `null` means unknown: it is derived with differential privacy and charged to the budget.
# - Missing cells need no entry: in every kind they are an outcome of their own. Noise now and then makes a few where
#   there are none; `nullable: false` says that there can be none, and then none is made.
#
# kind: categorical | boolean | integer | float | date | datetime
#   categorical: `values` lists all categories; with `other: true` anything else is counted together as `other`.
#     `hierarchy: [3]` names prefix lengths of codes (ICD-9: 250 of 250.83); rare codes are counted at their prefix.
#   integer, float, date, datetime: `min` and `max`; cells outside are clamped to them.
#   float: `precision` is the number of decimal places; datetime: the decimal places of the seconds, else 0.
#   date, datetime: `format` is the strptime format of a text file that does not follow ISO 8601.
# missing: words that mean "missing" in this column, such as ["NA", "?"]
# role: target (to be predicted) | sensitive | quasi_identifier (an attacker may know it)
#       | identifier (not modelled, not released) | unit (names the person; not modelled)
# drop: true leaves the column out.
# constraints, a list below the columns: what every row obeys, such as one date before another. Public knowledge too.
"""
CONSTRAINTS = """\
# Constraints are public knowledge: write only what you would know without looking at this table, never what its rows
# happen to show. They cost no budget, and no row of a sample breaks them. A missing cell satisfies a constraint.
"""


def dump(schema: Schema) -> str:
    """The schema as commented YAML."""
    lines = [HEADER + "version: 1", "columns:"]
    for name, spec in schema.columns.items():
        key = _scalar(name)
        if len(key) > LONGEST_PLAIN_KEY:
            lines += [f"  ? {key}", "  :"]
        else:
            lines.append(f"  {key}:")
        if spec.modelled and IDENTIFIER_NAME.search(name.lower()):
            lines.append(f"{INDENT}# By its name an identifier: `role: identifier` or `drop: true` keeps it out.")
        lines += [f"{INDENT}{line}" for line in _fields(spec)]
    if schema.constraints:
        lines += [CONSTRAINTS + "constraints:"]
        lines += [
            f"  - {_flow(constraint.model_dump(mode='json', exclude_defaults=True))}"
            for constraint in schema.constraints
        ]
    return "\n".join(lines) + "\n"


def _flow(value: Any) -> str:
    """A mapping, list or scalar on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return _scalar(value)


def _fields(spec: ColumnSpec) -> list[str]:
    lines = [f"kind: {spec.kind}"]
    fields = spec.model_dump(mode="json")
    unknown = "  # unknown: derived with differential privacy, charged"
    if spec.kind == "categorical":
        if spec.values is None:
            lines.append(f"values: null{unknown}")
        else:
            lines.append(f"values: [{', '.join(_scalar(v) for v in spec.values)}]")
    elif spec.kind not in ("boolean", "text"):
        lines += [f"{side}: {_scalar(fields[side])}{unknown if spec.min is None else ''}" for side in ("min", "max")]
    if spec.precision is not None:
        lines.append(f"precision: {spec.precision}")
    elif spec.kind == "float":
        lines.append(f"precision: null{unknown}")
    if spec.other:
        lines.append("other: true")
    if spec.hierarchy:
        lines.append(f"hierarchy: [{', '.join(str(length) for length in spec.hierarchy)}]")
    if spec.format is not None:
        lines.append(f"format: {_scalar(spec.format)}")
    if spec.missing:
        lines.append(f"missing: [{', '.join(_scalar(word) for word in spec.missing)}]")
    if spec.role is not None:
        lines.append(f"role: {spec.role}")
    if not spec.nullable:
        lines.append("nullable: false")
    if spec.constant:
        lines.append("constant: true")
    if spec.drop:
        lines.append("drop: true")
    return lines


def _scalar(value: str | float | None) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return repr(value)
    if PLAIN.fullmatch(value) and value.lower() not in RESERVED:
        return value
    return '"' + "".join(_escaped(c) for c in value) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return "\\" + character
    if character == " " or (character.isprintable() and character not in "\u2028\u2029\ufeff"):
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def load(source: str | Path) -> Any:
    """Plain data from YAML: from the file if `source` is a `Path`, else from the text.

    Raises:
        SchemaError: no such file, too large, not YAML, an alias or anchor, a repeated key, nested too deeply.
    """
    text = _read(source) if isinstance(source, Path) else source
    if len(text) > MAX_CHARACTERS:
        raise SchemaError(f"The schema is larger than the limit of {MAX_CHARACTERS >> 20} MiB.", "Shorten it.")
    try:
        _refuse_expansion(text)
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - _Loader extends the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        raise SchemaError(f"The schema is not readable YAML{where}.", "Correct the file there.") from None
    except (yaml.YAMLError, ValueError):
        raise SchemaError("The schema is not readable YAML text.", "Write it as UTF-8 text.") from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            return handle.read(4 * MAX_CHARACTERS + 1).decode()
    except FileNotFoundError:
        remedy = "Write one with `dpsynth schema draft DATA -o schema.yaml`."
        raise SchemaError("The schema file does not exist.", remedy) from None
    except (OSError, UnicodeDecodeError):
        raise SchemaError("The schema file cannot be read as UTF-8 text.", "Check the path.") from None


def _refuse_expansion(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Base):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise SchemaError("The schema uses a YAML anchor or alias.", "Write the value out.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise SchemaError("The schema is nested too deeply.", "A schema has columns and their fields.")


_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """The safe loader with JSON's scalars only and without repeated keys."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - the attribute that PyYAML reads

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "key is no text", key.start_mark)
            if key.value in seen:
                raise SchemaError(f"The schema has a key twice, at line {key.start_mark.line + 1}.", "Remove one.")
            seen.add(key.value)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return mapping


for _tag, _pattern, _first in (
    ("null", r"^(?:~|null|)$", ["~", "n", ""]),
    ("bool", r"^(?:true|false)$", list("tf")),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", list("-0123456789")),
    ("float", r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?$", list("-0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), _first)
