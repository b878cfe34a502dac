"""The reference is written from the program at each build, so that it cannot say what the program does not do.

Commands come from the real typer application, keys and documents from their pydantic models, events from the closed
enum, errors from their classes, the Python interface from `__all__`. Nothing here is kept in git. `pages()` needs no
Sphinx.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

HERE = Path(__file__).resolve().parents[1]
TARGET = HERE / "reference" / "generated"
SCHEMAS = HERE / "_build" / "extra" / "schemas"

# file stem -> (title, model, what the document is)
DOCUMENTS = {
    "policy": ("Policy", "dpsynth.release.policy:Policy", "`policy.yaml`: what must be true before a draft may leave."),
    "run": ("Run file", "dpsynth.workspace.run:RunConfig", "What `dpsynth run` reads."),
    "schema": ("Schema", "dpsynth.schema.model:Schema", "What is public about a table's columns."),
    "draft": ("Draft", "dpsynth.release.evidence:DraftDocument", "What was made, from what, under which promise."),
    "attacks": ("Attack report", "attacks.report:AttackReport", "What `attack` and `audit` found."),
    "quality": ("Quality report", "dpsynth.quality.report:QualityReport", "What `evaluate` measured."),
    "ablation": ("Ablation", "dpsynth.quality.ablation.document:Ablation", "Mixes of real and synthetic rows."),
    "drift": ("Drift", "dpsynth.quality.drift.monitoring:Drift", "Whether a release still describes today's rows."),
    "card": ("Card", "dpsynth.release.card:Card", "`card.yaml` in a bundle: the synthetic dataset card."),
    "statement": ("Statement", "dpsynth.release.statement:Statement", "What the release key signs."),
}
PACKAGES = ("dpsynth", "accounting", "attacks")


def _load(where: str) -> Any:
    module, name = where.split(":")
    return getattr(importlib.import_module(module), name)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    head = tuple(head)
    return "\n".join([_row(*head), _row(*("---" for _ in head)), *(_row(*row) for row in rows)])


def _plain(text: str) -> str:
    """Help texts hold `<`, `*` and braces that are meant as they stand, but for code between backticks."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([<>*_\[\]{}$#])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


# --- commands -------------------------------------------------------------------------------------------------------


def leaves() -> Iterator[tuple[str, Any]]:
    """Every command with its path, in the order of the program's own help."""
    import typer

    from dpsynth.cli.app import app

    def walk(path: str, node: Any) -> Iterator[tuple[str, Any]]:
        for name, inner in getattr(node, "commands", {}).items():
            if inner.hidden:
                continue
            if hasattr(inner, "commands"):
                yield from walk(f"{path} {name}", inner)
            else:
                yield f"{path} {name}", inner

    yield from walk("dpsynth", typer.main.get_command(app))


def _commands() -> str:
    parts = [
        "# Commands, one by one",
        "Written from the program at each build. `-h` after any command prints the same. Exit codes and the fields of "
        "`--json` stand in [the command line](../command-line.md).",
    ]
    for path, command in leaves():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]
        usage = " ".join([path, *(a.name.upper() if a.required else f"[{a.name.upper()}]" for a in arguments)])
        rows = [
            (f"`{a.name.upper()}`", "required" if a.required else "", _plain(getattr(a, "help", "") or ""))
            for a in arguments
        ]
        for o in options:
            names = ", ".join(f"`{opt}`" for opt in (*o.opts, *o.secondary_opts))
            default = "required" if o.required else _default(o)
            rows.append((names, default, _plain((o.help or "") + (" (may be repeated)" if o.multiple else ""))))
        parts += [
            f"## {path}",
            _plain(inspect.cleandoc(command.help or "")),
            f"`{usage}{' [OPTIONS]' if options else ''}`",
        ]
        if rows:
            parts.append(_table(("argument or option", "default", "meaning"), rows))
    return "\n\n".join(parts) + "\n"


def _default(option: Any) -> str:
    value = option.default
    if (
        value is None
        or value is False
        or value == ()
        or value == []
        or callable(value)
        or "Unset" in type(value).__name__
    ):
        return ""
    return f"`{getattr(value, 'value', value)}`"


# --- documents ------------------------------------------------------------------------------------------------------


def _attributes(doc: str) -> dict[str, str]:
    """Names and meanings of a Google-style list in a docstring."""
    found: dict[str, str] = {}
    for block in re.findall(
        r"^(?:Attributes|Args):\n((?:[ ]{4,}.*\n?|\n)+)", inspect.cleandoc(doc) + "\n", re.MULTILINE
    ):
        for name, text in re.findall(r"^ {4}([\w, ]+): (.+(?:\n {8,}.+)*)", block, re.MULTILINE):
            for one in name.split(","):
                found[one.strip()] = " ".join(text.split())
    return found


def _type(node: dict[str, Any]) -> str:
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2].lstrip("_")
        return f"[{name}](#{name.lower()})"
    if "const" in node:
        return json.dumps(node["const"])
    if "enum" in node:
        return " or ".join(json.dumps(value) for value in node["enum"])
    for key in ("anyOf", "oneOf", "allOf"):
        if key in node:
            kinds = list(dict.fromkeys(_type(inner) for inner in node[key]))
            return " or ".join(kinds)
    kind = node.get("type", "any")
    if kind == "array":
        return f"list of {_type(node.get('items', {}))}" if "items" in node else "list"
    if kind == "object" and isinstance(node.get("additionalProperties"), dict):
        return f"mapping to {_type(node['additionalProperties'])}"
    return str(kind)


def _limits(node: dict[str, Any]) -> str:
    words = {"minimum": "≥", "maximum": "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<", "minLength": "length ≥",
             "maxLength": "length ≤", "minItems": "items ≥", "maxItems": "items ≤", "pattern": "matches"}  # fmt: skip
    nodes = [node, *(inner for key in ("anyOf", "allOf") for inner in node.get(key, ()))]
    said = {f"{word} `{inner[key]}`": None for inner in nodes for key, word in words.items() if key in inner}
    default = node.get("default")
    if default not in (None, [], {}, ()):
        said[f"default `{json.dumps(default)}`"] = None
    return ", ".join(said)


def schema_of(where: str) -> dict[str, Any]:
    """JSON Schema of a document."""
    model: type[BaseModel] = _load(where)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema(by_alias=True)}


def _linked(kind: str) -> str:
    """Markup is escaped, but for links to the tables below."""
    parts = re.split(r"(\[\w+\]\(#\w+\))", kind)
    return "".join(part if part.startswith("[") else _plain(part) for part in parts)


def _of_section(field: dict[str, Any], sections: dict[str, Any]) -> str:
    """What the model says that a field refers to."""
    refs = [node["$ref"] for node in (field, *field.get("anyOf", ())) if "$ref" in node]
    return _first(sections.get(refs[0].rpartition("/")[2], {}).get("description", "")) if len(refs) == 1 else ""


def _fields(title: str, node: dict[str, Any], docs: dict[str, str], level: int, sections: dict[str, Any]) -> str:
    asked = set(node.get("required", ()))
    rows = [
        (
            f"`{name}`",
            _linked(_type(field)),
            "yes" if name in asked else "",
            _limits(field),
            _plain(field.get("description") or docs.get(name, "") or _of_section(field, sections)),
        )
        for name, field in node.get("properties", {}).items()
    ]
    said = _plain(_first(node.get("description", "")))
    table = _table(("field", "type", "required", "limits", "meaning"), rows) if rows else ""
    return "\n\n".join(part for part in (f"{'#' * level} {title}", said, table) if part)


def _first(doc: str) -> str:
    """The first paragraph of a docstring."""
    return " ".join(inspect.cleandoc(doc or "").partition("\n\n")[0].split())


def _models(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Every model that a model is made of, by the name that its JSON Schema uses."""
    found: dict[str, type[BaseModel]] = {}

    def visit(annotation: Any) -> None:
        inner = annotation if inspect.isclass(annotation) and issubclass(annotation, BaseModel) else None
        if inner is not None and inner.__name__ not in found:
            found[inner.__name__] = inner
            for field in inner.model_fields.values():
                visit(field.annotation)
        for inner in getattr(annotation, "__args__", ()):
            visit(inner)

    visit(model)
    return found


def _commented(path: Path) -> dict[str, str]:
    """Keys of a YAML file and what the comment on their line says, with the lines that only go on with it."""
    said: dict[str, str] = {}
    last = ""
    for line in path.read_text("utf-8").splitlines():
        if found := re.match(r" *([\w.]+):[^#]*# (.+)$", line):
            last = found[1].rpartition(".")[2]
            said[last] = found[2]
        elif last and (more := re.match(r" {20,}# (.+)$", line)):
            said[last] += " " + more[1]
        else:
            last = ""
    return said


def _document(stem: str) -> str:
    title, where, what = DOCUMENTS[stem]
    schema, models = schema_of(where), _models(_load(where))
    parts = [f"({'doc-' + stem})=\n# {title}", what, "Unknown fields are refused." if _closed(schema) else ""]
    parts.append(
        f'JSON Schema: <a href="../../schemas/{stem}.schema.json">{stem}.schema.json</a>, for editors and validators.'
    )
    said = _commented(HERE.parent / "dpsynth/release/default_policy.yaml") if stem == "policy" else {}
    parts.append(_fields("Fields", schema, said | _attributes(_load(where).__doc__ or ""), 2, schema.get("$defs", {})))
    for name, node in sorted(schema.get("$defs", {}).items()):
        docs = said | (_attributes(models[name].__doc__ or "") if name in models else {})
        if node.get("properties"):
            parts.append(_fields(name.lstrip("_"), node, docs, 3, schema["$defs"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def _closed(schema: dict[str, Any]) -> bool:
    return schema.get("additionalProperties") is False


# --- events, errors, Python ------------------------------------------------------------------------------------------


def _events() -> str:
    from accounting.event import _TYPES

    parts = [
        "# Events",
        "One JSON form in ledgers, bundles and on the command line: a closed set of types, numbers as decimals in "
        "strings, noise and sensitivity apart. An unknown type or field is refused, never skipped. What is priced how: "
        "[accounting](../../concepts/accounting.md).",
    ]
    for name, kind in _TYPES.items():
        docs = _attributes(kind.__doc__ or "")
        rows = [
            (
                f"`{field.name}`",
                "" if field.default is dataclasses.MISSING else f"`{field.default}`",
                _plain(docs.get(field.name, "")),
            )
            for field in dataclasses.fields(kind)
        ]
        parts += [f"## `{name}`", _plain(_first(kind.__doc__ or "")), _table(("field", "default", "meaning"), rows)]
    return "\n\n".join(parts) + "\n"


def _modules_with_errors() -> list[str]:
    """Modules that define an error of ours, found in the sources: a class is known once its module was imported."""
    bases = {"DpsynthError", "AccountingError", "AttackError"}
    found: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in sorted((HERE.parent / package).rglob("*.py")):
            if "errors" in (text := path.read_text("utf-8")):
                classes = re.findall(r"^class (\w+)\((\w+)[,)]", text, re.MULTILINE)
                found[".".join(path.relative_to(HERE.parent).with_suffix("").parts)] = {
                    f"{c}:{base}" for c, base in classes
                }
    while True:
        more = {pair.split(":")[0] for pairs in found.values() for pair in pairs if pair.split(":")[1] in bases}
        if more <= bases:
            return [name for name, pairs in found.items() if any(pair.split(":")[0] in bases for pair in pairs)]
        bases |= more


def error_trees() -> dict[str, type[Exception]]:
    """The root of each package's errors, after every module that defines one was imported."""
    for module in _modules_with_errors():
        importlib.import_module(module)
    return {
        "dpsynth": _load("dpsynth.core.errors:DpsynthError"),
        "accounting": _load("accounting.errors:AccountingError"),
        "attacks": _load("attacks.errors:AttackError"),
    }


def _errors() -> str:
    from dpsynth.cli.exit_codes import exit_code

    parts = [
        "# Errors",
        "Three trees, one a package. Each message says what happened and why it matters; `remedy` what to do next.",
        'With `--json`: `{"error": {"type", "message", "remedy"}}`. No message holds a cell or a private count.',
    ]

    def walk(kind: type[Exception], depth: int) -> Iterator[tuple[str, str, str]]:
        if kind.__module__.partition(".")[0] in PACKAGES:
            yield (
                ("&nbsp;&nbsp;&nbsp;" * depth) + f"`{kind.__name__}`",
                str(_code(kind, exit_code)),
                _plain(_first(kind.__doc__ or "")),
            )
            for inner in sorted(kind.__subclasses__(), key=lambda k: k.__name__):
                yield from walk(inner, depth + 1)

    for package, root in error_trees().items():
        parts += [f"## `{package}`", _table(("error", "exit code", "when"), walk(root, 0))]
    return "\n\n".join(parts) + "\n"


def _code(kind: type[Exception], exit_code: Callable[[Exception], int]) -> int | str:
    if kind.__name__ == "GateRefused":
        return "3 or 4"
    made = kind.__new__(kind)
    return exit_code(made)


def _python(package: str) -> str:
    module = importlib.import_module(package)
    parts = [f"# {package}", f"```{{eval-rst}}\n.. py:module:: {package}\n```", _plain(_first(module.__doc__ or ""))]
    for name in sorted(module.__all__, key=str.lower):
        if name.startswith("__"):
            continue
        thing = getattr(module, name)
        home = getattr(thing, "__module__", package)
        if inspect.ismodule(thing):
            parts += [f"## {name}", _plain(_first(thing.__doc__ or "")), _members(thing)]
        elif inspect.isclass(thing):
            parts.append(_documented(name, f".. autoclass:: {home}.{thing.__qualname__}\n   :members:"))
        elif callable(thing):
            parts.append(_documented(name, f".. autofunction:: {home}.{thing.__qualname__}"))
        else:
            parts.append(f"## {name}\n\n{_constant(thing)}")
    return "\n\n".join(part for part in parts if part) + "\n"


def _documented(name: str, directive: str) -> str:
    return f"## {name}\n\n```{{eval-rst}}\n{directive}\n   :no-index-entry:\n```"


def _constant(thing: Any) -> str:
    if isinstance(thing, Mapping):
        return "A table with the entries " + ", ".join(f"`{key}`" for key in thing) + "."
    kinds = [kind.__name__ for kind in getattr(thing, "__args__", ())]
    return "One of " + ", ".join(f"`{kind}`" for kind in kinds) + "."


def _members(module: Any) -> str:
    rows = []
    for name in getattr(module, "__all__", ()):
        thing = getattr(module, name)
        rows.append((f"`{name}`", _plain(_first(getattr(thing, "__doc__", "") or "")) if callable(thing) else ""))
    return _table(("name", "what"), rows) if rows else ""


def pages() -> dict[str, str]:
    """Name of a file below `reference/generated` -> its text."""
    made = {"commands.md": _commands(), "events.md": _events(), "errors.md": _errors()}
    made |= {f"document-{stem}.md": _document(stem) for stem in DOCUMENTS}
    made |= {f"python-{package}.md": _python(package) for package in PACKAGES}
    return made


def write() -> None:
    """Write what has changed, and the JSON Schemas beside the site."""
    texts = {TARGET / name: text for name, text in pages().items()}
    texts |= {
        SCHEMAS / f"{stem}.schema.json": json.dumps(schema_of(where), indent=2, sort_keys=True) + "\n"
        for stem, (_, where, _) in DOCUMENTS.items()
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")
    for old in set(TARGET.glob("*.md")) - set(texts):
        old.unlink()


def _bars(*event: Any) -> None:
    """In docstrings |x| is a modulus and no substitution of reStructuredText."""
    lines = event[-1]
    lines[:] = [line if "``" in line else line.replace("|", "\\|") for line in lines]


def setup(app: Any) -> dict[str, Any]:
    """Write before Sphinx looks for pages."""
    app.connect("config-inited", lambda *_: write())
    app.connect("autodoc-process-docstring", _bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
