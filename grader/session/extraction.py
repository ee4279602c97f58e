"""Extracts from a cell that can't run the parts that can: imports, definitions and constants.

They are found in the syntax tree. All functions here are pure; no code of the cell runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from grader.notebook.definitions import dotted, first_line
from grader.notebook.plain import parsed
from grader.notebook.salvage import salvaged

PieceKind = Literal["import", "definition", "constant"]

# Functions that make a value from constants, fast and without side effects.
_PURE_BUILTINS = {
    "abs", "bool", "bytes", "complex", "dict", "float", "frozenset", "int", "len", "list", "max",
    "min", "object", "pow", "range", "reversed", "round", "set", "sorted", "str", "sum", "tuple",
    "zip", "enumerate", "namedtuple", "partial", "Path", "defaultdict", "OrderedDict", "Counter",
    "deque", "TypeVar",
}  # fmt: skip
_PURE_METHODS = {"lower", "upper", "split", "join", "format", "strip", "keys", "values", "items",
                 "copy", "reshape", "astype", "is_available"}  # fmt: skip
# Any function of these modules may be called, except those that match _IMPURE.
_PURE_MODULES = {
    "np", "numpy", "math", "cmath", "collections", "functools", "itertools", "operator", "typing",
    "string", "torch", "pathlib", "decimal", "fractions",
}  # fmt: skip
_IMPURE = re.compile(r"load|save|from|open|read|write|fetch|hub|compile|manual_seed|set_num|mem")
MAX_GROUP = 200
"""How many pieces run together."""


@dataclass(frozen=True)
class Piece:
    """One top-level statement, to run by itself.

    text : its lines; only its own part of a line that it shares
    names : the names that it binds at the top level ("*" for a star import)
    line, end_line : 1-based, within the cell
    calm : whether it calls nothing when it runs: it can neither hang nor end the process
    """

    text: str
    names: tuple[str, ...]
    line: int
    end_line: int
    kind: PieceKind
    calm: bool = False

    @property
    def source(self) -> str:
        """The text after comment lines, so that its line numbers stay the same."""
        return joined([self])


def extract(source: str, *, from_line: int = 1) -> list[Piece]:
    """Return the pieces that end at from_line or later, in order.

    source : a normalised cell; it need not parse: then the salvaged part counts
    """
    source = salvaged(source)
    tree = parsed(source)
    if tree is None:
        return []
    lines = source.split("\n")
    ends = [0, *(node.end_lineno or node.lineno for node in tree.body)]
    starts = [*(first_line(node) for node in tree.body), len(lines) + 1]
    pieces = []
    for number, node in enumerate(tree.body):
        kind = _kind(node) if (node.end_lineno or node.lineno) >= from_line else None
        if kind is not None:
            shares = ends[number] >= starts[number] or starts[number + 1] <= ends[number + 1]
            pieces.append(_piece(node, kind, lines, shares=shares))
    return pieces


def grouped(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Return the pieces in groups: neighbours that are calm form one group, to run together."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        last = groups[-1] if groups else None
        if (
            last is not None
            and piece.calm
            and last[-1].calm
            and piece.line > last[-1].end_line
            and len(last) < MAX_GROUP
        ):
            last.append(piece)
        else:
            groups.append([piece])
    return groups


def joined(pieces: Sequence[Piece]) -> str:
    """Return the source of these pieces, each on the same lines as in its cell."""
    parts = []
    line = 1
    for piece in pieces:
        parts.append("#\n" * (piece.line - line))  # IPython drops blank lines at a cell's start
        parts.append(f"{piece.text}\n")
        line = piece.end_line + 1
    return "".join(parts).removesuffix("\n")


# --- statements -------------------------------------------------------------------------

# No function here recurses over the tree, except for nested brackets, which Python limits to 200.


def _piece(node: ast.stmt, kind: PieceKind, lines: Sequence[str], *, shares: bool) -> Piece:
    """shares : whether another statement stands on its first or last line"""
    first, last = first_line(node), node.end_lineno or node.lineno
    own = list(lines[first - 1 : last])
    if shares:
        assert node.end_col_offset is not None
        # Columns count bytes. From the end, since both may lie on one line.
        own[-1] = own[-1].encode()[: node.end_col_offset].decode("utf-8", "replace")
        if first == node.lineno:
            own[0] = own[0].encode()[node.col_offset :].decode("utf-8", "replace")
    names = tuple(_names(node))
    return Piece("\n".join(own), names, first, last, kind, calm=not shares and _is_calm(node))


def _kind(node: ast.stmt) -> PieceKind | None:
    """Return the kind of a statement; None if it does not run in an extraction.

    A compound statement runs if all its parts do, apart from `pass` and a print.
    """
    first: PieceKind | None = None
    todo = [node]
    while todo:
        statement = todo.pop()
        if statement is not node and _is_idle(statement):
            continue
        if isinstance(statement, ast.Try):
            handled = [inner for handler in statement.handlers for inner in handler.body]
            todo += reversed([*statement.body, *handled, *statement.orelse])
        elif isinstance(statement, ast.If):
            if _asks_for_main(statement.test) or not _is_constant(statement.test):
                return None
            todo += reversed([*statement.body, *statement.orelse])
        else:
            kind = _simple_kind(statement)
            if kind is None:
                return None
            first = first or kind
    return first


def _simple_kind(node: ast.stmt) -> PieceKind | None:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return "import"
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return "definition"
    if isinstance(node, ast.Assign):
        if all(map(_is_target, node.targets)) and _is_constant(node.value):
            return "definition" if isinstance(node.value, ast.Lambda) else "constant"
    elif isinstance(node, ast.AnnAssign):
        if node.value is not None and _is_target(node.target) and _is_constant(node.value):
            return "constant"
    elif isinstance(node, ast.Expr):
        return "import" if _extends_sys_path(node.value) else None
    return None


def _asks_for_main(test: ast.expr) -> bool:
    return any(isinstance(n, ast.Constant) and n.value == "__main__" for n in ast.walk(test))


def _is_calm(node: ast.stmt) -> bool:
    """Return True for a function with plain defaults, and for a name that gets a plain value."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        a = node.args
        asked = [*a.defaults, *(d for d in a.kw_defaults if d is not None)]
        annotated = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
        asked += [arg.annotation for arg in annotated if arg is not None and arg.annotation]
        asked += [node.returns] if node.returns else []
        return not node.decorator_list and all(map(_is_plain, asked))
    if isinstance(node, ast.Assign):
        return all(isinstance(t, ast.Name) for t in node.targets) and _is_plain(node.value)
    return False


def _is_plain(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant | ast.Name | ast.Lambda)


def _is_idle(node: ast.stmt) -> bool:
    if isinstance(node, ast.Pass):
        return True
    if not isinstance(node, ast.Expr):
        return False
    value = node.value
    return isinstance(value, ast.Constant) or (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id == "print"
    )


def _is_target(node: ast.expr) -> bool:
    """Accept names, and `Network.predict = predict`, which patches a method.

    Not `np.all = ...` or `builtins.len = ...`: a replaced library function may be the reason why
    the cell did not end.
    """
    if isinstance(node, ast.Tuple | ast.List):
        return all(map(_is_target, node.elts))
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id[:1].isupper()
    return isinstance(node, ast.Name)


def _is_constant(node: ast.expr) -> bool:
    """Return whether an expression uses only names, literals and fast pure functions."""
    todo: list[ast.AST] = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Constant | ast.Name | ast.Lambda):
            continue
        if isinstance(part, ast.Call):
            owner = _pure_owner(part.func)
            if owner is None:
                return False
            todo += [*owner, *part.args, *(keyword.value for keyword in part.keywords)]
        elif isinstance(
            part,
            ast.Attribute | ast.Starred | ast.UnaryOp | ast.BinOp | ast.BoolOp | ast.Compare
            | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Subscript | ast.Slice | ast.IfExp
            | ast.JoinedStr | ast.FormattedValue,
        ):  # fmt: skip
            todo += [c for c in ast.iter_child_nodes(part) if isinstance(c, ast.expr)]
        else:
            return False
    return True


def _pure_owner(node: ast.expr) -> list[ast.expr] | None:
    """Return [owner] for a pure method, [] for another pure function; None if it is not pure."""
    if isinstance(node, ast.Name):
        return [] if node.id in _PURE_BUILTINS else None
    if not isinstance(node, ast.Attribute) or _IMPURE.search(node.attr):
        return None
    root: ast.expr = node
    while isinstance(root, ast.Attribute):
        root = root.value
    if isinstance(root, ast.Name) and root.id in _PURE_MODULES:
        return []
    return [node.value] if node.attr in _PURE_METHODS else None


def _extends_sys_path(node: ast.expr) -> bool:
    """Accept `sys.path.append("src")`: later imports need it."""
    return (
        isinstance(node, ast.Call)
        and dotted(node.func) in {"sys.path.append", "sys.path.insert"}
        and all(map(_is_constant, node.args))
    )


def _names(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement binds at the top level."""
    todo: list[ast.AST] = [node]
    while todo:
        part = todo.pop()
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield part.name
        elif isinstance(part, ast.Import | ast.ImportFrom):
            for alias in part.names:
                yield alias.asname or alias.name.split(".")[0]
        elif isinstance(part, ast.Assign | ast.AnnAssign):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            for target in targets:
                yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
        elif isinstance(part, ast.If | ast.Try | ast.ExceptHandler):
            inside = [c for c in ast.iter_child_nodes(part) if not isinstance(c, ast.expr)]
            todo += reversed(inside)
