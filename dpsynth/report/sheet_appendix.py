"""The printed appendix: guarantee, budget, governance, attacks, quality, rules, events, items, crosswalk, words.

>>> from dpsynth.report.model import assemble
>>> [s["title"] for s in appendix_of(assemble())][:2]
['State and reviews', 'Statement']
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dpsynth.quality.report import QualityReport
from dpsynth.report.crosswalk import CHECKED, CROSSWALK
from dpsynth.report.glossary import GLOSSARY, METHODS
from dpsynth.report.model import Front, PublicModel, ReportModel
from dpsynth.report.sheets import (
    DASH,
    TONES,
    attack_title,
    named,
    number,
    percent,
    section,
    strip,
    table,
    tag,
)
from dpsynth.report.statement import stated
from dpsynth.report.views import grade_of
from dpsynth.report.words import metric_words, rule_words

MOST = 30
ANSWER = 400
Section = dict[str, Any]


def appendix_of(model: Front) -> list[Section]:
    """Every section after the first page."""
    return [
        *_promise(model),
        _state(model),
        section(
            "Statement",
            "Written by a person in statement.yaml and public. Nothing of it was checked.",
            pairs(stated(model.statement)),
        ),
        _attacks(model),
        *(_quality(model.quality) if isinstance(model, ReportModel) and model.quality is not None else ()),
        *(_grades(model) if isinstance(model, PublicModel) else ()),
        _rules(model),
        *_events(model),
        section("Provenance in full", pairs(model.provenance)),
        _items(model),
        _crosswalk(),
        section("Methods", pairs(METHODS)),
        section("Glossary", pairs(GLOSSARY)),
    ]


def pairs(rows: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Labels and texts, without a head."""
    return {"pairs": [[label, value] for label, value in rows]}


def _promise(model: Front) -> Iterator[Section]:
    p, g, f = model.profile, model.guarantee, model.family
    if p is not None and g is not None:
        yield section(
            "Guarantee in full",
            f"Whatever an attacker knows: at 1 % false alarms, a test for membership finds at most {p.ceiling} % of "
            "the members, from the whole profile of epsilon and delta.",
            table(
                "Epsilon of this release at several deltas; every row holds",
                [("Delta", "right", "auto"), ("Epsilon", "right", "auto"), ("Accountant", "left", "1fr")],
                [[d, {"b": e}, a] for d, e, a in p.deltas],
            ),
            f"Rho {p.rho or 'none'}, mu {p.mu or 'none'}; both hold apart from a failure of probability at most "
            f"{p.failure}. "
            f"At delta {g.delta}: "
            + "; ".join(f"{n} epsilon {e}" for n, e in g.opinions)
            + f". Charged: {g.accountant}.",
        )
    if f is not None:
        heads = [
            ("Budget", "left", "1fr"),
            ("Adds up", "left", "1fr"),
            ("Granted first", "right", "auto"),
            ("Granted", "right", "auto"),
            ("Spent", "right", "auto"),
            ("Left", "right", "auto"),
        ]
        rows = [
            [
                named(n.name, f"{n.role}, recipients {n.recipient}{', for ' + n.purpose if n.purpose else ''}"),
                n.filter,
                n.first or "as now",
                {"b": n.granted},
                n.spent,
                {"b": n.left},
            ]
            for n in f.nodes
        ]
        changes = [f"{n.name}, {change}" for n in f.nodes for change in n.amendments]
        yield section(
            "Privacy budget in full",
            table(f"(epsilon, delta) from the whole to the one that paid, as of ledger entry {f.as_of}", heads, rows),
            *(f"Amended: {change}" for change in changes),
            f.odometer,
            *([f"Digest of this section of the card: {f.digest}"] if f.digest else []),
        )


def _state(model: Front) -> Section:
    seen = model.governance
    if seen is None:
        return section("State and reviews", "No state is recorded: this report was made from documents alone.")
    inside = model.edition == "internal"
    tones = {"approve": "good", "return": "warn", "reject": "bad"}
    votes = [
        [
            r.reviewer,
            tag(r.vote, tones.get(r.vote, "none")),
            "yes" if r.counts else "no",
            r.at or DASH,
            *([r.reason or DASH] if inside else []),
        ]
        for r in seen.reviews
    ]
    heads = [
        ("Reviewer", "left", "auto"),
        ("Vote", "left", "auto"),
        ("Counts", "left", "auto"),
        ("When", "left", "1fr"),
        *([("Reason", "left", "2fr")] if inside else []),
    ]
    return section(
        "State and reviews",
        f"State: {seen.state}." + (f" Missing for the next one: {'; '.join(seen.missing)}" if seen.missing else ""),
        *seen.notes,
        table("Signed votes", heads, votes) if votes else "No review is recorded.",
        table(
            "Rules that were waived, by whom and why",
            [
                ("Rule", "left", "1fr"),
                ("Asked by", "left", "auto"),
                ("Reason", "left", "2fr"),
                ("Approved by", "left", "auto"),
            ],
            [[rule_words(w.rule), w.owner, w.reason, ", ".join(w.approved_by) or DASH] for w in seen.waivers],
        )
        if seen.waivers
        else "No rule was waived.",
        table(
            "The policy changed after the budget was reserved",
            [("Setting", "left", "2fr"), ("When reserved", "left", "1fr"), ("Now", "left", "1fr")],
            [list(row) for row in seen.policy_changes],
        )
        if seen.policy_changes
        else "No change of the policy is recorded.",
    )


def _attacks(model: Front) -> Section:
    exact = model.edition == "internal"
    rows = []
    for a in model.attacks:
        word = tag(a.verdict, TONES[a.verdict])
        if exact:
            people = f"{a.targets or 0:,} / {a.controls or 0:,}"
            rows.append(
                [
                    attack_title(a),
                    word,
                    strip(a),
                    number(a.estimate, 4),
                    {"b": number(a.high, 4)},
                    number(a.limit, 4),
                    a.positive,
                    a.negative,
                    people,
                ]
            )
        else:
            bound = number(a.high) if a.canary_only and a.high is not None else a.grade or DASH
            rows.append([attack_title(a), word, bound, number(a.limit, 4), a.positive, a.negative])
    middle = (
        [
            ("Bounds, limit dashed", "center", "2.6cm"),
            ("Value", "right", "auto"),
            ("Upper", "right", "auto"),
            ("Limit", "right", "auto"),
        ]
        if exact
        else [("Upper bound", "left", "auto"), ("Limit", "right", "auto")]
    )
    heads = [
        ("Attack", "left", "1fr"),
        ("Verdict", "left", "auto"),
        *middle,
        ("Planted leak", "left", "auto"),
        ("Without members", "left", "auto"),
        *([("Members / others", "right", "auto")] if exact else []),
    ]
    return section(
        "Attacks in detail", table("All attacks, worst first", heads, rows) if rows else "No attack was run."
    )


def _quality(report: QualityReport) -> Iterator[Section]:
    heads = [
        ("Figure", "left", "1fr"),
        ("Reading", "left", "auto"),
        ("Synthetic", "right", "auto"),
        ("[Real holdout]", "right", "auto"),
        ("Floor", "right", "auto"),
        ("Nothing learned", "right", "auto"),
    ]
    rows = []
    for m in report.metrics:
        word, tone = grade_of(m)
        words = metric_words(m.name)
        value = m.value if m.matched is None else m.matched
        rows.append(
            [
                named(words.title, words.meaning),
                tag(word, tone),
                {"b": number(value)},
                f"[{number(m.reference)}]",
                number(m.floor),
                number(m.shuffle),
            ]
        )
    yield section("Quality: all figures", table("Worst first", heads, rows))
    heads = [
        ("Column", "left", "1fr"),
        ("Distance, real as ring", "center", "2.6cm"),
        ("Distance", "right", "auto"),
        ("95 % interval", "right", "auto"),
        ("[Real holdout]", "right", "auto"),
        ("Floor", "right", "auto"),
    ]
    if report.columns:
        most = max((c.tvd for c in report.columns), default=0.0) or 1.0
        found = [
            [
                c.name,
                {
                    "dots": [
                        round(c.tvd / most, 4),
                        None if c.reference is None else round(min(c.reference / most, 1), 4),
                    ]
                },
                {"b": number(c.tvd)},
                f"{number(c.ci_low)} \u2013 {number(c.ci_high)}",
                f"[{number(c.reference)}]",
                number(c.floor),
            ]
            for c in report.columns[:MOST]
        ]
        yield section("Columns", table(f"The worst {len(found)} of {len(report.columns)} columns", heads, found))
    if report.pairs:
        most = max((p.tvd for p in report.pairs), default=0.0) or 1.0
        found = [
            [
                f"{p.left} \u00d7 {p.right}",
                {
                    "dots": [
                        round(p.tvd / most, 4),
                        None if p.reference is None else round(min(p.reference / most, 1), 4),
                    ]
                },
                {"b": number(p.tvd)},
                f"{number(p.ci_low)} \u2013 {number(p.ci_high)}",
                f"[{number(p.reference)}]",
                number(p.floor),
            ]
            for p in report.pairs[:MOST]
        ]
        heads = [("Pair", "left", "1fr"), *heads[1:]]
        yield section("Pairs of columns", table(f"The worst {len(found)} of {report.pairs_total} pairs", heads, found))
    if report.tails:
        names = ("Combinations", "Kept", "[Real]", "In place", "[Real]")
        heads = [("Real rows", "left", "1fr"), *((name, "right", "auto") for name in names)]
        bands = [
            [
                f"{b.low}\u2013{b.high}",
                f"{b.cells:,}",
                {"b": percent(b.kept_matched, 1)},
                f"[{percent(b.kept_reference, 1)}]",
                {"b": percent(b.overlap_matched, 1)},
                f"[{percent(b.overlap_reference, 1)}]",
            ]
            for b in report.tails
        ]
        yield section("Tails", table("Rare combinations at as many rows as the real holdout", heads, bands))


def _grades(model: PublicModel) -> Iterator[Section]:
    if model.sold:
        columns = (
            ("Figure", "left", "1fr"),
            ("Bounds, 95 %", "right", "auto"),
            ("Noisy figure", "right", "auto"),
            ("Two samples", "right", "auto"),
            ("Epsilon", "right", "auto"),
            ("Ledger entry", "left", "auto"),
        )
        lines = [[b.title, {"b": b.bounds}, b.value, b.floor or DASH, b.cost, b.commit[:16]] for b in model.sold]
        yield section(
            "Quality that was bought", table("Total variation in per cent, noisy, with bounds", columns, lines)
        )
    if model.bought:
        heads = [
            ("Figure", "left", "1fr"),
            ("Excess", "right", "auto"),
            ("Bounds, 5 % each", "right", "auto"),
            ("Epsilon", "right", "auto"),
            ("Ledger entry", "left", "auto"),
        ]
        rows = [[b.title, {"b": b.value}, b.bounds, b.cost, b.commit[:16]] for b in model.bought]
        yield section("Figures that were bought", table("Noisy, in points of a per cent", heads, rows))
    heads = [("Figure", "left", "1fr"), ("Class", "left", "auto")]
    seen = [[named(metric_words(g.name).title, metric_words(g.name).meaning), g.grade] for g in model.grades]
    yield section(
        "Quality", table("All figures as coarse classes", heads, seen) if seen else "Quality was not evaluated."
    )


def _rules(model: Front) -> Section:
    rows = [
        [
            rule_words(c.name),
            tag("held", "good")
            if c.passed
            else tag("warning", "warn")
            if c.on_fail == "warn"
            else tag("failed", "bad"),
            _short(c.value),
            _short(c.limit),
            c.reason,
        ]
        for c in model.checks
    ]
    heads = [
        ("Rule", "left", "1.2fr"),
        ("Outcome", "left", "auto"),
        ("Value", "right", "0.6fr"),
        ("Limit", "right", "0.6fr"),
        ("Reason", "left", "2fr"),
    ]
    said = table("Every rule, failed ones first", heads, rows) if rows else "The gate has not decided."
    return section("Rules of the gate", said)


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[: 12 if " " not in text else 24] + "\u2026"


def _events(model: Front) -> Iterator[Section]:
    if model.events:
        heads = [
            ("Mechanism", "left", "1fr"),
            ("Noise", "left", "1fr"),
            ("Largest change", "left", "1fr"),
            ("Times", "right", "auto"),
            ("Rho", "right", "auto"),
            ("Share", "right", "auto"),
        ]
        rows = [
            [
                e.title + (" (seeded)" if e.seeded else ""),
                e.noise,
                e.change,
                f"{e.count:,}",
                number(e.rho, 5),
                percent(e.share, 1),
            ]
            for e in model.events
        ]
        yield section(
            "Events", table("What touched the private table, in order, and its share of the loss", heads, rows)
        )


def _items(model: Front) -> Section:
    rows = [
        [
            str(i.number),
            named(i.title, i.section),
            "\n".join(f"{k}: {_cut(v)}" for k, v in i.rows),
            tag("open", "warn") if i.open else tag("told", "good"),
        ]
        for i in model.items
    ]
    heads = [("No.", "right", "auto"), ("Item", "left", "1fr"), ("Answer", "left", "2.2fr"), ("", "left", "auto")]
    return section("Twenty items", table("What an audit report must contain, and what this one says", heads, rows))


def _cut(text: str) -> str:
    return text if len(text) <= ANSWER else f"{text[:ANSWER]}\u2026"


def _crosswalk() -> Section:
    heads = [
        ("Text", "left", "1fr"),
        ("Asks", "left", "2fr"),
        ("Sections", "left", "1.3fr"),
        ("Source", "left", "1.5fr"),
    ]
    rows = [[{"b": c.text}, c.asks, "; ".join(c.sections), f"{c.address}\n({c.basis})"] for c in CROSSWALK]
    said = (
        f"Where a reader of these texts finds what they ask about. No claim of compliance. Sources read on {CHECKED}."
    )
    return section("Crosswalk", said, table("Texts, what they ask, and where this report answers", heads, rows))
