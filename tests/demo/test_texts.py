"""The demo's texts: enough of them, the same twice, and the public ones know nothing of the private ones."""

from __future__ import annotations

import ast
import re

import pyarrow.compute as pc
import pytest

from dpsynth.demo.texts import LONGEST, TOPICS, private_records, public_texts
from dpsynth.text.backends.embedded_text import _statements, docstrings, documents, paragraphs


def test_there_are_records_of_prose_with_topics():
    table = private_records()
    texts = table.column("text").to_pylist()
    assert table.num_rows >= 1_500 and len(set(texts)) == len(texts)
    assert all(80 <= len(text) <= LONGEST and "\n" not in text and ">>>" not in text for text in texts)
    counts = dict(
        zip(*(pc.value_counts(table.column("topic")).flatten()[at].to_pylist() for at in (0, 1)), strict=True)
    )
    assert set(counts) == {*TOPICS, "other"} and min(counts.values()) >= 30


def shared(public):
    private = {part for text in private_records().column("text").to_pylist() for part in re.split(r"[.:](?: |$)", text)}
    return [text for text in public if {part for part in re.split(r"[.:](?: |$)", text) if len(part) > 40} & private]


def test_public_texts_share_no_sentence_with_private_ones():
    public = public_texts(("python", "numpy"))
    assert len(public) > 2_000 and not shared(public)
    assert shared(documents(("python", "numpy"))), "nothing was shared, so nothing was tested"


@pytest.mark.slow
def test_all_public_texts_share_no_sentence_with_private_ones():
    public = public_texts()
    assert len(public) > 10_000 and not shared(public)


def test_paragraphs_are_prose_without_markup():
    text = """Compute the norm.

    Parameters
    ----------
    x : array
        The input must be a real array of :math:`n` numbers and so on and on for a long line of text.
    y : array
        Something that ``callers`` pass to :func:`numpy.dot`, as *many* times as they like, in the usual order.

    >>> norm(3)
    """
    assert list(paragraphs(text)) == [
        "Something that callers pass to numpy.dot, as many times as they like, in the usual order."
    ]


def test_a_package_that_is_not_installed_has_no_text_and_none_is_imported():
    import subprocess
    import sys

    assert list(docstrings("no_such_package_anywhere")) == []
    probe = (
        "from dpsynth.text.backends.embedded_text import documents\nimport sys\n"
        "documents(('pyarrow',)); print('pyarrow' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert re.fullmatch(r"False\s*", told)


def test_docstrings_come_in_the_order_of_a_walk_through_everything():
    """The models' fingerprints hang on it: bodies of every kind of statement, and calls that stand alone."""
    tree = ast.parse(
        "def a():\n  'one'\n  try:\n    def b(): 'two'\n  except E:\n    class C: 'three'\n"
        "  finally:\n    add_newdoc('x', 'y')\nmatch z:\n  case 1:\n    def d(): 'four'\n"
        "if q:\n  with r:\n    async def e(): 'five'\nelse:\n  add_newdoc('u', 'v')\n"
    )
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Call)
    found, whole = ([node for node in walk(tree) if isinstance(node, kinds)] for walk in (_statements, ast.walk))
    assert found == whole and len(found) == 8
