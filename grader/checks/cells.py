"""Runs a course's own test cells without changes: asserts, or examples with their output.

The cell runs here, beside the checks. A name that the cell doesn't define is the student's: a
function is called in the student's process, a variable is fetched from there.
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

from grader.checks import in_place
from grader.checks.closeness import assert_close
from grader.checks.compared import Compared, compared_in
from grader.checks.showing import describe_type, show, type_name
from grader.diagnosis.wording import TRY_BY_HAND
from grader.errors import CheckFailed, StudentFault, as_raised

_FILE = "<test cell>"
_LONGEST = 160
_SAYS_NOTHING = frozenset(("the result is wrong", "every element of the result is wrong"))
# What numpy.testing says; the test's own words stand between its head and its figures.
_NUMPYS = re.compile(
    r"\s*(?:Not equal to tolerance|Arrays are not|Items are not equal)[^\n]*\n?(?P<own>.*?)\s*"
    r"(?:Mismatched elements|ACTUAL:|nan location|\(shapes|$)",
    re.DOTALL,
)
_UNCHANGED = (
    "The function left this argument as it was. `a = a - b` makes a new array: change the given "
    "one by `a -= b` or `a[:] = ...`."
)
AUTOTEST = "autotest"
"""The function that a cell calls with values that must equal the solution's."""


def run_cell(
    student: Any,
    source: str,
    *,
    names: Mapping[str, object] | None = None,
    output: str | None = None,
    reference: Any = None,
) -> dict[str, Any]:
    """Return what the cell defines; raise CheckFailed if one of its asserts fails.

    A statement that can't use a student's value (None + 1) is a failure, too.

    student : the fixture, or any object that has the names as attributes
    names : other names that the cell uses, {"pd": pd}; np and numpy are numpy
    output : the expected output: the text that the cell prints, then the value of its last line, as
        a notebook shows them; None accepts any. "..." matches anything, as in doctest
    reference : the fixture, for a cell with `autotest(f(1), f(2))`: the cell runs with the solution
        as well, and each value must have the same kind and be equal, numbers to six digits
    If the cell deletes or replaces a student's function, the student's code sees that, too.
    A statement that is a call alone, `sort_rows(A)`, changes A as it would in one process. What the
    cell changes in `model.params`, a dict or an array, the student's object sees.
    Builtins are Python's own, even if the student redefines their names.
    """
    names = dict(names or {})
    if reference is not None:
        names[AUTOTEST] = _compared_with(iter(_solution_values(reference, source, names)))
    tree = ast.parse(source, _FILE)
    last = None
    if output is not None and tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    scope = _Names(student, names)
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        if mirrored := getattr(type(student), "__mirrored__", None):
            stack.enter_context(mirrored(student))
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
    """Raise CheckFailed if one of the `>>>` examples in a docstring gives another result.

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
    """The cell's globals: first its own names, then those given to it, then the student's."""

    def __init__(self, student: Any, given: Mapping[str, object]) -> None:
        self.effects = in_place.Effects()
        own = {"__builtins__": builtins, "np": np, "numpy": np}
        super().__init__(own | {in_place.NAME: self.effects.call} | dict(given))
        self._student = student
        self._given = frozenset(self)
        self._deleted: set[str] = set()

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        # In a single process the student's code would call the new function, so it must here, too.
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

    def repeated(self) -> contextlib.AbstractContextManager[Callable[[], bool]]:
        """Bound what is asked again, to explain a failure; see Student.__repeated__."""
        repeated = getattr(type(self._student), "__repeated__", None)
        if repeated is None:
            return contextlib.nullcontext(lambda: False)
        bounded: contextlib.AbstractContextManager[Callable[[], bool]] = repeated(self._student)
        return bounded

    def own(self) -> dict[str, Any]:
        """Return the names that the cell itself has bound."""
        return {
            name: value
            for name, value in self.items()
            if name not in self._given and not name.startswith("@")
        }


def _undefined(name: str) -> Callable[..., Any]:
    """Return the stand-in for a deleted name: a call of it raises NameError."""

    def call(*_: object, **__: object) -> Any:
        raise NameError(f"name {name!r} is not defined")

    return call


def _solution_values(reference: Any, source: str, names: Mapping[str, object]) -> list[Any]:
    """Return the solution's values in the cell's calls of `autotest`."""
    values: list[Any] = []
    # The cell may expect an error of the solution: `except ValueError` has to see it.
    wire = reference._wire if hasattr(type(reference), "_wire") else None
    was = getattr(wire, "is_reference", False)
    try:
        if wire is not None:
            wire.is_reference = False
        run_cell(reference, source, names={**names, AUTOTEST: lambda *more: values.extend(more)})
    except (CheckFailed, StudentFault) as error:
        raise RuntimeError(f"the cell fails with the solution: {error}") from error
    finally:
        if wire is not None:
            wire.is_reference = was
    return values


def _compared_with(expected: Iterator[Any]) -> Callable[..., None]:
    """Return the `autotest` that compares its values with the solution's."""

    def autotest(*values: Any) -> None:
        for value in values:
            _require_same(value, next(expected, None))

    return autotest


def _require_same(got: Any, expected: Any) -> None:
    """Raise CheckFailed if a value has another kind than the solution's, or isn't equal to it."""
    kinds = [_kind(value) for value in (got, expected)]
    if kinds[0] != kinds[1]:
        raise CheckFailed(f"got {describe_type(got)}, expected {describe_type(expected)}")
    if kinds[1] == "numbers":
        assert_close(got, expected, rtol=1e-6, atol=1e-9, noun="a value")
    elif kinds[1] == "sequence":
        if len(got) != len(expected):
            raise CheckFailed(f"got {len(got)} values, expected {len(expected)}")
        for one, other in zip(got, expected, strict=True):
            _require_same(one, other)
    elif kinds[1] == "dict":
        if list(map(repr, got)) != list(map(repr, expected)):
            raise CheckFailed("a dict has the wrong keys")
        for key in expected:
            _require_same(got[key], expected[key])
    elif not bool(np.all(got == expected)):
        raise CheckFailed("a value is wrong", expected=show(expected), got=show(got))


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
    """Return the tree with calls that change their arguments, and asserts that show their sides.

    The sides are shown if pytest is installed.
    """
    tree = in_place.Rewriter().visit(tree)
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
        # Also as locals: only then Python calls __missing__ for an undefined global.
        with as_raised():
            return eval(code, scope, scope)
    except (CheckFailed, StudentFault):  # a student's error may be an AssertionError, too
        raise
    except AssertionError as error:
        raise _failure(error, source, scope) from error
    except _OF_A_VALUE as error:
        if isinstance(
            error.__cause__, StudentFault
        ):  # the student's code called a check's function
            raise
        raise _unusable(error, source, scope) from error


# An expression raises these for a value of a wrong kind, such as None. A NameError is not among
# them: it may be a typo in the cell.
_OF_A_VALUE = (
    TypeError, ValueError, AttributeError, LookupError, ArithmeticError, StopIteration
)  # fmt: skip


def _compared(error: Exception, source: str, scope: _Names) -> Compared | None:
    """Return the values that the failing statement compares; None if that would take too long."""
    with scope.repeated() as is_too_much:
        compared = compared_in(error, source, _FILE)
        return None if is_too_much() else compared


def _unusable(error: Exception, source: str, scope: _Names) -> CheckFailed:
    """Return the failure of a test that can't use the value that it got."""
    none = "NoneType" in str(error) or "None" in str(error).split()
    compared = None if none else _compared(error, source, scope)
    found = compared.diagnosis if compared is not None else None
    if found is not None and compared is not None and np.size(compared.expected) > 1:
        # Two arrays that can't be compared: their difference says more than numpy's error.
        return CheckFailed(
            f"a test of this cell doesn't hold: {found.problem}",
            called=_statement_of(error, source),
            expected=_shortened(_without_tolerance(found.expected), 300),
            got=_shortened(found.got, 300),
            hint=found.hint if found.hint != TRY_BY_HAND else "",
        )
    return CheckFailed(
        f"a test of this cell can't use a value that it got: {type(error).__name__}",
        called=_statement_of(error, source),
        where=_shortened(" ".join(str(error).split()), 300),
        hint="A value is None: does a function lack its return?" if none else "",
    )


def _statement_of(error: Exception, source: str) -> str:
    """Return the cell's statement that raised the exception, in backquotes."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    return f"`{_statement(source, lines[-1])}`" if lines else ""


def _failure(error: AssertionError, source: str, scope: _Names) -> CheckFailed:
    """Return the failure of an assert: the statement, both sides, its own message, the mistake."""
    # "own words\nassert 3 == 4\n +  where 3 = f(2)", or one of the two alone.
    own, assertion, sides = f"\n{error}".partition("\nassert ")
    sides = re.sub(r"<\w+ of the student's process>", "<student's>", sides if assertion else "")
    compared = _compared(error, source, scope)
    found = compared.diagnosis if compared is not None else None
    where = " ".join(own.split())
    problem, hint = "a test of this cell doesn't hold", ""
    expected, got = "", " ".join(sides.split("\n")[0].split())
    if found is not None and compared is not None:
        if numpys := _NUMPYS.match(own):
            where = " ".join(numpys["own"].split()) or _without_tolerance(found.where)
        if numpys or got in ("False", "np.False_"):  # what the comparison returned says less
            expected, got = _without_tolerance(found.expected), found.got
        said = found.problem if found.problem not in _SAYS_NOTHING else ""
        if any(compared.got is array for array in scope.effects.unchanged):
            hint = _UNCHANGED
        elif np.size(compared.expected) > 1:
            problem += f": {said}" if said else ""
            hint = found.hint if found.hint != TRY_BY_HAND else ""
        else:
            # Of a single number this tells the expected one: a hidden check must not.
            where = where or said
    return CheckFailed(
        problem,
        called=_statement_of(error, source),
        expected=_shortened(expected, 300),
        got=_shortened(got, 300),
        where=_shortened(where, 300),
        hint=hint,
    )


def _statement(source: str, line: int) -> str:
    """Return the innermost statement that covers a line, on one line."""
    found = ""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno):
            found = ast.get_source_segment(source, node) or found
    return _shortened(" ".join(found.split()), _LONGEST)


def _compare(printed: str, wanted: str, source: str) -> None:
    """Raise CheckFailed if the output isn't the expected one; blanks at line ends don't matter."""
    checker = doctest.OutputChecker()
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    if checker.check_output(_plain(wanted), _plain(printed), flags):
        return
    raise CheckFailed(
        "the output is not the expected one",
        called=f"`{_shortened(' '.join(source.split()), _LONGEST)}`",
        expected=_shortened(wanted.strip(), 300),
        got=_shortened(printed.strip(), 300) or "nothing",
    )


def _plain(text: str) -> str:
    """Return the output with numpy's numbers written like Python's, as numpy 1 wrote them."""
    text = re.sub(r"\bnp\.(?:float|int|uint|longdouble)\d*\(([^()]*)\)", r"\1", text)
    text = re.sub(r"\bnp\.(True|False)_", r"\1", text)
    return text.strip("\n") + "\n" if text.strip() else ""


def _without_tolerance(text: str) -> str:
    """Return a finding's text without its tolerance: the course's own test has another one."""
    return re.sub(r" \(tolerance [^()]*\)", "", text)


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
