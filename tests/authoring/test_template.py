"""`grade new`: what it writes holds at once, or fails until somebody writes its checks."""

import tomllib

import nbformat
import pytest

from grader import cli
from grader.assignment import load_assignment
from grader.authoring.template import UnmarkedNotebook, write_example, write_from
from grader.authoring.templates import check_templates, write_templates
from grader.errors import AssignmentError
from grader.notebook import read_notebook
from grader.suite import open_suite
from grader.verify import verify_assignments

SOFTMAX = '''\
import numpy as np
%matplotlib inline

def softmax(z, *, axis: int = 1):
    """Return the softmax of each row of z."""
    # The largest goes first.
    z = z - z.max(axis=axis, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=axis, keepdims=True)
    # That is all.


class Model:
    def __init__(self, n,
                 m=3):
        self.W = np.zeros((n, m))

    def predict(self, X):
        return softmax(X @ self.W).argmax(axis=1)

    def one(self): return 1
'''

MARKED_SOFTMAX = SOFTMAX.replace(
    "    # The largest goes first.",
    "    ### START YOUR CODE ###\n    # The largest goes first.",
).replace("    # That is all.", "    # That is all.\n    ### END YOUR CODE ###")


def solved(folder, *cells, name="solved.ipynb"):
    """Write a notebook of code cells (text) and others (kind, text, tags); return its path."""
    v4 = nbformat.v4
    made = []
    for cell in cells:
        if isinstance(cell, str):
            output = v4.new_output("stream", text="secret output")
            made.append(v4.new_code_cell(cell, outputs=[output], execution_count=3))
        else:
            text, *tags = cell
            made.append(v4.new_markdown_cell(text, metadata={"tags": tags, "scrolled": True}))
    path = folder / name
    nbformat.write(v4.new_notebook(cells=made), path)
    return path


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)


# --- the example ------------------------------------------------------------------------------


def test_a_new_assignment_passes_stubs_and_verify_as_it_is(tmp_path, capsys):
    assert cli.run(["new", "hw2"]) == 0
    printed = capsys.readouterr().out.split()
    assert all((tmp_path / file).is_file() for file in printed)
    assert cli.run(["stubs"]) == 0
    assert cli.run(["stubs", "--check"]) == 0
    (report,) = verify_assignments(["hw2"], seeds=3, jobs=0)
    assert report.problems == ()
    assert report.warnings == ()
    assert {verdict.sample.kind for verdict in report.samples} == {"right", "mistake"}
    assert not report.survivors
    assert (report.max_score, report.reference_score, report.stub_score) == (10.0, 10.0, 0.0)


def test_the_solution_stays_out_of_the_students_notebook(tmp_path):
    written = write_example("hw2", tmp_path)
    loaded = load_assignment(written.folder)
    stub = "\n".join(cell.source for cell in loaded.stubs["hw2.ipynb"].cells)
    assert "return 0.0" in stub
    assert "np.mean" not in stub
    assert "longer than the valley" not in stub
    assert "*Write your answer here.*" in stub


def test_a_title_with_quotes_and_braces_stays_what_it_is(tmp_path):
    title = 'The "last" {id} of \\alpha'
    loaded = load_assignment(write_example("hw2", tmp_path, title=title).folder)
    assert loaded.title == title
    assert loaded.notebooks["hw2.ipynb"].cells[0].source.startswith(f"# {title}\n")


def test_it_goes_where_assignments_are_found_from_here(tmp_path, monkeypatch):
    (tmp_path / "reference").mkdir()
    (tmp_path / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "deep" / "down")
    assert cli.run(["new", "hw2"]) == 0
    assert (tmp_path / "reference" / "hw2" / "assignment.toml").is_file()
    monkeypatch.setenv("GRADE_ASSIGNMENTS", str(tmp_path / "ours"))
    assert cli.run(["new", "hw2"]) == 0
    assert (tmp_path / "ours" / "hw2" / "assignment.toml").is_file()
    assert cli.run(["new", "hw2", "--assignments", "mine"]) == 0
    assert (tmp_path / "deep" / "down" / "mine" / "hw2" / "assignment.toml").is_file()


# --- refusals ---------------------------------------------------------------------------------


def test_a_folder_that_is_there_is_never_written_over(tmp_path, capsys):
    (tmp_path / "reference" / "hw2").mkdir(parents=True)
    (tmp_path / "reference" / "hw2" / "mine.txt").write_text("mine")
    assert cli.run(["new", "hw2"]) == 2
    assert "exists already, and is not overwritten" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "reference").rglob("*")] == ["hw2", "mine.txt"]


@pytest.mark.parametrize("name", ["A", "../x", "a b", "", ".hidden", "a/b", "x" * 41, "été"])
def test_an_id_that_can_be_no_folder_and_no_word_is_refused(tmp_path, name):
    with pytest.raises(AssignmentError, match="can't be an assignment's id"):
        write_example(name, tmp_path)


def test_a_disk_that_is_full_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", full)
    with pytest.raises(AssignmentError, match="No space left on device"):
        write_example("hw2", tmp_path / "reference")
    assert list(tmp_path.iterdir()) == []


def test_gaps_without_a_notebook_are_a_mistake_of_usage(capsys):
    assert cli.run(["new", "hw2", "--gap", "softmax"]) == 2
    assert "--gap needs --from" in capsys.readouterr().err


# --- from a notebook of one's own ---------------------------------------------------------------


def test_each_gap_becomes_an_exercise_with_a_point_and_a_check(tmp_path):
    gap_outside = "### START YOUR CODE ###\ny = softmax(np.eye(3))\n### END YOUR CODE ###"
    path = solved(tmp_path, ("# Softmax regression",), MARKED_SOFTMAX, gap_outside)
    written = write_from("sm", tmp_path / "reference", path)
    assert written.exercises == ("softmax", "cell-2")
    loaded = load_assignment(written.folder)
    assert loaded.title == "Softmax regression"
    first, second = loaded.exercises
    assert (first.functions, first.points) == (("softmax",), 1.0)
    assert first.title == "Return the softmax of each row of z"
    assert second.functions == ()
    checks = (written.folder / "test_solved.py").read_text()
    assert '@pytest.mark.exercise("softmax", points=1)' in checks
    assert "# student.softmax(z, axis)" in checks


def test_two_gaps_of_one_function_are_one_exercise(tmp_path):
    source = MARKED_SOFTMAX.replace(
        "    e = np", "    ### END YOUR CODE ###\n    ### START YOUR CODE ###\n    e = np"
    )
    written = write_from("sm", tmp_path / "reference", solved(tmp_path, source))
    assert written.exercises == ("softmax",)


def test_a_check_that_is_not_written_is_never_green(tmp_path):
    path = solved(tmp_path, MARKED_SOFTMAX)
    written = write_from("sm", tmp_path / "reference", path)
    said = "not written yet: write the check of exercise softmax"
    with pytest.raises(AssignmentError, match=said):
        verify_assignments(["sm"], seeds=1, mutants=False, jobs=0)
    with pytest.raises(AssignmentError, match=said), open_suite(load_assignment(written.folder)):
        pass


def test_its_stubs_are_made_as_of_any_other(tmp_path):
    written = write_from("sm", tmp_path / "reference", solved(tmp_path, MARKED_SOFTMAX))
    loaded = load_assignment(written.folder)
    write_templates(loaded, tmp_path / "student_templates" / "sm")
    assert check_templates(loaded, tmp_path / "student_templates" / "sm") == []


def test_the_copy_has_no_outputs_and_the_original_stays(tmp_path):
    path = solved(tmp_path, MARKED_SOFTMAX)
    before = path.read_bytes()
    written = write_from("sm", tmp_path / "reference", path)
    assert path.read_bytes() == before
    assert "secret output" not in (written.folder / "solved.ipynb").read_text()


def test_headings_that_ask_for_words_become_manual_exercises(tmp_path):
    path = solved(
        tmp_path,
        MARKED_SOFTMAX,
        ("## Answer (a)\n\nWhy?",),
        ("Because it overflows.",),
        ("## Explain (b)",),
        ("A secret.", "solution"),
        ("## The end",),
        ("Thanks.",),
    )
    written = write_from("sm", tmp_path / "reference", path)
    manual = [e for e in load_assignment(written.folder).exercises if e.manual]
    assert [e.answer_cells for e in manual] == [("Answer (a)",), ("Explain (b)",)]
    (note,) = written.notes
    assert "students get cell 2 unchanged" in note


def test_a_notebook_without_markers_is_told_where_they_go(tmp_path, capsys):
    path = solved(tmp_path, ("# Title",), SOFTMAX)
    assert cli.run(["new", "sm", "--from", str(path)]) == 2
    assert not (tmp_path / "reference").exists()
    assert capsys.readouterr().err.splitlines()[1:] == [
        "  cell 1, `softmax`: START below line 5, END below line 10",
        "  cell 1, `Model.__init__`: START below line 15, END below line 16",
        "  cell 1, `Model.predict`: START below line 18, END below line 19",
        "  cell 1, `Model.one`: give the body lines of its own first",
    ]


def test_a_solution_that_nothing_closes_is_named_and_nothing_is_written(tmp_path, capsys):
    path = solved(tmp_path, "def f():\n    # BEGIN SOLUTION\n    return 1\n", MARKED_SOFTMAX)
    assert cli.run(["new", "sm", "--from", str(path)]) == 2
    assert "cell 0: `# BEGIN SOLUTION` has no END SOLUTION below it" in capsys.readouterr().err
    assert not (tmp_path / "reference").exists()


def test_a_source_that_is_no_notebook_is_told_to_its_author(tmp_path, capsys):
    (tmp_path / "solved.ipynb").write_text("not json")
    assert cli.run(["new", "sm", "--from", str(tmp_path / "solved.ipynb")]) == 2
    told = capsys.readouterr().err
    assert "is not a notebook" in told and "begin again" in told and "hand it in" not in told


def test_functions_that_hold_a_todo_are_proposed_as_gaps(tmp_path, capsys):
    source = SOFTMAX.replace("e = np", "# TODO: the exponentials\n    e = np")
    assert cli.run(["new", "sm", "--from", str(solved(tmp_path, source))]) == 2
    assert "these hold a TODO: --gap softmax\n" in capsys.readouterr().err


@pytest.mark.parametrize("placeholder", ["<YOUR CODE>", "<FILL IN>", "<TODO>"])
def test_a_students_copy_is_told_by_its_placeholders(tmp_path, capsys, placeholder):
    path = solved(
        tmp_path, f"def f(x):\n    {placeholder}", "x = <your code: a number>", "y = a < b > c"
    )
    assert cli.run(["new", "sm", "--from", str(path)]) == 2
    told = capsys.readouterr().err
    assert "cell 0 doesn't compile" in told
    assert f"2 cells hold a placeholder, the first is cell 0 ({placeholder})" in told
    assert "Start from the solved notebook" in told


def test_modules_that_hold_the_gaps_are_named(tmp_path, capsys):
    (tmp_path / "layers.py").write_text("def f(x):\n    # YOUR CODE HERE\n    return x\n")
    (tmp_path / "plots.py").write_text("def show(x):\n    return x\n")
    path = solved(tmp_path, "import layers, plots\nlayers.f(1)")
    assert cli.run(["new", "sm", "--from", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"Modules that it imports have gaps: {tmp_path / 'layers.py'}. Begin with" in told
    assert "plots.py" not in told


def test_markers_put_where_it_says_are_found(tmp_path):
    path = solved(tmp_path, SOFTMAX)
    with pytest.raises(UnmarkedNotebook) as told:
        write_from("sm", tmp_path / "reference", path)
    lines = SOFTMAX.split("\n")
    (place,) = [place for place in told.value.places if place.name == "softmax"]
    lines.insert(place.until, "    ### END YOUR CODE ###")
    lines.insert(place.after, "    ### START YOUR CODE ###")
    assert "\n".join(lines) == MARKED_SOFTMAX


def test_functions_named_as_gaps_get_their_markers_in_the_copy(tmp_path):
    path = solved(tmp_path, SOFTMAX)
    gaps = ["Model.predict", "softmax", "Model.__init__"]
    written = write_from("sm", tmp_path / "reference", path, gaps=gaps)
    copy = read_notebook(written.folder / "solved.ipynb")
    assert set(copy.regions) == {*gaps}
    assert copy.regions["Model.predict"].source == "return softmax(X @ self.W).argmax(axis=1)"
    assert copy.regions["softmax"].source.startswith("# The largest goes first.")
    assert copy.cells[0].source.startswith(MARKED_SOFTMAX[: MARKED_SOFTMAX.index("class")])
    stub = load_assignment(written.folder).stubs["solved.ipynb"].cells[0].source
    assert "np.exp" not in stub
    assert "np.zeros" not in stub


@pytest.mark.parametrize(
    ("gap", "told"),
    [
        ("Model.fit", "no function 'Model.fit'; it has: softmax, Model.__init__"),
        ("Model.one", "give the body lines of its own first"),
        ("softmax", "has its markers already"),
    ],
)
def test_a_gap_that_can_not_be_made_is_refused(tmp_path, gap, told):
    path = solved(tmp_path, MARKED_SOFTMAX)
    with pytest.raises(AssignmentError, match=told):
        write_from("sm", tmp_path / "reference", path, gaps=[gap])
    assert not (tmp_path / "reference").exists()


def test_a_marker_without_a_partner_is_told_with_its_line(tmp_path):
    source = MARKED_SOFTMAX.replace("    ### END YOUR CODE ###\n", "")
    with pytest.raises(AssignmentError, match=r"cell 0, line 6: .* no END; .*complete the pair"):
        write_from("sm", tmp_path / "reference", solved(tmp_path, source))


def test_a_stub_that_does_not_parse_leaves_nothing_behind(tmp_path):
    broken = (
        "def f(x):\n    y = [\n### START YOUR CODE ###\n1]\n### END YOUR CODE ###\n    return y"
    )
    with pytest.raises(AssignmentError, match=r"reference.bad: .*doesn't parse"):
        write_from("bad", tmp_path / "reference", solved(tmp_path, broken))
    assert not (tmp_path / "reference").exists()


@pytest.mark.parametrize("gaps", [(), ("f",)])
def test_a_notebook_whose_functions_can_not_be_read_is_told_the_line(tmp_path, gaps):
    source = tmp_path / "half.py"
    source.write_text("x = 1\ndef f(:\n    return 1\n")
    with pytest.raises(AssignmentError, match="cell 0 doesn't compile: invalid syntax, line 2"):
        write_from("half", tmp_path / "reference", source, gaps=gaps)


def test_a_script_becomes_a_notebook(tmp_path):
    (tmp_path / "lab.py").write_text(f"# %% [markdown]\n# # Lab\n# %%\n{MARKED_SOFTMAX}")
    written = write_from("sm", tmp_path / "reference", tmp_path / "lab.py")
    loaded = load_assignment(written.folder)
    assert [cell.kind for cell in loaded.notebooks["lab.ipynb"].cells] == ["markdown", "code"]
    assert loaded.title == "Lab"


def test_what_is_no_notebook_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("x = 1")
    with pytest.raises(AssignmentError, match=r"is an \.ipynb"):
        write_from("sm", tmp_path / "reference", tmp_path / "a.txt")
    (tmp_path / "b.ipynb").write_text("{")
    assert cli.run(["new", "sm", "--from", "b.ipynb"]) == 2


def test_a_name_that_needs_escapes_is_valid_toml_and_python(tmp_path):
    path = solved(
        tmp_path, ('# A "title" \\ of """ mine',), MARKED_SOFTMAX, name='my "x" lab.ipynb'
    )
    written = write_from("sm", tmp_path / "reference", path)
    document = tomllib.loads((written.folder / "assignment.toml").read_text())
    assert document["notebooks"] == [{"file": 'my "x" lab.ipynb'}]
    compile((written.folder / "test_my_x_lab.py").read_text(), "checks", "exec")


MODEL = """\
model = list(
    [
        ("input", 400),
        ### START CODE HERE ###
        ("dense", 25),
        ### END CODE HERE ###
    ]
)"""


@pytest.mark.parametrize(
    "test", ["assert len(model) == 2", "test_model(model)", "for layer in model: assert layer[1]"]
)
def test_a_test_of_a_variable_checks_the_gap_that_assigns_it(tmp_path, test):
    given = "def test_model(made):\n    assert made[1][1] == 25"
    written = write_from("sheet", tmp_path / "reference", solved(tmp_path, given, MODEL, test))
    assert not written.exercises
    (exercise,) = load_assignment(written.folder).exercises
    assert (exercise.id, exercise.functions) == ("cell-1", ())
    assert test in next(written.folder.glob("test_*.py")).read_text()


@pytest.mark.parametrize("test", ["model = 3\nassert model", "print(model)"])
def test_a_cell_that_tests_no_variable_of_a_gap_is_no_check(tmp_path, test):
    written = write_from("sheet", tmp_path / "reference", solved(tmp_path, MODEL, test))
    assert written.exercises == ("cell-0",)
