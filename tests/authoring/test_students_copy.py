"""A solved notebook and the copy that students get: where they differ are the gaps."""

import json
import textwrap

import pytest

from grader import cli
from grader.authoring.importers.differing_lines import _unformatted, with_gaps
from grader.authoring.importers.students_copy import solved_below, solved_over
from grader.authoring.stubs import stub_source
from grader.notebook import assembled
from grader.records import Cell


def merged(solved, students):
    """What students find of a cell, without markers, the whole cell, and the number of gaps."""
    solved, students = (textwrap.dedent(text).strip("\n") for text in (solved, students))
    made, number = with_gaps(solved, students)
    lines = stub_source(Cell(0, "code", made), "lab.ipynb").split("\n")
    return "\n".join(line for line in lines if "YOUR CODE ###" not in line), made, number


def book(*cells):
    """A notebook of code cells; a text that begins with `#: ` is Markdown."""
    made = [
        Cell(n, "markdown" if text.startswith("#: ") else "code", text.removeprefix("#: "))
        for n, text in enumerate(cells)
    ]
    return assembled(made, name="lab.ipynb")


SOLVED = '''
def area(r):
    """Return the area of a circle."""
    square = r * r
    return 3.14159 * square


def volume(r, h):
    return area(r) * h


print(volume(1, 2))
'''
STUDENTS = '''
def area(r):
    """Return the area of a circle."""
    # A CALCULER
    return ...


def volume(r, h):
    return area(r) * h


print(volume(1, 2))
'''


def test_students_find_their_own_lines_where_the_solution_differs():
    shown, made, number = merged(SOLVED, STUDENTS)
    assert shown == STUDENTS.strip()
    assert number == 1
    assert "    square = r * r\n    return 3.14159 * square\n    ### END YOUR CODE ###" in made


def test_cells_that_are_equal_have_no_gap():
    assert with_gaps(SOLVED, SOLVED) == (SOLVED, 0)


def test_a_changed_line_of_a_loop_is_a_gap_within_the_loop():
    solved = "total = 0\nfor x in data:\n    total += x ** 2\nprint(total)"
    shown, made, _ = merged(solved, solved.replace("total += x ** 2", "pass  # ?"))
    assert "for x in data:\n    ### START YOUR CODE ###" in made
    assert shown == "total = 0\nfor x in data:\n    pass  # ?\nprint(total)"


def test_a_gap_holds_a_whole_statement_of_several_lines():
    solved = "y = combine(\n    1,\n    second,\n    3,\n)\nz = y"
    shown, made, _ = merged(solved, solved.replace("    second,\n", "    None,\n"))
    assert made.startswith("### START YOUR CODE ###")
    assert made.endswith(")\n### END YOUR CODE ###\nz = y")
    assert shown == solved.replace("second", "None")


def test_two_branches_with_other_lines_are_two_gaps():
    solved = "if a:\n    x = one()\nelse:\n    x = two()"
    shown, _, number = merged(solved, "if a:\n    x = None\nelse:\n    x = None")
    assert number == 2
    assert shown == "if a:\n    x = None\nelse:\n    x = None"


def test_a_method_is_held_against_the_method_of_its_name():
    solved = """
    class Model:
        def fit(self, X):
            self.mean = X.mean()
            return self

        def score(self, X):
            return X.mean() - self.mean
    """
    students = """
    class Model:
        def fit(self, X):
            # one line
            return self

        def score(self, X):
            # one line
    """
    shown, made, number = merged(solved, students)
    assert number == 2
    assert (
        "        self.mean = X.mean()\n        ### END YOUR CODE ###\n        return self" in made
    )
    assert shown.count("# one line\n        pass") == 2


def test_raise_not_implemented_joins_the_gap_that_follows_in_its_function():
    solved = "def f(x):\n    n = len(x)\n    m = sum(x) / n\n    return m"
    students = "def f(x):\n    raise NotImplementedError\n    n = len(x)\n    m = ...\n    return m"
    shown, _, number = merged(solved, students)
    assert number == 1
    assert shown == students


@pytest.mark.parametrize(
    ("theirs", "found"),
    [
        ("rate =   # choose one", "rate = ...  # choose one"),
        ("rate = <FILL IN>", "rate = ..."),
        ("choose a rate here!", "# choose a rate here!\npass"),
    ],
)
def test_what_is_not_python_in_the_students_copy_still_runs(theirs, found):
    shown, _, _ = merged("import numpy as np\nrate = 0.1", f"import numpy as np\n{theirs}")
    assert shown == f"import numpy as np\n{found}"


def test_the_markers_of_the_course_go_with_the_gap():
    solved = (
        "def f(x):\n    ### START CODE HERE ###\n    y = x + 1\n    ### END CODE HERE ###\n"
        "    return y"
    )
    shown, made, number = merged(solved, solved.replace("x + 1", "None"))
    assert number == 1
    assert "CODE HERE" not in made
    assert shown == "def f(x):\n    y = None\n    return y"


@pytest.mark.parametrize("differs", [True, False])
def test_an_end_without_its_start_marks_nothing(differs):
    box = "    # PUT YOUR CODE HERE #\n    {}\n    # END OF YOUR CODE #\n    return y"
    solved = f"def f(x):\n{box.format('y = x')}\ndef g(x):\n{box.format('y = x')}"
    students = f"def f(x):\n{box.format('y = 0')}\ndef g(x):\n{box.format('y = x')}"
    made, _ = solved_over(book(solved), book(students if differs else solved))
    assert made.cells[0].source.count("END") == differs


def test_docstrings_are_the_students():
    solved = 'def f(x):\n    """Return 2 x: the secret is 2."""\n    return 2 * x'
    shown, made, _ = merged(solved, 'def f(x):\n    """Double x."""\n    return None')
    assert "secret" not in made
    assert shown == 'def f(x):\n    """Double x."""\n    return None'


def test_comments_alone_are_no_gap_and_are_the_students():
    shown, _, number = merged("# the answer is 3\nx = 1", "# think\nx = 1")
    assert number == 0
    assert shown == "# think\nx = 1"


def test_a_function_that_only_the_solution_has_is_hidden():
    solved = "def helper(x):\n    return x + 1\n\n\ndef f(x):\n    return helper(x)"
    shown, _, _ = merged(solved, "def f(x):\n    return None")
    assert "helper" not in shown


def test_an_empty_cell_of_the_students_is_the_gap_of_the_cell_that_fills_it():
    made, _ = solved_over(book("a = 1", "b = a + 1", "print(b)"), book("a = 1", "# b?", "print(b)"))
    assert made.cells[1].source == (
        "### START YOUR CODE ###\n# STUB: # b?\n# STUB: pass\nb = a + 1\n### END YOUR CODE ###"
    )
    assert [cell.source for cell in made.cells][::2] == ["a = 1", "print(b)"]


def test_a_cell_that_only_the_solution_has_is_not_handed_out():
    made, lines = solved_over(book("a = 1", "plot(a)", "b = 2"), book("a = 1", "b = 2"))
    assert [cell.metadata.get("tags") for cell in made.cells] == [None, ["solution"], None]
    assert "students don't get this cell" in lines[0].text


def test_a_cell_that_only_the_students_have_is_reported():
    _, lines = solved_over(book("a = 1", "b = 2"), book("a = 1", "import this", "b = 2"))
    assert [line.text for line in lines if line.todo] == [
        "`import this` of the students' copy has no place in the solution"
    ]


def test_words_that_only_the_solution_has_are_the_answer():
    question = "#: ## Why?\nSay it in words."
    made, _ = solved_over(book(f"{question}\n**Sol:** since n grows"), book(question))
    assert made.cells[0].source == "## Why?\nSay it in words.\n\n**Answer:**\n\nsince n grows"


def test_a_corrected_misprint_is_no_answer():
    made, _ = solved_over(
        book("#: The boundary of the set is what we look for."),
        book("#: The boundery of the set is what we look for."),
    )
    assert made.cells[0].source == "The boundery of the set is what we look for."


def test_the_tests_of_an_nbgrader_copy_are_those_of_the_students():
    tests = {"nbgrader": {"grade": True, "solution": False, "grade_id": "t", "points": 1}}
    cells = [Cell(0, "code", text, metadata=tests) for text in ("assert True", "assert f(1) == 2")]
    copies = [assembled([cell], name="lab.ipynb") for cell in cells]
    assert solved_over(*copies)[0].cells[0].source == "assert f(1) == 2"


EXERCISE = "def f(x):\n  # TODO\n  raise NotImplementedError\n\nplot(f)"
BELOW = "# to_remove solution\ndef f(x):\n  return x + 1\n\nplot(f)"


def test_a_solved_cell_below_the_students_cell_becomes_its_gap():
    made, _ = solved_below(book("import numpy as np", EXERCISE, BELOW, "print(f(1))"))
    assert len(made.cells) == 3
    shown = stub_source(made.cells[1], "lab.ipynb")
    assert shown.replace("  ### START YOUR CODE ###\n", "").replace(
        "  ### END YOUR CODE ###\n", ""
    ) == EXERCISE.replace("\n\nplot", "\n\nplot")
    assert "return x + 1" in made.cells[1].source


def test_a_solution_without_an_exercise_above_is_not_handed_out():
    made, _ = solved_below(book("import numpy as np", "# to_remove solution\nsecret = 3"))
    assert made.cells[1].metadata == {"tags": ["solution"]}


def test_a_cell_that_is_called_solution_by_the_way_stays():
    made, _ = solved_below(book("x = 1", "# Solution\ny = solve(x)"))
    assert [cell.source for cell in made.cells] == ["x = 1", "# Solution\ny = solve(x)"]


def test_an_explanation_to_remove_becomes_an_answer():
    made, _ = solved_below(book("x = 1", '# to_remove explanation\n"""\nIt grows.\n""";'))
    assert (made.cells[1].kind, made.cells[1].source) == ("markdown", "**Answer:**\n\nIt grows.")


# --- cells that are unlike, and lines that only look unlike ---------------------------------------


def test_a_cell_that_is_unlike_its_solution_belongs_to_it_by_its_place():
    students = book("import math", "points = # your code here", "print(points)")
    solution = book(
        "import math", "rows = table.values()\npoints = {p for row in rows for p in row}",
        "print(points)",
    )  # fmt: skip
    made, lines = solved_over(solution, students)
    assert "# STUB: points = ..." in made.cells[1].source
    assert lines == []


def test_two_cells_between_the_same_neighbours_keep_their_order():
    students = book("a = 1", "# one: describe", "# two: draw", "b = 2")
    solution = book("a = 1", "table.describe()", "plot(table, kind='bar')", "b = 2")
    made, _ = solved_over(solution, students)
    assert "# STUB: # one: describe" in made.cells[1].source
    assert "# STUB: # two: draw" in made.cells[2].source


def test_cells_at_a_place_that_do_not_pair_off_are_said():
    students = book("a = 1", "zzz = ...", "b = 2")
    solution = book("a = 1", "table.describe()", "plot(table, kind='bar')", "b = 2")
    _, lines = solved_over(solution, students)
    assert [line.text for line in lines if line.todo] == [
        "`zzz = ...` of the students' copy has no place in the solution"
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("    n[i]=[]", "    n[i] = []"),
        ("    f( 'a',x )", '    f("a", x)'),
        ("    x=1 # one", "    x = 1 # one"),
        ("""    s = 'it is' +t""", """    s='it is'+ t"""),
    ],
)
def test_a_line_that_a_formatter_has_changed_is_no_gap(theirs, ours):
    head = "for i in rows:\n"
    made, number = with_gaps(f"{head}{ours}\ny = 3", f"{head}{theirs}\ny = ...")
    assert number == 1
    assert made.startswith(f"{head}{ours}\n### START")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("s = 'a b'", "s = 'ab'"), ("x = not y", "x = noty"), ("x = 1", "    x = 1"),
     ("x = 1 # a", "x = 1 # b"), ('s = "a" "b"', "s = 'ab'")],
)  # fmt: skip
def test_a_line_with_other_words_is_another_line(theirs, ours):
    assert _unformatted(theirs) != _unformatted(ours)


# --- the command ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    for name, source in (("lab-solution", SOLVED), ("lab", STUDENTS)):
        cells = [{"cell_type": "code", "source": source, "metadata": {}, "outputs": []}]
        document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(document))
    return tmp_path


def test_the_assignments_notebook_has_the_name_that_students_know(folder):
    assert cli.run(["new", "lab", "--from", "lab-solution.ipynb", "--stub", "lab.ipynb"]) == 0
    assert (folder / "reference/lab/lab.ipynb").is_file()
    assert 'functions = ["area"]' in (folder / "reference/lab/assignment.toml").read_text()
    assert "volume" not in (folder / "reference/lab/assignment.toml").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--stub", "lab.ipynb"], "--stub needs --from"),
        (["--from", "lab.ipynb", "--stub", "lab.ipynb", "--gap", "area"], "--gap and --stub"),
        (["--from", "lab.ipynb", "--stub", "lab.ipynb"], "don't differ"),
        (
            ["--from", "lab.ipynb", "--stub", "lab.ipynb", "--stub", "lab-solution.ipynb"],
            "solved notebooks: 1, students' copies: 2; give one for each",
        ),
    ],
)
def test_a_students_copy_that_does_not_fit_is_refused_in_a_line(folder, arguments, words, capsys):
    assert cli.run(["new", "lab", *arguments]) == 2
    assert words in capsys.readouterr().err
    assert not (folder / "reference").exists()


def test_copies_that_differ_by_whole_cells_alone_are_refused_with_that_reason(folder, capsys):
    for name, more in (("lab-solution", ["plot(1)"]), ("lab", [])):
        cells = [
            {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
            for source in (STUDENTS, *more)
        ]
        document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
        (folder / f"{name}.ipynb").write_text(json.dumps(document))
    assert cli.run(["new", "lab", "--from", "lab-solution.ipynb", "--stub", "lab.ipynb"]) == 2
    assert "don't differ but for whole cells: put an empty one" in capsys.readouterr().err
