"""The colours of code: pygments' own, wherever the style sheet has one."""

import ast
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import Markup
from pygments.lexers import PythonLexer
from pygments.token import STANDARD_TYPES

import grader.report
from grader.report.code_colours import CodeLexer, highlighted, highlighted_lines

STYLE = (Path(grader.report.__file__).parent / "style.css.j2").read_text("utf-8")
# ".k, .kn { color: var(--keyword); ..." gives {"k": "keyword", "kn": "keyword"}.
COLOURS = {
    name: colour
    for names, colour in re.findall(r"^(\.\w.*) \{ color: var\(--(\w+)\);", STYLE, re.MULTILINE)
    for name in re.findall(r"\.(\w+)", names)
}
WORDS = (
    "def class from import lazy match case _ async await for is not None True print self "
    "__init__ __doc__ ValueError @wraps x_1 ñandú 变量 0x1F 1e-3 1_000.5j .5 '' \"\" ''' \"\"\" "
    "f\"{x!r:>{w}}\" rb'\\x00' u\"\\N{DASH}\" '%(a)s' '{0.a[1]}' t'{y}' \\ \\\n # #! := -> ... "
    "{ } [ ] ( ) ; ` ? $ ! \t \n \r\n  \x0c ſ K ² ٣"
)


def coloured(lexer, text):
    """Return each character with its colour."""
    return [
        (char, COLOURS.get(STANDARD_TYPES.get(kind, "")))
        for kind, value in lexer(stripnl=False).get_tokens(text)
        for char in value
    ]


def test_the_style_sheet_has_colours():
    assert {COLOURS[name] for name in ("k", "s1", "mi", "c1", "nf")} == {
        "keyword", "string", "number", "comment", "name",
    }  # fmt: skip


@pytest.mark.parametrize("module", [ast, re, textwrap], ids=lambda module: module.__name__)
def test_code_has_pygments_own_colours(module):
    text = Path(module.__file__).read_text("utf-8")[:25_000]
    assert coloured(CodeLexer, text) == coloured(PythonLexer, text)


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(WORDS.split(" ")) | st.text(max_size=3), max_size=30),
    st.sampled_from(["", " "]),
)
def test_noise_has_pygments_own_colours(words, between):
    text = between.join(words)
    assert coloured(CodeLexer, text) == coloured(PythonLexer, text)


def test_what_has_no_colour_is_one_token():
    tokens = list(CodeLexer(stripnl=False).get_tokens("y = f(x) @ W + b\nreturn z\n"))
    assert [value for _, value in tokens] == ["y = f(x) ", "@", " W + b\n", "return", " z\n"]


def test_code_that_does_not_parse_is_shown_all_the_same():
    assert "def (:" in highlighted("def (:\n  'never closed\n\x00").striptags()


def test_code_of_any_length_is_cut():
    assert len(highlighted("x = 1\n" * 1_000_000)) < 1_000_000


@pytest.mark.parametrize("code", ["x = 1  # <b>\n", "y = 'long'\n" * 500])
def test_code_is_the_same_again_and_again(code):
    once = highlighted(code)
    assert highlighted(code) == once
    assert Markup(re.sub(r"<[^>]*>", "", once)).unescape() == code


def test_marked_lines_are_marked():
    html = highlighted_lines("a = 1\nb = 2\n", [2])
    assert html.count("hll") == 1
    assert html.index("a = ") < html.index("hll") < html.index("b = ")
