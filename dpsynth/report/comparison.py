"""What the page of a sweep prints: for each figure its curves over epsilon, and the same numbers as a table.

A document in, plain values out: means over seeds with the least and the greatest, baselines and real rows apart, runs
that failed with their reasons. Nothing is averaged over figures, and no generator is called the winner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from dpsynth.core.errors import ParameterError
from dpsynth.report.views import Document, Verdict, clean, reading, text_of
from dpsynth.report.words import Words

HIGH: Final = ("tstr", "kept")
"""Figures of which more is better."""
_ABOUT: Final[Mapping[str, tuple[str, str]]] = {
    "tvd1": ("Error of single columns", "Mean total variation distance to the fitted rows"),
    "tvd2": ("Error of pairs", "Mean total variation distance over all pairs of columns"),
    "tvd3": ("Error of triples", "Mean total variation distance over triples of columns"),
    "tstr": ("Use: train on synthetic, test on real", "Score on real rows that nobody fitted"),
    "kept": ("Rare cells kept", "Share of two-way cells of 10 to 99 rows that occur at all"),
    "invented": ("Invented", "Share of rows in two-way cells that no fitted row has"),
    "cpu_s": ("CPU time", "Seconds on one core for plan, fit and sample"),
}
_RUN_COLUMNS: Final = (*_ABOUT, "peak_mib")
_DIGITS: Final = {"cpu_s": 2, "peak_mib": 0}
_SCORES: Final = {"auc": "ROC AUC", "r2": "R²"}
LIMITS: Final[tuple[Words, ...]] = (
    Words(title="One split", meaning="Seeds repeat noise and sampling, not the rows: other rows may order them else."),
    Words(
        title="Real rows",
        meaning="The line of real rows is the holdout held against the fitted rows. It has fewer rows than a sample, "
        "and distances shrink with rows: a curve below the line is no better than real.",
    ),
    Words(
        title="A choice is a look",
        meaning="On private data, taking the best by these figures is a selection that no accountant has counted. "
        "Choose on public or simulated data.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure over seeds: mean, least, greatest."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One generator's figure: at each epsilon, or one value of a baseline that has none."""

    label: str
    at: tuple[Spread | None, ...]
    flat: Spread | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureView:
    """One figure: curves, real rows, and what is better."""

    key: str
    title: str
    axis: str
    better: Literal["low", "high"]
    series: tuple[Series, ...]
    real: float | None
    digits: int
    log: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """One run for the table of all runs."""

    label: str
    epsilon: str
    seed: int
    ok: bool
    values: tuple[tuple[str, float | None, int], ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonModel:
    """What the page prints; `verdict` only names it: a comparison passes nothing."""

    edition: Literal["internal", "open"]
    title: str
    verdict: Verdict
    summary: str
    epsilons: tuple[str, ...]
    figures: tuple[FigureView, ...]
    runs: tuple[RunView, ...]
    failed: tuple[RunView, ...]
    settings: tuple[tuple[str, str], ...]
    limits: tuple[Words, ...]


def assemble_comparison(document: Document) -> ComparisonModel:
    """The page of a sweep.

    Args:
        document: `Comparison.to_json()`.

    Raises:
        DataError: the document is no comparison.
    """
    with reading("comparison"):
        cells: Sequence[Mapping[str, Any]] = document["cells"]
        done = [cell for cell in cells if cell["status"] == "done"]
        epsilons = tuple(sorted({str(c["epsilon"]) for c in cells if c["epsilon"] is not None}, key=float))
        labels = tuple(dict.fromkeys(str(cell["generator"]) for cell in cells))
        figures = tuple(
            view for key in _ABOUT if (view := _figure(key, document, done, labels, epsilons)).series or view.real
        )
        runs = tuple(_run(cell) for cell in cells)
        internal = document["confidentiality"] == "internal"
        seeds = len({cell["seed"] for cell in cells})
        simulated = f", simulated ({clean(document['simulated'])})" if document.get("simulated") else ""
        return ComparisonModel(
            edition="internal" if internal else "open",
            title=f"Generators compared on {clean(document['data'])}",
            verdict=Verdict(
                key="comparison", word="comparison", tone="none", sentence="", draft=None, policy=None, at=None
            ),
            summary=f"{len(labels)} generator{'s' * (len(labels) != 1)} at {len(epsilons)} "
            f"epsilon{'s' * (len(epsilons) != 1)}, {seeds} seed{'s' * (seeds != 1)} each, on one split of "
            f"{'private' if internal else 'public'} data{simulated}. Lines are means over seeds; bars reach from the "
            "least to the greatest.",
            epsilons=epsilons,
            figures=figures,
            runs=runs,
            failed=tuple(run for run in runs if not run.ok),
            settings=_settings(document),
            limits=LIMITS if internal else LIMITS[:2],
        )


def described(key: str, score: object = None) -> tuple[str, str]:
    """Title and meaning of a figure; `score` says what `tstr` is.

    Raises:
        ParameterError: there is no such figure.
    """
    if key not in _ABOUT:
        raise ParameterError(f"There is no figure {key!r}.", f"Use one of {', '.join(_ABOUT)}.")
    title, axis = _ABOUT[key]
    return title, f"{_SCORES[score]} on real rows" if key == "tstr" and score in _SCORES else axis


def _figure(
    key: str, document: Document, done: Sequence[Mapping[str, Any]], labels: Sequence[str], epsilons: Sequence[str]
) -> FigureView:
    title, axis = described(key, document.get("score"))
    values: dict[tuple[str, str | None], list[float]] = {}
    for cell in done:
        value = cell.get(key) if key == "cpu_s" else (cell["figures"] or {}).get(key)
        if value is not None:
            epsilon = None if cell["epsilon"] is None else str(cell["epsilon"])
            values.setdefault((str(cell["generator"]), epsilon), []).append(float(value))
    series = tuple(
        Series(
            label=clean(label),
            at=tuple(_spread(values.get((label, epsilon))) for epsilon in epsilons),
            flat=_spread(values.get((label, None))),
        )
        for label in labels
        if any(name == label for name, _ in values)
    )
    real = (document["reference"] or {}).get(key)
    return FigureView(
        key=key,
        title=title,
        axis=axis,
        better="high" if key in HIGH else "low",
        series=series,
        real=None if real is None or not series else float(real),
        digits=_DIGITS.get(key, 3 if key in HIGH else 4),
        log=key == "cpu_s" or key.startswith("tvd"),
    )


def _spread(values: Sequence[float] | None) -> Spread | None:
    if not values:
        return None
    return Spread(mean=sum(values) / len(values), low=min(values), high=max(values))


def _run(cell: Mapping[str, Any]) -> RunView:
    error = cell.get("error") or {}
    kind = clean(error.get("type") or "")
    figures = {**(cell.get("figures") or {}), "cpu_s": cell.get("cpu_s"), "peak_mib": cell.get("peak_mib")}
    return RunView(
        label=clean(cell["generator"]),
        epsilon="none" if cell["epsilon"] is None else clean(cell["epsilon"]),
        seed=int(cell["seed"]),
        ok=cell["status"] == "done",
        values=tuple((key, figures.get(key), _DIGITS.get(key, 4)) for key in _RUN_COLUMNS),
        reason=f"{kind}: {clean(error.get('message', ''))}" if kind else clean(error.get("message", "")),
    )


def _settings(document: Document) -> tuple[tuple[str, str], ...]:
    rows, split, bill = document.get("rows"), document.get("split"), document.get("budget")
    facts: dict[str, Any] = {
        "Data": document["data"],
        "Simulated from": document.get("simulated"),
        "Rows fitted, held out": f"{rows['train']:,}, {rows['holdout']:,}" if rows else None,
        "Columns": document["columns"],
        "Target": document["target"],
        "Delta": document["delta"],
        "Unit": document["unit"] if isinstance(document["unit"], str) else f"user, by {document['unit']['column']}",
        "Split": f"holdout {split['holdout']:g}, seed {split['seed']}" if split else "the workspace's own",
        "Paid": f"{bill['runs']} runs, {bill['currency']} {bill['cost']['loss']}, by {bill['node']}" if bill else None,
        "SHA-256 of rows and split": document.get("data_sha256"),
        "SHA-256 of the schema": document.get("schema_sha256"),
        "Version": document["version"],
    }  # fmt: skip
    return tuple((clean(name), text_of(value)) for name, value in facts.items() if value is not None)
