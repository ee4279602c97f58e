"""Mistakes at two places of a function at once: results swapped, rows for columns.

Only diagnosis uses them. Each changes a function's own statements: before the first, after the
last, or in two of them.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Collection, Iterator

from grader.verify.array_mistakes import DECAYS
from grader.verify.bias_mistakes import penalised_biases
from grader.verify.code_words import Function, code_of, is_docstring
from grader.verify.field_mistakes import SIGMOID, SOFTMAX
from grader.verify.statement_mistakes import returned_names
from grader.verify.value_mistakes import WholeEdit

_MOST = 4
"""Only the first parameters and results are tried."""


def paired_edits(
    function: Function,
    source: str,
    lines: Collection[int] | None,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield the mistakes of the function in `source`; lines, visible : see whole_edits"""
    inside = [
        statement
        for statement in function.body
        if not isinstance(statement, ast.Return)
        and not is_docstring(statement)
        and (lines is None or statement.lineno in lines)
    ]
    if not inside:
        return
    results = [name for name in _assigned(inside) if name in returned_names(function)][:_MOST]
    parameters = [a.arg for a in function.args.args if a.arg not in ("self", "cls")][:_MOST]
    yield from _swapped(results, inside, source, visible)
    yield from _rows_for_columns(parameters, results, inside, source)
    yield from _taken_from(parameters, results, inside, source, visible)
    yield from _added(parameters, results, inside, source, visible)
    yield from _both_signs(parameters, results, inside, source, visible)
    yield from _other_functions(parameters, results, inside, source)
    yield from penalised_biases(inside, visible)
    yield from _labels_marked(inside)
    yield from _in_one_statement(parameters, inside, visible)
    yield from _without_decay(inside)
    yield from _sums_for_means(function, lines)


def _assigned(statements: Collection[ast.stmt]) -> list[str]:
    """Return the names that the statements assign, in order."""
    stored = [
        node
        for statement in statements
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    return list(dict.fromkeys(node.id for node in stored))


def _swapped(
    results: list[str], inside: list[ast.stmt], source: str, visible: Collection[str]
) -> Iterator[WholeEdit]:
    for a, b in itertools.combinations(results, 2):
        known = a in visible and b in visible
        phrase = f"with `{a}` and `{b}` swapped" if known else "with two of its results swapped"
        places = [(inside[-1], _with_more(inside[-1], source, after=f"{a}, {b} = {b}, {a}"))]
        yield WholeEdit("results swapped", places, f"`{a}` and `{b}` swapped at the end", phrase)


def _rows_for_columns(
    parameters: list[str], results: list[str], inside: list[ast.stmt], source: str
) -> Iterator[WholeEdit]:
    for name, result in itertools.product(parameters, results):
        before, after = f"{name} = np.transpose({name})", f"{result} = np.transpose({result})"
        places = _around(inside, source, before=before, after=after)
        text = f"`{name}` and `{result}` transposed"
        yield WholeEdit(
            "rows for columns", places, text, f"with the rows of `{name}` for its columns"
        )


def _taken_from(
    parameters: list[str],
    results: list[str],
    inside: list[ast.stmt],
    source: str,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield the rest instead of the part: b - p for p."""
    for name, result in itertools.product(parameters, results):
        after = f"{result} = {name} - {result}"
        shown = f"`{result}`" if result in visible else "its result"
        places = [(inside[-1], _with_more(inside[-1], source, after=after))]
        yield WholeEdit(
            "rest", places, f"`{after}` at the end", f"with {shown} taken from `{name}`"
        )


def _added(
    parameters: list[str],
    results: list[str],
    inside: list[ast.stmt],
    source: str,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield f(x) + x for f(x)."""
    for name, result in itertools.product(parameters, results):
        after = f"{result} = {result} + {name}"
        shown = f"`{result}`" if result in visible else "its result"
        places = [(inside[-1], _with_more(inside[-1], source, after=after))]
        yield WholeEdit("added", places, f"`{after}` at the end", f"with `{name}` added to {shown}")


_OTHER_FUNCTIONS = (
    ("np.tanh({0})", "tanh({0})"),
    (SIGMOID, "the sigmoid of {0}"),
    ("np.maximum({0}, 0)", "relu({0})"),
    ("np.log1p(np.exp({0}))", "softplus({0})"),
    ("np.exp({0})", "exp({0})"),
    ("np.abs({0})", "the absolute value of {0}"),
    ("({0}) ** 2", "the square of {0}"),
    (SOFTMAX, "the softmax of {0}"),
    ("{0}", "{0} itself"),
    ("({0}).reshape(({0}).shape[1::-1] + ({0}).shape[2:])", "a reshape of {0}"),
)


def _other_functions(
    parameters: list[str], results: list[str], inside: list[ast.stmt], source: str
) -> Iterator[WholeEdit]:
    """Yield another well-known function: tanh(z) for sigmoid(z)."""
    if len(parameters) != 1:
        return
    (name,) = parameters
    for result in results:
        for form, words in _OTHER_FUNCTIONS:
            new = f"{result} = {form.format(f'np.asarray({name}, dtype=float)')}"
            places = [(inside[-1], _with_more(inside[-1], source, after=new))]
            phrase = f"with {words.format(name)} for its result"
            yield WholeEdit("another function", places, f"`{new}` at the end", phrase)


def _both_signs(
    parameters: list[str],
    results: list[str],
    inside: list[ast.stmt],
    source: str,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield -f(-x) for f(x)."""
    for name, result in itertools.product(parameters, results):
        before, after = f"{name} = -{name}", f"{result} = -{result}"
        places = _around(inside, source, before=before, after=after)
        shown = f"`{result}`" if result in visible else "its result"
        phrase = f"with the signs of `{name}` and of {shown} reversed"
        yield WholeEdit("both signs", places, f"`{before}`, `{after}`", phrase)


def _around(
    inside: list[ast.stmt], source: str, *, before: str, after: str
) -> list[tuple[ast.stmt, str]]:
    """Return the places of a change before the first statement and after the last one."""
    first, last = inside[0], inside[-1]
    if first is last:
        return [(first, _with_more(first, source, before=before, after=after))]
    return [
        (first, _with_more(first, source, before=before)),
        (last, _with_more(last, source, after=after)),
    ]


def _labels_marked(inside: list[ast.stmt]) -> Iterator[WholeEdit]:
    """Yield for onehot[y] = 1 and grad[y] -= 1: left out, or one place off."""
    for node in (node for statement in inside for node in ast.walk(statement)):
        match node:
            case ast.Assign(targets=[ast.Subscript(slice=index) as place], value=value):
                pass
            case ast.AugAssign(target=ast.Subscript(slice=index) as place, value=value):
                pass
            case _:
                continue
        if isinstance(index, ast.Slice | ast.Constant | ast.Tuple) or not _is_one(value):
            continue
        text = f"`{code_of(place)}` is not marked"
        phrase = "without the label: its one-hot vector is left out"
        yield WholeEdit("label left out", [(value, "0.0")], text, phrase)
        for shift in ("- 1", "+ 1"):
            key = f"({code_of(index)}) {shift}"
            text = f"`{code_of(place)}` marked at `{key}`"
            yield WholeEdit("label off by one", [(index, key)], text, "with the class off by one")


def _in_one_statement(
    parameters: list[str], inside: list[ast.stmt], visible: Collection[str]
) -> Iterator[WholeEdit]:
    """Yield a parameter that is 1 or replaced by another, at all places of one statement."""
    for statement in (node for whole in inside for node in ast.walk(whole)):
        if not isinstance(statement, ast.Assign | ast.AugAssign):
            continue
        loads: dict[str, list[ast.expr]] = {}
        for node in ast.walk(statement.value):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id != "np":
                loads.setdefault(node.id, []).append(node)
        for name, places in loads.items():
            if len(places) < 2:
                continue
            if name in parameters:
                text = f"`{name}` -> `1` in line {statement.lineno}"
                edits = [(node, "1") for node in places]
                yield WholeEdit("forgotten value", edits, text, f"without `{name}` in one step")
            for other in parameters:
                if other == name:
                    continue
                known = name in visible
                phrase = f"with `{other}` in the place of " + (
                    f"`{name}`" if known else "a new value"
                )
                text = f"`{other}` for `{name}` in line {statement.lineno}"
                edits = [(node, other) for node in places]
                yield WholeEdit("value for another", edits, text, f"{phrase} in one step")


def _without_decay(inside: list[ast.stmt]) -> Iterator[WholeEdit]:
    """Yield for rho s + (1 - rho) g: s + g, a sum over all steps."""
    nodes = [node for statement in inside for node in ast.walk(statement)]
    for decay in DECAYS:
        rests = [
            node
            for node in nodes
            if isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Sub)
            and _is_one(node.left)
            and code_of(node.right) in (decay, f"self.{decay}")
        ]
        within = {id(inner) for node in rests for inner in ast.walk(node)}
        alone = [
            node
            for node in nodes
            if isinstance(node, ast.Name | ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and code_of(node) in (decay, f"self.{decay}")
            and id(node) not in within
        ]
        if rests and alone:
            places = [(node, "1.0") for node in (*rests, *alone)]
            text = f"`{decay}` and `1 - {decay}` left out"
            yield WholeEdit("without decay", places, text, f"with a plain sum, without `{decay}`")


_COUNT = re.compile(r"m|n|N|len\(.*\)|.*\.shape\[0\]|.*\.size")
"""What a mean is divided by."""


def _sums_for_means(function: Function, lines: Collection[int] | None) -> Iterator[WholeEdit]:
    """Yield sums for all means: neither a cost nor its gradient is divided by a count."""
    places: list[tuple[ast.expr, str]] = []
    for node in ast.walk(function):
        if lines is not None and getattr(node, "lineno", 0) not in lines:
            continue
        match node:
            case ast.BinOp(left=sum_, op=ast.Div(), right=count) if _COUNT.fullmatch(
                code_of(count)
            ):
                places.append((node, code_of(sum_)))
            case ast.Call(func=ast.Attribute(value=of, attr="mean")):
                places.append((node.func, f"{code_of(of)}.sum"))
    if len({type(node) for node, _ in places}) < 2:
        return  # places of one kind are a repeated mistake
    text = f"sums for the means at {len(places)} places"
    yield WholeEdit("all means", places, text, "with sums in all places where means belong")


def _is_one(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value == 1


def _with_more(statement: ast.stmt, source: str, *, before: str = "", after: str = "") -> str:
    """Return a statement's text with a line before or after it, at the same indentation."""
    segment = ast.get_source_segment(source, statement) or ""
    indent = " " * statement.col_offset
    parts = [part for part in (before, segment, after) if part]
    return f"\n{indent}".join(parts)
