"""The table under a notebook's cell."""

from dataclasses import replace
from html.parser import HTMLParser

from grader.report import table


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = set()
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert {name for name, _ in attrs} <= {"style", "colspan"}

    def handle_data(self, data):
        self.text += data


def test_it_shows_each_exercise_its_points_and_what_went_wrong(result):
    text = Elements(table.render_html(result)).text
    for told in ("3b-cost", "3.5 / 6", "partial", "is the minus sign missing?", "(31 %)", "open"):
        assert told in text


def test_student_text_in_it_stays_text(hostile):
    elements = Elements(table.render_html(hostile.results[0]))
    assert elements.tags <= {"div", "table", "tr", "td", "strong", "em", "p", "span"}
    assert "<script>alert(1)</script>" in elements.text
    assert "\\u202eevil" in elements.text


def test_a_refused_notebook_says_why(refused):
    assert "refused: the zip is cut off" in Elements(table.render_html(refused)).text
    assert table.render_text(refused) == "refused: the zip is cut off: hand it in again"


def test_the_text_has_the_same_verdicts(result):
    lines = table.render_text(result).split("\n")
    assert lines[0] == "✓ 2a-sigmoid      4 / 4  passed"
    assert lines[1] == "◐ 3b-cost       3.5 / 6  partial"
    assert lines[-2:] == [
        "Total 7.5 / 24 points (31 %)",
        "10 points are open: a person grades them",
    ]


def test_the_text_is_harmless(hostile):
    assert all(c.isprintable() or c == "\n" for c in table.render_text(hostile.results[0]))


def test_nothing_to_show_is_no_error(result):
    empty = replace(result, exercises=(), manual_points=0.0, score=0.0, max_score=0.0)
    assert table.render_text(empty) == "Total 0 / 0 points (100 %)"
