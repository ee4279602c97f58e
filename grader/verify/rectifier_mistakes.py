"""Mistakes about activations: another activation, a lost slope, or both together.

Only diagnosis uses them; see field_mistakes.py.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from grader.verify.code_words import code_of, is_number, last_name
from grader.verify.field_mistakes import SIGMOID, SOFTMAX, FieldEdit, Surroundings
from grader.verify.value_mistakes import WholeEdit

_SIGMOIDS = ("sigmoid", "sigma", "logistic", "expit")
_LEAKS = ("0.01", "0.1", "0.2")

_TOGETHER = (
    *(
        (
            f"np.where(({{0}}) > 0, ({{0}}), {leak} * ({{0}}))",
            f"np.where(({{0}}) > 0, 1.0, {leak})",
            f"with a leaky relu ({leak}) and its slope",
        )
        for leak in _LEAKS
    ),
    ("np.tanh({0})", "1 - np.tanh({0}) ** 2", "with tanh and its slope for relu"),
    (
        f"({SIGMOID})",
        f"({SIGMOID}) * (1 - {SIGMOID})",
        "with a sigmoid and its slope for relu",
    ),
    ("({0})", "1.0", "without relu, and without its slope"),
    ("np.log1p(np.exp({0}))", f"({SIGMOID})", "with softplus and its slope for relu"),
    ("np.abs({0})", "np.sign({0})", "with an absolute value and its slope for relu"),
)
"""An activation, its slope, and the words for both."""


def rectifiers(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield mistakes of relu and its slope: a leak, the sign, the mask for the value, ..."""
    a = _of_relu(node)
    if a:
        yield FieldEdit(
            "relu", f"(({a}) > 0) * 1.0", "with a mask of 0 and 1 for the value of relu"
        )
        for leak in _LEAKS:
            new = f"np.where(({a}) > 0, {a}, {leak} * ({a}))"
            yield FieldEdit("relu", new, f"with a leaky relu ({leak})")
        for new, phrase in (
            (SIGMOID.format(a), "with a sigmoid for relu"),
            (f"np.tanh({a})", "with tanh for relu"),
            (f"np.log1p(np.exp({a}))", "with softplus for relu"),
            (f"np.minimum({a}, 0)", "with the negative part for relu"),
            (f"np.abs({a})", "with an absolute value for relu"),
            (f"({a})", "without relu"),
        ):
            yield FieldEdit("relu", new, phrase)
    a = _masked(node)
    if not a:
        return
    for leak in _LEAKS:
        new = f"np.where(({a}) > 0, 1.0, {leak})"
        yield FieldEdit("relu's slope", new, f"with a leaky slope of relu ({leak})")
    for new, phrase in (
        (f"np.maximum({a}, 0)", "with the value of relu where its slope belongs"),
        (f"np.sign({a})", "with the sign where the slope of relu belongs"),
        (f"({a})", "with a value where a mask of 0 and 1 belongs"),
        (f"({a}) * (1 - ({a}))", "with the slope of a sigmoid's value for that of relu"),
        (f"{SIGMOID} * (1 - {SIGMOID})".format(a), "with the slope of a sigmoid for that of relu"),
        (f"1 - np.tanh({a}) ** 2", "with the slope of tanh for that of relu"),
        (f"1 - ({a}) ** 2", "with the slope of a tanh's value for that of relu"),
        ("1.0", "with the slope of relu left out"),
        (f"np.abs({a})", "with an absolute value where the slope of relu belongs"),
    ):
        yield FieldEdit("relu's slope", new, phrase)


def sigmoids(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield another activation for a call of a sigmoid, the notebook's own or a library's."""
    match node:
        case ast.Call(func=func, args=[x], keywords=[]) if last_name(func) in _SIGMOIDS:
            for new, phrase in (
                (SOFTMAX, "with a softmax for a sigmoid"),
                ("np.tanh({0})", "with tanh for a sigmoid"),
                ("np.maximum({0}, 0)", "with relu for a sigmoid"),
            ):
                yield FieldEdit("another activation", f"({new})".format(code_of(x)), phrase)


def activations(function: ast.AST, lines: Collection[int] | None) -> Iterator[WholeEdit]:
    """Yield another activation and its slope for relu, at every place of the function.

    If a function holds both the forward and the backward pass, a student changes both.
    """
    values: list[tuple[ast.expr, str]] = []
    masks: list[tuple[ast.expr, str]] = []
    covered: set[int] = set()
    for node in ast.walk(function):
        if not isinstance(node, ast.expr) or id(node) in covered:
            continue
        if lines is not None and node.lineno not in lines:
            continue
        for found, a in ((values, _of_relu(node)), (masks, _masked(node))):
            if a:
                found.append((node, a))
                covered |= {id(inner) for inner in ast.walk(node)}
                break
    if not values or not masks:
        return
    for value, slope, phrase in _TOGETHER:
        places = [(node, value.format(a)) for node, a in values]
        places += [(node, slope.format(a)) for node, a in masks]
        yield WholeEdit("another activation", places, f"relu -> `{value.format('a')}`", phrase)


def lost_masks(function: ast.AST, lines: Collection[int] | None) -> Iterator[WholeEdit]:
    """Yield the backward pass without relu's slope: d[a <= 0] = 0 is left out."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(
                targets=[
                    ast.Subscript(
                        slice=ast.Compare(ops=[ast.Lt() | ast.LtE()], comparators=[bound])
                    )
                ],
                value=ast.Constant(value=0 | 0.0),
            ) if _is_zero(bound) and (lines is None or node.lineno in lines):
                phrase = "with the slope of relu left out"
                yield WholeEdit(
                    "relu's slope", [(node, "pass")], f"`{code_of(node)}` left out", phrase
                )


def _of_relu(node: ast.AST) -> str:
    """Return a of max(a, 0) in one of its forms; "" for anything else."""
    match node:
        case ast.Call(func=func, args=[a, b]) if last_name(func) in ("maximum", "fmax"):
            inner = next((x for x, y in ((a, b), (b, a)) if _is_zero(y)), None)
            return code_of(inner) if inner is not None else ""
        case ast.Call(func=func, args=[condition, a, b]) if last_name(func) == "where":
            # In np.where(a > 0, d, 0) with another d, the condition is relu's slope.
            return code_of(a) if _masked(condition) == code_of(a) and _is_zero(b) else ""
        case ast.Call(func=func, args=[a, b, ast.Constant(value=None)]) if last_name(
            func
        ) == "clip" and _is_zero(b):
            return code_of(a)
        case ast.BinOp(left=a, op=ast.Mult(), right=b):
            for value, mask in ((a, b), (b, a)):
                if _masked(mask) == code_of(value):
                    return code_of(value)
    return ""


def _masked(node: ast.AST) -> str:
    """Return a of a > 0; "" for anything else."""
    match node:
        case ast.Compare(left=left, ops=[ast.Gt() | ast.GtE()], comparators=[bound]):
            return code_of(left) if _is_zero(bound) else ""
    return ""


def _is_zero(node: ast.expr) -> bool:
    return is_number(node) and getattr(node, "value", 1) == 0
