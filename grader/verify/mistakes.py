"""Typical mistakes at one node of a function's syntax tree, a family of them an operator.

An operator takes a node and yields what may stand in its place: (kind, new source text, wording).
Wording "" means "`old` -> `new`".
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator

SHOWN = 64
"""Characters of code that an id quotes: enough to tell statements of one function apart."""

Edit = tuple[str, str, str]


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def last_name(node: ast.AST) -> str:
    """Return the last name of a dotted name ("exp" of np.exp), "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_number(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, int | float)
        and not isinstance(node.value, bool)
    )


def _dropped(operation: str, operand: ast.expr, whole: ast.AST) -> str:
    return f"dropped `{operation} {_operand(operand, operation)}` in `{shorten(_text(whole))}`"


def _dropped_first(operation: str, operand: ast.expr, whole: ast.AST) -> str:
    shown = f"{_operand(operand, operation)} {operation}".rstrip()
    return f"dropped `{shown}` in `{shorten(_text(whole))}`"


def _operand(operand: ast.expr, operation: str) -> str:
    """Return an operand as it stands in a product: a sum in its parentheses."""
    text = shorten(_text(operand))
    is_sum = isinstance(operand, ast.BinOp) and isinstance(operand.op, ast.Add | ast.Sub)
    return f"({text})" if is_sum and operation in ("*", "/", "**") else text


def flipped_signs(node: ast.AST) -> Iterator[Edit]:
    """A minus lost, a plus for a minus, a difference the wrong way round."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "flipped sign", f"({_text(operand)})", ""
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield "flipped sign", f"({_text(left)}) - ({_text(right)})", ""
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield "flipped sign", f"({_text(left)}) + ({_text(right)})", ""
            yield "swapped difference", f"({_text(right)}) - ({_text(left)})", ""


def dropped_terms(node: ast.AST) -> Iterator[Edit]:
    """One operand of a sum, a product or a quotient left out: a bias, a factor, the 1/m."""
    match node:
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            yield "dropped term", f"({_text(left)})", _dropped("+", right, node)
            yield "dropped term", f"({_text(right)})", _dropped_first("+", left, node)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            yield "dropped term", f"({_text(left)})", _dropped("-", right, node)
            yield "dropped term", f"-({_text(right)})", _dropped_first("", left, node)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            yield "dropped factor", f"({_text(left)})", _dropped("*", right, node)
            yield "dropped factor", f"({_text(right)})", _dropped_first("*", left, node)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            yield "lost divisor", f"({_text(left)})", _dropped("/", right, node)
            yield "wrong operation", f"({_text(left)}) * ({_text(right)})", ""
            yield "swapped operands", f"({_text(right)}) / ({_text(left)})", ""
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            yield "dropped power", f"({_text(left)})", _dropped("**", right, node)
        case ast.BinOp(left=left, op=ast.FloorDiv(), right=right):
            yield "wrong operation", f"({_text(left)}) / ({_text(right)})", ""
        case ast.BinOp(left=left, op=ast.Mod()):
            yield "wrong operation", f"({_text(left)})", ""


def products(node: ast.AST) -> Iterator[Edit]:
    """A product of matrices transposed, swapped, or taken element by element."""
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
    a, b = f"({_text(left)})", f"({_text(right)})"
    yield "swapped operands", f"{b} @ {a}", ""
    yield "transposed product", f"({_text(node)}).T", ""
    if not (isinstance(left, ast.Attribute) and left.attr == "T"):
        yield "transposed operand", f"{a}.T @ {b}", ""
    if not (isinstance(right, ast.Attribute) and right.attr == "T"):
        yield "transposed operand", f"{a} @ {b}.T", ""
    yield "elementwise product", f"{a} * {b}", ""


def transposes(node: ast.AST) -> Iterator[Edit]:
    """A transpose or a reshape left out."""
    match node:
        case ast.Attribute(value=value, attr="T"):
            yield "dropped transpose", f"({_text(value)})", ""
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
                    yield "dropped reshape", f"({_text(node.args[0])})", ""
            else:
                yield "dropped reshape", f"({_text(value)})", ""
        case ast.Subscript(value=value, slice=index) if _has_new_axis(index):
            yield "dropped new axis", f"({_text(value)})", ""


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
"""Functions that are mistaken for one another."""

CALL_SWAPS = {a: b for pair in CALL_PAIRS for a, b in (pair, pair[::-1])} | {
    "log1p": "log",
    "expm1": "exp",
}

ELEMENTWISE = re.compile(
    "(exp|log|log1p|expm1|exp2|log2|log10|logaddexp|sqrt|abs|absolute|fabs|square|power|tanh"
    "|clip|maximum|minimum|round|sign|negative|nan_to_num|logical_not)$"
)
"""numpy functions that keep the shape of their first argument: one forgets to call them."""

EVEN = ("abs", "absolute", "fabs", "square")


def wrong_calls(node: ast.AST) -> Iterator[Edit]:
    """The neighbouring function, a forgotten call, an argument with the wrong sign or order."""
    if not isinstance(node, ast.Call):
        return
    name = last_name(node.func)
    arguments = [_text(part) for part in (*node.args, *node.keywords)]
    head = _text(node.func)
    if name in CALL_SWAPS:
        yield (
            "wrong function",
            f"{head[: -len(name)]}{CALL_SWAPS[name]}({', '.join(arguments)})",
            "",
        )
    if ELEMENTWISE.match(name) and node.args and not _is_own_method(node.func):
        first = _text(node.args[0])
        yield "forgotten call", f"({first})", ""
        # Losing a minus is `flipped_signs`; an even function forgets the sign.
        if not isinstance(node.args[0], ast.UnaryOp | ast.Constant) and name not in EVEN:
            negated = ", ".join([f"-({first})", *arguments[1:]])
            yield "negated argument", f"{head}({negated})", ""
    if name == "where" and len(node.args) == 3:
        condition, yes, no = (_text(argument) for argument in node.args)
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
    arguments = [_text(argument) for argument in node.args]
    if len(arguments) == 1 and _is_number(node.args[0]):
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
    """The other axis, no axis, dimensions not kept."""
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
    if REDUCTIONS.match(last_name(node.func)) and positional and _is_number(positional[0]):
        yield "dropped axis", _call(node, node.args[: -len(positional)], node.keywords), ""


def _call(node: ast.Call, args: list[ast.expr], keywords: list[ast.keyword]) -> str:
    return f"{_text(node.func)}({', '.join(_text(part) for part in (*args, *keywords))})"


def constants(node: ast.AST) -> Iterator[Edit]:
    """A number off by one or by a factor of two, a flag flipped, train for test."""
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
    """The boundary on the wrong side, the comparison turned round, `and` for `or`."""
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
                yield "wrong comparison", f"({_text(left)}) {other} ({_text(right)})", ""
        case ast.BoolOp(op=op, values=values):
            word = " or " if isinstance(op, ast.And) else " and "
            yield "wrong logic", word.join(f"({_text(value)})" for value in values), ""
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            yield "wrong logic", f"({_text(operand)})", ""
        case ast.BinOp(left=left, op=ast.BitAnd(), right=right):
            yield "wrong logic", f"({_text(left)}) | ({_text(right)})", ""
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield "wrong logic", f"({_text(left)}) & ({_text(right)})", ""
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield (
                "swapped branches",
                f"({_text(orelse)}) if ({_text(test)}) else ({_text(body)})",
                "",
            )


def slices(node: ast.AST) -> Iterator[Edit]:
    """A slice that starts or ends one place off, or goes forwards instead of backwards."""
    if not isinstance(node, ast.Slice):
        return
    lower, upper, step = (
        _text(part) if part is not None else "" for part in (node.lower, node.upper, node.step)
    )
    tail = f":{step}" if step else ""
    if not step:
        if upper and not _is_number(node.upper or node):
            yield "off by one", f"{lower}:({upper}) - 1", ""
        if lower and not _is_number(node.lower or node):
            yield "off by one", f"({lower}) + 1:{upper}", ""
        if lower and not upper:
            yield "dropped slice", ":", ""
        if upper and not lower:
            yield "dropped slice", ":", ""
    elif lower or upper:
        yield "dropped slice", f":{tail}", ""


def copies_and_types(node: ast.AST) -> Iterator[Edit]:
    """A copy left out (the caller's array changes), a dtype left out or narrowed."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="copy"), args=[]):
            yield "dropped copy", f"({_text(value)})", ""
        case ast.Call(func=ast.Attribute(attr="copy"), args=[argument, *_]):
            yield "dropped copy", f"({_text(argument)})", ""
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id="np" | "numpy") as np, attr="array"),
            args=[argument, *rest],
            keywords=keywords,
        ):
            tail = [_text(part) for part in (*rest, *keywords)]
            yield (
                "dropped copy",
                f"{np.id}.asarray({', '.join([_text(argument), *tail])})",
                "",
            )
        case ast.Call(func=ast.Attribute(value=value, attr="astype")):
            yield "dropped dtype", f"({_text(value)})", ""
        case ast.Call(func=func, args=[argument, *_]) if last_name(func) in (
            "asarray",
            "asanyarray",
            "atleast_1d",
            "atleast_2d",
            "ascontiguousarray",
            "float",
            "int",
        ):
            yield "dropped conversion", f"({_text(argument)})", ""
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if keyword.arg == "dtype":
                others = [k for k in node.keywords if k is not keyword]
                yield "dropped dtype", _call(node, node.args, others), ""
                integer = ast.keyword(arg="dtype", value=ast.Name(id="int"))
                yield "wrong dtype", _call(node, node.args, [*others, integer]), ""


def attributes(node: ast.AST) -> Iterator[Edit]:
    """self.x_test for self.x_train; w.shape[0] goes by `constants`."""
    # A name that holds both words is a function's: train_test_split.
    words = re.findall("train|test", last_name(node))
    if isinstance(node, ast.Attribute | ast.Name) and len(words) == 1:
        swapped = _swap_words(last_name(node))
        head = f"{_text(node.value)}." if isinstance(node, ast.Attribute) else ""
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


def wrong_results(node: ast.stmt, returned: Collection[str]) -> Iterator[tuple[ast.expr, Edit]]:
    """A returned or kept value negated, doubled, set to zero; nothing returned at all.

    returned : names of variables that the function returns: the template's own `return` may
        stand behind the region
    """
    if isinstance(node, ast.Return) and node.value is not None:
        results = [("returned", value) for value in _elements(node.value)]
        yield (
            node.value,
            ("returned nothing", "None", f"returned None for `{in_short(node.value)}`"),
        )
        if len(results) == 2:
            first, second = _elements(node.value)
            yield node.value, ("swapped results", f"({_text(second)}, {_text(first)})", "")
    elif isinstance(node, ast.Assign) and _keeps(node.targets[0], returned):
        target = node.targets[0]
        targets, values = _elements(target), _elements(node.value)
        if len(targets) != len(values):
            targets, values = [target], [node.value]
        results = [
            (f"kept `{in_short(kept)}` =", value)
            for kept, value in zip(targets, values, strict=True)
        ]
    else:
        return
    for said, result in results:
        if _is_no_number(result) or last_name(getattr(result, "func", result)).startswith("zeros"):
            continue
        text, shown = _text(result), in_short(result)
        if not isinstance(result, ast.UnaryOp) and not _is_number(result):
            yield result, ("flipped sign", f"-({text})", f"{said} -`{shown}`")
        yield result, ("factor 2", f"2 * ({text})", f"{said} 2 * `{shown}`")
        yield result, ("constant result", f"0 * ({text})", f"{said} 0 * `{shown}`")


def _is_no_number(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return not _is_number(node)
    return isinstance(
        node, ast.Compare | ast.BoolOp | ast.Dict | ast.List | ast.JoinedStr | ast.Lambda
    )


def _elements(node: ast.expr) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.Tuple) else [node]


def _keeps(target: ast.expr, returned: Collection[str]) -> bool:
    """True for a target that outlives the function."""
    if isinstance(target, ast.Tuple):
        return all(_keeps(element, returned) for element in target.elts)
    return isinstance(target, ast.Attribute | ast.Subscript) or last_name(target) in returned


def returned_names(function: ast.AST) -> set[str]:
    returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return)]
    values = [value for whole in returns if whole is not None for value in _elements(whole)]
    return {value.id for value in values if isinstance(value, ast.Name)}


def wrong_statements(
    node: ast.stmt, known: Collection[str], in_loop: bool
) -> Iterator[tuple[str, str, str]]:
    """A statement left out, a branch always or never taken, a change made in place.

    known : names that have a value before the statement, so that leaving it out still runs
    """
    whole = f"`{first_line(node)}`"
    removed = ("removed statement", "pass", f"removed {whole}")
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            if name in known:
                yield removed
            match value:
                case ast.BinOp(left=ast.Name(id=left), op=op, right=right) if left == name:
                    sign = _operator_sign(op)
                    yield "in place", f"{name} {sign}= {_text(right)}", f"in place: {whole}"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield removed
        case ast.AugAssign(target=target, op=op, value=value):
            yield removed
            other = {"+": "-", "-": "+", "*": "/", "/": "*"}.get(_operator_sign(op))
            place, amount = _text(target), _text(value)
            if other:
                yield "flipped sign", f"{place} {other}= {amount}", ""
            yield "lost accumulation", f"{place} = {amount}", ""
            yield "factor 2", f"{place} {_operator_sign(op)}= 2 * ({amount})", ""
        case ast.Expr(value=ast.Call() | ast.Await()):
            yield removed
        case ast.If(test=test, orelse=orelse):
            first = _text(test)
            if not orelse:
                yield "removed statement", "pass", f"removed `if {shorten(first)}: ...`"
        case ast.Break() | ast.Continue():
            yield removed
        case ast.Return(value=None):
            yield removed
    if in_loop and isinstance(node, ast.AugAssign):
        yield "early end", f"{_text(node)}; break", f"loop ends after the first {whole}"


def _operator_sign(op: ast.operator) -> str:
    return _text(ast.BinOp(ast.Name("a"), op, ast.Name("b")))[2:-2]


# --- words ----------------------------------------------------------------------------------


def in_short(node: ast.AST) -> str:
    """Return a node's code, shortened."""
    return shorten(_text(node))


def shorten(text: str) -> str:
    """Return the text on one line of at most SHOWN characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= SHOWN else f"{flat[: SHOWN - 1].rstrip()}…"


def first_line(statement: ast.stmt) -> str:
    """Return a statement's first line, shortened."""
    return shorten(_text(statement).splitlines()[0])
