"""Pages from models: Jinja2 with autoescape and StrictUndefined, one file, no script, no network.

Every expression passes `clean` (no control or bidirectional characters) and autoescape, whatever the template's
author thought of; a content security policy in the page forbids what would slip through. The style sheet is inlined;
charts are SVG elements in the page.

>>> page = render_internal(assemble(title="Empty"))
>>> "<script" in page, "://" in page, "not for release" in page
(False, False, True)
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from dpsynth.report import charts, words
from dpsynth.report.audit import AuditModel
from dpsynth.report.comparison import ComparisonModel
from dpsynth.report.criteria import ASKED
from dpsynth.report.crosswalk import CHECKED, CROSSWALK
from dpsynth.report.glossary import ATTACK_METHODS, GLOSSARY, METHODS
from dpsynth.report.mixing import MODE_WORDS, shares
from dpsynth.report.model import PublicModel, ReportModel, assemble  # noqa: F401 - assemble: for the doctest
from dpsynth.report.portfolio import PortfolioModel
from dpsynth.report.statement import stated
from dpsynth.report.views import FIRST_PAGE, clean, figure_text, first_page_metrics, grade_of

MAX_CHART_ROWS = 12


def _percent(value: float | None, digits: int = 0) -> str:
    return "\u2013" if value is None else f"{100 * value:.{digits}f} %".replace("-", "\u2212")


def _brief(text: str, most: int = 40) -> str:
    """A table cell's worth: digests by their first twelve characters, sentences by their beginning."""
    return text if len(text) <= most else text[: 12 if " " not in text else most] + "\u2026"


def _ticks(text: str) -> Markup:
    """Escaped text with `commands` in code elements, and no break between a figure and its percent sign."""
    escaped = str(escape(clean(text))).replace(" %", "\u00a0%")
    return Markup(re.sub(r"`([^`]{1,200})`", r"<code>\1</code>", escaped))  # noqa: S704 - escaped above


def _path(text: str) -> Markup:
    """Escaped text that may go on in a new line after a part of a path or of a name, not amid one."""
    return Markup(re.sub(r"(?<=[\w])([/._-]+)(?=\w)", r"\1<wbr>", str(escape(clean(text)))))  # noqa: S704 - escaped above


def _short(digest: str | None) -> str:
    """The first twelve characters of a digest."""
    return "\u2013" if not digest else clean(digest)[:12]


def _threat(text: str) -> str:
    """A threat model in words: `no_box: one record` is "no box, with one record"."""
    access, _, knowledge = text.partition(": ")
    return f"{access.replace('_', ' ')}, with {knowledge}" if knowledge else text.replace("_", " ")


def _finalize(value: Any) -> Any:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment() -> Environment:
    """The template environment, made once."""
    env = Environment(
        loader=PackageLoader("dpsynth.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(
        num=figure_text, pct=_percent, short=_short, brief=_brief, path=_path, ticks=_ticks, threat=_threat
    )
    env.globals.update(
        metric_words=words.metric_words,
        mode_words=MODE_WORDS,
        attack_words=words.attack_words,
        endpoint_words=words.endpoint_words,
        stratum_words=words.stratum_words,
        rule_words=words.rule_words,
        grade_of=grade_of,
        first_page=FIRST_PAGE,
        first_page_metrics=first_page_metrics,
        style=_css("style.css"),
        page_style=_css("page.css"),
        internal_style=_css("internal.css"),
        crosswalk=CROSSWALK,
        checked=CHECKED,
        stated=stated,
        glossary=GLOSSARY,
        methods=METHODS,
        attack_methods=ATTACK_METHODS,
        asked_criteria=ASKED,
    )
    return env


def _css(name: str) -> Markup:
    """A style sheet of this package: `style.css` for pages and cells, `page.css` for pages alone, `internal.css`."""
    text = resources.files("dpsynth.report").joinpath(name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of this package


def render_internal(model: ReportModel) -> str:
    """The internal edition: exact figures, marked "internal, not for release" on every page.

    Args:
        model: what `assemble` returns.

    Returns:
        one HTML document.
    """
    return environment().get_template("internal.html.j2").render(model=model, charts=_charts(model))


def render_public(model: PublicModel) -> str:
    """The public edition: verdicts, classes, canary figures, guarantee and budget entry; nothing else.

    Args:
        model: what `assemble_public` returns.

    Returns:
        one HTML document.
    """
    return environment().get_template("public.html.j2").render(model=model)


def render_audit(model: AuditModel) -> str:
    """The page of an audit: exact figures, marked "internal, not for release".

    Args:
        model: what `assemble_audit` returns.

    Returns:
        one HTML document.
    """
    drawn = Markup(charts.attacks("attacks", model.lines)) if model.lines else Markup("")  # noqa: S704 - as below
    return environment().get_template("audit.html.j2").render(model=model, charts={"attacks": drawn})


def render_portfolio(model: PortfolioModel) -> str:
    """The page of a workspace, marked "internal, not for release".

    Args:
        model: what `assemble_portfolio` returns.

    Returns:
        one HTML document.
    """
    drawn = charts.spending("spending", model.steps, model.last) if len(model.steps) > 1 else ""
    shown = {"spending": Markup(drawn)}  # noqa: S704 - matplotlib escapes text
    return environment().get_template("portfolio.html.j2").render(model=model, charts=shown)


def render_comparison(model: ComparisonModel) -> str:
    """The page of a sweep; of private data marked "internal, not for release".

    Args:
        model: what `assemble_comparison` returns.

    Returns:
        one HTML document.
    """
    return environment().get_template("comparison.html.j2").render(model=model, charts=comparison_charts(model))


def comparison_charts(model: ComparisonModel) -> dict[str, Markup]:
    """The curves of each figure."""
    from dpsynth.report.curves import curves

    return {
        view.key: Markup(curves(f"curve-{view.key}", view, model.epsilons))  # noqa: S704 - matplotlib escapes text
        for view in model.figures
    }


def _charts(model: ReportModel) -> dict[str, Markup]:
    """The charts of the internal edition; a chart without figures is left out."""
    out: dict[str, str] = {}
    if model.attacks:
        out["attacks"] = charts.attacks("attacks", model.attacks)
    report = model.quality
    if report is not None:
        out["columns"] = charts.dots(
            "columns",
            [
                charts.Dots(
                    label=c.name,
                    points={"value": c.tvd, "reference": c.reference, "floor": c.floor},
                    interval=(c.ci_low, c.ci_high),
                )
                for c in report.columns[:MAX_CHART_ROWS]
            ],
            axis="distance of one column (0 identical, 1 disjoint)",
        )
        out["pairs"] = charts.dots(
            "pairs",
            [
                charts.Dots(
                    label=f"{p.left} \u00d7 {p.right}",
                    points={"value": p.tvd, "reference": p.reference, "floor": p.floor, "shuffle": p.shuffle},
                    interval=(p.ci_low, p.ci_high),
                )
                for p in report.pairs[:MAX_CHART_ROWS]
            ],
            axis="distance of a pair of columns (0 identical, 1 disjoint)",
        )
        rows = [
            charts.Dots(
                label=f"{b.low}\u2013{b.high} rows, {what}",
                points={
                    "matched": getattr(b, f"{key}_matched"),
                    "reference": getattr(b, f"{key}_reference"),
                    "floor": getattr(b, f"{key}_floor"),
                },
            )
            for key, what in (("kept", "kept"), ("overlap", "in place"))
            for b in report.tails
            if b.cells
        ]
        if rows:
            out["tails"] = charts.dots("tails", rows, axis="share (1 is all)", upper=1.03)
        if report.ablation is not None:
            for answer in report.ablation.answers:
                out[f"shares_{answer.test}"] = shares(f"shares-{answer.test}", report.ablation, answer.test)
        if report.groups:
            out["groups"] = charts.dots(
                "groups",
                [
                    charts.Dots(label=f"{g.column}: {g.value}", points={"matched": g.tvd, "reference": g.tvd_reference})
                    for g in report.groups[:MAX_CHART_ROWS]
                ],
                axis="distance within a group (0 identical, 1 disjoint)",
            )
    return {name: Markup(svg) for name, svg in out.items()}  # noqa: S704 - matplotlib escapes text
