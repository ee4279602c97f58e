"""A recursive-descent parser of formulas, with all readings where LaTeX leaves several open.

Written formulas are ambiguous: how far d/dx, log and a sum reach, whether f(x + 1) is a call or
a product, whether f^{-1} is a reciprocal. At such a place the parser asks `_Choices`; `readings`
runs it again with the next answer until there is none. (One class over 450 lines: the grammar is
read in one place.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from grader.derivation import tree as t
from grader.derivation.context import BUILT_IN, OF_VECTORS, Context, Declared
from grader.derivation.tokens import Token, Unreadable

MOST_READINGS = 24
DEEPEST = 40
"""Levels of brackets, fractions and exponents; Python's stack holds some 1,000 calls."""
MOST_TOKENS = 900
MOST_PRIMES = 4

_CLOSERS = {"(": ")", "[": "]", "\\{": "\\}", "{": "}", "\\langle": "\\rangle"}
_D = {("sym", "d"), ("cmd", "\\partial"), ("sym", "\\delta"), ("sym", "\\mathrm{d}")}
_END = Token("end!", "")


class _Choices:
    """Answers to what is ambiguous: those prescribed, then the first."""

    def __init__(self, prescribed: Sequence[int]) -> None:
        self.prescribed, self.taken = list(prescribed), list[tuple[int, int]]()

    def of(self, count: int) -> int:
        at = len(self.taken)
        chosen = self.prescribed[at] if at < len(self.prescribed) else 0
        self.taken.append((chosen, count))
        return chosen


def readings(
    tokens: Sequence[Token], context: Context, spend: Callable[[int], None] = lambda _: None
) -> Iterator[t.Node]:
    """Yield the trees of a formula, the likeliest first, at most MOST_READINGS.

    spend : is told what each reading costs, about a node a token
    Raises Unreadable where there is none.
    """
    if len(tokens) > MOST_TOKENS:
        raise Unreadable(f"it has more than {MOST_TOKENS} signs")
    prescribed: list[int] = []
    seen: set[t.Node] = set()
    first_error: Unreadable | None = None
    for _ in range(MOST_READINGS):
        choices = _Choices(prescribed)
        spend(2 * len(tokens))
        try:
            node = Parser(tokens, context, choices).whole()
        except Unreadable as error:
            first_error = first_error or error
        else:
            if node not in seen:
                seen.add(node)
                yield node
        taken = choices.taken
        while taken and taken[-1][0] + 1 >= taken[-1][1]:
            taken.pop()
        if not taken:
            break
        prescribed = [chosen for chosen, _ in taken]
        prescribed[-1] += 1
    if not seen:
        raise first_error or Unreadable("it is empty")


def parse(tokens: Sequence[Token], context: Context) -> t.Node:
    """Return the likeliest tree. Raises Unreadable."""
    return next(readings(tokens, context))


class Parser:
    def __init__(self, tokens: Sequence[Token], context: Context, choices: _Choices) -> None:
        self.tokens = _without_columns(tokens)
        self.context, self.choices = context, choices
        self.at = self.depth = 0
        self.closers: list[str] = []
        self.unclosed = False

    # --- moving along

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else _END

    def take(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def sees(self, *texts: str) -> bool:
        token = self.peek()
        return token.kind in ("p", "cmd") and token.text in texts

    def whole(self) -> t.Node:
        node = self.expression()
        if self.at < len(self.tokens):
            token = self.peek()
            if token.kind == "text":
                raise Unreadable(f'running text: "{token.text}"')
            raise Unreadable(f'"{token.text}" is not expected here')
        return node

    def sub(self, tokens: Sequence[Token], *, expression: bool = True) -> t.Node:
        """Return the tree of a part of the formula that its own brackets delimit."""
        inner = Parser(tokens, self.context, self.choices)
        inner.depth = self.depth + 1
        if inner.depth > DEEPEST:
            raise Unreadable(f"it is nested more than {DEEPEST} levels deep")
        return inner.whole() if expression else inner.condition()

    # --- sums and products

    def expression(self) -> t.Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"it is nested more than {DEEPEST} levels deep")
        terms = [self.signed_term()]
        self._more_terms(terms)
        self.depth -= 1
        return terms[0] if len(terms) == 1 else t.Sum(tuple(terms))

    def _more_terms(self, terms: list[t.Node]) -> None:
        while self.sees("+", "-"):
            minus = self.take().text == "-"
            term = self.term() if not self.sees("+", "-") else self.signed_term()
            terms.append(t.Negative(term) if minus else term)

    def signed_term(self) -> t.Node:
        if self.sees("+", "-"):
            self.depth += 1
            if self.depth > DEEPEST:
                raise Unreadable("it has too many signs in a row")
            minus = self.take().text == "-"
            term = self.signed_term() if self.sees("+", "-") else self.term()
            self.depth -= 1
            return t.Negative(term) if minus else term
        return self.term()

    def term(self) -> t.Node:
        return self._more_factors(self.factor())

    def _more_factors(self, first: t.Node, *, implicit_only: bool = False) -> t.Node:
        """Return the product that `first` begins."""
        factors, dots, elementwise = [first], False, False
        while True:
            if self.sees("/") and not implicit_only:
                self.take()
                below = self._signed_factor()
                above = factors.pop()
                if self.starts_factor() and self.choices.of(2):
                    below = self._more_factors(below, implicit_only=True)
                factors.append(t.Fraction(above, below))
            elif self.sees("*", "\\odot", "\\circ") and not implicit_only:
                sign = self.take().text
                elementwise = elementwise or sign != "*"
                dots = True
                factors.append(self._signed_factor())
            elif self.starts_factor():
                factors.append(self.factor())
            else:
                break
        if len(factors) == 1:
            return factors[0]
        return t.Product(tuple(factors), dots, elementwise)

    def _signed_factor(self) -> t.Node:
        if self.sees("-", "+"):
            minus = self.take().text == "-"
            return t.Negative(self.factor()) if minus else self.factor()
        return self.factor()

    def starts_factor(self) -> bool:
        kind, text = self.peek()
        if kind in ("num", "sym", "begin"):
            return True
        if kind == "cmd":
            return text not in ("\\dots", "\\over")
        if kind == "p":
            if text in ("|", "\\|"):
                return not self.closers or self.closers[-1] != text
            return text in _CLOSERS
        return False

    def factor(self) -> t.Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"it is nested more than {DEEPEST} levels deep")
        node = self.postfix(self.atom())
        self.depth -= 1
        return node

    # --- what follows an atom

    def postfix(self, node: t.Node) -> t.Node:
        while True:
            if self.sees("^"):
                self.take()
                node = self._raised(node, self.script())
            elif self.sees("_"):
                if isinstance(node, t.Number):
                    raise Unreadable(f"{node.text} has an index")
                self.take()
                node = t.Indexed(node, self.indices(self.script(), self.context.rank_of(node)))
            elif self.sees("'"):
                count = 0
                while self.sees("'"):
                    self.take()
                    count += 1
                if count > MOST_PRIMES:
                    raise Unreadable(f"more than {MOST_PRIMES} primes are not read")
                node = t.Prime(node, count)
            elif (
                self.sees("|")
                and self.peek(1) == Token("p", "_")
                and not (self.closers and self.closers[-1] == "|")
            ):
                self.at += 2
                node = self._at(node, self.script())
            elif self.sees("!"):
                raise Unreadable("factorials are not read")
            else:
                return node

    def _raised(self, base: t.Node, script: Sequence[Token]) -> t.Node:
        texts = [token.text for token in script]
        if texts and all(text == "'" for text in texts) and len(texts) <= MOST_PRIMES:
            return t.Prime(base, len(texts))
        if texts == ["\\top"] or (texts == ["T"] and self.context.name_of("T") is None):
            return t.Transpose(base)
        if texts in (["+"], ["-"], ["*"]) or not texts:
            raise Unreadable(f"the exponent {''.join(texts)} is not read")
        return t.Power(base, self.sub(script))

    def _at(self, node: t.Node, script: Sequence[Token]) -> t.Node:
        signs = [i for i, token in enumerate(script) if token == Token("rel", "=")]
        if len(signs) != 1:
            raise Unreadable("the place that it is taken at is not read")
        name = self.sub(script[: signs[0]])
        if not isinstance(name, t.Symbol):
            raise Unreadable("the place that it is taken at is not a name")
        return t.At(node, name.name, self.sub(script[signs[0] + 1 :]))

    def script(self) -> list[Token]:
        """Return the tokens of an exponent or index: a brace's, or one."""
        if self.sees("{"):
            return self.bracketed()
        token = self.take()
        if token.kind in ("end!", "rel", "row", "sep"):
            raise Unreadable("an index or exponent is missing")
        if token.kind == "cmd" and token.text == "\\frac":
            start = self.at - 1
            self.bracketed_or_one()
            self.bracketed_or_one()
            return self.tokens[start : self.at]
        if token.text in ("-", "+") and self.peek().kind == "num":
            return [token, self.take()]
        return [token]

    def bracketed(self) -> list[Token]:
        """Return the tokens inside the brackets that begin here, and pass their end."""
        opening = self.take().text
        closing = _CLOSERS[opening]
        depth, start = 1, self.at
        while self.at < len(self.tokens):
            token = self.take()
            if token.kind == "p" and token.text == opening:
                depth += 1
            elif token.kind == "p" and token.text == closing:
                depth -= 1
                if depth == 0:
                    return self.tokens[start : self.at - 1]
        raise Unreadable(f"a {opening} is not closed")

    def bracketed_or_one(self) -> list[Token]:
        if self.sees("{"):
            return self.bracketed()
        token = self.take()
        if token.kind == "end!":
            raise Unreadable("a command lacks its argument")
        if token.kind == "num" and len(token.text) > 1 and "." not in token.text:
            # \frac12 takes one digit at a time.
            self.at -= 1
            self.tokens[self.at : self.at + 1] = [
                Token("num", token.text[0]),
                Token("num", token.text[1:]),
            ]
            return [self.take()]
        return [token]

    # --- atoms

    def atom(self) -> t.Node:
        kind, text = self.peek()
        if kind == "num":
            self.take()
            if text == "1" and self.sees("_"):
                return self._indicator()
            return t.Number(text)
        if kind == "sym":
            if (kind, text) in _D and (slashed := self._slashed_derivative()) is not None:
                return slashed
            return self.name()
        if kind == "cmd":
            return self.command()
        if kind == "p":
            if text in ("|", "\\|"):
                return self._bars(text)
            if text == "\\langle":
                return self._inner_product()
            if text in _CLOSERS:
                return self.group()
        if kind == "begin":
            return self.environment()
        if kind == "text":
            raise Unreadable(f'running text: "{text}"')
        if kind == "end!":
            raise Unreadable("a term is missing at its end")
        raise Unreadable(f'"{text}" is not expected here')

    def group(self) -> t.Node:
        opening = self.take().text
        start = self.at
        self.closers.append(_CLOSERS[opening])
        if opening == "{" and (halves := self._over(start)) is not None:
            self.closers.pop()
            return halves
        node = self.expression()
        self.closers.pop()
        if self.peek().kind == "rel" and opening in ("[", "("):
            self.at = start - 1
            return t.Indicator(self.sub(self.bracketed(), expression=False))
        if self.sees(_CLOSERS[opening]):
            self.take()
        elif self.peek().kind == "end!" and opening != "{":
            self.unclosed = True
        elif self.peek().kind == "p" and self.peek().text in (")", "]") and opening in "([":
            self.take()  # an interval's brackets, or a slip of the pen
        else:
            raise Unreadable(f'"{self.peek().text}" stands where a {_CLOSERS[opening]} is due')
        return node if opening == "{" else t.Group(node, opening.lstrip("\\"))

    def _over(self, start: int) -> t.Node | None:
        """Return {a \\over b} as a fraction; None where there is no \\over."""
        self.at = start - 1
        inner = self.bracketed()
        after = self.at
        signs = [i for i, token in enumerate(inner) if token == Token("cmd", "\\over")]
        if len(signs) != 1:
            self.at = start
            return None
        self.at = after
        return t.Fraction(self.sub(inner[: signs[0]]), self.sub(inner[signs[0] + 1 :]))

    def _bars(self, bar: str) -> t.Node:
        self.take()
        self.closers.append(bar)
        node = self.expression()
        self.closers.pop()
        if not self.sees(bar):
            raise Unreadable(f"a {bar} is not closed")
        self.take()
        if bar == "|":
            return t.Absolute(node)
        order = "2"
        if self.sees("_"):
            self.take()
            order = "".join(token.text for token in self.script())
            if order not in ("1", "2", "\\infty"):
                raise Unreadable(f"the norm of order {order} is not read")
        return t.Norm(node, order)

    def _inner_product(self) -> t.Node:
        inner = self.bracketed()
        commas = [i for i, token in enumerate(inner) if token == Token("p", ",")]
        if len(commas) != 1:
            raise Unreadable("the angle brackets are not read")
        left, right = self.sub(inner[: commas[0]]), self.sub(inner[commas[0] + 1 :])
        return t.Product((t.Transpose(left), right))

    def _indicator(self) -> t.Node:
        """Return the indicator whose sign was taken: 1_{y=i}, 1\\{y=i\\}, 1[y=i], 1(y=i)."""
        if self.sees("_"):
            self.take()
            condition = self.script()
        elif self.sees("\\{", "[", "(", "{"):
            condition = self.bracketed()
        else:
            return t.Ones()
        while len(condition) > 2 and condition[0].text in ("(", "{", "[", "\\{"):
            if condition[-1].text != _CLOSERS[condition[0].text]:
                break
            condition = condition[1:-1]
        if not any(token.kind == "rel" for token in condition):
            raise Unreadable("the condition of an indicator is not read")
        return t.Indicator(self.sub(condition, expression=False))

    def condition(self) -> t.Node:
        """Return a condition: relations, joined by commas or "and"."""
        parts: list[t.Node] = []
        while True:
            while self.peek().kind in ("text", "sep") or self.sees(",", ";"):
                word = self.take().text.strip(" .,;").casefold()
                if word in ("otherwise", "else", "sonst", "sinon", "autrement"):
                    return t.Relation("otherwise", None, None)
                if word not in ("if", "for", "when", "and", "", "where", "\\quad", "\\qquad",
                                "\\land", "\\wedge", "si", "et", "falls", "if and only if", ",",
                                ";"):  # fmt: skip
                    raise Unreadable(f'the condition "{word}" is not read')
            if self.peek().kind == "end!":
                break
            left = self.expression()
            if self.peek().kind != "rel":
                raise Unreadable("a condition lacks its relation")
            while self.peek().kind == "rel":
                sign = self.take().text
                if sign not in ("=", "!=", "<", "<=", ">", ">="):
                    raise Unreadable("a condition's relation is not read")
                right = self.expression()
                parts.append(t.Relation(sign, left, right))
                left = right
            if self.sees("."):
                self.take()
        if not parts:
            raise Unreadable("a condition is empty")
        joined = parts[0]
        for part in parts[1:]:
            joined = t.Relation("and", joined, part)
        return joined

    # --- commands

    def command(self) -> t.Node:
        text = self.take().text
        if text == "\\frac":
            return self.fraction()
        if text == "\\sqrt":
            return self._root()
        if text in ("\\sum", "\\prod"):
            return self.big(text[1:])
        if text == "\\infty":
            return t.Constant("inf")
        if text == "\\pi":
            return t.Constant("pi")
        if text == "\\one":
            return self._indicator()
        if text == "\\nabla":
            return self._gradient()
        if text == "\\partial":
            self.at -= 1
            slashed = self._slashed_derivative()
            if slashed is not None:
                return slashed
            self.take()
            if self.sees("_"):
                self.take()
                by = self.sub(self.script())
                return t.Derivative(self._operand(), ((t.bare(by), 1),), "\\partial")
        if text in ("\\int", "\\iint", "\\oint"):
            raise Unreadable("integrals are not read")
        if text == "\\E":
            raise Unreadable("expectations are not read")
        if text == "\\dots":
            raise Unreadable("what is left out by dots is not read")
        raise Unreadable(f"{text} is not read")

    def _root(self) -> t.Node:
        degree: t.Node = t.Number("2")
        if self.sees("["):
            degree = self.sub(self.bracketed())
        inside = self.sub(self.bracketed_or_one())
        return t.Power(inside, t.Fraction(t.Number("1"), degree))

    def fraction(self) -> t.Node:
        above, below = self.bracketed_or_one(), self.bracketed_or_one()
        derivative = self._derivative_parts(above, below)
        if derivative is None:
            return t.Fraction(self.sub(above), self.sub(below))
        operand, by, sign = derivative
        if operand:
            return self._taken_at(t.Derivative(self.sub(operand), by, sign))
        return _differentiated(self._operand(), by, sign)

    def _taken_at(self, node: t.Derivative) -> t.Node:
        """Return df/dx, or df/dx (a) where brackets with one name follow a bare function."""
        of = t.bare(node.of)
        if (
            self.sees("(")
            and isinstance(of, t.Symbol)
            and self.context.is_function(of.name)
            and len(node.by) == 1
            and isinstance(node.by[0][0], t.Symbol)
            and self.choices.of(2) == 0
        ):
            inner = self.sub(self.bracketed())
            return t.At(node, node.by[0][0].name, inner)
        return node

    def _derivative_parts(
        self, above: Sequence[Token], below: Sequence[Token]
    ) -> tuple[Sequence[Token], tuple[tuple[t.Node, int], ...], str] | None:
        """Return what a fraction differentiates, by what, and its sign; None where it doesn't."""
        while len(above) >= 2 and above[0].text == "{" and above[-1].text == "}":
            above = above[1:-1]
        if not above or not below or tuple(above[0]) not in _D or tuple(below[0]) not in _D:
            return None
        if (
            above[0].text == "d"
            and self.context.name_of("d")
            and (len(below) < 2 or (below[1].kind == "p" and below[1].text not in ("(", "{")))
        ):
            return None
        if len(below) < 2 or below[1].text in ("_", "+", "-", "*", "/"):
            return None
        order, rest = 0, above[1:]
        if rest and rest[0] == Token("p", "^"):
            inner = Parser(rest[1:], self.context, self.choices)
            digits = "".join(token.text for token in inner.script())
            if not digits.isdigit() or int(digits) > 4:
                raise Unreadable(f"the derivative of order {digits} is not read")
            order, rest = int(digits), rest[1 + inner.at :]
        targets = [self._target(piece) for piece in _split_targets(below)]
        total = sum(count for _, count in targets)
        if order and len(targets) == 1 and total != order:
            targets = [(targets[0][0], order)]  # d^2 f / dx: the square below was forgotten
        elif (order and total != order) or total > 4:
            raise Unreadable("the order of the derivative is not the same above and below")
        return rest, tuple(targets), "d" if above[0].text == "d" else "\\partial"

    def _target(self, piece: Sequence[Token]) -> tuple[t.Node, int]:
        node = self.sub(piece)
        if isinstance(node, t.Power) and isinstance(node.exponent, t.Number):
            if not node.exponent.text.isdigit():
                raise Unreadable("the order of a derivative is not read")
            return t.bare(node.base), int(node.exponent.text)
        return t.bare(node), 1

    def _slashed_derivative(self) -> t.Node | None:
        """Return dL/dz written with a slash, or None; the position is kept then."""
        start, sign = self.at, self.peek()
        depth, end = 0, start + 1
        while end < min(len(self.tokens), start + 40):
            text = self.tokens[end].text if self.tokens[end].kind in ("p", "cmd", "rel") else ""
            if text in ("(", "[", "{", "\\{"):
                depth += 1
            elif text in (")", "]", "}", "\\}"):
                depth -= 1
            elif depth == 0 and text in ("+", "-", "=", "<", ">", ","):
                return None
            elif depth == 0 and text == "/":
                break
            if depth < 0:
                return None
            end += 1
        else:
            return None
        if end + 1 >= len(self.tokens) or self.tokens[end + 1].text != sign.text:
            return None
        stop = end + 2
        if stop >= len(self.tokens):
            return None
        probe = Parser(self.tokens[stop:], self.context, self.choices)
        if probe.sees("(", "{"):
            probe.bracketed()
        elif probe.peek().kind == "sym":
            probe.take()
        else:
            return None
        while probe.sees("_", "^"):
            probe.take()
            probe.script()
        above, below = self.tokens[start:end], self.tokens[end + 1 : stop + probe.at]
        parts = self._derivative_parts(above, below)
        if parts is None:
            return None
        self.at = stop + probe.at
        operand, by, written = parts
        if operand:
            return t.Derivative(self.sub(operand), by, written)
        return _differentiated(self._operand(), by, written)

    def _operand(self) -> t.Node:
        """Return what an operator as d/dx acts on: a factor, a product, or all that follows."""
        if self.sees("-", "+"):
            minus = self.take().text == "-"
            inner = self._operand()
            return t.Negative(inner) if minus else inner
        bracketed = self.sees("(", "[", "\\{", "{")
        node = self.factor()
        goes_on = self.starts_factor() or self.sees("*", "/", "\\odot")
        adds = self.sees("+", "-")
        if goes_on:
            widest = 3 if not bracketed else 2
            chosen = self.choices.of(widest)
            narrow = 0 if bracketed else 1
            if chosen != narrow:
                node = self._more_factors(node)
                if chosen == 2 and self.sees("+", "-"):
                    node = self._rest_of_sum(node)
        elif adds and not bracketed and self.choices.of(2):
            node = self._rest_of_sum(node)
        return node

    def _rest_of_sum(self, first: t.Node) -> t.Node:
        terms = [first]
        self._more_terms(terms)
        return terms[0] if len(terms) == 1 else t.Sum(tuple(terms))

    def _gradient(self) -> t.Node:
        by: t.Node | None = None
        order = 1
        while self.sees("_", "^"):
            if self.take().text == "_":
                by = self.sub(self.script())
            else:
                digits = "".join(token.text for token in self.script())
                if digits != "2":
                    raise Unreadable("the power of a nabla is not read")
                order = 2
        node = self._operand()
        for _ in range(order):
            node = t.Gradient(node, by)
        return node

    def big(self, kind: str) -> t.Node:
        """Return a sum, product, maximum or minimum over an index, whose sign was taken."""
        low: list[Token] = []
        high: list[Token] = []
        while self.sees("_", "^"):
            if self.take().text == "_":
                low = self.script()
            else:
                high = self.script()
        if not low:
            raise Unreadable(f"a {kind} does not say what it runs over")
        top = self.sub(high) if high else None
        specs = self._bounds(low)
        outer = self.context
        self.context = self.context.declaring(
            *(
                Declared(index, "index", ("1", ""))
                for index, _, _ in specs
                if not outer.is_index(index)
            )
        )
        minus = self.sees("-")
        if self.sees("-", "+"):
            self.take()
        node = self.term()
        if minus:
            node = t.Negative(node)
        reaches = self.sees("+", "-") and self._goes_on_with({i for i, _, _ in specs})
        if reaches and self.choices.of(2):
            node = self._rest_of_sum(node)
        self.context = outer
        for index, start, but in reversed(specs):
            node = t.Big(kind, index, start, top, but, node)
        return node

    def _goes_on_with(self, names: set[str]) -> bool:
        """Whether what follows holds one of these names, so that a sum or limit may reach it."""
        return any(token.kind == "sym" and token.text in names for token in self.tokens[self.at :])

    def _bounds(self, low: list[Token]) -> list[tuple[str, t.Node | None, tuple[t.Node, ...]]]:
        """Return (index, first value, values left out) of each index under a sum's sign."""
        found: dict[str, tuple[t.Node | None, tuple[t.Node, ...]]] = {}
        for piece in _split(low, ","):
            if not piece or piece[0].kind != "sym":
                raise Unreadable("what a sum runs over is not read")
            index = piece[0].text
            while len(piece) > 1 and piece[1] == Token("p", "'"):
                index += "'"
                piece = [piece[0], *piece[2:]]
            rel = next((i for i, token in enumerate(piece) if token.kind == "rel"), None)
            sign = piece[rel].text if rel is not None else ""
            if rel is not None and sign == "in" and rel == 3 and piece[1].text == "_":
                index = piece[2].text  # x_i in x: over all components
            elif rel not in (None, 1) or (rel is None and len(piece) > 1):
                raise Unreadable("what a sum runs over is not read")
            start, but = found.get(index, (None, ()))
            right = piece[rel + 1 :] if rel is not None else []
            if sign == "=":
                start = self._index_value(right)
            elif sign == "!=":
                but = (*but, *(self._index_value(p) for p in _split(right, ",")))
            elif sign not in ("", "in"):
                raise Unreadable("what a sum runs over is not read")
            elif sign == "in" and not (rel == 3 and len(right) == 1):
                raise Unreadable("the set that a sum runs over is not read")
            found[index] = (start, but)
        return [(index, start, but) for index, (start, but) in found.items()]

    def _index_value(self, tokens: Sequence[Token]) -> t.Node:
        return self.sub(list(tokens))

    def limit(self) -> t.Node:
        if not self.sees("_"):
            raise Unreadable("a limit does not say where it goes")
        self.take()
        tokens = self.script()
        if len(tokens) < 3 or tokens[0].kind != "sym" or tokens[1] != Token("rel", "to"):
            raise Unreadable("where a limit goes is not read")
        index, goal = tokens[0].text, list(tokens[2:])
        known = self.context.name_of(index)
        side = ""
        texts = [token.text for token in goal]
        if len(texts) > 2 and texts[-2] == "^" and texts[-1] in "+-":
            side, goal = texts[-1], goal[:-2]
        elif len(texts) > 3 and texts[-4:-2] == ["^", "{"] and texts[-2] in "+-":
            side, goal = texts[-2], goal[:-4]
        elif texts[0] in ("+", "-") and texts[1:] == ["0"]:
            side, goal = texts[0], goal[1:]
        to = self.sub(goal)
        outer = self.context
        if known is None:
            self.context = outer.declaring(Declared(index))
        node = self._operand_of_limit(index)
        self.context = outer
        return t.Limit(known or index, to, side, node)

    def _operand_of_limit(self, index: str) -> t.Node:
        node = self.signed_term()
        if self.sees("+", "-") and self._goes_on_with({index}) and self.choices.of(2) == 0:
            node = self._rest_of_sum(node)
        return node

    def environment(self) -> t.Node:
        name = self.take().text
        depth, start = 1, self.at
        while depth:
            token = self.take()
            depth += (token.kind == "begin") - (token.kind == "end")
            if token.kind == "end!":
                raise Unreadable(f"\\begin{{{name}}} is not closed")
        inner = self.tokens[start : self.at - 1]
        rows = [row for row in _split(inner, "\\\\", kind="row") if row]
        if name in ("cases", "dcases", "rcases"):
            return t.Cases(tuple(self._case(row) for row in rows))
        raise Unreadable(f"the environment {name} is not read")

    def _case(self, row: Sequence[Token]) -> tuple[t.Node, t.Node]:
        row = list(row)
        column = next((n for n, token in enumerate(row) if token.kind == "col"), None)
        if column is not None:
            before, after = _trimmed(row[:column]), _trimmed(row[column + 1 :])
            return self.sub(before), self.sub(after, expression=False)
        while row and row[-1].text in (";", ".", ",") and row[-1].kind == "p":
            row.pop()
        inner = Parser(row, self.context, self.choices)
        inner.depth = self.depth + 1
        value = inner.expression()
        if inner.at == len(row):
            raise Unreadable("a case lacks its condition")
        return value, inner.condition()

    # --- names

    def name(self) -> t.Node:
        base = self.take().text
        if base == "lim":
            return self.limit()
        sub, sup, primes = self._decorations()
        if primes and self.context.is_index(base + "'" * primes):
            return t.Symbol(base + "'" * primes)  # k' beside k, bound by a sum
        transposed = len(sup) > 1 and sup[-1].text == "\\top"
        if transposed:  # W^{(1)\top}
            sup = sup[:-1]
        resolved, sub, sup = self._resolve(base, sub, sup)
        if transposed:
            sup = sup if sup else [*sup, Token("cmd", "\\top")]
            if len(sup) != 1 or sup[0].text != "\\top":
                raise Unreadable("an exponent before a transpose is not read")
        if sup and all(token.text == "'" for token in sup):
            primes, sup = primes + len(sup), []
        if resolved is None:
            return self._undeclared(base, sub, sup, primes)
        is_function = resolved in BUILT_IN or self.context.is_function(resolved)
        if resolved in ("max", "min") and sub and self.context.name_of(resolved) is None:
            return self._extremum(resolved, sub)
        if is_function:
            return self._function(resolved, sub, sup, primes)
        node: t.Node = t.Symbol(resolved, primes)
        rank = self.context.rank(resolved)
        if rank and len(sup) > 2 and (sup[0].text, sup[-1].text) == ("(", ")"):
            # x^{(i)}_j: the upper index counts the examples, and comes first.
            row = self.sub(sup[1:-1])
            rest = self.indices(sub, rank - 1) if sub else ()
            return t.Indexed(node, (row, *rest))
        if rank == 2 and len(sub) == 3 and (sub[1].text, sub[2].text) in ((",", "*"), (",", ":")):
            return t.Transpose(t.Indexed(node, (self.sub(sub[:1]),)))  # W_{k,.}: the row k
        if sub:
            if rank == 0:
                raise Unreadable(f"{base}_{{{_text(sub)}}} is not declared")
            node = t.Indexed(node, self.indices(sub, rank))
        if sup:
            node = self._raised(node, sup)
        elif self.sees("(") and self._is_annotation(resolved):
            self.bracketed()  # z(x, w): what z depends on is said, nothing is multiplied
        return node

    def _decorations(self) -> tuple[list[Token], list[Token], int]:
        """Return the index, the exponent and the primes that follow a name, in any order."""
        sub: list[Token] = []
        sup: list[Token] = []
        primes = 0
        while True:
            if self.sees("_") and not sub:
                self.take()
                sub = self.script()
            elif self.sees("^") and not sup:
                self.take()
                sup = self.script()
                if sup and all(token.text == "'" for token in sup):
                    primes, sup = primes + len(sup), []
            elif self.sees("'"):
                self.take()
                primes += 1
            else:
                if primes > MOST_PRIMES:
                    raise Unreadable(f"more than {MOST_PRIMES} primes are not read")
                return sub, sup, primes

    def _resolve(
        self, base: str, sub: list[Token], sup: list[Token]
    ) -> tuple[str | None, list[Token], list[Token]]:
        """Return the declared name, and what of index and exponent is not part of it."""
        tries: list[tuple[str, list[Token], list[Token]]] = []
        if sub and sup:
            tries.append((f"{base}^{_text(sup)}_{_text(sub)}", [], []))
        if sup:
            tries.append((f"{base}^{_text(sup)}", sub, []))
        if sub:
            tries.append((f"{base}_{_text(sub)}", [], sup))
        tries.append((base, sub, sup))
        for name, left_sub, left_sup in tries:
            known = self.context.name_of(name)
            if known is not None:
                return known, left_sub, left_sup
        if base in BUILT_IN:
            return BUILT_IN[base], sub, sup
        return None, sub, sup

    def _undeclared(self, base: str, sub: list[Token], sup: list[Token], primes: int) -> t.Node:
        if base == "e" and not sub and not primes:
            node: t.Node = t.Constant("e")
            return self._raised(node, sup) if sup else node
        if base == "\\pi" and not sub and not primes:
            return self._raised(t.Constant("pi"), sup) if sup else t.Constant("pi")
        if base == "\\delta" and sub:
            return self._kronecker(sub)
        if base == "I" and (sub or self.sees("\\{", "[", "(")):
            if sub:
                self.at -= 0
                if any(token.kind == "rel" for token in sub):
                    return t.Indicator(self.sub(sub, expression=False))
            elif self._relation_inside():
                return self._indicator()
        shown = base + (f"_{{{_text(sub)}}}" if sub else "")
        raise Unreadable(f"{shown} is not declared")

    def _relation_inside(self) -> bool:
        start = self.at
        inner = self.bracketed()
        self.at = start
        return any(token.kind == "rel" for token in inner)

    def _kronecker(self, sub: list[Token]) -> t.Node:
        pieces = _split(sub, ",")
        if any(token.kind == "rel" for token in sub):
            return t.Indicator(self.sub(sub, expression=False))
        if len(pieces) == 1:
            pieces = _symbols(sub)
        if len(pieces) != 2:
            raise Unreadable("the indices of a delta are not read")
        left, right = (self.sub(piece) for piece in pieces)
        return t.Indicator(t.Relation("=", left, right))

    def _is_annotation(self, name: str) -> bool:
        """Whether the brackets here hold names alone, so that they say what a name depends on."""
        start = self.at
        try:
            inner = self.bracketed()
        except Unreadable:
            return False
        finally:
            self.at = start
        names = [token for token in inner if token.text not in (",", ";")]
        if not names or any(token.kind != "sym" for token in names):
            return False
        several = len(names) > 1 and len(names) < len(inner)
        unknown = all(self.context.name_of(token.text) is None for token in names)
        if several or unknown or self.context.rank(name):
            return True
        return name in self.context.definitions and self.choices.of(2) == 0

    def _extremum(self, kind: str, sub: list[Token]) -> t.Node:
        self.tokens[self.at : self.at] = [Token("p", "_"), Token("p", "{"), *sub, Token("p", "}")]
        return self.big(kind)

    def _function(self, name: str, sub: list[Token], sup: list[Token], primes: int) -> t.Node:
        component: list[Token] = []
        base: t.Node | None = None
        if name == "onehot" and sub:  # onehot_m(y): the index is its length
            length, sub = self.sub(sub), []
            node = self._applied(name, primes, False)
            if not isinstance(node, t.Call):
                raise Unreadable("onehot lacks its argument")
            return replace(node, arguments=(*node.arguments, length))
        if sub and name == "log":
            base = self.sub(sub)
        elif sub:
            component = sub
        power: t.Node | None = None
        inverse = False
        if sup:
            texts = [token.text for token in sup]
            if texts[0] == "(" and texts[-1] == ")" and "".join(texts[1:-1]).isdigit():
                primes += int("".join(texts[1:-1]))
            elif texts == ["-", "1"] and self.choices.of(2) == 1:
                inverse = True
            elif name == "exp" and not self.sees("(", "[", "{"):
                return t.Power(t.Constant("e"), self.sub(sup))
            else:
                power = self.sub(sup)
        if primes > MOST_PRIMES:
            raise Unreadable(f"more than {MOST_PRIMES} primes are not read")
        node = self._applied(name, primes, inverse)
        if base is not None:
            node = t.Fraction(node, t.Call("log", (base,)))
        if component:
            node = t.Indexed(node, self.indices(component, 1))
        return t.Power(node, power) if power is not None else node

    def _applied(self, name: str, primes: int, inverse: bool) -> t.Node:
        declared = self.context.is_function(name)
        if declared and not inverse and self.sees("(", "[") and self._may_multiply(name):
            return t.Symbol(name, primes)
        if self.sees("(", "[", "\\{") or (self.sees("{") and not declared):
            arguments, named = self.arguments()
            if inverse:
                if len(arguments) != 1:
                    raise Unreadable("the inverse of a function of several arguments is not read")
                return t.Inverse(name, arguments[0])
            call = t.Call(name, arguments, named, primes)
            if name in ("log", "sqrt", "exp") and not declared:
                return self._wider(name, call)
            return call
        if inverse:
            raise Unreadable("the inverse of a function without its argument is not read")
        if declared or not self.starts_factor():
            if not declared and (name in OF_VECTORS or name in ("max", "min")):
                raise Unreadable(f"{name} lacks its argument")
            return t.Symbol(name, primes)
        return t.Call(name, (self._loose_argument(),), (), primes)

    def _may_multiply(self, name: str) -> bool:
        """Whether sigma (1 - sigma) is read as a product here, sigma standing for its value."""
        start = self.at
        try:
            inner = self.bracketed()
        except Unreadable:
            return False
        finally:
            self.at = start
        again = any(token == Token("sym", name) for token in inner)
        return (again or self._stands_bare(name)) and self.choices.of(2) == 1

    def _stands_bare(self, name: str) -> bool:
        """Whether the function stands somewhere in this formula without its argument."""
        for n, token in enumerate(self.tokens):
            if token == Token("sym", name):
                following = self.tokens[n + 1].text if n + 1 < len(self.tokens) else ""
                if following not in ("(", "[", "'", "^", "_", "{"):
                    return True
        return False

    def _wider(self, name: str, call: t.Call) -> t.Node:
        """Return log(a)^2, or log(a^2), or log(a b): how far a function reaches is open."""
        if not (self.sees("^", "'") or self.peek().text in ("(", "[")):
            return call
        if self.choices.of(2) == 0:
            return call
        inner = self.postfix(t.Group(call.arguments[0]))
        inner = self._more_factors(inner, implicit_only=True)
        return t.Call(name, (inner,), call.named, call.primes)

    def _loose_argument(self) -> t.Node:
        """Return the argument of a function that is written without brackets."""
        minus = self.sees("-")
        node = self.factor()
        if self.starts_factor() and self.choices.of(2) == 0:
            node = self._more_factors(node, implicit_only=True)
        return t.Negative(node) if minus else node

    def arguments(self) -> tuple[tuple[t.Node, ...], tuple[tuple[str, t.Node], ...]]:
        """Return a call's arguments, those by place and those by name."""
        inner = self.bracketed_leniently()
        positional: list[t.Node] = []
        named: list[tuple[str, t.Node]] = []
        for piece in _split(inner, ",", ";", "\\mid", "|"):
            if not piece:
                raise Unreadable("an argument is missing")
            rel = [i for i, token in enumerate(piece) if token.kind == "rel"]
            if rel:
                if rel != [1] or piece[1].text != "=" or piece[0].kind != "sym":
                    raise Unreadable("an argument is a relation")
                known = self.context.name_of(piece[0].text) or piece[0].text
                named.append((known, self.sub(piece[2:])))
            else:
                positional.append(self.sub(piece))
        return tuple(positional), tuple(named)

    def bracketed_leniently(self) -> list[Token]:
        """As bracketed; brackets that never close reach to the end of the formula."""
        start, opening = self.at, self.peek().text
        try:
            return self.bracketed()
        except Unreadable:
            if opening == "{":
                raise
            self.at = len(self.tokens)
            self.unclosed = True
            return self.tokens[start + 1 :]

    def indices(self, script: Sequence[Token], rank: int) -> tuple[t.Node, ...]:
        """Return the indices that a script holds: i, ij, i,j, i+1, (k, j)."""
        script = list(script)
        while len(script) > 2 and script[0].text == "(" and script[-1].text == ")":
            script = script[1:-1]
        pieces = _split(script, ",")
        if len(pieces) == 1 and rank == 2:
            pieces = _symbols(script)
        if not pieces or any(not piece for piece in pieces):
            raise Unreadable("an index is empty")
        if rank and len(pieces) > rank:
            raise Unreadable("it has more indices than the shape that is declared")
        return tuple(self.sub(piece) for piece in pieces)


def _differentiated(of: t.Node, by: tuple[tuple[t.Node, int], ...], sign: str) -> t.Node:
    """Return d/dx of f; a place that stands behind f, f |_{x=0}, is the derivative's."""
    if isinstance(of, t.At):
        return t.At(t.Derivative(of.of, by, sign), of.name, of.value)
    last = of.factors[-1] if isinstance(of, t.Product) else None
    if isinstance(of, t.Product) and isinstance(last, t.At):
        whole = replace(of, factors=(*of.factors[:-1], last.of))
        return t.At(t.Derivative(whole, by, sign), last.name, last.value)
    return t.Derivative(of, by, sign)


def _trimmed(row: Sequence[Token]) -> list[Token]:
    row = list(row)
    while row and row[-1].kind == "p" and row[-1].text in (";", ".", ","):
        row.pop()
    return row


def _without_columns(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens without the & that align rows; those inside an environment stay."""
    kept, depth = [], 0
    for token in tokens:
        depth += (token.kind == "begin") - (token.kind == "end")
        if token.kind != "col" or depth > 0:
            kept.append(token)
    return kept


def _text(tokens: Sequence[Token]) -> str:
    return "".join(token.text for token in tokens if token.text not in ("{", "}"))


def _split(tokens: Sequence[Token], *signs: str, kind: str = "p") -> list[list[Token]]:
    """Split at these signs outside all brackets."""
    pieces: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind in ("p", "begin", "end"):
            depth += token.text in ("(", "[", "{", "\\{") or token.kind == "begin"
            depth -= token.text in (")", "]", "}", "\\}") or token.kind == "end"
        if depth <= 0 and token.kind == kind and token.text in signs:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _symbols(script: Sequence[Token]) -> list[list[Token]]:
    """Split ij, or k1, into its signs, each with the index that it has itself."""
    pieces: list[list[Token]] = []
    at = 0
    while at < len(script):
        end = at + 1
        if end < len(script) and script[end].text == "_":
            end += 2
        pieces.append(list(script[at:end]))
        at = end
    return pieces


def _split_targets(below: Sequence[Token]) -> list[list[Token]]:
    """Split dx dy^2 into its targets."""
    pieces: list[list[Token]] = []
    depth = 0
    for token in below:
        if token.kind == "p":
            depth += token.text in ("(", "{", "[")
            depth -= token.text in (")", "}", "]")
        if depth == 0 and tuple(token) in _D:
            pieces.append([])
        elif pieces:
            pieces[-1].append(token)
    if any(not piece for piece in pieces):
        raise Unreadable("what a derivative is taken by is missing")
    return pieces
