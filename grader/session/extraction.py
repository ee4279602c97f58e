"""Takes out of a cell what can run when the cell itself can't: its imports, definitions and
constants, found in the syntax tree. Pure functions; nothing runs here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from grader.notebook.plain import normalise, parsed

PieceKind = Literal["import", "definition", "constant"]

# Functions that make a value out of constants, at once and with no side effect.
_PURE_BUILTINS = {
    "abs", "bool", "bytes", "complex", "dict", "float", "frozenset", "int", "len", "list", "max",
    "min", "object", "pow", "range", "reversed", "round", "set", "sorted", "str", "sum", "tuple",
    "zip", "enumerate", "namedtuple", "partial", "Path", "defaultdict", "OrderedDict", "Counter",
    "deque", "TypeVar",
}  # fmt: skip
_PURE_METHODS = {"lower", "upper", "split", "join", "format", "strip", "keys", "values", "items",
                 "copy", "reshape", "astype", "is_available"}  # fmt: skip
# Modules of which any function may be called, except those that read, write or take long.
_PURE_MODULES = {
    "np", "numpy", "math", "cmath", "collections", "functools", "itertools", "operator", "typing",
    "string", "torch", "pathlib", "decimal", "fractions",
}  # fmt: skip
_IMPURE = re.compile(r"load|save|from|open|read|write|fetch|hub|compile|manual_seed|set_num|mem")
_SPLIT_AT = re.compile(r"[^\s#)\]}]")
_CARRIES_ON = re.compile(r"(else|elif|except|finally|case)\b")


@dataclass(frozen=True)
class Piece:
    """One top-level statement, to run by itself.

    source : preceded by as many comment lines as keep its line numbers
    names : what it binds at the top level ("*" for a star import)
    line, end_line : 1-based, within the cell
    """

    source: str
    names: tuple[str, ...]
    line: int
    end_line: int
    kind: PieceKind


def extract(source: str, *, from_line: int = 1) -> list[Piece]:
    """Return the pieces that end at from_line or later, in order.

    source : a normalised cell, or whatever a student left: of a cell that does not parse, every
        block that parses alone is used; of a class that does not parse, its sound methods
    """
    tree = parsed(source)
    if tree is None:
        source = salvaged(source)
        tree = parsed(source)
        if tree is None:
            return []
    return [
        piece
        for node in tree.body
        if (piece := _piece(node, source)) is not None and piece.end_line >= from_line
    ]


def salvaged(source: str) -> str:
    """Return source, as many lines, in which every block that does not parse is a comment."""
    lines = source.split("\n")
    kept: list[str] = []
    for block in _blocks(lines, indent=0):
        kept.extend(block if parsed("\n".join(block)) is not None else _repaired(block))
    return "\n".join(kept)


# --- cells that do not parse ------------------------------------------------------------


def _blocks(lines: Sequence[str], *, indent: int) -> Iterable[list[str]]:
    """Yield runs of lines: each the shortest that parses, else one block alone.

    A block begins at a line of the given indentation which carries nothing on. Brackets and
    strings may hold such lines, so blocks that do not parse alone are tried with the next ones.
    """
    starts = _block_starts(lines, indent)
    bounds = [*starts, len(lines)]
    if bounds[0] > 0:
        yield list(lines[: bounds[0]])
    i = 0
    while i < len(starts):
        taken = next(
            (
                j
                # 40 blocks: a table of numbers that somebody wrote without indentation.
                for j in range(i + 1, min(i + 40, len(starts)) + 1)
                if _parses(lines[bounds[i] : bounds[j]], indent)
            ),
            i + 1,
        )
        yield list(lines[bounds[i] : bounds[taken]])
        i = taken


def _block_starts(lines: Sequence[str], indent: int) -> list[int]:
    starts = []
    decorated = False
    for number, line in enumerate(lines):
        body = line[indent:]
        if line[:indent].strip() or not _SPLIT_AT.match(body) or _CARRIES_ON.match(body):
            continue
        if not decorated:
            starts.append(number)
        decorated = body.startswith("@")
    return starts or [0]


def _parses(lines: Sequence[str], indent: int) -> bool:
    text = "\n".join(lines)
    return parsed(f"class _:\n{text}" if indent else text) is not None


def _repaired(block: list[str]) -> list[str]:
    """Return a broken block as comments, but for the sound methods of a class."""
    text = normalise("\n".join(block)).source
    if parsed(text) is not None:
        # The block's own magics: its cell's brackets had hidden them.
        return text.split("\n")
    head = next((i for i, line in enumerate(block) if line.startswith("class ")), None)
    if head is None:
        return _commented(block)
    body = block[head + 1 :]
    indent = next((len(li) - len(li.lstrip()) for li in body if li.strip()), 0)
    if not indent or parsed(block[head] + " pass") is None:
        return _commented(block)
    kept: list[str] = []
    for method in _blocks(body, indent=indent):
        kept.extend(method if _parses(method, indent) else _commented(method))
    repaired = [*block[:head], block[head] + " pass", *kept]
    if any(line.strip() and not line.lstrip().startswith("#") for line in kept):
        repaired[head] = block[head]
    return repaired if parsed("\n".join(repaired)) is not None else _commented(block)


def _commented(lines: Iterable[str]) -> list[str]:
    return [f"# {line}" if line.strip() else line for line in lines]


# --- statements -------------------------------------------------------------------------


def _piece(node: ast.stmt, source: str) -> Piece | None:
    kind = _kind(node)
    if kind is None:
        return None
    line = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    assert node.end_lineno is not None
    if line < node.lineno:
        text = "\n".join(source.split("\n")[line - 1 : node.end_lineno])
    else:
        text = ast.get_source_segment(source, node) or ast.unparse(node)
    padding = "#\n" * (line - 1)  # comments: IPython drops blank lines at a cell's start
    return Piece(padding + text, tuple(_names(node)), line, node.end_lineno, kind)


def _kind(node: ast.stmt) -> PieceKind | None:
    """Say what a statement is; None for one that does not run in an extraction."""
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
    elif isinstance(node, ast.Try):
        return _kind_of_all([*node.body, *(s for h in node.handlers for s in h.body), *node.orelse])
    elif isinstance(node, ast.If) and _is_constant(node.test) and "__main__" not in ast.dump(node):
        return _kind_of_all([*node.body, *node.orelse])
    return None


def _kind_of_all(statements: Sequence[ast.stmt]) -> PieceKind | None:
    """A compound statement counts when all of it does, apart from `pass` and a print."""
    kinds = [_kind(statement) for statement in statements if not _is_idle(statement)]
    return kinds[0] if kinds and None not in kinds else None


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
    """A name, or names; also `Network.predict = predict`, the way a method is patched in.

    Not `np.all = ...` or `builtins.len = ...`: what replaced a library's function may be why the
    cell did not end.
    """
    if isinstance(node, ast.Tuple | ast.List):
        return all(map(_is_target, node.elts))
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id[:1].isupper()
    return isinstance(node, ast.Name)


def _is_constant(node: ast.expr) -> bool:
    """True for what depends on names and literals alone and takes no time to compute."""
    if isinstance(node, ast.Constant | ast.Name | ast.Lambda):
        return True
    if isinstance(node, ast.Call):
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        return _is_pure_function(node.func) and all(map(_is_constant, arguments))
    if isinstance(
        node,
        ast.Attribute | ast.Starred | ast.UnaryOp | ast.BinOp | ast.BoolOp | ast.Compare
        | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.Subscript | ast.Slice | ast.IfExp
        | ast.JoinedStr | ast.FormattedValue,
    ):  # fmt: skip
        children = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
        return all(map(_is_constant, children))
    return False


def _is_pure_function(node: ast.expr) -> bool:
    if isinstance(node, ast.Name):
        return node.id in _PURE_BUILTINS
    if not isinstance(node, ast.Attribute) or _IMPURE.search(node.attr):
        return False
    root: ast.expr = node
    while isinstance(root, ast.Attribute):
        root = root.value
    if isinstance(root, ast.Name) and root.id in _PURE_MODULES:
        return True
    return node.attr in _PURE_METHODS and _is_constant(node.value)


def _extends_sys_path(node: ast.expr) -> bool:
    """`sys.path.append("src")`: the imports after it need it."""
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"sys.path.append", "sys.path.insert"}
        and all(map(_is_constant, node.args))
    )


def _names(node: ast.AST) -> Iterable[str]:
    """Yield what a piece binds at the top level."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name.split(".")[0]
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
    elif isinstance(node, ast.If | ast.Try):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ExceptHandler):
                for statement in child.body:
                    yield from _names(statement)
            else:
                yield from _names(child)
