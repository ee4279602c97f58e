"""Logical lines of a cell, as tokens: differences in comments and layout don't count."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from grader.notebook.definitions import (
    MAX_SOURCE_CHARS,
    parseable,
)
from grader.notebook.salvage import salvaged


@dataclass(frozen=True)
class Line:
    """A logical line: its first line in the cell, its indentation level, its tokens."""

    number: int
    level: int
    tokens: tuple[str, ...]


_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@lru_cache(maxsize=128)
def logical_lines(source: str) -> tuple[Line, ...]:
    """Return the cell's logical lines, without comments and docstrings, quotes made equal.

    If Python can't tokenise the source, its broken blocks become comments first; if even that
    fails, its lines count as text.
    """
    text = parseable(source)
    if len(text) > MAX_SOURCE_CHARS:
        return tuple(_plain_lines(text))
    # If the cell doesn't parse, compare the lines that do, and say nothing of the others.
    for reading in (text, salvaged(text)):
        try:
            return tuple(_token_lines(reading))
        except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
            continue
    return tuple(_plain_lines(text))


def shape_of(lines: Sequence[Line]) -> list[tuple[int, tuple[str, ...]]]:
    return [(line.level, line.tokens) for line in lines]


def _token_lines(text: str) -> Iterable[Line]:
    level = 0
    tokens: list[str] = []
    kinds: set[int] = set()
    start = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.ERRORTOKEN and token.string.strip():
            raise tokenize.TokenError("no Python")
        if token.type == tokenize.INDENT:
            level += 1
        elif token.type == tokenize.DEDENT:
            level -= 1
        elif token.type == tokenize.NEWLINE:
            if tokens and kinds != {tokenize.STRING}:
                yield Line(start, level, _canonical(tokens))
            tokens, kinds = [], set()
        elif token.type not in _LAYOUT and token.string.strip():
            if not tokens:
                start = token.start[0]
            is_string = token.type == tokenize.STRING
            tokens.append(_canonical_string(token.string) if is_string else token.string)
            kinds.add(token.type)


def _canonical(tokens: Sequence[str]) -> tuple[str, ...]:
    """Return the tokens without the commas before a closing bracket, which formatters add."""
    kept = [
        token
        for n, token in enumerate(tokens)
        if not (token == "," and n + 1 < len(tokens) and tokens[n + 1] in ")]}")
        or (n >= 2 and tokens[n - 2] == "(")  # (x,) is a tuple
    ]
    return tuple(kept)


def _canonical_string(text: str) -> str:
    if len(text) > 10_000:
        return text
    try:
        return repr(ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _plain_lines(text: str) -> Iterable[Line]:
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if words and not words[0].startswith("#"):
            width = len(line) - len(line.lstrip())
            yield Line(number, width // 4, tuple(words))
