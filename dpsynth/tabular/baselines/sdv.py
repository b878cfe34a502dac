"""SDV 2's GaussianCopula, CTGAN and TVAE behind one interface, so that ours can be held against them.

    SDV(name="sdv-ctgan").fit(table, schema, seed=1).sample(1000, seed=2)

Rows are those that SDV itself gives for the same seeds: `numpy.random.seed` and `torch.manual_seed` before the fit,
which SDV takes no seed for, and its model's `set_random_state` before each sample, where SDV would use one constant
for all. Global random states are put back afterwards.

SDV logs the number of rows, prints figures of wide tables, and at import copies a file into the user's data folder.
Here it does none of these. Its metadata is ours (`interchange`), and its models are never written: SDV pickles them.

Patki, Wedge and Veeramachaneni 2016 (GaussianCopula); Xu, Skoularidou, Cuesta-Infante and Veeramachaneni 2019 (CTGAN,
TVAE). SDV is under the Business Source Licence 1.1: not open source, and barred from being sold as a service.

>>> SDV(name="sdv-ctgan").name
'sdv-ctgan'

Not guaranteed: privacy, in any sense. TVAE and CTGAN on a GPU may differ from run to run; here they run on the CPU.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, final

import pyarrow as pa

from dpsynth.core.errors import DataError, ParameterError
from dpsynth.core.progress import Progress, silent
from dpsynth.data.table import Table
from dpsynth.schema.model import Schema
from dpsynth.tabular.baselines.interchange import TABLE, metadata, to_arrow, to_frame

SYNTHESIZERS: Final = MappingProxyType(
    {
        "sdv-ctgan": "CTGANSynthesizer",
        "sdv-gaussian-copula": "GaussianCopulaSynthesizer",
        "sdv-tvae": "TVAESynthesizer",
    }
)
_LOGGERS: Final = ("SingleTableSynthesizer", "Metadata")
LICENCE: Final = "SDV is under the Business Source Licence 1.1, which bars selling it as a synthetic data service."


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SDV:
    """One of SDV's single-table synthesizers.

    Args:
        name: a key of `SYNTHESIZERS`.
        epochs: passes over the table, for CTGAN and TVAE; None is SDV's own default (300).
    """

    name: str
    epochs: int | None = None

    def __post_init__(self) -> None:
        if self.name not in SYNTHESIZERS:
            raise ParameterError(f"SDV has no {self.name!r} here.", f"Use one of {', '.join(SYNTHESIZERS)}.")
        if self.epochs is not None and (self.name == "sdv-gaussian-copula" or self.epochs < 1):
            raise ParameterError("Expected epochs >= 1, for CTGAN and TVAE only.", "Leave it out for SDV's own.")

    @property
    def version(self) -> str:
        """See `protocol.Baseline.version`."""
        _check_installed()
        return f"sdv {importlib.metadata.version('sdv')}"

    def fit(self, table: Table, schema: Schema, *, seed: int, progress: Progress = silent) -> SDVModel:
        """Fit the modelled columns; see `protocol.Baseline.fit`.

        Raises:
            ParameterError: SDV is not installed.
            DataError: SDV cannot fit this table; its own message may quote cells and is not repeated.
        """
        library = _library()
        options: dict[str, Any] = {} if self.name == "sdv-gaussian-copula" else {"enable_gpu": False}
        options |= {} if self.epochs is None else {"epochs": self.epochs}
        frame = to_frame(table, schema)
        progress(self.name, 0, 1, "fit without protection")
        with _quiet(), _seeded(seed):
            described = importlib.import_module("sdv.metadata").Metadata.load_from_dict(metadata(schema))
            synthesizer = getattr(library, SYNTHESIZERS[self.name])(described, **options)
            try:
                synthesizer.fit({TABLE: frame})
            except (importlib.import_module("sdv.errors").InvalidDataError, ValueError):
                raise DataError(
                    f"The table cannot be fitted by {self.name}.",
                    "Check it against the schema: a column may be all missing, or hold other kinds of cells.",
                ) from None
        progress(self.name, 1, 1)
        return SDVModel(synthesizer=synthesizer, like=Table(table.to_arrow().slice(0, 0)), schema=schema)


@final
@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SDVModel:
    """A fitted synthesizer of SDV; holds exact facts of the rows, and is never written."""

    synthesizer: Any
    like: Table
    schema: Schema

    def sample(self, rows: int, *, seed: int) -> pa.Table:
        """See `protocol.BaselineModel.sample`."""
        with _quiet():
            self.synthesizer.reset_sampling()
            self.synthesizer._set_random_state(seed)  # SDV has no public way; its own constant is set likewise
            frame = self.synthesizer.sample(rows)[TABLE]
        return to_arrow(frame, self.like, self.schema)

    def __repr__(self) -> str:
        return f"SDVModel({type(self.synthesizer).__name__}; private)"


def _check_installed() -> None:
    if importlib.util.find_spec("sdv") is None:
        raise ParameterError(
            "SDV is not installed: it is an optional extra.",
            f"pip install 'dpsynth-release[baselines]'. {LICENCE}",
        )


def _library() -> Any:
    """`sdv.single_table`, imported so that its copy of a configuration file goes to a folder that is removed."""
    _check_installed()
    folders: Any = importlib.import_module("platformdirs")
    user_data_dir = folders.user_data_dir
    with tempfile.TemporaryDirectory() as scratch:
        folders.user_data_dir = lambda *args, **kwargs: scratch  # noqa: ARG005 - whatever the folder is for
        try:
            return importlib.import_module("sdv.single_table")
        finally:
            folders.user_data_dir = user_data_dir


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Nothing printed, and no log record with the number of rows."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [logger.disabled for logger in loggers]
    for logger in loggers:
        logger.disabled = True
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, disabled in zip(loggers, before, strict=True):
            logger.disabled = disabled


@contextlib.contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """The global states that SDV's fits draw from, seeded, and put back: SDV takes no seed for a fit."""
    import numpy as np
    import torch

    before, torch_before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 - SDV's own source
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
        torch.set_rng_state(torch_before)
