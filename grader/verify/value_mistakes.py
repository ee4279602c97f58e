"""One value of a function changed at every occurrence, or confused with another one.

A value is a parameter, a local name, an attribute of self or an item of a dictionary. Each
mistake is a list of replacements that are made together.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from grader.verify.code_words import Function, code_of, is_docstring, last_name, touches
from grader.verify.field_mistakes import ONE_HOT_OF_LARGEST, SIGMOID, SOFTMAX
from grader.verify.plain_numbers import is_plain, number_names

Places = Sequence[tuple[ast.expr | ast.stmt, str]]


@dataclass(frozen=True)
class WholeEdit:
    """A mistake at several places. phrase : see FieldEdit; text : for the instructor"""

    kind: str
    places: Places
    text: str
    phrase: str


_CHANGES: tuple[tuple[str, str, str], ...] = (
    ("scaled", "2 * ({0})", "doubled"),
    ("scaled", "0.5 * ({0})", "halved"),
    ("sign", "-({0})", "of the opposite sign"),
    ("power", "({0}) ** 2", "squared"),
    ("power", "np.sqrt({0})", "under a square root"),
    ("absolute", "np.abs({0})", "without its sign (absolute values)"),
    ("shifted", "({0}) + 1", "one too large"),
    ("shifted", "({0}) - 1", "one too small"),
    ("complement", "1 - ({0})", "taken from 1"),
    ("reciprocal", "1 / ({0})", "inverted (1 / value)"),
    ("function", "np.exp({0})", "as the argument of exp"),
    ("function", "np.log({0})", "as the argument of log"),
    ("function", SIGMOID, "behind a sigmoid"),
    ("function", "np.tanh({0})", "behind a tanh"),
    ("function", "np.maximum({0}, 0)", "behind a relu"),
    ("function", SOFTMAX, "behind a softmax"),
    ("mask", "(({0}) > 0) * 1.0", "as a mask of 0 and 1"),
    ("mask", "(({0}) > 0.5) * 1.0", "as a label (0 or 1)"),
    ("mask", ONE_HOT_OF_LARGEST, "as a one-hot vector of the largest"),
    ("sign", "np.sign({0})", "by its sign alone"),
    ("rounded", "np.round({0})", "rounded"),
    ("reduced", "np.sum({0})", "summed up"),
    ("reduced", "np.mean({0})", "averaged"),
    ("reduced", "np.sum({0}, axis=0)", "summed over its first axis"),
    ("reduced", "np.mean({0}, axis=0)", "averaged over its first axis"),
    ("reduced", "np.sum({0}, axis=-1)", "summed over its last axis"),
    ("mean", "({0}) / len({0})", "divided by its length"),
    ("mean", "({0}) * len({0})", "times its length"),
    ("normalised", "({0}) / np.sum({0})", "divided by its sum"),
    ("normalised", "({0}) / np.linalg.norm({0})", "divided by its norm"),
    ("centred", "({0}) - np.mean({0}, axis=0, keepdims=True)", "centred along its first axis"),
    ("centred", "({0}) - np.mean({0}, axis=-1, keepdims=True)", "centred along its last axis"),
    ("transposed", "np.transpose({0})", "transposed"),
    ("flipped", "np.flip({0})", "flipped along all axes"),
    ("flipped", "({0})[::-1]", "in reversed order"),
    ("flipped", "np.flip({0}, -1)", "flipped along its last axis"),
    ("first", "({0})[:1]", "of the first example alone"),
    ("first", "({0})[:-1]", "without the last element"),
    ("constant", "np.zeros_like({0})", "as zeros"),
    ("constant", "np.ones_like({0})", "as ones"),
    ("sorted", "np.sort({0})", "sorted"),
    ("shifted in place", "np.roll({0}, 1)", "moved by one place"),
    ("shifted in place", "np.roll({0}, -1)", "moved back by one place"),
)

_BUILTINS = frozenset(dir(builtins))
_AT_ONE_PLACE = (
    "power",
    "absolute",
    "shifted",
    "complement",
    "scaled",
    "function",
    "transposed",
    "mask",
    "sign",
    "flipped",
    "reduced",
)


_OF_ARRAYS = frozenset(
    (
        *("reduced", "mean", "normalised", "centred", "transposed", "flipped", "first"),
        *("sorted", "shifted in place"),
    )
)
"""Changes that have no effect on a single number, or raise."""
_OF_ROWS = frozenset((SOFTMAX, ONE_HOT_OF_LARGEST))
"""Changes that are always 1 for a single number."""


def _changes_of(node: ast.expr, numbers: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the possible changes of a value. numbers : names of single numbers"""
    plain = is_plain(node, numbers)
    for kind, form, phrase in _CHANGES:
        if not (plain and (kind in _OF_ARRAYS or form in _OF_ROWS)):
            yield kind, form, phrase


def whole_edits(
    function: Function,
    source: str,
    lines: Collection[int] | None,
    visible: Collection[str],
    *,
    parameters: bool = True,
) -> Iterator[WholeEdit]:
    """Yield the mistakes of the function in `source`.

    lines : lines that may change; None for all
    visible : names that the template shows to students
    parameters : whether parameters are changed as well
    """
    numbers = number_names(function)
    if parameters:
        yield from _parameters(function, source, lines, numbers)
    yield from _locals(function, lines, visible, numbers)
    yield from _single_places(function, lines, visible, numbers)
    yield from _taken_for_another(function, lines, visible)


def visible_names(function: Function, lines: Collection[int] | None) -> set[str]:
    """Return the names in the function outside its regions: students know them."""
    names = {argument.arg for argument in _arguments(function)}
    for node in ast.walk(function):
        if isinstance(node, ast.Name | ast.Attribute) and not (
            lines is None or node.lineno in lines
        ):
            names.add(last_name(node))
    return names


def _arguments(function: Function) -> list[ast.arg]:
    a = function.args
    return [x for x in (*a.posonlyargs, *a.args, *a.kwonlyargs) if x.arg not in ("self", "cls")]


def _value(name: str, visible: Collection[str]) -> str:
    """Return the words for a value: its name if the template shows it."""
    return f"`{name}`" if name in visible else "one of its values"


def _parameters(
    function: Function,
    source: str,
    lines: Collection[int] | None,
    numbers: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield changes of each parameter, and of each name that the template sets, at the start."""
    body = [s for s in function.body if not is_docstring(s)]
    inside = [s for s in body if lines is None or touches(s, lines)]
    if not inside:
        return
    for name in [argument.arg for argument in _arguments(function)]:
        yield from _changed_before(body[0], name, source, numbers)
    given = {
        target.id
        for statement in body[: body.index(inside[0])]
        if isinstance(statement, ast.Assign)
        for whole in statement.targets
        for target in (whole.elts if isinstance(whole, ast.Tuple) else [whole])
        if isinstance(target, ast.Name)
    }
    for name in sorted(given):
        yield from _changed_before(inside[0], name, source, numbers)


def _changed_before(
    statement: ast.stmt, name: str, source: str, numbers: Collection[str]
) -> Iterator[WholeEdit]:
    segment = ast.get_source_segment(source, statement) or ""
    indent = " " * statement.col_offset
    for kind, form, phrase in _changes_of(ast.Name(name), numbers):
        new = form.format(name)
        yield WholeEdit(
            kind,
            [(statement, f"{name} = {new}\n{indent}{segment}")],
            f"`{name}` taken as `{new}`",
            f"with `{name}` {phrase}",
        )


def _locals(
    function: Function,
    lines: Collection[int] | None,
    visible: Collection[str],
    numbers: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield changes of the value of an assignment, a return or an augmented assignment."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign | ast.Return | ast.AugAssign) or node.value is None:
            continue
        if lines is not None and node.lineno not in lines:
            continue
        if isinstance(node.value, ast.Tuple):
            values = [(value, "one of its results") for value in node.value.elts]
        else:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
            if isinstance(node, ast.AugAssign):
                target = node.target
            shown = code_of(target) if target is not None else "its result"
            name = last_name(target) if target is not None else ""
            if target is None:
                words = "its result"
            elif name in visible or shown.startswith("self."):
                words = f"`{shown}`"
            else:
                words = "one of its values"
            if isinstance(node, ast.AugAssign):
                words = f"the change of {words}"
            values = [(node.value, words)]
        for value, words in values:
            for kind, form, phrase in _changes_of(value, numbers):
                new = form.format(code_of(value))
                text = f"`{code_of(value)}` taken as `{new}`"
                yield WholeEdit(kind, [(value, new)], text, f"with {words} {phrase}")


def _single_places(
    function: Function,
    lines: Collection[int] | None,
    visible: Collection[str],
    numbers: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield changes of one occurrence of a value."""
    for node in _loads(function, lines):
        if isinstance(node, ast.Name) and node.id in ("np", "self"):
            continue
        name = last_name(node) or code_of(node)
        for kind, form, phrase in _changes_of(node, numbers):
            if kind in _AT_ONE_PLACE:
                new = form.format(code_of(node))
                text = f"`{code_of(node)}` taken as `{new}` in line {node.lineno}"
                words = f"with {_value(name, visible)} {phrase} in one place"
                yield WholeEdit(kind, [(node, new)], text, words)


def _taken_for_another(
    function: Function,
    lines: Collection[int] | None,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield a value replaced by another of its kind: in one place, everywhere, or swapped."""
    places: dict[str, dict[str, list[ast.expr]]] = {}
    for node in _loads(function, lines):
        code = code_of(node)
        if code in ("np", "self"):
            continue
        places.setdefault(_family(node), {}).setdefault(code, []).append(node)
    parameters: dict[str, list[ast.expr]] = {a.arg: [] for a in _arguments(function)}
    places["name"] = parameters | places.get("name", {})
    for family in places.values():
        for a, where in family.items():
            for b in family:
                if a == b:
                    continue
                known = _short(a) in visible and _short(b) in visible
                phrase = (
                    f"with `{b}` in the place of `{a}`"
                    if known
                    else "with one value in the place of another"
                )
                for node in where:
                    text = f"`{b}` for `{a}` in line {node.lineno}"
                    yield WholeEdit("value for another", [(node, b)], text, phrase)
                if len(where) > 1:
                    yield WholeEdit(
                        "value for another",
                        [(node, b) for node in where],
                        f"`{b}` for `{a}` everywhere",
                        f"{phrase} everywhere",
                    )
                if a < b and where and family[b]:
                    phrase = f"with `{a}` and `{b}` swapped" if known else "with two values swapped"
                    swapped = [(node, b) for node in where] + [(node, a) for node in family[b]]
                    yield WholeEdit("values swapped", swapped, f"`{a}` and `{b}` swapped", phrase)


def _short(code: str) -> str:
    return code.rpartition(".")[2].partition("[")[0] or code


def _family(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return "name"
    if isinstance(node, ast.Attribute):
        return f"{code_of(node.value)}."
    assert isinstance(node, ast.Subscript)
    return f"{code_of(node.value)}["


def _loads(function: Function, lines: Collection[int] | None) -> Iterator[ast.expr]:
    """Yield the places where a value is read: names, attributes of self, items by a string."""
    called = {id(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)}
    owners = {
        id(node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in ("np", "self")
    }
    own = {argument.arg for argument in _arguments(function)}
    own |= {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    for node in ast.walk(function):
        if not isinstance(node, ast.expr) or id(node) in called or id(node) in owners:
            continue
        if isinstance(node, ast.Name) and node.id in _BUILTINS - own:
            continue  # the float of dtype=float is not a value
        if lines is not None and node.lineno not in lines:
            continue
        match node:
            case ast.Name(ctx=ast.Load()):
                yield node
            case ast.Attribute(ctx=ast.Load(), value=ast.Name(id="self")):
                yield node
            case ast.Subscript(ctx=ast.Load(), slice=ast.Constant(value=str())):
                yield node
