"""What Gradescope and Classroom 50 grade with, laid out and run as they do."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from shlex import quote

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
SYSTEM = [
    folder
    for folder in ("/usr", "/bin", "/lib", "/lib64", "/etc", "/dev", "/proc", "/sys")
    if Path(folder).is_dir()
]


def _makes_mounts():
    tools = all(map(shutil.which, ("unshare", "setpriv", "chroot")))
    return tools and subprocess.run(["unshare", "--mount", "true"]).returncode == 0


TOML = """\
id = "toy"
title = "Toy"
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "f"
title = "Twice *and* <b>more</b>"
points = 3
notebook = "toy.ipynb"
functions = ["f"]
[[exercises]]
id = "words"
title = "Why?"
points = 2
notebook = "toy.ipynb"
manual = true
"""
PUBLIC = """\
import pytest


@pytest.mark.exercise("f", points=1)
def test_f(student):
    assert student.f(1) == 2
"""
HIDDEN = """\
import pytest

from grader.checks import assert_close


@pytest.mark.exercise("f", points=2)
def test_f_at_fresh_points(student):
    assert_close(student.f(7.0), 14.0, called="f(7.0)")
"""
RIGHT = "    return 2 * x"
AT_ONE = "    return x + 1"


def notebook(body):
    source = f"def f(x):\n    ### START YOUR CODE ###\n{body}\n    ### END YOUR CODE ###"
    cell = {"cell_type": "code", "source": source, "metadata": {}, "outputs": [], "id": "a",
            "execution_count": None}  # fmt: skip
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def course(tmp_path):
    toy = tmp_path / "course" / "reference" / "toy"
    (toy / "hidden").mkdir(parents=True)
    (toy / "assignment.toml").write_text(TOML)
    (toy / "test_toy.py").write_text(PUBLIC)
    (toy / "hidden" / "test_toy.py").write_text(HIDDEN)
    (toy / "toy.ipynb").write_text(notebook(RIGHT))
    return tmp_path / "course"


def packed(course, *arguments, code=0):
    command = [sys.executable, "-m", "grader", "pack", *arguments]
    done = subprocess.run(command, cwd=course, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


class Autograder:
    """The folder /autograder of a Gradescope container, elsewhere."""

    def __init__(self, root, archive):
        self.root = root
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(root / "source")
        self.script = root / "run_autograder"
        self.script.write_bytes((root / "source" / "run_autograder").read_bytes())
        # setup.sh makes it; it needs a network.
        (root / "venv").symlink_to(Path(sys.executable).parents[1])
        (root / "submission").mkdir()

    def grade(self, **files):
        environment = {**os.environ, "AUTOGRADER": str(self.root), "GRADE_RESULTS": "none"}
        return self._run(["bash", str(self.script)], environment, files)

    def grade_in_a_container(self, **files):
        """Grade at /autograder in a chroot, as root without CAP_SYS_ADMIN and user namespaces."""
        container = self.root.with_name("container")
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/tmp",
            "GRADE_RESULTS": "none",
        }
        seen = [*SYSTEM, *{sys.prefix, sys.base_prefix, str(ROOT)}]
        binds = [
            f"mkdir -p {quote(f'{container}{path}')}; "
            f"mount --rbind {quote(path)} {quote(f'{container}{path}')}"
            for path in seen
        ]
        enter = (
            f"exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "
            f"chroot {quote(str(container))} bash /autograder/run_autograder"
        )
        script = "\n".join(
            [
                "set -e",
                f"mkdir -p {quote(str(container))}",
                f"mount -t tmpfs container {quote(str(container))}",
                f"mkdir -m 1777 {quote(str(container))}/tmp",
                f"mkdir {quote(str(container))}/autograder",
                f"mount --bind {quote(str(self.root))} {quote(str(container))}/autograder",
                *binds,
                enter,
            ]
        )
        return self._run(["unshare", "--mount", "bash", "-c", script], environment, files)

    def _run(self, command, environment, files):
        for name, text in files.items():
            (self.root / "submission" / f"{name}.ipynb").write_text(text)
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads((self.root / "results" / "results.json").read_text())


@pytest.fixture
def autograder(course, tmp_path):
    def make(*options):
        packed(course, "gradescope", "toy", *options)
        return Autograder(tmp_path / "autograder", course / "toy-gradescope.zip")

    return make


def test_gradescope_gets_points_by_exercise_and_keeps_hidden_checks_from_the_student(autograder):
    results = autograder().grade(toy=notebook(AT_ONE))
    assert results["score"] == 1
    assert results["stdout_visibility"] == "hidden"
    shown, hidden, words = results["tests"]
    assert (shown["score"], shown["max_score"], shown["status"]) == (1, 1, "passed")
    assert shown["visibility"] == "visible"
    assert (hidden["score"], hidden["max_score"], hidden["status"]) == (0, 2, "failed")
    assert hidden["visibility"] == "hidden"
    assert "f at fresh points" in hidden["output"]
    assert "the result is wrong" in hidden["output"]
    assert words["output"] == "2 points are open: a person grades them"
    assert "score" not in words
    assert "2 points are open" in results["output"]


def test_a_right_answer_gets_all_automatic_points(autograder):
    results = autograder().grade(toy=notebook(RIGHT))
    assert results["score"] == 3
    assert {test["status"] for test in results["tests"]} == {"passed"}


@pytest.mark.skipif(not _makes_mounts(), reason="only root makes a chroot, outside a container")
def test_the_autograder_grades_in_a_container_without_namespaces(autograder):
    reach = '    open("/autograder/source/setup.sh").read(); return 2 * x'
    made = autograder()
    assert made.grade_in_a_container(toy=notebook(RIGHT))["score"] == 3
    results = made.grade_in_a_container(toy=notebook(reach))
    assert results["score"] == 0
    assert "Permission denied" in results["tests"][0]["output"]
    # Landlock, seccomp and the limits hold: only what needs a namespace is missing.
    missing = results["extra_data"]["isolation"].partition("but for: ")[2]
    assert [part.split()[0] for part in missing.split("; ")] == ["namespaces", "files"]


def test_hidden_results_that_students_see_later_hold_no_word_of_their_process(autograder):
    leak = '    if x == 7: raise type("secret7", (Exception,), {})(x)\n    return 2 * x'
    results = autograder("--hidden-results", "after_published").grade(toy=notebook(leak))
    hidden = results["tests"][1]
    assert hidden["visibility"] == "after_published"
    assert hidden["status"] == "failed"
    assert "secret7" not in json.dumps(results)


def test_what_is_no_notebook_is_told_to_the_student_and_scores_nothing(autograder):
    results = autograder().grade(toy="{ this is no notebook")
    assert results["score"] == 0
    assert "refused" in results["output"]


def test_an_autograder_whose_set_up_failed_says_so(autograder):
    made = autograder()
    (made.root / "venv").unlink()
    results = made.grade(toy=notebook(RIGHT))
    assert results["score"] == 0
    assert "set-up failed" in results["output"]


def test_a_students_words_can_not_break_out_of_the_markdown(autograder):
    words = '    raise ValueError("```\\n<script>alert(1)</script>\\n````")'
    results = autograder().grade(toy=notebook(words))
    output = results["tests"][0]["output"]
    fence = output.partition("\n\n")[2].partition("text\n")[0]
    assert "<script>" in output
    assert len(fence) > 4 or "````" not in output.partition("text\n")[2].rpartition("\n")[0]


def test_the_archive_runs_as_gradescope_unpacks_it(course):
    packed(course, "gradescope", "toy", "--out", "a.zip")
    with zipfile.ZipFile(course / "a.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
        for script in ("setup.sh", "run_autograder"):
            assert modes[script] & 0o111
            text = archive.read(script)
            assert subprocess.run(["bash", "-n"], input=text).returncode == 0
        assert "assignments/toy/hidden/test_toy.py" in modes


def test_its_wheel_is_this_package(course, tmp_path):
    packed(course, "gradescope", "toy", "--out", "a.zip")
    with zipfile.ZipFile(course / "a.zip") as archive:
        (wheel,) = [name for name in archive.namelist() if name.endswith(".whl")]
        archive.extract(wheel, tmp_path)
    install = [sys.executable, "-m", "pip", "--version"]
    if subprocess.run(install, capture_output=True).returncode == 0:
        install[3:] = ["install", "--no-deps", "--no-index", "--quiet", "--target"]
    else:  # an environment that uv made has no pip
        install = ["uv", "pip", "install", "--no-deps", "--offline", "--quiet", "--target"]
    subprocess.run([*install, str(tmp_path / "there"), str(tmp_path / wheel)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "there")}
    program = "import grader; print(grader.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(tmp_path / "there" / "grader" / "__init__.py")


def test_classroom_50_gets_whole_numbers_and_exit_code_0(course, tmp_path):
    packed(course, "classroom50", "toy", "--out", "b.zip")
    with zipfile.ZipFile(course / "b.zip") as archive:
        archive.extractall(tmp_path / "bundle")
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "toy.ipynb").write_text(notebook(AT_ONE))
    # A result that the student wrote, and a module by the name of ours.
    (checkout / "result.json").write_text('{"score": 99999}')
    (checkout / "grader.py").write_text("raise SystemExit('never')")
    environment = {**os.environ, "CLASSROOM": "nc26", "GRADE_RESULTS": "none"}
    done = subprocess.run(
        [sys.executable, str(tmp_path / "bundle" / "autograder.py")],
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((checkout / "result.json").read_text())
    assert result["schema"] == "classroom50/result/v1"
    assert (result["score"], result["max-score"]) == (100, 300)
    assert result["classroom"] == "nc26"
    assert [test["passed"] for test in result["tests"]] == [False]
    assert "the result is wrong" not in json.dumps(result)


def test_a_students_copy_is_not_packed(course, tmp_path):
    stubs = [sys.executable, "-m", "grader", "stubs"]
    subprocess.run(stubs, cwd=course, check=True, stdout=subprocess.DEVNULL)
    copy = tmp_path / "at home"
    (course / "student_templates" / "toy").rename(copy)
    told = packed(copy, "gradescope", "toy", code=2)
    assert "Traceback" not in told
    assert not list(copy.glob("*.zip"))


def test_the_page_s_commands_print_what_it_shows(tmp_path):
    page = (ROOT / "docs" / "gradescope.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n\$ grade (.*)\n([^`]*)```", page)
    assert len(blocks) == 2
    for command, shown in blocks:
        told = packed(tmp_path, *command.split()[1:], "--assignments", str(ROOT / "reference"))
        assert told == shown
