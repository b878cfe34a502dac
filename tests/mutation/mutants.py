"""Small faults, one at a time: every place in a source file where one could be made, and the tree with it made.

Operators are those of mutmut and PIT: comparisons and their boundaries, connectives, negation, arithmetic, constants,
dropped statements (a `raise`, a call, an assignment to an attribute or item, `continue`, `break`), `return None`, and
a member dropped from a tuple, list, set or dict. Left alone: docstrings, annotations, prose (texts with a space in
them, which decide nothing), `__all__`, `__repr__`, `__str__`, `__dir__`, imports and `TYPE_CHECKING`.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr, ast.LShift: ast.RShift,
}  # fmt: skip
_SILENT = {"__repr__", "__str__", "__dir__"}


@dataclass(frozen=True)
class Mutant:
    """One fault: `where` counts the nodes of the walk, `which` the faults of that node."""

    path: str
    line: int
    function: str
    kind: str
    where: int
    which: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.function or '<module>'}: {self.kind}"


def mutants(root: Path, path: Path) -> list[Mutant]:
    """All faults of one file."""
    tree = ast.parse(path.read_text("utf-8"))
    found = []
    for where, (node, function) in enumerate(_places(tree)):
        for which, (kind, _) in enumerate(_faults(node)):
            found.append(Mutant(str(path.relative_to(root)), getattr(node, "lineno", 0), function, kind, where, which))
    return found


def mutated(root: Path, mutant: Mutant) -> ast.Module:
    """The file's tree with the fault in it."""
    tree = ast.parse((root / mutant.path).read_text("utf-8"))
    node, _ = list(_places(tree))[mutant.where]
    _, new = list(_faults(node))[mutant.which]
    swapped = _Swap(node, new).visit(tree)
    return ast.fix_missing_locations(swapped)


class _Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self.old:
            return ast.copy_location(self.new, node)
        return self.generic_visit(node)


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    """Nodes in order with the function that holds them; what is left alone is not entered."""
    stack: list[tuple[ast.AST, str]] = [(tree, "")]
    while stack:
        node, function = stack.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.name in _SILENT:
                continue
            function = f"{node.lineno}"
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            continue
        yield node, function
        skipped = _left_alone(node)
        children = [child for child in ast.iter_child_nodes(node) if child not in skipped]
        stack.extend((child, function) for child in reversed(children))


def _left_alone(node: ast.AST) -> list[ast.AST]:
    """Children that are words: annotations, docstrings, the text of a refusal."""
    if isinstance(node, ast.AnnAssign):
        return [node.annotation]
    if isinstance(node, ast.arg):
        return [node.annotation] if node.annotation else []
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [*([node.returns] if node.returns else []), *_docstring(node), *node.decorator_list]
    if isinstance(node, (ast.Module, ast.ClassDef)):
        bare = [item for item in node.body if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant)]
        return [*bare, *(node.decorator_list if isinstance(node, ast.ClassDef) else [])]
    if isinstance(node, ast.Call) and ast.unparse(node.func) in {"cast", "TypeVar"}:
        return list(node.args)
    if isinstance(node, ast.Raise):
        return [node.cause] if node.cause else []
    if isinstance(node, ast.Call) and _is_refusal(node):
        return [arg for arg in node.args if isinstance(arg, (ast.Constant, ast.JoinedStr)) and " " in ast.unparse(arg)]
    return []


def _is_refusal(node: ast.Call) -> bool:
    name = ast.unparse(node.func).rpartition(".")[2]
    return name.endswith(("Error", "Refusal", "Refused", "Tampered", "_bad", "_refuse", "_malformed", "_refused"))


def _docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.AST]:
    return [node.body[0]] if ast.get_docstring(node) is not None else []


def _faults(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    match node:
        case ast.Compare(ops=[op, *_]):
            for other in _COMPARISONS[type(op)]:
                new = copy.deepcopy(node)
                new.ops[0] = other()
                yield f"{type(op).__name__} -> {other.__name__}", new
        case ast.BoolOp(op=op, values=values):
            other = ast.Or if isinstance(op, ast.And) else ast.And
            yield f"{type(op).__name__} -> {other.__name__}", ast.BoolOp(other(), copy.deepcopy(values))
            for at in range(len(values)):
                rest = copy.deepcopy(values[:at] + values[at + 1 :])
                yield f"operand {at} dropped", rest[0] if len(rest) == 1 else ast.BoolOp(op, rest)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield "not dropped", copy.deepcopy(operand)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "minus dropped", copy.deepcopy(operand)
        case ast.BinOp(op=op, left=left, right=right) if type(op) in _ARITHMETIC:
            other = _ARITHMETIC[type(op)]
            yield (
                f"{type(op).__name__} -> {other.__name__}",
                ast.BinOp(copy.deepcopy(left), other(), copy.deepcopy(right)),
            )
        case ast.If(test=test) | ast.IfExp(test=test):
            new = copy.deepcopy(node)
            new.test = ast.UnaryOp(ast.Not(), copy.deepcopy(test))
            yield "condition negated", new
        case ast.Constant(value=bool(value)):
            yield f"{value} -> {not value}", ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield f"{value} -> {value + 1}", ast.Constant(value + 1)
        case ast.Constant(value=str(value)) if value and " " not in value:
            yield f"text {value[:20]!r} altered", ast.Constant(f"XX{value}")
        case ast.Constant(value=bytes(value)) if value:
            yield "bytes altered", ast.Constant(b"XX" + value)
        case ast.Raise():
            yield "raise dropped", ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield "call dropped", ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]) | ast.AugAssign():
            yield "assignment dropped", ast.Pass()
        case ast.Continue() | ast.Break():
            yield f"{type(node).__name__.lower()} dropped", ast.Pass()
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield "returns None", ast.Return(ast.Constant(None))
        case ast.Tuple(elts=items, ctx=ast.Load()) | ast.List(elts=items, ctx=ast.Load()) | ast.Set(elts=items):
            if len(items) > 1:
                new = copy.deepcopy(node)
                new.elts.pop()
                yield "last member dropped", new
        case ast.Dict(keys=keys) if len(keys) > 1:
            new = copy.deepcopy(node)
            new.keys.pop()
            new.values.pop()
            yield "last field dropped", new


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
