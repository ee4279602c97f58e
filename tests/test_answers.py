"""What a student wrote where words were asked for."""

from grader.notebook import answer_cells, assembled, drawing_cells
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


# --- with the template at hand ------------------------------------------------------------------

TEMPLATE = ("#### Answer 1\n\n*Write here.*", "!def f(): pass", "Now plot it.", "## Exercise 2")


def test_an_answer_goes_on_below_code_that_the_student_put_into_it():
    made = notebook("#### Answer 1\n\nSee:", "!plt.plot(x)", "It falls.", "## Exercise 2", "other")
    found = answer_cells(made, ["Answer 1"], notebook(*TEMPLATE))
    assert texts(found) == ["#### Answer 1\n\nSee:", "It falls."]


def test_text_of_the_template_below_code_is_no_answer():
    made = notebook("#### Answer 1\n\nWords.", *TEMPLATE[1:])
    assert texts(answer_cells(made, ["Answer 1"], notebook(*TEMPLATE))) == [
        "#### Answer 1\n\nWords."
    ]


def test_a_heading_of_the_students_own_stays_in_the_answer():
    made = notebook("#### Answer 1", "# First\n\nThis.", "## Then", "that", "## Exercise 2", "x")
    found = answer_cells(made, ["Answer 1"], notebook(*TEMPLATE))
    assert texts(found) == ["#### Answer 1", "# First\n\nThis.", "## Then", "that"]


def test_a_pasted_picture_is_an_answer_without_a_word():
    picture = Cell(1, "markdown", "", attachments={"scan.png": {"image/png": "AAAA"}})
    made = assembled([Cell(0, "markdown", "## Answer 1"), picture], name="toy.ipynb")
    assert answer_cells(made, ["Answer 1"]) == made.cells


# --- figures ------------------------------------------------------------------------------------


def test_figures_of_an_answer_are_drawn_under_its_heading():
    made = notebook(
        "## Task", "!a = 1", "#### Answer 1", "!plot()", "words", "!more()", "## 2", "!b"
    )
    assert drawing_cells(made, ["Answer 1"], ()) == (3, 5)


def test_figures_of_a_gap_are_drawn_in_its_cell_and_the_code_right_below():
    made = notebook("## Task", "!x = 1", "!def f(): ...", "!f()", "Next, plot g.", "!g()")
    assert drawing_cells(made, [], {2}) == (2, 3)
