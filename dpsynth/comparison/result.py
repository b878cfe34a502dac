"""What comes of a sweep: every run, a table over seeds, a document, a page.

`to_json()` is the document `dpsynth.comparison/1` that `dpsynth compare --json` prints and that page and notebook cell
are drawn from. Figures of private data are internal, as `confidentiality` says: exact, un-noised, for the workspace.

Not guaranteed: that the best generator here is the best on other rows; choosing by figures of private rows is a
selection that no accountant has counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import DpsynthError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from dpsynth.report.plots import Chart

SCHEMA = "dpsynth.comparison/1"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison:
    """A finished sweep.

    Attributes:
        facts: of the sweep: data, rows, split, target, delta, unit, version, confidentiality.
        reference: figures of real rows.
        cells: one document a run, in the order of the sweep.
    """

    facts: Mapping[str, Any]
    reference: Mapping[str, float | None]
    cells: Sequence[Mapping[str, Any]]

    @property
    def failed(self) -> list[Mapping[str, Any]]:
        """Runs that ended with an error."""
        return [cell for cell in self.cells if cell["status"] != "done"]

    def to_json(self) -> dict[str, Any]:
        """The document."""
        return {
            "schema": SCHEMA,
            **self.facts,
            "failed": len(self.failed),
            "reference": dict(self.reference),
            "cells": [dict(cell) for cell in self.cells],
        }

    def frame(self) -> pd.DataFrame:
        """Every run as a row: generator, epsilon, seed, figures, CPU seconds, memory, error."""
        import pandas as pd

        rows = []
        for cell in self.cells:
            row = {"generator": cell["generator"], "epsilon": cell["epsilon"], "seed": cell["seed"]}
            row |= {"cpu_s": cell.get("cpu_s"), "peak_mib": cell.get("peak_mib")} | dict(cell.get("figures") or {})
            rows.append(row | {"error": (cell.get("error") or {}).get("message")})
        table = pd.DataFrame(rows)
        table["epsilon"] = pd.to_numeric(table["epsilon"])
        return table

    def table(self) -> pd.DataFrame:
        """Means over seeds, a row for each generator and epsilon; baselines have no epsilon."""
        means = self.frame().drop(columns=["seed", "error"])
        return means.groupby(["generator", "epsilon"], sort=False, dropna=False).mean().reset_index()

    def best(self, epsilon: float | str, figure: str = "tvd2") -> str:
        """The generator with the best mean at an epsilon.

        Raises:
            ParameterError: no such figure, or no run at that epsilon that has it.
        """
        from dpsynth.report.comparison import HIGH

        table = self.table()
        if figure not in table or figure in ("generator", "epsilon"):
            raise ParameterError(f"There is no figure {figure!r}.", "Use tvd1, tvd2, tvd3, tstr, kept or invented.")
        at: Any = table[table["epsilon"] == float(epsilon)].dropna(subset=[figure])
        if at.empty:
            raise ParameterError(f"No run at epsilon {epsilon} has the figure {figure!r}.", "Choose one of the sweep.")
        place = at[figure].idxmax() if figure in HIGH else at[figure].idxmin()
        return str(at.loc[place, "generator"])

    def chart(self, figure: str) -> Chart:
        """A figure against epsilon, one line a generator, with bands from the least to the greatest of its seeds.

        Args:
            figure: tvd1, tvd2, tvd3, tstr, kept, invented or cpu_s.

        Raises:
            ParameterError: there is no such figure.
        """
        from dpsynth.report.comparison import described
        from dpsynth.report.plots import Chart

        table = self.frame()
        title, meaning = described(figure, self.facts.get("score"))
        chart = Chart(title, x="epsilon", y=meaning, log_x=True, size=(4.2, 3.2))
        for name, runs in table.dropna(subset=[figure]).groupby("generator", sort=False):
            at = runs.groupby("epsilon")[figure]
            if len(at):
                chart.line(list(at.mean().index), list(at.mean()), str(name), low=list(at.min()), high=list(at.max()))
            else:
                chart.level(float(runs[figure].mean()), str(name))
        real = self.reference.get(figure)
        return chart if real is None else chart.level(real, "real rows")

    def to_html(self) -> str:
        """The page: one file, no script, no network."""
        from dpsynth.report.comparison import assemble_comparison
        from dpsynth.report.html import render_comparison

        return render_comparison(assemble_comparison(self.to_json()))

    def save(self, path: str | Path) -> Path:
        """Write the page.

        Raises:
            DpsynthError: the path is a link or a folder, or its folder does not exist.
        """
        from dpsynth.workspace.runs.public import check_place

        where = Path(path)
        check_place(where)
        where.write_text(self.to_html(), "utf-8")
        return where

    def raise_if_failed(self) -> None:
        """Raise `DpsynthError` if a run failed, with the first reason."""
        if self.failed:
            first = self.failed[0]
            raise DpsynthError(
                f"{len(self.failed)} of {len(self.cells)} runs failed; the first, {first['generator']} at epsilon "
                f"{first['epsilon']}: {first['error']['message']}",
                "The others stand. Correct the reason and go on in the same folder: failed runs are tried again.",
            )

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"Comparison({self.facts['data']!r}, {len(self.cells)} runs{failed})"

    def __str__(self) -> str:
        return str(self.table().to_string(index=False, float_format=lambda value: f"{value:.4g}"))

    def _repr_html_(self) -> str:
        from dpsynth.report import cell

        return cell(self.to_json())
