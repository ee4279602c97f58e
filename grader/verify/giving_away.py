"""Find the solution's own expressions in a text that students may read.

    given_away("s (s - 1) for s (1 - s)", ["ds = s * (1.0 - s)"])    ["s (1 - s)"]
    words_for_students(sample, notebook)                             "" for such a title

A text has expressions between its words: "2y - 1", "-log sigma(z)". One gives the solution away if
the solution holds it, with numbers and operators as there, whatever its names are called. So does
one that the text itself calls the right one: "sigma for 1 - sigma". A text without operators may
still say too much: only people notice.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence

from grader.records import Notebook
from grader.verify.samples import Sample

_TOKEN = re.compile(r"\d+(?:\.\d+)?|[^\W\d]\w*'?|\*\*|[-+*/^@()]|\S|\s+")
_FUNCTIONS = frozenset(
    (
        *("log", "exp", "sqrt", "sin", "cos", "tan", "tanh", "cosh", "sinh", "abs", "mean", "sum"),
        *("max", "min", "log2", "log10", "log1p", "sigma", "sigmoid", "softmax", "softplus"),
        "relu",
    )
)
_NAMES = frozenset(
    (
        *("alpha", "beta", "gamma", "delta", "epsilon", "eps", "eta", "lambda", "lam", "mu", "pi"),
        *("theta", "rho", "phi"),
    )
)
_LONGEST = 200
"""Characters of an expression in a text; a longer one is none that a person wrote."""
_MANY = 12
"""Terms of a sum or factors of a product of which each pair is compared."""
_RIGHT_ONE = re.compile(
    r"(?:\bfor|\binstead of|\bin (?:the )?place of|, not|\bnot|\brather than|\bwhere)"
    r"(?: by| of| as| the)?\s*$"
)
"""What stands before the right one of two expressions: "sigma for 1 - sigma"."""


def words_for_students(sample: Sample, notebook: Notebook, right: Iterable[str] = ()) -> str:
    """Return what students read of a mistake: the sample's `says`, or its title.

    Returns "" if it has no `says`, and its title holds an expression of the solution.
    notebook : the solved one; right : sources of other right answers
    """
    if sample.says:
        return sample.says
    return "" if given_away(sample.title, solutions_of(sample, notebook, right)) else sample.title


def solutions_of(sample: Sample, notebook: Notebook, right: Iterable[str] = ()) -> list[str]:
    """Return the right sources of what the sample changes."""
    regions = [notebook.regions[name].source for name in sample.regions]
    return [*regions, *(notebook.definitions[name].source for name in sample.definitions), *right]


def right_sources(samples: Iterable[Sample], sample: Sample) -> list[str]:
    """Return what the right samples have in the gaps that a sample changes."""
    return [
        source
        for other in samples
        if other.kind == "right" and other.notebook == sample.notebook
        for name, source in (*other.regions.items(), *other.definitions.items())
        if name in sample.regions or name in sample.definitions
    ]


def too_much_said(sample: Sample, notebook: Notebook, right: Iterable[str] = ()) -> str:
    """Return a warning about what students would read of a mistake; "" if it tells no solution."""
    solutions = solutions_of(sample, notebook, right)
    found = given_away(sample.says or sample.title, solutions) if sample.kind == "mistake" else []
    if not found:
        return ""
    shown = " and ".join(f"`{one}`" for one in dict.fromkeys(found))
    if sample.says:
        return f"samples/{sample.name}.toml: students read {shown} in `says`: say less"
    return (
        f"samples/{sample.name}.toml: its title holds {shown}, so students don't read it: "
        'write what they may read, as says = "..."'
    )


def given_away(text: str, solutions: Iterable[str]) -> list[str]:
    """Return the expressions of a text that a solution holds, or that the text calls right."""
    held = {form for source in solutions for form in _forms_in(source)}
    found = []
    for place, shown, tree in _expressions(text):
        named_right = bool(_RIGHT_ONE.search(text[:place]))
        if named_right or not held.isdisjoint(_own_forms(tree)):
            found.append(shown)
    return found


# --- expressions between words ------------------------------------------------------------


def _expressions(text: str) -> Iterator[tuple[int, str, ast.expr]]:
    """Yield the place, the text and the tree of each expression with an operator or a number."""
    for place, run in _runs(text):
        tree = _parsed(run) if len(run) <= _LONGEST else None
        nodes = [*ast.walk(tree)] if tree is not None else []
        computed = any(isinstance(node, ast.BinOp | ast.UnaryOp) for node in nodes)
        # A number alone is none, and neither is log 2; -log 2 is one.
        if tree is not None and computed and any(isinstance(node, ast.Name) for node in nodes):
            yield place, run, tree


def _runs(text: str) -> Iterator[tuple[int, str]]:
    """Yield each longest run of names, numbers, operators and parentheses, with its place."""
    start, end, deep = -1, -1, 0
    for token in [*_TOKEN.finditer(text), None]:
        if token is not None and token[0].isspace():
            continue
        one = token[0] if token else ""
        inside = bool(one) and _is_of_math(one, text, token.start() if token else 0)
        if inside and start >= 0 and one == ")" and deep == 0:
            inside = False
        if inside:
            start = token.start() if start < 0 and token else start
            end = token.end() if token else end
            deep += (one == "(") - (one == ")")
            continue
        if start >= 0:
            yield start, text[start:end].strip()
        start, end, deep = -1, -1, 0


def _is_of_math(token: str, text: str, place: int) -> bool:
    if token in "+*/^@()" or token == "**" or re.fullmatch(r"\d+(?:\.\d+)?", token):
        return True
    if token == "-":  # the hyphen of a word is none
        return not (text[place - 1 : place].isalpha() and text[place + 1 : place + 2].isalpha())
    if not re.fullmatch(r"[^\W\d]\w*'?", token) or token in ("a", "A", "I"):
        return False
    short = len(token) <= 2 and token not in _SHORT_WORDS
    named = token in _FUNCTIONS or token in _NAMES or "_" in token or token.endswith("'")
    # A word is a name if an operator stands beside it: "1 - dropout".
    before, after = text[:place], text[place + len(token) :]
    beside = bool(re.search(r"[+*/^] ?$|[\w)] - $", before) or re.match(r" ?[+*/^]| - \w", after))
    return short or named or beside


_SHORT_WORDS = frozenset(
    (
        *("is", "as", "at", "of", "in", "on", "to", "by", "or", "an", "it", "no", "so", "be", "do"),
        *("if", "up", "we", "us", "me", "my", "he", "go"),
    )
)


def _parsed(run: str) -> ast.expr | None:
    """Return the tree of a run, in which "2 y" and "s (1 - s)" are products, "log y" is a call."""
    tokens = [t for t in _TOKEN.findall(run) if not t.isspace()]
    parts: list[str] = []
    while tokens:
        first = tokens[0]
        if parts and re.match(r"[\w(]", first) and re.match(r"[\w)]", parts[-1][-1]):
            parts.append("*")
        parts.append(_primary(tokens) if re.match(r"\w", first) else tokens.pop(0))
    text = "".join("**" if part == "^" else part for part in parts)
    try:
        return ast.parse(text.strip("*/+@"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None


def _primary(tokens: list[str]) -> str:
    """Take a number, a name or a call from the front: "log sigma(-z)" is log(sigma(-z))."""
    name = tokens.pop(0).replace("'", "_")
    if name not in _FUNCTIONS or not tokens:
        return name
    if tokens[0] != "(":
        return f"{name}({_primary(tokens)})" if re.match(r"\w", tokens[0]) else name
    deep, inner = 0, []
    while tokens:
        deep += (tokens[0] == "(") - (tokens[0] == ")")
        inner.append(tokens.pop(0))
        if deep == 0:
            break
    return f"{name}{''.join(inner)}"


# --- forms: what two expressions have in common -------------------------------------------

_Form = tuple[object, ...]


def _forms_in(source: str) -> Iterator[_Form]:
    """Yield the forms of all expressions in a source that have an operator."""
    try:
        tree = ast.parse(source if source[:1] not in " \t" else f"if 1:\n{source}")
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.UnaryOp):
            for same_names in (True, False):
                yield from _parts(node, same_names)


def _own_forms(tree: ast.expr) -> set[_Form]:
    """Return the forms of a text's expression.

    Its names may differ from the solution's if it has a number, as in "2 sigma - 1"; 1/m is in
    every solution.
    """
    forms = {_form(tree, True)}
    numbered = any(isinstance(node, ast.Constant) for node in ast.walk(tree))
    if numbered and not (isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Div)):
        forms.add(_form(tree, False))
    return forms


def _parts(node: ast.expr, same_names: bool) -> Iterator[_Form]:
    """Yield the form of an expression, and of two neighbours in its sum or product."""
    form = _form(node, same_names)
    yield form
    kind, *several = form
    if kind in ("sum", "product") and 2 < len(several) <= _MANY:
        for first, one in enumerate(several):
            for other in several[first + 1 :]:
                yield (kind, *sorted((one, other), key=repr))


def _form(node: ast.expr, same_names: bool) -> _Form:
    """Return a tuple that is equal for expressions that differ in order, `np.` and `1.0` alone."""
    if isinstance(node, ast.Constant):
        value = node.value
        return ("number", float(value) if isinstance(value, int | float) else repr(value))
    if isinstance(node, ast.Name):
        return ("name", node.id if same_names else "")
    if isinstance(node, ast.Attribute):
        return ("name", node.attr if same_names else "")
    if isinstance(node, ast.Call):
        named = node.func.attr if isinstance(node.func, ast.Attribute) else None
        named = node.func.id if isinstance(node.func, ast.Name) else named
        name = _SAME.get(named or "", named or "")
        return ("call", name, *(_form(one, same_names) for one in node.args))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return ("minus", _form(node.operand, same_names))
    if isinstance(node, ast.BinOp):
        return _form_of_two(node, same_names)
    return ("other", ast.dump(node) if same_names else type(node).__name__)


_SAME = {"sigma": "sigmoid", "absolute": "abs"}


def _form_of_two(node: ast.BinOp, same_names: bool) -> _Form:
    left, right = _form(node.left, same_names), _form(node.right, same_names)
    if isinstance(node.op, ast.Sub):
        return _joined("sum", left, ("minus", right))
    if isinstance(node.op, ast.Add):
        return _joined("sum", left, right)
    if isinstance(node.op, ast.Mult):
        return _joined("product", left, right)
    return (type(node.op).__name__, left, right)


def _joined(kind: str, left: _Form, right: _Form) -> _Form:
    several: Sequence[_Form] = [
        *(left[1:] if left[0] == kind else [left]),
        *(right[1:] if right[0] == kind else [right]),
    ]
    return (kind, *sorted(several, key=repr))
