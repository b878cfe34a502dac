"""What a printed report shows: the same view models as the pages, as plain values that a typesetter draws.

A document is a first page and sections; a section is paragraphs and tables; a cell is text, a tag with a tone, or a
strip that draws bounds against a limit beside their figures. No markup is made here: texts travel as JSON strings and
are never read as commands.

>>> from dpsynth.report.model import assemble
>>> front_of(assemble(title="Empty"))["verdict"]["word"]
'Not decided'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dpsynth.report.model import Front, PublicModel, ReportModel
from dpsynth.report.views import AttackLine, figure_text, first_page_metrics, grade_of
from dpsynth.report.words import attack_words, endpoint_words, metric_words, rule_words, stratum_words

Cell = Any
TONES: Final = {"pass": "good", "inconclusive": "warn", "fail": "bad", "not run": "bad"}
DASH: Final = "\u2013"


def number(value: float | None, digits: int = 3) -> str:
    """A figure as text, as on the pages."""
    return figure_text(value, digits)


def percent(value: float | None, digits: int = 0) -> str:
    """A share in percent."""
    return DASH if value is None else f"{100 * value:.{digits}f}\u00a0%".replace("-", "\u2212")


def tag(word: str, tone: str) -> Cell:
    """A word with a mark and a colour."""
    return {"tag": word, "tone": tone}


def named(title: str, sub: str = "") -> Cell:
    """A row's heading with a smaller line below."""
    return {"main": title, "sub": sub}


def table(caption: str, heads: Sequence[tuple[str, str, str]], rows: Sequence[Sequence[Cell]]) -> dict[str, Any]:
    """A table; each head is (label, alignment, width), the width `auto` or a share such as `2fr`."""
    return {
        "caption": caption,
        "heads": [{"label": label, "align": align, "width": width} for label, align, width in heads],
        "rows": [list(row) for row in rows],
    }


def section(title: str, *parts: str | dict[str, Any]) -> dict[str, Any]:
    """A section of paragraphs and tables, in their order."""
    return {"title": title, "parts": list(parts)}


def strip(line: AttackLine) -> Cell:
    """Bounds of an attack on a scale where 0 is chance and 1 the limit, cut at -0.5 and 1.5."""
    if line.high is None or line.limit <= line.chance:
        return DASH
    span = line.limit - line.chance

    def place(x: float | None) -> float | None:
        return None if x is None else round(min(max((x - line.chance) / span, -0.5), 1.5), 4)

    low = line.low if line.low is not None else line.estimate
    return {"strip": [place(low), place(line.estimate), place(line.high)], "tone": TONES[line.verdict]}


def attack_title(line: AttackLine) -> Cell:
    """What attacks whom, and what is counted."""
    people = "" if line.stratum == "canaries" else f"{stratum_words(line.stratum)} \u00b7 "
    return named(attack_words(line.name).title, f"{people}{endpoint_words(line.endpoint)}")


def criteria_table(model: Front) -> dict[str, Any]:
    """The criteria, worst first; exact figures in the internal edition only."""
    exact = model.edition == "internal"
    rows = []
    for line in model.criteria:
        a = line.worst
        said = named(line.title, line.why) if a is None else named(line.title, _worst(line.title, a, line.count))
        word = tag(line.verdict, TONES[line.verdict])
        if a is None:
            rows.append([said, word, *((DASH,) * (6 if exact else 4))])
        elif exact:
            control = a.negative if a.control is None else number(a.control)
            people = DASH if a.targets is None else f"{a.targets:,}"
            rows.append([said, word, strip(a), {"b": number(a.high)}, number(a.limit), control, people,
                         "none" if a.detectable is None else percent(a.detectable, 1)])  # fmt: skip
        else:
            bound = {"b": number(a.high)} if a.canary_only and a.high is not None else a.grade or DASH
            rows.append([said, word, bound, number(a.limit), a.positive, a.negative])
    figures = [("Bounds, limit dashed", "center", "2.6cm"), ("Upper bound", "right", "auto"),
               ("Limit", "right", "auto"), ("Control", "right", "auto"), ("People", "right", "auto"),
               ("Sees leaks of", "right", "auto")]  # fmt: skip
    classes = [("Upper bound", "left", "auto"), ("Limit", "right", "auto"), ("Planted leak", "left", "auto"),
               ("Control", "left", "auto")]  # fmt: skip
    heads = [("Criterion", "left", "1fr"), ("Verdict", "left", "auto"), *(figures if exact else classes)]
    return table("Worst first; each line is the worst attack of its kind, never an average", heads, rows)


def _worst(title: str, line: AttackLine, count: str) -> str:
    about = attack_title(line)
    parts = [about["main"]] if about["main"] != title else []
    return " \u00b7 ".join([*parts, about["sub"], *([count] if count.startswith("worst") else [])])


def fitness_table(model: Front) -> dict[str, Any] | None:
    """The figures of the first page; None if quality was not evaluated."""
    if isinstance(model, ReportModel) and model.quality is not None:
        rows: list[list[Cell]] = []
        for m in first_page_metrics(model.quality):
            word, tone = grade_of(m)
            value = m.value if m.matched is None else m.matched
            rows.append([{"b": metric_words(m.name).title}, tag(word, tone), {"b": number(value)},
                         f"[{number(m.reference)}]", number(m.shuffle)])  # fmt: skip
        heads = [("Figure", "left", "1fr"), ("Reading", "left", "auto"), ("Synthetic", "right", "auto"),
                 ("[Real holdout]", "right", "auto"), ("Nothing learned", "right", "auto")]  # fmt: skip
        return table(
            "Worst first; at as many rows as the real holdout, whose own value stands in brackets", heads, rows
        )
    if isinstance(model, PublicModel) and model.grades:
        from dpsynth.report.views import FIRST_PAGE

        blank: list[Cell] = ["", ""]
        seen: list[list[Cell]] = [
            [metric_words(g.name).title, {"b": g.grade}] for g in model.grades if g.name in FIRST_PAGE
        ]
        pairs = [[*left, *right] for left, right in zip(seen[::2], [*seen[1::2], blank], strict=False)]
        heads = [
            ("Figure", "left", "1fr"),
            ("Class", "left", "1fr"),
            ("Figure", "left", "1fr"),
            ("Class", "left", "1fr"),
        ]
        return table("Coarse classes; the anchors are a real holdout and data without any dependence", heads, pairs)
    return None


def problems_of(model: Front, most: int = 4) -> list[dict[str, str]]:
    """Failed rules, exceptions, a changed policy, what was not run, and notes."""
    found = [
        {"word": "failed" if c.on_fail != "warn" else "warning", "tone": "bad" if c.on_fail != "warn" else "warn",
         "title": rule_words(c.name), "text": c.reason[:170]}
        for c in model.failed[:most]
    ]  # fmt: skip
    if len(model.failed) > most:
        found.append(
            _problem("more", "bad", f"{len(model.failed) - most} further rules", "failed or warn; see the appendix")
        )
    if not model.checks:
        found.append(_problem("not run", "bad", "Gate", "No decision has been taken."))
    seen = model.governance
    for w in () if seen is None else seen.waivers:
        by = f", approved by {', '.join(w.approved_by)}" if w.approved_by else ""
        found.append(_problem("waived", "warn", rule_words(w.rule), f"{w.reason} Asked by {w.owner}{by}."))
    if seen is not None and seen.policy_changes:
        found.append(_problem("changed", "warn", "Policy", f"Changed since the reserve: {len(seen.policy_changes)}."))
    missing = [c.title.lower() for c in model.criteria if c.verdict == "not run"]
    if missing:
        found.append(_problem("not run", "bad", "Criteria without an attack", f"{', '.join(missing)}."))
    found += [_problem("note", "warn", "Note", text) for text in model.warnings]
    return found or [_problem("none", "good", "Nothing", "Every rule held and every criterion was tested.")]


def _problem(word: str, tone: str, title: str, text: str) -> dict[str, str]:
    return {"word": word, "tone": tone, "title": title, "text": text}


def front_of(model: Front) -> dict[str, Any]:
    """The first page."""
    v, g, b, seen = model.verdict, model.guarantee, model.budget, model.governance
    under = (
        [] if seen is None else [f"State {seen.state}", *([f"policy {seen.policy_name}"] if seen.policy_name else [])]
    )
    under += [f"policy digest {v.policy[:12]}"] if v.policy else []
    under += [f"decided at ledger entry {v.at.partition(':')[0]}"] if v.at else []
    approved = ", ".join(seen.approved_by) if seen is not None and seen.approved_by else ""
    under.append(f"approved by {approved or 'the gate alone; no review is recorded'}")
    about = ("Data set", "Synthetic rows", "Created")
    family = model.family
    paid = [] if family is None or len(family.nodes) == 1 else [
        f"Paid by a share of {family.whole.name}; of the whole, {family.whole.left} is left of {family.whole.granted}."
    ]  # fmt: skip
    if family is not None and family.amended:
        paid.append("A grant above it was amended; see the appendix.")
    return {
        "verdict": {"word": v.word, "tone": v.tone, "sentence": v.sentence, "under": " \u00b7 ".join(under)},
        "about": " \u00b7 ".join(f"{k} {value}" for k, value in model.provenance if k in about),
        "guarantee": None if g is None else {
            "sentence": g.sentence,
            "facts": [["Epsilon", g.epsilon], ["Delta", g.delta], ["Relation", g.relation], ["Unit", g.unit],
                      ["Accountant", g.accountant]],
        },
        "budget": None if b is None else {
            "granted": b.granted,
            "parts": [{"label": label, "amount": amount, "share": share} for label, amount, share in b.parts],
            "lines": [
                f"Ledger entry {b.entry or DASH}, hash {(b.entry_hash or DASH)[:12]}, "
                f"ledger {(b.ledger_id or DASH)[:12]}. Delta left {b.delta_left} of {b.delta_granted}.", *paid,
            ],
        },
        "criteria": criteria_table(model),
        "proved": None if model.proved is None else _proved(model),
        "problems": problems_of(model),
        "fitness": fitness_table(model),
        "resolution": "No noise is recorded." if model.resolution is None else model.resolution.sentence,
        "tails": _tails(model),
        "verify": model.verify,
        "limits": [{"title": w.title, "text": w.meaning} for w in model.limits],
    }  # fmt: skip


def _proved(model: Front) -> str:
    proved = model.proved
    if proved is None:
        return ""
    ceiling = f"; so many canaries could prove at most {proved.ceiling}" if proved.ceiling else ""
    return f"The canaries prove epsilon of at least {proved.value}{ceiling}. A number below the claim confirms nothing."


def _tails(model: Front) -> list[str]:
    if not isinstance(model, ReportModel) or model.quality is None:
        return []
    return [
        f"Pairs of values with {b.low}\u2013{b.high} real rows: {percent(b.kept_matched)} occur "
        f"[real {percent(b.kept_reference)}], {percent(b.overlap_matched)} in place "
        f"[real {percent(b.overlap_reference)}]."
        for b in model.quality.tails
        if b.cells
    ]
