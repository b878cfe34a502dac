"""`audit` and `evaluate`: the attack suite and the quality report on anybody's synthetic data, or on a draft."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpsynth.cli.commands.options import AsJson, SchemaFile, WorkspaceDir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace.draft import Draft

Holdout = Annotated[Path, typer.Option("--holdout", help="real rows that the synthesizer never saw")]
VERDICT_CODE = {"pass": 0, "inconclusive": 3, "fail": 4}


def audit(
    real: Annotated[Path, typer.Argument(help="rows that the synthesizer was trained on; also a folder of Parquet")],
    synthetic: Annotated[Path, typer.Argument(help="its output: a file, or a folder or pattern of Parquet")],
    holdout: Holdout,
    sensitive: Annotated[
        list[str] | None, typer.Option(help="a column that an intruder wants to learn; repeatable")
    ] = None,
    quasi_identifier: Annotated[
        list[str] | None, typer.Option(help="a column that others know of a person; repeatable")
    ] = None,
    unit: Annotated[str | None, typer.Option(help="column that says whose row it is")] = None,
    suite: Annotated[str, typer.Option(help="quick, standard or full")] = "standard",
    tier: Annotated[str, typer.Option(help="limits for `public` or `restricted` release")] = "public",
    schema: SchemaFile = None,
    text_column: Annotated[
        str | None, typer.Option(help="column (or JSON field) of texts; files of lines need none")
    ] = None,
    benchmark: Annotated[
        Path | None, typer.Option(help="items that no release may hold: texts in a file like the others")
    ] = None,
    canaries: Annotated[
        Path | None, typer.Option(help="text canaries that were planted, as attacks.write_canaries wrote them")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="write the report as one HTML page; internal, not for release")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="attacks run at once")] = 1,
    targets: Annotated[
        int | None,
        typer.Option(min=2, help="attack so many random people of either side; default everybody, of a folder 20,000"),
    ] = None,
    seed: Annotated[int, typer.Option(help="of folds, targets and plantings")] = 0,
    as_json: AsJson = False,
) -> None:
    """Attack any synthesizer's table, texts or both: pass (exit 0), inconclusive (3) or fail (4)."""
    import time

    import attacks
    from dpsynth.cli.commands.streams import PARQUET, is_place, opened
    from dpsynth.cli.commands.tables import read_alike
    from dpsynth.cli.commands.texts import Asked, audit_column, audit_lines, is_lines
    from dpsynth.cli.commands.words import show_attacks
    from dpsynth.cli.terminal import Terminal

    terminal = Terminal(as_json=as_json)
    files = {"real": real, "synthetic": synthetic, "holdout": holdout}
    if html is not None and not html.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {html.parent} to write the page to", param_hint="--html")
    asked = Asked(column=text_column, benchmark=benchmark, canaries=canaries)
    places = [name for name, path in files.items() if is_place(path)]
    lines = any(is_lines(path) for name, path in files.items() if name not in places)
    if places and (lines or text_column is not None):
        raise typer.BadParameter("texts are attacked whole: give one file, not a folder", param_hint=places[0])
    if text_column is None and not lines and (benchmark is not None or canaries is not None):
        raise typer.BadParameter("benchmark items and canaries are texts: name the column", param_hint="--text-column")
    if targets is not None and (lines or text_column is not None):
        raise typer.BadParameter("people are drawn from tables, not from texts", param_hint="--targets")
    start = time.perf_counter()
    roles: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()
    if lines:
        if unit or sensitive or quasi_identifier:
            raise typer.BadParameter("columns with roles need tables: CSV or Parquet", param_hint="real")
        with terminal.progress() as progress:
            report, sizes = audit_lines(files, asked, limits=tier, seed=seed, progress=progress)
        columns = [text_column or "texts"]
    else:
        if text_column is None and "synthetic" not in places and synthetic.suffix.lower() in PARQUET:
            places.append("synthetic")
        streams = {name: opened(name, files[name]) for name in places}
        tables = read_alike(terminal, files, schema, unit=unit, text=text_column, streams=streams)
        roles = {
            "sensitive": tuple(sensitive or tables.schema.sensitive),
            "quasi_identifiers": tuple(quasi_identifier or tables.schema.quasi_identifiers),
            "unit": unit or tables.schema.unit,
        }
        every: dict[str, Any] = {**tables.frames, **tables.streams}
        how: dict[str, Any] = {"suite": suite, "limits": tier, "seed": seed, "jobs": jobs}
        with terminal.progress() as progress:
            if text_column is not None:
                report = audit_column(tables.frames, asked, roles=roles, progress=progress, **how)
            else:
                three = (every[name] for name in files)
                report = attacks.audit(*three, **roles, **how, targets=targets, progress=progress)
        sizes, columns = {name: len(every[name]) for name in files}, [str(name) for name in every["real"].columns]
        warnings = tables.warnings
    document = report.to_json()
    if html is not None:
        settings = {"Tier of limits": tier, **roles, "Cost": _cost(time.perf_counter() - start, jobs)}
        facts = {"Text column": text_column, "Columns": ", ".join(columns), **settings}
        html.write_text(_page(document, files, sizes, facts, warnings), "utf-8")
    show_attacks(terminal, "Audit", document)
    if html is not None:
        terminal.say(f"Report {html} (internal: keep it where the real rows are)")
    raise typer.Exit(VERDICT_CODE[document["verdict"]])


def _cost(seconds: float, jobs: int) -> str:
    """Wall time and the largest memory of this process."""
    import resource
    import sys

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return f"{seconds:.0f} s with {jobs} job{'' if jobs == 1 else 's'}, at most {peak:.0f} MiB"


def _page(
    document: Mapping[str, Any],
    files: Mapping[str, Path],
    sizes: Mapping[str, int],
    settings: Mapping[str, object],
    warnings: tuple[str, ...],
) -> str:
    """The HTML page of an audit, with what identifies the files and repeats the run."""
    import dpsynth
    from dpsynth.cli.commands.streams import digest
    from dpsynth.report import assemble_audit, render_audit

    titles = {"real": "Real rows", "synthetic": "Synthetic rows", "holdout": "Holdout rows"}
    facts: dict[str, object] = {}
    for name, path in files.items():
        count, found = digest(path)
        many = f"{count} files, " if count > 1 else ""
        facts[titles[name]] = f"{path.name}, {many}{sizes[name]:,} rows, SHA-256 {found}"
    for key, value in settings.items():
        said = ", ".join(value) if isinstance(value, tuple) else value
        facts[key.replace("_", " ").capitalize()] = said or "none declared"
    facts["Version"] = f"dpsynth {dpsynth.__version__}"
    return render_audit(assemble_audit(document, title=files["synthetic"].name, settings=facts, warnings=warnings))


def evaluate(
    draft: Annotated[str | None, typer.Argument(help="a draft; leave out to compare files")] = None,
    real: Annotated[Path | None, typer.Option("--real", help="rows that the synthesizer was trained on")] = None,
    synthetic: Annotated[Path | None, typer.Option("--synthetic", help="its output")] = None,
    holdout: Annotated[Path | None, typer.Option("--holdout", help="real rows that it never saw")] = None,
    target: Annotated[str | None, typer.Option(help="the column that models predict")] = None,
    schema: SchemaFile = None,
    comparators: Annotated[
        bool, typer.Option("--comparators", help="private models on the real rows too; each draw of each is charged")
    ] = False,
    epsilon: Annotated[
        str | None, typer.Option("--epsilon", "-e", help="of each draw; default the draft's own")
    ] = None,
    draws: Annotated[int | None, typer.Option(min=1, help="draws of each private model; default 5")] = None,
    public: Annotated[bool, typer.Option("--public", help="the real files are public: comparators are free")] = False,
    later: Annotated[
        Path | None, typer.Option("--later", help="real rows of a later time: every figure of utility again, and drift")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option("--time-column", help="says when a row is of; cuts the holdout into past and later")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="the first moment that is later; default the last quarter of the holdout"),
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="train on mixes of real and synthetic rows: which share is best, if any")
    ] = False,
    learner: Annotated[
        list[str] | None,
        typer.Option(
            help="with --ablation: boosting, linear, or module:attribute, a scikit-learn estimator of yours, which "
            "runs that module; repeatable"
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="with --ablation: code, mathematics, domain_adaptation, instruction_tuning or open_text, whose "
            "published share is held beside the measured one"
        ),
    ] = None,
    detection: Annotated[
        bool, typer.Option("--detection", help="can a model tell synthetic from real rows, and by which columns")
    ] = False,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="column whose small groups are looked at; may be repeated")
    ] = None,
    text_column: Annotated[
        str | None, typer.Option(help="column (or JSON field) of texts in the files; files of lines need none")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="with --text-column: topics of the texts, which learners predict from them")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="of texts: a public language model, by path or name such as tiny: how surprising they are to it"
        ),
    ] = None,
    publish_quality: Annotated[
        str | None,
        typer.Option(
            metavar="epsilon=E",
            help="of a draft: buy noisy figures of quality for the public report, before people review it; a draft "
            "that was evaluated is not again",
        ),
    ] = None,
    workspace: WorkspaceDir = None,
    as_json: AsJson = False,
) -> None:
    """Measure a draft, or anybody's files, beside what real data scores."""
    from dpsynth.cli.commands.words import show_quality
    from dpsynth.cli.terminal import Terminal

    terminal = Terminal(as_json=as_json)
    if comparators:
        from dpsynth.workspace.figures.comparators import asked, declared_bounds
    elif epsilon is not None or draws is not None or public:
        raise typer.BadParameter("--epsilon, --draws and --public are about --comparators")
    if comparators and draft is None and not public:
        raise typer.BadParameter(
            "--comparators train on the real rows, and files have no budget: say --public if the data is, or evaluate "
            "a draft of a workspace"
        )
    if (learner or task) and not ablation:
        raise typer.BadParameter("--learner and --task are about --ablation")
    if (text_column or label_column) and (draft is not None or comparators or time_column or detection or group):
        raise typer.BadParameter("--text-column is about files, and goes with --later, --schema and --target alone")
    if since is not None and time_column is None:
        raise typer.BadParameter("--since is about --time-column")
    more: dict[str, Any] = {"time_column": time_column, "since": since}
    more |= {"detection": True} if detection else {}
    more |= {"groups": tuple(group)} if group else {}
    more |= {"model": model} if model and draft is not None else {}
    if ablation:
        from dpsynth.cli.commands.mixing import ablation_options

        more["ablation"] = ablation_options(terminal, learner or (), task)
    if draft is not None:
        from dpsynth.workspace import Workspace

        if later is not None:
            raise typer.BadParameter(
                "a draft's real rows are those of its data set: use --time-column", param_hint="--later"
            )
        made = Workspace.open(workspace).draft(draft)
        if publish_quality is not None:
            _publish(terminal, made, publish_quality)
            return
        rivals = asked(epsilon, draws, made) if comparators else None
        with terminal.progress() as progress:
            report = made.evaluate(comparators=rivals, progress=progress, **more)
        show_quality(terminal, f"Quality of {draft}", report.to_json())
        return
    if real is None or synthetic is None or holdout is None or publish_quality is not None:
        raise typer.BadParameter("give a draft, or all of --real, --synthetic and --holdout; figures are of a draft")
    from dpsynth.cli.commands.tables import read_alike
    from dpsynth.cli.commands.texts import is_lines
    from dpsynth.quality import evaluate as measure

    files = {"real": real, "synthetic": synthetic, "holdout": holdout} | ({} if later is None else {"later": later})
    if text_column is not None or any(is_lines(path) for path in files.values()):
        from dpsynth.cli.commands.text_figures import evaluate_texts

        found = evaluate_texts(
            terminal,
            files,
            column=text_column,
            labels=label_column,
            schema=schema,
            target=target,
            model=model,
            ablation=more.get("ablation"),
        )
        show_quality(terminal, "Quality of texts", found.to_json())
        return
    if label_column is not None or model is not None:
        raise typer.BadParameter("--label-column and --model are about --text-column")
    tables = read_alike(terminal, files, schema)
    free = replace(asked(epsilon, draws), bounds=declared_bounds(tables.schema)) if comparators else None
    with terminal.progress() as progress:
        report = measure(
            **{name: tables[name][list(tables.schema.modelled)] for name in files},
            comparators=free,
            schema=tables.schema,
            target=target or tables.schema.target,
            progress=progress,
            **more,
        )
    show_quality(terminal, "Quality", report.to_json())


def _publish(terminal: Terminal, draft: Draft, asked: str) -> None:
    """Evaluate unless that was done, then buy the figure."""
    from dpsynth.cli.commands.draft import figure_epsilon, quality_sold
    from dpsynth.workspace.figures.publishing import buy_quality

    number = figure_epsilon(asked, "--publish-quality")
    if draft.documents.quality is None:
        with terminal.progress() as progress:
            draft.evaluate(progress=progress)
    buy_quality(draft, number)
    terminal.result({"draft": draft.name, **quality_sold(terminal, draft)})


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(evaluate)
    app.command()(audit)
