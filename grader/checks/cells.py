"""Test cells as courses have them: asserts, or examples with what they print, run as they are.

The cell runs here, beside the checks. A name that it doesn't define is the student's: a function
is called in the student's process, a variable is fetched from there.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import doctest
import importlib
import io
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from grader.checks.closeness import assert_close
from grader.checks.showing import describe_type, show, type_name
from grader.errors import CheckFailed, StudentFault

_FILE = "<test cell>"
_LONGEST = 160
AUTOTEST = "autotest"
"""What a cell calls with values that are to be the solution's."""


def run_cell(
    student: Any,
    source: str,
    *,
    names: Mapping[str, object] | None = None,
    output: str | None = None,
    reference: Any = None,
) -> dict[str, Any]:
    """Return what the cell defines; raise CheckFailed where one of its asserts doesn't hold.

    Where a statement can't use a value of the student's (None + 1), that is a failure, too.

    student : the fixture, or any object that has the names as attributes
    names : what the cell uses beside the student's, by name: {"pd": pd}; np and numpy are numpy
    output : what the cell prints and, last, the value that it ends with, as a notebook shows them;
        None where that doesn't matter. "..." stands for anything, as in doctest
    reference : the fixture, for a cell with `autotest(f(1), f(2))`: the cell runs with the solution
        as well, and both give values of one kind that are equal, numbers to six digits
    A student's function that the cell deletes, or replaces by another, is so for the student's
    code, too. Builtins are Python's own, whatever the student calls so.
    """
    names = dict(names or {})
    if reference is not None:
        names[AUTOTEST] = _held_against(iter(_values_due(reference, source, names)))
    tree = ast.parse(source, _FILE)
    last = None
    if output is not None and tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    scope = _Names(student, names)
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        if output is not None:
            stack.enter_context(contextlib.redirect_stdout(printed))
        _execute(_rewritten(tree, source), source, scope)
        if last is not None:
            value = _execute(last, source, scope)
            printed.write("" if value is None else f"{value!r}\n")
    if output is not None:
        _compare(printed.getvalue(), output, source)
    return scope.own()


def run_examples(student: Any, text: str, *, names: Mapping[str, object] | None = None) -> None:
    """Raise CheckFailed where one of the `>>>` examples in a docstring gives something else.

    names : as for run_cell
    """
    scope = _Names(student, names or {})
    for example in doctest.DocTestParser().get_examples(text):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            tree = ast.parse(example.source, _FILE)
            if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
                value = _execute(ast.Expression(tree.body[0].value), example.source, scope)
                printed.write("" if value is None else f"{value!r}\n")
            else:
                _execute(tree, example.source, scope)
        _compare(printed.getvalue(), example.want, example.source)


class _Names(dict[str, Any]):
    """The cell's globals: its own names, then what it was given, then the student's."""

    def __init__(self, student: Any, given: Mapping[str, object]) -> None:
        super().__init__({"__builtins__": builtins, "np": np, "numpy": np} | dict(given))
        self._student = student
        self._given = frozenset(self)
        self._deleted: set[str] = set()

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        # In the course's own process it would be the one that the student's code calls.
        replaced = callable(value) and not isinstance(value, type) and self._is_students(name)
        if replaced or name in self._deleted:
            self._deleted.discard(name)
            self._put(name, value)

    def __delitem__(self, name: str) -> None:
        theirs = name not in self._deleted and self._is_students(name)
        if name in self:
            super().__delitem__(name)
        elif not theirs:
            raise KeyError(name)
        if theirs:
            self._deleted.add(name)
            self._put(name, _undefined(name))

    def _is_students(self, name: str) -> bool:
        has = getattr(type(self._student), "has", None)
        return bool(has(self._student, name)) if has else hasattr(self._student, name)

    def _put(self, name: str, value: Any) -> None:
        put = getattr(type(self._student), "__setitem__", None)
        if put is not None:
            put(self._student, name, value)
        else:
            setattr(self._student, name, value)

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name) or name.startswith("__") or name in self._deleted:
            raise KeyError(name)
        fetch = getattr(type(self._student), "value", None)
        if fetch is not None:
            return fetch(self._student, name)
        try:
            return getattr(self._student, name)
        except AttributeError:
            raise KeyError(name) from None

    def own(self) -> dict[str, Any]:
        """Return what the cell itself has bound."""
        return {
            name: value
            for name, value in self.items()
            if name not in self._given and not name.startswith("@")
        }


def _undefined(name: str) -> Callable[..., Any]:
    """Return what stands for a name that is gone: whoever calls it is told so."""

    def call(*_: object, **__: object) -> Any:
        raise NameError(f"name {name!r} is not defined")

    return call


def _values_due(reference: Any, source: str, names: Mapping[str, object]) -> list[Any]:
    """Return what the cell's autotests are given with the solution."""
    due: list[Any] = []
    # An error of the solution's may be what the cell looks for: `except ValueError` has to see it.
    wire = reference._wire if hasattr(type(reference), "_wire") else None
    was = getattr(wire, "is_reference", False)
    try:
        if wire is not None:
            wire.is_reference = False
        run_cell(reference, source, names={**names, AUTOTEST: lambda *values: due.extend(values)})
    except (CheckFailed, StudentFault) as error:
        raise RuntimeError(f"the cell fails with the solution: {error}") from error
    finally:
        if wire is not None:
            wire.is_reference = was
    return due


def _held_against(due: Iterator[Any]) -> Callable[..., None]:
    def autotest(*values: Any) -> None:
        for value in values:
            _require_same(value, next(due, None))

    return autotest


def _require_same(got: Any, due: Any) -> None:
    """Raise CheckFailed where a value isn't of the solution's kind, or isn't equal to it."""
    kinds = [_kind(value) for value in (got, due)]
    if kinds[0] != kinds[1]:
        raise CheckFailed(f"a value is {describe_type(got)} where {describe_type(due)} is due")
    if kinds[1] == "numbers":
        assert_close(got, due, rtol=1e-6, atol=1e-9, noun="a value")
    elif kinds[1] == "sequence":
        if len(got) != len(due):
            raise CheckFailed(f"{len(got)} values came where {len(due)} are due")
        for one, other in zip(got, due, strict=True):
            _require_same(one, other)
    elif kinds[1] == "dict":
        if list(map(repr, got)) != list(map(repr, due)):
            raise CheckFailed("a dict has other keys than are due")
        for key in due:
            _require_same(got[key], due[key])
    elif not bool(np.all(got == due)):
        raise CheckFailed("a value is another than is due", expected=show(due), got=show(got))


def _kind(value: Any) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "bool"
    if isinstance(value, (int, float, complex, np.number)) or (
        isinstance(value, np.ndarray) and value.dtype.kind in "biufc"
    ):
        return "numbers"
    if isinstance(value, (list, tuple)):
        return "sequence"
    return "dict" if isinstance(value, dict) else type_name(value)


def _rewritten(tree: ast.Module, source: str) -> ast.Module:
    """Return the tree with asserts that tell both of their sides, where pytest is at hand."""
    try:
        rewriting = importlib.import_module("_pytest.assertion.rewrite")
    except ImportError:
        return tree
    rewriting.rewrite_asserts(tree, source.encode())
    return tree


def _execute(tree: ast.Module | ast.Expression, source: str, scope: _Names) -> Any:
    mode = "exec" if isinstance(tree, ast.Module) else "eval"
    code = compile(tree, _FILE, mode, dont_inherit=True)
    try:
        # As locals too: a global that isn't there is looked for by __missing__ only so.
        return eval(code, scope, scope)
    except (CheckFailed, StudentFault):  # an error of the student's may be an AssertionError too
        raise
    except AssertionError as error:
        raise _failure(error, source) from error
    except _OF_A_VALUE as error:
        if isinstance(error.__cause__, StudentFault):  # of a function that the student's code calls
            raise
        raise _unusable(error, source) from error


# What an expression raises that meets a value of another kind, None say. A name that is not there
# may be misspelt in the cell: that one stays as it is.
_OF_A_VALUE = (
    TypeError, ValueError, AttributeError, LookupError, ArithmeticError, StopIteration
)  # fmt: skip


def _unusable(error: Exception, source: str) -> CheckFailed:
    """Return what is said where a test can't go on with the value that came."""
    none = "NoneType" in str(error) or "None" in str(error).split()
    return CheckFailed(
        f"a test of this cell can't use a value that it got: {type(error).__name__}",
        called=_statement_of(error, source),
        where=_shortened(" ".join(str(error).split()), 300),
        hint="A value is None: does a function lack its return?" if none else "",
    )


def _statement_of(error: Exception, source: str) -> str:
    """Return the cell's statement that an exception comes from, in backquotes."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f"`{_statement(source, lines[-1])}`" if lines else ""


def _failure(error: AssertionError, source: str) -> CheckFailed:
    """Return what an assert says: the statement, both sides, its own message."""
    # "own words\nassert 3 == 4\n +  where 3 = f(2)", or one of the two alone.
    own, assertion, sides = f"\n{error}".partition("\nassert ")
    sides = re.sub(r"<\w+ of the student's process>", "<student's>", sides if assertion else "")
    return CheckFailed(
        "a test of this cell doesn't hold",
        called=_statement_of(error, source),
        got=_shortened(" ".join(sides.split("\n")[0].split()), 300),
        where=_shortened(" ".join(own.split()), 300),
    )


def _statement(source: str, line: int) -> str:
    """Return the innermost statement that covers a line, on one line."""
    found = ""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            found = ast.get_source_segment(source, node) or found
    return _shortened(" ".join(found.split()), _LONGEST)


def _compare(printed: str, wanted: str, source: str) -> None:
    """Raise CheckFailed where the output isn't what was wanted, blanks at line ends apart."""
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if checker.check_output(_plain(wanted), _plain(printed), flags):
        return
    raise CheckFailed(
        "the output is not the one that was due",
        called=f"`{_shortened(' '.join(source.split()), _LONGEST)}`",
        expected=_shortened(wanted.strip(), 300),
        got=_shortened(printed.strip(), 300) or "nothing",
    )


def _plain(text: str) -> str:
    """Return an output in which a number of numpy's looks like one of Python's, as in numpy 1."""
    text = re.sub(r"\bnp\.(?:float|int|uint|longdouble)\d*\(([^()]*)\)", r"\1", text)
    text = re.sub(r"\bnp\.(True|False)_", r"\1", text)
    return text.strip("\n") + "\n" if text.strip() else ""


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
