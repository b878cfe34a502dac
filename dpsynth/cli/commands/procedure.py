"""`audit-generator`: attack a generator at a price by running it again, on anybody's table.

Nothing is synthesised for release: no draft, no budget, no file but the folder of fits that the caller asks for. So
nothing is charged. What is printed is computed from the rows without noise and is for whoever holds them (rule 7). A
workspace's data set cannot be named here: its rows are handed out once for each reservation (rule 6), and hundreds of
fits would each spend the whole price on them.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dpsynth.cli.commands.judge import VERDICT_CODE
from dpsynth.cli.commands.options import AsJson, Delta, Epsilon, SchemaFile

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.cli.terminal import Terminal
    from dpsynth.schema.model import Schema
    from dpsynth.workspace.runs.procedure import Procedure


class Attack(StrEnum):
    """How the generator is attacked."""

    shadow = "shadow"
    likelihood = "likelihood"


class Backend(StrEnum):
    """Where fits run."""

    loky = "loky"
    dask = "dask"
    ray = "ray"


class Knowledge(StrEnum):
    """What the attacker has besides the record and the generator."""

    auxiliary = "auxiliary"
    release = "release"


def audit_generator(
    data: Annotated[Path, typer.Argument(help="rows of the population; real rows make the report internal")],
    epsilon: Epsilon,
    delta: Delta,
    generator: Annotated[str, typer.Option("--generator", "-g", help="the generator to attack")] = "mst",
    attack: Annotated[
        Attack, typer.Option(help="shadow: its releases; likelihood: its model (independent, mst)")
    ] = Attack.shadow,
    auxiliary: Annotated[
        Path | None, typer.Option(help="other rows, which the attacker has; default a random half of DATA")
    ] = None,
    knowledge: Annotated[
        Knowledge, typer.Option(help="auxiliary, or release: the attacker has no real row but the target's")
    ] = Knowledge.auxiliary,
    release: Annotated[
        Path | None, typer.Option(help="the release of --knowledge release; default one is made without the targets")
    ] = None,
    fits: Annotated[int, typer.Option(min=1, help="budget of --attack shadow")] = 400,
    rows: Annotated[int, typer.Option(min=1, help="rows of each fit of --attack shadow")] = 1000,
    targets: Annotated[int, typer.Option(min=1, help="records of a kind: isolated, rare, random")] = 4,
    folder: Annotated[
        Path | None, typer.Option(help="keep fits here, encrypted, and go on where a run was cut off")
    ] = None,
    schema: SchemaFile = None,
    tier: Annotated[str, typer.Option(help="limits for `public` or `restricted` release")] = "public",
    jobs: Annotated[int, typer.Option(min=1, help="processes, or workers to start")] = 1,
    backend: Annotated[
        Backend, typer.Option(help="where fits run: loky (processes of this machine), dask or ray")
    ] = Backend.loky,
    cluster: Annotated[
        str | None, typer.Option(help="address of a running Dask or Ray cluster: tcp://HOST:8786, HOST:6379, auto")
    ] = None,
    seed: Annotated[int, typer.Option(help="of targets, coins and tables; never of the noise")] = 0,
    as_json: AsJson = False,
) -> None:
    """Attack a generator by running it again and again: pass (exit 0), inconclusive (3) or fail (4)."""
    import attacks
    from dpsynth.cli.commands.tables import read_alike
    from dpsynth.cli.commands.words import show_attacks
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace.runs.procedure import Procedure

    terminal = Terminal(as_json=as_json)
    if release is not None and (knowledge is not Knowledge.release or attack is not Attack.shadow):
        raise typer.BadParameter("a release is what --knowledge release knows", param_hint="--release")
    if folder is not None and knowledge is Knowledge.release and release is None:
        raise typer.BadParameter("fits are kept for a release that is given: --release FILE", param_hint="--folder")
    if cluster is not None and backend is Backend.loky:
        raise typer.BadParameter("a cluster is one of Dask or Ray: --backend", param_hint="--cluster")
    given = {"real": data, "auxiliary": auxiliary, "release": release}
    files = {name: path for name, path in given.items() if path is not None}
    tables = read_alike(terminal, files, schema)
    frames = {name: _people(terminal, tables[name], tables.schema, seed) for name in files}
    procedure = Procedure(schema=tables.schema, generator=generator, epsilon=epsilon, delta=delta)
    charged = float(procedure.plan().guarantee.epsilon)
    if attack is Attack.likelihood:
        document = _by_likelihood(procedure, frames, tier, seed)
    else:
        with terminal.progress() as progress:
            for line in str(attacks.plan_audit(fits=fits, each=targets, delta=float(delta), limits=tier)).splitlines():
                terminal.say(line)
            found = attacks.audit_generator(
                procedure,
                frames["real"],
                frames.get("auxiliary"),
                knowledge=knowledge.value,
                release=frames.get("release"),
                fits=fits,
                rows=rows,
                each=targets,
                delta=float(delta),
                quasi_identifiers=tuple(tables.schema.quasi_identifiers),
                folder=folder,
                jobs=jobs,
                backend=backend.value,
                address=cluster,
                limits=tier,
                seed=seed,
                progress=progress,
            )
        document = found.to_json()
    document = {**document, "charged": {"epsilon": charged, "delta": float(delta)}}
    shown = document.get("epsilon", {}).get("value", 0.0)
    contradicted = shown > charged
    if contradicted:
        document["verdict"] = "fail"
    show_attacks(terminal, f"Audit of {generator}", document)
    if attack is Attack.shadow:
        terminal.say(f"Epsilon of a fit: at least {shown:.2f} shown, {charged:.2f} charged, at delta {float(delta):g}.")
    if contradicted:
        terminal.say("More is shown than is charged: the claim is false. Report it.", style="bold red")
    raise typer.Exit(VERDICT_CODE[document["verdict"]])


def _by_likelihood(procedure: Procedure, frames: dict[str, pd.DataFrame], tier: str, seed: int) -> dict[str, Any]:
    """One fit on a third of the rows (or on all of DATA), references on half of the others."""
    import attacks

    members = frames["real"]
    others = frames.get("auxiliary")
    if others is None:
        order = members.sample(frac=1.0, random_state=seed)
        members, others = order.iloc[: len(order) // 3], order.iloc[len(order) // 3 :]
    model = procedure.likelihood(members, seed)
    report = attacks.audit_likelihood(model, procedure.likelihood, members, others, limits=tier, seed=seed)
    return dict(report.to_json())


def _people(terminal: Terminal, frame: pd.DataFrame, schema: Schema, seed: int) -> pd.DataFrame:
    """One row a person, without the column that names them."""
    if schema.unit is None or schema.unit not in frame.columns:
        return frame
    import numpy as np
    import pandas as pd

    from attacks.targets import one_row_a_unit

    terminal.warn("One random row of each person is taken: worlds differ in one record.")
    kept = one_row_a_unit(pd.factorize(frame[schema.unit])[0], np.random.default_rng(seed))
    return frame.iloc[kept].drop(columns=schema.unit).reset_index(drop=True)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("audit-generator")(audit_generator)
