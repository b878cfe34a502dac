"""Charts of notebooks: the same look in light and dark, names at the ends of lines, no title injects."""

from __future__ import annotations

import re
from itertools import pairwise

import matplotlib as mpl
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.report.charts import _VARIABLES
from dpsynth.report.plots import _APART, Chart, _apart

HOSTILE = "</title><script>alert(1)</script>$x_{$"


def lines() -> Chart:
    chart = Chart("Error", x="epsilon", y="error", log_x=True, log_y=True)
    for name, height in (("gibbs", 0.101), ("mst", 0.1), ("aim", 0.099)):
        chart.line([0.1, 1, 10], [0.5, 0.2, height], name, low=[0.4, 0.1, 0.09], high=[0.6, 0.3, 0.11])
    return chart.level(0.05, "real rows").upright(1, "chosen")


def test_colours_are_those_of_the_page_so_one_chart_serves_light_and_dark() -> None:
    svg = lines().to_svg()
    assert "var(--accent)" in svg and "var(--muted)" in svg
    assert not any(placeholder in svg for placeholder in _VARIABLES)


def test_each_line_and_level_has_its_name_and_every_figure_stands_in_the_table() -> None:
    html = lines()._repr_html_()
    for name in ("gibbs", "mst", "aim", "real rows", "chosen"):
        assert name in html
    assert "0.101 [0.09, 0.11]" in html and "0.05" in html


@pytest.mark.parametrize("heights", [[0.0, 0.0, 0.0], [0, 1, 30, 31, 32, 100], [5.0], []])
def test_names_never_overlap_keep_their_order_and_move_as_one_around_their_mean(heights: list[float]) -> None:
    moved = _apart(heights)
    assert all(b - a >= _APART - 1e-9 for a, b in pairwise(moved))
    assert sum(moved) == pytest.approx(sum(heights))


def test_a_hostile_name_stays_text() -> None:
    chart = Chart(HOSTILE, x=HOSTILE).line([0, 1], [0, 1], HOSTILE).level(0.5, HOSTILE).upright(0.5, HOSTILE)
    rows = Chart(HOSTILE, x=HOSTILE, y=HOSTILE).rows({HOSTILE: 1.0}, HOSTILE).rows({HOSTILE: 2.0}, HOSTILE + "2")
    html = chart.beside(rows)._repr_html_()
    assert "<script" not in html and html.count("&lt;script") >= 5


def test_the_same_figures_give_the_same_bytes_and_other_figures_other_ids() -> None:
    first, second = lines()._repr_html_(), lines()._repr_html_()
    assert first == second
    ids = [set(re.findall(r'id="([^"]+)"', chart.to_svg())) for chart in (lines(), lines().level(0.4, "limit"))]
    assert ids[0] and not ids[0] & ids[1]


def test_nothing_global_is_left_behind() -> None:
    with mpl.rc_context():
        mpl.rcdefaults()  # another test, or an earlier chart, may have left something
        before = dict(mpl.rcParams)
        lines().to_svg()
        assert dict(mpl.rcParams) == before


def test_rows_keep_the_order_of_their_first_name_and_missing_ones_are_a_dash() -> None:
    chart = Chart("Rows", x="share", percent_x=True).rows(
        {"b": 0.1, "a": 0.2}, "release", low={"b": 0, "a": 0}, high={"b": 1, "a": 1}
    )
    table = chart.rows({"a": 0.3, "c": 0.4}, "holdout").upright(0.1, "limit").table()
    assert [row[0] for row in table] == ["", "b", "a", "c"]
    assert table[1][2] == "\u2013" and table[3][1] == "\u2013"
    assert "<svg" in chart.to_svg()


def test_a_chart_that_would_mislead_is_refused() -> None:
    with pytest.raises(ParameterError, match="differ in number"):
        Chart("a").line([1, 2], [1], "x")
    with pytest.raises(ParameterError, match="differ in number"):
        Chart("a").line([1, 2], [1, 2], "x", low=[1, 2])
    with pytest.raises(ParameterError, match="lines or rows"):
        Chart("a").line([1], [1], "x").rows({"a": 1.0}, "y")
    with pytest.raises(ParameterError, match="lines or rows"):
        Chart("a").rows({"a": 1.0}, "y").line([1], [1], "x")
    with pytest.raises(ParameterError, match="empty"):
        Chart("a").to_svg()
