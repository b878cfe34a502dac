"""Which tests are tried on a fault, and in what order: those most likely to notice it first, as many as the time holds.

A fault in a function is tried with tests that enter it. A fault in a module's own body (a table, a limit, a field) is
tried first with tests that enter functions which read the name it is bound to, or a name made from that one, wherever
they are, and with those in files that name the module, which may read it themselves; then with tests that enter any
function of the module. Within these, tests in files that name the module go first, and the cases of one parametrised
test take turns with those of others: a hundred cases of one test notice much the same faults, and would use up the
time. Where many tests enter one function, as all bad bundles enter the checks, those go first whose file or id names
what the code at fault names: a code of a refusal, a field, a limit; a word that few test files know weighs more. Of
equals, those that enter the fewest functions are about this one.
"""

from __future__ import annotations

import ast
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.mutation.mutants import Mutant

Touched = dict[str, tuple[float, list[str]]]


@dataclass(frozen=True)
class _Names:
    """Of one source file: what its functions and its module-level statements read."""

    functions: dict[str, frozenset[str]]
    """Qualified name of each function: the names in it."""
    bound: tuple[tuple[frozenset[str], frozenset[str]], ...]
    """Of each module-level assignment: the names it binds and those it reads."""


def chosen(root: Path, fault: Mutant, files: tuple[Path, ...], touched: Touched, cap: float) -> dict[str, float]:
    """Tests in the order to run them, with their CPU seconds; together at most `cap`."""
    module = fault.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    if fault.function:
        tiers = [{f"{fault.path}:{_function_at(root / fault.path, int(fault.function))}"}]
    else:
        everything = {f"{fault.path}:{name}" for name in _names(root / fault.path).functions}
        tiers = [_readers(root, files, _bound_by(root / fault.path, fault.line)), everything]
    suite = "tests/release/" if fault.path.startswith("dpsynth") else "tests/accounting/ledger/"
    kept: dict[str, float] = {}
    for tier in [*tiers, None]:  # the last: a table that is read and not called, or what only a shared fixture runs
        if tier is None and kept:
            break
        fitting = {
            name: seconds
            for name, (seconds, places) in touched.items()
            if (tier is None and name.startswith(suite))
            or (tier is not None and not tier.isdisjoint(places))
            or (not fault.function and module in _text(root / name.partition("::")[0]))
        }
        for name in _in_turns(root, fitting, touched, module, _named(root, fault)):
            if name not in kept and sum(kept.values()) + fitting[name] <= cap:
                kept[name] = fitting[name]
    return kept


def _in_turns(
    root: Path, fitting: dict[str, float], touched: Touched, module: str, named: dict[str, float]
) -> list[str]:
    turn: dict[str, int] = {}
    seen: dict[str, int] = defaultdict(int)
    for name in sorted(fitting, key=lambda one: fitting[one]):
        turn[name] = seen[name.partition("[")[0]]
        seen[name.partition("[")[0]] += 1

    files = {name.partition("::")[0] for name in touched}
    known = Counter(word for file in files for word in _spelt(root / file))

    rare = {word: weight * math.log(len(files) / max(known[word], 1)) for word, weight in named.items()}

    def near(name: str) -> float:
        """Rare words that the code at fault shares with the test's file, and ten times those with its id."""
        file, _, rest = name.partition("::")
        told = set(re.findall(r"\w+", rest))
        return sum(weight * ((word in _spelt(root / file)) + 10 * (word in told)) for word, weight in rare.items())

    def place(name: str) -> tuple[bool, bool, int, float, int]:
        file = name.partition("::")[0]
        own = file.endswith(f"/test_{module.rpartition('.')[2]}.py") or module in _text(root / file)
        return fitting[name] > 3, not own, turn[name], -round(near(name), 1), len(touched[name][1])

    by_turn = sorted(fitting, key=place)
    # Half of the time for those in turn, half for those that name the same, whatever their turn.
    by_name = sorted(fitting, key=lambda name: (fitting[name] > 3, -round(near(name), 1), turn[name]))
    return list(dict.fromkeys(name for pair in zip(by_name, by_turn, strict=True) for name in pair))


def _named(root: Path, fault: Mutant) -> dict[str, float]:
    """Words of the function at fault, or of the module's statement; those on the line itself weigh four times."""
    lines = _text(root / fault.path).splitlines()
    around = [node for node in ast.walk(_tree(root / fault.path)) if isinstance(node, ast.stmt)
              and node.lineno <= fault.line <= (node.end_lineno or node.lineno)]  # fmt: skip
    functions = [node for node in around if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    whole = (functions or around or [None])[-1]
    first, last = (whole.lineno, whole.end_lineno or whole.lineno) if whole else (fault.line, fault.line)
    inner = around[-1] if around else None
    end = min(inner.end_lineno or fault.line, fault.line + 3) if inner else fault.line
    weights = dict.fromkeys(re.findall(r"\w{3,}", "\n".join(lines[first - 1 : last])), 1.0)
    return weights | dict.fromkeys(re.findall(r"\w{3,}", "\n".join(lines[fault.line - 1 : end])), 4.0)


@cache
def _spelt(path: Path) -> frozenset[str]:
    return frozenset(re.findall(r"\w{3,}", _text(path)))


@cache
def _text(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path))


def _functions(node: ast.AST, above: str = "") -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Each function under a node by its qualified name, as code objects have it."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{above}{one.name}", one
            yield from _functions(one, f"{above}{one.name}.<locals>.")
        else:
            yield from _functions(one, f"{above}{one.name}." if isinstance(one, ast.ClassDef) else above)


def _function_at(path: Path, line: int) -> str:
    """The name of the function whose `def` is on this line."""
    return next(name for name, node in _functions(_tree(path)) if node.lineno == line)


def _words(node: ast.AST) -> frozenset[str]:
    found = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            found.add(one.id)
        elif isinstance(one, ast.Attribute):
            found.add(one.attr)
        elif isinstance(one, ast.keyword) and one.arg:
            found.add(one.arg)
    return frozenset(found)


def _targets(node: ast.stmt) -> frozenset[str]:
    match node:
        case ast.Assign(targets=targets):
            return frozenset(one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.ClassDef(name=name):
            return frozenset({name})
    return frozenset()


@cache
def _names(path: Path) -> _Names:
    tree = _tree(path)
    functions = {name: _words(node) for name, node in _functions(tree)}
    bound = tuple((_targets(node), _words(node)) for node in tree.body if not isinstance(node, ast.ClassDef))
    return _Names(functions, bound)


def _bound_by(path: Path, line: int) -> frozenset[str]:
    """The name that holds what is on this line: a field's, where it is one of a class."""
    body = _tree(path).body
    names: frozenset[str] = frozenset()
    while body:
        here = [node for node in body if node.lineno <= line <= (node.end_lineno or node.lineno)]
        if not here:
            break
        names = _targets(here[0]) or names
        body = here[0].body if isinstance(here[0], ast.ClassDef) else []
    return names


def _readers(root: Path, files: tuple[Path, ...], names: frozenset[str]) -> set[str]:
    if not names:
        return set()
    grown = True
    while grown:
        more = {
            made for path in files for targets, read in _names(path).bound if not names.isdisjoint(read)
            for made in targets
        } - names  # fmt: skip
        names |= more
        grown = bool(more)
    return {
        f"{path.relative_to(root)}:{name}"
        for path in files
        for name, read in _names(path).functions.items()
        if not names.isdisjoint(read)
    }
