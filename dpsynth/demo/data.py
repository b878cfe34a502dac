"""Two real tables that ship inside statsmodels, with schemas written from their published codebooks.

fair     Redbook survey on extramarital affairs (Fair 1978)   6,366 rows, a row is a person; author's permission
randhie  RAND Health Insurance Experiment                    20,190 rows, a row is a person-year; public domain

>>> sorted(DATASETS)
['fair', 'randhie']
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.schema.model import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoData:
    """One of the demo's tables.

    Attributes:
        title: what it is, for people.
        note: what to keep in mind when reading its report.
        canaries_only: attacks on its rows have no power, so its policy lets the canaries decide alone.
    """

    title: str
    note: str
    canaries_only: bool = False


DATASETS = {
    "fair": DemoData(
        title="Redbook survey on extramarital affairs (Fair 1978): 6,366 women, one row a person",
        note="One row is one person, so the record-level guarantee is a guarantee for a person.",
    ),
    "randhie": DemoData(
        title="RAND Health Insurance Experiment: 20,190 person-years, 55 % exact duplicates, no person id",
        note=(
            "One row is one person in one year and no column names the person: the guarantee covers a year, not a "
            "person. Most rows have exact twins, so an exact match between release and data proves nothing by itself."
        ),
        canaries_only=True,
    ),
}


def load(name: str) -> tuple[pd.DataFrame, Schema]:
    """The table and what is public of it.

    Args:
        name: one of `DATASETS`.

    Raises:
        DataError: if statsmodels is not installed.
    """
    import tempfile

    import pandas as pd

    from dpsynth.schema.model import Schema

    with tempfile.TemporaryDirectory() as folder:
        table, schema = write(name, Path(folder))
        return pd.read_csv(table), Schema.from_yaml(schema)


def write(name: str, folder: Path) -> tuple[Path, Path]:
    """Write the table as CSV and its schema as YAML.

    Args:
        name: one of `DATASETS`.
        folder: an existing folder.

    Returns:
        The paths of the CSV and of the schema.

    Raises:
        DataError: if statsmodels is not installed.
    """
    found = find_spec("statsmodels")
    if found is None or found.submodule_search_locations is None:
        raise DataError("The demo's data ships inside statsmodels, which is not installed.",
                        "Run: pip install 'dpsynth-release[demo]'")  # fmt: skip
    source = Path(found.submodule_search_locations[0]) / "datasets" / name / f"{name}.csv"
    table, schema = folder / f"{name}.csv", folder / f"{name}.schema.yaml"
    table.write_bytes(source.read_bytes())
    schema.write_text(resources.files("dpsynth.demo").joinpath(schema.name).read_text("utf-8"), "utf-8")
    return table, schema
