"""Python code as tokens for colours: pygments' own, found several times as fast.

pygments tries the rules of a state one after the other, up to 56 for a name in plain code. Which of
them can match at all is mostly told by the next character, so those alone are tried, in their order
(`first_characters`). Rules, actions and states are pygments', so what comes out is the same, token
by token; a test holds this on code and on noise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from pygments.lexers import PythonLexer
from pygments.token import Error, Whitespace, _TokenType

_Rule = tuple[Any, Any, Any]
"""What pygments keeps of a rule: match, action, next state."""
_ASCII = frozenset(map(chr, range(128)))


class FastPythonLexer(PythonLexer):  # type: ignore[misc]  # pygments tells no types
    """pygments' lexer of Python, which passes over rules that can't match."""

    def get_tokens_unprocessed(
        self, text: str, stack: Iterable[str] = ("root",)
    ) -> Iterator[tuple[int, Any, str]]:
        """Yield (place, kind, text) of each token, as pygments' own method does."""
        names = list(stack)
        rules, every = _rules_of(names[-1])
        at, end = 0, len(text)
        while True:
            character = text[at] if at < end else ""
            for match, action, following in rules.get(character, every):
                found = match(text, at)
                if found is None:
                    continue
                if type(action) is _TokenType:
                    yield at, action, found.group()
                elif action is not None:
                    yield from action(self, found)
                at = found.end()
                if following is not None:
                    _move(names, following)
                    rules, every = _rules_of(names[-1])
                break
            else:
                if at >= end:
                    return
                if character == "\n":  # the end of a line ends whatever went wrong in it
                    names = ["root"]
                    rules, every = _rules_of("root")
                    yield at, Whitespace, "\n"
                else:
                    yield at, Error, character
                at += 1


def _move(names: list[str], following: Any) -> None:
    """Change the stack of states as a rule says: names to enter, "#pop", "#push", -n to leave n."""
    if isinstance(following, int):
        del names[max(1, len(names) - abs(following)) :]
        return
    for name in following if isinstance(following, tuple) else (following,):
        if name == "#pop":
            del names[max(1, len(names) - 1) :]
        else:
            names.append(names[-1] if name == "#push" else name)


@cache
def _rules_of(state: str) -> tuple[dict[str, tuple[_Rule, ...]], tuple[_Rule, ...]]:
    """Return the rules of a state to try before each ASCII character, and all for the others."""
    rules: tuple[_Rule, ...] = tuple(_all_rules()[state])
    starts = [first_characters(match.__self__) for match, _, _ in rules]
    return {
        character: tuple(
            rule for rule, start in zip(rules, starts, strict=True) if character in start
        )
        for character in _ASCII
    }, rules


@cache
def _all_rules() -> dict[str, list[_Rule]]:
    # A lexer's rules are compiled when the first one is made.
    rules: dict[str, list[_Rule]] = PythonLexer()._tokens
    return rules


def first_characters(pattern: re.Pattern[str]) -> frozenset[str]:
    """Return the ASCII characters before which the pattern may match: at least those.

    All of them where it may match nothing at all, or holds what isn't known here.
    """
    # The parser is the standard library's, and not a public one: without it every rule is tried,
    # as pygments does.
    parser = getattr(re, "_parser", None)
    if parser is None:
        return _ASCII
    found, empty = _first(parser.parse(pattern.pattern, pattern.flags & ~re.DEBUG))
    if empty:
        return _ASCII
    if pattern.flags & re.IGNORECASE:
        found |= {c.swapcase() for c in found}
    return frozenset(found) & _ASCII


def _first(nodes: Iterable[tuple[Any, Any]]) -> tuple[set[str], bool]:
    """Return the characters that a sequence may begin with, and whether it may be empty."""
    found: set[str] = set()
    for kind, value in nodes:
        more, empty = _first_of(str(kind), value)
        found |= more
        if not empty:
            return found, False
    return found, True


def _first_of(kind: str, value: Any) -> tuple[set[str], bool]:
    match kind:
        case "LITERAL":
            return {chr(value)}, False
        case "IN":
            return {c for c in _ASCII if _is_in(c, value)}, False
        case "BRANCH":
            parts = [_first(nodes) for nodes in value[1]]
            return set().union(*(part for part, _ in parts)), any(empty for _, empty in parts)
        case "SUBPATTERN":
            return _first(value[3])
        case "MAX_REPEAT" | "MIN_REPEAT":
            found, empty = _first(value[2])
            return found, empty or value[0] == 0
        case "AT" | "ASSERT" | "ASSERT_NOT":
            return set(), True
        case "NOT_LITERAL" | "ANY":
            return set(_ASCII), False
    return set(_ASCII), True


def _is_in(character: str, members: Iterable[tuple[Any, Any]]) -> bool:
    negated = inside = False
    for kind, value in members:
        match str(kind):
            case "NEGATE":
                negated = True
            case "LITERAL":
                inside |= ord(character) == value
            case "RANGE":
                inside |= value[0] <= ord(character) <= value[1]
            case "CATEGORY":
                inside |= _CATEGORIES[str(value)](character) is not None
    return inside != negated


_CATEGORIES = {
    f"CATEGORY_{name}": re.compile(f"\\{letter}").match
    for name, letter in (("DIGIT", "d"), ("NOT_DIGIT", "D"), ("SPACE", "s"), ("NOT_SPACE", "S"),
                         ("WORD", "w"), ("NOT_WORD", "W"))
}  # fmt: skip
