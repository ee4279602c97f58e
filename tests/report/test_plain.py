"""Student-written text made harmless: what stays, what is shown as an escape, what goes."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.report.plain import one_line, printable


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("plain text, é, 中文, 😀", "plain text, é, 中文, 😀"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq pixels\x1b\\after", "after"),
        ("\x1b]0;never ends", "\\x1b]0;never ends"),
        ("\x1b", "\\x1b"),
        ("bell\x07 null\x00 back\x08", "bell\\x07 null\\x00 back\\x08"),
        ("\u202etxt.exe\u202c", "\\u202etxt.exe\\u202c"),
        ("\u2066a\u2067b\u2068c\u2069", "\\u2066a\\u2067b\\u2068c\\u2069"),
        ("\u200emark\u200f\u061c", "\\u200emark\\u200f\\u061c"),
        ("line\u2028separator\u2029", "line\\u2028separator\\u2029"),
        ("\ud800 alone", "\\ud800 alone"),
        ("\ufffe\uffff", "\\ufffe\\uffff"),
        ("\U000e0041 tag", "\\U000e0041 tag"),
        ("no\u00a0break", "no break"),
        ("a\r\nb\rc", "a\nb\\x0dc"),
        ("\tindented", "    indented"),
        ("[bold red]kept as it is[/]", "[bold red]kept as it is[/]"),
    ],
)
def test_text_is_shown_without_its_effects(written, shown):
    assert printable(written) == shown


def test_a_pile_of_accents_cannot_draw_over_its_neighbours():
    assert printable("e" + "\u0301" * 50 + "f") == "e" + "\u0301" * 3 + "f"


def test_long_text_is_cut_and_says_how_much_is_missing():
    assert printable("x" * 1_234_567, limit=4) == "xxxx … (1,234,563 more characters)"


def test_a_flood_of_escape_openings_takes_no_longer_than_its_length():
    # Quadratic matching would take minutes here.
    assert printable("\x1b]" * 2_000_000, limit=500_000).startswith("\\x1b]\\x1b]")


def test_one_line_collapses_blanks_and_cuts_with_an_ellipsis():
    assert one_line("a\n  b\tc" + "d" * 50, limit=8) == "a b cdd…"


@given(st.text(st.characters()))
def test_whatever_is_written_only_printable_characters_and_line_breaks_come_out(text):
    joiners = "\n\u200c\u200d"
    assert all(c.isprintable() or c in joiners for c in printable(text))


@given(st.text(string.printable.replace("\r", "").replace("\x0b", "").replace("\x0c", "")))
def test_plain_ascii_comes_out_as_it_went_in(text):
    assert printable(text) == text.expandtabs(4)
