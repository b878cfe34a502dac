r"""Public text that is on the machine already: Python's own help topics and the docstrings of installed packages.

Sources are parsed, never imported, in the order of their paths, so one set of installed versions gives one text. Only
paragraphs of prose are kept: no signatures, tables, doctests, formulas or lists of references.

>>> paragraphs = documents(("python",))
>>> len(paragraphs) > 300, all("\n" not in text for text in paragraphs)
(True, True)

Not guaranteed: the same text with other versions of the packages; the fingerprint of a model says which it was. It is
technical English of one kind and about 3 million characters, not a sample of how people write.
"""

from __future__ import annotations

import ast
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from platform import python_version
from typing import NamedTuple, final

DISTRIBUTIONS = {
    "numpy": "numpy",
    "pandas": "pandas",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "sqlalchemy": "SQLAlchemy",
    "statsmodels": "statsmodels",
}
PUBLIC = ("python", *DISTRIBUTIONS)
"""What the embedded models learn from, in this order; `python` is `pydoc_data.topics`. Never scipy: it is the private
text of the demo."""

SMALL = ("python", "numpy")
"""Enough for an n-gram model: about a second to read."""

SHORTEST, LONGEST = 80, 1200
"""Characters of a paragraph that is kept."""

_NOT_PROSE = re.compile(r">>>|::|\.\. |:math:|\\\\|\\[a-z]+\{|[=<>|*_+-]{3,}|^\[\d+\]|https?://|\bdoi\b|^(\*|-|\d+\.) ")
_ROLE = re.compile(r":[a-z:]+:`~?([^`<]*)(?:<[^`>]*>)?`")
_MARK = re.compile(r"``?([^`]*)``?_*|\*\*?(\w[^*]*)\*\*?")
_NOT_OURS = {"tests", "test", "testing", "_vendor", "externals", "_external", "vendored"}


@final
class Docstring(NamedTuple):
    """Where a docstring stood: dotted module, name of what it documents, its text."""

    module: str
    name: str
    text: str


@cache
def documents(packages: Sequence[str] = PUBLIC) -> tuple[str, ...]:
    """Paragraphs of prose, each once, in order; packages that are not installed are left out.

    Args:
        packages: names as for `import`; a tuple, since answers are kept.
    """
    found: dict[str, None] = {}
    for package in packages:
        texts = _topics() if package == "python" else (d.text for d in docstrings(package))
        for text in texts:
            found.update(dict.fromkeys(paragraphs(text)))
    return tuple(found)


def versions(packages: Sequence[str] = PUBLIC) -> dict[str, str]:
    """Which text it is: the version of each package that is installed, without reading it."""
    told = {"python": python_version()}
    for package in packages:
        if package in DISTRIBUTIONS:
            with suppress(PackageNotFoundError):
                told[package] = version(DISTRIBUTIONS[package])
    return told


def paragraphs(text: str) -> Iterator[str]:
    """The paragraphs of prose in a docstring, markup taken off, on one line each."""
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.split("\n") if line.strip()]
        for _, run in groupby(lines, key=lambda line: len(line) - len(line.lstrip())):
            one = " ".join(" ".join(run).split())
            if not _NOT_PROSE.search(one):
                plain = _MARK.sub(lambda m: m.group(1) or m.group(2) or "", _ROLE.sub(r"\1", one))
                if _is_prose(plain):
                    yield plain


def _is_prose(text: str) -> bool:
    letters = sum(character.isalpha() or character == " " for character in text)
    return SHORTEST <= len(text) <= LONGEST and letters >= 0.85 * len(text) and text[0].isupper() and text[-1] in ".:"


def docstrings(package: str) -> Iterator[Docstring]:
    """All docstrings in a package's sources; none if it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return
    root = Path(spec.submodule_search_locations[0])
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root).with_suffix("")
        if not _NOT_OURS.isdisjoint(inside.parts) or inside.name.startswith(("test_", "conftest")):
            continue
        yield from _of_source(".".join((package, *inside.parts)).removesuffix(".__init__"), path)


def _of_source(module: str, path: Path) -> Iterator[Docstring]:
    """Of functions, classes and modules, and the texts that `add_newdoc` hangs onto compiled ones."""
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError:
        return
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield Docstring(module, getattr(node, "name", ""), text)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("add_newdoc"):
            words = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
            if len(words) >= 2:
                yield Docstring(module, words[-2], words[-1])


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Statements, and calls that are one, in the order of `ast.walk`, which looks into every expression too."""
    waiting = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        if isinstance(node, ast.Expr):
            waiting.extend([node.value] if isinstance(node.value, ast.Call) else [])
        elif not isinstance(node, ast.expr):
            inside = (ast.stmt, ast.ExceptHandler, ast.match_case)
            waiting.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, inside))


def _topics() -> Iterator[str]:
    from pydoc_data.topics import topics

    for name in sorted(topics):
        yield topics[name]
