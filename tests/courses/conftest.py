"""The shipped assignments through the whole command, as an instructor and as a student run it.

course      the assignment that a file of tests names, COURSE = "pw02": its notebooks, solved,
            bare or filled in anew, and what the command says of them
"""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from grader.diagnosis.wording import TRY_BY_HAND
from grader.notebook import replace_region

ROOT = Path(__file__).resolve().parents[2]


class Course:
    """An assignment, its students' copy, and a folder to hand in from."""

    def __init__(self, assignment, folder, root=ROOT):
        self.assignments = root / "reference"
        self.reference = root / "reference" / assignment
        self.templates = root / "student_templates" / assignment
        self.names = sorted(path.name for path in self.reference.glob("*.ipynb"))
        self.folder = folder

    def solved(self, name):
        return nbformat.read(self.reference / name, as_version=4)

    def bare(self, name):
        return nbformat.read(self.templates / name, as_version=4)

    def filled(self, name, regions):
        """The solved notebook with these regions filled in anew."""
        made = self.solved(name)
        for region, body in regions.items():
            changed = [
                (cell, source)
                for n, cell in enumerate(made.cells)
                if cell.cell_type == "code"
                for source in [replace_region(cell.source, region, body, cell=n)]
                if source is not None
            ]
            ((cell, source),) = changed
            cell.source = source
        return made

    def written(self, name, made):
        """A notebook as a file."""
        nbformat.write(made, self.folder / name)
        return self.folder / name

    def zipped(self, name, files):
        """A zip of notebooks, and of scripts as text, by their names in it."""
        with zipfile.ZipFile(self.folder / name, "w") as archive:
            for inner, made in files.items():
                archive.writestr(inner, made if isinstance(made, str) else nbformat.writes(made))
        return self.folder / name

    def students_copy(self):
        """A folder of its own with what a student is given."""
        return shutil.copytree(self.templates, self.folder / "copy")

    def grade(self, path, *options, assignments=None):
        """Run the command; return what its JSON says of the (one) submission."""
        return run(path, "--assignments", assignments or self.assignments, *options)

    def grade_all(self, paths, *options):
        """The same of several submissions."""
        return run_all(*paths, "--assignments", self.assignments, *options)

    def grade_at_home(self, copy, name):
        """The same where a student runs it: the checks are those of the students' copy."""
        return run(name, cwd=copy)

    def lost(self, submission, *prefixes):
        """The exercises that lost points, each with the messages of its checks."""
        return {
            exercise["id"]: "\n".join(check["message"] for check in exercise["checks"])
            for exercise in submission["exercises"]
            if exercise["id"].startswith(prefixes or "")
            and exercise["status"] not in ("manual", "not_gradable")
            and exercise["points"] < exercise["max_points"]
        }

    def points(self, submission):
        """(earned, at most, left to a person)"""
        return submission["score"], submission["max_score"], submission["manual_points"]

    def without_times(self, submission):
        checks = [check for exercise in submission["exercises"] for check in exercise["checks"]]
        for check in checks:
            check["seconds"] = 0.0
        return submission

    def of_checks(self, submission):
        """What checks score: what a derivation must reach stays with the instructor."""
        return [e for e in submission["exercises"] if "derivation" not in e]

    def assert_same_at_home(self, at_home, at_school):
        """The same checks and verdicts; at school a known mistake may be named below.

        It stands in the place of the general advice.
        """
        below = []
        for home, school in zip(self.of_checks(at_home), self.of_checks(at_school), strict=True):
            for mine, theirs in zip(home["checks"], school["checks"], strict=True):
                own = mine["message"].removesuffix("\n" + TRY_BY_HAND)
                if (
                    theirs["message"].startswith(own + "\n")
                    and theirs["message"] != mine["message"]
                ):
                    below += theirs["message"][len(own) + 1 :].splitlines()
                    theirs["message"] = mine["message"]
            assert home == school
        for line in below:
            assert "exactly as" in line


def run(*arguments, cwd=None):
    (submission,) = run_all(*arguments, cwd=cwd)
    return submission


def run_all(*arguments, cwd=None):
    command = [sys.executable, "-m", "grader", *map(str, arguments), "--json", "-"]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["submissions"]


@pytest.fixture
def course(request, tmp_path):
    return Course(request.module.COURSE, tmp_path)


def pytest_collection_modifyitems(items):
    """Whole courses are graded here: each of these tests is slow."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slow)
