"""Mistakes of the field at one node of a syntax tree: softmax, relu, one-hot, optimisers.

Only diagnosis uses them: a student's answers are compared with the answers of each mistake. The
mutation run leaves them out, since a check of one function can't catch many of them.
An operator takes a node and its surroundings, and yields replacements of the node.
diagnosis/catalogue.py says for each kind where it was seen.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from grader.verify.code_words import code_of, is_number, last_name

RATES = ("alpha", "eta", "lr", "learning_rate", "rate", "step_size", "gamma")
PENALTIES = ("lam", "lambd", "lambda_", "reg", "l1", "l2", "decay", "weight_decay", "mu")
SIZES = (10, 31, 784)
"""Numbers of classes, features and pixels of well-known data sets, which students hard-code."""

SIGMOID = "1 / (1 + np.exp(-({0})))"
SOFTMAX = "np.exp({0}) / np.sum(np.exp({0}), axis=-1, keepdims=True)"
ONE_HOT_OF_LARGEST = "({0} == np.max({0}, axis=-1, keepdims=True)) * 1.0"


@dataclass(frozen=True)
class FieldEdit:
    """One mistake: the code that replaces a node.

    phrase : what a student reads after "behaves exactly as the solution would"
    """

    kind: str
    new: str
    phrase: str


@dataclass(frozen=True)
class Surroundings:
    """What an operator knows about the function around a node.

    assigned : the last value that is assigned to each local name
    defaults : the parameters' defaults
    functions : the number of arguments of each of the notebook's own functions
    names : the parameters
    """

    assigned: Mapping[str, ast.expr] = field(default_factory=dict)
    defaults: Mapping[str, ast.expr] = field(default_factory=dict)
    functions: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()


_RELATED = (
    ("tanh", "sigmoid", "arctan", "sin"),
    ("abs", "absolute", "square", "sign"),
    ("log", "log2", "log10", "log1p"),
    ("exp", "exp2", "expm1", "square", "abs"),
    ("sort", "argsort"),
    ("cumsum", "cumprod", "sum"),
    ("prod", "sum"),
    ("sin", "cos", "tan"),
    ("mean", "sum", "median", "max"),
    ("max", "argmax", "sum", "mean"),
    ("min", "argmin"),
    ("argmax", "argmin"),
    ("max", "min"),
    ("maximum", "minimum"),
    ("outer", "dot", "multiply"),
    ("logaddexp", "logaddexp2", "maximum"),
    ("maximum", "add"),
    ("std", "var"),
    ("eye", "ones", "zeros"),
    ("floor", "round", "ceil"),
    ("norm", "sum"),
)


_BELONGS = {"exp": "exp", "eye": "an identity matrix"}
"""What a student may know of the function that belongs there."""


def related_functions(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield a call of a related function: tanh for sigmoid, log2 for log, max for argmax."""
    if not isinstance(node, ast.Call):
        return
    name, head = last_name(node.func), code_of(node.func)
    rest = ", ".join(code_of(part) for part in (*node.args, *node.keywords))
    owner = head[: -len(name)]
    for group in _RELATED:
        for other in group if name in group else ():
            if other == name or (other == "sigmoid" and owner):
                continue
            if not owner and other not in around.functions:
                continue
            belongs = _BELONGS.get(name, "another function")
            phrase = f"with `{other}` where {belongs} belongs"
            yield FieldEdit("related function", f"{owner}{other}({rest})", phrase)
    if name == "tanh" and node.args:
        yield FieldEdit(
            "related function", SIGMOID.format(code_of(node.args[0])), "with a sigmoid for tanh"
        )
    if name in around.functions and not owner:
        for other, count in around.functions.items():
            if other != name and count == around.functions[name]:
                phrase = f"with a call of `{other}` where another function belongs"
                yield FieldEdit("related function", f"{other}({rest})", phrase)
        yield FieldEdit(
            "twice", f"{name}({code_of(node)}{_more(node)})", f"with `{name}` applied twice"
        )
        if node.args:
            yield FieldEdit(
                "forgotten call",
                f"({code_of(node.args[0])})",
                f"with a call of `{name}` left out",
            )
            # The function that is left out may have converted its argument to an array.
            yield FieldEdit(
                "forgotten call",
                f"np.asarray({code_of(node.args[0])}, dtype=float)",
                f"with a call of `{name}` left out",
            )


def _more(node: ast.Call) -> str:
    parts = [code_of(part) for part in (*node.args[1:], *node.keywords)]
    return "".join(f", {part}" for part in parts)


_WELL_KNOWN = frozenset(("sqrt", "mean", "sum", "log", "exp", "abs", "square", "max", "min"))
"""Functions that any student has: to name them gives nothing away."""


def order_of_steps(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield two steps in the other order: the square of a sum, the log of a mean."""
    match node:
        case ast.BinOp(
            left=left,
            op=(ast.Add() | ast.Sub()) as joined,
            right=ast.BinOp(left=base, op=ast.Pow(), right=power),
        ):
            sign = "+" if isinstance(joined, ast.Add) else "-"
            new = f"(({code_of(left)}) {sign} ({code_of(base)})) ** ({code_of(power)})"
            yield FieldEdit("order of steps", new, "with a power taken of the whole, not of a term")
    if not isinstance(node, ast.Call) or not node.args:
        return
    head, first, more = code_of(node.func), node.args[0], _more(node)
    phrase = "with two steps in the other order"
    match first:
        case ast.BinOp(left=inner, op=ast.Pow(), right=power):
            new = f"({head}({code_of(inner)}{more})) ** ({code_of(power)})"
            yield FieldEdit("order of steps", new, "with a power taken of the whole, not of each")
        case ast.BinOp(left=inner, op=(ast.Mult() | ast.Div()) as op, right=factor):
            sign = "*" if isinstance(op, ast.Mult) else "/"
            new = f"({head}({code_of(inner)}{more})) {sign} ({code_of(factor)})"
            yield FieldEdit("order of steps", new, "with a factor outside a function, not inside")
        case ast.Call(func=func, args=[inner, *_]):
            tail = _more(first)
            new = f"{code_of(func)}({head}({code_of(inner)}{more}){tail})"
            outside, inside = last_name(node.func), last_name(func)
            if {outside, inside} <= _WELL_KNOWN:
                phrase = f"with `{outside}` taken before `{inside}`, not after it"
            yield FieldEdit("order of steps", new, phrase)


def softmaxes(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for e / e.sum(): not divided, twice, along the other axis, ..."""
    match node:
        case ast.BinOp(left=ast.Name(id=name) as left, op=ast.Div(), right=ast.expr() as right):
            total = _reduced(right)
        case _:
            return
    if total != name or last_name(getattr(right, "func", right)) != "sum":
        return
    scores = _scores(around.assigned.get(name))
    whole, exponentials = code_of(node), code_of(left)
    yield FieldEdit("softmax", exponentials, "with exponentials that are not divided by their sum")
    for function in ("max", "mean"):
        new = f"{exponentials} / np.{function}({exponentials}, axis=-1, keepdims=True)"
        yield FieldEdit("softmax", new, f"with softmax divided by the {function}, not by the sum")
    yield FieldEdit("softmax twice", SOFTMAX.format(f"({whole})"), "with softmax applied twice")
    for phrase, axes in (("over the other axis", "axis=0"), ("over all elements", "")):
        total = f"np.sum({exponentials}{', ' if axes else ''}{axes})"
        yield FieldEdit("softmax axis", f"{exponentials} / {total}", f"with softmax taken {phrase}")
    label = ONE_HOT_OF_LARGEST.format(f"({whole})")
    yield FieldEdit("labels for probabilities", label, "with the predicted class for probabilities")
    if scores:
        yield FieldEdit("sigmoid for softmax", SIGMOID.format(scores), "with a sigmoid for softmax")
        yield FieldEdit("softmax", f"({scores})", "with the scores themselves, without softmax")
        yield FieldEdit("softmax", f"np.tanh({scores})", "with tanh for softmax")
        total = f"np.sum({scores}, axis=-1, keepdims=True)"
        yield FieldEdit(
            "softmax", f"({scores}) / {total}", "with scores divided by their sum, without exp"
        )
        squares = f"({scores}) ** 2"
        total = f"np.sum({squares}, axis=-1, keepdims=True)"
        yield FieldEdit("softmax", f"{squares} / {total}", "with squares where exp belongs")
        yield FieldEdit("flipped sign", SOFTMAX.format(f"(-({scores}))"), "with a sign reversed")


def _reduced(node: ast.expr) -> str:
    """Return the name whose elements a call sums: e of e.sum(...) and np.sum(e, ...)."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if name not in ("np", "numpy"):
            return name
        case ast.Call(args=[ast.Name(id=name), *_]):
            return name
        case ast.Subscript(value=value):
            return _reduced(value)
    return ""


def _scores(value: ast.expr | None) -> str:
    """Return z of np.exp(z - z.max()); "" for anything else."""
    match value:
        case ast.Call(func=func, args=[argument]) if last_name(func) == "exp":
            match argument:
                case ast.BinOp(left=left, op=ast.Sub(), right=right) if "max" in code_of(right):
                    return code_of(left)
            return code_of(argument)
    return ""


def sigmoids(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for s (1 - s): the square of one factor, a plus, the slope of tanh, ..."""
    match node:
        case ast.BinOp(
            left=left, op=ast.Mult(), right=ast.BinOp(left=one, op=ast.Sub(), right=inner)
        ) if getattr(one, "value", 0) == 1:
            s = code_of(inner)
            if not code_of(left).endswith(s):
                return
            head = code_of(left)
            for new, phrase in (
                (f"({head}) ** 2", "with the square of one factor in the slope of sigmoid"),
                (f"(1 - ({s})) ** 2", "with the square of one factor in the slope of sigmoid"),
                (f"{head} * (1 + ({s}))", "with a plus in the slope of sigmoid"),
                (f"({head}) - ({s}) ** 3", "with another slope of sigmoid"),
                (f"({head}) * 0 + 1 - ({s}) ** 2", "with the slope of tanh for that of sigmoid"),
                (
                    f"{head} * ({SIGMOID.format(s)}) * (1 - {SIGMOID.format(s)}) / ({s})",
                    "with sigmoid applied once more in its slope",
                ),
            ):
                yield FieldEdit("sigmoid's slope", new, phrase)


def slopes_of_tanh(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for 1 - t**2, where t is a tanh: the slope of the sigmoid."""
    match node:
        case ast.BinOp(left=one, op=ast.Sub(), right=right) if getattr(one, "value", 0) == 1:
            t = _squared(right)
            value = around.assigned.get(t.id) if isinstance(t, ast.Name) else t
            if isinstance(value, ast.Call) and last_name(value.func) == "tanh" and t is not None:
                new = f"({code_of(t)}) * (1 - ({code_of(t)}))"
                phrase = "with the slope of sigmoid for that of tanh"
                yield FieldEdit("sigmoid's slope", new, phrase)


def _squared(node: ast.expr) -> ast.expr | None:
    """Return t of t**2, t * t and np.square(t)."""
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=2)):
            return left
        case ast.BinOp(left=left, op=ast.Mult(), right=right) if code_of(left) == code_of(right):
            return left
        case ast.Call(func=func, args=[argument]) if last_name(func) == "square":
            return argument
    return None


def labels(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield for rows picked by a label: off by one; for np.eye(k)[y]: the label as a number."""
    match node:
        case ast.Subscript(value=value, slice=index) if not isinstance(index, ast.Slice):
            if isinstance(index, ast.Tuple):
                parts = [code_of(part) for part in index.elts]
                if any(isinstance(part, ast.Slice) for part in index.elts) or len(parts) < 2:
                    return
                for shift in ("- 1", "+ 1"):
                    new = f"{code_of(value)}[{', '.join(parts[:-1])}, ({parts[-1]}) {shift}]"
                    yield FieldEdit("label off by one", new, "with the class off by one")
                return
            if isinstance(index, ast.Constant):
                return
            key = code_of(index)
            for shift in ("- 1", "+ 1"):
                new = f"{code_of(value)}[({key}) {shift}]"
                yield FieldEdit("label off by one", new, "with the class off by one")
            if isinstance(value, ast.Call) and last_name(value.func) in ("eye", "identity"):
                phrase = "with the number of the class where a one-hot vector belongs"
                yield FieldEdit("label as a number", f"({key})", phrase)


def optimisers(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield mistakes of optimisers: a lost or squared learning rate, 1 - beta for beta, ..."""
    match node:
        case ast.Name(ctx=ast.Load()) | ast.Attribute(ctx=ast.Load()):
            name, code = last_name(node), code_of(node)
            if name in RATES:
                for new, phrase in (
                    ("1.0", f"without `{name}`"),
                    (f"{code} ** 2", f"with `{name}` squared"),
                    (f"0.5 * {code}", f"with half of `{name}`"),
                    (f"2 * {code}", f"with twice `{name}`"),
                    (f"np.sqrt({code})", f"with the square root of `{name}`"),
                ):
                    yield FieldEdit("learning rate", new, phrase)
                default = around.defaults.get(name)
                if default is not None:
                    yield FieldEdit(
                        "learning rate",
                        code_of(default),
                        f"with the default of `{name}`, whatever is given",
                    )
            elif name in PENALTIES:
                for new, phrase in (
                    (f"2 * {code}", f"with twice `{name}`"),
                    (f"0.5 * {code}", f"with half of `{name}`"),
                    (f"{code} ** 2", f"with `{name}` squared"),
                    ("0.0", f"without the term with `{name}`"),
                    ("1.0", f"without the factor `{name}`"),
                ):
                    yield FieldEdit("penalty", new, phrase)
            elif name.startswith(("beta", "momentum", "keep", "drop", "p", "rho", "gamma")) and (
                "pred" not in name and len(name) < 12
            ):
                yield FieldEdit("complement", f"1 - {code}", f"with `1 - {name}` for `{name}`")
        case ast.BinOp(left=one, op=ast.Sub(), right=right) if getattr(one, "value", 0) == 1:
            inner = code_of(right)
            yield FieldEdit(
                "complement", f"({inner})", "with p where 1 - p belongs, or the other way"
            )
            yield FieldEdit(
                "correction left out", "1.0", "with one factor of the form 1 - ... left out"
            )
            if isinstance(right, ast.BinOp) and isinstance(right.op, ast.Pow):
                base = code_of(right.left)
                yield FieldEdit(
                    "correction without its power",
                    f"1 - ({base})",
                    "with a correction that stays the same in every step",
                )
        case ast.BinOp(left=ast.Call(func=func, args=[inner]), op=ast.Add(), right=small) if (
            last_name(func) == "sqrt"
        ):
            new = f"{code_of(func)}(({code_of(inner)}) + ({code_of(small)}))"
            yield FieldEdit("epsilon inside the root", new, "with the small number inside the root")
        case ast.Call(
            func=func, args=[ast.BinOp(left=inner, op=ast.Add(), right=ast.Name() as small)]
        ) if last_name(func) == "sqrt":
            new = f"({code_of(func)}({code_of(inner)}) + {code_of(small)})"
            yield FieldEdit(
                "epsilon inside the root", new, f"with `{small.id}` outside the root, not inside"
            )


def statistics(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield mistakes of statistics: n - 1 for n, a root too many, no mean, never shuffled."""
    if not isinstance(node, ast.Call):
        return
    name, code = last_name(node.func), code_of(node)
    if name in ("std", "var"):
        has = any(keyword.arg == "ddof" for keyword in node.keywords)
        if not has:
            new = f"{code[:-1]}{', ' if node.args or node.keywords else ''}ddof=1)"
            yield FieldEdit("divisor of the variance", new, "with n - 1 in the variance, not n")
        yield FieldEdit("variance", f"({code}) ** 2", "with the variance for the deviation")
        yield FieldEdit("variance", f"np.sqrt({code})", "with one root too many")
        yield FieldEdit("scale left out", "1.0", "without the division by the deviation")
    if name in ("mean", "average", "sum"):
        yield FieldEdit("centre left out", f"0 * ({code})", "without one mean or sum")
        whole = node.args[0] if node.args else getattr(node.func, "value", None)
        if name == "sum" and whole is not None:
            phrase = "with the number of elements where their sum belongs"
            yield FieldEdit("number for sum", f"len({code_of(whole)})", phrase)
        if node.args:
            size = f"len({code_of(node.args[0])})"
            yield FieldEdit("mean and sum", f"({code}) / {size}", "with one mean too many")
            yield FieldEdit("mean and sum", f"({code}) * {size}", "with a sum where a mean belongs")
            size = f"({size} - 1)"
            new = f"({code}) * len({code_of(node.args[0])}) / {size}"
            yield FieldEdit("divisor of the mean", new, "with n - 1 in the mean, not n")
        elif isinstance(node.func, ast.Attribute):
            owner = code_of(node.func.value)
            yield FieldEdit("mean and sum", f"({code}) / len({owner})", "with one mean too many")
            yield FieldEdit(
                "mean and sum", f"({code}) * len({owner})", "with a sum where a mean belongs"
            )
    if name in ("permutation", "shuffled") and node.args:
        argument = code_of(node.args[0])
        new = f"np.arange({argument}) if np.ndim({argument}) == 0 else ({argument})"
        yield FieldEdit("never shuffled", new, "with an order that is never shuffled")


def sizes(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield a hard-coded number for a size, which fits only the sheet's own data."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=ast.Constant()):
            pass
        case ast.Call(func=ast.Name(id="len")):
            pass
        case _:
            return
    for size in SIZES:
        phrase = f"with a size that is written as a number ({size})"
        yield FieldEdit("size as a number", str(size), phrase)


def powers(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield another power for a power, or the absolute value; a constant that is off by one."""
    match node:
        case ast.BinOp(left=left, op=ast.Pow(), right=right) if is_number(right):
            base = code_of(left)
            for new, phrase in (
                (f"({base}) ** (({code_of(right)}) + 1)", "with a power that is one too high"),
                (f"np.abs({base})", "with absolute values where squares belong"),
                (f"2 * ({base})", "with twice a value where its square belongs"),
                (f"np.sqrt(np.abs({base}))", "with a root where a square belongs"),
            ):
                yield FieldEdit("another power", new, phrase)
        case ast.Constant(value=float() as value) if value.is_integer() and 2 <= value <= 20:
            # For an integer, these are mutants already.
            for new, phrase in (
                (f"{value + 1}", "with a constant that is one too large"),
                (f"{value - 1}", "with a constant that is one too small"),
            ):
                yield FieldEdit("off by one", new, phrase)


FIELD_OPERATORS: tuple[Callable[[ast.AST, Surroundings], Iterator[FieldEdit]], ...] = (
    related_functions,
    order_of_steps,
    softmaxes,
    sigmoids,
    slopes_of_tanh,
    labels,
    optimisers,
    statistics,
    sizes,
    powers,
)
