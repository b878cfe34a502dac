"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WorkspaceDir = Annotated[
    Path | None,
    typer.Option(
        "--workspace", "-w", help="workspace folder; default $DPSYNTH_WORKSPACE, then the nearest dpsynth.yaml"
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="one JSON object on standard output, people's text on standard error")
]
SchemaFile = Annotated[
    Path | None,
    typer.Option("--schema", help="what is public about the columns (see: dpsynth schema draft)"),
]
EPSILON = typer.Option("--epsilon", "-e", help="privacy loss, for example 1")
Epsilon = Annotated[str, EPSILON]
Delta = Annotated[str, typer.Option("--delta", "-d", help="chance that epsilon does not hold, for example 1e-6")]
UnitColumn = Annotated[
    str | None, typer.Option("--unit", help="column that names the person; default: one row is one person")
]
TableName = Annotated[
    str | None, typer.Option("--table", help="with postgresql://… or spark://…: the table there, schema.table")
]
RowKey = Annotated[
    str | None,
    typer.Option("--row-key", help="rows stay in an engine: a column that is another in every record; or use --unit"),
]
MaxPerUnit = Annotated[int, typer.Option("--max-per-unit", min=1, help="rows kept of one person, enforced")]
TimeColumn = Annotated[
    str | None,
    typer.Option("--time", help="column that says when: rows from --since on are set aside before any is looked at"),
]
Since = Annotated[
    str | None,
    typer.Option("--since", help="with --time: a public date (2024-07-01) or number; you choose it, the rows never do"),
]
OrderColumn = Annotated[
    str | None,
    typer.Option("--order", help="column that says which of a person's rows comes first: makes whole people"),
]
BudgetFilter = Annotated[
    str | None,
    typer.Option("--filter", help="what adds up across runs: basic (epsilons), zcdp or rdp; frozen once granted"),
]
FilterOrder = Annotated[str | None, typer.Option("--order", help="alpha of --filter rdp; `budget plan` finds it")]
ConversionDelta = Annotated[
    str | None,
    typer.Option(help="with zcdp or rdp: the part of delta that is converted at; default half, or as the parent's"),
]
SharePurpose = Annotated[
    str | None, typer.Option("--purpose", help="a share of the data set's budget, by its purpose (or a budget's id)")
]
DraftId = Annotated[str, typer.Argument(help="a draft's name, as `synthesize` printed it")]


def to_copy(*words: str | Path, workspace: Path | None = None) -> str:
    """A command for the shell: words quoted, and the workspace named if this command was told it.

    >>> to_copy("dpsynth", "attack", "my claims-0001", workspace=Path("vault"))
    "dpsynth attack 'my claims-0001' --workspace vault"
    """
    import shlex

    named = () if workspace is None else ("--workspace", workspace)
    return shlex.join(str(word) for word in (*words, *named))


def there(step: str, workspace: Path | None) -> str:
    """A next step in words or as a command; the command with the workspace, if this one was told it.

    >>> there("dpsynth approve claims-0001", Path("vault")), there("Wait for the run.", Path("vault"))
    ('dpsynth approve claims-0001 --workspace vault', 'Wait for the run.')
    """
    command = step.startswith("dpsynth ") and ". " not in step
    return f"{step} {to_copy(workspace=workspace)}" if command and workspace is not None else step
