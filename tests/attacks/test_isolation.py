"""Isolated rows are those that were put far from everybody, whatever the other columns hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import attacks
from attacks.errors import AttackParameterError


def test_planted_strangers_are_found_first() -> None:
    rng = np.random.default_rng(0)
    people = pd.DataFrame({"a": rng.normal(size=500), "b": rng.normal(size=500), "c": rng.choice(["x", "y"], 500)})
    strangers = rng.choice(500, 4, replace=False)
    people.loc[strangers, ["a", "b"]] = [[9, 9], [-9, 9], [9, -9], [-9, -9]]
    assert set(attacks.most_isolated(people, 4)) == set(strangers)
    assert attacks.most_isolated(people, 0).size == 0 and attacks.most_isolated(people, 500).size == 500
    with pytest.raises(AttackParameterError, match="got 501"):
        attacks.most_isolated(people, 501)
