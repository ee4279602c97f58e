"""Mistakes of order and of parentheses: a step too early, a factor on one term, a copied line.

They serve only diagnosis, like those of field_mistakes.py.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Collection, Iterator

from grader.verify.code_words import code_of, is_number, last_name, summands
from grader.verify.field_mistakes import PENALTIES, RATES, FieldEdit, Surroundings
from grader.verify.value_mistakes import WholeEdit

_MOST_PLACES = 6
"""Places of one repeated mistake: with more, it is not a habit of one function."""


def parentheses(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """(a - b) / c and c * (a - b): divided or multiplied is one term alone."""
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
    told = f"with a {word} of one term alone: parentheses are missing"
    first, second, other = f"({code_of(a)})", f"({code_of(b)})", f"({code_of(c)})"
    yield FieldEdit("parentheses", f"({first} {sign} {second} {mark} {other})", told)
    yield FieldEdit("parentheses", f"({first} {mark} {other} {sign} {second})", told)


def decays(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """A power as a linear decay; w - lr (g + decay w) that shrinks the new weights."""
    match node:
        case ast.BinOp(left=a, op=ast.Pow(), right=k) if not is_number(k):
            new = f"(1 - (1 - ({code_of(a)})) * ({code_of(k)}))"
            told = "with a linear decay in the place of a power"
            yield FieldEdit("linear decay", new, told)
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
            told = "with the decay taken of the new value, after the step"
            yield FieldEdit("decay after the step", f"{step} * (1 - {lr} * {code_of(decay)})", told)


def lines_of_matrices(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """The diagonal of a matrix: the sums of its rows, all of its elements."""
    match node:
        case ast.Call(func=func, args=[x]) if last_name(func) in ("diag", "diagonal"):
            told = "with sums of rows where the diagonal belongs"
            yield FieldEdit("diagonal", f"np.sum({code_of(x)}, axis=-1)", told)
        case ast.Call(func=func, args=[x]) if last_name(func) == "trace":
            yield FieldEdit("diagonal", f"np.sum({code_of(x)})", "with all elements in a trace")


def margins(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """log(1 + exp(a)): a hinge with a margin of 1."""
    match node:
        case ast.Call(func=func, args=[zero, a]) if last_name(func) == "logaddexp":
            if getattr(zero, "value", 1) == 0:
                told = "with a hinge loss (max(0, 1 + ...)) where the logistic loss belongs"
                yield FieldEdit("hinge", f"np.maximum(0, 1 + ({code_of(a)}))", told)


def ranges(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """A loop that ends two rounds early: where its last round does nothing, one is no mistake."""
    match node:
        case ast.Call(func=ast.Name(id="range"), args=[*start, stop]) if len(start) < 2:
            before = "".join(f"{code_of(part)}, " for part in start)
            told = "with a loop that ends too early"
            yield FieldEdit("early end", f"range({before}({code_of(stop)}) - 2)", told)


def orders(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Sorted the other way round; the most frequent value by its mean, or the first alone."""
    match node:
        case ast.Call(func=func, args=[x, *_]) if last_name(func) in ("argsort", "sort"):
            more = "".join(f", {code_of(part)}" for part in (*node.args[1:], *node.keywords))
            told = "in the other order: the largest for the smallest"
            sign = "-" if last_name(func) == "sort" else ""
            new = f"({sign}{code_of(func)}(-({code_of(x)}){more}))"
            yield FieldEdit("other order", new, told)
        case ast.Call(
            func=ast.Attribute(value=ast.Call(func=func, args=[x, *_]), attr="argmax")
        ) if last_name(func) == "bincount":
            values = code_of(x)
            told = "with the mean class, rounded, where the most frequent one belongs"
            yield FieldEdit("most frequent", f"int(np.round(np.mean({values})))", told)
            told = "with the first one alone where the most frequent one belongs"
            yield FieldEdit("most frequent", f"({values})[0]", told)


def middles(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """(a + b) / 2: one of the two alone."""
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
        told = f"with the {which} of two values alone where their mean belongs"
        yield FieldEdit("one of two", new, told)


_OF_A_SUM = ("norm", "sqrt", "abs", "absolute", "exp", "log", "square")
"""Functions of which the value at a sum is not the sum of the values."""


def each_by_itself(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """(a - b) ** 2 as a ** 2 - b ** 2; the norm of a difference as the difference of norms."""
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
    told = f"with {what} taken of each term, not of their {whole}"
    yield FieldEdit("each by itself", new, told)
    if what == "`norm`":  # a length is no negative number: many take it so
        yield FieldEdit("each by itself", f"abs{new}", told)


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
    function: ast.FunctionDef | ast.AsyncFunctionDef,
    source: str,
    lines: Collection[int] | None,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """Yield the mistakes of the function that `source` holds; lines, visible : as elsewhere."""
    for first, second in _neighbours(function, lines):
        yield from _in_the_other_order(first, second, source, visible)
        yield from _copied(first, second, visible)
    yield from _rate_on_the_velocity(function, lines)
    yield from _terms_as_one(function, lines, visible)
    yield from _part_for_the_whole(function, lines)


def repeated_edits(
    single: Collection[tuple[ast.expr, FieldEdit]],
) -> Iterator[WholeEdit]:
    """Yield each mistake made at all possible places, since a student often repeats a mistake.

    single : the mistakes of one function at one place each
    """
    groups: dict[tuple[str, str], dict[int, tuple[ast.expr, str]]] = {}
    twice: set[tuple[str, str]] = set()
    for node, edit in single:
        key = edit.kind, edit.told
        group = groups.setdefault(key, {})
        if id(node) in group:
            twice.add(key)  # two forms of it at one place: which belong together?
        group[id(node)] = node, edit.new
    for (kind, told), group in groups.items():
        places = [*group.values()]
        if (kind, told) in twice or not 2 <= len(places) <= _MOST_PLACES:
            continue
        inside = {id(part) for node, _ in places for part in ast.walk(node) if part is not node}
        if any(id(node) in inside for node, _ in places):
            continue
        yield WholeEdit(kind, places, f"{kind} at {len(places)} places", told)


def all_signs(
    function: ast.FunctionDef | ast.AsyncFunctionDef, lines: Collection[int] | None
) -> Iterator[tuple[ast.expr, FieldEdit]]:
    """Yield 1 - x as 1 + x at each place: for `repeated_edits` alone, one sign is a mutant."""
    for node in ast.walk(function):
        if lines is not None and getattr(node, "lineno", 0) not in lines:
            continue
        match node:
            case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=right):
                new = f"(1 + ({code_of(right)}))"
                yield node, FieldEdit("sign", new, "with 1 + ... where 1 - ... belongs, everywhere")
            case ast.Call(func=func, args=[x]) if last_name(func) in ("abs", "absolute"):
                told = "with signs where absolute values belong, everywhere"
                yield node, FieldEdit("sign kept", f"({code_of(x)})", told)
            case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Add(), right=right):
                told = "without the 1 that is added, everywhere"
                yield node, FieldEdit("one left out", f"({code_of(right)})", told)
            case ast.Call() if any(keyword.arg == "axis" for keyword in node.keywords):
                yield from _other_axes(node)


def _other_axes(node: ast.Call) -> Iterator[tuple[ast.expr, FieldEdit]]:
    arguments = [code_of(argument) for argument in node.args]
    others = [code_of(keyword) for keyword in node.keywords if keyword.arg != "axis"]
    axis = next(keyword.value for keyword in node.keywords if keyword.arg == "axis")
    head = code_of(node.func)
    told = "over all elements where one axis belongs, everywhere"
    new = f"{head}({', '.join([*arguments, *others])})"
    yield node, FieldEdit("other axis everywhere", new, told)
    value = ast.unparse(axis)
    if value in ("0", "1", "-1"):
        other = "1" if value == "0" else "0"
        new = f"{head}({', '.join([*arguments, f'axis={other}', *others])})"
        told = "over the other axis, everywhere"
        yield node, FieldEdit("other axis everywhere", new, told)


def _part_for_the_whole(
    function: ast.FunctionDef | ast.AsyncFunctionDef, lines: Collection[int] | None
) -> Iterator[WholeEdit]:
    """sum(d * d) as sum(d[:-1] * d[:-1]), where d[:-1] stands elsewhere."""
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
                told = "with a part of its values where all of them belong, in one step"
                text = f"`{form}` for `{name}` in line {node.lineno}"
                yield WholeEdit("part for the whole", [(p, form) for p in places], text, told)


def _neighbours(
    function: ast.FunctionDef | ast.AsyncFunctionDef, lines: Collection[int] | None
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
        return  # their order is free
    known = all(_is_known(name, visible) for name in (a, b))
    told = f"with `{b}` set before `{a}`" if known else "with two steps in the other order"
    one, other = (ast.get_source_segment(source, each) or "pass" for each in (first, second))
    places = [(first, other), (second, one)]
    yield WholeEdit("order of statements", places, f"`{b}` set before `{a}`", told)


def _copied(first: ast.stmt, second: ast.stmt, visible: Collection[str]) -> Iterator[WholeEdit]:
    """b = f(y) that was copied from a = f(x) and stayed f(x)."""
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


def _rate_on_the_velocity(
    function: ast.FunctionDef | ast.AsyncFunctionDef, lines: Collection[int] | None
) -> Iterator[WholeEdit]:
    """v = mu v - lr g, w + v: v = mu v + g, w - lr v, which is another convention."""
    for first, second in _neighbours(function, lines):
        match first, second:
            case (
                ast.Assign(
                    targets=[target],
                    value=ast.BinOp(
                        left=kept,
                        op=ast.Sub(),
                        right=ast.BinOp(left=rate, op=ast.Mult(), right=gradient),
                    ) as velocity,
                ),
                ast.Assign(
                    value=ast.BinOp(left=w, op=ast.Add(), right=ast.Name() | ast.Attribute() as v)
                ),
            ) if last_name(rate) in RATES and code_of(v) == code_of(target):
                places = [
                    (velocity, f"{code_of(kept)} + ({code_of(gradient)})"),
                    (second.value, f"{code_of(w)} - {code_of(rate)} * {code_of(v)}"),
                ]
                told = f"with `{last_name(rate)}` on the whole velocity, not on the gradient in it"
                yield WholeEdit("rate on the velocity", places, "another convention", told)


def _terms_as_one(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
    lines: Collection[int] | None,
    visible: Collection[str],
) -> Iterator[WholeEdit]:
    """h d + h + m h + m: each bare summand taken as 1."""
    for node in ast.walk(function):
        if not isinstance(node, ast.Assign | ast.Return) or node.value is None:
            continue
        if lines is not None and node.lineno not in lines:
            continue
        bare = [term for term in summands(node.value) if isinstance(term, ast.Name)]
        if bare and len(bare) < len([*summands(node.value)]):
            shown = " and ".join(f"`{term.id}`" for term in bare)
            known = all(term.id in visible for term in bare)
            told = f"with 1 in the place of the term{'s' * (len(bare) > 1)} {shown}"
            yield WholeEdit(
                "term as one",
                [(term, "1") for term in bare],
                f"{shown} -> `1`",
                told if known else "with 1 in the place of a term",
            )


def _target_of(statement: ast.stmt) -> str:
    target = statement.targets[0] if isinstance(statement, ast.Assign) else None
    if isinstance(statement, ast.AugAssign):
        target = statement.target
    while isinstance(target, ast.Subscript):
        target = target.value
    return code_of(target) if target is not None else ""


def _names_in(statement: ast.stmt) -> set[str]:
    """Return the names that a statement reads; of x += 1 its x, too."""
    assert isinstance(statement, ast.Assign | ast.AugAssign)
    read = {
        code_of(node)
        for node in ast.walk(statement.value)
        if isinstance(node, ast.Name | ast.Attribute)
    }
    kept = isinstance(statement, ast.AugAssign) or isinstance(
        _first_target(statement), ast.Subscript
    )
    return read | ({_target_of(statement)} if kept else set())


def _first_target(statement: ast.Assign | ast.AugAssign) -> ast.expr:
    return statement.targets[0] if isinstance(statement, ast.Assign) else statement.target


def _is_known(name: str, visible: Collection[str]) -> bool:
    return name in visible or name.startswith("self.")
