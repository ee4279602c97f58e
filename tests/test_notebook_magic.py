"""`%grade` and `grader.check()` in a real kernel: the same verdicts, under the cell."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "student_templates" / "pw02"
SIGMOID = """
import numpy as np

def sigmoid(z):
    return 0.5 * (1 + np.tanh(np.asarray(z, dtype=float) / 2))

def sigmoid_prime(z):
    return sigmoid(z) * ({factor} - sigmoid(z))
"""


@pytest.fixture
def run():
    """Run cells in a kernel that stands in the student's folder; return each cell's outputs."""

    def run(*cells, folder=TEMPLATES):
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        client = NotebookClient(
            made, timeout=120, kernel_name="python3", resources={"metadata": {"path": folder}}
        )
        client.execute()
        return [cell.outputs for cell in made.cells]

    return run


def text_of(outputs):
    return "\n".join(
        output.get("text", "") or output.data["text/plain"]
        for output in outputs
        if output.output_type in ("stream", "execute_result")
    )


def test_the_magic_shows_a_table_under_the_cell(run):
    outputs = run(SIGMOID.format(factor=1), "%load_ext grader", "%grade 2ab-sigmoid")[-1]
    (shown,) = [o for o in outputs if o.output_type == "execute_result"]
    assert "2ab-sigmoid" in shown.data["text/html"]
    assert "<script" not in shown.data["text/html"]
    assert "✓" in shown.data["text/plain"]


def test_a_mistake_is_named_and_mending_it_turns_the_verdict(run):
    first, _, second = run(
        SIGMOID.format(factor=2) + "\nimport grader\ngrader.check('2ab-sigmoid')",
        SIGMOID.format(factor=1),
        "grader.check('2ab-sigmoid')",
    )
    assert "sigmoid_prime" in text_of(first)
    assert "✓" not in text_of(first).splitlines()[0]
    assert "✓" in text_of(second).splitlines()[0]


def test_an_error_is_told_by_the_line_and_the_number_that_stands_beside_the_cell(run):
    broken = SIGMOID.format(factor=1).strip().replace("return 0.5", "return half")
    text = text_of(run("# nothing", broken, "import grader; grader.check('2ab-sigmoid')")[-1])
    assert "where: cell 2, line 4: return half * (1 + np.tanh" in text


def test_checks_leave_the_notebook_as_it_was(run):
    outputs = run(
        SIGMOID.format(factor=1) + "\nimport sys, warnings\nz = np.arange(3)",
        "import grader; before = sys.stdout, list(warnings.filters), list(sys.path)",
        "_ = grader.check('2ab-sigmoid')",
        "print(before == (sys.stdout, list(warnings.filters), list(sys.path)), z)",
    )
    assert text_of(outputs[-1]).strip() == "True [0 1 2]"


def test_an_unknown_exercise_is_one_line(run):
    outputs = run(SIGMOID.format(factor=1), "%load_ext grader", "%grade nonsense")[-1]
    assert text_of(outputs).startswith("grade: this notebook has no exercise 'nonsense'")


@pytest.mark.parametrize("place", ["elsewhere", "here"])
def test_it_advises_nothing_that_it_does_not_have(run, tmp_path, place):
    folder = tmp_path if place == "elsewhere" else TEMPLATES
    text = text_of(run("x = 1", "%load_ext grader", "%grade", folder=folder)[-1])
    assert text.startswith("grade: ")
    assert "--" not in text
    advice = {"elsewhere": "keep the notebook in the folder", "here": "run the cells that define"}
    assert advice[place] in text
