"""The colours of code: pygments' tokens, one by one, of code and of what is none."""

import ast
import re
import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.lexers import PythonLexer

from grader.report import python_lexer
from grader.report.python_lexer import FastPythonLexer, first_characters

WORDS = (
    "def class from import lazy match case _ async await for is not None True print self "
    "__init__ __doc__ ValueError @wraps x_1 ñandú 变量 0x1F 1e-3 1_000.5j .5 '' \"\" ''' \"\"\" "
    "f\"{x!r:>{w}}\" rb'\\x00' u\"\\N{DASH}\" '%(a)s' '{0.a[1]}' t'{y}' \\ \\\n # #! := -> ... "
    "{ } [ ] ( ) ; ` ? $ ! \t \n \r\n  \x0c ſ K"
)


def tokens(lexer, text):
    return list(lexer(stripnl=False).get_tokens(text))


@pytest.mark.parametrize("module", [ast, re, textwrap], ids=lambda module: module.__name__)
def test_code_has_pygments_own_tokens(module):
    text = Path(module.__file__).read_text("utf-8")[:25_000]
    assert tokens(FastPythonLexer, text) == tokens(PythonLexer, text)


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(WORDS.split(" ")) | st.text(max_size=3), max_size=30),
    st.sampled_from(["", " "]),
)
def test_noise_has_pygments_own_tokens(words, between):
    text = between.join(words)
    assert tokens(FastPythonLexer, text) == tokens(PythonLexer, text)


@settings(max_examples=100)
@given(st.sampled_from(list(map(chr, range(128)))), st.text(max_size=5))
def test_no_rule_that_matches_is_passed_over(first, rest):
    for rules in PythonLexer()._tokens.values():
        for match, _, _ in rules:
            if match(first + rest, 0):
                assert first in first_characters(match.__self__)


def test_most_rules_are_passed_over_before_a_name():
    tried, every = python_lexer._rules_of("root")
    assert len(every) > 40
    assert len(tried["x"]) < 5


def test_without_the_standard_library_s_parser_every_rule_is_tried(monkeypatch):
    monkeypatch.delattr(re, "_parser")
    assert first_characters(re.compile("abc")) == frozenset(map(chr, range(128)))
