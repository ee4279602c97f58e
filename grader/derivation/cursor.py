"""The parser's position in the tokens of a formula; all parts of the grammar share it."""

from __future__ import annotations

from collections.abc import Sequence

from grader.derivation import tree as t
from grader.derivation.context import Context
from grader.derivation.tokens import Token, Unreadable

DEEPEST = 40
"""Most levels of brackets, fractions and exponents; Python's stack holds some 1,000 calls."""
MOST_PRIMES = 4
CLOSERS = {"(": ")", "[": "]", "\\{": "\\}", "{": "}", "\\langle": "\\rangle"}
DIFFERENTIALS = {
    ("sym", "d"),
    ("cmd", "\\partial"),
    ("sym", "\\delta"),
    ("sym", "\\mathrm{d}"),
}
END = Token("end!", "")


class Choices:
    """The choices at ambiguous places: first the prescribed ones, then always option 0."""

    def __init__(self, prescribed: Sequence[int]) -> None:
        self.prescribed, self.taken = list(prescribed), list[tuple[int, int]]()

    def of(self, count: int) -> int:
        """Return the option, from 0 to count - 1, at the next ambiguous place."""
        at = len(self.taken)
        chosen = self.prescribed[at] if at < len(self.prescribed) else 0
        self.taken.append((chosen, count))
        return chosen


class Cursor:
    """The parser's position. unclosed : whether a bracket is open to the end of the formula"""

    def __init__(self, tokens: Sequence[Token], context: Context, choices: Choices) -> None:
        self.tokens = without_columns(tokens)
        self.context, self.choices = context, choices
        self.at = self.depth = 0
        self.closers: list[str] = []
        self.unclosed = False

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else END

    def take(self) -> Token:
        token = self.peek()
        self.at += 1
        return token

    def sees(self, *texts: str) -> bool:
        token = self.peek()
        return token.kind in ("p", "cmd") and token.text in texts

    def sub(self, tokens: Sequence[Token], *, expression: bool = True) -> t.Node:
        """Return the tree of a part of the formula, inside its own brackets."""
        inner = type(self)(tokens, self.context, self.choices)
        inner.depth = self.depth + 1
        if inner.depth > DEEPEST:
            raise Unreadable(f"it is nested more than {DEEPEST} levels deep")
        return inner.whole() if expression else inner.condition()

    def starts_factor(self) -> bool:
        kind, text = self.peek()
        if kind in ("num", "sym", "begin"):
            return True
        if kind == "cmd":
            return text not in ("\\dots", "\\over")
        if kind == "p":
            if text in ("|", "\\|"):
                return not self.closers or self.closers[-1] != text
            return text in CLOSERS
        return False

    def script(self) -> list[Token]:
        """Return the tokens of an exponent or index: those inside a brace, or a single one."""
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
        closing = CLOSERS[opening]
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

    def bracketed_ahead(self) -> list[Token] | None:
        """Return the same without moving on; None if the brackets never close."""
        start = self.at
        try:
            return self.bracketed()
        except Unreadable:
            return None
        finally:
            self.at = start

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

    def bracketed_leniently(self) -> list[Token]:
        """Return the same; brackets that never close reach to the end of the formula."""
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
        """Return the indices in a script: i, ij, i,j, i+1, (k, j)."""
        script = list(script)
        while len(script) > 2 and script[0].text == "(" and script[-1].text == ")":
            script = script[1:-1]
        pieces = split_at(script, ",")
        if len(pieces) == 1 and rank == 2:
            pieces = symbols_of(script)
        if not pieces or any(not piece for piece in pieces):
            raise Unreadable("an index is empty")
        if rank and len(pieces) > rank:
            raise Unreadable("it has more indices than the shape that is declared")
        return tuple(self.sub(piece) for piece in pieces)

    # --- the grammar, in the subclasses

    def whole(self) -> t.Node:
        raise NotImplementedError

    def condition(self) -> t.Node:
        raise NotImplementedError

    def expression(self) -> t.Node:
        raise NotImplementedError

    def signed_term(self) -> t.Node:
        raise NotImplementedError

    def term(self) -> t.Node:
        raise NotImplementedError

    def factor(self) -> t.Node:
        raise NotImplementedError

    def postfix(self, node: t.Node) -> t.Node:
        raise NotImplementedError

    def more_terms(self, terms: list[t.Node]) -> None:
        raise NotImplementedError

    def more_factors(self, first: t.Node, *, implicit_only: bool = False) -> t.Node:
        raise NotImplementedError

    def raised(self, base: t.Node, script: Sequence[Token]) -> t.Node:
        raise NotImplementedError

    def indicator(self) -> t.Node:
        raise NotImplementedError


def text_of(tokens: Sequence[Token]) -> str:
    return "".join(token.text for token in tokens if token.text not in ("{", "}"))


def split_at(tokens: Sequence[Token], *signs: str, kind: str = "p") -> list[list[Token]]:
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


def symbols_of(script: Sequence[Token]) -> list[list[Token]]:
    """Split ij, or k1, into its symbols, each with its own index."""
    pieces: list[list[Token]] = []
    at = 0
    while at < len(script):
        end = at + 1
        if end < len(script) and script[end].text == "_":
            end += 2
        pieces.append(list(script[at:end]))
        at = end
    return pieces


def without_columns(tokens: Sequence[Token]) -> list[Token]:
    """Return the tokens without the & that align rows; those inside an environment stay."""
    found, depth = [], 0
    for token in tokens:
        depth += (token.kind == "begin") - (token.kind == "end")
        if token.kind != "col" or depth > 0:
            found.append(token)
    return found


def trimmed(row: Sequence[Token]) -> list[Token]:
    row = list(row)
    while row and row[-1].kind == "p" and row[-1].text in (";", ".", ","):
        row.pop()
    return row
