"""The wheel alone: outside of the repository, in an environment that holds nothing else.

`nox -s wheel` builds it, installs it and runs this file; $GRADE_WHEEL is the wheel.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
WHEEL = os.environ.get("GRADE_WHEEL", "")

pytestmark = pytest.mark.skipif(not WHEEL, reason="nox -s wheel builds and installs it")


@pytest.fixture
def command(tmp_path):
    """`grade` as it was installed, run where nothing of the repository is in reach."""

    def run(*arguments, name="grade"):
        program = Path(sys.executable).with_name(name)
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
        environment = {key: os.environ[key] for key in kept if key in os.environ}
        return subprocess.run(
            [program, *map(str, arguments)],
            cwd=tmp_path,
            env=environment | {"GRADE_RESULTS": "none", "COLUMNS": "100"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def test_it_is_imported_from_the_installed_wheel_and_not_from_the_repository(tmp_path):
    where = [sys.executable, "-I", "-c", "import grader; print(grader.__file__)"]
    shown = subprocess.run(where, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert "site-packages" in shown


def test_it_holds_no_solution_of_a_shipped_assignment():
    with zipfile.ZipFile(WHEEL) as wheel:
        names = wheel.namelist()
    assert not [name for name in names if name.startswith(("reference/", "student_templates/"))]
    assert not [name for name in names if "/pw02/" in name or "/hw1/" in name]


def test_it_says_what_its_types_are():
    with zipfile.ZipFile(WHEEL) as wheel:
        assert "grader/py.typed" in wheel.namelist()


def test_both_names_of_the_command_work(command):
    assert command("--version").stdout == command("--version", name="numgrade").stdout != ""


def test_doctor_examines_the_machine(command):
    done = command("doctor")
    assert done.returncode == 0, done.stderr
    assert "numpy" in done.stdout


def test_a_new_assignment_is_written(command, tmp_path):
    done = command("new", "first")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reference" / "first" / "assignment.toml").is_file()


def test_a_submission_is_graded_with_a_departments_own_assignments(command, tmp_path):
    department = tmp_path / "department"
    shutil.copytree(REPOSITORY / "reference" / "ecse552", department / "ecse552")
    notebook = shutil.copy(department / "ecse552" / "ecse552-a1-q3.ipynb", tmp_path)
    done = command(notebook, "--assignments", department)
    assert done.returncode == 0, done.stderr
    assert "Total 15 / 100 points" in done.stdout
