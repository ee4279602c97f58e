"""Render formulas as MathML, or as one line of text.

A formula that was read is rendered from its tree, so that a reader sees its interpretation. Other
formulas are rendered by latex2mathml; only plain MathML of its output is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any
from xml.etree import ElementTree

from grader.derivation import tree as t

_LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ",
    "eta": "η", "theta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν",
    "xi": "ξ", "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ",
    "chi": "χ", "psi": "ψ", "omega": "ω", "Gamma": "Γ", "Delta": "Δ", "Theta": "Θ",
    "Lambda": "Λ", "Xi": "Ξ", "Pi": "Π", "Sigma": "Σ", "Upsilon": "Υ", "Phi": "Φ", "Psi": "Ψ",
    "Omega": "Ω", "ell": "ℓ", "hbar": "ℏ", "infty": "∞", "partial": "∂",
}  # fmt: skip
_ACCENTS = {"hat": "^", "bar": "¯", "tilde": "~", "dot": "˙", "ddot": "¨", "check": "ˇ",
            "breve": "˘"}  # fmt: skip
_RELATIONS = {"=": "=", "!=": "≠", "<": "<", "<=": "≤", ">": ">", ">=": "≥"}
_BIG = {"sum": "∑", "prod": "∏", "max": "max", "min": "min"}
_NAME = re.compile(r"\\(hat|bar|tilde|dot|ddot|check|breve)\{(.*)\}$")
_KEPT = {"math", "mrow", "mi", "mn", "mo", "mtext", "mspace", "mfrac", "msqrt", "mroot", "msub",
         "msup", "msubsup", "munder", "mover", "munderover", "mtable", "mtr", "mtd", "mfenced",
         "mstyle", "mpadded", "mphantom"}  # fmt: skip
LONGEST_RENDERED = 2000


def mathml(node: t.Node | None, latex: str) -> str:
    """Return a formula as MathML; it is safe for any input."""
    if node is not None:
        try:
            return f"<math>{_row(node)}</math>"
        except RecursionError:
            pass
    return _converted(latex)


def _converted(latex: str) -> str:
    """Return latex2mathml's output with only plain MathML elements; else the LaTeX source."""
    shown = f"<code>{escape(latex[:LONGEST_RENDERED])}</code>"
    if len(latex) > LONGEST_RENDERED or _depth(latex) > 30:
        return shown
    try:
        import latex2mathml.converter

        made = latex2mathml.converter.convert(latex)
        tree = ElementTree.fromstring(made)
    except Exception:  # the library raises many kinds of errors for LaTeX that it does not know
        return shown
    return f"<math>{''.join(_kept(child) for child in tree)}</math>"


def _depth(latex: str) -> int:
    deepest = depth = 0
    for sign in latex:
        depth += (sign == "{") - (sign == "}")
        deepest = max(deepest, depth)
    return deepest


def _kept(element: ElementTree.Element) -> str:
    tag = element.tag.rpartition("}")[2]
    inner = escape(element.text or "") + "".join(
        _kept(child) + escape(child.tail or "") for child in element
    )
    return f"<{tag}>{inner}</{tag}>" if tag in _KEPT else inner


# --- MathML from the tree


def _mi(text: str) -> str:
    return f"<mi>{escape(text)}</mi>"


def _mo(text: str) -> str:
    return f"<mo>{escape(text)}</mo>"


def _grouped(inner: str) -> str:
    return f"<mrow>{inner}</mrow>"


def _one(node: t.Node) -> str:
    """Return a single element, where MathML needs a fixed number of children."""
    return _grouped(_row(node))


def _name(name: str) -> str:
    """Return a name with its index and exponent, as \\hat{y}_1."""
    accent = _NAME.match(name)
    if accent:
        inner = _name(accent.group(2))
        return f"<mover>{_grouped(inner)}{_mo(_ACCENTS[accent.group(1)])}</mover>"
    base, sub, sup = _split_name(name)
    first = _mi(_letter(base))
    if sub and sup:
        return (
            f"<msubsup>{first}{_grouped(_mi(_letter(sub)))}{_grouped(_mi(_letter(sup)))}</msubsup>"
        )
    if sub:
        return f"<msub>{first}{_grouped(_mi(_letter(sub)))}</msub>"
    if sup:
        return f"<msup>{first}{_grouped(_mi(_letter(sup)))}</msup>"
    return first


def _split_name(name: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"([^_^]+)(?:\^([^_]*))?(?:_(.*))?", name)
    return (found.group(1), found.group(3) or "", found.group(2) or "") if found else (name, "", "")


def _letter(name: str) -> str:
    curly = re.fullmatch(r"\\mathcal\{(\w)\}", name)
    if curly:
        return curly.group(1)
    return "".join(
        _LETTERS.get(piece[1:], piece.lstrip("\\")) if piece.startswith("\\") else piece
        for piece in re.findall(r"\\[A-Za-z]+|[^\\]+|\\", name)
    )


def _row(node: t.Node) -> str:
    """Return the elements of a formula's part, side by side."""
    return _MATHML[type(node)](node)


def _parenthesized(inner: str) -> str:
    return _mo("(") + inner + _mo(")")


def _needs_brackets(node: t.Node) -> bool:
    return isinstance(node, t.Sum | t.Negative)


def _ml_sum(node: t.Sum) -> str:
    out = _row(node.terms[0])
    for term in node.terms[1:]:
        if isinstance(term, t.Negative):
            out += _mo("−") + _wrapped(term.of)
        else:
            out += _mo("+") + _row(term)
    return out


def _wrapped(node: t.Node) -> str:
    return _parenthesized(_row(node)) if _needs_brackets(node) else _row(node)


def _ml_product(node: t.Product) -> str:
    sign = _mo("⊙") if node.elementwise else _mo("⋅") if node.dots else ""
    return sign.join(_wrapped(factor) for factor in node.factors)


def _ml_power(node: t.Power) -> str:
    half = t.Fraction(t.Number("1"), t.Number("2"))
    if node.exponent == half and not isinstance(node.base, t.Group):
        return f"<msqrt>{_row(node.base)}</msqrt>"
    base = node.base
    if isinstance(base, t.Call) and len(base.arguments) == 1 and not base.primes and not base.named:
        head = f"<msup>{_name(base.name)}{_one(node.exponent)}</msup>"
        return head + _parenthesized(_row(t.bare(base.arguments[0])))
    inner = _row(base)
    simple = isinstance(base, t.Symbol | t.Number | t.Constant | t.Group | t.Indexed | t.Absolute
                        | t.Norm)  # fmt: skip
    inner = inner if simple else _parenthesized(inner)
    return f"<msup>{_grouped(inner)}{_one(node.exponent)}</msup>"


def _ml_call(node: t.Call) -> str:
    name = _name(node.name)
    if node.primes:
        name = f"<msup>{name}{_mo('′' * node.primes)}</msup>"
    arguments = [_row(t.bare(argument)) for argument in node.arguments]
    arguments += [_name(given) + _mo("=") + _row(value) for given, value in node.named]
    return name + _parenthesized(_mo(",").join(arguments))


def _ml_symbol(node: t.Symbol) -> str:
    name = _name(node.name)
    return f"<msup>{name}{_mo('′' * node.primes)}</msup>" if node.primes else name


def _ml_indexed(node: t.Indexed) -> str:
    base = _row(node.base)
    if not isinstance(node.base, t.Symbol | t.Call | t.Group):
        base = _parenthesized(base)
    return f"<msub>{_grouped(base)}{_grouped(_mo(',').join(_row(i) for i in node.indices))}</msub>"


def _ml_derivative(node: t.Derivative) -> str:
    sign = _mi("d") if node.sign == "d" else _mo("∂")
    total = sum(order for _, order in node.by)
    above = f"<msup>{sign}<mn>{total}</mn></msup>" if total > 1 else sign
    below = ""
    for target, order in node.by:
        shown = (
            _row(target)
            if not isinstance(target, t.Sum | t.Product)
            else _parenthesized(_row(target))
        )
        below += sign + (f"<msup>{_grouped(shown)}<mn>{order}</mn></msup>" if order > 1 else shown)
    simple = isinstance(node.of, t.Symbol | t.Call | t.Indexed)
    if simple:
        return f"<mfrac>{_grouped(above + _row(node.of))}{_grouped(below)}</mfrac>"
    inner = _row(node.of) if isinstance(node.of, t.Group) else _parenthesized(_row(node.of))
    return f"<mfrac>{_grouped(above)}{_grouped(below)}</mfrac>{inner}"


def _ml_gradient(node: t.Gradient) -> str:
    nabla = f"<msub>{_mo('∇')}{_one(node.by)}</msub>" if node.by is not None else _mo("∇")
    return nabla + _wrapped(node.of)


def _ml_big(node: t.Big) -> str:
    below = _mi(_letter(node.index))
    if node.low is not None:
        below += _mo("=") + _row(node.low)
    for other in node.but:
        below += _mo("≠") + _row(other)
    sign = f"<mo>{_BIG[node.kind]}</mo>" if node.kind in ("sum", "prod") else _mi(node.kind)
    if node.high is not None:
        head = f"<munderover>{sign}{_grouped(below)}{_one(node.high)}</munderover>"
    else:
        head = f"<munder>{sign}{_grouped(below)}</munder>"
    return head + (_parenthesized(_row(node.of)) if isinstance(node.of, t.Sum) else _row(node.of))


def _ml_limit(node: t.Limit) -> str:
    goal = _row(node.to) + (f"<mo>{node.side}</mo>" if node.side else "")
    return (
        f"<munder>{_mi('lim')}{_grouped(_mi(_letter(node.index)) + _mo('→') + goal)}</munder>"
        + (_parenthesized(_row(node.of)) if isinstance(node.of, t.Sum) else _row(node.of))
    )


def _ml_relation(node: t.Relation) -> str:
    if node.sign == "otherwise":
        return "<mtext>otherwise</mtext>"
    assert node.left is not None and node.right is not None
    sign = _mo(",") if node.sign == "and" else _mo(_RELATIONS[node.sign])
    return _row(node.left) + sign + _row(node.right)


def _ml_cases(node: t.Cases) -> str:
    rows = "".join(
        f"<mtr><mtd>{_row(value)}</mtd><mtd>{_row(condition)}</mtd></mtr>"
        for value, condition in node.rows
    )
    return f"{_mo('{')}<mtable>{rows}</mtable>"


def _ml_vector(node: t.Vector) -> str:
    rows = "".join(
        "<mtr>" + "".join(f"<mtd>{_row(x)}</mtd>" for x in row) + "</mtr>" for row in node.rows
    )
    return _mo("(") + f"<mtable>{rows}</mtable>" + _mo(")")


_MATHML: dict[type[t.Node], Callable[[Any], str]] = {
    t.Number: lambda n: f"<mn>{escape(n.text)}</mn>",
    t.Constant: lambda n: _mi({"e": "e", "pi": "π", "inf": "∞"}[n.name]),
    t.Symbol: _ml_symbol,
    t.Indexed: _ml_indexed,
    t.Call: _ml_call,
    t.Negative: lambda n: _mo("−") + _wrapped(n.of),
    t.Sum: _ml_sum,
    t.Product: _ml_product,
    t.Fraction: lambda n: f"<mfrac>{_one(t.bare(n.above))}{_one(t.bare(n.below))}</mfrac>",
    t.Power: _ml_power,
    t.Inverse: lambda n: (
        f"<msup>{_name(n.name)}<mrow><mo>−</mo><mn>1</mn></mrow></msup>"
        + _parenthesized(_row(t.bare(n.argument)))
    ),
    t.Group: lambda n: (
        _mo({"(": "(", "[": "[", "{": "{"}.get(n.kind, "("))
        + _row(n.of)
        + _mo({"(": ")", "[": "]", "{": "}"}.get(n.kind, ")"))
    ),
    t.Derivative: _ml_derivative,
    t.Gradient: _ml_gradient,
    t.Prime: lambda n: f"<msup>{_grouped(_row(n.of))}{_mo('′' * n.order)}</msup>",
    t.Big: _ml_big,
    t.Limit: _ml_limit,
    t.Absolute: lambda n: _mo("|") + _row(n.of) + _mo("|"),
    t.Norm: lambda n: (
        f"<msub>{_grouped(_mo('‖') + _row(n.of) + _mo('‖'))}"
        f"<mn>{escape(n.order.replace(chr(92) + 'infty', '∞'))}</mn></msub>"
    ),
    t.Transpose: lambda n: f"<msup>{_grouped(_wrapped(n.of))}{_mo('⊤')}</msup>",
    t.Relation: _ml_relation,
    t.Indicator: lambda n: f"<msub><mn>1</mn>{_one(n.condition)}</msub>",
    t.Cases: _ml_cases,
    t.Vector: _ml_vector,
    t.Ones: lambda n: "<mn>1</mn>",
    t.At: lambda n: (
        f"<msub>{_grouped(_row(n.of) + _mo('|'))}"
        f"{_grouped(_name(n.name) + _mo('=') + _row(n.value))}</msub>"
    ),
}


# --- one line of text


def plain(node: t.Node | None) -> str:
    """Return a formula as one line of text, for a terminal and for a remark."""
    if node is None:
        return ""
    if isinstance(node, t.Number):
        return node.text
    if isinstance(node, t.Constant):
        return {"e": "e", "pi": "π", "inf": "∞"}[node.name]
    if isinstance(node, t.Symbol):
        return _plain_name(node.name) + "'" * node.primes
    if isinstance(node, t.Indexed):
        return f"{plain(node.base)}_{','.join(plain(i) for i in node.indices)}"
    if isinstance(node, t.Call):
        arguments = [plain(t.bare(a)) for a in node.arguments]
        arguments += [f"{_plain_name(name)} = {plain(value)}" for name, value in node.named]
        return f"{_plain_name(node.name)}{chr(39) * node.primes}({', '.join(arguments)})"
    if isinstance(node, t.Negative):
        return f"-{_plain_wrapped(node.of)}"
    if isinstance(node, t.Sum):
        text = plain(node.terms[0])
        for term in node.terms[1:]:
            negative = isinstance(term, t.Negative)
            text += f" - {_plain_wrapped(term.of)}" if isinstance(term, t.Negative) else ""
            text += "" if negative else f" + {plain(term)}"
        return text
    if isinstance(node, t.Product):
        return (" ⊙ " if node.elementwise else " ").join(_plain_wrapped(f) for f in node.factors)
    if isinstance(node, t.Fraction):
        return f"{_plain_wrapped(node.above)}/{_plain_wrapped(node.below, product=True)}"
    if isinstance(node, t.Power):
        simple = isinstance(node.exponent, t.Number | t.Symbol)
        raised = plain(node.exponent) if simple else f"({plain(t.bare(node.exponent))})"
        return f"{_plain_wrapped(node.base, product=True)}^{raised}"
    if isinstance(node, t.Group):
        return f"({plain(node.of)})"
    if isinstance(node, t.Derivative):
        below = " ".join(f"d{plain(target)}" + (f"^{n}" if n > 1 else "") for target, n in node.by)
        return f"d/{below} ({plain(t.bare(node.of))})"
    if isinstance(node, t.Big):
        return f"{_BIG[node.kind]}_{node.index} {_plain_wrapped(node.of)}"
    if isinstance(node, t.Absolute):
        return f"|{plain(node.of)}|"
    if isinstance(node, t.Relation) and node.left is not None and node.right is not None:
        sign = "," if node.sign == "and" else _RELATIONS[node.sign]
        return f"{plain(node.left)} {sign} {plain(node.right)}"
    if isinstance(node, t.Indicator):
        return f"1[{plain(node.condition)}]"
    if isinstance(node, t.Limit):
        return f"lim {node.index}→{plain(node.to)}{node.side} {plain(node.of)}"
    if isinstance(node, t.Prime):
        return f"({plain(node.of)})" + "'" * node.order
    inner = " ".join(plain(child) for child in t.children(node))
    return f"{type(node).__name__.casefold()}({inner})"


def _plain_wrapped(node: t.Node, *, product: bool = False) -> str:
    wrap = isinstance(node, t.Sum | t.Negative) or (
        product and isinstance(node, t.Product | t.Fraction)
    )
    return f"({plain(node)})" if wrap else plain(node)


def _plain_name(name: str) -> str:
    accent = _NAME.match(name)
    return f"{_plain_name(accent.group(2))}_{accent.group(1)}" if accent else _letter(name)
