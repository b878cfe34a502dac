"""Charts as static SVG text, the same bytes for the same figures.

Only `matplotlib.figure.Figure` is used: no pyplot, no backend, no global state beyond a local rc context. Text stays
text, ids come from a fixed salt and no date is written, so a chart can be compared by digest. Colours are drawn as
placeholders and replaced by CSS variables of the page: the same chart serves light, dark and print. Shape repeats
what colour says, and each chart stands beside a table with the same figures.

>>> svg = dots("demo", [Dots(label="a", points={"value": 0.2, "reference": 0.1})], axis="distance")
>>> svg.startswith("<svg") and "date" not in svg
True
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dpsynth.report.portfolio import Step
from dpsynth.report.views import AttackLine, clean
from dpsynth.report.words import attack_words

INK, MUTED, GRID, ACCENT, GOOD, WARN, BAD = (
    "#000001", "#000002", "#000003", "#000004", "#000005", "#000006", "#000007",
)  # fmt: skip
_VARIABLES: Final = {
    INK: "--ink", MUTED: "--muted", GRID: "--line", ACCENT: "--accent", GOOD: "--good", WARN: "--warn", BAD: "--bad",
}  # fmt: skip
_RC: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "dpsynth",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}
_LABEL_CHARS: Final = 64
_MARKS: Final[Mapping[str, tuple[str, str, str]]] = {  # key -> marker, colour, legend
    "value": ("o", ACCENT, "synthetic"),
    "matched": ("o", ACCENT, "synthetic, as many rows as the holdout"),
    "reference": ("D", INK, "real holdout"),
    "floor": ("|", MUTED, "two halves of the real data"),
    "shuffle": ("x", BAD, "real data, dependence destroyed"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """One row of a dot chart: a label and up to five marks, keyed as in `_MARKS`; None is not drawn."""

    label: str
    points: Mapping[str, float | None]
    interval: tuple[float, float] | None = None


def _short(label: str) -> str:
    text = clean(label)
    return text if len(text) <= _LABEL_CHARS else text[: _LABEL_CHARS - 1] + "\u2026"


def _figure(rows: int, *, height: float = 0.27) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 0.75 + height * rows))
    return figure, figure.add_subplot()


def _svg(name: str, figure: Any, title: str) -> str:
    """The figure as inline SVG: no prologue, no metadata, ids of its own, CSS variables for colours."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata={"Date": None}, bbox_inches="tight", pad_inches=0.05
    )
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = re.sub(r'(href="|url\()#', rf"\1#{name}-", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var({variable})")
    text = re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-labelledby="{name}-title">', text, count=1
    )
    return text.replace(">", f'><title id="{name}-title">{title}</title>', 1).strip()


def _labels(axes: Any, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(left=False, bottom=False)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    axes.set_axisbelow(True)


def _legend(axes: Any) -> None:
    handles, names = axes.get_legend_handles_labels()
    seen = dict(zip(names, handles, strict=True))
    axes.legend(
        seen.values(), seen.keys(), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=len(seen), frameon=False,
        fontsize=8.5, handletextpad=0.3, columnspacing=1.4, borderaxespad=0.2,
    )  # fmt: skip


def dots(name: str, rows: Sequence[Dots], *, axis: str, upper: float | None = None) -> str:
    """Rows of marks on a common axis, with the interval of the value where there is one.

    Args:
        name: prefix of ids, unique on the page.
        rows: from top to bottom.
        axis: label of the horizontal axis, with its unit.
        upper: end of the axis; None lets the figures decide.
    """
    import matplotlib as mpl

    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure, axes = _figure(len(rows))
        for y, row in enumerate(rows):
            present = [x for x in row.points.values() if x is not None]
            if len(present) > 1:
                axes.plot([min(present), max(present)], [y, y], color=GRID, linewidth=2.2, zorder=1)
            if row.interval is not None:
                axes.plot(row.interval, [y, y], color=ACCENT, linewidth=1.1, zorder=2)
            for key, x in row.points.items():
                if x is not None:
                    marker, colour, legend = _MARKS[key]
                    axes.plot(x, y, marker=marker, color=colour, markersize=6, linestyle="none", label=legend, zorder=3)
        _labels(axes, [row.label for row in rows])
        axes.set_xlim(0, upper)
        axes.set_xlabel(axis, fontsize=8.5)
        _legend(axes)
        return _svg(name, figure, f"Chart: {axis}; the same figures stand in the table")


def spending(name: str, steps: Sequence[Step], last: int) -> str:
    """Sum of epsilons charged to each whole, as steps over the entries of the ledger; marks tell data sets apart."""
    import matplotlib as mpl

    looks = (("o", ACCENT, "-"), ("D", INK, "--"), ("s", WARN, ":"), ("^", GOOD, "-."), ("v", MUTED, "-"))
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure, axes = _figure(5)
        for place, dataset in enumerate(dict.fromkeys(step.dataset for step in steps)):
            own = [step for step in steps if step.dataset == dataset]
            marker, colour, line = looks[place % len(looks)]
            axes.step(
                [0, *(s.entry for s in own), last], [0, *(s.epsilon for s in own), own[-1].epsilon], where="post",
                color=colour, linestyle=line, linewidth=1.6, marker=marker, markersize=4, label=_short(dataset),
            )  # fmt: skip
        axes.set_xlabel("entry of the ledger", fontsize=8.5)
        axes.set_ylabel("sum of epsilons", fontsize=8.5)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        axes.tick_params(left=False, bottom=False)
        _legend(axes)
        for text in axes.get_legend().get_texts():
            text.set_parse_math(False)
        return _svg(name, figure, "Chart: sum of epsilons by data set; the same figures stand in the table")


def attacks(name: str, lines: Sequence[AttackLine]) -> str:
    """Each attack's estimate and bounds on one scale: 0 is chance, 1 is the policy's limit."""
    import matplotlib as mpl

    tones = {"pass": ("o", GOOD), "inconclusive": ("s", WARN), "fail": ("X", BAD)}
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        figure, axes = _figure(len(lines))
        for y, line in enumerate(lines):
            chance = line.chance
            span = max(line.limit - chance, 1e-9)
            low, mid, high = (
                None if x is None else min(max((x - chance) / span, -1.0), 3.0)
                for x in (line.low, line.estimate, line.high)
            )
            marker, colour = tones[line.verdict]
            if high is not None:
                start = low if low is not None else (mid if mid is not None else high)
                axes.plot([start, high], [y, y], color=colour, linewidth=1.6, zorder=2)
                axes.plot(high, y, marker="|", color=colour, markersize=8, linestyle="none", zorder=3)
            if mid is not None:
                axes.plot(
                    mid, y, marker=marker, color=colour, markersize=6, linestyle="none", label=line.verdict, zorder=3
                )
        axes.axvline(1, color=BAD, linewidth=1.2, linestyle=(0, (4, 2)), label="limit")
        axes.axvline(0, color=MUTED, linewidth=0.9, label="chance")
        _labels(axes, [" \u00b7 ".join((attack_words(a.name).title, a.stratum, a.endpoint)) for a in lines])
        axes.set_xlabel("share of the policy's limit, counted from chance", fontsize=8.5)
        _legend(axes)
        return _svg(name, figure, "Chart: attacks against their limits; the same figures stand in the table")
