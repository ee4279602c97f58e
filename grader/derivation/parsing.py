"""A recursive-descent parser of formulas, which gives all readings of ambiguous LaTeX.

Written formulas are ambiguous: the reach of d/dx, log and a sum; f(x + 1) as a call or a product;
f^{-1} as an inverse or a reciprocal. At such a place the parser asks its Choices, and `readings`
runs it again with the next choice until there is none. The parts of the grammar are subclasses of
each other: `cursor` (tokens), `operators`, `names`, and here sums, products, brackets and commands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from grader.derivation import tree as t
from grader.derivation.context import Context
from grader.derivation.cursor import (
    CLOSERS,
    DEEPEST,
    DIFFERENTIALS,
    MOST_PRIMES,
    Choices,
    split_at,
    trimmed,
)
from grader.derivation.names import Names
from grader.derivation.tokens import Token, Unreadable

MOST_READINGS = 24
MOST_TOKENS = 900


def readings(
    tokens: Sequence[Token], context: Context, spend: Callable[[int], None] = lambda _: None
) -> Iterator[t.Node]:
    """Yield the trees of a formula, the likeliest first, at most MOST_READINGS.

    spend : gets the cost of each reading, about one node for each token
    Raises Unreadable if there is no reading.
    """
    if len(tokens) > MOST_TOKENS:
        raise Unreadable(f"it has more than {MOST_TOKENS} signs")
    prescribed: list[int] = []
    seen: set[t.Node] = set()
    first_error: Unreadable | None = None
    for _ in range(MOST_READINGS):
        choices = Choices(prescribed)
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


class Parser(Names):
    def whole(self) -> t.Node:
        node = self.expression()
        if self.at < len(self.tokens):
            token = self.peek()
            if token.kind == "text":
                raise Unreadable(f'running text: "{token.text}"')
            raise Unreadable(f'"{token.text}" is not expected here')
        return node

    def expression(self) -> t.Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"it is nested more than {DEEPEST} levels deep")
        terms = [self.signed_term()]
        self.more_terms(terms)
        self.depth -= 1
        return terms[0] if len(terms) == 1 else t.Sum(tuple(terms))

    def more_terms(self, terms: list[t.Node]) -> None:
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
        return self.more_factors(self.factor())

    def more_factors(self, first: t.Node, *, implicit_only: bool = False) -> t.Node:
        """Return the product that `first` begins."""
        factors, dots, elementwise = [first], False, False
        while True:
            if self.sees("/") and not implicit_only:
                self.take()
                below = self._signed_factor()
                above = factors.pop()
                if self.starts_factor() and self.choices.of(2):
                    below = self.more_factors(below, implicit_only=True)
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

    def factor(self) -> t.Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable(f"it is nested more than {DEEPEST} levels deep")
        node = self.postfix(self.atom())
        self.depth -= 1
        return node

    def postfix(self, node: t.Node) -> t.Node:
        while True:
            if self.sees("^"):
                self.take()
                node = self.raised(node, self.script())
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

    def raised(self, base: t.Node, script: Sequence[Token]) -> t.Node:
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

    def atom(self) -> t.Node:
        kind, text = self.peek()
        if kind == "num":
            self.take()
            if text == "1" and self.sees("_"):
                return self.indicator()
            return t.Number(text)
        if kind == "sym":
            if (kind, text) in DIFFERENTIALS and (
                slashed := self._slashed_derivative()
            ) is not None:
                return slashed
            return self.name()
        if kind == "cmd":
            return self.command()
        if kind == "p":
            if text in ("|", "\\|"):
                return self._bars(text)
            if text == "\\langle":
                return self._inner_product()
            if text in CLOSERS:
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
        self.closers.append(CLOSERS[opening])
        if opening == "{" and (halves := self._over(start)) is not None:
            self.closers.pop()
            return halves
        node = self.expression()
        self.closers.pop()
        if self.peek().kind == "rel" and opening in ("[", "("):
            self.at = start - 1
            return t.Indicator(self.sub(self.bracketed(), expression=False))
        if self.sees(CLOSERS[opening]):
            self.take()
        elif self.peek().kind == "end!" and opening != "{":
            self.unclosed = True
        elif self.peek().kind == "p" and self.peek().text in (")", "]") and opening in "([":
            self.take()  # an interval's brackets, or a slip of the pen
        else:
            raise Unreadable(f'"{self.peek().text}" stands in the place of a {CLOSERS[opening]}')
        return node if opening == "{" else t.Group(node, opening.lstrip("\\"))

    def _over(self, start: int) -> t.Node | None:
        """Return {a \\over b} as a fraction; None if there is no \\over."""
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

    def indicator(self) -> t.Node:
        """Return an indicator, whose 1 was taken before: 1_{y=i}, 1\\{y=i\\}, 1[y=i], 1(y=i)."""
        if self.sees("_"):
            self.take()
            condition = self.script()
        elif self.sees("\\{", "[", "(", "{"):
            condition = self.bracketed()
        else:
            return t.Ones()
        while len(condition) > 2 and condition[0].text in ("(", "{", "[", "\\{"):
            if condition[-1].text != CLOSERS[condition[0].text]:
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
            return self.indicator()
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

    def environment(self) -> t.Node:
        name = self.take().text
        depth, start = 1, self.at
        while depth:
            token = self.take()
            depth += (token.kind == "begin") - (token.kind == "end")
            if token.kind == "end!":
                raise Unreadable(f"\\begin{{{name}}} is not closed")
        inner = self.tokens[start : self.at - 1]
        rows = [row for row in split_at(inner, "\\\\", kind="row") if row]
        if name in ("cases", "dcases", "rcases"):
            return t.Cases(tuple(self._case(row) for row in rows))
        raise Unreadable(f"the environment {name} is not read")

    def _case(self, row: Sequence[Token]) -> tuple[t.Node, t.Node]:
        row = list(row)
        column = next((n for n, token in enumerate(row) if token.kind == "col"), None)
        if column is not None:
            before, after = trimmed(row[:column]), trimmed(row[column + 1 :])
            return self.sub(before), self.sub(after, expression=False)
        while row and row[-1].text in (";", ".", ",") and row[-1].kind == "p":
            row.pop()
        inner = type(self)(row, self.context, self.choices)
        inner.depth = self.depth + 1
        value = inner.expression()
        if inner.at == len(row):
            raise Unreadable("a case lacks its condition")
        return value, inner.condition()
