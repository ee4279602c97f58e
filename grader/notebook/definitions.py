"""What a notebook defines: functions, methods and classes by qualified name.

Cells that don't parse count with the definitions that do. Nothing is run."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.notebook import plain
from grader.notebook.plain import normalise
from grader.notebook.salvage import salvaged
from grader.records import Cell, Definition, Notebook
from grader.text import encodable

MAX_SOURCE_CHARS = 256 * 1024
"""Size of a cell to parse. A syntax tree takes a few hundred times its source's memory."""


@dataclass(frozen=True)
class Span:
    """The place of a definition in its cell; lines from 1, both ends included.

    line : of the `def` or `class` itself; start : of its first decorator
    parent : the kind of its enclosing definition, "function", "class" or "" at the top level
    extends : True for a class that inherits from the one of the same name before it
    """

    name: str
    kind: str
    start: int
    line: int
    end: int
    parent: str = ""
    extends: bool = False

    def __contains__(self, line: int) -> bool:
        return self.start <= line <= self.end


@dataclass(frozen=True)
class Assigned:
    """A name that module-level code binds without `def` or `class`.

    value : the expression's node; None for an import
    """

    name: str
    line: int
    end: int
    value: ast.expr | None


# --- source that Python can parse -----------------------------------------------------------


@lru_cache(maxsize=128)
def parseable(source: str) -> str:
    """Return the source as the session runs it: magics and the like replaced, line for line.

    Never raises. Other syntax errors stay, and a source that is too large to parse is unchanged.
    """
    text = encodable(source).replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\0", "").replace("\ufeff", "")
    if len(text) > MAX_SOURCE_CHARS or parsed(text) is not None:
        return text
    return normalise(text).source


def parsed(text: str) -> ast.Module | None:
    """Return the syntax tree, or None: for broken text, and for text too large or too deep."""
    return plain.parsed(text) if len(text) <= MAX_SOURCE_CHARS else None


def called_name(call: ast.Call) -> str:
    """Return the last part of a called function's name: "fit" of `model.fit(x)`; "" if unnamed."""
    function = call.func
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""


def within_brackets(source: str, first: int, last: int) -> bool:
    """Return whether the lines are a part of one expression, such as a list or a call."""
    tree = parsed(parseable(source))
    return tree is not None and any(
        isinstance(node, ast.expr) and node.lineno < first and (node.end_lineno or 0) >= last
        for node in ast.walk(tree)
    )


def what_breaks(notebook: Notebook) -> str:
    """Return the place of the first cell that doesn't parse, and why; "" if all parse."""
    for cell in notebook.cells:
        if cell.kind == "code" and (why := syntax_error(cell.source)):
            return f"{notebook.name}, cell {cell.index} doesn't compile: {why}"
    return ""


@lru_cache(maxsize=128)
def syntax_error(source: str) -> str:
    """Return why a cell doesn't compile: "'(' was never closed, line 31"; "" if it does."""
    text = parseable(source)
    if parsed(text) is not None:
        return ""
    if len(text) > MAX_SOURCE_CHARS:
        return f"more than {MAX_SOURCE_CHARS // 1024} kB of code"
    try:
        with warnings.catch_warnings(action="ignore"):
            ast.parse(text)
    except SyntaxError as error:
        return f"{error.msg}, line {error.lineno}" if error.lineno else error.msg
    except (ValueError, RecursionError, MemoryError):
        pass
    return "its expressions are nested too deep"


def why_not_defined(notebook: Notebook, name: str) -> str:
    """Return "cell 7 doesn't compile: ..." if that is why a name isn't defined; else "".

    name : a qualified name; a method may be missing with its class
    """
    names = {name}
    while "." in name:
        name = name.rpartition(".")[0]
        names.add(name)
    for cell in notebook.cells:
        if cell.kind == "code" and any(span.name in names for span in broken_spans(cell.source)):
            return f"cell {cell.index} doesn't compile: {syntax_error(cell.source)}"
    return ""


@lru_cache(maxsize=32)
def statements(source: str) -> tuple[ast.stmt, ...]:
    """Return the top-level statements that parse, with the cell's line numbers.

    For a cell that doesn't parse, those that can be salvaged.
    """
    text = parseable(source)
    if len(text) > MAX_SOURCE_CHARS:
        return ()
    tree = parsed(salvaged(text))
    return tuple(tree.body) if tree is not None else ()


_HEAD = re.compile(r"(?P<indent>[ \t]*)(?:async[ \t]+)?(?P<kind>def|class)[ \t]+(?P<name>\w+)")


# --- definitions ----------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def spans(source: str) -> tuple[Span, ...]:
    """Return the place of each definition of the cell, outer ones before inner ones."""
    found: list[Span] = []
    # An explicit stack: a hostile cell nests deeper than Python's recursion limit.
    todo: list[tuple[ast.AST, str, str]] = [(s, "", "") for s in reversed(statements(source))]
    while todo:
        node, owner, parent = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{owner}.{node.name}" if owner else node.name
            kind = "class" if isinstance(node, ast.ClassDef) else "function"
            start = first_line(node)
            end = node.end_lineno or start
            found.append(Span(name, kind, start, node.lineno, end, parent, _extends(node)))
            todo += [(child, name, kind) for child in reversed(node.body)]
        elif isinstance(node, ast.stmt | ast.excepthandler | ast.match_case):
            children = [
                child
                for child in ast.iter_child_nodes(node)
                if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)
            ]
            todo += [(child, owner, parent) for child in reversed(children)]
    return tuple(found)


@lru_cache(maxsize=256)
def broken_spans(source: str) -> tuple[Span, ...]:
    """Return the definitions of the cell that are written but don't parse."""
    whole = {(span.name, span.line) for span in spans(source)}
    text = parseable(source)
    if parsed(text) is not None or len(text) > MAX_SOURCE_CHARS:
        return ()
    lines = text.split("\n")
    found = []
    owners: list[tuple[int, str, str]] = []
    for number, line in enumerate(lines, start=1):
        head = _HEAD.match(line)
        if not head:
            continue
        width = len(head["indent"].expandtabs(4))
        owners = [owner for owner in owners if owner[0] < width][-20:]
        parent = owners[-1][2] if owners else ""
        name = ".".join([*(owner[1] for owner in owners), head["name"]])
        kind = "class" if head["kind"] == "class" else "function"
        owners.append((width, head["name"], kind))
        if (name, number) not in whole:
            end = _end_of_block(lines, number, width)
            found.append(Span(name, kind, number, number, end, parent))
    return tuple(found)


def _end_of_block(lines: list[str], head: int, width: int) -> int:
    """Return the last line (from 1) of the block whose head is line `head`."""
    last = head
    for number in range(head, min(len(lines), head + 2000)):
        line = lines[number]
        if line.strip():
            if len(line[: len(line) - len(line.lstrip())].expandtabs(4)) <= width:
                break
            last = number + 1
    return last


def owner_of(source: str, line: int) -> tuple[str, int]:
    """Return (qualified name, line of its `def`) of the definition that encloses a line.

    ("", 0) outside any. The syntax tree lacks comments after a body's last statement, so the
    indentation counts, too, and the deeper answer wins.
    """
    best = ("", 0)
    for span in spans(source):
        if line in span and span.name.count(".") >= best[0].count(".") and span.line > best[1]:
            best = (span.name, span.line)
    names: list[str] = []
    innermost = 0
    lines = parseable(source).split("\n")
    width = _width(lines[line - 1]) if line <= len(lines) else 0
    for number in range(line - 1, 0, -1):
        text = lines[number - 1]
        if width == 0:
            break
        if not text.strip() or text.lstrip().startswith("#") or _width(text) >= width:
            continue
        width = _width(text)
        if head := _HEAD.match(text):
            names.insert(0, head["name"])
            innermost = innermost or number
    by_indent = ".".join(names)
    if names and (not best[0] or len(names) > best[0].count(".") + 1):
        return by_indent, innermost
    return best


def _width(line: str) -> int:
    return len(line[: len(line) - len(line.lstrip(" \t"))].expandtabs(4))


def find_definitions(cells: Iterable[Cell]) -> dict[str, Definition]:
    """Return every function, method and class by qualified name; the last of a name wins.

    `f = lambda z: ...`, `f = my_f` and `Model.predict = my_predict` define, too. A class that is
    defined again removes the methods of the old one, unless it inherits from it.
    """
    found: dict[str, Definition] = {}
    for cell in cells:
        if cell.kind != "code":
            continue
        lines = parseable(cell.source).split("\n")
        events: list[tuple[int, int, str, Span | Assigned]] = []
        for order, span in enumerate(spans(cell.source)):
            events.append((span.start, order, span.name, span))
        for order, bound in enumerate(assigned(cell.source)):
            events.append((bound.line, order, bound.name, bound))
        for line, _, name, event in sorted(events, key=lambda event: event[:2]):
            if isinstance(event, Assigned):
                owner = name.rpartition(".")[0]
                if not _defines(event.value, found) or (owner and owner not in found):
                    continue
            elif event.kind == "class" and not event.extends:
                for member in [key for key in found if key.startswith(f"{name}.")]:
                    del found[member]
            text = dedented(lines[line - 1 : event.end])
            found[name] = Definition(name=name, cell=cell.index, line=line, source=text)
    return found


def _defines(value: ast.expr | None, known: dict[str, Definition]) -> bool:
    """Tell whether an assignment's value is a function: not for `cost = cost(x)`."""
    if isinstance(value, ast.Lambda):
        return True
    return isinstance(value, ast.Name | ast.Attribute) and dotted(value) in known


def _extends(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any(
        isinstance(base, ast.Name) and base.id == node.name for base in node.bases
    )


def dedented(lines: Sequence[str]) -> str:
    """Return the lines without the first one's indentation; lines with less keep theirs.

    textwrap.dedent does not fit: the lines of a string may start further left than the code.
    """
    if not lines:
        return ""
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip(" \t"))]
    return "\n".join(line.removeprefix(indent) for line in lines)


# --- names bound without def or class ---------------------------------------------------------


@lru_cache(maxsize=128)
def assigned(source: str) -> tuple[Assigned, ...]:
    """Return what the cell's module-level code binds: `f = ...`, `C.m = ...`, setattr, imports."""
    found: list[Assigned] = []
    for node in _module_level(statements(source)):
        first, last = node.lineno, node.end_lineno or node.lineno
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                found.append(Assigned(bound, first, last, None))
            continue
        for target, value in _bindings(node):
            found += [Assigned(name, first, last, value) for name in _target_names(target)]
    return tuple(found)


def _module_level(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    todo: list[ast.AST] = list(reversed(body))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(node, ast.stmt):
            yield node
        todo += [
            child
            for child in reversed(list(ast.iter_child_nodes(node)))
            if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case)
        ]


def _bindings(node: ast.stmt) -> list[tuple[ast.expr, ast.expr | None]]:
    if isinstance(node, ast.Assign):
        return [(target, node.value) for target in node.targets]
    if isinstance(node, ast.AnnAssign | ast.AugAssign):
        return [(node.target, node.value)]
    if isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call):
        arguments = call.args
        if isinstance(call.func, ast.Name) and call.func.id == "setattr" and len(arguments) == 3:
            name = arguments[1]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                return [(ast.Attribute(value=arguments[0], attr=name.value), arguments[2])]
    return []


def _target_names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            if isinstance(element, ast.Name):
                yield element.id
    elif isinstance(target, ast.Subscript):
        # globals()["sigmoid"] = ...
        key = target.slice
        if isinstance(target.value, ast.Call) and isinstance(key, ast.Constant):
            yield str(key.value)
    elif name := dotted(target):
        yield name


def first_line(node: ast.stmt) -> int:
    """Return the line where a statement begins, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def dotted(node: ast.expr) -> str:
    """Return "a.b.c" for a name or attribute, "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < 20:
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])
