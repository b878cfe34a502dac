"""What every network must hold to be trained privately: subclass, return one instance from `make`, inherit the checks.

class TestMine(NetworkConformance):
    def make(self):
        return Mine()

The clip bounds what a unit adds to a sum only if no unit's part depends on another unit: that is what most checks are
about. They know nothing of how a network finds its gradients.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dpsynth.sgd.arrays import on_cpu, rows_for

SIZES = (2, 9, 3, 12)
"""Codes of each column of the rows that the checks make up."""

TOLERANCE = 1e-6
"""Of sums and differences, relative to the clip or to the largest norm, whichever is smaller."""


def made_rows(count, seed=0, sizes=SIZES):
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.stack([rng.integers(0, size, count) for size in sizes], axis=1).astype(np.int64))


def clipped(network, rows, units, clip):
    """`clipped_sum` of a network of either kind, numpy or torch, in torch."""
    parameter = next(iter(network.parameters.values()))
    with torch.no_grad():
        found, norms = network.clipped_sum(
            rows_for(parameter, rows.numpy()), rows_for(parameter, None if units is None else units.numpy()), clip
        )
    return {name: torch.from_numpy(on_cpu(array)) for name, array in found.items()}, torch.from_numpy(on_cpu(norms))


class NetworkConformance:
    """The checks. `make` gives a network over columns of `sizes` codes whose gradients are not all zero."""

    sizes = SIZES
    clip = 1.0

    def make(self):
        raise NotImplementedError

    def rows(self, count=20, seed=0):
        return made_rows(count, seed, self.sizes)

    def sums(self, network, rows, units=None, clip=None):
        before = {name: on_cpu(array).copy() for name, array in network.parameters.items()}
        found, norms = clipped(network, rows, units, self.clip if clip is None else clip)
        for name, array in network.parameters.items():
            assert np.array_equal(on_cpu(array), before[name]), f"a sum moved parameter {name}"
        return {name: tensor.double() for name, tensor in found.items()}, norms.double()

    def same(self, one, other, *, scale):
        for name in one:
            worst = float((one[name] - other[name]).abs().max())
            assert worst <= TOLERANCE * scale, f"{name} differs by {worst:.2g}"

    # --- no unit changes what another adds ---------------------------------------------------------------------------

    def test_changing_one_row_leaves_what_all_others_add(self):
        network, rows = self.make(), self.rows()
        for at in (0, 7, len(rows) - 1):
            other = rows.clone()
            other[at] = self.rows(1, seed=99)[0]
            (one, norms), (two, changed) = self.sums(network, rows), self.sums(network, other)
            alone, _ = self.sums(network, rows[at : at + 1])
            instead, _ = self.sums(network, other[at : at + 1])
            kept = torch.arange(len(rows)) != at
            assert float((norms[kept] - changed[kept]).abs().max()) <= TOLERANCE * float(norms.max())
            self.same(
                {name: one[name] - alone[name] for name in one},
                {name: two[name] - instead[name] for name in two},
                scale=self.clip * len(rows),
            )

    def test_a_sum_is_the_sum_of_its_units_each_alone(self):
        network, rows = self.make(), self.rows(12)
        together, norms = self.sums(network, rows)
        apart = [self.sums(network, rows[at : at + 1]) for at in range(len(rows))]
        self.same(together, {n: sum(one[0][n] for one in apart) for n in together}, scale=self.clip * len(rows))
        assert float((norms - torch.cat([one[1] for one in apart])).abs().max()) <= TOLERANCE * float(norms.max())

    def test_the_order_of_rows_does_not_matter(self):
        network, rows = self.make(), self.rows()
        order = torch.from_numpy(np.random.default_rng(3).permutation(len(rows)))
        (one, norms), (two, shuffled) = self.sums(network, rows), self.sums(network, rows[order])
        self.same(one, two, scale=self.clip * len(rows))
        assert float((norms[order] - shuffled).abs().max()) <= TOLERANCE * float(norms.max())

    def test_rows_beside_a_row_do_not_pad_or_mask_it(self):
        """The same row among 1, 3 and 700 others, first and last."""
        network, rows = self.make(), self.rows(700)
        _, alone = self.sums(network, rows[:1])
        for count in (2, 4, 700):
            for among in (rows[:count], rows[:count].flip(0)):
                _, norms = self.sums(network, among)
                own = norms[0] if torch.equal(among[0], rows[0]) else norms[-1]
                assert abs(float(own - alone[0])) <= TOLERANCE * float(alone[0])

    # --- the clip ----------------------------------------------------------------------------------------------------

    def test_one_unit_adds_no_more_than_the_clip(self):
        network = self.make()
        for rows in (self.rows(1), self.rows(7), self.rows(1).repeat(300, 1)):
            for clip in (1e-3, self.clip, 5.0):
                added, norms = self.sums(network, rows, torch.zeros(len(rows), dtype=torch.int64), clip)
                size = sum(float((tensor**2).sum()) for tensor in added.values()) ** 0.5
                assert size <= clip
                if norms[0] > clip:
                    assert size >= 0.998 * clip

    def test_below_the_clip_a_gradient_stays_as_it_is(self):
        network, rows = self.make(), self.rows(6)
        units = torch.zeros(6, dtype=torch.int64)
        as_one, norm = self.sums(network, rows, units, 1e6)
        apart, _ = self.sums(network, rows, None, 1e6)
        self.same(as_one, apart, scale=10 * len(rows))
        assert float(norm[0]) == pytest.approx(sum(float((t**2).sum()) for t in apart.values()) ** 0.5, rel=1e-5)

    def test_a_unit_of_one_row_is_the_row(self):
        network, rows = self.make(), self.rows(9)
        (one, norms), (two, of_units) = self.sums(network, rows), self.sums(network, rows, torch.arange(9))
        self.same(one, two, scale=self.clip * len(rows))
        assert float((norms - of_units).abs().max()) <= TOLERANCE * float(norms.max())

    def test_units_beside_a_unit_do_not_change_it(self):
        """Units of 1, 2, 5, 16, 17 and 40 rows: closed form, Gram form and the gradient itself."""
        network, sizes = self.make(), (5, 1, 40, 2, 1, 16, 17, 2)
        units = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
        rows = self.rows(len(units))
        together, norms = self.sums(network, rows, units)
        apart = [self.sums(network, rows[units == u], units[units == u] * 0) for u in range(len(sizes))]
        self.same(together, {n: sum(one[0][n] for one in apart) for n in together}, scale=self.clip * len(sizes))
        assert float(((norms - torch.cat([one[1] for one in apart])) / norms).abs().max()) <= 1e-5

    # --- shapes ------------------------------------------------------------------------------------------------------

    def test_sums_have_the_shapes_of_the_parameters_and_are_zero_off_the_mask(self):
        network = self.make()
        for units in (None, torch.arange(12) // 3):
            sums, norms = self.sums(network, self.rows(12), units)
            assert {n: t.shape for n, t in sums.items()} == {n: tuple(t.shape) for n, t in network.parameters.items()}
            assert norms.shape == ((12,) if units is None else (4,))
            for name, live in network.live.items():
                assert not sums[name].numpy()[~on_cpu(live)].any(), f"{name} is trained off its mask"
                assert not on_cpu(network.parameters[name])[~on_cpu(live)].any(), f"{name} is not zero off its mask"

    def test_parameters_are_plain_float32(self):
        for name, array in self.make().parameters.items():
            assert array.dtype in (torch.float32, np.float32) and not getattr(array, "requires_grad", False), name
