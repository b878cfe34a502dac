"""The printed portfolio: budgets, what waits, releases and recalls, drafts, what happened.

>>> from dpsynth.report.portfolio import assemble_portfolio
>>> empty = {"workspace": "w", "ledger_id": "l", "head": {"seq": 0, "hash": "00", "time": ""}, "families": [],
...          "drafts": [], "releases": [], "spending": [], "timeline": []}
>>> [s["title"] for s in portfolio_sections(assemble_portfolio(empty))][0]
'In short'
"""

from __future__ import annotations

from typing import Any, Final

from dpsynth.report.portfolio import Budget, PortfolioModel
from dpsynth.report.sheets import section, table, tag

LINES: Final = 400


def portfolio_sections(model: PortfolioModel) -> list[dict[str, Any]]:
    """The sections of a workspace's report."""
    budgets = [
        [
            {"main": "\u2007\u2007" * b.depth + b.name, "sub": _sub(b)},
            b.purpose, b.recipient, {"fill": round(b.spent / 100, 4)}, {"b": b.view.granted},
            b.view.amounts.get("spent", "0"), b.view.amounts.get("reserved", "0"),
            {"b": b.view.amounts.get("left", "0")}, b.view.delta_left,
        ]
        for b in model.budgets
    ]  # fmt: skip
    releases = [
        [
            {"b": r.name}, r.draft, r.dataset, r.at, r.entry,
            tag("in force", "good") if r.recalled is None else tag("recalled", "bad"),
            r.reason if r.recalled is None else f"{r.recalled}: {r.reason}",
        ]
        for r in model.releases
    ]  # fmt: skip
    drafts = [
        [{"b": d.name}, d.dataset, d.generator, d.epsilon, tag(d.state, d.tone), d.attempts, d.created]
        for d in model.drafts
    ]
    waiting = [[{"b": d.name}, tag(d.state, d.tone), d.next_step] for d in model.waiting]
    happened = [[t.entry, t.at, {"b": t.what}, t.dataset, t.detail] for t in reversed(model.timeline[-LINES:])]
    return [
        section("In short", f"{model.verdict.word}; {model.verdict.sentence}"),
        _said("Budgets", "No budget was granted.", "Shares stand below their whole, which spends with them",
              "Data_set|2fr Purpose|1fr Recipients|auto Used|2.6cm >Granted|auto >Spent|auto >Reserved|auto "
              ">Left|auto >Delta_left|auto", budgets),
        _said("Waiting for somebody", "No draft waits.", "What each draft needs next", "Draft|1fr State|auto Next|2fr",
              waiting),
        _said("Releases and recalls", "Nothing was released.", "What left, and what was called back",
              "Release|auto Draft|1fr Data_set|1fr Released|auto >Entry|auto State|auto Reason|1fr", releases),
        _said("Drafts and attempts", "No draft was made.", "Also those that failed: all of them stay charged",
              "Draft|1fr Data_set|1fr Generator|auto >Epsilon|auto State|auto >Attacks_/_decisions|auto Created|auto",
              drafts),
        _said("What happened", "Nothing.", "The ledger in words, newest first; order is the chain's, times are claims",
              ">Entry|auto Time|auto What|auto Data_set|1fr Detail|1.4fr", happened),
    ]  # fmt: skip


def _sub(budget: Budget) -> str:
    """What stands below a budget's name."""
    place = f"rows stay in {budget.place}" if budget.place else ""
    return ", ".join(filter(None, (place, "amended" if budget.view.first else "")))


def _said(title: str, nothing: str, caption: str, heads: str, rows: list[list[Any]]) -> dict[str, Any]:
    """A section with one table; `heads` are words `Label|width`, `>` in front aligns right, `_` is a space."""
    named = []
    for head in heads.split():
        label, _, width = head.removeprefix(">").partition("|")
        named.append((label.replace("_", " "), "right" if head.startswith(">") else "left", width))
    return section(title, table(caption, named, rows) if rows else nothing)
