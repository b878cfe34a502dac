"""diffprivlib's classifiers, each called so that its epsilon is one of adding or removing a row.

diffprivlib names no neighbours. Read from its code (0.6.6): if of a table with a public number of rows one row is
replaced, label included, this many of its epsilons are spent, or `STEPS`:

    logistic      1   objective perturbation (Chaudhuri, Monteleoni and Sarwate 2011)
    naive_bayes   2   counts, sums and squares of two classes change where a label does; it charges for one
    trees         -   1 under add/remove itself: a row is in one leaf of one tree, and counts only grow

`score` makes that table: as many rows as a released number says, surplus ones left out, lacking ones taken from the
synthetic table. Adding a row then replaces one, so epsilon under add/remove is `STEPS` times the library's.

Faults of the library that would break this, and what is done here:

* bounds, norms and classes left out are read from the data with a `PrivacyLeakWarning`: an error here
* `LogisticRegression` does not penalise its intercept, which the theorem needs: no intercept, a constant coordinate
* its sensitivity grows with the norm where the theorem's grows with the square: rows of norm at most 1
* `GaussianNB` takes the range of a column as the sensitivity of a sum that a row may enter or leave: ranges are [0, 1]
* which classes occur is read from the rows: each class has one released row added
* `RandomForestClassifier` seeds its trees with 31 bits of a generator that is no secret: left out. `trees` are its
  `DecisionTreeClassifier`s on a random partition, each with its own noise of the operating system
* `LinearRegression` (R2 from -4e6 to 0.1 over draws) and `KMeans`: left out, of no use as a comparison

Noise is `secrets.SystemRandom` in floating point; trees' splits are numpy's global generator, independent of any row.

Not guaranteed: what floating point or an optimum that is reached only nearly may leak; the library's own limit.
"""

from __future__ import annotations

import importlib
import importlib.util
import secrets
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import DpsynthError, ParameterError

STEPS: Final = MappingProxyType({"logistic": 1, "naive_bayes": 2, "trees": 1})
PADDED: Final = frozenset({"logistic", "naive_bayes"})  # their noise is for a table of a public number of rows
TREES: Final = 10
DEPTH: Final = 5
Floats = NDArray[np.float64]


class PrivacyLeak(DpsynthError):
    """diffprivlib said that it would read a bound from the data."""


def check_installed() -> None:
    """Raises `ParameterError` with the remedy if diffprivlib is not there."""
    if importlib.util.find_spec("diffprivlib") is None:
        raise ParameterError(
            "diffprivlib is not installed: it is an optional extra.", "pip install 'dpsynth-release[comparators]'"
        )


def accountant() -> Any:
    """A fresh `BudgetAccountant` without a limit: what it counted is handed to the ledger, which has the limit."""
    check_installed()
    return importlib.import_module("diffprivlib").BudgetAccountant()


def fitted(name: str, x: Floats, y: NDArray[np.int64], classes: int, *, epsilon: float, accountant: Any) -> Any:
    """A function from features to (rows, classes) shares.

    Args:
        name: a key of `STEPS`.
        x: features, shape (rows, columns): rows of L2 norm at most 1 for logistic, cells in [0, 1] for the others.
        y: codes of the target, shape (rows,), below `classes`.
        classes: how many there are; public.
        epsilon: the library's, one of its steps.
        accountant: a `BudgetAccountant`, which counts one spend.

    Raises:
        PrivacyLeak: the library would have read something from the data.
    """
    models = importlib.import_module("diffprivlib.models")
    with _strict():
        if name == "logistic":
            model = models.LogisticRegression(
                epsilon=epsilon, data_norm=1.0, fit_intercept=False, max_iter=2000, tol=1e-9, accountant=accountant
            ).fit(x, y)
            return model.predict_proba
        box = (np.zeros(x.shape[1]), np.ones(x.shape[1]))
        if name == "naive_bayes":
            made = models.GaussianNB(epsilon=epsilon, bounds=box, var_smoothing=1e-3, accountant=accountant)
            return made.partial_fit(x, y, classes=np.arange(classes)).predict_proba
        part = np.array([secrets.randbelow(TREES) for _ in range(len(y))], dtype=np.int64)
        kept = [
            models.DecisionTreeClassifier(
                max_depth=DEPTH, epsilon=epsilon, bounds=box, classes=np.arange(classes), accountant=_uncounted()
            ).fit(*_never_empty(x[part == at], y[part == at]))
            for at in range(TREES)
        ]
    accountant.spend(epsilon, 0)  # disjoint parts: adding or removing a row changes one leaf of one tree
    return lambda rows: np.mean([tree.predict_proba(rows) for tree in kept], axis=0)


def _uncounted() -> Any:
    return importlib.import_module("diffprivlib").BudgetAccountant()


def _never_empty(x: Floats, y: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """With one fixed row, so that a part without rows is no error that would show."""
    return np.vstack([x, np.full((1, x.shape[1]), 0.5)]), np.append(y, 0)


@contextmanager
def _strict() -> Iterator[None]:
    """The library's leak warning as our error, and its use of a scipy option that is going away unmentioned."""
    leak = importlib.import_module("diffprivlib.utils").PrivacyLeakWarning
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=leak)
        warnings.filterwarnings("ignore", message=".*(disp|iprint).*", category=DeprecationWarning)
        warnings.filterwarnings("ignore", message="'multi_class' was deprecated", category=FutureWarning)
        try:
            yield
        except leak:
            raise PrivacyLeak(
                "diffprivlib would have read bounds or classes from the data, so its epsilon would not hold.",
                "This is a defect of the comparison; report it.",
            ) from None
