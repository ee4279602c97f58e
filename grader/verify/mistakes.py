"""Typical mistakes at one node of a function's syntax tree; an operator for each family.

An operator takes a node and yields replacements of it: (kind, new source text, wording).
Wording "" means "`old` -> `new`".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from grader.verify.code_words import code_of, is_number, last_name, shorten

Edit = tuple[str, str, str]


def _dropped(operation: str, operand: ast.expr, whole: ast.AST) -> str:
    return f"dropped `{operation} {_operand(operand, operation)}` in `{shorten(code_of(whole))}`"


def _dropped_first(operation: str, operand: ast.expr, whole: ast.AST) -> str:
    shown = f"{_operand(operand, operation)} {operation}".rstrip()
    return f"dropped `{shown}` in `{shorten(code_of(whole))}`"


def _operand(operand: ast.expr, operation: str) -> str:
    """Return an operand as a factor of a product: a sum gets parentheses."""
    text = shorten(code_of(operand))
    is_sum = isinstance(operand, ast.BinOp) and isinstance(operand.op, ast.Add | ast.Sub)
    return f"({text})" if is_sum and operation in ("*", "/", "**") else text


def flipped_signs(node: ast.AST) -> Iterator[Edit]:
    """Yield a lost minus, a plus for a minus, a swapped difference."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "flipped sign", f"({code_of(operand)})", ""
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield "flipped sign", f"({code_of(left)}) - ({code_of(right)})", ""
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield "flipped sign", f"({code_of(left)}) + ({code_of(right)})", ""
            yield "swapped difference", f"({code_of(right)}) - ({code_of(left)})", ""


def dropped_terms(node: ast.AST) -> Iterator[Edit]:
    """Yield a sum, product or quotient without one operand: a bias, a factor, the 1/m."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield "dropped term", f"({code_of(left)})", _dropped("+", right, node)
            yield "dropped term", f"({code_of(right)})", _dropped_first("+", left, node)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield "dropped term", f"({code_of(left)})", _dropped("-", right, node)
            yield "dropped term", f"-({code_of(right)})", _dropped_first("", left, node)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield "dropped factor", f"({code_of(left)})", _dropped("*", right, node)
            yield "dropped factor", f"({code_of(right)})", _dropped_first("*", left, node)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield "lost divisor", f"({code_of(left)})", _dropped("/", right, node)
            yield "wrong operation", f"({code_of(left)}) * ({code_of(right)})", ""
            yield "swapped operands", f"({code_of(right)}) / ({code_of(left)})", ""
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            yield "dropped power", f"({code_of(left)})", _dropped("**", right, node)
        case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
            yield "wrong operation", f"({code_of(left)}) / ({code_of(right)})", ""
        case ast.BinOp(left=left, op=ast.Mod()):
            yield "wrong operation", f"({code_of(left)})", ""


def products(node: ast.AST) -> Iterator[Edit]:
    """Yield a matrix product transposed, with swapped operands, or element by element."""
    match node:
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            pass
        case ast.Call(func=func, args=[left, right], keywords=[]) if last_name(func) in (
            "dot",
            "matmul",
            "outer",
        ):
            pass
        case ast.Call(
            func=ast.Attribute(value=ast.expr() as left, attr="dot"), args=[right], keywords=[]
        ):
            pass
        case _:
            return
    a, b = f"({code_of(left)})", f"({code_of(right)})"
    yield "swapped operands", f"{b} @ {a}", ""
    yield "transposed product", f"({code_of(node)}).T", ""
    if not (isinstance(left, ast.Attribute) and left.attr == "T"):
        yield "transposed operand", f"{a}.T @ {b}", ""
    if not (isinstance(right, ast.Attribute) and right.attr == "T"):
        yield "transposed operand", f"{a} @ {b}.T", ""
    yield "elementwise product", f"{a} * {b}", ""


def transposes(node: ast.AST) -> Iterator[Edit]:
    """Yield code without a transpose, a reshape or a new axis."""
    match node:
        case ast.Attribute(value=value, attr="T"):
            yield "dropped transpose", f"({code_of(value)})", ""
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in (
            "transpose",
            "reshape",
            "ravel",
            "flatten",
            "squeeze",
        ):
            if last_name(value) in ("np", "numpy"):
                assert isinstance(node, ast.Call)
                if node.args:
                    yield "dropped reshape", f"({code_of(node.args[0])})", ""
            else:
                yield "dropped reshape", f"({code_of(value)})", ""
        case ast.Subscript(value=value, slice=index) if _has_new_axis(index):
            yield "dropped new axis", f"({code_of(value)})", ""


def _has_new_axis(index: ast.expr) -> bool:
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return any(
        (isinstance(part, ast.Constant) and part.value is None) or last_name(part) == "newaxis"
        for part in parts
    )


REDUCTIONS = re.compile("(sum|mean|max|min|argmax|argmin|std|var|prod|cumsum|any|all|norm)$")

CALL_PAIRS = (
    ("mean", "sum"),
    ("max", "min"),
    ("amax", "amin"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("std", "var"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("flipud", "fliplr"),
    ("vstack", "hstack"),
    ("any", "all"),
    ("floor", "ceil"),
    ("sin", "cos"),
)
"""Functions that students confuse."""

CALL_SWAPS = {a: b for pair in CALL_PAIRS for a, b in (pair, pair[::-1])} | {
    "log1p": "log",
    "expm1": "exp",
}

ELEMENTWISE = re.compile(
    "(exp|log|log1p|expm1|exp2|log2|log10|logaddexp|sqrt|abs|absolute|fabs|square|power|tanh"
    "|clip|maximum|minimum|round|sign|negative|nan_to_num|logical_not)$"
)
"""numpy functions that keep the shape of their first argument: students forget to call them."""

EVEN = ("abs", "absolute", "fabs", "square")


def wrong_calls(node: ast.AST) -> Iterator[Edit]:
    """Yield a similar function, a forgotten call, arguments with a wrong sign or order."""
    if not isinstance(node, ast.Call):
        return
    name = last_name(node.func)
    arguments = [code_of(part) for part in (*node.args, *node.keywords)]
    head = code_of(node.func)
    if name in CALL_SWAPS:
        yield (
            "wrong function",
            f"{head[: -len(name)]}{CALL_SWAPS[name]}({', '.join(arguments)})",
            "",
        )
    if ELEMENTWISE.match(name) and node.args and not _is_own_method(node.func):
        first = code_of(node.args[0])
        yield "forgotten call", f"({first})", ""
        # `flipped_signs` loses a minus; an even function does not depend on the sign.
        if not isinstance(node.args[0], ast.UnaryOp | ast.Constant) and name not in EVEN:
            negated = ", ".join([f"-({first})", *arguments[1:]])
            yield "negated argument", f"{head}({negated})", ""
    if name == "where" and len(node.args) == 3:
        condition, yes, no = (code_of(argument) for argument in node.args)
        yield "swapped branches", f"{head}({condition}, {no}, {yes})", ""
        yield "one branch alone", f"({yes})", ""
        yield "one branch alone", f"({no})", ""
    elif (
        len(node.args) == 2
        and not node.keywords
        and name not in ("range", "dot", "matmul", "isinstance", "getattr", "hasattr")
        and not any(isinstance(argument, ast.Starred) for argument in node.args)
    ):
        yield "swapped arguments", f"{head}({arguments[1]}, {arguments[0]})", ""
    if name == "range":
        yield from _wrong_ranges(node)


def _is_own_method(func: ast.expr) -> bool:
    return isinstance(func, ast.Attribute) and last_name(func.value) == "self"


def _wrong_ranges(node: ast.Call) -> Iterator[Edit]:
    arguments = [code_of(argument) for argument in node.args]
    if len(arguments) == 1 and is_number(node.args[0]):
        yield "off by one", f"range(1, {arguments[0]})", ""  # `constants` changes the end
    elif len(arguments) == 1:
        yield "off by one", f"range(({arguments[0]}) - 1)", ""
        yield "off by one", f"range(({arguments[0]}) + 1)", ""
        yield "off by one", f"range(1, {arguments[0]})", ""
    elif len(arguments) > 1:
        start, stop, *rest = arguments
        yield "off by one", f"range({', '.join([start, f'({stop}) - 1', *rest])})", ""
        yield "off by one", f"range({', '.join([f'({start}) + 1', stop, *rest])})", ""


def axes(node: ast.AST) -> Iterator[Edit]:
    """Yield the other axis, no axis, no keepdims."""
    if not isinstance(node, ast.Call):
        return
    for keyword in node.keywords:
        if keyword.arg in ("axis", "axes"):
            others = [k for k in node.keywords if k is not keyword]
            yield "dropped axis", _call(node, node.args, others), ""
            try:
                axis = ast.literal_eval(keyword.value)
            except ValueError:
                continue
            if isinstance(axis, int):
                swapped = ast.keyword(arg=keyword.arg, value=ast.Constant(0 if axis else 1))
                yield "wrong axis", _call(node, node.args, [*others, swapped]), ""
        elif keyword.arg == "keepdims":
            others = [k for k in node.keywords if k is not keyword]
            yield "dropped keepdims", _call(node, node.args, others), ""
    positional = (
        node.args[1:] if last_name(getattr(node.func, "value", node)) == "np" else node.args
    )
    if REDUCTIONS.match(last_name(node.func)) and positional and is_number(positional[0]):
        yield "dropped axis", _call(node, node.args[: -len(positional)], node.keywords), ""


def _call(node: ast.Call, args: list[ast.expr], keywords: list[ast.keyword]) -> str:
    return f"{code_of(node.func)}({', '.join(code_of(part) for part in (*args, *keywords))})"


def constants(node: ast.AST) -> Iterator[Edit]:
    """Yield a number that is off by one or by a factor of two, a flipped flag, train for test."""
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield "flipped flag", repr(not value), ""
    elif isinstance(value, int):
        yield "off by one", f"({value + 1})", ""
        yield "off by one", f"({value - 1})", ""
    elif isinstance(value, float):
        yield "wrong constant", repr(2 * value if value else 1.0), ""
    elif isinstance(value, str) and ("train" in value or "test" in value):
        yield "train for test", repr(_swap_words(value)), ""


def _swap_words(text: str) -> str:
    return re.sub("train|test", lambda found: "test" if found[0] == "train" else "train", text)


def comparisons(node: ast.AST) -> Iterator[Edit]:
    """Yield a comparison with a wrong boundary or reversed, and `and` for `or`."""
    turned: dict[type[ast.cmpop], tuple[str, ...]] = {
        ast.Lt: ("<=", ">"),
        ast.LtE: ("<", ">="),
        ast.Gt: (">=", "<"),
        ast.GtE: (">", "<="),
        ast.Eq: ("!=",),
        ast.NotEq: ("==",),
        ast.Is: ("is not",),
        ast.IsNot: ("is",),
        ast.In: ("not in",),
        ast.NotIn: ("in",),
    }
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            for other in turned[type(op)]:
                yield "wrong comparison", f"({code_of(left)}) {other} ({code_of(right)})", ""
        case ast.BoolOp(op=op, values=values):
            word = " or " if isinstance(op, ast.And) else " and "
            yield "wrong logic", word.join(f"({code_of(value)})" for value in values), ""
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            yield "wrong logic", f"({code_of(operand)})", ""
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            yield "wrong logic", f"({code_of(left)}) | ({code_of(right)})", ""
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield "wrong logic", f"({code_of(left)}) & ({code_of(right)})", ""
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield (
                "swapped branches",
                f"({code_of(orelse)}) if ({code_of(test)}) else ({code_of(body)})",
                "",
            )


def slices(node: ast.AST) -> Iterator[Edit]:
    """Yield a slice that starts or ends one place off, or the whole array."""
    if not isinstance(node, ast.Slice):
        return
    lower, upper, step = (
        code_of(part) if part is not None else "" for part in (node.lower, node.upper, node.step)
    )
    tail = f":{step}" if step else ""
    if not step:
        if upper and not is_number(node.upper or node):
            yield "off by one", f"{lower}:({upper}) - 1", ""
        if lower and not is_number(node.lower or node):
            yield "off by one", f"({lower}) + 1:{upper}", ""
        if lower and not upper:
            yield "dropped slice", ":", ""
        if upper and not lower:
            yield "dropped slice", ":", ""
    elif lower or upper:
        yield "dropped slice", f":{tail}", ""


def copies_and_types(node: ast.AST) -> Iterator[Edit]:
    """Yield code without a copy (the caller's array changes), or without a dtype or conversion."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="copy"), args=[]):
            yield "dropped copy", f"({code_of(value)})", ""
        case ast.Call(func=ast.Attribute(attr="copy"), args=[argument, *_]):
            yield "dropped copy", f"({code_of(argument)})", ""
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="np" | "numpy") as np, attr="array"),
            args=[argument, *rest],
            keywords=keywords,
        ):
            tail = [code_of(part) for part in (*rest, *keywords)]
            yield (
                "dropped copy",
                f"{np.id}.asarray({', '.join([code_of(argument), *tail])})",
                "",
            )
        case ast.Call(func=ast.Attribute(value=value, attr="astype")):
            yield "dropped dtype", f"({code_of(value)})", ""
        case ast.Call(func=func, args=[argument, *_]) if last_name(func) in (
            "asarray",
            "asanyarray",
            "atleast_1d",
            "atleast_2d",
            "ascontiguousarray",
            "float",
            "int",
        ):
            yield "dropped conversion", f"({code_of(argument)})", ""
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == "dtype":
                others = [k for k in node.keywords if k is not keyword]
                yield "dropped dtype", _call(node, node.args, others), ""
                integer = ast.keyword(arg="dtype", value=ast.Name(id="int"))
                yield "wrong dtype", _call(node, node.args, [*others, integer]), ""


def attributes(node: ast.AST) -> Iterator[Edit]:
    """Yield self.x_test for self.x_train."""
    # A name with both words is a function: train_test_split.
    words = re.findall("train|test", last_name(node))
    if isinstance(node, ast.Attribute | ast.Name) and len(words) == 1:
        swapped = _swap_words(last_name(node))
        head = f"{code_of(node.value)}." if isinstance(node, ast.Attribute) else ""
        yield "train for test", f"{head}{swapped}", ""


EXPRESSION_OPERATORS: tuple[Callable[[ast.AST], Iterator[Edit]], ...] = (
    flipped_signs,
    dropped_terms,
    products,
    transposes,
    wrong_calls,
    axes,
    constants,
    comparisons,
    slices,
    copies_and_types,
    attributes,
)
