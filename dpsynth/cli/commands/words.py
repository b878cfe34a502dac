"""Rows of figures as text, in the order in which a person should read them: worst first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from accounting.ledger.records import BudgetRecord
    from dpsynth.cli.terminal import Terminal
    from dpsynth.workspace import Draft
    from dpsynth.workspace.runs.public import PublicSample

_ORDER = {"fail": 0, "inconclusive": 1, "pass": 2}


def figure(value: object) -> str:
    """A number with four significant digits, a dash for none.

    >>> figure(0.123456), figure(None)
    ('0.1235', '–')
    """
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def budget_fields(paid: BudgetRecord) -> dict[str, Any]:
    """Which budget paid for a draft: the `budget` of `synthesize --json` and `sample --json`."""
    return {"id": paid.budget_id, "purpose": paid.purpose, "recipient": paid.recipient.value}


def wrote_public(terminal: Terminal, made: PublicSample, output: Path, rows: int) -> None:
    """What a run on data declared public has to say, for people and as `synthesize --json`."""
    terminal.say(f"Wrote {output}: {rows:,} rows, data declared public: no budget, no attack, no gate.")
    terminal.say(f"If it were private: {made.guarantee.sentence()}")
    terminal.result(
        {
            "draft": None,
            "generator": made.generator,
            "rows": rows,
            "guarantee": made.guarantee.to_json(),
            "ledger_entry": None,
            "budget": None,
            "output": str(output),
            "public": True,
        }
    )


def promise(draft: Draft) -> str:
    """What a draft's guarantee says, in a sentence."""
    return "No guarantee." if draft.guarantee is None else draft.guarantee.sentence()


def worst_first(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The rows of an attack report: failed first, then inconclusive, then nearest to the limit."""

    def key(row: Mapping[str, Any]) -> tuple[int, float]:
        upper = row["ci_high"]
        return _ORDER[row["verdict"]], 0.0 if upper is None else row["limit"] - upper

    return sorted(document["attacks"], key=key)


def attack_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Rows of `dpsynth attack`, worst first."""
    words = ("verdict", "name", "stratum", "endpoint")
    figures = ("estimate", "ci_high", "limit", "detectable")
    return [[*(row[part] for part in words), *(figure(row[part]) for part in figures)] for row in worst_first(document)]


def quality_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Rows of `dpsynth evaluate`, in the report's own order; the last says what a metric can show and saw."""
    from dpsynth.quality.report import Metric

    out = []
    for row in document["metrics"]:
        metric = Metric.model_validate(row)
        figures = (metric.value, metric.reference, metric.floor, metric.shuffle, metric.notices_from)
        said = "noticed" if metric.noticed else "cannot show" if metric.shows is False else ""
        out.append([metric.name, metric.group, *map(figure, figures), said])
    return out


def show_attacks(terminal: Terminal, title: str, document: Mapping[str, Any]) -> None:
    """The table of an attack report, what was not applicable or only sampled, and the JSON."""
    from attacks.report import SamplingRecord

    terminal.table(
        f"{title}: {document['verdict']} (internal: computed from private rows)",
        ["verdict", "attack", "stratum", "endpoint", ">estimate", ">upper bound", ">limit", ">detectable"],
        attack_rows(document),
    )
    for row in worst_first(document):
        if row["verdict"] != "pass":
            terminal.say(f"{row['name']} ({row['endpoint']}, {row['stratum']}): {row['reason']}")
    for absent in document.get("not_applicable", ()):
        terminal.say(f"not applicable: {absent['name']}: {absent['reason']}")
    if document.get("sampling") is not None:
        terminal.say(f"sampled: {SamplingRecord.model_validate(document['sampling'])}")
    terminal.result(document)


def show_quality(terminal: Terminal, title: str, document: Mapping[str, Any]) -> None:
    """The table of a quality report, and the JSON."""
    terminal.table(
        f"{title} (internal: computed from private rows)",
        ["figure", "group", ">synthetic", ">real holdout", ">floor", ">no dependence", ">notices from", ""],
        quality_rows(document),
        spare=["group", "floor"],
    )
    for warning in document["warnings"]:
        terminal.say(warning)
    rivals = (document.get("utility") or {}).get("comparators") or ()
    if rivals:
        terminal.table(
            "Private models trained on the real rows (diffprivlib; epsilon of each draw, add/remove)",
            ["model", "score", ">epsilon", ">mean", ">95 % low", ">high", "draws"],
            [
                [one["model"], one["score"], one["epsilon"], *(figure(one[k]) for k in ("mean", "ci_low", "ci_high")),
                 ", ".join(map(figure, one["draws"]))]
                for one in rivals
            ],
        )  # fmt: skip
    if document.get("ablation"):
        from dpsynth.cli.commands.mixing import show_ablation

        show_ablation(terminal, document["ablation"])
    terminal.result(document)
