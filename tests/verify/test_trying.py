"""`grade try` while a check is written, and `grade verify` that waits for changes."""

import json
import re
import signal
import subprocess
import sys
import threading

import pytest

from grader import cli
from grader.verify.tasks import Steps

pytestmark = pytest.mark.slow

TOML = """\
id = "toy"
title = "Toy"
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "f"
title = "F"
points = 4
notebook = "toy.ipynb"
functions = ["f"]
[[exercises]]
id = "g"
title = "G"
points = 1
notebook = "toy.ipynb"
functions = ["Model.g"]
"""
CELL = """\
def f(x):
    ### START YOUR CODE ###
    # STUB: return None
    return 2 * x
    ### END YOUR CODE ###


class Model:
    def g(self):
        ### START YOUR CODE ###
        # STUB: return None
        return 7
        ### END YOUR CODE ###
"""
CHECKS = """\
import pytest


@pytest.mark.exercise("f", points=1)
def test_f_doubles(student):
    assert student.f(3) == 6


@pytest.mark.exercise("f", points=1)
def test_f_of_nothing(student):
    raise NotImplementedError


@pytest.mark.exercise("g", points=1)
def test_g_is_seven(student):
    assert student.Model().g() == 7
"""
SAMPLES = {
    "right-sum": ("right", "return x + x", "f", ""),
    "mistake-square": ("mistake", "return x * x", "f", '[expect]\nf = "9"'),
    "mistake-of-g": ("mistake", "return 8", "Model.g", '[expect]\ng = "8"'),
}


@pytest.fixture
def toy(tmp_path, monkeypatch, capsys):
    """A folder whose points don't add up and whose second check isn't written; runs commands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADE_ASSIGNMENTS", raising=False)
    folder = tmp_path / "reference/toy"
    (folder / "samples").mkdir(parents=True)
    (folder / "assignment.toml").write_text(TOML)
    (folder / "test_toy.py").write_text(CHECKS)
    cell = {"cell_type": "code", "source": CELL, "metadata": {}, "outputs": []}
    (folder / "toy.ipynb").write_text(json.dumps({"cells": [cell], "metadata": {}}))
    for name, (kind, body, gap, expect) in SAMPLES.items():
        (folder / f"samples/{name}.toml").write_text(
            f'title = "{name}"\nkind = "{kind}"\nnotebook = "toy.ipynb"\n'
            f'[regions]\n"{gap}" = "{body}"\n{expect}\n'
        )

    def run(*arguments):
        code = cli.run(arguments)
        said = capsys.readouterr()
        return code, said.out + said.err

    run.folder = folder
    return run


def test_a_check_is_tried_on_the_solution_the_stub_and_the_samples_of_its_exercise(toy):
    code, said = toy("try", "test_f_doubles")
    assert code == 0
    assert re.search(r"solution\s+✓ f doubles  passed, 1 of 1", said)
    assert re.search(r"stub\s+✓ f doubles  failed, 0 of 1", said)
    assert re.search(r"mistake-square  a mistake\s+✓ f doubles  failed.*\n.*9", said)
    assert "samples passed 1 times more" in said
    assert "mistake-of-g" not in said


def test_an_exercise_names_its_checks_that_are_written(toy):
    code, said = toy("try", "f", "toy", "--no-samples")
    assert code == 0
    assert "f doubles" in said
    assert "f of nothing" not in said


def test_what_cannot_be_right_is_marked(toy):
    path = toy.folder / "test_toy.py"
    path.write_text(CHECKS.replace("== 6", "== 9").replace("== 7", "in (7, None)"))
    code, said = toy("try", "f_doubles")
    assert code == 1
    assert "✗ f doubles  failed, 0 of 1" in said
    assert "it must pass" in said
    assert "a right variant must pass" in said
    code, said = toy("try", "g")
    assert code == 1
    assert "it must earn nothing" in said


def test_a_check_that_is_not_there_is_told_with_those_that_are_near(toy):
    code, said = toy("try", "test_f_dubles")
    assert code == 2
    assert (
        "no check 'test_f_dubles', nor an exercise of that id; did you mean test_f_doubles" in said
    )


def test_a_check_that_no_assignment_has_is_not_said_to_be_of_one(toy):
    other = toy.folder.parent / "other"
    other.mkdir()
    (other / "assignment.toml").write_text(TOML.replace("toy", "other"))
    code, said = toy("try", "nowhere")
    assert code == 2
    assert "no assignment has a check 'nowhere'" in said
    assert "may be of" not in said
    code, said = toy("try", "nowhere", "toy")
    assert code == 2
    assert "its 3 checks are of the exercises f, g" in said


TWO_NOTEBOOKS = """
[[notebooks]]
file = "second.ipynb"
[[exercises]]
id = "h"
title = "H"
points = 1
notebook = "second.ipynb"
functions = ["h"]
"""


SECOND_CHECK = """

@pytest.mark.exercise("h", points=1)
def test_h_doubles(student):
    assert student.h(3) == 6
"""


def test_a_sample_of_one_notebook_is_not_tried_on_the_checks_of_another(toy):
    with (toy.folder / "assignment.toml").open("a") as file:
        file.write(TWO_NOTEBOOKS)
    with (toy.folder / "test_toy.py").open("a") as file:
        file.write(SECOND_CHECK)
    cell = {
        "cell_type": "code",
        "source": CELL.replace("f(x)", "h(x)").replace("Model", "Other"),
        "metadata": {},
    }
    document = json.dumps({"cells": [cell | {"outputs": []}], "metadata": {}})
    (toy.folder / "second.ipynb").write_text(document)
    code, said = toy("try", "doubles", "toy")
    assert code == 0, said
    assert "h doubles" in said
    assert "can't be put in place" not in said


def test_verify_stops_at_checks_that_are_not_written_in_one_line(toy):
    path = toy.folder / "test_toy.py"
    path.write_text(CHECKS.replace("    assert student.f(3) == 6", "    raise NotImplementedError"))
    code, said = toy("verify", "toy")
    assert (code, said) == (
        2,
        "grade: assignment toy: 2 checks are not written yet: test_f_doubles, test_f_of_nothing\n",
    )


BROKEN = """\
import pytest


@pytest.mark.exercise("f", points=1)
def test_one(student, nothing_of_the_kind):
    pass


@pytest.mark.exercise("f", points=1)
def test_two(student):
    {}["key"]


@pytest.mark.exercise("f", points=2)
def test_f_doubles(student):
    assert student.f(3) == 6
"""


def test_one_broken_check_hides_neither_the_others_nor_the_mutants(toy):
    (toy.folder / "test_toy.py").write_text(BROKEN + CHECKS.partition("raise NotImpl")[2][14:])
    code, said = toy("verify", "toy", "--seeds", "1", "--jobs", "1")
    assert code == 1
    assert "the reference loses points: f, one: it asks for 'nothing_of_the_kind'" in said
    assert "the reference loses points: f, two: KeyError: 'key'" in said
    assert re.search(r"mutants +\d+: \d+ caught", said)
    assert "on mutant" not in said


def test_verify_waits_for_a_change_and_begins_again(toy):
    command = ["verify", "--watch", "--samples-only", "--jobs", "1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "grader", *command], text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=toy.folder.parents[1],
    )  # fmt: skip
    watchdog = threading.Timer(200, process.kill)
    watchdog.start()
    said = []
    try:

        def until_it_waits():
            for line in process.stdout:
                said.append(line)
                if "waiting for a change" in line:
                    return "".join(said)
            raise AssertionError("".join(said))

        assert "is not written yet" in until_it_waits()
        said.clear()
        whole = CHECKS.replace("raise NotImplementedError", "assert student.f(0) == 0")
        (toy.folder / "test_toy.py").write_text(whole.replace("points=1", "points=2", 2))
        assert "the reference" not in until_it_waits()
        assert "toy  Toy:" in "".join(said)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 1)
    finally:
        watchdog.cancel()
        process.kill()
        process.stdout.close()
        process.wait()


def test_steps_of_several_processes_are_counted_together(tmp_path):
    steps = Steps(tmp_path / "told")
    assert steps.progress_text() == ""
    first, second = steps.begin("seeds", 3), Steps(tmp_path / "told").begin("mutants", 2)
    first()
    second()
    Steps(tmp_path / "told").begin("seeds", 2)()
    assert steps.progress_text() == "2/5 seeds, 1/2 mutants"
