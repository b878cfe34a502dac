"""Weights from public rows: a network is trained on them without noise, and private training begins there.

Public rows are weighted until their columns have the released shares, so that what is learned from them is dependence
alone and the columns are those that were paid for. Minibatches are drawn by weight; a tenth of the rows is held out,
and the weights that find them most likely are kept, so few rows teach little and never teach themselves. The gradients
are those of private training, unclipped. Public rows and released shares enter, nothing else: post-processing.

A start that fits is not to be washed out: Adam moves a coordinate by about its rate a step whatever the gradient, noise
included, so private training goes on at `FINE` of the network's own rate.

Not guaranteed: that public rows help. From another population their dependence is a wrong start, which the smaller rate
undoes more slowly (docs/concepts/trained-generators.md has figures).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.progress import Progress
from dpsynth.data.table import Table
from dpsynth.sgd import arrays
from dpsynth.sgd.adam import Adam
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.finishing.raking import RakedTable, raked
from dpsynth.tabular.networks.density import log_conditionals
from dpsynth.tabular.networks.protocol import ColumnNetwork, Columns
from dpsynth.tabular.records.public_prior import public_codes

FINE = 0.25
"""Adult with half of its test rows as prior, mean pair error at epsilon 1 and 0.3 (one run each): at rate 0.02 0.0286
and 0.0425, at 0.005 0.0269 and 0.0341, at 0.0015 0.0283 and 0.0368."""
LEAST_SHARE = 0.1
"""Part of the rows that count: 0.92 and more for rows of the same population, 0.11 for one state against the nation
(NIST, which neither helped nor hurt), 0.05 for women below 30 against all adults, which hurt."""
STEPS = 600
BATCH = 1024
EVERY = 25
"""Steps between looks at the held-out rows."""
PATIENCE = 4
"""Looks without a gain after which training ends."""
HELD_OUT, MOST_HELD_OUT = 0.1, 2000
UNCLIPPED = 1e9


def pretrain(
    network: ColumnNetwork,
    public: Table,
    binnings: Mapping[str, Binning],
    order: tuple[str, ...],
    columns: Columns,
    rng: np.random.Generator,
    *,
    rate: float,
    progress: Progress,
) -> bool:
    """Train in place on public rows; whether there were any to train on.

    Args:
        network: fresh.
        public: rows with the modelled columns.
        binnings: column -> released codes.
        order: columns as the network has them.
        columns: what it was told of them.
        rng: random numbers for post-processing.
        rate: learning rate at the first step.
        progress: called with numbers of steps.
    """
    shares = {name: own / own.sum() for name, own in zip(order, columns.shares, strict=True)}
    shapes = dict(zip(order, columns.sizes, strict=True))
    codes = public_codes(public, {name: binnings[name] for name in order}, shapes, shares, rng).astype(np.int64)
    codes = codes[rng.permutation(len(codes))]
    wanted = [
        RakedTable(columns=(at,), shares=shares[name], factors=np.ones(shapes[name])) for at, name in enumerate(order)
    ]
    weights, _ = raked(codes.astype(np.uint16), wanted)
    held = min(max(round(HELD_OUT * len(codes)), 1), MOST_HELD_OUT)
    if len(codes) == held or 1.0 / float((weights**2).sum()) < LEAST_SHARE * len(codes):
        return False
    _learn(network, codes[held:], weights[held:], codes[:held], weights[:held], rng, rate, progress)
    return True


def _learn(
    network: ColumnNetwork,
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
    held: NDArray[np.int64],
    of_held: NDArray[np.float64],
    rng: np.random.Generator,
    rate: float,
    progress: Progress,
) -> None:
    """The running mean that finds the held-out rows most likely; the fresh network where none is better."""
    copies = {name: arrays.on_cpu(parameter) for name, parameter in network.parameters.items()}
    optimiser = Adam(copies, rate=rate, steps=STEPS)
    upper = np.cumsum(weights)
    best = {name: array.copy() for name, array in copies.items()}
    height, waited = _likelihood(network, held, of_held), 0
    for step in range(STEPS):
        drawn = np.minimum(np.searchsorted(upper, rng.random(BATCH) * upper[-1], side="right"), len(codes) - 1)
        parameter = next(iter(network.parameters.values()))
        sums, _ = network.clipped_sum(arrays.rows_for(parameter, codes[drawn]), None, UNCLIPPED)
        optimiser.step(step, {name: arrays.on_cpu(total) / BATCH for name, total in sums.items()})
        _put(network, optimiser.parameters)
        progress("train on public rows", step + 1, STEPS)
        if (step + 1) % EVERY:
            continue
        now = {name: array.copy() for name, array in optimiser.parameters.items()}
        mean = {name: state["mean"] for name, state in optimiser.state.items()}
        _put(network, mean)
        found = _likelihood(network, held, of_held)
        if found > height:
            height, waited, best = found, 0, {name: array.copy() for name, array in mean.items()}
        else:
            waited += 1
        _put(network, now)
        if waited == PATIENCE:
            break
    _put(network, best)


def _likelihood(network: ColumnNetwork, held: NDArray[np.int64], weights: NDArray[np.float64]) -> float:
    """Weighted log-likelihood of held-out public rows."""
    return float(weights @ log_conditionals(type(network).sampler(network.state()), held).sum(axis=1))


def _put(network: ColumnNetwork, values: Mapping[str, NDArray[np.float32]]) -> None:
    for name, parameter in network.parameters.items():
        arrays.put_back(parameter, values[name])
