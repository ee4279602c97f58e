"""Assignments: what is read, what is refused, where they are found."""

import json
from dataclasses import fields

import pytest

from grader.assignment import find_assignments, load_assignment
from grader.assignment.schema import LimitsTable
from grader.errors import AssignmentError
from grader.records import Limits, Rules

NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "source": "#### Answer 1\n\ntext", "metadata": {}},
        {
            "cell_type": "code",
            "source": [
                "def f(x):\n",
                "    ### START YOUR CODE ###\n",
                "    return x\n",
                "    ### END YOUR CODE ###",
            ],
            "metadata": {},
            "outputs": [],
        },
    ]
}
TOML = """\
id = "pw02"
title = "Practical work"

[limits]
cell_s = 5
reply_mib = 64

[data]
datasets = ["mnist"]

[rules]
forbidden_imports = ["sklearn"]
deduction = 0.5

[[notebooks]]
file = "a.ipynb"

[[exercises]]
id = "1"
title = "First"
points = 4
notebook = "a.ipynb"
functions = ["f"]
answer_cells = ["Answer 1"]

[exercises.rules]
forbidden_imports = []

[[exercises]]
id = "2"
title = "Words"
points = 1.5
manual = true
"""


@pytest.fixture
def written(tmp_path):
    """Return a function that writes reference/pw02 with edits of the toml; its folder."""

    def write(*edits, folder=tmp_path / "reference" / "pw02"):
        text = TOML
        for old, new in edits:
            assert old in text
            text = text.replace(old, new)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "assignment.toml").write_text(text)
        (folder / "a.ipynb").write_text(json.dumps(NOTEBOOK))
        (folder / "test_a.py").write_text("def test_a(student): pass\n")
        (folder / "samples").mkdir(exist_ok=True)
        return folder

    return write


def test_an_assignment_is_read_whole(written):
    folder = written()
    assignment = load_assignment(folder)
    assert (assignment.id, assignment.title) == ("pw02", "Practical work")
    assert assignment.limits.cell_s == 5.0
    assert assignment.limits.reply_mib == 64
    assert assignment.limits.check_s == 20.0
    assert assignment.datasets == ("mnist",)
    assert assignment.notebook_names == ("a.ipynb",)
    assert assignment.check_files == (folder / "test_a.py",)
    assert not assignment.public_only
    first, second = assignment.exercises
    assert (first.points, first.functions, first.answer_cells) == (4.0, ("f",), ("Answer 1",))
    assert (second.manual, second.bonus, second.notebook) == (True, False, "")


def test_its_stubs_are_made_in_memory(written):
    assignment = load_assignment(written())
    assert "return x" in assignment.notebooks["a.ipynb"].cells[1].source
    assert "return x" not in assignment.stubs["a.ipynb"].cells[1].source
    assert list(assignment.stubs["a.ipynb"].regions) == ["f"]


def test_an_exercises_rules_override_what_they_name_and_keep_the_rest(written):
    assignment = load_assignment(written())
    assert assignment.rules == Rules(forbidden_imports=("sklearn",), deduction=0.5)
    assert assignment.exercises[0].rules == Rules(forbidden_imports=(), deduction=0.5)
    assert assignment.exercises[1].rules is None


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('id = "pw02"\n', "", "toml: `id` is missing"),
        ('title = "Practical work"', 'titel = "x"', "unknown key `titel`; did you mean `title`?"),
        ("cell_s = 5", "cell_seconds = 5", "[limits]: unknown key `cell_seconds`"),
        ("cell_s = 5", "cell_s = 0", "[limits]: `cell_s` must be a number of more than 0"),
        ("cell_s = 5", 'cell_s = "5"', "`cell_s` must be a number, not"),
        ("cell_s = 5", "cell_s = true", "`cell_s` must be a number, not"),
        ("deduction = 0.5", "deduction = 2", "[rules]: `deduction` must be a number of at most 1"),
        ("points = 4", "points = inf", "'1': points must be finite"),
        ('["mnist"]', '["mnist", 5]', "[data]: `datasets`, item 2 must be a text"),
        ('["mnist"]', '["mnsit"]', "[data] `datasets`: no data set 'mnsit'; did you mean 'mnist'"),
        ("reply_mib = 64", "reply_mib = 6.5", "`reply_mib` must be a whole number, not a number"),
        (
            'datasets = ["mnist"]',
            'datasets = "mnist"',
            "[data]: `datasets` must be a list, not a text",
        ),
        ("points = 4", "points = 0", "[[exercises]] '1': `points` must be a number of more than 0"),
        ("points = 4", "points = nan", "'1': `points` must be a number"),
        ("points = 4\n", "", "[[exercises]] '1': `points` is missing"),
        ('id = "2"', 'id = "1"', "'1' comes twice"),
        ('notebook = "a.ipynb"', 'notebook = "b.ipynb"', "no [[notebooks]] file 'b.ipynb'"),
        ('notebook = "a.ipynb"\n', "", "names no `notebook`"),
        ('functions = ["f"]', 'functions = ["g"]', "a.ipynb defines no 'g'; it defines f"),
        ('functions = ["f"]', 'needs = ["g"]', "a.ipynb defines no 'g'; it defines f"),
        ('["Answer 1"]', '["Answer 9"]', "no Markdown heading 'Answer 9'"),
        ('file = "a.ipynb"', 'file = "../a.ipynb"', "must be the name of an .ipynb"),
        ('file = "a.ipynb"', 'file = "b.ipynb"', "b.ipynb can't be read"),
        ("manual = true", "manuel = true", "'2': unknown key `manuel`; did you mean `manual`?"),
        ("manual = true", 'manual = "yes"', "`manual` must be true or false, not a text"),
        (
            "[limits]",
            'deadline.attempts = "worst"\n[limits]',
            "[deadline]: `attempts` must be best, first or last, not 'worst'",
        ),
        ("[limits]", "[limits", "is not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_and_key(written, old, new, what):
    with pytest.raises(AssignmentError) as caught:
        load_assignment(written((old, new)))
    assert what in str(caught.value)
    assert "pw02" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_assignment_without_check_files_or_file_is_refused(written, tmp_path):
    folder = written()
    (folder / "test_a.py").unlink()
    with pytest.raises(AssignmentError, match="no check file"):
        load_assignment(folder)
    with pytest.raises(AssignmentError, match="can't be read"):
        load_assignment(tmp_path)


def test_a_reference_whose_markers_are_wrong_is_refused(written):
    folder = written()
    text = (folder / "a.ipynb").read_text().replace("### END YOUR CODE ###", "# done")
    (folder / "a.ipynb").write_text(text)
    with pytest.raises(AssignmentError, match="cell 1, line 2: the START marker has no END"):
        load_assignment(folder)


# --- finding --------------------------------------------------------------------------------------


def test_the_nearest_reference_upwards_is_found(written, tmp_path):
    folder = written()
    deep = tmp_path / "submissions" / "2024"
    deep.mkdir(parents=True)
    assert find_assignments(deep, None, {}) == {"pw02": folder.resolve()}


@pytest.fixture
def copy(written, tmp_path):
    """A student's folder: checks/ that `grade stubs` would make, a notebook beside it."""
    made = written(('id = "pw02"', 'id = "pw02"\npublic = true'), folder=tmp_path / "st" / "checks")
    (made.parent / "a.ipynb").write_text(json.dumps(NOTEBOOK))
    return made


def test_a_students_copy_is_found_beside_the_notebook_from_any_folder(copy, tmp_path):
    notebook = copy.parent / "a.ipynb"
    for start in (copy.parent, tmp_path, tmp_path.parent):
        assert find_assignments(start, None, {}, graded=[notebook]) == {"pw02": copy}


def test_a_reference_upwards_comes_before_the_copy_beside_the_notebook(written, copy):
    folder = written()
    graded = [copy.parent / "a.ipynb"]
    assert find_assignments(copy.parent, None, {}, graded=graded) == {"pw02": folder}
    live = find_assignments(copy.parent, None, {}, graded=graded, copy_first=True)
    assert live == {"pw02": copy}


def test_checks_beside_a_notebook_that_are_not_said_to_be_public_are_not_used(written, tmp_path):
    made = written(folder=tmp_path / "st" / "checks")
    with pytest.raises(AssignmentError, match="checks lies in what is graded, or beside it"):
        find_assignments(made.parent, None, {}, graded=[made.parent / "a.ipynb"])


def test_the_folders_of_several_students_have_no_copy_in_common(copy, tmp_path):
    with pytest.raises(AssignmentError, match="no assignment found"):
        find_assignments(
            tmp_path, None, {}, graded=[copy.parent / "a.ipynb", tmp_path / "other" / "a.ipynb"]
        )


def test_the_variable_must_be_absolute(written, tmp_path):
    written()
    with pytest.raises(AssignmentError, match="must be an absolute path, not reference"):
        find_assignments(tmp_path, None, {"GRADE_ASSIGNMENTS": "reference"})


def test_two_references_upwards_are_not_chosen_between(written, tmp_path):
    written()
    written(folder=tmp_path / "class" / "evil" / "reference" / "pw02")
    work = tmp_path / "class" / "evil" / "work"
    work.mkdir()
    with pytest.raises(AssignmentError, match="one of them may have come with a submission"):
        find_assignments(work, None, {}, graded=[work])


def test_a_folder_named_on_the_command_line_wins_over_the_environment(written, tmp_path):
    one = written(folder=tmp_path / "one" / "pw02")
    two = written(('id = "pw02"', 'id = "hw1"'), folder=tmp_path / "two" / "anything")
    environ = {"GRADE_ASSIGNMENTS": str(two.parent)}
    assert find_assignments(tmp_path, None, environ) == {"hw1": two}
    assert find_assignments(tmp_path, one.parent, environ) == {"pw02": one}


@pytest.mark.parametrize("up", [0, 1, 2])
def test_an_assignment_its_folder_or_the_project_may_be_named(written, tmp_path, up):
    folder = written()
    named = [folder, folder.parent, tmp_path][up]
    assert find_assignments(tmp_path / "elsewhere", named, {}) == {"pw02": folder}


def test_a_copy_that_kept_its_id_is_no_second_assignment_in_silence(written, tmp_path):
    written(folder=tmp_path / "reference" / "pw02")
    written(folder=tmp_path / "reference" / "pw02-next")
    with pytest.raises(AssignmentError, match="pw02-next and pw02 beside it have the same id"):
        find_assignments(tmp_path, None, {})


def test_no_assignment_anywhere_says_where_it_looked(tmp_path):
    with pytest.raises(AssignmentError, match="--assignments"):
        find_assignments(tmp_path, None, {})
    with pytest.raises(AssignmentError, match=r"holds no assignment\.toml"):
        find_assignments(tmp_path, tmp_path, {})


def test_a_notebook_names_the_packages_that_it_needs_and_what_is_lacking_is_told(written):
    needs = 'file = "a.ipynb"', 'file = "a.ipynb"\nrequires = ["json", "no_such_package"]'
    assignment = load_assignment(written(needs))
    assert assignment.requires == {"a.ipynb": ("json", "no_such_package")}
    assert assignment.lacking("a.ipynb").endswith("pip install no_such_package")
    assert load_assignment(written()).lacking("a.ipynb") == ""


def test_a_requirement_that_is_no_package_name_is_refused(written):
    needs = 'file = "a.ipynb"', 'file = "a.ipynb"\nrequires = ["torch>=2"]'
    with pytest.raises(AssignmentError, match=r"torch>=2.*as it is imported"):
        load_assignment(written(needs))


def test_the_limits_in_the_file_are_those_of_the_record_with_the_same_defaults():
    assert LimitsTable().record() == Limits()
    assert set(LimitsTable.__struct_fields__) == {field.name for field in fields(Limits)}
