"""Five tables that ship inside statsmodels and scikit-learn, so that a check needs no download.

anes96    American National Election Study of 1996     944 x 11, schema from its note in statsmodels
fair      Redbook survey (Fair 1978)                 6,366 x 9, the demo's schema
randhie   RAND Health Insurance Experiment          20,190 x 10, the demo's schema: most bounds unknown, so derived
digits    handwritten digits, 8 x 8 counts of ink    1,797 x 65, each pixel 0 to 16
cancer    Wisconsin diagnostic breast cancer           569 x 31, nothing but the signs of numbers is public

>>> sorted(EMBEDDED)
['anes96', 'cancer', 'digits', 'fair', 'randhie']
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
from table_schemas import among, decimal, document, whole

from dpsynth.demo.data import DATASETS, write
from dpsynth.schema.model import Schema

EMBEDDED = ("anes96", "fair", "randhie", "digits", "cancer")


def embedded_cells(name: str) -> pd.DataFrame:
    """The table, every cell as text."""
    if name in DATASETS:
        with tempfile.TemporaryDirectory() as scratch:
            return pd.read_csv(write(name, Path(scratch))[0], dtype=str, keep_default_na=False)
    if name == "anes96":
        from statsmodels.api import datasets as surveys

        frame = surveys.anes96.load_pandas().data
    else:
        from sklearn import datasets

        frame = (datasets.load_digits if name == "digits" else datasets.load_breast_cancer)(as_frame=True).frame
    for column in frame:
        if (frame[column] == frame[column].round()).all():
            frame[column] = frame[column].astype("int64")
    return frame.astype(str)


def embedded_schema(name: str, columns: list[str]) -> dict[str, Any]:
    """The public schema as plain data; `columns` in the table's order."""
    if name in DATASETS:
        with tempfile.TemporaryDirectory() as scratch:
            return Schema.from_yaml(write(name, Path(scratch))[1]).model_dump(mode="json")
    if name == "anes96":
        scale = whole(1, 7)
        return document(
            {"popul": whole(0, 10_000), "TVnews": whole(0, 7), "selfLR": scale, "ClinLR": scale, "DoleLR": scale}
            | {"PID": whole(0, 6), "age": whole(18, 100), "educ": scale, "income": whole(1, 24), "vote": among(0, 1)}
            | {"logpopul": decimal(-2.5, 9.5, 2)},
            target="vote",
        )
    if name == "digits":
        return document({c: whole(0, 16) for c in columns} | {"target": among(*range(10))}, target="target")
    return document({c: {"kind": "float"} for c in columns} | {"target": among(0, 1)}, target="target")
