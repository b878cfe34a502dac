"""A chart for a notebook: lines with their intervals, levels and rows of marks, in the look of the report.

Static SVG in the colours of the page it stands in, so one chart serves light, dark and print; each line has its name at
its end, axes have their unit, and the same figures stand below as a table. Nothing global is touched: no pyplot, no
backend, no style that stays.

>>> chart = Chart("Error falls with the budget", x="epsilon", y="error", log_x=True)
>>> _ = chart.line([0.1, 1], [0.5, 0.2], "mst", low=[0.4, 0.1], high=[0.6, 0.3]).level(0.05, "real rows")
>>> chart
Chart('Error falls with the budget', mst, real rows)
>>> "<svg" in chart._repr_html_() and "<script" not in chart._repr_html_()
True

Not guaranteed: privacy. A chart of private figures is as private as they are, and so is a notebook with output.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any, Final, Literal, Self

from markupsafe import Markup, escape

from dpsynth.core.errors import ParameterError
from dpsynth.report.charts import _RC, ACCENT, BAD, GOOD, GRID, INK, MUTED, WARN, _svg
from dpsynth.report.views import clean

Numbers = Sequence[float]
Tone = Literal["accent", "warn", "good", "bad", "ink", "muted"]
_TONES: Final[Mapping[Tone, tuple[str, str]]] = {  # name -> colour, mark: shape repeats what colour says
    "accent": (ACCENT, "o"), "warn": (WARN, "s"), "good": (GOOD, "^"), "bad": (BAD, "X"), "ink": (INK, "D"),
    "muted": (MUTED, "v"),
}  # fmt: skip
_ORDER: Final[tuple[Tone, ...]] = ("accent", "warn", "good", "bad", "ink", "muted")
_APART: Final = 11.0
"""Points between the baselines of two names at the ends of lines."""
_LABEL: Final = 38
"""Letters of a vertical axis' name in one line."""
_PIXELS: Final = 1.3
"""Of the page for each point of a chart at most: letters of a wide chart and of a narrow one are of one size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Series:
    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    tone: Tone
    dashed: bool
    marks: bool


@dataclass(slots=True, repr=False)
class Chart:
    """One chart; methods add to it and return it, the last expression of a cell shows it.

    Args:
        title: what it shows, in words.
        x, y: what the axes measure, with unit.
        log_x, log_y: logarithmic axes.
        percent_x, percent_y: shares as per cent.
        size: width and height of the plot in inches.
        y_range: ends of the vertical axis; None lets the figures decide.
    """

    title: str
    x: str = ""
    y: str = ""
    log_x: bool = False
    log_y: bool = False
    percent_x: bool = False
    percent_y: bool = False
    size: tuple[float, float] = (5.6, 3.2)
    y_range: tuple[float, float] | None = None
    _lines: list[_Series] = field(default_factory=list, init=False)
    _rows: list[_Series] = field(default_factory=list, init=False)
    _names: list[str] = field(default_factory=list, init=False)
    _levels: list[tuple[str, float]] = field(default_factory=list, init=False)
    _uprights: list[tuple[str, float]] = field(default_factory=list, init=False)

    def __repr__(self) -> str:
        names = [one.label for one in (*self._lines, *self._rows)] + [name for name, _ in self._levels]
        return f"Chart({', '.join([repr(self.title), *names])})"

    def line(
        self, x: Numbers, y: Numbers, label: str, *, low: Numbers = (), high: Numbers = (), tone: Tone | None = None,
        dashed: bool = False, marks: bool = True,
    ) -> Self:  # fmt: skip
        """A line through points, with a band from `low` to `high` if they are given.

        Raises:
            ParameterError: the sequences differ in length, or a chart of rows.
        """
        made = self._series(label, x, y, low, high, tone, dashed=dashed, marks=marks, number=len(self._lines))
        if self._rows:
            raise ParameterError("A chart has lines or rows, not both.", "Make two charts.")
        self._lines.append(made)
        return self

    def level(self, y: float, label: str) -> Self:
        """A dashed level line across the plot: a reference, a limit."""
        self._levels.append((label, float(y)))
        return self

    def upright(self, x: float, label: str) -> Self:
        """A dashed vertical line, named above the plot."""
        self._uprights.append((label, float(x)))
        return self

    def rows(
        self, values: Mapping[str, float], label: str, *, low: Mapping[str, float] | None = None,
        high: Mapping[str, float] | None = None, tone: Tone | None = None,
    ) -> Self:  # fmt: skip
        """One mark in each named row, with an interval if `low` and `high` are given; rows appear as first named.

        Raises:
            ParameterError: only one of `low` and `high`, another length, or a chart of lines.
        """
        if self._lines:
            raise ParameterError("A chart has lines or rows, not both.", "Make two charts.")
        named = [str(name) for name in values.keys()]  # noqa: SIM118 - a pandas Series has keys() too
        self._names += [name for name in named if name not in self._names]
        at = [float(self._names.index(name)) for name in named]
        spans = [[] if bound is None else [float(bound[name]) for name in values.keys()] for bound in (low, high)]  # noqa: SIM118
        found = [float(values[name]) for name in values.keys()]  # noqa: SIM118
        self._rows.append(
            self._series(label, at, found, spans[0], spans[1], tone, dashed=False, marks=True, number=len(self._rows))
        )
        return self

    def beside(self, *others: Chart) -> Charts:
        """This chart and others in one row, as far as the page is wide."""
        return Charts(charts=(self, *others))

    def to_svg(self) -> str:
        """The chart as inline SVG."""
        import matplotlib as mpl
        from matplotlib.figure import Figure

        if not self._lines and not self._rows and not self._levels:
            raise ParameterError("The chart is empty.", "Add a line, a level or rows.")
        with mpl.rc_context(_RC), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
            height = 0.75 + 0.3 * len(self._names) if self._rows else self.size[1]
            figure = Figure(figsize=(self.size[0], height))
            axes = figure.add_subplot()
            _draw_rows(axes, self) if self._rows else _draw_lines(axes, self)
            for label, x in self._uprights:
                axes.axvline(x, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), zorder=1)
                axes.annotate(
                    clean(label), (x, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3), ha="center",
                    textcoords="offset points", fontsize=8.5, color=MUTED, parse_math=False,
                )  # fmt: skip
            axes.tick_params(left=False, bottom=False, which="both")
            axes.set_axisbelow(True)
            axes.set_xlabel(clean(self.x), fontsize=9, parse_math=False)
            axes.set_ylabel("\n".join(wrap(clean(self.y), _LABEL)), fontsize=9, parse_math=False)
            key = hashlib.sha256(repr(self._content()).encode()).hexdigest()[:10]
            return _svg(
                f"chart-{key}", figure, f"{escape(clean(self.title))}; the same figures stand in the table below"
            )

    def _repr_html_(self) -> str:
        return Charts(charts=(self,))._repr_html_()

    def table(self) -> list[tuple[str, ...]]:
        """The figures as rows of text, the heading first."""
        if self._rows:
            heads = [("", *(clean(one.label) for one in self._rows))]
            body = [
                (clean(name), *(_cell(one, float(place)) for one in self._rows))
                for place, name in enumerate(self._names)
            ]
            return heads + body
        places = sorted({x for one in self._lines for x in one.x})
        step = max(1, -(-len(places) // 25))  # a smooth curve is told by some of its points
        heads = [(clean(self.x), *(clean(one.label) for one in self._lines))]
        body = [(f"{x:.4g}", *(_cell(one, x) for one in self._lines)) for x in places[::step]]
        return heads + body + [("level", f"{clean(label)}: {y:.4g}") for label, y in self._levels]

    def _series(
        self, label: str, x: Numbers, y: Numbers, low: Numbers, high: Numbers, tone: Tone | None, *, dashed: bool,
        marks: bool, number: int,
    ) -> _Series:  # fmt: skip
        made = [tuple(float(value) for value in values) for values in (x, y, low, high)]
        if len(made[0]) != len(made[1]) or len(made[2]) not in (0, len(made[0])) or len(made[2]) != len(made[3]):
            raise ParameterError(f"The figures of {label!r} differ in number.", "Give as many of each, or no interval.")
        of = tone or _ORDER[number % len(_ORDER)]
        return _Series(
            label=label, x=made[0], y=made[1], low=made[2], high=made[3], tone=of, dashed=dashed, marks=marks
        )

    def _content(self) -> tuple[Any, ...]:
        return (self.title, self.x, self.y, self._lines, self._rows, self._names, self._levels, self._uprights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """Charts in one row; made by `Chart.beside`."""

    charts: tuple[Chart, ...]

    def _repr_html_(self) -> str:
        from dpsynth.report.html import environment

        views = []
        for one in self.charts:
            svg = one.to_svg()
            width = float(svg.partition('viewBox="')[2].split()[2])  # points
            views.append(
                {
                    "title": one.title,
                    "svg": Markup(svg),  # noqa: S704 - matplotlib escapes text
                    "table": one.table(),
                    "width": round(_PIXELS * width),
                }
            )
        return environment().get_template("plots.html.j2").render(charts=views)


def _cell(one: _Series, x: float) -> str:
    if x not in one.x:
        return "\u2013"
    place = one.x.index(x)
    text = f"{one.y[place]:.4g}"
    return f"{text} [{one.low[place]:.4g}, {one.high[place]:.4g}]" if one.low else text


def _draw_lines(axes: Any, chart: Chart) -> None:
    for one in chart._lines:
        colour, mark = _TONES[one.tone]
        if one.low:
            axes.fill_between(one.x, one.low, one.high, color=colour, alpha=0.16, linewidth=0)
        axes.plot(
            one.x, one.y, color=colour, marker=mark if one.marks else "", markersize=5, linewidth=1.6,
            linestyle=(0, (4, 2)) if one.dashed else "-", zorder=3,
        )  # fmt: skip
    for _, y in chart._levels:
        axes.axhline(y, color=MUTED, linewidth=1.1, linestyle=(0, (4, 2)), zorder=1)
    if chart.log_y:
        axes.set_yscale("log")
    if chart.log_x:
        axes.set_xscale("log")
    if chart.y_range is not None:
        axes.set_ylim(*chart.y_range)
    _ticks(axes.xaxis, chart, sorted({x for one in chart._lines for x in one.x}), horizontal=True)
    _ticks(axes.yaxis, chart, [], horizontal=False)
    axes.grid(axis="y", color=GRID, linewidth=0.7)
    _names_at_ends(axes, chart)


def _ticks(axis: Any, chart: Chart, values: Sequence[float], *, horizontal: bool) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

    percent = chart.percent_x if horizontal else chart.percent_y
    log = chart.log_x if horizontal else chart.log_y
    if log:
        axis.set_major_locator(
            FixedLocator(values) if 0 < len(values) <= 8 else LogLocator(base=10, subs=_steps(axis), numticks=12)
        )
        axis.set_minor_locator(NullLocator())
    elif horizontal and 0 < len(values) <= 8:
        axis.set_major_locator(FixedLocator(values))
    elif horizontal:
        axis.set_major_locator(MaxNLocator(6, integer=bool(values) and all(value.is_integer() for value in values)))
    if percent:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.3g} %"))
    else:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}".replace("-", "\u2212")))


def _steps(axis: Any) -> tuple[float, ...]:
    """Of a logarithmic axis: 1, 2, 5 within two decades, else decades."""
    low, high = axis.get_view_interval()
    return (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)


def _names_at_ends(axes: Any, chart: Chart) -> None:
    """The name of each line at its right end, moved apart where ends are close."""
    dpi, right = axes.figure.dpi, axes.get_xlim()[1]
    wanted = [(one.x[-1], one.y[-1], one.label, _TONES[one.tone][0]) for one in chart._lines if one.x]
    wanted += [(right, y, label, MUTED) for label, y in chart._levels]
    placed = sorted(wanted, key=lambda each: float(axes.transData.transform((each[0], each[1]))[1]))
    heights = [float(axes.transData.transform((x, y))[1]) * 72 / dpi for x, y, _, _ in placed]
    spread = _apart(heights)
    for (_, y, label, colour), height, at in zip(placed, heights, spread, strict=True):
        axes.annotate(
            clean(label), (1.0, y), xycoords=("axes fraction", "data"), xytext=(5, at - height), va="center",
            textcoords="offset points", fontsize=9, color=colour, annotation_clip=False, parse_math=False,
        )  # fmt: skip


def _apart(heights: Sequence[float]) -> list[float]:
    """Ascending heights moved as little as may be, until neighbours are `_APART` apart (pooled like isotonic steps)."""
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _low(groups[-1]) - _high(groups[-2]) < _APART:
            last = groups.pop()
            groups[-1] += last
    return [_low(group) + _APART * place for group in groups for place in range(len(group))]


def _low(group: Sequence[float]) -> float:
    return sum(group) / len(group) - _APART * (len(group) - 1) / 2


def _high(group: Sequence[float]) -> float:
    return _low(group) + _APART * (len(group) - 1)


def _draw_rows(axes: Any, chart: Chart) -> None:
    count = len(chart._rows)
    for number, one in enumerate(chart._rows):
        colour, mark = _TONES[one.tone]
        shift = 0.0 if count == 1 else (number - (count - 1) / 2) * min(0.22, 0.6 / count)
        at = [place + shift for place in one.x]
        if one.low:
            for y, low, high in zip(at, one.low, one.high, strict=True):
                axes.plot([low, high], [y, y], color=colour, linewidth=1.4, zorder=2)
        axes.plot(
            one.y, at, marker=mark, color=colour, markersize=5.5, linestyle="none", label=clean(one.label), zorder=3
        )
    axes.set_yticks(range(len(chart._names)), [clean(name) for name in chart._names])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_ylim(len(chart._names) - 0.4, -0.6)
    if chart.log_x:
        axes.set_xscale("log")
    _ticks(axes.xaxis, chart, [], horizontal=True)
    axes.grid(axis="x", color=GRID, linewidth=0.7)
    if count > 1:
        above = 0.2 / (0.3 * len(chart._names)) if chart._uprights else 0.0
        legend = axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1 + above), ncols=count, frameon=False, fontsize=9,
            handletextpad=0.3, columnspacing=1.4, borderaxespad=0.2,
        )  # fmt: skip
        for text in legend.get_texts():
            text.set_parse_math(False)
