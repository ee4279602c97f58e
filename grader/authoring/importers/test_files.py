"""Import tests from a course's own files, pytest's or unittest's: each becomes a check.

The check's source is the test, the functions and imports of its file that it needs, and a call.
Imports of the modules that students hand in are left out: these names are the student's.

CourseTests(paths, modules)  the tests of several files
read_tests(path, modules)    the tests of a file, and a report
add_tests(draft, tests, ...) adds those that use one of a notebook's gaps
"""

from __future__ import annotations

import ast
import builtins
import copy
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from grader.authoring.importers.earlier_tests import bound_names, needed_names
from grader.authoring.importers.imported import Check, Draft, Item, slug
from grader.authoring.importers.student_modules import without_modules
from grader.authoring.importers.test_habits import Function, plain_test, without_patches
from grader.authoring.importers.test_helpers import with_helpers
from grader.errors import AssignmentError
from grader.notebook import names_called, parseable
from grader.notebook.definitions import dotted, parsed, syntax_error
from grader.records import Notebook

_LONGEST = 200
"""A longer text is no file's name."""
_PRINTED = {"redirect_stdout", "redirect_stderr", "get_stdout"}
_DECORATED = "pytest.mark.parametrize"


@dataclass(frozen=True)
class FileTest:
    """One test.

    title : the first line of its docstring, or ""
    words : the names and attributes that it uses
    free : the names that it uses and does not define: the student's
    points, hidden : of the check that it becomes
    """

    name: str
    title: str
    source: str
    words: frozenset[str]
    free: frozenset[str]
    points: float = 1
    hidden: bool = False

    def opened(self, folder: Path) -> list[str]:
        """Return the texts in it that name a file in the folder, or in it from the one above."""
        nodes = [n for n in ast.walk(ast.parse(self.source)) if isinstance(n, ast.Constant)]
        texts = [n.value for n in nodes if isinstance(n.value, str) and len(n.value) < _LONGEST]
        own = f"{folder.name}/"
        return [
            text
            for text in texts
            if "\n" not in text
            and (
                _is_file(folder / text) or (text.startswith(own) and _is_file(folder.parent / text))
            )
        ]


class CourseTests:
    """The tests of a course's files, and which of them a notebook has taken."""

    def __init__(self, paths: Sequence[Path], modules: Collection[str]) -> None:
        self._tests: list[FileTest] = []
        self._lines: list[str] = []
        self._taken: set[str] = set()
        self._words: set[str] = set()
        for path in paths:
            read = _tests_in(path, modules)
            tests, lines = _made_of(read, path)
            self._tests += tests
            self._lines += lines
            self._words |= {word for test in read for word in test.words}

    def add_to(self, draft: Draft, notebook: Notebook, path: Path) -> None:
        """Add the tests of a notebook's gaps to its draft. path : its file as given"""
        self._taken |= add_tests(draft, self._tests, notebook, path)

    def words(self) -> set[str]:
        """Return the names and attributes in the tests, in those that can't be checks as well."""
        return self._words

    def report(self) -> list[str]:
        """Return lines on the tests that became no check."""
        left = [test.name for test in self._tests if test.name not in self._taken]
        return [*self._lines, *(f"! {name} uses no gap: it becomes no check" for name in left)]


def read_tests(path: Path, modules: Collection[str]) -> tuple[list[FileTest], list[str]]:
    """Return the tests of a file, and lines for the report.

    modules : names of the modules that students hand in
    Raises AssignmentError for a file that is not Python, or holds no test.
    """
    return _made_of(_tests_in(path, modules), path)


def _tests_in(path: Path, modules: Collection[str]) -> list[_Read]:
    text = parseable(path.read_text("utf-8", "replace"))
    if why := syntax_error(text):
        raise AssignmentError(f"{path} doesn't compile: {why}")
    tree = without_modules(with_helpers(ast.parse(text), path, modules), modules)
    read: list[_Read] = []
    for node in tree.body:
        if isinstance(node, Function) and node.name.startswith("test"):
            read.append(_of_function(node, tree))
        elif isinstance(node, ast.ClassDef):
            read += _of_class(node, tree)
    if not read:
        raise AssignmentError(
            f"{path} holds no test: a function `test_...`, or a class of unittest with such methods"
        )
    return read


def _made_of(read: Sequence[_Read], path: Path) -> tuple[list[FileTest], list[str]]:
    """Return the tests that can be checks, and lines for the report."""
    report = [f"! {path.name}, {one.name}: {line}" for one in read for line in one.said]
    left_out = dict.fromkeys(text for one in read for text in one.left_out)
    report += [f"{path.name}: {text}, which is not installed here: left out" for text in left_out]
    return [one.test for one in read if one.test is not None], report


def add_tests(draft: Draft, tests: Sequence[FileTest], notebook: Notebook, path: Path) -> set[str]:
    """Add the tests that use a gap of the notebook to a draft; return their names.

    A test belongs to the gap that its name is most like; gaps become exercises as elsewhere. An
    exercise builds on the other gaps that its tests use, and on those that the solution calls.
    path : the notebook's file as given; the tests may open files beside it
    """
    gaps = list(dict.fromkeys(region.partition("#")[0] for region in notebook.regions))
    gaps = [gap for gap in gaps if gap in notebook.definitions]
    known = _names_of(notebook)
    taken = set()
    needs: dict[str, set[str]] = {}
    for test in tests:
        used = _used(test, gaps)
        if not used:
            continue
        taken.add(test.name)
        place = notebook.cells[notebook.definitions[used[-1]].cell]
        if unknown := sorted(test.free - known):
            text = f"{test.name} uses `{unknown[0]}`, which {path.name} doesn't define: left out"
            draft.say(place, text, todo=True)
            continue
        if test.words & _PRINTED:
            text = f"{test.name} reads what the student prints, which a check can't: left out"
            draft.say(place, text, todo=True)
            continue
        draft.files |= dict.fromkeys(test.opened(path.parent), place.index)
        own = used[-1]
        needs.setdefault(own, set()).update(used[:-1])
        made = slug(re.sub(r"(^|\.)test_?", r"\1", test.name))
        draft.say(place, f"{test.name} becomes a check of `{own}`")
        at = next((n for n, i in enumerate(draft.items) if i.functions == (own,)), None)
        if at is None:
            draft.items.append(Item(slug(own), own, 0, functions=(own,)))
            at = len(draft.items) - 1
        item = draft.items[at]
        draft.items[at] = replace(item, points=item.points + test.points)
        check = Check(item.id, made, test.source, test.points, len(notebook.cells), test.hidden)
        draft.checks.append(check)
    for own, others in needs.items():
        _build_on(draft, own, others, gaps, notebook)
    return taken


def _build_on(
    draft: Draft, own: str, needs: Collection[str], gaps: Sequence[str], notebook: Notebook
) -> None:
    """Note the gaps whose mistakes fail a gap's tests as well: a test is no verdict on them."""
    found = names_called(notebook, [own, *needs]) | {*needs}
    builds_on = tuple(gap for gap in gaps if gap in found and gap != own)
    if not builds_on:
        return
    at = next(n for n, item in enumerate(draft.items) if item.functions == (own,))
    wanted = tuple(gap for gap in gaps if gap in needs)
    draft.items[at] = replace(draft.items[at], needs=wanted, builds_on=builds_on)
    named = ", ".join(f"`{gap}`" for gap in builds_on)
    what = "it" if len(builds_on) == 1 else "them"
    place = notebook.cells[notebook.definitions[own].cell]
    draft.say(place, f"`{own}` builds on {named}: a mistake in {what} costs no points here")


def _names_of(notebook: Notebook) -> set[str]:
    """Return the names that a notebook's cells bind outside of functions."""
    trees = [parsed(parseable(cell.source)) for cell in notebook.cells if cell.kind == "code"]
    bodies = [node for tree in trees if tree is not None for node in tree.body]
    names = {name for node in bodies for name in bound_names(node)}
    return names | {name.partition(".")[0] for name in notebook.definitions}


def _used(test: FileTest, gaps: Sequence[str]) -> list[str]:
    """Return the gaps that a test uses; its own one, whose name is most like its, comes last."""
    used = [gap for gap in gaps if test.words.issuperset(gap.split("."))]
    # `__init__` is never written out: a call of the class uses it.
    used += [
        gap
        for gap in gaps
        if gap.endswith(".__init__") and gap.split(".")[0] in test.words and gap not in used
    ]
    # test_softmax_loss may load its data by another gap, but it tests softmax_loss.
    return sorted(used, key=lambda gap: _common_words(gap, test.name))


def _common_words(gap: str, name: str) -> int:
    of_gap = set(re.findall(r"[a-z0-9]+", _snake(gap)))
    return len(of_gap & set(re.findall(r"[a-z0-9]+", _snake(name))))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


# --- one test -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Read:
    """A test of a file.

    test : None if it can't be a check; said : lines on what is left to do
    words : the names and attributes in it
    left_out : the decorators of other tools that it lost
    """

    name: str
    test: FileTest | None
    words: frozenset[str]
    said: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def _of_function(node: Function, tree: ast.Module) -> _Read:
    """Return the test of a function: the function without its decorators, and a call of it."""
    plain = plain_test(node, tree)
    unwatched = plain.refused or without_patches(plain.node)
    if isinstance(unwatched, str):
        return _refused(node.name, node, unwatched)
    made = _called(unwatched[0])
    if isinstance(made, str):
        return _refused(node.name, node, made)
    test = _test(node.name, node, made, tree)
    test = replace(test, points=plain.points, hidden=plain.hidden)
    return _Read(node.name, test, test.words, _unchecked(unwatched[1]), plain.left_out)


def _refused(name: str, node: Function, why: str) -> _Read:
    return _Read(name, None, _words(node), (f"{why}: write this check yourself",))


def _unchecked(watched: Sequence[str]) -> tuple[str, ...]:
    why = "`patch` doesn't reach the student's process"
    return tuple(f"whether {name} is called is not checked: {why}" for name in watched)


def _called(node: Function) -> list[ast.stmt] | str:
    """Return the function without its decorators and a call of it; or why that isn't possible."""
    if isinstance(node, ast.AsyncFunctionDef):
        return "it is asynchronous"
    arguments = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
    arguments = arguments[: len(arguments) - len(node.args.defaults)]
    values: list[tuple[list[str], ast.expr]] = []
    for decorator in node.decorator_list:
        name = dotted(decorator.func) if isinstance(decorator, ast.Call) else dotted(decorator)
        if isinstance(decorator, ast.Call) and name == _DECORATED and len(decorator.args) == 2:
            names = _names_in(decorator.args[0])
            if not names:
                return "its parameters are not written out"
            values.append((names, decorator.args[1]))
        elif not name.startswith("pytest.mark."):
            return f"`@{name or ast.unparse(decorator)}` is not understood"
    given = [name for names, _ in values for name in names]
    if left := [name for name in arguments if name not in given]:
        return f"it needs the fixture `{left[0]}`"
    node = copy.copy(node)
    node.decorator_list = []
    call: ast.stmt = ast.parse(f"{node.name}({', '.join(f'{n}={n}' for n in given)})").body[0]
    for names, source in values:
        target = names[0] if len(names) == 1 else f"({', '.join(names)})"
        loop = ast.parse(f"for {target} in {ast.unparse(source)}: pass").body[0]
        assert isinstance(loop, ast.For)
        loop.body = [call]
        call = loop
    return [node, call]


def _names_in(node: ast.expr) -> list[str]:
    """Return the names of a parametrize: "a, b" or ["a", "b"]; [] for another form."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [name.strip() for name in node.value.split(",") if name.strip()]
    if isinstance(node, ast.List | ast.Tuple):
        texts = [part.value for part in node.elts if isinstance(part, ast.Constant)]
        return [text for text in texts if isinstance(text, str)]
    return []


def _of_class(node: ast.ClassDef, tree: ast.Module) -> list[_Read]:
    """Return the tests of a class: of unittest's, or a plain one as pytest collects it."""
    of_class = plain_test(node, tree)
    node = of_class.node
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    tests = [part for part in methods if part.name.startswith("test")]
    is_case = any(dotted(base).endswith("TestCase") for base in node.bases)
    if not is_case and not node.name.startswith("Test"):
        return []
    found = []
    for test in tests:
        name = f"{node.name}.{test.name}"
        plain = plain_test(test, tree)
        unwatched = plain.refused or without_patches(plain.node)
        if isinstance(unwatched, str):
            found.append(_refused(name, test, unwatched))
            continue
        one = copy.copy(node)
        others = [part for part in node.body if part not in tests or part is test]
        one.body = [unwatched[0] if part is test else part for part in others]
        run = f"{node.name}('{test.name}').debug()" if is_case else f"{node.name}().{test.name}()"
        names = {part.name for part in methods}
        before = f"{node.name}.setUpClass()\n" if is_case and "setUpClass" in names else ""
        calls = ast.parse(before + run).body
        made = _test(name, test, [one, *calls], tree)
        made = replace(made, points=plain.points, hidden=plain.hidden)
        left_out = (*of_class.left_out, *plain.left_out)
        found.append(_Read(name, made, made.words, _unchecked(unwatched[1]), left_out))
    return found


def _test(name: str, node: Function, made: list[ast.stmt], tree: ast.Module) -> FileTest:
    own = "\n".join(ast.unparse(ast.fix_missing_locations(part)) for part in made)
    source = "\n\n".join([*_needed(own, tree), own])
    title = (ast.get_docstring(node) or "").split("\n")[0].strip()
    whole = ast.parse(source)
    bound = {name for node in ast.walk(whole) for name in _bound(node)}
    free = _inner_names(source) - bound - {"np", "numpy", *vars(builtins)}
    return FileTest(name, title, source, _words(whole), frozenset(free))


def _words(node: ast.AST) -> frozenset[str]:
    """Return the names and attributes below a node."""
    parts = [part for part in ast.walk(node) if isinstance(part, ast.Name | ast.Attribute)]
    return frozenset(part.id if isinstance(part, ast.Name) else part.attr for part in parts)


def _bound(node: ast.AST) -> set[str]:
    """Return the names that a node binds, in whatever scope."""
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.ExceptHandler):
        return {node.name} if node.name else set()
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    named = ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    return bound_names(node) if isinstance(node, named) else set()


def _needed(source: str, tree: ast.Module) -> list[str]:
    """Return the statements of the file that a test needs, in their order."""
    statements = [node for node in tree.body if not _is_test(node) and not _is_main(node)]
    texts = [ast.unparse(node) for node in statements]
    names = [bound_names(node) for node in statements]
    used: set[int] = set()
    pending = set(needed_names(source)) | _inner_names(source)
    while pending:
        name = pending.pop()
        for number, bound in enumerate(names):
            if name in bound and number not in used:
                used.add(number)
                pending |= set(needed_names(texts[number])) | _inner_names(texts[number])
    return [texts[number] for number in sorted(used)]


def _inner_names(source: str) -> set[str]:
    """Return every name that the source mentions, those inside of its functions as well."""
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def _is_test(node: ast.stmt) -> bool:
    if isinstance(node, Function):
        return node.name.startswith("test")
    return isinstance(node, ast.ClassDef) and bool(
        node.name.startswith("Test") or any(dotted(b).endswith("TestCase") for b in node.bases)
    )


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
