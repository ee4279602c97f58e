"""What students get of the checks: public files byte for byte, and nothing of what is hidden."""

from pathlib import Path

import pytest

from grader.assignment import load_assignment
from grader.assignment.check_files import find_check_files, is_hidden
from grader.authoring.published import public_files
from grader.errors import AssignmentError
from grader.records import Assignment, Exercise

ROOT = Path(__file__).resolve().parents[2]
CHECK = """\
import pytest
{top}

@pytest.mark.exercise("a", points=1{more})
def test_{name}(student{fixtures}):
    assert student.f(1) == 1\t # odd   spacing stays
"""


def check(name="f", *, top="", more="", fixtures=""):
    return CHECK.format(name=name, top=top, more=more, fixtures=fixtures)


@pytest.fixture
def course(tmp_path):
    """An assignment of these check files, by name and text, as `load_assignment` finds them."""

    def make(**files):
        for name, text in files.items():
            path = tmp_path / (name.replace("__", "/") if "." not in name else name)
            path = path.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        found = find_check_files(tmp_path, public=False)
        exercise = Exercise("a", "A", 1.0, notebook="toy.ipynb", functions=("f",))
        return Assignment("toy", "Toy", tmp_path, (exercise,), ("toy.ipynb",), found)

    return make


def refusal(assignment):
    with pytest.raises(AssignmentError) as caught:
        public_files(assignment)
    return str(caught.value).replace(f"{assignment.folder}/", "")


def test_a_public_file_is_copied_byte_for_byte_and_a_hidden_one_never(course):
    toy = course(test_f=check(), hidden__test_f=check("secret", fixtures=", reference"))
    assert public_files(toy) == {"test_f.py": check().encode()}


def test_each_hidden_file_stands_after_the_public_one_of_its_name(course):
    toy = course(test_b=check(), test_a=check(), hidden__test_a=check("more"))
    names = [path.relative_to(toy.folder).as_posix() for path in toy.check_files]
    assert names == ["test_a.py", "hidden/test_a.py", "test_b.py"]
    assert [is_hidden(path, toy.folder) for path in toy.check_files] == [False, True, False]


def test_a_module_goes_to_the_students_where_a_public_check_leads_to_it(course):
    toy = course(
        test_f=check(top="from shapes import square"),
        shapes="import lengths.units\n",
        lengths__units="M = 1\n",
        drawn="import secrets_of_mine\n",  # a script of the instructor's own
        hidden__test_f=check("secret", top="import answers, drawn"),
        hidden__answers="ANSWER = 7\n",
        **{"lengths/__init__.py": ""},
    )
    assert sorted(public_files(toy)) == [
        "lengths/__init__.py",
        "lengths/units.py",
        "shapes.py",
        "test_f.py",
    ]


@pytest.mark.parametrize(
    "top",
    [
        "import answers",
        "from answers import ANSWER",
        "import hidden.answers",
        "from hidden import answers",
        "if True:\n    import numpy, answers as a",
        "import importlib; importlib.import_module('answers')",
        "answers = __import__('hidden.answers')",
        "answers = pytest.importorskip('answers')",
    ],
)
def test_a_public_file_that_imports_what_is_hidden_is_refused(course, top):
    toy = course(test_f=check(top=top), hidden__answers="ANSWER = 7\n")
    told = refusal(toy)
    assert told.startswith("test_f.py, line ")
    assert "a public file can't import" in told


def test_a_module_of_a_public_check_that_imports_what_is_hidden_is_refused(course):
    files = {"shapes": "import answers\n", "hidden__answers": ""}
    assert refusal(course(test_f=check(top="import shapes"), **files)).startswith(
        "shapes.py, line 1"
    )


def test_what_says_hidden_in_a_public_file_is_refused_with_its_line(course):
    where = (
        "test_f.py, line 4: students get this whole file: move the hidden check to hidden/test_f.py"
    )
    assert refusal(course(test_f=check(more=", hidden=True"))) == where
    assert refusal(course(test_f=check(more=", hidden=SOME"))) == where
    whole = 'pytestmark = pytest.mark.exercise("a", points=1, hidden=True)'
    assert "line 2: students get this whole file" in refusal(course(test_f=check(top=whole)))


@pytest.mark.parametrize("more", [", shares=True", ", reply_mib=9", ", hidden=False"])
def test_a_public_file_may_say_all_that_a_check_may(course, more):
    text = check(more=more)
    assert public_files(course(test_f=text)) == {"test_f.py": text.encode()}


def test_a_misspelt_hidden_is_refused(course):
    assert "not 'hiden'" in refusal(course(test_f=check(more=", hiden=True")))
    assert "not **" in refusal(course(test_f=check(more=", **MORE")))


def test_a_hidden_file_that_says_public_is_refused(course):
    toy = course(test_f=check(), hidden__test_f=check("more", more=", hidden=False"))
    assert refusal(toy).startswith("hidden/test_f.py, line 4: students don't get this file")


def test_a_public_check_that_asks_for_the_solved_notebook_is_refused(course):
    told = refusal(course(test_f=check(fixtures=", reference")))
    assert told.startswith("test_f.py, line 5: a public check asks for `reference`")


def test_a_module_that_has_the_name_of_another_one_is_refused(course):
    assert "Python or a package also has a module statistics" in refusal(
        course(test_f=check(top="import statistics"), statistics="")
    )
    assert "Python or a package also has a module numpy" in refusal(
        course(test_f=check(top="import numpy"), numpy="")
    )
    both = course(test_f=check(top="import mine"), mine="", hidden__mine="")
    assert "mine is both in" in refusal(both)


def test_a_check_file_in_a_folder_that_nobody_looks_into_is_refused(course, tmp_path):
    with pytest.raises(AssignmentError, match=r"hiden/test_f\.py: check files stand beside"):
        course(test_f=check(), hiden__test_f=check("secret"))


def test_a_public_file_that_does_not_parse_is_refused(course):
    assert "test_f.py doesn't parse" in refusal(course(test_f="def test_("))


def test_the_copies_of_the_shipped_assignments_are_their_public_files():
    for folder in sorted((ROOT / "reference").iterdir()):
        copies = ROOT / "student_templates" / folder.name / "checks"
        for name, data in public_files(load_assignment(folder)).items():
            assert (copies / name).read_bytes() == data
        assert not (copies / "hidden").exists()
