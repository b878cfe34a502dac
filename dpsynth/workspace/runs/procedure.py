"""A generator with its price as a black box: a table in, synthetic rows out, fresh noise each time.

What `attacks.audit_generator` runs hundreds of times. Each call is a whole fit: derivation, measurement, estimation and
a sample of as many rows as the model says there are. The noise is the operating system's; the seed that the attack
passes drives the sample alone, which is post-processing.

Not guaranteed: any budget. Each call spends the whole epsilon on the rows that it is given, and nothing is recorded:
what comes out is for the attack, in the hands of somebody who holds the rows anyway, and never to be released.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import NDArray

from accounting.relation import PrivacyUnit
from dpsynth import __version__
from dpsynth.core.errors import ParameterError
from dpsynth.core.noise import SystemNoise
from dpsynth.data.options import ReadOptions
from dpsynth.data.read import conformed
from dpsynth.data.table import Table
from dpsynth.pipeline import fit_model
from dpsynth.schema.checks import column_options
from dpsynth.schema.model import Schema
from dpsynth.tabular import generator as generator_named
from dpsynth.tabular.forests.forest_model import ForestModel
from dpsynth.tabular.forests.likelihood import log_density
from dpsynth.tabular.protocol import Model, Plan

if TYPE_CHECKING:
    import pandas as pd


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """A generator at a price, add/remove one record.

    Args:
        schema: what is public of the columns.
        generator: its name.
        epsilon: price of one fit.
        delta: likewise.
    """

    schema: Schema
    generator: str
    epsilon: str
    delta: str

    @property
    def identity(self) -> str:
        """What the procedure is, in words that change with it; folders of fits are kept under it."""
        said = {"epsilon": str(self.epsilon), "delta": str(self.delta), "generator": self.generator}
        return json.dumps({**said, "schema": self.schema.digest(), "dpsynth": __version__}, sort_keys=True)

    def plan(self) -> Plan:
        """What one fit spends at most."""
        return generator_named(self.generator).plan(self.schema, PrivacyUnit(), epsilon=self.epsilon, delta=self.delta)

    def table(self, rows: pd.DataFrame) -> Table:
        """The rows with the types of the schema."""
        return conformed(
            Table.from_pandas(rows[list(self.schema.modelled)]), ReadOptions(columns=column_options(self.schema))
        )

    def model(self, rows: pd.DataFrame) -> Model:
        """One fit, with noise from the operating system."""
        table = self.table(rows)
        made_by, plan = generator_named(self.generator), self.plan()
        return fit_model(table, self.schema, made_by, plan, noise=SystemNoise()).model

    def __call__(self, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
        """One fit and one sample of as many rows as the model says there are."""
        model = self.model(rows)
        made: pd.DataFrame = model.sample(max(model.rows, 1), np.random.default_rng(seed)).to_pandas()
        return made

    def likelihood(self, rows: pd.DataFrame, seed: int) -> ModelLikelihood:
        """One fit as `attacks.audit_likelihood` takes it.

        Raises:
            ParameterError: the generator's models give no likelihoods.
        """
        del seed
        return ModelLikelihood(model=self.model(rows), procedure=self)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLikelihood:
    """A fitted model that says how likely rows are; what `attacks.generators.rmia` calls a `Likelihood`.

    Forests (`independent`, `mst`) are exact. A model of another kind takes part if it has a method
    `log_density(rows: pyarrow.Table) -> float64 (rows,)`.
    """

    model: Model
    procedure: Procedure

    def __post_init__(self) -> None:
        if not isinstance(self.model, ForestModel) and not hasattr(self.model, "log_density"):
            raise ParameterError(
                f"Models of {self.model.generator!r} give no likelihoods.", "Attack the generator's releases instead."
            )

    def log_density(self, rows: pd.DataFrame) -> NDArray[np.float64]:
        """Natural log of the probability of each row, float64 (rows,)."""
        table = self.procedure.table(rows).to_arrow()
        if isinstance(self.model, ForestModel):
            return log_density(self.model, table)
        told: Any = self.model
        return np.asarray(told.log_density(table), dtype=np.float64)
