"""Python code as HTML, with pygments' colours.

A page is mostly code. Pygments spent most of its time on tokens that our style sheet gives no
colour: it tries up to 56 rules for each name. So one rule comes before pygments' own: it matches a
run of names, signs and blanks without colour. All other tokens are left to pygments' rules.
"""

from __future__ import annotations

import keyword
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import ClassVar

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import inherit
from pygments.lexers import PythonLexer
from pygments.token import Text

from grader.text import printable

_LIMIT = 20_000
# Longer code is not cached: a thousand pieces of this length take some 10 MB at most.
_LONGEST_CACHED = 1_000

_SPECIAL = "|".join([*keyword.kwlist, "match", "case", "lazy"])
_PLAIN = "|".join(
    (
        # A name, but not a keyword, a magic name or a string's prefix.
        rf"(?!(?:{_SPECIAL})\b|__){PythonLexer.uni_name}(?![\w\"'])",
        # At a line's beginning, pygments reads blanks together with a keyword or a string.
        rf"^(?![^\S\n]*(?:(?:{_SPECIAL})\b|[rRuUbB]{{0,2}}[\"']))[^\S\n]+",
        r"(?<=[^\n])[^\S\n]+",
        # All signs but those of strings, comments and decorators.
        r"[-+*/%=<>&^|~!?$,:;()\[\]{}\n]",
        r"\.(?!\d)",  # the point of ".5" is part of a number
    )
)


class CodeLexer(PythonLexer):  # type: ignore[misc]  # pygments has no types
    """pygments' lexer, with one token for each run of tokens without a colour."""

    tokens: ClassVar = {"root": [(f"(?:{_PLAIN})+", Text), inherit]}


def highlighted(code: str) -> Markup:
    """Return Python code as HTML spans; the code is escaped, and cut after _LIMIT characters."""
    return _highlighted_once(code) if len(code) <= _LONGEST_CACHED else _highlighted(code)


def highlighted_lines(code: str, marked: Sequence[int]) -> Markup:
    """Return the same with these lines marked, counted from 1."""
    formatter = HtmlFormatter(nowrap=True, hl_lines=marked)
    return Markup(highlight(code, CodeLexer(stripnl=False), formatter))


@lru_cache(maxsize=1000)
def _highlighted_once(code: str) -> Markup:
    # Many students of a class leave a gap unchanged, or fill it alike.
    return _highlighted(code)


def _highlighted(code: str) -> Markup:
    return Markup(highlight(printable(code, _LIMIT), *_highlighter()))


@cache
def _highlighter() -> tuple[CodeLexer, HtmlFormatter]:
    # A new formatter computes its style sheet, which would be a quarter of a page's time.
    return CodeLexer(stripnl=False), HtmlFormatter(nowrap=True)
