"""Curves of a figure over epsilon as static SVG, one line a generator; see `charts` for how a chart is made.

Epsilon has a logarithmic axis with the values that were run as its marks. Shape repeats what colour says. Real rows and
baselines without a guarantee have no epsilon: they are level lines, dashed and dotted.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

from dpsynth.report.charts import _RC, ACCENT, BAD, GOOD, GRID, INK, MUTED, WARN, _svg
from dpsynth.report.comparison import FigureView, Series
from dpsynth.report.views import clean

_STYLES: Final = (
    ("o", ACCENT, "-"), ("s", WARN, "-"), ("^", GOOD, "-"), ("D", BAD, "-"), ("v", INK, "-"), ("P", MUTED, "-"),
    ("o", BAD, "--"), ("s", GOOD, "--"), ("^", WARN, "--"), ("D", ACCENT, "--"), ("v", MUTED, "--"), ("P", INK, "--"),
)  # fmt: skip
_LONG: Final = 26


def curves(name: str, view: FigureView, epsilons: Sequence[str]) -> str:
    """One figure.

    Args:
        name: prefix of ids, unique on the page.
        view: curves and level lines.
        epsilons: the values of the horizontal axis, smallest first.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure = Figure(figsize=(5.0, 3.1))
        axes = figure.add_subplot()
        at = [float(epsilon) for epsilon in epsilons] or [1.0]
        positive = True
        for number, series in enumerate(view.series):
            positive = _line(axes, at, series, number) and positive
        if view.real is not None:
            axes.axhline(view.real, color=INK, linewidth=1.1, linestyle=(0, (5, 2)), label="real rows", zorder=1)
            positive = positive and view.real > 0
        axes.set_xscale("log")
        axes.set_xticks(at, list(epsilons) or [""])
        axes.set_xticks([], minor=True)
        span = at[-1] / at[0] if len(at) > 1 else 4.0
        axes.set_xlim(at[0] / span**0.06, at[-1] * span**0.06)
        if view.log and positive:
            _log_axis(axes)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(left=False, bottom=False, which="both")
        axes.set_xlabel("epsilon", fontsize=8.5)
        _legend_of(axes)
        return _svg(name, figure, f"Chart: {clean(view.title)} against epsilon; the same figures stand in the table")


def _line(axes: Any, at: Sequence[float], series: Series, number: int) -> bool:
    """Draw one generator; whether all its values are above zero."""
    marker, colour, style = _STYLES[number % len(_STYLES)]
    label = series.label if len(series.label) <= _LONG else series.label[: _LONG - 1] + "\u2026"
    if series.flat is not None:
        axes.axhline(series.flat.mean, color=colour, linewidth=1.3, linestyle=":", label=label)
        return series.flat.low > 0
    present = [(x, spread) for x, spread in zip(at, series.at, strict=False) if spread is not None]
    for x, spread in present:
        if spread.high > spread.low:
            axes.plot([x, x], [spread.low, spread.high], color=colour, linewidth=1.0, zorder=2)
    axes.plot(
        [x for x, _ in present], [spread.mean for _, spread in present], marker=marker, markersize=5, color=colour,
        linestyle=style, linewidth=1.4, label=label, zorder=3,
    )  # fmt: skip
    return all(spread.low > 0 for _, spread in present)


def _log_axis(axes: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend_of(axes: Any) -> None:
    """Above the plot, as many names a line as there is room for."""
    handles, names = axes.get_legend_handles_labels()
    columns = max(1, min(4, 52 // (max(map(len, names), default=1) + 4)))
    axes.legend(
        handles, names, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=columns, frameon=False, fontsize=8.5,
        handletextpad=0.4, columnspacing=1.2, borderaxespad=0.2,
    )  # fmt: skip
