"""What a public prior leaves behind in the signed evidence, and the one misuse of it that a workspace can see.

A prior is public by declaration: nothing proves it. So its SHA-256 stands in the ledger's commit, in the draft and on
the card, where whoever holds the public file can compare it; and the very bytes of a registered data set are refused.

Not guaranteed: that a prior is public. An extract, a re-export or another format of private rows has other bytes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.core.errors import DataError
from dpsynth.data.source import fingerprint
from dpsynth.data.table import Table
from dpsynth.workspace.registry.datasets import table_bytes

if TYPE_CHECKING:
    from dpsynth.pipeline import AnyGenerator
    from dpsynth.workspace.workspace import Workspace


def prior_digest(workspace: Workspace, generator: AnyGenerator) -> str | None:
    """SHA-256 (hex) of the prior's file, or of its rows if they came from none; None without a prior.

    Raises:
        DataError: the prior is a registered data set, which is private, or its file cannot be read.
    """
    prior = getattr(generator, "prior", None)
    if isinstance(prior, str | Path):
        digest = fingerprint(prior)
        committed = bytes.fromhex(digest)
    elif isinstance(prior, Table) and prior.origin is not None:
        digest = prior.origin[1]
        committed = bytes.fromhex(digest)
    elif isinstance(prior, Table):
        committed = table_bytes(prior)  # as an in-memory data set is committed to
        digest = hashlib.sha256(committed).hexdigest()
    else:
        return None
    private = workspace.registry.by_commitment(workspace.vault.commit(committed))
    if private is not None:
        raise DataError(
            f"The public prior is the registered data set '{private.name}', which is private: no guarantee would hold.",
            "Give public rows, or rows released under a guarantee of their own, or leave the prior out.",
        )
    return digest
