"""What a person stated about the releases of a workspace: the file beside the policy, for every report.

Not guaranteed: that a statement is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpsynth.report.statement import Statement

if TYPE_CHECKING:
    from dpsynth.workspace.workspace import Workspace


def stated_by(workspace: Workspace) -> Statement:
    """What a person stated in `statement.yaml`; nothing in a workspace that has no such file.

    Raises:
        DataError: the file is there and cannot be read.
    """
    path = workspace.layout.statement
    return Statement.from_yaml(path.read_bytes()) if path.is_file() else Statement()
