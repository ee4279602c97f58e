"""Python code as HTML: pygments' colours, those that the style sheet has.

A page is mostly code, and most of a page's time was pygments' search for tokens that get no colour:
it tries up to 56 rules for each name. One rule is put before its own, for a run of names, signs and
blanks; tokens with a colour, and their starts, are left to pygments' rules.
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
# Code up to this long is coloured once: a thousand such are some 10 MB at most.
_KEPT = 1_000

_SPECIAL = "|".join([*keyword.kwlist, "match", "case", "lazy"])
_PLAIN = "|".join(
    (
        # A name: no keyword, no magic one (coloured), no string's prefix.
        rf"(?!(?:{_SPECIAL})\b|__){PythonLexer.uni_name}(?![\w\"'])",
        # At a line's beginning, pygments reads blanks together with what follows them here.
        rf"^(?![^\S\n]*(?:(?:{_SPECIAL})\b|[rRuUbB]{{0,2}}[\"']))[^\S\n]+",
        r"(?<=[^\n])[^\S\n]+",
        # All signs but those of strings, comments and decorators.
        r"[-+*/%=<>&^|~!?$,:;()\[\]{}\n]",
        r"\.(?!\d)",  # the point of ".5" is part of a number
    )
)


class CodeLexer(PythonLexer):  # type: ignore[misc]  # pygments has no types
    """pygments' lexer, with one token for a run of what our style sheet gives no colour."""

    tokens: ClassVar = {"root": [(f"(?:{_PLAIN})+", Text), inherit]}


def highlighted(code: str) -> Markup:
    """Return Python code as HTML spans; everything in it escaped."""
    return _highlighted_once(code) if len(code) <= _KEPT else _highlighted(code)


def highlighted_lines(code: str, marked: Sequence[int]) -> Markup:
    """Return the same with these lines marked, counted from 1."""
    formatter = HtmlFormatter(nowrap=True, hl_lines=marked)
    return Markup(highlight(code, CodeLexer(stripnl=False), formatter))


@lru_cache(maxsize=1000)
def _highlighted_once(code: str) -> Markup:
    # In a class many leave a gap as it was, or fill it alike.
    return _highlighted(code)


def _highlighted(code: str) -> Markup:
    return Markup(highlight(printable(code, _LIMIT), *_highlighter()))


@cache
def _highlighter() -> tuple[CodeLexer, HtmlFormatter]:
    # A formatter makes its style sheet when it is made: a quarter of a page's time, if for each.
    return CodeLexer(stripnl=False), HtmlFormatter(nowrap=True)
