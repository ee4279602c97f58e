"""Mistakes of order and of parentheses: a step too early, a factor on one term, a copied line.

Only diagnosis uses them; see field_mistakes.py.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Collection, Iterator

from grader.verify.code_words import Function, code_of, is_number, last_name, summands
from grader.verify.field_mistakes import PENALTIES, RATES, FieldEdit, Surroundings
from grader.verify.value_mistakes import WholeEdit

_MOST_PLACES = 6
"""A mistake at more places of one function is not tried: it is no longer a habit."""


def parentheses(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for (a - b) / c and c * (a - b): only one term is divided or multiplied."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=a, op=(ast.Add() | ast.Sub()) as joined, right=b),
            op=(ast.Div() | ast.Mult()) as op,
            right=c,
        ):
            pass
        case ast.BinOp(
            left=c,
            op=ast.Mult() as op,
            right=ast.BinOp(left=a, op=(ast.Add() | ast.Sub()) as joined, right=b),
        ):
            pass
        case _:
            return
    sign = "+" if isinstance(joined, ast.Add) else "-"
    divided = isinstance(op, ast.Div)
    word, mark = ("division", "/") if divided else ("factor", "*")
    phrase = f"with a {word} of one term alone: parentheses are missing"
    first, second, other = f"({code_of(a)})", f"({code_of(b)})", f"({code_of(c)})"
    yield FieldEdit("parentheses", f"({first} {sign} {second} {mark} {other})", phrase)
    yield FieldEdit("parentheses", f"({first} {mark} {other} {sign} {second})", phrase)


def decays(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield a linear decay for a power; the decay of the new weights in w - lr (g + decay w)."""
    match node:
        case ast.BinOp(left=a, op=ast.Pow(), right=k) if not is_number(k):
            new = f"(1 - (1 - ({code_of(a)})) * ({code_of(k)}))"
            phrase = "with a linear decay in the place of a power"
            yield FieldEdit("linear decay", new, phrase)
        case ast.BinOp(
            left=w,
            op=ast.Sub(),
            right=ast.BinOp(
                left=rate,
                op=ast.Mult(),
                right=ast.BinOp(
                    left=gradient, op=ast.Add(), right=ast.BinOp(left=decay, op=ast.Mult())
                ),
            ),
        ) if last_name(rate) in RATES and last_name(decay) in PENALTIES:
            lr = code_of(rate)
            step = f"({code_of(w)} - {lr} * ({code_of(gradient)}))"
            phrase = "with the decay taken of the new value, after the step"
            yield FieldEdit(
                "decay after the step", f"{step} * (1 - {lr} * {code_of(decay)})", phrase
            )


def lines_of_matrices(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for the diagonal of a matrix: sums of its rows; for a trace: all elements."""
    match node:
        case ast.Call(func=func, args=[x]) if last_name(func) in ("diag", "diagonal"):
            phrase = "with sums of rows where the diagonal belongs"
            yield FieldEdit("diagonal", f"np.sum({code_of(x)}, axis=-1)", phrase)
        case ast.Call(func=func, args=[x]) if last_name(func) == "trace":
            yield FieldEdit("diagonal", f"np.sum({code_of(x)})", "with all elements in a trace")


def margins(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for log(1 + exp(a)): a hinge with a margin of 1."""
    match node:
        case ast.Call(func=func, args=[zero, a]) if last_name(func) == "logaddexp":
            if getattr(zero, "value", 1) == 0:
                phrase = "with a hinge loss (max(0, 1 + ...)) where the logistic loss belongs"
                yield FieldEdit("hinge", f"np.maximum(0, 1 + ({code_of(a)}))", phrase)


def ranges(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield a loop that ends two rounds early: the last round alone may have no effect."""
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[*start, stop]) if len(start) < 2:
            before = "".join(f"{code_of(part)}, " for part in start)
            phrase = "with a loop that ends too early"
            yield FieldEdit("early end", f"range({before}({code_of(stop)}) - 2)", phrase)


def orders(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield the reverse order of a sort; the mean, or the first, for the most frequent value."""
    match node:
        case ast.Call(func=func, args=[x, *_]) if last_name(func) in ("argsort", "sort"):
            more = "".join(f", {code_of(part)}" for part in (*node.args[1:], *node.keywords))
            phrase = "in the other order: the largest for the smallest"
            sign = "-" if last_name(func) == "sort" else ""
            new = f"({sign}{code_of(func)}(-({code_of(x)}){more}))"
            yield FieldEdit("other order", new, phrase)
        case ast.Call(
            func=ast.Attribute(value=ast.Call(func=func, args=[x, *_]), attr="argmax")
        ) if last_name(func) == "bincount":
            values = code_of(x)
            phrase = "with the mean class, rounded, where the most frequent one belongs"
            yield FieldEdit("most frequent", f"int(np.round(np.mean({values})))", phrase)
            phrase = "with the first one alone where the most frequent one belongs"
            yield FieldEdit("most frequent", f"({values})[0]", phrase)


def middles(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for (a + b) / 2: only a, or only b."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=a, op=ast.Add(), right=b),
            op=ast.Div(),
            right=ast.Constant(value=2 | 2.0),
        ):
            forms = [f"({code_of(a)})", f"({code_of(b)})"]
        case ast.BinOp(
            left=ast.BinOp(
                left=other, op=ast.Mult(), right=ast.BinOp(left=a, op=ast.Add(), right=b)
            ),
            op=ast.Div(),
            right=ast.Constant(value=2 | 2.0),
        ):
            forms = [f"({code_of(other)}) * ({code_of(one)})" for one in (a, b)]
        case ast.BinOp(
            left=ast.Constant(value=0.5),
            op=ast.Mult(),
            right=ast.BinOp(left=a, op=ast.Add(), right=b),
        ):
            forms = [f"({code_of(a)})", f"({code_of(b)})"]
        case _:
            return
    for new, which in zip(forms, ("first", "second"), strict=True):
        phrase = f"with the {which} of two values alone where their mean belongs"
        yield FieldEdit("one of two", new, phrase)


_OF_A_SUM = ("norm", "sqrt", "abs", "absolute", "exp", "log", "square")
"""Functions that are not additive: their value of a sum is not the sum of their values."""


def each_by_itself(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield a ** 2 - b ** 2 for (a - b) ** 2, and the difference of norms for a norm."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=a, op=(ast.Add() | ast.Sub()) as joined, right=b),
            op=ast.Pow(),
            right=k,
        ):
            form, what = f"({{}}) ** ({code_of(k)})", "a power"
        case ast.Call(
            func=func,
            args=[ast.BinOp(left=a, op=(ast.Add() | ast.Sub()) as joined, right=b), *rest],
        ) if last_name(func) in _OF_A_SUM:
            more = "".join(f", {code_of(one)}" for one in [*rest, *node.keywords])
            form, what = f"{code_of(func)}({{}}{more})", f"`{last_name(func)}`"
        case _:
            return
    if is_number(a) and is_number(b):
        return
    sign, whole = ("+", "sum") if isinstance(joined, ast.Add) else ("-", "difference")
    new = f"({form.format(code_of(a))} {sign} {form.format(code_of(b))})"
    phrase = f"with {what} taken of each term, not of their {whole}"
    yield FieldEdit("each by itself", new, phrase)
    if what == "`norm`":  # a length is not negative: many take the absolute value
        yield FieldEdit("each by itself", f"abs{new}", phrase)


ORDER_OPERATORS: tuple[Callable[[ast.AST, Surroundings], Iterator[FieldEdit]], ...] = (
    parentheses,
    decays,
    lines_of_matrices,
    margins,
    ranges,
    orders,
    middles,
    each_by_itself,
)


def ordered_edits(
    function: Function,
    source: str,
    lines: Collection[int] | None,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield the mistakes of the function in `source`; lines, visible : see whole_edits"""
    for first, second in _neighbours(function, lines):
        yield from _in_the_other_order(first, second, source, visible)
        yield from _copied(first, second, visible)
    yield from _rate_on_the_velocity(function, lines)
    yield from _terms_as_one(function, lines, visible)
    yield from _part_for_the_whole(function, lines)


def repeated_edits(
    single: Collection[tuple[ast.expr, FieldEdit]],
) -> Iterator[WholeEdit]:
    """Yield each mistake at all of its places at once: students repeat their mistakes.

    single : the mistakes of one function, at one place each
    """
    groups: dict[tuple[str, str], dict[int, tuple[ast.expr, str]]] = {}
    twice: set[tuple[str, str]] = set()
    for node, edit in single:
        key = edit.kind, edit.phrase
        group = groups.setdefault(key, {})
        if id(node) in group:
            twice.add(key)  # two forms at one place: it is unknown which belong together
        group[id(node)] = node, edit.new
    for (kind, phrase), group in groups.items():
        places = [*group.values()]
        if (kind, phrase) in twice or not 2 <= len(places) <= _MOST_PLACES:
            continue
        inside = {id(part) for node, _ in places for part in ast.walk(node) if part is not node}
        if any(id(node) in inside for node, _ in places):
            continue
        yield WholeEdit(kind, places, f"{kind} at {len(places)} places", phrase)


def all_signs(
    function: Function, lines: Collection[int] | None
) -> Iterator[tuple[ast.expr, FieldEdit]]:
    """Yield 1 + x for 1 - x at each place, for `repeated_edits`: one place alone is a mutant."""
    for node in ast.walk(function):
        if lines is not None and getattr(node, "lineno", 0) not in lines:
            continue
        match node:
            case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=right):
                new = f"(1 + ({code_of(right)}))"
                yield node, FieldEdit("sign", new, "with 1 + ... where 1 - ... belongs, everywhere")
            case ast.Call(func=func, args=[x]) if last_name(func) in ("abs", "absolute"):
                phrase = "with signs where absolute values belong, everywhere"
                yield node, FieldEdit("sign kept", f"({code_of(x)})", phrase)
            case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Add(), right=right):
                phrase = "without the 1 that is added, everywhere"
                yield node, FieldEdit("one left out", f"({code_of(right)})", phrase)
            case ast.Call() if any(keyword.arg == "axis" for keyword in node.keywords):
                yield from _other_axes(node)


def _other_axes(node: ast.Call) -> Iterator[tuple[ast.expr, FieldEdit]]:
    arguments = [code_of(argument) for argument in node.args]
    others = [code_of(keyword) for keyword in node.keywords if keyword.arg != "axis"]
    axis = next(keyword.value for keyword in node.keywords if keyword.arg == "axis")
    head = code_of(node.func)
    phrase = "over all elements where one axis belongs, everywhere"
    new = f"{head}({', '.join([*arguments, *others])})"
    yield node, FieldEdit("other axis everywhere", new, phrase)
    value = ast.unparse(axis)
    if value in ("0", "1", "-1"):
        other = "1" if value == "0" else "0"
        new = f"{head}({', '.join([*arguments, f'axis={other}', *others])})"
        phrase = "over the other axis, everywhere"
        yield node, FieldEdit("other axis everywhere", new, phrase)


def _part_for_the_whole(function: Function, lines: Collection[int] | None) -> Iterator[WholeEdit]:
    """Yield sum(d[:-1] * d[:-1]) for sum(d * d) if d[:-1] occurs elsewhere."""
    parts: dict[str, set[str]] = {}
    sliced: set[int] = set()
    for node in ast.walk(function):
        match node:
            case ast.Subscript(value=ast.Name(id=name) as whole, slice=ast.Slice()):
                parts.setdefault(name, set()).add(code_of(node))
                sliced.add(id(whole))
    for node in ast.walk(function):
        if not isinstance(node, ast.Call) or (lines is not None and node.lineno not in lines):
            continue
        for name, forms in parts.items():
            places = [
                one
                for one in ast.walk(node)
                if isinstance(one, ast.Name) and one.id == name and id(one) not in sliced
            ]
            for form in sorted(forms) if places else ():
                phrase = "with a part of its values where all of them belong, in one step"
                text = f"`{form}` for `{name}` in line {node.lineno}"
                yield WholeEdit("part for the whole", [(p, form) for p in places], text, phrase)


def _neighbours(
    function: Function, lines: Collection[int] | None
) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    for node in ast.walk(function):
        for name in ("body", "orelse"):
            body = getattr(node, name, None)
            if not isinstance(body, list):
                continue
            for first, second in itertools.pairwise(body):
                if all(
                    isinstance(one, ast.Assign | ast.AugAssign)
                    and (lines is None or one.lineno in lines)
                    for one in (first, second)
                ):
                    yield first, second


def _in_the_other_order(
    first: ast.stmt, second: ast.stmt, source: str, visible: Collection[str]
) -> Iterator[WholeEdit]:
    a, b = (_target_of(one) for one in (first, second))
    if a not in _names_in(second) and b not in _names_in(first):
        return  # their order does not matter
    known = all(_is_known(name, visible) for name in (a, b))
    phrase = f"with `{b}` set before `{a}`" if known else "with two steps in the other order"
    one, other = (ast.get_source_segment(source, each) or "pass" for each in (first, second))
    places = [(first, other), (second, one)]
    yield WholeEdit("order of statements", places, f"`{b}` set before `{a}`", phrase)


def _copied(first: ast.stmt, second: ast.stmt, visible: Collection[str]) -> Iterator[WholeEdit]:
    """Yield b = f(x) for b = f(y) below a = f(x): a line that was copied and not changed."""
    if not (isinstance(first, ast.Assign) and isinstance(second, ast.Assign)):
        return
    if isinstance(first.value, ast.Constant | ast.Name | ast.Tuple):
        return
    a, b = _target_of(first), _target_of(second)
    if a in _names_in(second) or isinstance(second.targets[0], ast.Tuple):
        return
    known = all(_is_known(name, visible) for name in (a, b))
    words = f"`{b}` computed as `{a}` is" if known else "one value computed as another one is"
    new, text = code_of(first.value), f"`{b}` computed as `{a}`"
    yield WholeEdit("copied line", [(second.value, new)], text, f"with {words}: a copied line")


def _rate_on_the_velocity(function: Function, lines: Collection[int] | None) -> Iterator[WholeEdit]:
    """Yield v = mu v + g, w - lr v for v = mu v - lr g, w + v: another convention of momentum."""
    for first, second in _neighbours(function, lines):
        match first, second:
            case (
                ast.Assign(
                    targets=[target],
                    value=ast.BinOp(
                        left=momentum,
                        op=ast.Sub(),
                        right=ast.BinOp(left=rate, op=ast.Mult(), right=gradient),
                    ) as velocity,
                ),
                ast.Assign(
                    value=ast.BinOp(left=w, op=ast.Add(), right=ast.Name() | ast.Attribute() as v)
                ),
            ) if last_name(rate) in RATES and code_of(v) == code_of(target):
                places = [
                    (velocity, f"{code_of(momentum)} + ({code_of(gradient)})"),
                    (second.value, f"{code_of(w)} - {code_of(rate)} * {code_of(v)}"),
                ]
                phrase = (
                    f"with `{last_name(rate)}` on the whole velocity, not on the gradient in it"
                )
                yield WholeEdit("rate on the velocity", places, "another convention", phrase)


def _terms_as_one(
    function: Function,
    lines: Collection[int] | None,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield for h d + h + m h + m: 1 for each summand that is a plain name."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign | ast.Return) or node.value is None:
            continue
        if lines is not None and node.lineno not in lines:
            continue
        bare = [term for term in summands(node.value) if isinstance(term, ast.Name)]
        if bare and len(bare) < len([*summands(node.value)]):
            shown = " and ".join(f"`{term.id}`" for term in bare)
            known = all(term.id in visible for term in bare)
            phrase = f"with 1 in the place of the term{'s' * (len(bare) > 1)} {shown}"
            yield WholeEdit(
                "term as one",
                [(term, "1") for term in bare],
                f"{shown} -> `1`",
                phrase if known else "with 1 in the place of a term",
            )


def _target_of(statement: ast.stmt) -> str:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if isinstance(statement, ast.AugAssign):
        target = statement.target
    while isinstance(target, ast.Subscript):
        target = target.value
    return code_of(target) if target is not None else ""


def _names_in(statement: ast.stmt) -> set[str]:
    """Return the names that a statement reads, with x for x += 1."""
    assert isinstance(statement, ast.Assign | ast.AugAssign)
    read = {
        code_of(node)
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    changes_target = isinstance(statement, ast.AugAssign) or isinstance(
        _first_target(statement), ast.Subscript
    )
    return read | ({_target_of(statement)} if changes_target else set())


def _first_target(statement: ast.Assign | ast.AugAssign) -> ast.expr:
    return statement.targets[0] if isinstance(statement, ast.Assign) else statement.target


def _is_known(name: str, visible: Collection[str]) -> bool:
    return name in visible or name.startswith("self.")
