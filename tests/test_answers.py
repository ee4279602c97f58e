"""What a student wrote where words were asked for."""

from grader.notebook import answer_cells, assembled
from grader.records import Cell


def notebook(*cells):
    kinds = [("code", c[1:]) if c.startswith("!") else ("markdown", c) for c in cells]
    return assembled([Cell(n, *kind) for n, kind in enumerate(kinds)], name="toy.ipynb")


def texts(found):
    return [cell.source for cell in found]


def test_an_answer_in_the_heading_s_own_cell_is_found():
    made = notebook("# Task", "#### Answer 1 (a)\n\nBecause.", "## Next")
    assert texts(answer_cells(made, ["Answer 1 (a)"])) == ["#### Answer 1 (a)\n\nBecause."]


def test_an_answer_goes_on_below_its_heading_up_to_the_next_one():
    made = notebook("#### Answer 1", "first", "second", "#### Answer 2", "other")
    assert texts(answer_cells(made, ["Answer 1"])) == ["#### Answer 1", "first", "second"]


def test_code_ends_an_answer():
    made = notebook("#### Answer 1", "words", "!x = 1", "unrelated")
    assert texts(answer_cells(made, ["Answer 1"])) == ["#### Answer 1", "words"]


def test_a_heading_is_known_by_its_words():
    made = notebook("##  answer  1 ##", "words")
    assert len(answer_cells(made, ["Answer 1"])) == 2


def test_without_the_heading_there_is_no_answer():
    assert answer_cells(notebook("words"), ["Answer 1"]) == ()
