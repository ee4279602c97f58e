"""Stubs and templates: what students start from."""

import json
import tomllib
import warnings

import nbformat
import pytest

from grader.assignment import load_assignment
from grader.authoring.percent import percent_script
from grader.authoring.stubs import make_stub, stub_notebook, stub_text
from grader.authoring.templates import check_templates, write_templates
from grader.errors import AssignmentError
from grader.notebook import compare_with_stub, parse_notebook

COST = """\
class Model:
    def cost(self, p, y):
        if self.mse:
            ### START YOUR CODE ###
            # STUB: cost = 0.0
            cost = np.mean((p - y) ** 2)
        # STUB: else:
            # STUB: cost = 0.0
        else:
            cost = -np.mean(y * np.log(p))
            ### END YOUR CODE ###
        return cost

    def update(self):
        ### START YOUR CODE ###
        self.w -= self.alpha * self.grad()  # the secret
        ### END YOUR CODE ###
"""

COST_STUB = """\
class Model:
    def cost(self, p, y):
        if self.mse:
            ### START YOUR CODE ###
            cost = 0.0
        else:
            cost = 0.0
            ### END YOUR CODE ###
        return cost

    def update(self):
        ### START YOUR CODE ###
        pass
        ### END YOUR CODE ###
"""


def reference(*sources, name="cost.ipynb"):
    v4 = nbformat.v4
    cells = [
        v4.new_code_cell(
            source,
            execution_count=7,
            outputs=[v4.new_output("stream", text="secret output")],
        )
        for source in sources
    ]
    answer = v4.new_markdown_cell("The secret answer", metadata={"tags": ["solution"]})
    cells = [v4.new_markdown_cell("# Cost"), answer, *cells]
    text = nbformat.writes(v4.new_notebook(cells=cells, metadata={"author": "me"}))
    return parse_notebook(text.encode(), name=name)


def test_a_gap_holds_what_its_stub_lines_say_and_pass_without_them():
    stub = stub_notebook(reference(COST), assignment="pw")
    assert stub.cells[1].source == COST_STUB


def test_a_stub_holds_nothing_of_the_solution_and_no_outputs():
    text = stub_text(reference(COST), assignment="pw")
    assert "secret" not in text
    assert "STUB" not in text
    assert "author" not in text
    code = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    assert [(c["outputs"], c["execution_count"]) for c in code] == [([], None)]


def test_a_stub_is_a_valid_notebook_and_always_the_same_bytes():
    text = stub_text(reference(COST), assignment="pw")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nbformat.validate(nbformat.reads(text, as_version=4))
    assert text == stub_text(reference(COST), assignment="pw")
    assert text.endswith("}\n")


def test_a_stub_says_which_notebook_of_which_assignment_it_is():
    document = make_stub(reference(COST), assignment="pw", file="other.ipynb")
    assert document["metadata"]["grade"] == {"assignment": "pw", "notebook": "other.ipynb"}


def test_the_reference_fills_every_gap_of_its_stub_and_changes_nothing_else():
    solved = reference(COST)
    stub = stub_notebook(solved, assignment="pw")
    compared = compare_with_stub(solved, stub)
    assert {r.status for r in compared.regions.values()} == {"filled"}
    assert compared.notes == ()
    assert {r.status for r in compare_with_stub(stub, stub).regions.values()} == {"untouched"}


def test_an_empty_stub_line_is_an_empty_line():
    given = "# STUB: x = 0\n# STUB:\n# STUB: y = 0"
    source = f"### START YOUR CODE ###\n{given}\nx, y = 1, 2\n### END YOUR CODE ###"
    stub = stub_notebook(reference(source), assignment="pw")
    assert "x = 0\n\ny = 0" in stub.cells[1].source


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("x = 1\n### START YOUR CODE ###\ny = 2", "cell 2, line 2: the START marker has no END"),
        ("### END YOUR CODE ###", "cell 2, line 1: the END marker has no START"),
        ("# STUB: x = 1", "line 1: a STUB line outside of any gap"),
        (COST.replace("# STUB: else:", "# STUB: else"), "the stub doesn't parse, near `else`"),
        ("### START YOUR CODE ###\nx = 1\n### START YOUR CODE ###", "lines of their own"),
    ],
)
def test_a_reference_whose_markers_are_wrong_is_refused_with_its_line(source, what):
    with pytest.raises(AssignmentError) as caught:
        stub_text(reference(source), assignment="pw")
    assert what in str(caught.value)
    assert "cost.ipynb" in str(caught.value)


# --- templates ------------------------------------------------------------------------------------

CHECKS = '''\
"""Checks of the cost."""

import numpy as np
import pytest


@pytest.mark.exercise("a", points=1)
def test_cost(student):
    """The cost is right."""
    assert student.f(1) == 1
'''
HIDDEN_CHECKS = """\
import numpy as np
import pytest


@pytest.mark.exercise("a", points=1)
def test_secret(student, reference):
    assert np.all(student.f(2) == reference.f(2))
"""

TOML = """\
id = "pw"
title = "Costs \\"and\\" slopes"
[limits]
cell_s = 7.5
[data]
datasets = ["mnist"]
[rules]
forbidden_imports = ["sklearn"]
[[notebooks]]
file = "cost.ipynb"
[[exercises]]
id = "a"
title = "Cost"
points = 2
notebook = "cost.ipynb"
functions = ["Model.cost"]
[exercises.rules]
forbidden_calls = ["np.gradient"]
[[exercises]]
id = "b"
title = "Words"
points = 0.5
manual = true
bonus = true
"""


@pytest.fixture
def assignment(tmp_path):
    folder = tmp_path / "reference" / "pw"
    folder.mkdir(parents=True)
    solved = reference(COST)
    cells = [{"cell_type": c.kind, "source": c.source, "metadata": {}} for c in solved.cells]
    (folder / "cost.ipynb").write_text(json.dumps({"cells": cells}))
    (folder / "assignment.toml").write_text(TOML)
    (folder / "test_cost.py").write_text(CHECKS)
    (folder / "hidden").mkdir()
    (folder / "hidden" / "test_cost.py").write_text(HIDDEN_CHECKS)
    return load_assignment(folder)


def test_templates_hold_stubs_and_public_checks_and_are_then_up_to_date(assignment, tmp_path):
    to = tmp_path / "student_templates" / "pw"
    write_templates(assignment, to)
    files = sorted(p.relative_to(to).as_posix() for p in to.rglob("*") if p.is_file())
    assert files == [
        "README.md",
        "checks/assignment.toml",
        "checks/stubs/cost.ipynb",
        "checks/test_cost.py",
        "cost.ipynb",
    ]
    assert check_templates(assignment, to) == []
    assert write_templates(assignment, to) == []
    assert (to / "checks" / "test_cost.py").read_bytes() == CHECKS.encode()


def test_a_students_copy_is_loaded_as_the_assignment_it_was_made_from(assignment, tmp_path):
    write_templates(assignment, tmp_path / "pw")
    copy = load_assignment(tmp_path / "pw" / "checks")
    assert copy.public_only
    assert copy.notebooks == {}
    for field in ("id", "title", "exercises", "limits", "rules", "datasets", "stubs"):
        assert getattr(copy, field) == getattr(assignment, field), field


def test_the_public_part_of_the_toml_is_toml(assignment, tmp_path):
    write_templates(assignment, tmp_path)
    document = tomllib.loads((tmp_path / "checks" / "assignment.toml").read_text())
    assert document["public"] is True
    assert document["title"] == 'Costs "and" slopes'
    assert document["exercises"][0]["points"] == 2


def test_a_file_that_was_edited_or_is_gone_is_named(assignment, tmp_path):
    write_templates(assignment, tmp_path)
    (tmp_path / "cost.ipynb").write_text("{}")
    (tmp_path / "checks" / "test_cost.py").unlink()
    assert check_templates(assignment, tmp_path) == [
        f"{tmp_path}/cost.ipynb: out of date",
        f"{tmp_path}/checks/test_cost.py: missing",
    ]


def test_what_an_earlier_run_made_goes_and_what_a_user_made_stays(assignment, tmp_path):
    write_templates(assignment, tmp_path)
    old = tmp_path / "old.ipynb"
    old.write_text((tmp_path / "cost.ipynb").read_text())
    (tmp_path / "checks" / "test_old.py").write_text("")
    own = tmp_path / "mine.ipynb"
    own.write_text('{"cells": []}')
    assert len(check_templates(assignment, tmp_path)) == 2
    write_templates(assignment, tmp_path)
    assert not old.exists()
    assert own.exists()
    assert check_templates(assignment, tmp_path) == []


SCRIPT = """\
# %% [markdown]
# # Means
#
# The mean of a vector.

# %%
import numpy as np


# %%
def mean(x):
    ### START YOUR CODE ###
    # STUB: value = 0.0
    value = x.sum() / len(x)
    ### END YOUR CODE ###
    return value

# %% tags=["solution"]
print("the answer is", mean(np.ones(3)))

# %% tags=["given", "plot"]
print(mean(np.arange(3)))
"""


def test_a_scripts_stub_is_a_script_with_the_same_cells():
    solved = parse_notebook(SCRIPT.encode(), name="means.py")
    text = stub_text(solved, assignment="means")
    assert "value = 0.0" in text and "len(x)" not in text and "the answer" not in text
    compile(text, "means.py", "exec")
    stub = parse_notebook(text.encode(), name="means.py")
    assert [c.kind for c in stub.cells] == ["markdown", "code", "code", "code"]
    assert stub.cells[0].source == "# Means\n\nThe mean of a vector."
    assert stub.cells[3].metadata == {"tags": ["given", "plot"]}
    assert percent_script(stub.cells) == text


def test_a_script_that_fills_the_gaps_is_not_said_to_have_changed_the_rest():
    solved = parse_notebook(SCRIPT.encode(), name="means.py")
    compared = compare_with_stub(solved, stub_notebook(solved, assignment="means"))
    assert {region.status for region in compared.regions.values()} == {"filled"}
    # The cell with the solution's tag was never in the stub; nothing else is another.
    assert [note.kind for note in compared.notes] == []


def test_a_script_without_cells_keeps_its_form():
    gap = "    ### START YOUR CODE ###\n    m = 1\n    ### END YOUR CODE ###\n"
    whole = f"def mean(x):\n{gap}    return m\n"
    solved = parse_notebook(whole.encode(), name="means.py")
    assert stub_text(solved, assignment="means") == whole.replace("m = 1", "pass")
