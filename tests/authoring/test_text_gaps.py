"""Answers in words between markers, and what tells students how to check."""

import json
import tomllib

import pytest

from grader import cli
from grader.authoring.text_gaps import PLACEHOLDER, without_answers
from grader.errors import AssignmentError
from grader.notebook import compare_with_stub, read_notebook

SECRET = "It is a secret."
CASES = [
    ("<!-- BEGIN SOLUTION -->", "<!-- END SOLUTION -->"),
    ("<!--START YOUR ANSWER HERE-->", "<!-- end of your answer here -->"),
    ("### START YOUR CODE ###", "### END YOUR CODE ###"),
    ("**BEGIN ANSWER**", "**END ANSWER**"),
]


@pytest.mark.parametrize(("start", "end"), CASES)
def test_what_stands_between_markers_in_a_text_is_not_handed_out(start, end):
    given = without_answers(f"Why?\n{start}\n{SECRET}\n\n$$x$$\n{end}\nMore.", "a.ipynb, cell 1")
    assert given == f"Why?\n{start}\n\n{PLACEHOLDER}\n\n{end}\nMore."


def test_stub_lines_say_what_students_find_instead():
    text = "<!-- BEGIN SOLUTION -->\n<!-- STUB: *Two lines.* -->\nA\n<!-- END SOLUTION -->"
    assert "*Two lines.*" in without_answers(text, "")
    assert PLACEHOLDER not in without_answers(text, "")


@pytest.mark.parametrize(
    "text",
    [
        "Fill in between these:\n\n    ### START YOUR CODE ###\n    ### END YOUR CODE ###",
        "```python\n### START YOUR CODE ###\n### END YOUR CODE ###\n```",
        "## Start with the code of exercise 1\n\nThe end of your answer may be short.",
        "# Solution\n\n## End",
    ],
)
def test_a_text_that_quotes_markers_or_has_none_stays_as_it_is(text):
    assert without_answers(text, "") == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<!-- BEGIN SOLUTION -->\nA", "cell 3, line 1: the START marker has no END"),
        ("A\n<!-- END SOLUTION -->", "cell 3, line 2: the END marker has no START"),
        ("<!-- BEGIN SOLUTION -->\n<!-- BEGIN SOLUTION -->", "line 2: the START marker has no END"),
    ],
)
def test_a_marker_without_its_partner_is_told(text, told):
    with pytest.raises(AssignmentError, match=told):
        without_answers(text, "a.ipynb, cell 3")


TOML = """\
id = "toy"
title = "Toy sheet"
files = ["table.csv"]
[environment]
python = "3.12"
requirements = ["numpy<2", 'odd; python_version > "3"']
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "f"
title = "F"
points = 2
notebook = "toy.ipynb"
functions = ["f"]
"""
GAP = "def f(x):\n    ### START YOUR CODE ###\n    return 2 * x\n    ### END YOUR CODE ###"
CHECK = '@pytest.mark.exercise("f", points=2)\ndef test_f(student):\n    assert student.f(1) == 2\n'


@pytest.fixture
def handed_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    toy = tmp_path / "reference/toy"
    toy.mkdir(parents=True)
    (toy / "assignment.toml").write_text(TOML)
    (toy / "table.csv").write_text("1")
    (toy / "test_toy.py").write_text(f"import pytest\n\n\n{CHECK}")
    answer = f"#### Answer\n<!-- BEGIN SOLUTION -->\n{SECRET}\n<!-- END SOLUTION -->"
    cells = [
        {"cell_type": "code", "source": GAP, "metadata": {}, "outputs": []},
        {"cell_type": "markdown", "source": answer, "metadata": {}},
    ]
    (toy / "toy.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}}))
    assert cli.run(["stubs"]) == 0
    return tmp_path / "student_templates/toy"


def test_the_answer_is_in_no_file_of_the_students(handed_out):
    texts = [path.read_text() for path in handed_out.rglob("*") if path.is_file()]
    assert not any(SECRET in text for text in texts)
    assert PLACEHOLDER in (handed_out / "toy.ipynb").read_text()


def test_the_first_cell_loads_the_magic_and_holds_the_environment(handed_out):
    cells = json.loads((handed_out / "toy.ipynb").read_text())["cells"]
    source = "".join(cells[0]["source"])
    assert "%load_ext grader" in source
    block = source.partition("# ///\n")[0].removeprefix("# /// script\n")
    table = tomllib.loads("".join(line.removeprefix("# ") for line in block.splitlines(True)))
    assert table == {
        "requires-python": ">=3.12,<3.13",
        "dependencies": ["numpy<2", 'odd; python_version > "3"'],
    }


def test_who_has_the_first_cell_and_who_has_not_are_read_alike(handed_out):
    stub = read_notebook(handed_out / "checks/stubs/toy.ipynb")
    assert "load_ext" not in stub.cells[0].source
    for path in (handed_out / "toy.ipynb", handed_out / "checks/stubs/toy.ipynb"):
        compared = compare_with_stub(read_notebook(path), stub, functions=("f",))
        assert [note.message for note in compared.notes] == []


def test_the_readme_says_in_a_few_lines_how_to_check(handed_out):
    lines = (handed_out / "README.md").read_text().splitlines()
    assert lines[0] == "# Toy sheet"
    assert 5 <= len(lines) <= 12
    text = "\n".join(lines)
    for said in ("grade toy.ipynb", "`%grade f`", "`table.csv` lies", "uv venv --python 3.12"):
        assert said in text


def test_an_instructors_own_readme_is_the_one_that_goes_out(handed_out, tmp_path):
    toy = tmp_path / "reference/toy"
    (toy / "README.md").write_text("Mine.")
    (toy / "assignment.toml").write_text(TOML.replace('"table.csv"', '"table.csv", "README.md"'))
    assert cli.run(["stubs"]) == 0
    assert (handed_out / "README.md").read_text() == "Mine."
