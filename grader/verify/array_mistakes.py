"""Mistakes of linear algebra and of arrays at one node: lengths, systems, divisions, axes.

Only diagnosis uses them; see field_mistakes.py.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator

from grader.verify.code_words import code_of, is_number, last_name
from grader.verify.field_mistakes import RATES, FieldEdit, Surroundings


def lengths(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield another measure for a Euclidean length: a sum, the largest, the square."""
    match node:
        case ast.Call(func=func, args=[x]) if last_name(func) == "norm":
            inner, more = code_of(x), _keywords(node)
        case ast.Call(func=func, args=[ast.Call(func=inside, args=[squares, *_]) as total]) if (
            last_name(func) == "sqrt" and last_name(inside) == "sum" and _squared(squares)
        ):
            inner, more = _squared(squares), _keywords(total)
        case ast.Call(
            func=func, args=[ast.Call(func=ast.Attribute(value=squares, attr="sum")) as total]
        ) if last_name(func) == "sqrt" and _squared(squares):
            axes = "".join(f", axis={code_of(axis)}" for axis in total.args[:1])
            inner, more = _squared(squares), axes + _keywords(total)
        case ast.BinOp(op=ast.MatMult()) | ast.Call() if _own_product(node):
            yield FieldEdit(
                "length", f"np.sqrt({code_of(node)})", "with a length where its square belongs"
            )
            return
        case _:
            return
    for new, phrase in (
        (f"np.sum(np.abs({inner}){more})", "with the sum of sizes for the Euclidean length"),
        (f"np.max(np.abs({inner}){more})", "with the largest size for the Euclidean length"),
        (f"np.sum(({inner}) ** 2{more})", "with the square of a length: its root is left out"),
        (f"np.sum({inner}{more})", "with a plain sum for the Euclidean length"),
        (f"np.sqrt(np.mean(({inner}) ** 2{more}))", "with the root of a mean for a length"),
    ):
        yield FieldEdit("length", new, phrase)
    if not more:
        yield FieldEdit(
            "length", f"np.linalg.norm({inner}, 2)", "with the largest singular value for the norm"
        )


def _keywords(node: ast.Call) -> str:
    return "".join(f", {code_of(keyword)}" for keyword in node.keywords)


def _squared(node: ast.expr) -> str:
    """Return x of x ** 2 and of x * x; "" for anything else."""
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=2)):
            return code_of(left)
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if code_of(left) == code_of(right):
            return code_of(left)
    return ""


def _own_product(node: ast.AST) -> bool:
    """Return whether the node is v @ v or np.dot(v, v)."""
    match node:
        case ast.BinOp(left=a, op=ast.MatMult(), right=b):
            return code_of(a) == code_of(b)
        case ast.Call(func=func, args=[a, b]) if last_name(func) in ("dot", "vdot", "inner"):
            return code_of(a) == code_of(b)
    return False


def systems(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield another operation for a linear system: a product, its diagonal alone, a transpose."""
    match node:
        case ast.Call(func=func, args=[a, b]) if last_name(func) == "solve":
            matrix, right = f"({code_of(a)})", f"({code_of(b)})"
            for new, phrase in (
                (f"{matrix} @ {right}", "with a product where a system is to be solved"),
                (f"{right} / np.diag({matrix})", "with the diagonal of the matrix alone"),
                (f"{right} / np.sum({matrix}, axis=1)", "with row sums for the matrix"),
                (f"np.linalg.solve({matrix}.T, {right})", "with the matrix transposed"),
                (right, "with the matrix left out"),
            ):
                yield FieldEdit("system", new, phrase)
        case ast.Call(func=func, args=[a]) if last_name(func) in ("inv", "pinv"):
            yield FieldEdit("system", f"({code_of(a)})", "with a matrix that is not inverted")
            yield FieldEdit("system", f"1 / ({code_of(a)})", "with each element inverted")


def divisions(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield mistakes of division: / for //, rounded up, the remainder; a product for a power.

    Also a plain mean for a sum that is divided by something else than its number, and a share of
    counts without the 1 that is added to each: in a p-value, or in a smoothed probability.
    """
    match node:
        case ast.BinOp(left=count, op=ast.Div(), right=number):
            above, below = _one_less(count), _one_less(number)
            if above and below:
                phrase = (
                    "without the 1 that each count has more: the observed one, or a pseudo-count"
                )
                yield FieldEdit("one more left out", f"({above}) / ({below})", phrase)
    match node:
        case ast.BinOp(left=ast.Call(func=func, args=[x]) as total, op=ast.Div(), right=by) if (
            last_name(func) == "sum" and not total.keywords and "len" not in code_of(by)
        ):
            phrase = "with a plain mean: what a sum is divided by is left out"
            for size in ("", " * len({0}) / (len({0}) - 1)"):
                new = f"np.mean({code_of(x)})" + size.format(f"np.ravel({code_of(x)})")
                yield FieldEdit("plain mean", new, phrase)
        case ast.BinOp(left=a, op=ast.FloorDiv(), right=b):
            left, right = f"({code_of(a)})", f"({code_of(b)})"
            for new, phrase in (
                (f"{left} / {right}", "with a division that is not rounded down"),
                (f"{left} % {right}", "with the remainder where the quotient belongs"),
                (f"-(-{left} // {right})", "with a division that is rounded up"),
            ):
                yield FieldEdit("whole division", new, phrase)
        case ast.BinOp(left=a, op=ast.Pow(), right=b) if not is_number(b):
            base, power = f"({code_of(a)})", f"({code_of(b)})"
            yield FieldEdit("power as a product", f"{base} * {power}", "with a product for a power")
            for more in ("+ 1", "- 1"):
                yield FieldEdit(
                    "another power", f"{base} ** ({power} {more})", "with an exponent off by one"
                )


def _one_less(node: ast.expr) -> str:
    """Return a of a + 1 and of 1 + a; "" for anything else."""
    match node:
        case ast.BinOp(left=a, op=ast.Add(), right=ast.Constant(value=1 | 1.0)):
            return code_of(a)
        case ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Add(), right=a):
            return code_of(a)
    return ""


def cases(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for `a if condition else b`: always a, always b, or both exchanged."""
    match node:
        case ast.IfExp(test=test, body=body, orelse=other):
            for one in (body, other):
                yield FieldEdit("one case", f"({code_of(one)})", "with one of two cases for all")
            new = f"(({code_of(other)}) if {code_of(test)} else ({code_of(body)}))"
            yield FieldEdit("cases exchanged", new, "with the two cases exchanged")


def reversals(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for x[::-1, ::-1]: not reversed, reversed along one axis, or transposed instead."""
    match node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=parts)) if parts and all(
            code_of(part) == "::-1" for part in parts
        ):
            base = code_of(value)
            yield FieldEdit("reversal", f"{base}.T", "with a transpose where a reversal belongs")
            yield FieldEdit("reversal", base, "without turning the kernel round")
            for axis in range(len(parts)):
                new = f"np.flip({base}, {axis})"
                yield FieldEdit("reversal", new, f"reversed along axis {axis} alone")


def centres(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield X - mean divided by the deviation as well."""
    match node:
        case ast.BinOp(left=left, op=ast.Sub(), right=ast.Call(func=func) as mean) if last_name(
            func
        ) == "mean" and code_of(left) in code_of(mean):
            whole, x = code_of(node), code_of(left)
            axis = next(
                (f", axis={code_of(k.value)}" for k in mean.keywords if k.arg == "axis"), ""
            )
            phrase = "with data that are divided by their deviation, too"
            for ddof in ("", ", ddof=1"):
                yield FieldEdit("standardised", f"({whole}) / np.std({x}{axis}{ddof})", phrase)


def blocks(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for x.reshape(a, k, b, k).max(axis=(1, 3)): the sizes in another order."""
    match node:
        case ast.Call(
            func=ast.Attribute(
                value=ast.Call(func=ast.Attribute(attr="reshape") as reshape, args=sizes),
                attr=reduced,
            )
        ) if len(sizes) > 2:
            axes = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "axis")]
            if len(axes) != 1 or not isinstance(axes[0], ast.Tuple):
                return
            gone = [one.value for one in axes[0].elts if isinstance(one, ast.Constant)]
            if len(gone) != len(axes[0].elts) or any(type(n) is not int for n in gone):
                return
            kept = [size for n, size in enumerate(sizes) if n not in gone]
            last = [size for n, size in enumerate(sizes) if n in gone]
            shape = ", ".join(code_of(size) for size in (*kept, *last))
            new = (
                f"{code_of(reshape)}({shape}).{reduced}(axis={tuple(range(len(kept), len(sizes)))})"
            )
            phrase = "with blocks that a reshape cuts wrongly: its sizes are in another order"
            yield FieldEdit("blocks", new, phrase)


def indices(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for x[i : i + k, j : j + k]: the row's index and the column's swapped in one place."""
    match node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=parts)):
            pass
        case _:
            return
    names = [_first_name(part) for part in parts]
    for n, (a, b) in enumerate(itertools.pairwise(names)):
        if a and b and a != b:
            swapped = [code_of(part) for part in parts]
            swapped[n], swapped[n + 1] = (
                re.sub(rf"\b{a}\b", b, swapped[n]),
                re.sub(rf"\b{b}\b", a, swapped[n + 1]),
            )
            new = f"{code_of(value)}[{', '.join(swapped)}]"
            yield FieldEdit("index swapped", new, "with row and column swapped in one index")


def _first_name(part: ast.expr) -> str:
    """Return i of i, of i : i + k and of i * s : ...; "" for anything else."""
    match part:
        case ast.Name(id=name):
            return name
        case ast.Slice(lower=ast.Name(id=name)):
            return name
        case ast.Slice(lower=ast.BinOp(left=ast.Name(id=name))):
            return name
    return ""


def ends(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield x[-k:] for x[:k], and the reverse."""
    match node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=parts)):
            pass
        case ast.Subscript(value=value, slice=ast.Slice() as alone):
            parts = [alone]
        case _:
            return
    for part in parts:
        match part:
            case ast.Slice(lower=None, upper=ast.Name() as k, step=None):
                new, phrase = f"-{code_of(k)}:", "with the last ones where the first belong"
            case ast.Slice(lower=ast.UnaryOp(op=ast.USub(), operand=k), upper=None, step=None):
                new, phrase = f":{code_of(k)}", "with the first ones where the last belong"
            case _:
                continue
        texts = [code_of(other) if other is not part else new for other in parts]
        yield FieldEdit("other end", f"{code_of(value)}[{', '.join(texts)}]", phrase)


def operations(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield another operation: a product for a sum, a quotient for a difference, ..."""
    match node:
        case ast.BinOp(left=a, op=(ast.Add() | ast.Mult() | ast.Sub() | ast.Div()) as op, right=b):
            mark, phrase = _OTHER_OPERATION[type(op)]
            if isinstance(b, ast.Constant) and b.value == 1 and mark in "*/":
                return  # a / 1 is a: the 1 is left out, and no quotient is taken
            new = f"(({code_of(a)}) {mark} ({code_of(b)}))"
            yield FieldEdit("other operation", new, phrase)
        case ast.Attribute(value=x, attr="T"):
            new = f"({code_of(x)}).reshape(({code_of(x)}).shape[::-1])"
            yield FieldEdit("reshape", new, "with a reshape where a transpose belongs")
        case ast.Call(func=ast.Attribute(value=x, attr="transpose"), args=axes) if axes:
            sizes = ", ".join(f"({code_of(x)}).shape[{code_of(axis)}]" for axis in axes)
            new = f"({code_of(x)}).reshape({sizes})"
            yield FieldEdit("reshape", new, "with a reshape where a transpose belongs")


_OTHER_OPERATION: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("*", "with a product where a sum belongs"),
    ast.Mult: ("+", "with a sum where a product belongs"),
    ast.Sub: ("/", "with a quotient where a difference belongs"),
    ast.Div: ("-", "with a difference where a quotient belongs"),
}


def contractions(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for tensordot(a, b, axes=([1, 2], [1, 2])): only the first element along one axis."""
    match node:
        case ast.Call(func=func, args=[a, b, *_]) if last_name(func) == "tensordot":
            axes = [*node.args[2:], *(k.value for k in node.keywords if k.arg == "axes")]
        case _:
            return
    match axes:
        case [
            ast.Tuple(elts=[ast.List(elts=left), ast.List(elts=right)])
            | ast.List(elts=[ast.List(elts=left), ast.List(elts=right)])
        ] if len(left) == len(right):
            for i, j in zip(left, right, strict=True):
                first = f"np.take({code_of(a)}, [0], axis={code_of(i)})"
                second = f"np.take({code_of(b)}, [0], axis={code_of(j)})"
                new = f"{code_of(func)}({first}, {second}, axes={code_of(axes[0])})"
                phrase = "with the first along one axis alone (a channel), where all are summed"
                yield FieldEdit("first along an axis", new, phrase)


def new_axes(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield x[None, :] for x[:, None], and the reverse: a mask or a bias along the other axis."""
    match node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=[a, b])):
            texts = [code_of(a), code_of(b)]
            if sorted(texts) in ([":", "None"], [":", "np.newaxis"]):
                new = f"{code_of(value)}[{texts[1]}, {texts[0]}]"
                yield FieldEdit("other axis", new, "with one array laid along the other axis")


DECAYS = ("mu", "beta", "beta1", "beta2", "rho", "momentum", "decay_rate", "gamma")


def averages(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for mu v - lr g: an average instead of a sum, with the factor 1 - mu."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=ast.Name() | ast.Attribute() as p, op=ast.Mult()) as left,
            op=(ast.Add() | ast.Sub()) as op,
            right=right,
        ) if last_name(p) in DECAYS and "1 -" not in code_of(right):
            sign = "+" if isinstance(op, ast.Add) else "-"
            new = f"{code_of(left)} {sign} (1 - {code_of(p)}) * ({code_of(right)})"
            name = last_name(p)
            yield FieldEdit("average", new, f"with `1 - {name}` as a factor of the other term")


def rates(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for lr (a + b): the rate on one term alone, or one rate too many."""
    match node:
        case ast.BinOp(
            left=ast.Name() | ast.Attribute() as rate,
            op=ast.Mult(),
            right=ast.BinOp(left=a, op=(ast.Add() | ast.Sub()) as op, right=b),
        ) if last_name(rate) in RATES:
            sign, lr, name = "+" if isinstance(op, ast.Add) else "-", code_of(rate), last_name(rate)
            for new in (
                f"({lr} * ({code_of(a)}) {sign} {code_of(b)})",
                f"({code_of(a)} {sign} {lr} * ({code_of(b)}))",
            ):
                yield FieldEdit("rate on one term", new, f"with `{name}` on one of two terms alone")
        case ast.BinOp(left=a, op=(ast.Add() | ast.Sub()) as op, right=ast.Name() as b):
            sign = "+" if isinstance(op, ast.Add) else "-"
            for name in RATES:
                if name in around.names and name != b.id:
                    new = f"{code_of(a)} {sign} {name} * {b.id}"
                    yield FieldEdit("learning rate", new, f"with `{name}` once too often")


ARRAY_OPERATORS: tuple[Callable[[ast.AST, Surroundings], Iterator[FieldEdit]], ...] = (
    lengths,
    systems,
    divisions,
    cases,
    reversals,
    centres,
    blocks,
    contractions,
    indices,
    ends,
    operations,
    new_axes,
    averages,
    rates,
)
