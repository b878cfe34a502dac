"""The page of a sweep: each chart with its table, nothing active, names of strangers escaped, private ones marked."""

from __future__ import annotations

import re

import pytest

from dpsynth.core.errors import DataError
from dpsynth.report import assemble_comparison, cell, render_comparison


def run(generator: str, epsilon: str | None, seed: int, tvd2: float, **changes) -> dict:
    figures = {"tvd1": 0.01, "tvd2": tvd2, "tvd3": 0.2, "tstr": 0.8, "kept": 0.9, "invented": 0.001}
    return {
        "generator": generator, "epsilon": epsilon, "seed": seed, "status": "done", "figures": figures, "cpu_s": 1.25,
        "peak_mib": 200.0,
    } | changes  # fmt: skip


def document(**changes) -> dict:
    return {
        "schema": "dpsynth.comparison/1",
        "data": "people",
        "simulated": "network",
        "rows": {"train": 700, "holdout": 300},
        "columns": 8,
        "target": "y",
        "unit": "record",
        "delta": "1e-6",
        "split": {"holdout": 0.3, "seed": 0},
        "score": "auc",
        "confidentiality": "public",
        "version": "0.1.0",
        "budget": None,
        "failed": 0,
        "reference": {"tvd1": 0.02, "tvd2": 0.1234, "tvd3": None, "tstr": 0.9, "kept": 0.99, "invented": 0.0},
        "cells": [
            run("gibbs", "0.3", 0, 0.1),
            run("gibbs", "0.3", 1, 0.3),
            run("gibbs", "10", 0, 0.05),
            run("copula", None, 0, 0.08),
            run("broken", "10", 0, 0.0, status="failed", figures=None, error={"type": "ValueError", "message": "odd"}),
        ],
    } | changes


def test_figures_are_means_over_seeds_with_their_range() -> None:
    model = assemble_comparison(document())
    pairs = next(view for view in model.figures if view.key == "tvd2")
    gibbs, copula = pairs.series
    assert (gibbs.label, gibbs.flat) == ("gibbs", None)
    assert gibbs.at[0] is not None and gibbs.at[1] is not None
    assert (gibbs.at[0].mean, gibbs.at[0].low, gibbs.at[0].high) == (0.2, 0.1, 0.3)
    assert gibbs.at[1].mean == 0.05
    assert copula.at == (None, None)
    assert copula.flat is not None and copula.flat.mean == 0.08
    assert (pairs.real, model.epsilons) == (0.1234, ("0.3", "10"))
    assert [one.reason for one in model.failed] == ["ValueError: odd"]


def test_each_chart_has_its_table_and_the_page_is_one_inert_file() -> None:
    page = render_comparison(assemble_comparison(document()))
    assert page.count("<svg viewBox") == page.count('<table class="stack spread">') == 7
    assert "<script" not in page and "://" not in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "0.1234" in page and "0.2000" in page and "0.100–0.300" in page
    assert 'class="watermark"' not in page
    assert page == render_comparison(assemble_comparison(document()))


def test_names_are_text_whatever_they_hold() -> None:
    evil = "<script>alert(1)</script>$x_1$\u202e"
    page = render_comparison(assemble_comparison(document(data=evil, cells=[run(evil, "1", 0, 0.1)])))
    assert "<script" not in page and "\u202e" not in page


def test_figures_of_private_rows_are_marked() -> None:
    bill = {"runs": 4, "currency": "rho", "cost": {"loss": "0.1"}, "node": "people"}
    internal = document(confidentiality="internal", rows=None, split=None, budget=bill, simulated=None)
    page = render_comparison(assemble_comparison(internal))
    assert '<p class="watermark">internal, not for release</p>' in page
    assert "A choice is a look" in page and "4 runs, rho 0.1, by people" in page
    assert "internal, not for release" in cell(internal)


def test_a_notebook_cell_shows_curves_and_tables() -> None:
    shown = cell(document())
    assert shown.count("<svg viewBox") == shown.count("<table") == 7
    assert "<script" not in shown


def test_a_document_without_runs_or_of_another_form_is_said() -> None:
    empty = assemble_comparison(document(cells=[]))
    assert empty.figures == ()
    with pytest.raises(DataError, match="comparison"):
        assemble_comparison({"schema": "dpsynth.comparison/1"})
