"""Mistakes about biases: a penalty on them as on the weights, one bias for a whole layer.

Only diagnosis uses them; see field_mistakes.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Sequence

from grader.verify.code_words import code_of, last_name, summands
from grader.verify.field_mistakes import PENALTIES, FieldEdit, Surroundings
from grader.verify.value_mistakes import WholeEdit

_BIAS = re.compile(r"(?:b|c|bias|biases|intercept)_?\d*")
_WEIGHTS = re.compile(r"(?:.*_)?([WwVU]|weights?)(_?\d*)")
_IS_PENALTY = re.compile(r"l\d+|lam.*|reg.*|.*decay|mu|alpha|penalty|ridge")


def broadcast(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for X @ W + b: one number of b, their mean or their sum for the whole layer."""
    match node:
        case ast.BinOp(left=a, op=ast.Add(), right=b):
            pairs = ((a, b), (b, a))
        case _:
            return
    for product, bias in pairs:
        if not (_is_bias(bias) and _has_product(product)):
            continue
        code, whole = code_of(bias), code_of(product)
        name = _name_of(bias)
        for new, phrase in (
            (f"np.ravel({code})[0]", f"with the first number of `{name}` for all of them"),
            (f"np.ravel({code})[-1]", f"with the last number of `{name}` for all of them"),
            (f"np.mean({code})", f"with the mean of `{name}` for all of its numbers"),
            (f"np.sum({code})", f"with the sum of `{name}` for each of its numbers"),
        ):
            yield FieldEdit("one bias for all", f"{whole} + {new}", phrase)


def penalised_biases(inside: Sequence[ast.stmt], visible: Collection[str]) -> Iterator[WholeEdit]:
    """Yield the weights' penalty on the biases as well, one bias at a time and all at once."""
    listed = [*_in_steps(inside, visible), *_in_gradients(inside, visible)]
    for place, words, text in listed:
        phrase = f"with the penalty on {words}, too"
        yield WholeEdit("penalty on biases", [place], text, phrase)
    by_text: dict[int, tuple[ast.expr, str]] = {}
    for place, _, _ in listed:
        by_text.setdefault(id(place[0]), place)
    if len(by_text) > 1:
        text = f"a penalty at {len(by_text)} biases"
        phrase = "with the penalty on the biases, too"
        yield WholeEdit("penalty on biases", [*by_text.values()], text, phrase)


_Place = tuple[tuple[ast.expr, str], str, str]


def _in_steps(inside: Sequence[ast.stmt], visible: Collection[str]) -> Iterator[_Place]:
    """Yield b - lr (g_b + decay b): the weights' decay in the step of a bias."""
    steps = [node for statement in inside for node in ast.walk(statement)]
    penalties = {
        code_of(node)
        for node in steps
        if isinstance(node, ast.Name | ast.Attribute) and last_name(node) in PENALTIES
    }
    for node in steps:
        match node:
            case ast.BinOp(
                left=ast.Name() | ast.Attribute() as value,
                op=ast.Sub(),
                right=ast.BinOp(op=ast.Mult(), right=gradient),
            ):
                target = value
            case ast.AugAssign(
                target=ast.Name() | ast.Attribute() as value,
                op=ast.Sub(),
                value=ast.BinOp(op=ast.Mult(), right=gradient),
            ):
                target = value
            case _:
                continue
        for penalty in sorted(penalties):
            if penalty in code_of(gradient):
                continue
            new = f"({code_of(gradient)} + {penalty} * {code_of(target)})"
            yield _place(gradient, new, code_of(target), visible)


def _in_gradients(inside: Sequence[ast.stmt], visible: Collection[str]) -> Iterator[_Place]:
    """Yield for grad_W1 = ... + lam W1, grad_b1 = ...: the same term with b1 in grad_b1."""
    assigned = [
        (node.targets[0] if isinstance(node, ast.Assign) else node.target, node)
        for statement in inside
        for node in ast.walk(statement)
        if isinstance(node, ast.Assign | ast.AugAssign)
    ]
    last: dict[str, ast.Assign | ast.AugAssign] = {}
    for target, node in assigned:
        last[code_of(target)] = node
    for target, node in assigned:
        name = code_of(target)
        bias_name = _bias_for(name)
        if bias_name == name or bias_name not in last:
            continue
        for several in _penalty_terms(node.value):
            terms = []
            for term in several:
                weights = [n for n in ast.walk(term) if _is_weight(n)]
                new = code_of(term)
                for weight in weights:
                    new = new.replace(code_of(weight), _bias_for(code_of(weight)))
                terms.append(new)
            where = last[bias_name]
            added = " + ".join(terms)
            bias = next(
                _bias_for(code_of(n)) for term in several for n in ast.walk(term) if _is_weight(n)
            )
            yield _place(where.value, f"({code_of(where.value)} + {added})", bias, visible)


def _place(node: ast.expr, new: str, bias: str, visible: Collection[str]) -> _Place:
    known = bias.rpartition(".")[2] in visible or bias.startswith("self.")
    words = f"`{bias}`" if known else "what has no penalty (the biases)"
    return (node, new), words, f"`{code_of(node)}` -> `{new}`"


def _penalty_terms(value: ast.expr) -> Iterator[list[ast.expr]]:
    """Yield the penalty's summands: all of them together, then each of several."""
    found = [
        term
        for term in summands(value)
        if any(_is_weight(node) for node in ast.walk(term))
        and any(
            isinstance(node, ast.Name | ast.Attribute) and _IS_PENALTY.fullmatch(last_name(node))
            for node in ast.walk(term)
        )
    ]
    if found:
        yield found
    if len(found) > 1:
        yield from ([term] for term in found)


def _is_weight(node: ast.AST) -> bool:
    return bool(_WEIGHTS.fullmatch(_name_of(node)))


def _is_bias(node: ast.AST) -> bool:
    return bool(_BIAS.fullmatch(_name_of(node)))


def _name_of(node: ast.AST) -> str:
    """Return W1 of self.W1 and of params["W1"]."""
    match node:
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return last_name(node)


def _bias_for(code: str) -> str:
    """Return the name of a weight's bias: grad_b1 for grad_W1, p["b"] for p["W"]."""
    found = re.fullmatch(r"(.*?)(?:[WwVU]|weights?)(_?\d*['\"\]]*)", code)
    return f"{found[1]}b{found[2]}" if found else code


def _has_product(node: ast.expr) -> bool:
    return any(
        (isinstance(part, ast.BinOp) and isinstance(part.op, ast.MatMult))
        or (isinstance(part, ast.Call) and last_name(part.func) in ("dot", "matmul", "einsum"))
        for part in ast.walk(node)
    )
