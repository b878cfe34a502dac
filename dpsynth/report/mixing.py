"""The ablation of a quality report as a curve over the share of synthetic rows; see `charts` for how a chart is made.

One line a learner and mode, with 95 % intervals of the score; the shape repeats what the colour says. The dotted level
is the first learner without synthetic rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dpsynth.report.charts import _RC, ACCENT, BAD, GOOD, GRID, INK, MUTED, WARN, _svg
from dpsynth.report.views import clean

if TYPE_CHECKING:
    from dpsynth.quality.ablation.document import Ablation

_MARKS: Final = (("o", ACCENT), ("s", WARN), ("^", GOOD), ("D", BAD), ("v", INK), ("P", MUTED))
_MODES: Final = {"fixed": "-", "extra": "--"}
MODE_WORDS: Final = {"fixed": "in place of real rows", "extra": "beside all real rows"}


def shares(name: str, found: Ablation, test: str) -> str:
    """The primary score on one test table, as SVG.

    Args:
        name: prefix of ids, unique on the page.
        found: the ablation.
        test: holdout or later.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_RC):
        figure = Figure(figsize=(7.4, 3.0))
        axes = figure.add_subplot()
        for number, learner in enumerate(found.learners):
            marker, colour = _MARKS[number % len(_MARKS)]
            for mode, style in _MODES.items():
                wanted = (test, learner, mode, found.primary)
                rows = [m for m in found.mixes if (m.test, m.learner, m.mode, m.score) == wanted]
                if len(rows) < 2:
                    continue
                shift = 0.006 * (number + (mode == "extra")) - 0.006
                at = [m.share + shift for m in rows]
                for x, m in zip(at, rows, strict=True):
                    if m.ci_low is not None and m.ci_high is not None:
                        axes.plot([x, x], [m.ci_low, m.ci_high], color=colour, linewidth=0.9, zorder=2)
                values = [float("nan") if m.value is None else m.value for m in rows]
                axes.plot(
                    at, values, marker=marker, markersize=4.5, color=colour, linestyle=style,
                    linewidth=1.3, label=f"{clean(learner)}, {MODE_WORDS[mode]}", zorder=3,
                )  # fmt: skip
        axes.set_xticks(found.shares, [f"{share:.0%}" for share in found.shares])
        axes.set_xlabel("share of synthetic rows", fontsize=8.5)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        axes.set_axisbelow(True)
        axes.tick_params(left=False, bottom=False)
        axes.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, frameon=False, fontsize=8.5)
        title = f"Chart: {clean(found.primary)} over the share of synthetic rows; the same figures stand in the table"
        return _svg(name, figure, title)
