"""All checks of a submission have a budget of time together, and a slow one delays nobody else."""

import re

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0
CHECKS = """
import numpy as np
import pytest

@pytest.mark.exercise("gradient", points=3)
def test_gradient(student):
    assert student.has("Model")

@pytest.mark.exercise("sigmoid", points=3)
def test_sigmoid(student):
    assert abs(student.sigmoid(0.0) - 0.5) < 1e-9
""" + "".join(
    f"""
@pytest.mark.exercise("square", points=0.1)
def test_square_{n:02}(student):
    assert abs(student.mean_square(np.array([{n}.0, 0.0])) - {n * n / 2}) < 1e-9
"""
    for n in range(20)
)
BUDGET_S = 6
# Each just below the limit of a check, 2 s.
SPIN = "end = time.thread_time() + 1.5\nwhile time.thread_time() < end: pass\n"
WAYS = {
    "computes": SPIN + "return np.mean(x**2)",
    "sleeps": "time.sleep(1.6)\nreturn np.mean(x**2)",
    "dies after it": SPIN + "os._exit(3)",
    "is killed after it": SPIN + "os.kill(os.getpid(), 9)",
    "in a child": (
        "child = os.fork()\n"
        "if child == 0:\n"
        "    end = time.process_time() + 1.5\n"
        "    while time.process_time() < end: pass\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "return np.mean(x**2)"
    ),
}
TOP = "import os, threading, time"
BATCH = ("--jobs", "2")


@pytest.fixture(scope="module")
def spent(toy):
    toy.write_assignment(checks=CHECKS, check_s=2, checks_s=BUDGET_S)
    paths = {
        way: toy.right(TOP, name=f"{n:02}", mean_square=body)
        for n, (way, body) in enumerate(WAYS.items())
    }
    honest = toy.right(name="honest")
    graded = toy.grade(*paths.values(), honest, options=BATCH, timeout_s=900)
    assert graded["honest"]["score"] == MAX
    return {way: graded[path.stem] for way, path in paths.items()}


def checks_of(submission, exercise):
    return next(e["checks"] for e in submission["exercises"] if e["id"] == exercise)


@pytest.mark.parametrize("way", WAYS)
def test_who_spends_each_check_s_time_has_a_budget_for_all_of_them(spent, notes, way):
    checks = checks_of(spent[way], "square")
    not_run = [check for check in checks if "not run: the time budget" in check["message"]]
    # 1.5 s each, tried twice where it was killed: six fit in at most, and some are asked at all.
    assert 20 - 6 <= len(not_run) <= 19
    assert {check["outcome"] for check in not_run} == {"timeout"}
    assert re.search(r"together may take 6 s, and 'square \d\d' took most", not_run[0]["message"])
    assert "the time budget is used up" in notes(spent[way])["time_budget"]


@pytest.mark.parametrize("way", WAYS)
def test_the_exercises_that_were_checked_before_keep_their_points(spent, points, way):
    assert points(spent[way])["gradient"] == 3.0
    assert points(spent[way])["sigmoid"] == 3.0


def test_who_is_quick_has_no_such_note(host, notes):
    host.write_assignment(checks=CHECKS, check_s=2, checks_s=BUDGET_S)
    graded = host.grade(host.right())
    assert graded["right"]["score"] == MAX
    assert "time_budget" not in notes(graded["right"])


def test_a_slow_submission_delays_nobody_while_another_process_is_free(host):
    """It is given out first, and is through last: all others went by."""
    host.write_assignment(checks=CHECKS, check_s=4, checks_s=12)
    slow = host.right(TOP, name="Slow", mean_square=SPIN.replace("1.5", "3") + WAYS["computes"])
    others = [host.right(name=f"Zquick{n}") for n in range(4)]
    graded = host.grade(slow, *others, options=BATCH)
    through = re.findall(r"^\d/5 (\w+)", graded.text, re.MULTILINE)
    assert len(through) == 5
    assert through[-1] == "Slow"
    assert [graded[path.stem]["score"] for path in others] == [MAX] * 4
