import re
import warnings
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from dpsynth.report.charts import Dots, attacks, dots
from dpsynth.report.views import attack_lines

ROWS = [
    Dots(label="age", points={"value": 0.2, "reference": 0.1, "floor": 0.05, "shuffle": 0.4}, interval=(0.15, 0.25)),
    Dots(label="sex", points={"value": None, "reference": 0.1}),
]


def test_same_figures_give_the_same_bytes_without_a_date() -> None:
    assert dots("x", ROWS, axis="distance") == dots("x", ROWS, axis="distance")
    svg = dots("x", ROWS, axis="distance")
    assert not re.search(r"metadata|\d{4}-\d\d-\d\d|http|Date", svg)


def test_chart_is_well_formed_and_takes_its_colours_from_the_page() -> None:
    svg = dots("x", ROWS, axis="distance")
    root = ET.fromstring(svg)
    assert root.tag == "svg"
    assert not re.search("#00000[1-7]", svg)
    assert {"var(--accent)", "var(--ink)", "var(--bad)", "var(--line)"} <= set(re.findall(r"var\(--\w+\)", svg))


def test_two_charts_on_one_page_share_no_id() -> None:
    first, second = (set(re.findall(r'\bid="([^"]*)"', dots(name, ROWS, axis="d"))) for name in ("a", "b"))
    assert first
    assert not first & second


@pytest.mark.parametrize("label", ["$\\frac{1}{0}$", "表の名前", "a" * 300, "<b>&\"'", "\x00\u202e", ""])
def test_any_column_name_can_be_drawn_without_a_warning(label: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = dots("x", [Dots(label=label, points={"value": 0.1})], axis="d")
    ET.fromstring(svg)


def test_a_column_name_is_no_formula() -> None:
    assert "$\\frac{1}{0}$" in dots("x", [Dots(label="$\\frac{1}{0}$", points={"value": 0.1})], axis="d")


def test_attack_chart_puts_the_limit_at_one(internal: dict[str, Any]) -> None:
    lines = attack_lines(internal["attacks"]["attacks"], exact=True)
    svg = attacks("x", lines)
    ET.fromstring(svg)
    assert svg.count("nearness") == sum(a.name == "nearest_neighbour" for a in lines)
    worst = lines[0]
    assert worst.closeness == pytest.approx((worst.high - worst.chance) / (worst.limit - worst.chance))
