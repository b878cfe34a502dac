"""Formulas as MathML that the browser draws itself: no script and no font from anywhere else.

docutils converts a part of LaTeX; a formula beyond it is a warning, and so an error of the build, at its place.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

LOG = logging.getLogger(__name__)
SAME = {r"\dots": r"\ldots", r"\lvert": "|", r"\rvert": "|", r"\Pr": r"\operatorname{Pr}"}


def _mathml(node: nodes.Node, tex: str, *, block: bool) -> str:
    for name, other in SAME.items():
        tex = re.sub(re.escape(name) + r"(?![a-zA-Z])", lambda _, other=other: other, tex)
    try:
        return str(tex2mathml(tex, as_block=block))
    except MathError as error:
        LOG.warning("formula: %s", error, location=node)
        return f"<code>{tex}</code>"


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(_mathml(node, node.astext(), block=False))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    tex, number = node.astext(), ""
    if tagged := re.search(r"\\tag\{(\w+)\}", tex):
        tex, number = tex.replace(tagged[0], ""), f'<span class="number">({tagged[1]})</span>'
    self.body.append(f'<div class="formula" tabindex="0">{_mathml(node, tex, block=True)}{number}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Register as Sphinx's renderer of formulas."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
