"""Mistakes in products: a factor left out, a transpose on the other side.

Only diagnosis uses them; see field_mistakes.py.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from grader.verify.code_words import code_of, is_number
from grader.verify.field_mistakes import FieldEdit, Surroundings


def lost_factors(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield a product of matrices without one factor: with square ones the shapes still fit."""
    factors = _factors(node)
    for number, factor in enumerate(factors):
        rest = [code_of(other) for n, other in enumerate(factors) if n != number]
        shown = _shown(factor, around)
        phrase = f"without the factor {shown}" if shown else "without one factor"
        new = " @ ".join(f"({code})" for code in rest)
        yield FieldEdit("matrix factor", new, f"{phrase} of a matrix product")


def lost_coefficients(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield c for 2 * n * c: a number and another factor are left out together."""
    factors = _multiplied(node)
    for number in factors:
        if len(factors) < 3 or not is_number(number):
            continue
        for other in factors:
            rest = [code_of(one) for one in factors if one not in (number, other)]
            if other is number or not rest:
                continue
            shown = _shown(other, around) or "another factor"
            new = " * ".join(f"({code})" for code in rest)
            phrase = f"without the factor {code_of(number)} and {shown}"
            yield FieldEdit("lost coefficient", new, f"{phrase} of a product")


def other_sides(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield A.T P A for A P A.T, and the reverse."""
    factors = _factors(node)
    if len(factors) < 3:
        return
    first, *inner, last = factors
    if not _are_transposes(first, last):
        return
    new = " @ ".join(f"({code_of(one)})" for one in (last, *inner, first))
    left, right = _shown(last, around), _shown(first, around)
    phrase = (
        f"with {left} on the left of a product and {right} on its right"
        if left and right
        else "with a transpose on the other side of a product"
    )
    yield FieldEdit("other side", new, phrase)


def early_sums(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield A (P + Q) A.T for A P A.T + Q."""
    match node:
        case ast.BinOp(left=product, op=(ast.Add() | ast.Sub()) as op, right=term):
            factors = _factors(product)
        case _:
            return
    if len(factors) != 3 or not _are_transposes(factors[0], factors[2]):
        return
    first, middle, last = (code_of(one) for one in factors)
    sign, word = ("+", "added") if isinstance(op, ast.Add) else ("-", "subtracted")
    shown = _shown(term, around) or "a term"
    new = f"({first}) @ (({middle}) {sign} ({code_of(term)})) @ ({last})"
    yield FieldEdit("added too early", new, f"with {shown} {word} before a product, not after it")


def _factors(node: ast.AST) -> list[ast.expr]:
    """Return the factors of a chain of matrix products; none for anything else."""
    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            return [*(_factors(left) or [left]), *(_factors(right) or [right])]
    return []


def _multiplied(node: ast.AST) -> list[ast.expr]:
    """Return the factors of a chain of products, element by element; none for anything else."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return [*(_multiplied(left) or [left]), *(_multiplied(right) or [right])]
    return []


def _are_transposes(a: ast.expr, b: ast.expr) -> bool:
    return code_of(a) in (f"{code_of(b)}.T", f"np.transpose({code_of(b)})") or code_of(b) in (
        f"{code_of(a)}.T",
        f"np.transpose({code_of(a)})",
    )


def _shown(node: ast.expr, around: Surroundings) -> str:
    """Return a quoted parameter, or its transpose; "" for a name that the student may not have."""
    match node:
        case ast.Name(id=name) if name in around.names:
            return f"`{name}`"
        case ast.Attribute(value=ast.Name(id=name), attr="T") if name in around.names:
            return f"`{name}.T`"
    return ""


PRODUCT_OPERATORS: tuple[Callable[[ast.AST, Surroundings], Iterator[FieldEdit]], ...] = (
    lost_factors,
    lost_coefficients,
    other_sides,
    early_sums,
)
