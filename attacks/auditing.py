"""The suite on anybody's synthetic data: three tables in, one report out.

>>> import numpy as np
>>> import pandas as pd
>>> rng = np.random.default_rng(0)
>>> people = pd.DataFrame(rng.integers(0, 50, size=(900, 6)), columns=list("abcdef"))
>>> audit(people[:600], people[:600], people[600:], suite="quick").verdict      # a release of the training rows
'fail'

Not guaranteed: `real` must be the rows that were trained on and `holdout` rows that were not, split off at random
before training. Rows held out afterwards, or from another year, make every comparison mean something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attacks.canary import Canaries
from attacks.limits import Limit
from attacks.protocol import Attack, QueryAttack, Roles
from attacks.released import Rows
from attacks.report import AttackReport
from attacks.suite import Progress, Suite, run, silent


def audit(
    real: Rows,
    synthetic: Rows,
    holdout: Rows,
    *,
    targets: int | None = None,
    sensitive: Sequence[str] = (),
    quasi_identifiers: Sequence[str] = (),
    unit: str | None = None,
    canaries: Canaries | None = None,
    suite: str | Suite | Sequence[Attack | QueryAttack] = "standard",
    limits: str | Mapping[str, Limit | float] | None = None,
    seed: int = 0,
    progress: Progress = silent,
    jobs: int = 1,
) -> AttackReport:
    """Attacks the output of any synthesizer.

    Args:
        real: rows that the synthesizer was trained on.
        synthetic: its output.
        holdout: real rows that it never saw.
        targets: most rows of either that are attacked, drawn at random; see `attacks.run`, as for tables as Parquet.
        sensitive: columns whose values an intruder wants to learn.
        quasi_identifiers: columns that others know of a person and that identify only together.
        unit: column that says whose row it is, if one person has several.
        canaries: if some were planted before training.
        suite: `quick`, `standard`, `full`, a `Suite`, or attacks of your own.
        limits: tier or limits by id.
        seed: of folds, targets and plantings.
        progress: receives (name, done, total, detail).
        jobs: attacks run at once.

    Raises:
        AttackInputError: the tables cannot be compared, or the holdout overlaps training.
    """
    return run(
        suite,
        release=synthetic,
        members=real,
        nonmembers=holdout,
        targets=targets,
        roles=Roles(sensitive=tuple(sensitive), quasi_identifiers=tuple(quasi_identifiers), unit=unit),
        canaries=canaries,
        limits=limits,
        seed=seed,
        progress=progress,
        jobs=jobs,
    )
