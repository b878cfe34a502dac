"""The worker of `oracle.py` that runs where `mbi` is installed: noisy marginals in, pair tables of its fit out.

python oracle_mbi.py ASKED.npz ANSWERED.npz
"""

from __future__ import annotations

import itertools
import sys
import warnings

import numpy as np

warnings.filterwarnings("ignore")  # jax and mbi advise on precision and caches
import jax  # noqa: E402

jax.config.update("jax_enable_x64", True)
import mbi  # noqa: E402
from mbi import estimation  # noqa: E402


def main(asked: str, answered: str) -> int:
    """Fit by mirror descent (Algorithm 1 of McKenna, Sheldon and Miklau 2019), project on every pair."""
    with np.load(asked) as given:
        sizes, total, sigmas, steps = given["sizes"], float(given["total"]), given["sigmas"], int(given["steps"])
        tables = {name: given[name] for name in given.files if name not in ("sizes", "total", "sigmas", "steps")}
    names = [str(column) for column in range(len(sizes))]
    domain = mbi.Domain(names, [int(size) for size in sizes])
    measurements = [
        mbi.LinearMeasurement(table.ravel(), tuple(name.split("_")), stddev=float(sigma))
        for (name, table), sigma in zip(tables.items(), sigmas, strict=True)
    ]
    model = estimation.MirrorDescent().estimate(domain, measurements, known_total=total, iters=steps)
    found = {
        f"{a}_{b}": np.asarray(model.project((a, b)).datavector()).reshape(sizes[int(a)], sizes[int(b)])
        for a, b in itertools.combinations(names, 2)
    }
    np.savez(answered, **found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
