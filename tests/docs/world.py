"""What lies in the folder where a page is read: files by their names, made when a block first names them.

A page begins in one of five worlds: `empty`; `vault`, a new workspace; `granted`, where `claims` has a budget too;
`drafted`, where its draft `claims-0001` has all its evidence; `released`, where `bundle` lies beside. Rows are made up.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.workspace import Draft, Workspace
from tests.e2e.conftest import lenient


def _days(rng: np.random.Generator, rows: int) -> list[str]:
    return [str(day) for day in np.datetime64("2024-01-01") + rng.integers(0, 365, rows)]


def people(rows: int = 6000, seed: int = 8) -> pd.DataFrame:
    """Stays in a hospital, two of each patient."""
    rng = np.random.default_rng(seed)
    age = rng.integers(0, 95, rows)
    return pd.DataFrame(
        {
            "age": age,
            "ward": rng.choice(["surgery", "medicine", "maternity"], rows),
            "days": np.minimum(rng.poisson(2 + age / 20), 30),
            "died": rng.random(rows) < age / 900,
            "admitted": _days(rng, rows),
        }
    )


def persons(rows: int = 3000) -> pd.DataFrame:
    """The same with the patient's id."""
    return people(rows).assign(patient_id=[f"p{i // 2}" for i in range(rows)])


def incomes(rows: int, seed: int) -> pd.DataFrame:
    """A survey with an income in two classes, and the day on which it was taken."""
    rng = np.random.default_rng(seed)
    age, hours = rng.integers(18, 90, rows), rng.integers(10, 60, rows)
    return pd.DataFrame(
        {
            "age": age,
            "hours": hours,
            "region": rng.choice(["north", "south", "west"], rows),
            "admitted": _days(rng, rows),
            "income": np.where(age + hours + rng.normal(0, 15, rows) > 90, "high", "low"),
            "died": (rng.random(rows) < age / 300).astype(int),
        }
    )


def complaints(rows: int = 400, seed: int = 3) -> pd.DataFrame:
    """Short complaints about three topics."""
    rng = np.random.default_rng(seed)
    words = {
        "fees": ["the bank", "a fee", "was charged", "twice", "my account", "without notice", "last month"],
        "fraud": ["a stranger", "opened a card", "in my name", "the police", "was told", "my credit", "is ruined"],
        "service": ["nobody", "answered the phone", "for an hour", "the branch", "was closed", "my letter", "got lost"],
    }
    issue = rng.choice(list(words), rows)
    told = [" ".join(rng.choice(words[topic], 9)) + "." for topic in issue]
    return pd.DataFrame({"issue": issue, "state": rng.choice(["NY", "CA", "TX"], rows), "narrative": told})


def _schema_of_claims(path: Path) -> None:
    path.write_text(
        "version: 1\ncolumns:\n  age: {kind: integer, min: 0, max: 110}\n"
        "  ward: {kind: categorical, values: [surgery, medicine, maternity]}\n"
        "  days: {kind: integer, min: 0, max: 30}\n  died: {kind: boolean, role: target}\n"
        "  admitted: {kind: date, min: 2024-01-01, max: 2024-12-31}\n",
        "utf-8",
    )


def _events(path: Path) -> None:
    events = [{"type": "gaussian", "sigma": "10", "l2_sensitivity": "1", "count": 20}]
    path.write_text(
        json.dumps({"schema": "dpsynth.events/1", "relation": "add_remove", "unit": "record", "events": events}),
        "utf-8",
    )


def visits(rows: int = 900) -> pd.DataFrame:
    """Stays of persons in their order."""
    rng = np.random.default_rng(2)
    return pd.DataFrame(
        {
            "patient_nbr": np.sort(rng.integers(0, rows // 3, rows)),
            "encounter_id": np.arange(rows),
            "gender": rng.choice(["Female", "Male"], rows),
            "insulin": rng.choice(["No", "Steady", "Up", "Down"], rows),
        }
    )


def _csv(table: Callable[[], pd.DataFrame]) -> Callable[[Path], None]:
    return lambda path: table().to_csv(path, index=False)


FILES: dict[str, Callable[[Path], None]] = {
    "claims.csv": _csv(people),
    "claims-2025.csv": _csv(lambda: people(seed=9)),
    "people.csv": _csv(lambda: people(600)),
    "mixed.csv": _csv(lambda: people(seed=11)),
    "adult.csv": _csv(lambda: incomes(1500, 5)),
    "data.csv": _csv(lambda: people(1500)),
    "last-year.csv": _csv(lambda: people(1500, seed=4)),
    "new.csv": _csv(lambda: people(1500, seed=13)),
    "rows-of-its-time.csv": _csv(lambda: people(1500, seed=14)),
    "patients.parquet": lambda path: persons().to_parquet(path),
    "visits.parquet": lambda path: visits().to_parquet(path),
    "complaints.csv": _csv(complaints),
    "EVENTS.json": _events,
    "claims.schema.yaml": _schema_of_claims,
    "schema.yaml": _schema_of_claims,
} | {
    f"{name}.csv": _csv(lambda seed=seed: incomes(900, seed))
    for name, seed in {"r": 1, "s": 2, "h": 3, "l": 4, "real": 1, "train": 1, "synthetic": 2, "holdout": 3}.items()
    | {"later": 4}.items()
}


def provide(text: str, folder: Path) -> None:
    """Make each file that `text` names and that is neither there nor written by what names it."""
    written = set(re.findall(r"(?:-o|--output|--html|--folder)\s+(\S+)", text))
    for name in set(re.findall(r"[\w][\w.-]*", text)) & set(FILES):
        if not (folder / name).exists() and name not in written:
            FILES[name](folder / name)


def begin(world: str, folder: Path) -> None:
    """Make a world; its policy is lenient, so that the gate hardly ever sends a draft back."""
    if world == "empty":
        return
    ws = Workspace.init(folder / "vault")
    if world == "vault":
        return
    _grant(ws, folder)
    if world == "granted":
        return
    if world == "drafted":
        _draft(ws).gate()
    else:
        _shipped(ws).release(folder / "bundle")
        shutil.copytree(folder / "bundle", folder / "BUNDLE")
    shutil.copy(ws.layout.release_public_key, folder / "release.pub")


def _shipped(ws: Workspace) -> Draft:
    """A draft that the gate ships: about one in three goes back, since an attack's control had no power."""
    for _ in range(5):  # as many as the policy has
        draft = _draft(ws)
        if draft.gate().decision == "ship":
            return draft
    return pytest.skip("the gate sent five drafts back; the page is about one that ships")


def _draft(ws: Workspace) -> Draft:
    draft = ws.synthesize("claims", "mst", epsilon=1, delta="1e-6")
    draft.attack()
    draft.evaluate()
    return draft


def _grant(ws: Workspace, folder: Path) -> None:
    ws.layout.policy.write_text(lenient(ws.layout.policy.read_text("utf-8")), "utf-8")
    provide("claims.csv claims.schema.yaml", folder)
    record = ws.register(folder / "claims.csv", schema=folder / "claims.schema.yaml")
    ws.create_budget(record, epsilon=9, delta="9e-5")
