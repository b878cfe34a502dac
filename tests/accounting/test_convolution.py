"""Losses on a grid: never below the closed form, and the circle of the transform loses nothing."""

import math

import numpy as np
import pytest

from accounting.convolution import TAIL, GridLosses, convolve, power, symmetric
from accounting.gaussian import gaussian_delta
from accounting.losses import gaussian


@pytest.mark.parametrize(("mu", "grid"), [(0.1, 1e-4), (0.5, 2e-3), (3.0, 0.02)])
def test_gaussian_dots_are_the_closed_form_on_both_sides_of_zero(mu, grid):
    losses = gaussian(mu, grid)
    for eps in np.linspace(-6 * mu, 6 * mu, 41):
        exact = gaussian_delta(mu, float(eps))
        found = losses.get_delta_for_epsilon(float(eps))
        # A chord lies above by at most an eighth of a squared step times the density of the loss.
        assert exact - 1e-12 <= found <= exact + grid**2 / mu / 2 + 3e-12
    side = losses.remove
    assert side.masses.sum() + side.infinite == pytest.approx(1, abs=1e-9)
    assert float(np.sum(side.masses * np.exp(-side.losses))) == pytest.approx(1, abs=1e-9)  # the other table


def test_power_of_a_gaussian_is_a_wider_gaussian():
    many = power(gaussian(0.05, 5e-5), 400)
    for eps in (-1.0, 0.0, 1.0, 4.0):
        assert gaussian_delta(1.0, eps) - 1e-12 <= many.get_delta_for_epsilon(eps) <= gaussian_delta(1.0, eps) * 1.001


def test_the_circle_is_long_enough_also_for_skewed_losses():
    """Rare large losses, whose sum reaches much further up than down: against convolution without any circle."""
    rng = np.random.default_rng(5)
    masses = np.concatenate([rng.dirichlet(np.ones(30)) * (1 - 1e-4), np.zeros(200), [1e-4]])
    part = GridLosses(grid=0.01, low=-14, masses=masses, infinite=0.0)
    whole = np.ones(1)
    for _ in range(40):
        whole = np.convolve(whole, masses)
    exact = GridLosses(grid=0.01, low=-14 * 40, masses=whole, infinite=0.0)
    found = power(symmetric(part), 40).remove
    for eps in (-2.0, 0.0, 1.0, 2.5, 6.0):
        truth = float(exact.deltas(np.array([eps]))[0])
        assert truth * (1 - 1e-9) <= float(found.deltas(np.array([eps]))[0]) <= truth + 3 * TAIL + 1e-14


def test_atoms_at_infinity_multiply():
    part = symmetric(GridLosses(grid=0.1, low=0, masses=np.array([0.9]), infinite=0.1))
    assert convolve([part, part], [2, 1]).remove.infinite == pytest.approx(1 - 0.9**3)


def test_epsilon_inverts_delta():
    losses = gaussian(0.7, 1e-3)
    for delta in (1e-3, 1e-6, 1e-10):
        eps = losses.get_epsilon_for_delta(delta)
        assert losses.get_delta_for_epsilon(eps) <= delta * (1 + 1e-6)
        assert losses.get_delta_for_epsilon(eps - 1e-6) > delta
    assert losses.get_epsilon_for_delta(0.9) == 0.0
    assert math.isinf(losses.get_epsilon_for_delta(1e-16))
