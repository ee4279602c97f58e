"""Import notebooks without a grader's metadata: markers, asserts, examples, answers in words."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from grader.authoring.importers.earlier_tests import bound_names, needed_names
from grader.authoring.importers.imported import (
    Check,
    Draft,
    Item,
    free_name,
    heading_above,
    slug,
)
from grader.authoring.importers.marked_code import converted, made_already
from grader.authoring.importers.solution_calls import defined_in, outside_gaps
from grader.authoring.text_gaps import has_answer
from grader.notebook import assembled, parseable
from grader.notebook.definitions import called_name, parsed
from grader.notebook.regions import find_gaps
from grader.records import Cell, Notebook

ANSWER = re.compile(
    r"^[\s>*_$\\{}a-zA-Z]{0,30}?\b(your ?answer|solution|answer|réponse|antwort)"
    r"\s*\d*\s*[*_]*\s*:[*_}$\s]*",
    re.IGNORECASE | re.MULTILINE,
)
"""The words before a written answer: "**Solution:** ...", "$\\color{blue}{Your Answer:}$"."""
_KIND_OF_QUESTION = re.compile(r"\b(short|long|brief|free|written|open)[\s-]*answer", re.IGNORECASE)
_ASKS = re.compile(
    r"\?|^\W*(in your own words|describe|explain|discuss|what|why|how|which|when|state|give|write"
    r"|compare|define|list|name|identify|interpret|justify|comment)\b",
    re.IGNORECASE,
)


_ASSERT_NAME = re.compile(r"assert(_|[A-Z])")
_TEST_NAME = re.compile(r"(?i)(^|_)(tests?|check|unittest)(_|$)|Test$")


def import_plain(notebook: Notebook, *, has_gaps: bool = False) -> Draft:
    """Return the draft of any other notebook.

    has_gaps : whether its gaps are made already, so that other markers count for nothing
    """
    draft = Draft("solved notebook")
    for cell in notebook.cells:
        if cell.kind == "code":
            source, found = made_already(cell.source) if has_gaps else converted(cell.source)
            draft.keep(cell, source)
            for words in dict.fromkeys(one.words for one in found):
                same = [one for one in found if one.words == words]
                many = "a gap" if len(same) == 1 else f"{len(same)} gaps"
                draft.say(cell, f"{many} (`{words}`)")
                if empty := sum(not one.solved for one in same):
                    what = "nothing is" if empty == len(same) else f"{empty} of them are not"
                    draft.say(cell, f"{what} solved there yet: write the solution", todo=True)
        elif cell.kind == "markdown" and has_answer(cell.source):
            draft.keep(cell)
            draft.say(cell, "an answer in words between markers: students don't get it")
        elif cell.kind == "markdown" and (match := _answer(cell)):
            _split_answer(draft, cell, match)
        else:
            draft.keep(cell)
    _tests(draft, notebook)
    return draft


def answers_in(text: str) -> Iterator[re.Match[str]]:
    """Yield where answers begin in a text; "Short answer: why is it so?" begins a question."""
    for match in ANSWER.finditer(text):
        below = text[match.end() :].partition("\n\n")[0]
        if not (_KIND_OF_QUESTION.search(match.group()) and _ASKS.search(below)):
            yield match


def _answer(cell: Cell) -> re.Match[str] | None:
    match = next(answers_in(cell.source), None)
    return match if match and cell.source[match.end() :].strip() else None


def _split_answer(draft: Draft, cell: Cell, match: re.Match[str]) -> None:
    """Split a cell of text into the question, for students, and the answer, which stays hidden."""
    question, answer = cell.source[: match.start()].rstrip(), cell.source[match.end() :].strip()
    number = sum(item.manual for item in draft.items) + 1
    name = draft.item_named(f"answer-{number}", cell)
    first = next((line.strip("#*_ ") for line in question.split("\n") if line.strip()), "")
    title = first if 0 < len(first) <= 60 else draft.heading
    item = Item(name, title or name, 1, manual=True, heading=f"Answer {number}")
    draft.answer(item, [Cell(0, "markdown", answer)], question=question)
    draft.say(cell, f"exercise {name}: an answer in words, after `{match.group().strip()}`")


# --- tests ----------------------------------------------------------------------------------------


def _tests(draft: Draft, source: Notebook) -> None:
    """Make checks from asserts and from examples in docstrings if they test a gap."""
    notebook = assembled(draft.with_indices(), name=source.name)
    gaps = {name.partition("#")[0] for name in notebook.regions}
    variables = _variables(notebook)
    found: dict[str, list[Check]] = {}
    for cell in notebook.cells:
        tree = parsed(parseable(cell.source)) if cell.kind == "code" else None
        if tree is None:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name in gaps:
                text = ast.get_docstring(node) or ""
                if ">>>" in text:
                    check = Check(node.name, f"{node.name}-examples", text, 1, examples=True)
                    found.setdefault(node.name, []).append(check)
                    draft.say(cell, f"the examples of `{node.name}` become a check")
        in_cell = [
            (first, last)
            for gap in find_gaps(notebook.cells)
            for index, first, last in gap.pieces
            if index == cell.index
        ]
        # A cell with a gap runs as a whole; of its tests, a check has those outside of the gap.
        body = tests_below(tree.body, in_cell, {*gaps, *variables}) if in_cell else tree.body
        if tested := tested_gaps(body, gaps, variables):
            name = f"{tested[-1]}-{len(found.get(tested[-1], [])) + 1}"
            own = "\n".join(map(ast.unparse, body)) if in_cell else cell.source
            check = Check(tested[-1], name, own, 1, cell.index + bool(in_cell))
            found.setdefault(tested[-1], []).append(check)
            draft.say(cell, f"its asserts become a check of `{tested[-1]}`")
    taken: set[str] = set()
    for gap, checks in found.items():
        item = _item(gap, checks, notebook)
        item = replace(item, id=free_name(item.id, taken))
        draft.items.append(item)
        for check in checks:
            name = check.name.replace(gap, item.functions[0], 1) if item.functions else check.name
            draft.checks.append(replace(check, exercise=item.id, name=name))


def _item(name: str, checks: Sequence[Check], notebook: Notebook) -> Item:
    """Return the exercise of a gap that has checks."""
    if name in notebook.definitions:
        return Item(slug(name), name, len(checks), functions=(name,))
    title = heading_above(notebook, notebook.regions[name].cell) or name
    words = {word for check in checks for word in re.findall(r"\w+", check.source)}
    defined = [f for made, body in outside_gaps(notebook) if made.name == name
               for f in defined_in(body)]  # fmt: skip
    tested = tuple(function for function in defined if function in words)
    wanted = slug(tested[0] if len(tested) == 1 else name)
    return Item(wanted, title, len(checks), functions=tested, cell_gap=name)


def _variables(notebook: Notebook) -> dict[str, str]:
    """Return the gap, as "cell 5", of each name that a gap outside of functions sets or defines."""
    return {
        name: made.name
        for made, body in outside_gaps(notebook)
        for node in body
        for name in (*_assigned(node), *defined_in([node]))
    }


def _assigned(statement: ast.stmt) -> set[str]:
    """Return the names that a statement assigns: not those of loops, nor of functions in it."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return set()
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign):
            names |= {
                n.id for target in node.targets for n in ast.walk(target) if isinstance(n, ast.Name)
            }
        elif isinstance(node, ast.AnnAssign | ast.AugAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return names


def tested_gaps(
    body: Sequence[ast.stmt], gaps: Collection[str], variables: Mapping[str, str]
) -> list[str]:
    """Return the gaps that a cell's tests use, in order; [] for a cell without tests.

    A test is an assert, a call such as `assert_array_equal(f(x), y)`, or one of a course's test
    function with a gap as its argument: `sigmoid_test(sigmoid)`.
    variables : the gaps outside of functions, by the variables that they assign; they count only if
        the test names no function
    """
    nodes = [node for statement in body for node in ast.walk(statement)]
    known = {*gaps, *variables}
    if not any(_is_test(node, known) for node in nodes):
        return []
    names = [node for node in nodes if isinstance(node, ast.Name)]
    named = [node.id for node in names]
    named += [node.attr for node in nodes if isinstance(node, ast.Attribute)]
    last = {gap.rpartition(".")[2]: gap for gap in sorted(gaps)}
    functions = [last[name] for name in dict.fromkeys(named) if name in last]
    own = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    read = dict.fromkeys(node.id for node in names if node.id not in own)
    return functions or [variables[name] for name in read if name in variables]


def tests_below(
    body: Sequence[ast.stmt], gaps: Sequence[tuple[int, int]], known: set[str]
) -> list[ast.stmt]:
    """Return the tests of a cell outside of its gaps, and the assignments that they need.

    gaps : first and last line of each; known : the names that gaps define or set
    """
    kinds = ast.Assert | ast.Expr | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.With
    given = [
        node
        for node in body
        if isinstance(node, kinds)
        and not any(node.lineno <= last and (node.end_lineno or 0) >= first for first, last in gaps)
    ]
    kept: list[ast.stmt] = []
    needed: set[str] = set()
    for node in reversed(given):
        if any(_is_test(part, known) for part in ast.walk(node)) or needed & bound_names(node):
            kept.append(node)
            needed |= needed_names(ast.unparse(node))
    return kept[::-1]


def _is_test(node: ast.AST, gaps: set[str]) -> bool:
    asserts = isinstance(node, ast.Call) and bool(_ASSERT_NAME.match(called_name(node)))
    return isinstance(node, ast.Assert) or asserts or _tests_by_name(node, gaps)


def _tests_by_name(node: ast.AST, gaps: set[str]) -> bool:
    """Return whether a node calls a function with a test's name, and a gap as an argument."""
    if not isinstance(node, ast.Call):
        return False
    arguments = {argument.id for argument in node.args if isinstance(argument, ast.Name)}
    return bool(_TEST_NAME.search(called_name(node))) and not gaps.isdisjoint(arguments)
