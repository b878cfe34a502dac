"""Commands about texts: `text synthesize`, `text plan`, `text pretrain`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import (
    AsJson,
    Delta,
    Epsilon,
    MaxPerUnit,
    SchemaFile,
    SharePurpose,
    Since,
    TimeColumn,
    UnitColumn,
    WorkspaceDir,
    to_copy,
)
from dpsynth.cli.commands.text_pretrain import pretrain
from dpsynth.cli.commands.words import budget_fields, promise, wrote_public

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.text.generator import TextGenerator

Method = Annotated[
    str,
    typer.Option(
        "--method",
        "-m",
        help="private-prediction (no training; tokens are drawn from many records at once), dpsgd (fine-tuning), or "
        "evolution (a model without logits)",
    ),
]
ModelName = Annotated[
    str,
    typer.Option(
        "--model",
        help="folder or hub id of a public language model; `tiny` and `ngram` are trained here, to try things",
    ),
]
Download = Annotated[
    bool, typer.Option("--download", help="fetch the model from the hub if this machine has it not; it runs no code")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="a setting of the method as name=value, such as tokens=100; may be repeated"),
]
TextColumn = Annotated[str, typer.Option("--text-column", "-t", help="the column of prose")]
Beside = Annotated[
    str | None,
    typer.Option(help="columns to make with the text, as a,b,c; default those of --schema, else none but the target"),
]
Topic = Annotated[str | None, typer.Option(help="columns that a text is conditioned on, as a,b; default the target")]
Form = Annotated[str | None, typer.Option("--regex", help="a regular expression that every text must match")]
JSONForm = Annotated[Path | None, typer.Option("--json-schema", help="a JSON schema that every text must obey")]
Filters = Annotated[
    list[str] | None,
    typer.Option("--filter", help="a check that texts must pass, such as length:min_words=5; may be repeated"),
]


def synthesize(
    data: Annotated[str, typer.Argument(help="a CSV or Parquet file, or the name of a registered data set")],
    text_column: TextColumn,
    epsilon: Epsilon,
    delta: Delta = "1e-6",
    method: Method = "private-prediction",
    model: ModelName = "tiny",
    download: Download = False,
    beside: Beside = None,
    topic: Topic = None,
    settings: Settings = None,
    regex: Form = None,
    json_schema: JSONForm = None,
    filters: Filters = None,
    schema: SchemaFile = None,
    target: Annotated[str | None, typer.Option(help="the column that models will predict; made with the text")] = None,
    unit: UnitColumn = None,
    max_per_unit: MaxPerUnit = 1,
    time: TimeColumn = None,
    since: Since = None,
    rows: Annotated[int | None, typer.Option(min=1, help="texts to write; default the released total")] = None,
    purpose: SharePurpose = None,
    canaries: Annotated[int, typer.Option(min=0, help="canary texts for the audit; half are planted")] = 100,
    public: Annotated[
        bool, typer.Option("--public", help="the data is public: no seal, no gate, rows go to -o")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="with --public: a .csv or .parquet file")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with this very request where it was interrupted")
    ] = False,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Write texts like those of a private column, under the budget; sealed as a draft."""
    from dpsynth.cli.terminal import Terminal

    terminal = Terminal(as_json=as_json)
    if public != (output is not None):
        raise typer.BadParameter("--public writes rows to a file and needs -o; a private draft is sealed and has no -o")
    if public and (time, since) != (None, None):
        raise typer.BadParameter("--time sets private texts aside for their quality; cut public data yourself")
    if public and (resume or purpose is not None):
        raise typer.BadParameter("--resume and --purpose belong to runs that a budget pays for; --public has none")
    from dpsynth.text.request import Request

    _fetch(model, wanted=download)
    asked = Request(
        column=text_column, method=method, model=model, settings=_named(settings), beside=_listed(beside),
        topic=_listed(topic), regex=regex, json_schema=json_schema, filters=tuple(filters or ()),
    )  # fmt: skip
    made_by, named = asked.generator(), asked.beside
    if output is not None:
        _public(
            terminal, data, output, made_by, epsilon=epsilon, delta=delta, schema=schema, target=target, unit=unit,
            max_per_unit=max_per_unit, text=text_column, beside=named, rows=rows,
        )  # fmt: skip
        return
    from dpsynth.workspace import Workspace

    ws = Workspace.open(workspace)
    if unit is not None:
        ws.register(data, unit=unit, max_per_unit=max_per_unit)
    with terminal.progress() as progress:
        made = ws.synthesize(
            data, made_by, epsilon=epsilon, delta=delta, budget=purpose, schema=schema, target=target,
            text=text_column, beside=named, rows=rows, canaries=canaries, progress=progress, warn=terminal.warn,
            resume=resume, time=time, since=since,
        )  # fmt: skip
    facts, paid = made.document, made.budget
    terminal.say(f"Draft {made.name}: {facts.rows:,} rows, sealed. Paid by the budget of '{paid.label}'.")
    terminal.say(promise(made))
    if facts.text is not None:
        terminal.say(facts.text.words())
    steps = (to_copy("dpsynth", step, made.name, workspace=workspace) for step in ("attack", "evaluate", "gate"))
    terminal.say(f"Next: {' && '.join(steps)}")
    terminal.result(
        {
            "draft": made.name,
            "generator": facts.generator.name,
            "rows": facts.rows,
            "guarantee": facts.guarantee,
            "ledger_entry": made.ledger_entry,
            "budget": budget_fields(paid),
            "text": None if facts.text is None else facts.text.model_dump(mode="json"),
            "output": None,
        }
    )


def plan(
    epsilon: Epsilon,
    delta: Delta = "1e-6",
    method: Method = "private-prediction",
    model: ModelName = "tiny",
    download: Download = False,
    settings: Settings = None,
    unit: UnitColumn = None,
    max_per_unit: MaxPerUnit = 1,
    as_json: AsJson = False,
) -> None:
    """What a budget buys from a method, before any data: noise, clip, steps or tokens; refused if nothing useful."""
    from accounting.relation import PrivacyUnit
    from dpsynth.cli.terminal import Terminal
    from dpsynth.schema.model import Schema
    from dpsynth.text.request import Request

    terminal = Terminal(as_json=as_json)
    _fetch(model, wanted=download)
    made_by = Request(column="text", method=method, model=model, settings=_named(settings)).generator()
    of = PrivacyUnit(kind="user", column=unit, max_records=max_per_unit) if unit is not None else PrivacyUnit()
    text = Schema.from_dict({"columns": {"text": {"kind": "text"}}})
    found = made_by.plan(text, of, epsilon=epsilon, delta=delta)
    bought = found.settled.describe()
    terminal.say(found.guarantee.sentence())
    terminal.table(f"What {method} gets", ("setting", ">value"), [(name, str(value)) for name, value in bought.items()])
    terminal.result(
        {
            "method": method,
            "guarantee": found.guarantee.to_json(),
            "bought": bought,
            "events": found.tree.to_json()["events"],
        }
    )


def _fetch(model: str, *, wanted: bool) -> None:
    """Bring a hub's model into the local cache, where it is found from then on."""
    if wanted:
        from dpsynth.text.backends.model_folder import folder_of

        folder_of(model, local_files_only=False)


def _listed(words: str | None) -> tuple[str, ...]:
    return () if words is None else tuple(name.strip() for name in words.split(",") if name.strip())


def _named(words: list[str] | None) -> dict[str, str]:
    """Settings as name=value."""
    found: dict[str, str] = {}
    for word in words or ():
        name, equals, value = word.partition("=")
        if not equals or name.strip() in found:
            raise typer.BadParameter(f"once, and as name=value; not {word!r}", param_hint="--set")
        found[name.strip()] = value.strip()
    return found


def _public(
    terminal: Terminal,
    data: str,
    output: Path,
    generator: TextGenerator,
    *,
    epsilon: str,
    delta: str,
    schema: Path | None,
    target: str | None,
    unit: str | None,
    max_per_unit: int,
    text: str,
    beside: tuple[str, ...],
    rows: int | None,
) -> None:
    from accounting.relation import PrivacyUnit
    from dpsynth.workspace.runs.public import check_output, synthesize_public, write_rows

    check_output(output)
    of = PrivacyUnit(kind="user", column=unit, max_records=max_per_unit) if unit is not None else None
    with terminal.progress() as progress:
        made = synthesize_public(
            Path(data), generator, epsilon=epsilon, delta=delta, schema=schema, target=target, unit=of, text=text,
            beside=beside, rows=rows, progress=progress, warn=terminal.warn,
        )  # fmt: skip
        written = made.rows
        write_rows([written], output)
    wrote_public(terminal, made, output, written.num_rows)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Texts under a budget, and models for them.", no_args_is_help=True)
    group.callback()(_text)
    group.command()(synthesize)
    group.command()(plan)
    group.command()(pretrain)
    app.add_typer(group, name="text")


def _text() -> None:
    """Synthetic texts, and models to write them."""
