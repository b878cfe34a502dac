"""Which guesser of a secret sees which leak? Gaps in success over holdout, release by release.

python benchmarks/attacks_secrets.py --rows 20000 --secrets occupation hours_per_week

null        real rows, never trained on
kept5       `occupation` and four more columns of every member kept together, every other column permuted
kept4       hours, age, weight and work class kept together, the others permuted
kept10      ten columns kept together, among them `occupation` and hours, the others permuted
kernel      members with numbers moved by 0.3 standard deviations and 30 % of categories redrawn
cart        a tree synthesizer: column after column from the leaf (five rows) of a tree of the columns before

Standard errors stand in parentheses.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
from attacks_ladder import load, split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from attacks.evidence import measure
from attacks.inference.attribute import attribute_score
from attacks.inference.forest import forest_score
from attacks.inference.reconstruction import reconstruction_score
from attacks.population import prepare
from attacks.protocol import Roles

Frame = pd.DataFrame
KEPT = {
    "kept5": ("age", "education", "fnlwgt", "occupation", "hours_per_week"),
    "kept4": ("age", "fnlwgt", "hours_per_week", "workclass"),
    "kept10": (
        *("age", "education", "education_num", "marital_status", "relationship"),
        *("sex", "race", "occupation", "hours_per_week", "workclass"),
    ),
}


def kept(members: Frame, columns: tuple[str, ...], rng: np.random.Generator) -> Frame:
    """Every member; the given columns stay together, every other is permuted by itself."""
    return pd.DataFrame(
        {c: members[c].to_numpy() if c in columns else rng.permutation(members[c].to_numpy()) for c in members}
    )


def kernel(members: Frame, rng: np.random.Generator, *, bandwidth: float = 0.3) -> Frame:
    """Members drawn with replacement and blurred; numbers stay on the values that occur."""
    made = members.iloc[rng.integers(0, len(members), len(members))].reset_index(drop=True)
    for name in made:
        own = members[name].to_numpy()
        if pd.api.types.is_numeric_dtype(made[name]):
            moved = made[name].to_numpy(float) + rng.normal(0, bandwidth * np.nanstd(own), len(made))
            levels = np.unique(own[~np.isnan(own)])
            at = np.clip(np.searchsorted(levels, moved), 0, len(levels) - 1)
            made[name] = np.where(np.isnan(moved), np.nan, levels[at])
        else:
            redrawn = rng.random(len(made)) < bandwidth
            made.loc[redrawn, name] = own[rng.integers(0, len(own), redrawn.sum())]
    return made


def cart(members: Frame, rng: np.random.Generator, *, leaf: int = 5) -> Frame:
    """Each column drawn from the members in the leaf of a tree grown on the columns before it."""
    numeric = [pd.api.types.is_numeric_dtype(members[c]) for c in members]
    codes = np.stack(
        [
            members[c].fillna(-1).to_numpy(float)
            if is_number
            else pd.factorize(members[c], sort=True, use_na_sentinel=False)[0].astype(float)
            for c, is_number in zip(members, numeric, strict=True)
        ],
        axis=1,
    )
    donor = rng.integers(0, len(members), len(members))
    drawn, out = codes[donor, :1], {members.columns[0]: members.iloc[donor, 0].to_numpy()}
    for at in range(1, codes.shape[1]):
        kind = DecisionTreeRegressor if numeric[at] else DecisionTreeClassifier
        tree = kind(min_samples_leaf=leaf, random_state=0).fit(codes[:, :at], codes[:, at])
        theirs, ours = tree.apply(codes[:, :at]), tree.apply(drawn)
        order = np.argsort(theirs, kind="stable")
        low = np.searchsorted(theirs[order], ours)
        width = np.searchsorted(theirs[order], ours, side="right") - low
        donor = order[low + (rng.random(len(ours)) * width).astype(int)]
        drawn = np.column_stack([drawn, codes[donor, at]])
        out[members.columns[at]] = members.iloc[donor, at].to_numpy()
    return pd.DataFrame(out)


RELEASES: dict[str, Callable[[Frame, Frame, np.random.Generator], Frame]] = {
    "null": lambda _members, spare, _rng: spare,
    **{n: (lambda members, _spare, rng, c=columns: kept(members, c, rng)) for n, columns in KEPT.items()},
    "kernel": lambda members, _spare, rng: kernel(members, rng),
    "cart": lambda members, _spare, rng: cart(members, rng),
}


def main() -> None:
    """Print one line a release, secret and guesser: gap in points and its standard error for each endpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--secrets", nargs="*", default=["occupation", "hours_per_week"])
    parser.add_argument("--releases", nargs="*", default=list(RELEASES))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    table = load("adult").sample(given.rows, random_state=0).reset_index(drop=True)
    for name in given.releases:
        members, holdout, spare = split(table, name, given.seed)
        release = RELEASES[name](members, spare, np.random.default_rng([given.seed, 2]))
        rng = np.random.default_rng(given.seed)
        people = prepare(release=release, members=members, nonmembers=holdout, roles=Roles(), rng=rng)
        for secret in given.secrets:
            for build in (attribute_score, forest_score, reconstruction_score):
                attack, start = build(secret), time.process_time()
                cohorts = people.cohorts(attack.max_targets, np.random.default_rng(1))
                scores = [attack.score(c.view, np.random.default_rng(2)) for c in cohorts]
                spent, found = time.process_time() - start, []
                for endpoint in attack.endpoints(Roles()):
                    effect = measure(endpoint, cohorts, scores)
                    if effect is not None:
                        label = endpoint.among or endpoint.stratum
                        found.append(f"{label} {100 * effect.estimate:.1f} ({100 * effect.se:.1f})")
                print(f"{name:<8} {attack.name:<36} {'  '.join(found)}   {spent:.1f} CPU s", flush=True)


if __name__ == "__main__":
    main()
