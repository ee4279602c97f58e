"""Parse names with their indices, primes and arguments, and functions with their reach."""

from __future__ import annotations

from dataclasses import replace

from grader.derivation import tree as t
from grader.derivation.context import BUILT_IN, OF_VECTORS
from grader.derivation.cursor import MOST_PRIMES, split_at, symbols_of, text_of
from grader.derivation.operators import Operators
from grader.derivation.tokens import Token, Unreadable


class Names(Operators):
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
                raise Unreadable(f"{base}_{{{text_of(sub)}}} is not declared")
            node = t.Indexed(node, self.indices(sub, rank))
        if sup:
            node = self.raised(node, sup)
        elif self.sees("(") and self._is_annotation(resolved):
            self.bracketed()  # z(x, w) only says what z depends on; nothing is multiplied
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
        """Return the declared name, and the index and exponent that are not part of it."""
        tries: list[tuple[str, list[Token], list[Token]]] = []
        if sub and sup:
            tries.append((f"{base}^{text_of(sup)}_{text_of(sub)}", [], []))
        if sup:
            tries.append((f"{base}^{text_of(sup)}", sub, []))
        if sub:
            tries.append((f"{base}_{text_of(sub)}", [], sup))
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
            return self.raised(node, sup) if sup else node
        if base == "\\pi" and not sub and not primes:
            return self.raised(t.Constant("pi"), sup) if sup else t.Constant("pi")
        if base == "\\delta" and sub:
            return self._kronecker(sub)
        if base == "I" and (sub or self.sees("\\{", "[", "(")):
            if sub:
                if any(token.kind == "rel" for token in sub):
                    return t.Indicator(self.sub(sub, expression=False))
            elif self._relation_inside():
                return self.indicator()
        shown = base + (f"_{{{text_of(sub)}}}" if sub else "")
        raise Unreadable(f"{shown} is not declared")

    def _relation_inside(self) -> bool:
        start = self.at
        inner = self.bracketed()
        self.at = start
        return any(token.kind == "rel" for token in inner)

    def _kronecker(self, sub: list[Token]) -> t.Node:
        pieces = split_at(sub, ",")
        if any(token.kind == "rel" for token in sub):
            return t.Indicator(self.sub(sub, expression=False))
        if len(pieces) == 1:
            pieces = symbols_of(sub)
        if len(pieces) != 2:
            raise Unreadable("the indices of a delta are not read")
        left, right = (self.sub(piece) for piece in pieces)
        return t.Indicator(t.Relation("=", left, right))

    def _is_annotation(self, name: str) -> bool:
        """Return whether the brackets here hold only the names that a name depends on."""
        inner = self.bracketed_ahead()
        if inner is None:
            return False
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
        """Return whether sigma (1 - sigma) is read as a product here, with sigma as a value."""
        inner = self.bracketed_ahead()
        if inner is None:
            return False
        again = any(token == Token("sym", name) for token in inner)
        return (again or self._stands_bare(name)) and self.choices.of(2) == 1

    def _stands_bare(self, name: str) -> bool:
        """Return whether the function occurs somewhere in this formula without its argument."""
        for n, token in enumerate(self.tokens):
            if token == Token("sym", name):
                following = self.tokens[n + 1].text if n + 1 < len(self.tokens) else ""
                if following not in ("(", "[", "'", "^", "_", "{"):
                    return True
        return False

    def _wider(self, name: str, call: t.Call) -> t.Node:
        """Return log(a)^2, log(a^2) or log(a b): the reach of a function is ambiguous."""
        if not (self.sees("^", "'") or self.peek().text in ("(", "[")):
            return call
        if self.choices.of(2) == 0:
            return call
        inner = self.postfix(t.Group(call.arguments[0]))
        inner = self.more_factors(inner, implicit_only=True)
        return t.Call(name, (inner,), call.named, call.primes)

    def _loose_argument(self) -> t.Node:
        """Return the argument of a function without brackets."""
        minus = self.sees("-")
        node = self.factor()
        if self.starts_factor() and self.choices.of(2) == 0:
            node = self.more_factors(node, implicit_only=True)
        return t.Negative(node) if minus else node

    def arguments(self) -> tuple[tuple[t.Node, ...], tuple[tuple[str, t.Node], ...]]:
        """Return a call's positional arguments and its named arguments."""
        inner = self.bracketed_leniently()
        positional: list[t.Node] = []
        named: list[tuple[str, t.Node]] = []
        for piece in split_at(inner, ",", ";", "\\mid", "|"):
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
