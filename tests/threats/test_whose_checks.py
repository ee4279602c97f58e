"""Checks that come with a submission are never imported, however the command is called.

A check file runs with the rights of whoever grades. So each of these submissions brings checks of
its own, in every place that an assignment could lie in, and each call of the command stands
somewhere else.
"""

import json
import os
import shutil
import subprocess
import zipfile

import pytest

from .conftest import RIGHT, TOML, cells_of, notebook_of

pytestmark = pytest.mark.any_user

HOSTILE = """
import os
open(os.path.join({place!r}, {name!r}), "w").close()

import pytest

@pytest.mark.exercise("square", points=2)
def test_square(student): pass

@pytest.mark.exercise("sigmoid", points=3)
def test_sigmoid(student): pass

@pytest.mark.exercise("gradient", points=3)
def test_gradient(student): pass
"""
MODULES = ("conftest.py", "pytest_plugin.py", "toy_helpers.py", "sitecustomize.py")
EMPTY = notebook_of(cells_of(dict.fromkeys(RIGHT, "pass")))
PYPROJECT = """
[tool.pytest.ini_options]
addopts = "-p pytest_plugin"
[tool.grade]
assignments = "checks"
plugins = ["pytest_plugin"]
"""


class Desk:
    """course/reference, course/submissions/evil, and a folder that says what was imported."""

    def __init__(self, host):
        self.host = host
        self.course = host.tmp / "course"  # no reference/ upwards
        self.submissions = self.course / "submissions"
        self.evil = self.submissions / "evil"
        self.marks = host.tmp / "imported"
        self.marks.mkdir()
        self.evil.mkdir(parents=True)
        self.arm(self.evil)

    def arm(self, folder, *, itself=False):
        """Put a hostile assignment into each place below a folder that could hold one."""
        places = [folder / "checks", folder / "reference", folder / "reference" / "toy"]
        for place in [*places, folder] if itself else places:
            place.mkdir(parents=True, exist_ok=True)
            toml = TOML.format(limits="").replace('title = "Toy"', 'title = "Toy"\npublic = true')
            if "reference" in place.parts[len(folder.parts) :]:
                toml = TOML.format(limits="")
            (place / "assignment.toml").write_text(toml)
            (place / "toy.ipynb").write_text(EMPTY)
            (place / "stubs").mkdir(exist_ok=True)
            (place / "stubs" / "toy.ipynb").write_text(EMPTY)
            (place / "hidden").mkdir(exist_ok=True)
            for name in ("test_toy.py", "hidden/test_toy.py", *MODULES):
                self.write(place / name)
        for name in MODULES:
            self.write(folder / name)
        (folder / "pyproject.toml").write_text(PYPROJECT)
        (folder / "toy.ipynb").write_text(notebook_of(cells_of(dict.fromkeys(RIGHT, "pass"))))

    def write(self, path):
        name = str(path.relative_to(self.course)).replace("/", "-")
        path.write_text(HOSTILE.format(place=str(self.marks), name=name))

    def with_reference(self):
        shutil.copytree(self.host.assignments, self.course / "reference")
        return self

    def call(self, cwd, *arguments, **environment):
        """Run `grade ARGUMENTS` in that folder; return (exit code, its JSON or None, its words)."""
        command = self.host.command(options=())[:3]
        done = subprocess.run(
            [*command, *arguments, "--json", "-", "--jobs", "1"],
            cwd=cwd,
            env=self.host.environment(PYTHONSAFEPATH="1", **environment),
            capture_output=True,
            text=True,
            timeout=240,
        )
        report = json.loads(done.stdout) if done.stdout.startswith("{") else None
        return done.returncode, report, done.stderr

    @property
    def imported(self):
        return sorted(path.name for path in self.marks.iterdir())


@pytest.fixture
def desk(host):
    made = Desk(host)
    yield made
    shutil.rmtree(made.marks)
    shutil.rmtree(made.course)


# Where the command stands (below course/), and what it is told.
CALLS = {
    "its own folder": ("submissions/evil", ["."]),
    "a folder within it": ("submissions/evil/checks", [".."]),
    "within, by the parent of the parent": ("submissions/evil/reference/toy", ["../.."]),
    "its notebook, from inside": ("submissions/evil", ["toy.ipynb"]),
    "its notebook, by a path": ("submissions", ["evil/toy.ipynb"]),
    "beside it": ("submissions", ["evil"]),
    "the class": (".", ["submissions"]),
    "the class, from inside": ("submissions", ["."]),
    "everything": (".", ["submissions/evil", "submissions/evil/toy.ipynb"]),
}


@pytest.mark.parametrize("call", CALLS)
def test_the_course_s_own_checks_are_used_where_there_are_any(desk, call):
    desk.with_reference()
    cwd, arguments = CALLS[call]
    code, report, said = desk.call(desk.course / cwd, *arguments)
    assert desk.imported == []
    if report is None:
        assert (code, "Traceback" in said) == (2, False), said
        assert "submission" in said or "graded" in said
    else:
        assert report["checks_from"] == str(desk.course / "reference" / "toy")
        assert all(not one["score"] for one in report["submissions"])


@pytest.mark.parametrize("call", [c for c in CALLS if "toy.ipynb" not in CALLS[c][1][0]])
def test_and_none_are_used_where_there_is_no_course(desk, call):
    cwd, arguments = CALLS[call]
    code, report, said = desk.call(desk.course / cwd, *arguments)
    assert (code, report, desk.imported) == (2, None, [])
    assert "its checks are not used" in said or "no assignment found" in said


def test_a_submission_that_is_called_checks_is_a_submission(desk):
    desk.with_reference()
    named = desk.submissions / "checks"
    named.mkdir()
    desk.arm(named, itself=True)
    for arguments in (["."], ["checks"], ["evil", "checks"]):
        _, report, said = desk.call(desk.submissions, *arguments)
        assert desk.imported == [], arguments
        assert report is not None, said
        assert report["checks_from"] == str(desk.course / "reference" / "toy")


def test_a_link_to_a_submission_is_that_submission(desk):
    link = desk.course / "link"
    link.symlink_to(desk.evil)
    for cwd, argument in ((desk.course, "link"), (link, "."), (link, "../link")):
        code, report, _ = desk.call(cwd, argument)
        assert (code, report, desk.imported) == (2, None, []), (cwd, argument)


@pytest.mark.parametrize("value", ["checks", "reference", ".", "./reference/toy"])
def test_a_relative_variable_names_no_folder_of_a_submission(desk, value):
    code, report, said = desk.call(desk.evil, "toy.ipynb", GRADE_ASSIGNMENTS=value)
    assert (code, report, desk.imported) == (2, None, [])
    assert "must be an absolute path" in said


@pytest.mark.parametrize("inner", ["", "checks", "reference", "reference/toy"])
def test_what_is_graded_is_no_assignment_even_where_the_user_names_it(desk, inner):
    code, report, said = desk.call(desk.evil, ".", "--assignments", str(desk.evil / inner))
    assert (code, report, desk.imported) == (2, None, [])
    assert "its checks are not used" in said


def test_an_instructor_s_machine_does_not_use_the_checks_beside_a_notebook(desk):
    kept = {"GRADE_RESULTS": str(desk.host.tmp / "results.sqlite")}
    shutil.rmtree(desk.evil / "reference")
    honest = desk.host.right(name="honest")
    code, _, said = desk.call(
        desk.course, str(honest), "--assignments", str(desk.host.assignments), **kept
    )
    assert code == 0, said
    code, report, said = desk.call(desk.evil, "toy.ipynb", **kept)
    assert (code, report, desk.imported) == (2, None, [])
    assert "this machine has graded with solutions" in said
    os.unlink(kept["GRADE_RESULTS"])  # noqa: PTH108
    honest.unlink()


def test_a_student_s_machine_says_whose_checks_ran(desk):
    shutil.rmtree(desk.evil / "reference")
    code, report, said = desk.call(desk.submissions, "evil/toy.ipynb")
    assert code == 0, said
    assert report["checks_from"] == str(desk.evil / "checks")
    assert f"by the public checks beside the notebook, in {desk.evil / 'checks'}" in said
    assert desk.imported != []  # the student's own, on the student's own machine


# --- a course that was only found -----------------------------------------------------------------


@pytest.fixture
def seasoned(desk):
    """A desk whose user has graded with the course before."""
    desk.with_reference()
    results = {"GRADE_RESULTS": str(desk.host.tmp / "state" / "results.sqlite")}
    (desk.host.tmp / "state").mkdir()
    honest = desk.submissions / "honest.ipynb"
    honest.write_text(notebook_of(cells_of(RIGHT)))
    code, report, _ = desk.call(desk.course, str(honest), **results)
    assert (code, report["submissions"][0]["score"]) == (0, 8.0)
    yield desk, results
    shutil.rmtree(desk.host.tmp / "state")


def unzipped(desk):
    """A submission that was unzipped elsewhere: a part of it is graded from inside."""
    away = desk.host.tmp / "course" / "away"
    (away / "part").mkdir(parents=True)
    (away / "reference" / "toy").mkdir(parents=True)
    toy = away / "reference" / "toy"
    (toy / "assignment.toml").write_text(TOML.format(limits=""))
    (toy / "toy.ipynb").write_text(EMPTY)
    desk.write(toy / "test_toy.py")
    (away / "part" / "toy.ipynb").write_text(EMPTY)
    with zipfile.ZipFile(away / "inner.zip", "w") as archive:
        archive.writestr("toy.ipynb", EMPTY)
    return away


@pytest.mark.parametrize("given", ["part", "inner.zip", "part/toy.ipynb"])
def test_a_reference_that_is_only_found_is_not_used_by_who_has_graded_with_another(seasoned, given):
    desk, results = seasoned
    shutil.move(desk.course / "reference", desk.host.tmp / "course" / "known")
    (desk.course / "known" / "reference").mkdir()
    away = unzipped(desk)
    # The course that was graded with has moved to where it is not upwards of here.
    shutil.move(desk.course / "known" / "toy", desk.course / "known" / "reference" / "toy")
    moved = str(desk.course / "known" / "reference")
    honest = str(desk.submissions / "honest.ipynb")
    assert desk.call(desk.course, honest, "--assignments", moved, **results)[0] == 0
    code, report, said = desk.call(away, given, **results)
    assert (code, report, desk.imported) == (2, None, [])
    assert "nothing was graded with it before" in said
    assert f"--assignments {away / 'reference'}" in said


def test_a_new_course_that_is_named_once_is_known_from_then_on(seasoned):
    desk, results = seasoned
    new = desk.host.tmp / "course" / "submissions" / "next"
    shutil.copytree(desk.host.assignments, new / "course" / "reference")
    shutil.move(desk.course / "reference", desk.course / "old")
    shutil.copy(desk.submissions / "honest.ipynb", new / "course" / "mine.ipynb")
    shutil.move(new, desk.host.tmp / "next")
    course = desk.host.tmp / "next" / "course"
    try:
        (desk.course / "reference").mkdir()  # what was graded with is still there
        code, report, said = desk.call(course, "mine.ipynb", **results)
        assert code == 2
        assert "nothing was graded with it before" in said or "beside it" in said
        (course / "work").mkdir()
        shutil.move(course / "mine.ipynb", course / "work" / "mine.ipynb")
        named = ("--assignments", str(course / "reference"))
        assert desk.call(course, "work/mine.ipynb", **results)[0] == 2
        assert desk.call(course, "work/mine.ipynb", *named, **results)[0] == 0
        code, report, _ = desk.call(course, "work/mine.ipynb", **results)
        assert (code, report["submissions"][0]["score"]) == (0, 8.0)
    finally:
        shutil.rmtree(desk.host.tmp / "next")


def test_a_course_that_has_moved_is_found_as_ever(seasoned):
    desk, results = seasoned
    moved = desk.host.tmp / "moved"
    (moved / "work").mkdir(parents=True)
    try:
        shutil.move(desk.course / "reference", moved / "reference")
        shutil.copy(desk.submissions / "honest.ipynb", moved / "work" / "honest.ipynb")
        code, report, _ = desk.call(moved, "work/honest.ipynb", **results)
        assert (code, report["submissions"][0]["score"]) == (0, 8.0)
    finally:
        shutil.rmtree(moved)
