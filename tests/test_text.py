"""Student-written text made harmless: what stays, what is shown as an escape, what goes."""

import string
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.text import encodable, in_name, one_line, printable


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


ANY_TEXT = st.text(st.characters())


@given(ANY_TEXT, st.integers(1, 50))
def test_one_line_is_one_line_that_fits(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert line.split() == line.split(" ") or line == ""


@given(ANY_TEXT)
def test_what_was_made_harmless_is_not_changed_again(text):
    once = one_line(text, 10_000)
    assert one_line(once, 10_000) == once
    assert in_name(in_name(text)) == in_name(text)


@given(ANY_TEXT)
def test_every_kind_of_shown_text_can_be_written_to_a_file_and_stand_in_xml(text):
    for shown in (printable(text), one_line(text), in_name(text)):
        shown.encode("utf-8")
        ElementTree.fromstring(f"<a>{escape(shown)}</a>")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("Zoé  Müller", "Zoé  Müller"),
        ("Zoe\u0301", "Zoé"),
        ("a\nb\tc\x1b", "a_b_c_"),
        ("\u202egpj.exe", "_gpj.exe"),
        ("no\u00a0break", "no break"),
        ("An\u200dn", "An_n"),
        ("x\ud800", "x_"),
    ],
)
def test_a_name_keeps_its_letters_and_shows_what_deceives(written, shown):
    assert in_name(written) == shown


@given(ANY_TEXT)
def test_a_name_is_printable(text):
    assert in_name(text).isprintable()


@given(ANY_TEXT)
def test_source_is_the_same_but_for_lone_surrogates(text):
    assert encodable(text).encode("utf-8").decode("utf-8") == encodable(text)
    if not any(0xD800 <= ord(c) < 0xE000 for c in text):
        assert encodable(text) == text


def test_the_halves_of_one_character_are_joined():
    assert encodable("\ud83d\ude00 \ud83d") == "😀 \ufffd"
