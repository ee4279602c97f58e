"""Mistakes with angles and Fourier transforms, and on grids whose elements depend on neighbours.

Only diagnosis uses them; see field_mistakes.py.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator

from grader.verify.code_words import Function, code_of, last_name
from grader.verify.field_mistakes import FieldEdit, Surroundings
from grader.verify.value_mistakes import WholeEdit

_FORWARD = ("fft", "rfft", "fft2")


def angles(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield degrees taken as radians, and the reverse."""
    in_degrees = "with an angle in degrees where radians belong"
    in_radians = "with an angle in radians where degrees belong"
    match node:
        case ast.Call(func=func, args=[x]) if last_name(func) in ("deg2rad", "radians"):
            yield FieldEdit("angle", f"({code_of(x)})", in_degrees)
        case ast.Call(func=func, args=[x]) if last_name(func) in ("rad2deg", "degrees"):
            yield FieldEdit("angle", f"({code_of(x)})", in_radians)
        case ast.BinOp(op=ast.Mult() | ast.Div()):
            above, below = _fraction(node)
            for one, other, phrase in ((above, below, in_degrees), (below, above, in_radians)):
                pi = [x for x in one if last_name(x) == "pi"]
                half = [x for x in other if isinstance(x, ast.Constant) and x.value == 180]
                if len(pi) == len(half) == 1 and len(above) > 1:
                    rest = [x for x in above if x not in pi + half]
                    under = [x for x in below if x not in pi + half]
                    new = " * ".join(f"({code_of(x)})" for x in rest)
                    new += "".join(f" / ({code_of(x)})" for x in under)
                    yield FieldEdit("angle", new, phrase)


def _fraction(node: ast.expr) -> tuple[list[ast.expr], list[ast.expr]]:
    """Return the factors above and below the line of a product or a quotient."""
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            (a, b), (c, d) = _fraction(left), _fraction(right)
            return a + c, b + d
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            (a, b), (c, d) = _fraction(left), _fraction(right)
            return a + d, b + c
    return [node], []


def transforms(node: ast.AST, around: Surroundings) -> Iterator[FieldEdit]:
    """Yield a conjugate that is too much, a transform the wrong way, the real part of a number."""
    if not isinstance(node, ast.Call) or not node.args:
        return
    name, whole = last_name(node.func), code_of(node)
    owner = code_of(node.func)[: -len(name)]
    rest = whole[len(owner) + len(name) :]
    if name in _FORWARD:
        phrase = "with a complex conjugate: a correlation where a convolution belongs"
        yield FieldEdit("conjugate", f"np.conj({whole})", phrase)
    if name in ("fft", "ifft", "fft2", "ifft2") and owner:
        other = name[1:] if name.startswith("i") else f"i{name}"
        way = "forward" if name.startswith("i") else "inverse"
        belongs = "inverse" if way == "forward" else "forward"
        phrase = f"with the {way} Fourier transform where the {belongs} one belongs"
        yield FieldEdit("other transform", f"{owner}{other}{rest}", phrase)
    if name in ("abs", "absolute") and _is_complex(node.args[0], around):
        for part in ("real", "imag"):
            word = "real" if part == "real" else "imaginary"
            phrase = f"with the {word} part where the absolute value belongs"
            yield FieldEdit("one part", f"np.{part}({code_of(node.args[0])})", phrase)
    if name in ("conj", "conjugate"):
        yield FieldEdit("conjugate", f"({code_of(node.args[0])})", "without a complex conjugate")


def _is_complex(node: ast.expr, around: Surroundings) -> bool:
    """Tell whether a value is, as far as the code shows, a complex number."""
    texts = [code_of(node)]
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and inner.id in around.assigned:
            texts.append(code_of(around.assigned[inner.id]))
    return any("fft(" in text.replace("irfft(", "") or "1j" in text for text in texts)


SIGNAL_OPERATORS: tuple[Callable[[ast.AST, Surroundings], Iterator[FieldEdit]], ...] = (
    angles,
    transforms,
)


def already_new(function: Function, lines: Collection[int] | None) -> Iterator[WholeEdit]:
    """Yield for v[1:-1] = (u[:-2] + u[2:]) / 2 a loop that takes the neighbours from v itself."""
    for statement in ast.walk(function):
        if not isinstance(statement, ast.Assign | ast.AugAssign):
            continue
        if lines is not None and statement.lineno not in lines:
            continue
        target = statement.target if isinstance(statement, ast.AugAssign) else statement.targets[0]
        starts = _starts(target)
        if not starts or not isinstance(target, ast.Subscript):
            continue
        source = _of_neighbours(statement.value)
        if not source:
            continue
        new = code_of(target.value)
        value = _Elements(source, new).visit(ast.parse(code_of(statement.value), mode="eval").body)
        index = ", ".join(f"_{n} + {start}" for n, start in enumerate(starts))
        mark = code_of(statement)[len(code_of(target)) :].strip().partition("=")[0].strip()
        indent = " " * statement.col_offset
        text = ""
        for n in range(len(starts)):
            text += (
                f"for _{n} in range(np.shape({code_of(target)})[{n}]):\n{indent}{'    ' * (n + 1)}"
            )
        text += f"{new}[{index}] {mark}= {code_of(value)}"
        phrase = "with elements that are already new where the old ones belong"
        words = f"`{code_of(target)}` set in a loop that reads `{new}`"
        yield WholeEdit("already new", [(statement, text)], words, phrase)


def _starts(node: ast.expr) -> list[int]:
    """Return where each slice of x[1:-1, 2:] begins; none if an index is not a slice."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.value, ast.Name | ast.Attribute):
        return []
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    found = []
    for part in parts:
        match part:
            case ast.Slice(lower=None, step=None):
                found.append(0)
            case ast.Slice(lower=ast.Constant(value=int() as start), step=None):
                found.append(start)
            case _:
                return []
    return found


def _of_neighbours(value: ast.expr) -> str:
    """Return the array of which a value takes two slices that begin at other places; or ""."""
    places: dict[str, set[tuple[int, ...]]] = {}
    for node in ast.walk(value):
        if isinstance(node, ast.Subscript) and _starts(node):
            places.setdefault(code_of(node.value), set()).add(tuple(_starts(node)))
    return next((name for name, starts in places.items() if len(starts) > 1), "")


class _Elements(ast.NodeTransformer):
    """Takes one element for each slice, and the new array for the old one."""

    def __init__(self, old: str, new: str) -> None:
        self.old, self.new = old, new

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        starts = _starts(node)
        if not starts:
            return node
        name = self.new if code_of(node.value) == self.old else code_of(node.value)
        index = ", ".join(f"_{n} + {start}" for n, start in enumerate(starts))
        return ast.parse(f"{name}[{index}]", mode="eval").body
