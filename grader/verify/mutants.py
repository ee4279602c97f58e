"""Automatic mutants of a reference: each has one typical mistake at one place of one function.

`mutate` changes the text of one function. `make_mutants` chooses the functions of a notebook that
students write, and gives every mutant an id, which survivors.toml can name:

    GradientDescent.grad_cost: dropped `/ m` in `x.T @ (p - y) / m`

An id holds no line number, so edits elsewhere in the reference don't change it.
"""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from grader.notebook.regions import marker_kind
from grader.records import Assignment, Definition, Notebook
from grader.verify.code_words import (
    Function,
    first_line,
    in_short,
    is_docstring,
    last_name,
    shorten,
)
from grader.verify.function_text import FunctionText
from grader.verify.mistakes import EXPRESSION_OPERATORS, Edit
from grader.verify.statement_mistakes import returned_names, wrong_results, wrong_statements

SILENT_CALLS = frozenset({"print", "display", "warn", "plt", "pyplot", "ax", "axes", "fig"})
"""Names whose calls only show something: a mistake there changes no value that a check reads."""


@dataclass(frozen=True)
class Change:
    """One mistake made in a function.

    kind : the family of mistakes ("lost divisor"); text : the change in one line
    line : from 1, within the original source; source : the whole changed function
    phrase : for the student, after "behaves exactly as the solution would"
    """

    kind: str
    text: str
    line: int
    source: str
    phrase: str = ""


@dataclass(frozen=True)
class Mutant:
    """A changed function of a reference notebook.

    function : qualified name of the function in `source` ("GradientDescent.predict")
    cell, line : the place of the change in the notebook; the line counts from 1 in the cell
    """

    id: str
    notebook: str
    function: str
    kind: str
    cell: int
    line: int
    source: str

    @property
    def place(self) -> str:
        """The place in words: notebook, cell and line."""
        return f"{self.notebook}, cell {self.cell}, line {self.line}"


def functions_that_draw(assignment: Assignment) -> tuple[str, ...]:
    """Return the functions of exercises that draw figures, and so get no mutants."""
    listed = [(e.notebook, function) for e in assignment.exercises for function in e.functions]
    return tuple(
        function
        for notebook, function in listed
        if function in assignment.notebooks[notebook].definitions
        and draws(ast.parse(assignment.notebooks[notebook].definitions[function].source))
    )


# --- one function -------------------------------------------------------------------------


def mutate(source: str, *, lines: Collection[int] | None = None) -> list[Change]:
    """Return every change of the one function that `source` defines, in reading order.

    lines : lines that may change, from 1; None for the whole body
    Of changes with the same syntax tree, only one is returned. Code that does not compile is left
    out.
    """
    tree = ast.parse(source)
    function = tree.body[0]
    if not isinstance(function, Function):
        return []
    text = FunctionText(source, function)
    seen = {ast.dump(tree)}
    changes = []
    edits = [*_body_raises(function, lines), *_edits(function, lines)]
    for node, (kind, new, wording) in sorted(edits, key=lambda edit: _start(edit[0])):
        changed = text.replaced([(node, new)])
        try:
            fingerprint = ast.dump(ast.parse(changed))
            compile(changed, "<mutant>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            continue
        if fingerprint in seen:
            continue
        seen.add(fingerprint)
        if not wording:
            # A number or a slice alone says too little: its line is quoted, too.
            small = isinstance(node, ast.Constant | ast.Slice | ast.Name | ast.UnaryOp)
            context = f" in `{first_line(text.statement_at(node.lineno))}`" if small else ""
            wording = f"`{in_short(node)}` -> `{shorten(normal(new))}`{context}"
        changes.append(Change(kind, wording, node.lineno, changed))
    return changes


def normal(text: str) -> str:
    """Return an expression as ast writes it, without unneeded parentheses."""
    try:
        return ast.unparse(ast.parse(text, mode="eval"))
    except SyntaxError:  # a slice is not an expression by itself
        return text


def _start(node: ast.expr | ast.stmt) -> tuple[int, int]:
    return node.lineno, node.col_offset


def _body_raises(
    function: Function, lines: Collection[int] | None
) -> Iterator[tuple[ast.stmt, Edit]]:
    """Yield the function with a raise at its beginning: a check that passes never calls it."""
    for statement in function.body:
        if is_docstring(statement) or not (lines is None or statement.lineno in lines):
            continue
        yield statement, ("lost function", "raise NotImplementedError", "lost: it raises")
        return


def _edits(
    function: Function, lines: Collection[int] | None
) -> Iterator[tuple[ast.expr | ast.stmt, Edit]]:
    arguments = function.args
    known = {
        argument.arg
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    }
    returned = returned_names(function)
    for statement, in_loop in statements_of(function.body, False):
        inside = lines is None or statement.lineno in lines
        if inside and not is_docstring(statement) and not _only_shows(statement):
            for edit in wrong_statements(statement, known, in_loop):
                yield statement, edit
            yield from wrong_results(statement, returned)
        for expression in expressions_of(statement):
            for node in _walk(expression):
                # An expression outside the region belongs to the template.
                if lines is None or node.lineno in lines:
                    for operator in EXPRESSION_OPERATORS:
                        for edit in operator(node):
                            yield node, edit
            if isinstance(statement, ast.If | ast.While) and inside:
                for value in ("True", "False"):
                    if not (isinstance(statement, ast.While) and value == "True"):
                        wording = f"`{in_short(expression)}` taken as {value}"
                        yield expression, ("wrong condition", value, wording)
        known |= {
            node.id
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }


def statements_of(body: Iterable[ast.stmt], in_loop: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield every statement, also of nested functions, and whether it stands in a loop."""
    for statement in body:
        yield statement, in_loop
        inner = in_loop or isinstance(statement, ast.For | ast.While)
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            inner = False
        for field in ("body", "orelse", "finalbody"):
            yield from statements_of(getattr(statement, field, []), inner)
        for handler in getattr(statement, "handlers", []):
            yield from statements_of(handler.body, inner)


def expressions_of(statement: ast.stmt) -> list[ast.expr]:
    """Return the expressions of a statement whose value matters, without nested statements."""
    match statement:
        case ast.Raise() | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.Delete():
            return []
        case ast.AnnAssign(value=value):
            return [value] if value else []
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return []
        case ast.Expr(value=ast.Constant()):
            return []
    return [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.expr)]


def _walk(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the expressions under a node that can be replaced in the text."""
    if isinstance(node, ast.JoinedStr) or _only_shows(node):
        return  # before Python 3.12 the parts of an f-string have no position in the text
    if isinstance(node, ast.expr) and not isinstance(getattr(node, "ctx", None), ast.Store):
        yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.arguments):
            continue
        yield from _walk(child)


def _only_shows(node: ast.AST) -> bool:
    """Return whether a node is print(...), plt.plot(...) or a similar call."""
    if isinstance(node, ast.Expr):
        node = node.value
    if not isinstance(node, ast.Call):
        return False
    head: ast.AST = node.func
    if last_name(head) in ("warn", "savefig"):
        return True
    while isinstance(head, ast.Attribute | ast.Subscript):
        head = head.value
    return last_name(head) in SILENT_CALLS


# --- the functions of a notebook ----------------------------------------------------------


def make_mutants(notebook: Notebook, functions: Iterable[str]) -> list[Mutant]:
    """Return the mutants of the functions and answers that students write, in their order.

    functions : qualified names that exercises list; functions in regions that these call are
        mutated as well. Functions that draw are left out: their figures were made when the
        notebook ran, and a check does not draw them again.
    """
    mutants: list[Mutant] = []
    for name in student_functions(notebook, functions):
        definition = notebook.definitions[name]
        lines = region_lines_of(notebook, definition)
        changes = mutate(definition.source, lines=lines)
        mutants += _named(changes, notebook, name, definition.cell, definition.line)
    for name, cell, line, source in _answers(notebook):
        mutants += _named(mutate_answer(source, name), notebook, name, cell, line)
    return sorted(mutants, key=lambda mutant: (mutant.cell, mutant.line))


def _named(
    changes: Iterable[Change], notebook: Notebook, function: str, cell: int, line: int
) -> Iterator[Mutant]:
    """Yield the mutants of one function; equal ids get a number."""
    taken: Counter[str] = Counter()
    for change in changes:
        label = f"{function}: {change.text}"
        taken[label] += 1
        yield Mutant(
            id=label if taken[label] == 1 else f"{label} ({taken[label]})",
            notebook=notebook.name,
            function=function,
            kind=change.kind,
            cell=cell,
            line=line + change.line - 1,
            source=change.source,
        )


def mutate_answer(source: str, name: str) -> list[Change]:
    """Return the changes of statements at a cell's top level that set a variable.

    Each `source` runs by itself. If it raises, the variable stays undefined.
    """
    changes = mutate(f"def answer():\n{textwrap.indent(source, ' ')}\n return {name}\n")
    found = []
    for change in changes:
        body = change.source.splitlines()[1:-1]
        text = textwrap.dedent("\n".join(body))
        if change.kind != "lost function" and change.line < len(body) + 2:
            guarded = f"try:\n{textwrap.indent(text, '    ')}\nexcept Exception:\n    pass\n"
            source = f"globals().pop({name!r}, None)\n{guarded}"
            found.append(replace(change, line=change.line - 1, source=source))
    return found


def _answers(notebook: Notebook) -> Iterator[tuple[str, int, int, str]]:
    """Yield (name, cell, line, source) of the variables that regions outside functions set."""
    for cell in notebook.cells:
        lines = cell.source.splitlines()
        inside = region_lines(cell.source)
        # A region is a run of lines without a gap.
        for first in sorted(inside):
            if first - 1 in inside:
                continue
            last = first
            while last + 1 in inside:
                last += 1
            source = "\n".join(lines[first - 1 : last])
            try:
                tree = ast.parse(source)
            except SyntaxError:  # a region within a function
                continue
            names = [
                name
                for statement in tree.body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if (name := last_name(target)) and isinstance(target, ast.Name)
            ]
            if names and not draws(tree) and not _defines_functions(tree):
                yield names[-1], cell.index, first, source


def _defines_functions(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree))


def student_functions(notebook: Notebook, listed: Iterable[str]) -> list[str]:
    """Return the functions in regions that are listed, or called by those, and don't draw."""
    written = {
        name: function
        for name, definition in notebook.definitions.items()
        if (function := _function(definition))
        and region_lines_of(notebook, definition)
        # A nested function is mutated together with the outer one.
        and not _stands_in_function(notebook, name)
    }
    wanted = {name for name in listed if name in notebook.definitions}
    waiting = list(wanted)
    while waiting:
        function = _function(notebook.definitions[waiting.pop()])
        called = _called_names(function) if function else set()
        for name in written:
            if name not in wanted and name.rsplit(".", 1)[-1] in called:
                wanted.add(name)
                waiting.append(name)
    found = [name for name in written if name in wanted and not draws(written[name])]
    return sorted(found, key=lambda name: _place(notebook.definitions[name]))


def _stands_in_function(notebook: Notebook, name: str) -> bool:
    owner = notebook.definitions.get(name.rpartition(".")[0])
    return owner is not None and _function(owner) is not None


def _place(definition: Definition) -> tuple[int, int]:
    return definition.cell, definition.line


def _function(definition: Definition) -> Function | None:
    try:
        body = ast.parse(definition.source).body
    except SyntaxError:
        return None
    first = body[0] if body else None
    return first if isinstance(first, Function) else None


def _called_names(function: ast.AST) -> set[str]:
    """Return all names in a function: a helper may be passed as an argument, not called."""
    return {
        last_name(node) for node in ast.walk(function) if isinstance(node, ast.Name | ast.Attribute)
    }


def draws(function: ast.AST) -> bool:
    """Return whether a function draws with pyplot."""
    return any(
        isinstance(node, ast.Name) and node.id in ("plt", "pyplot") for node in ast.walk(function)
    )


def region_lines_of(notebook: Notebook, definition: Definition) -> frozenset[int]:
    """Return the lines of a definition's source, from 1, that stand in regions."""
    cell = next(cell for cell in notebook.cells if cell.index == definition.cell)
    first = definition.line
    count = len(definition.source.splitlines())
    inside = region_lines(cell.source)
    return frozenset(line - first + 1 for line in inside if first <= line < first + count)


def region_lines(source: str) -> frozenset[int]:
    """Return the lines of a cell, from 1, that stand between START and END markers."""
    inside = False
    found = set()
    for number, line in enumerate(source.splitlines(), start=1):
        marker = marker_kind(line)
        if marker is not None:
            inside = marker[0] == "start"
        elif inside:
            found.add(number)
    return frozenset(found)
