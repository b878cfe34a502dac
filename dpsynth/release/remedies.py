"""What to do about a draft that is not good enough: one sentence that follows from its own figures.

The pair of columns that lost most says which kind of error it is. Noise of standard deviation sigma on each of the
K cells of its table of n rows moves mass by about

    0.4 K sigma / n          (half the sum of E|N(0, sigma^2)| = 0.8 sigma)

so a pair that lost more was lost by the model, and one that lost no more may have been lost by noise, which falls as 1
over epsilon. K is the cells of both columns as the report codes them; n is the released row total.

    lost by noise, and up to 4 times the epsilon would do        that factor
    lost by noise, and more than that would be needed            fewer columns: noise a table grows with their number
    lost by the model, and the pair stands out                   the pair: the target's pairs are measured first
    otherwise                                                    another generator of the table

Everything said here is computed from confidential figures and stays in the workspace.

>>> from dpsynth.release.remedies import other_generator
>>> other_generator("mst"), other_generator("gibbs")
('gibbs', 'aim')

Not guaranteed: that it helps. The noise is an order of magnitude, and generators share it among tables.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from dpsynth.tabular import GENERATORS

if TYPE_CHECKING:
    from dpsynth.quality.report import PairQuality, QualityReport
    from dpsynth.release.evidence import DraftDocument

AFFORDABLE: Final = 4.0
"""Times the epsilon that is still advice; beyond, it is none."""
STANDS_OUT: Final = 3.0
"""Times the mean loss of a pair."""
_HALF_NORMAL: Final = 0.5 * math.sqrt(2 / math.pi)
_BY_ACCURACY: Final = ("gibbs", "aim", "mst", "independent")
"""As measured on simulated and public tables (docs/concepts/marginal-generators.md)."""

DIVERGING: Final = (
    "What improves the figures of today and harms those of later must not be chosen by the former: do not draw again. "
    "Leave out columns that hold for a time only (codes, campaigns, identifiers), or cut later and train on newer rows."
)
TEXT_REMEDY: Final = {
    "text_js2": "Use more epsilon, a better public model, or shorter texts.",
    "text_coverage": "Declare a topic column, use more epsilon, or a better public model.",
    "text_self_bleu4": "Sample at a higher temperature, or declare a topic column.",
}


def other_generator(name: str) -> str:
    """The most accurate generator of tables that is another one than `name`."""
    return next(one for one in _BY_ACCURACY if one != name and one in GENERATORS)


def worst_pair(report: QualityReport) -> PairQuality | None:
    """The pair of columns that lost most against a real holdout; None where pairs are not listed."""
    return max(report.pairs, key=lambda pair: pair.tvd - pair.reference, default=None)


def noise_of(report: QualityReport, pair: PairQuality, rows: int) -> float | None:
    """Total variation that noise alone leaves in a pair's table; None if the noise or the cells are not known."""
    cells = {column.name: column.cells for column in report.columns}
    if report.resolution is None or not {pair.left, pair.right} <= cells.keys():
        return None
    return _HALF_NORMAL * cells[pair.left] * cells[pair.right] * report.resolution.sigma / max(rows, 1)


def remedy(report: QualityReport, draft: DraftDocument, *, times: float) -> str:
    """What to do next.

    Args:
        report: the draft's quality.
        draft: its document.
        times: how many times the limit was found (above 1).

    Returns:
        One sentence or two, each an order.
    """
    pair, generator = worst_pair(report), draft.generator.name
    other = f"use another generator, such as {other_generator(generator)}"
    if draft.text is not None:
        other = "use a better public model or another method of `dpsynth text synthesize`"
    if pair is None:
        return f"Use more epsilon or fewer columns, or {other}."
    lost = pair.tvd - pair.reference
    noise = noise_of(report, pair, draft.row_total)
    named = f"The pair that lost most is {pair.left!r} and {pair.right!r}"
    if noise is not None and lost <= noise:
        if times <= AFFORDABLE:
            factor = math.ceil(10 * max(times, 1.1)) / 10
            return f"{named}, by no more than its noise: use about {factor:g} times the epsilon, or fewer columns."
        count = len(draft.tabular)
        fewer = max(2, min(count - 1, round(count / math.sqrt(times))))
        return (
            f"{named}, by no more than its noise, and {math.ceil(times)} times the epsilon would be needed: model "
            f"fewer columns, about {fewer} of {count}, or declare fewer values."
        )
    mean = sum(max(one.tvd - one.reference, 0.0) for one in report.pairs) / len(report.pairs)
    if lost > 0 and lost >= STANDS_OUT * mean:
        beyond = "" if noise is None else ", beyond its noise"
        return (
            f"{named}{beyond}, so the model did not keep it. Declare one of the two as target (`--target`), declare "
            f"what is public about them, or {other}."
        )
    beyond = "more than noise explains" if noise is not None else "over many pairs"
    return f"{named}, {beyond}: {other}, or declare in the schema what is public."
