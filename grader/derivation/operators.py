"""Parse operators and find their reach: derivatives, gradients, sums, extrema, limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from grader.derivation import tree as t
from grader.derivation.context import Declared
from grader.derivation.cursor import DIFFERENTIALS, Cursor, split_at
from grader.derivation.tokens import Token, Unreadable


class Operators(Cursor):
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
        """Return df/dx, or df/dx at a if brackets follow a function without argument."""
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
        """Return a derivative's operand, its variables and its sign; None for another fraction."""
        while len(above) >= 2 and above[0].text == "{" and above[-1].text == "}":
            above = above[1:-1]
        if (
            not above
            or not below
            or tuple(above[0]) not in DIFFERENTIALS
            or tuple(below[0]) not in DIFFERENTIALS
        ):
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
            inner = type(self)(rest[1:], self.context, self.choices)
            digits = "".join(token.text for token in inner.script())
            if not digits.isdigit() or int(digits) > 4:
                raise Unreadable(f"the derivative of order {digits} is not read")
            order, rest = int(digits), rest[1 + inner.at :]
        targets = [self._target(piece) for piece in split_targets(below)]
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
        """Return dL/dz written with a slash; else None, without moving on."""
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
        probe = type(self)(self.tokens[stop:], self.context, self.choices)
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
        """Return the operand of an operator such as d/dx: a factor, a product, or the rest."""
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
                node = self.more_factors(node)
                if chosen == 2 and self.sees("+", "-"):
                    node = self.rest_of_sum(node)
        elif adds and not bracketed and self.choices.of(2):
            node = self.rest_of_sum(node)
        return node

    def rest_of_sum(self, first: t.Node) -> t.Node:
        terms = [first]
        self.more_terms(terms)
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
        """Return a sum, product, maximum or minimum over an index; its sign was taken before."""
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
            node = self.rest_of_sum(node)
        self.context = outer
        for index, start, but in reversed(specs):
            node = t.Big(kind, index, start, top, but, node)
        return node

    def _goes_on_with(self, names: set[str]) -> bool:
        """Return whether one of these names follows, so that a sum or limit may include it."""
        return any(token.kind == "sym" and token.text in names for token in self.tokens[self.at :])

    def _bounds(self, low: list[Token]) -> list[tuple[str, t.Node | None, tuple[t.Node, ...]]]:
        """Return (index, first value, excluded values) of each index under a sum's sign."""
        found: dict[str, tuple[t.Node | None, tuple[t.Node, ...]]] = {}
        for piece in split_at(low, ","):
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
                start = self.sub(right)
            elif sign == "!=":
                but = (*but, *(self.sub(p) for p in split_at(right, ",")))
            elif sign not in ("", "in"):
                raise Unreadable("what a sum runs over is not read")
            elif sign == "in" and not (rel == 3 and len(right) == 1):
                raise Unreadable("the set that a sum runs over is not read")
            found[index] = (start, but)
        return [(index, start, but) for index, (start, but) in found.items()]

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
            node = self.rest_of_sum(node)
        return node


def _differentiated(of: t.Node, by: tuple[tuple[t.Node, int], ...], sign: str) -> t.Node:
    """Return d/dx of f; a place after f, as in f |_{x=0}, belongs to the derivative."""
    if isinstance(of, t.At):
        return t.At(t.Derivative(of.of, by, sign), of.name, of.value)
    last = of.factors[-1] if isinstance(of, t.Product) else None
    if isinstance(of, t.Product) and isinstance(last, t.At):
        whole = replace(of, factors=(*of.factors[:-1], last.of))
        return t.At(t.Derivative(whole, by, sign), last.name, last.value)
    return t.Derivative(of, by, sign)


def split_targets(below: Sequence[Token]) -> list[list[Token]]:
    """Split dx dy^2 into its targets."""
    pieces: list[list[Token]] = []
    depth = 0
    for token in below:
        if token.kind == "p":
            depth += token.text in ("(", "{", "[")
            depth -= token.text in (")", "}", "]")
        if depth == 0 and tuple(token) in DIFFERENTIALS:
            pieces.append([])
        elif pieces:
            pieces[-1].append(token)
    if any(not piece for piece in pieces):
        raise Unreadable("what a derivative is taken by is missing")
    return pieces
