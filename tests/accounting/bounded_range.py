"""Mechanisms of bounded range written out as probabilities, for whoever tries to exceed the block profile."""

import numpy as np


def hockey_stick(p, q, epsilons):
    """Profile of each row's pair at each epsilon: shape (..., n) laws to (..., len(epsilons)) deltas."""
    return np.maximum(p[..., None, :] - np.exp(epsilons)[:, None] * q[..., None, :], 0).sum(axis=-1)


def exponential_mechanisms(rng, eta, number, outcomes):
    """`number` random exponential mechanisms of range exactly or at most `eta`: P and Q, shape (number, outcomes).

    A third of them have two groups of equal change, which is where the bound is attained; base weights spread from
    nearly uniform to nearly certain.
    """
    base = rng.normal(size=(number, outcomes)) * rng.choice([0.1, 1.0, 4.0], size=(number, 1))
    change = rng.uniform(0, eta, size=(number, outcomes))
    extreme = rng.random(number) < 1 / 3
    change[extreme] = eta * rng.integers(0, 2, size=(int(extreme.sum()), outcomes))
    change[:, 0], change[:, 1] = 0.0, np.where(rng.random(number) < 0.8, eta, change[:, 1])
    laws = [np.exp(s - s.max(axis=1, keepdims=True)) for s in (base + change, base)]
    return [law / law.sum(axis=1, keepdims=True) for law in laws]


def tree(rng, steps, response_at=None, epsilon=0.0):
    """P and Q over the leaves of one adaptive tree: at each node its own mechanism of that step's range.

    Args:
        rng: numbers.
        steps: ranges in time order.
        response_at: before which step one randomised response is asked, or None.
        epsilon: of that response; who answers in which direction depends on the history.
    """
    p = q = np.ones(1)
    yes = 1 / (1 + np.exp(-epsilon))
    for at in range(len(steps) + 1):
        if at == response_at:
            flip = np.where(rng.integers(0, 2, size=(len(p), 1)) == 1, [[yes, 1 - yes]], [[1 - yes, yes]])
            p, q = (p[:, None] * flip).ravel(), (q[:, None] * (1 - flip)).ravel()
        if at < len(steps):
            step_p, step_q = exponential_mechanisms(rng, steps[at], len(p), int(rng.integers(2, 5)))
            p, q = (p[:, None] * step_p).ravel(), (q[:, None] * step_q).ravel()
    return p, q


def optimal_tree(steps, epsilon, grid):
    """P and Q of the best adversary whose every t is a multiple of `grid`, by plain recursion from the last step.

    Args:
        steps: ranges in time order, multiples of `grid`.
        epsilon: multiple of `grid` at which the tree is best.
        grid: spacing of the choices.
    """
    widths = [round(eta / grid) for eta in steps]
    known = {}

    def value(step, j):
        """Best delta at gamma = e^(j grid) from `step` on, and the t that gives it."""
        if step == len(widths):
            return max(0.0, -np.expm1(j * grid)), 0
        if (step, j) not in known:
            width = widths[step]
            known[step, j] = max(
                (
                    share(width, t) * value(step + 1, j - t)[0]
                    + (1 - share(width, t)) * value(step + 1, j - t + width)[0],
                    t,
                )
                for t in range(width + 1)
            )
        return known[step, j]

    def share(width, t):
        return (np.exp(width * grid) - np.exp(t * grid)) / np.expm1(width * grid)

    leaves = []

    def walk(step, j, p, q):
        if step == len(widths):
            leaves.append((p, q))
            return
        width, t = widths[step], value(step, j)[1]
        high = share(width, t)
        walk(step + 1, j - t, p * high, q * high * np.exp(-t * grid))
        walk(step + 1, j - t + width, p * (1 - high), q * (1 - high) * np.exp((width - t) * grid))

    walk(0, round(epsilon / grid), 1.0, 1.0)
    p, q = np.array(leaves).T
    return p, q
