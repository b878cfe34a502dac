"""Commands about one file: `schema draft` and `synthesize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dpsynth.cli.commands.options import (
    EPSILON,
    AsJson,
    Delta,
    MaxPerUnit,
    OrderColumn,
    RowKey,
    SchemaFile,
    SharePurpose,
    Since,
    TableName,
    TimeColumn,
    UnitColumn,
    WorkspaceDir,
    to_copy,
)
from dpsynth.cli.commands.words import budget_fields, promise, wrote_public

if TYPE_CHECKING:
    from dpsynth.cli.terminal import Terminal
    from dpsynth.tabular.protocol import Generator


def draft(
    data: Annotated[
        str, typer.Argument(help="a CSV or Parquet file, or rows in an engine (see: dpsynth synthesize --help)")
    ],
    table: TableName = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="where to write the YAML")] = Path("schema.yaml"),
    target: Annotated[str | None, typer.Option(help="the column that models will predict")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a schema from names and types only; a person adds what is public."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.core.errors import WorkspaceError
    from dpsynth.schema.checks import prepare
    from dpsynth.workspace.registry.places import source_at

    terminal = Terminal(as_json=as_json)
    if output.exists() or output.is_symlink():
        raise WorkspaceError(f"'{output}' exists, and a person may have worked on it.", "Choose another name with -o.")
    with source_at(data, table) as source:
        found = prepare(source, None, target=target, to_edit=True)
    for warning in found.warnings:
        terminal.warn(warning.message)
    output.write_text(found.schema.to_yaml(), "utf-8")
    terminal.say(f"Wrote {output}: {len(found.schema.columns)} columns. Add the values and bounds that are public;")
    terminal.say("what stays null is derived with differential privacy and charged.")
    terminal.result({"schema": str(output), "columns": list(found.schema.columns)})


def synthesize(
    data: Annotated[
        str,
        typer.Argument(
            help="a CSV or Parquet file; postgresql://…, spark://…, a folder or pattern of Parquet files, whose rows "
            "stay where they are; or the name of a registered data set"
        ),
    ],
    epsilon: Annotated[str | None, EPSILON] = None,
    delta: Delta = "1e-6",
    generator: Annotated[
        str,
        typer.Option(
            "--generator",
            "-g",
            help="auto (by the schema), gibbs (most accurate), aim, mst (fastest), independent, or autoregressive "
            "(trained by DP-SGD); "
            "or a baseline without privacy: sdv-gaussian-copula, sdv-ctgan, sdv-tvae",
        ),
    ] = "auto",
    schema: SchemaFile = None,
    target: Annotated[str | None, typer.Option(help="the column that models will predict")] = None,
    table: TableName = None,
    row_key: RowKey = None,
    unit: UnitColumn = None,
    max_per_unit: MaxPerUnit = 1,
    time: TimeColumn = None,
    since: Since = None,
    order: OrderColumn = None,
    rows: Annotated[int | None, typer.Option(min=1, help="rows to sample; default the released row total")] = None,
    purpose: SharePurpose = None,
    prior: Annotated[
        Path | None,
        typer.Option(help="public rows, or an earlier release, to start from; with gibbs or autoregressive"),
    ] = None,
    canaries: Annotated[
        int, typer.Option(min=0, help="public random rows for the canary audit; half are planted")
    ] = 100,
    public: Annotated[
        bool, typer.Option("--public", help="the data is public: no seal, no gate, rows go to -o")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="with --public: a .csv or .parquet file")
    ] = None,
    save_model: Annotated[
        Path | None, typer.Option("--save-model", help="with --public: keep the model in a file, to sample again")
    ] = None,
    unprotected: Annotated[
        bool, typer.Option("--unprotected", help="private data and a baseline: read it without any protection")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with this very request where it was interrupted")
    ] = False,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Fit a generator under the budget, and seal its rows as a draft."""
    from dpsynth.cli.terminal import Terminal
    from dpsynth.tabular import BASELINES

    terminal = Terminal(as_json=as_json)
    if public != (output is not None):
        raise typer.BadParameter("--public writes rows to a file and needs -o; a private draft is sealed and has no -o")
    if public and (time, since) != (None, None):
        raise typer.BadParameter("--time sets private rows aside for their quality; cut public data yourself")
    if public and (table, row_key) != (None, None):
        raise typer.BadParameter("--public reads one file; --table and --row-key are for private rows in an engine")
    if public and purpose is not None:
        raise typer.BadParameter("--purpose names a budget, and data declared public draws on none")
    if generator in BASELINES:
        from dpsynth.cli.commands import unprotected as baselines

        refused = {"--prior": prior, "--save-model": save_model}
        if order is not None:
            raise typer.BadParameter("--order makes whole people, and a baseline makes single rows")
        baselines.check_flags(epsilon=epsilon, unprotected=unprotected, public=public, refused=refused)
        if output is not None:
            baselines.synthesize_public(terminal, data, output, generator, schema, target, rows)
            return
        baselines.synthesize_private(
            terminal, data, generator, workspace=workspace, schema=schema, target=target, unit=unit,
            max_per_unit=max_per_unit, rows=rows, purpose=purpose, canaries=canaries, time=time, since=since,
        )  # fmt: skip
        return
    if unprotected:
        raise typer.BadParameter(f"--unprotected is for baselines ({', '.join(BASELINES)}); {generator!r} protects")
    if epsilon is None:
        raise typer.BadParameter("missing: how much may be learned of one person, such as 1", param_hint="--epsilon")
    made_by = _starting_from(generator, prior)
    if resume and public:
        raise typer.BadParameter("--resume goes on with a run that a budget paid for; --public has none")
    if save_model is not None and not public:
        raise typer.BadParameter("--save-model needs --public; the model of a private draft is sealed with it")
    if public and output is not None:
        _synthesize_public(
            terminal, data, output, save_model, made_by, epsilon, delta, schema, target, unit, max_per_unit, order, rows
        )
        return
    from dpsynth.workspace import Workspace

    ws = Workspace.open(workspace)
    if unit is not None or row_key is not None:
        ws.register(data, table=table, row_key=row_key, unit=unit, max_per_unit=max_per_unit)
    with terminal.progress() as progress:
        made = ws.synthesize(
            ws.find(data, table=table),
            made_by,
            epsilon=epsilon,
            delta=delta,
            budget=purpose,
            schema=schema,
            target=target,
            order=order,
            rows=rows,
            canaries=canaries,
            progress=progress,
            warn=terminal.warn,
            resume=resume,
            time=time,
            since=since,
        )
    facts = made.document
    paid = made.budget
    terminal.say(f"Draft {made.name}: {facts.rows:,} rows, sealed. Paid by the budget of '{paid.label}'.")
    terminal.say(promise(made))
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
            "output": None,
        }
    )


def _starting_from(name: str, prior: Path | None) -> Generator:
    """The generator of that name, with the public prior if there is one.

    Raises:
        ParameterError: the name is unknown, or that generator takes no prior.
    """
    from dpsynth.core.errors import ParameterError
    from dpsynth.tabular import generator

    made = generator(name)
    if prior is None:
        return made
    if name not in ("auto", "gibbs", "autoregressive"):
        raise ParameterError(
            f"The generator {name!r} takes no public prior.", "Use `--generator gibbs`, or `autoregressive`."
        )
    from dpsynth.tabular import Autoregressive, Gibbs

    return Autoregressive(prior=prior) if name == "autoregressive" else Gibbs(prior=prior)


def _synthesize_public(
    terminal: Terminal,
    data: str,
    output: Path,
    save_model: Path | None,
    generator: Generator,
    epsilon: str,
    delta: str,
    schema: Path | None,
    target: str | None,
    unit: str | None,
    max_per_unit: int,
    order: str | None,
    rows: int | None,
) -> None:
    from accounting.relation import PrivacyUnit
    from dpsynth.workspace.runs.public import check_output, check_place, synthesize_public

    check_output(output)
    if save_model is not None:
        check_place(save_model)
    of = PrivacyUnit(kind="user", column=unit, max_records=max_per_unit) if unit is not None else None
    with terminal.progress() as progress:
        made = synthesize_public(
            Path(data),
            generator,
            epsilon=epsilon,
            delta=delta,
            schema=schema,
            target=target,
            unit=of,
            order=order,
            rows=rows,
            progress=progress,
            warn=terminal.warn,
        )
    made.write(output)
    if save_model is not None:
        from dpsynth.tabular import save

        save(made.saved, save_model)
        again = to_copy("dpsynth", "sample", save_model, "--public", "-o", output.with_stem(f"{output.stem}-again"))
        terminal.say(f"Wrote {save_model}: draw from it with: {again}")
    wrote_public(terminal, made, output, made.number)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="What is public about a table's columns.", no_args_is_help=True)
    group.callback()(_schema)
    group.command()(draft)
    app.add_typer(group, name="schema")
    app.command()(synthesize)


def _schema() -> None:
    """What is public about a table's columns."""
