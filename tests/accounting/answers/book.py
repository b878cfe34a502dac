"""The list of vectors, and the arithmetic on losses that every family of them uses; 40 digits throughout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

try:
    import mpmath as mp
except ImportError as missing:  # the answers are in the repository; only making them again needs it
    raise SystemExit("Making the vectors again needs mpmath, which computes them: pip install mpmath.") from missing

mp.mp.dps = 40
F = mp.mpf
Event = dict[str, Any]
VECTORS: list[dict[str, Any]] = []
SQRT2 = "1.41421356237309504880"

BW = "Balle and Wang 2018, Theorem 8"
CKS = "Canonne, Kamath and Steinke 2020, Theorem 7"
CKS_CONVERSION = "Canonne, Kamath and Steinke 2020, Corollary 13"
KOV = "Kairouz, Oh and Viswanath 2015, Theorem 3.3"
DDR = "Dong, Durfee and Rogers 2020; curve proved in docs/concepts/block-profile.md"
MIRONOV = "Mironov 2017, Table II"
MTZ = "Mironov, Talwar and Zhang 2019"


def add(
    quantity: str,
    value: Any,
    events: list[Event],
    source: str,
    *,
    method: str = "mpmath, 40 digits",
    at: str | None = None,
    bound: str = "equal",
    tolerance: float = 1e-9,
    relation: str = "add_remove",
    unit: Any = "record",
) -> None:
    """One vector.

    Args:
        quantity: "epsilon" (at delta `at`), "delta" (at epsilon `at`), "renyi" (at order `at`), "rho" or "atom".
        value: the truth, or an upper or lower bound on it.
        events: of the tree, in the JSON form of `dpsynth.events/1`.
        source: where the formula or the figure is printed.
        method: how the value was computed.
        at: see `quantity`.
        bound: "equal", "upper" or "lower": what `value` is to the truth.
        tolerance: how far above an equal value, relatively, an accountant may be.
        relation: of the tree.
        unit: of the tree.
    """
    body = {"quantity": quantity, "at": at, "value": mp.nstr(F(value), 15), "bound": bound, "tolerance": tolerance}
    tree = {"relation": relation, "unit": unit, "events": events}
    VECTORS.append({"id": f"V{len(VECTORS) + 1:03}", **body, **tree, "source": source, "method": method})


def solve(delta_at: Callable[[Any], Any], delta: str, high: float = 1.0) -> Any:
    """Smallest epsilon >= 0 with delta_at(epsilon) <= delta, by bisection to 20 digits."""
    low, top, target = F(0), F(high), F(delta)
    if delta_at(low) <= target:
        return low
    while delta_at(top) > target:
        low, top = top, 2 * top
    while top - low > F(10) ** -20 * top:
        middle = (low + top) / 2
        low, top = (middle, top) if delta_at(middle) > target else (low, middle)
    return top


def solve_coarse(delta_at: Callable[[Any], Any], delta: str) -> Any:
    """As `solve`, to ten digits, for curves that cost a quadrature each."""
    low, high, target = F(0), F(1), mp.log(F(delta))

    def gap(eps: Any) -> Any:
        value = delta_at(eps)
        return mp.log(value) - target if value > 0 else F(-1000)

    while gap(high) > 0:
        low, high = high, 2 * high
    for _ in range(36):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) > 0 else (low, middle)
    return high


def atoms_delta(atoms: list[tuple[Any, Any]], lost: Any = 0) -> Callable[[Any], Any]:
    """delta(epsilon) = lost + (1 - lost) sum over losses above epsilon of p (1 - e^(epsilon - loss))."""
    lost = F(lost)
    return lambda eps: lost + (1 - lost) * mp.fsum(p * -mp.expm1(eps - loss) for loss, p in atoms if loss > eps)


def both(first: list[tuple[Any, Any]], second: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The loss of two mechanisms; equal losses (to 25 digits) are one atom."""
    sums: dict[str, list[Any]] = {}
    for a, p in first:
        for b, q in second:
            entry = sums.setdefault(mp.nstr(a + b, 25), [a + b, F(0)])
            entry[1] += p * q
    return [(loss, p) for loss, p in sums.values()]


def many(one: list[tuple[Any, Any]], times: int) -> list[tuple[Any, Any]]:
    result = [(F(0), F(1))]
    for _ in range(times):
        result = both(result, one)
    return result


def golden(f: Callable[[Any], Any], width: Any, digits: int = 13, cells: int = 16) -> Any:
    """Maximum of f on [0, width]: golden section around the best of a coarse scan."""
    points = [width * i / cells for i in range(cells + 1)]
    best = max(range(cells + 1), key=lambda i: f(points[i]))
    low, high = points[max(best - 1, 0)], points[min(best + 1, cells)]
    ratio = (mp.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    f_left, f_right = f(left), f(right)
    while high - low > F(10) ** -digits * width:
        if f_left > f_right:
            high, right, f_right = right, left, f_left
            left = high - ratio * (high - low)
            f_left = f(left)
        else:
            low, left, f_left = left, right, f_right
            right = low + ratio * (high - low)
            f_right = f(right)
    return max(f_left, f_right, f(F(0)), f(width))
