import re
from typing import Any

import pytest

from accounting.guarantee import Guarantee
from dpsynth.core.errors import DataError
from dpsynth.quality import QualityReport
from dpsynth.report.cells import CELLS, attach, cell, install, kind_of, load_ipython_extension
from tests.report.pages import Page


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("guarantee", "guarantee", "whatever an attacker knows"),
        ("balance", "balance", "spent 1.75"),
        ("amended", "balance", "amended Granted first: epsilon 4, delta 1e-5"),
        ("decision", "decision", "Reject"),
        ("attacks", "attacks", "Membership by nearness"),
        ("quality", "quality", "Pairs of columns, mean"),
        ("draft", "draft", "encrypted until the gate says ship"),
        ("ledger", "facts", "ledger_id"),
    ],
)
def test_every_document_has_a_cell(internal: dict[str, Any], name: str, kind: str, word: str) -> None:
    whole, share = internal["budget"]["line"]
    document = {**internal, "balance": share, "amended": whole}[name]
    assert kind_of(document) == kind
    html = cell(document)
    found = Page(html)
    assert word in found.text
    assert not found.unbalanced
    assert not {"script", "img", "iframe", "link"} & found.tags
    assert len(html) < 60_000


def test_objects_are_drawn_like_their_documents(internal: dict[str, Any]) -> None:
    assert cell(Guarantee.from_json(internal["guarantee"])) == cell(internal["guarantee"])
    assert cell(QualityReport.from_json(internal["quality"])) == cell(internal["quality"])


def test_reports_bound_to_a_draft_are_unwrapped(internal: dict[str, Any]) -> None:
    bound = {"schema": "dpsynth.quality_of_draft/1", "draft": "d", "report": internal["quality"]}
    assert cell(bound) == cell(internal["quality"])


def test_style_of_a_cell_touches_nothing_outside_of_it(internal: dict[str, Any]) -> None:
    css = "".join(re.findall(r"<style>(.*?)</style>", cell(internal["guarantee"]), flags=re.S))
    selectors = [s.strip() for s in re.findall(r"([^{}]+)\{", css) if not s.strip().startswith("@")]
    assert len(selectors) > 50
    assert all(part.strip().startswith(".dpsynth") for s in selectors for part in s.split(","))
    assert "@page" not in css


def test_anything_without_a_document_is_refused() -> None:
    with pytest.raises(DataError, match="int has no JSON form"):
        cell(3)
    with pytest.raises(DataError, match="The guarantee document cannot be reported"):
        cell(dict.fromkeys(("epsilon", "delta", "relation", "unit", "accountant"), "x"))


def test_installing_imports_no_class_and_then_draws_it(internal: dict[str, Any]) -> None:
    from IPython.core.formatters import HTMLFormatter

    formatter = HTMLFormatter()
    install(formatter)
    assert "dpsynth.release.gate" not in {k[0] for k in formatter.type_printers if isinstance(k, tuple)}
    assert len(formatter.deferred_printers) == len(CELLS)
    claim = Guarantee.from_json(internal["guarantee"])
    assert formatter(claim) == cell(claim)


def test_every_registered_name_exists() -> None:
    from importlib import import_module

    for name in CELLS:
        module, _, attribute = name.partition(":")
        assert hasattr(import_module(module), attribute), name


def test_attached_class_draws_itself() -> None:
    class Receipt:
        def to_json(self) -> dict[str, str]:
            return {"bundle": "out/<b>"}

    attach(Receipt)
    assert "out/&lt;b&gt;" in Receipt()._repr_html_()
    assert "<h2>Receipt</h2>" in Receipt()._repr_html_()


def test_extension_installs_itself() -> None:
    from types import SimpleNamespace

    from IPython.core.formatters import HTMLFormatter

    formatter = HTMLFormatter()
    load_ipython_extension(SimpleNamespace(display_formatter=SimpleNamespace(formatters={"text/html": formatter})))
    assert len(formatter.deferred_printers) == len(CELLS)


@pytest.mark.parametrize("ok", [True, False])
def test_a_verification_opens_its_checks_where_one_fails(internal: dict[str, Any], ok: bool) -> None:
    why = "It is." if ok else "<b>altered</b>"
    checks = [{"name": "release_key", "ok": True, "reason": "Known.", "code": "ok"}]
    checks.append({"name": "files", "ok": ok, "reason": why, "code": "ok" if ok else "file_altered"})
    guarantee = internal["guarantee"] if ok else None
    checks.append({"name": "ledger", "ok": ok, "reason": "It is." if ok else "Not reached.", "code": "ok"})
    privacy = {"attacker": {"tpr_at_most": "0.0123"}} if ok else None
    document = {"ok": ok, "checks": checks, "guarantee": guarantee, "warnings": ["A clock was set back."]}
    document["privacy"] = privacy
    assert kind_of(document) == "verification"
    html = cell(document)
    text = Page(html).text
    assert not Page(html).unbalanced and "A clock was set back." in text and "release key" in text
    assert ("Verified" in text and "All 3 checks hold." in text and "1.23 %" in text) is ok
    assert text.count("Not reached.") == (0 if ok else 1), "the verdict names the first reason, not all"
    assert ("<details open>" in html and "&lt;b&gt;altered" in html and "<b>altered" not in html) is not ok
