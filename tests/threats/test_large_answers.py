"""Answers of hundreds of MiB are refused by their headers: the grader's own memory stays flat."""

import re
import sys

import pytest

MAX = 8.0
# Runs the command in this very process, which then tells the most memory that it has held.
MEASURED = """
import atexit, re, sys
from pathlib import Path

def tell():
    peak = re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]
    print(f"peak: {int(peak) >> 10} MiB", file=sys.stderr)

atexit.register(tell)
sys.argv = ["grade", *sys.argv[4:]]
from grader.cli import main
main()
"""
# Each of 240 MiB, were it sent as it is.
ANSWERS = {
    "float64": "np.ones(30 << 20)",
    "bytes": "np.ones(240 << 20, np.uint8)",
    "booleans": "np.zeros((240, 1 << 20), bool)",
    "half precision": "np.ones(120 << 20, np.float16)",
    "complex": "np.ones(15 << 20, complex)",
    "text": "np.full(60 << 20, 'x')",
    "a list": "[np.ones(1 << 20) for _ in range(30)]",
    "many small ones": "[np.ones(3) for _ in range(3_000_000)]",
    "nested": "[[np.ones(8 << 20, np.uint8)] * 30]",
    "a broadcast view": "np.broadcast_to(np.uint8(1), (240, 1 << 20))",
    "a string": "'x' * (240 << 20)",
    "bytes of Python": "bytes(240 << 20)",
}
# Just below the limit, to each of many calls, all of which the check keeps.
KEEPS = """
import numpy as np
import pytest

@pytest.mark.exercise("square", points=2)
def test_square(student):
    kept = [student.mean_square(np.arange(3.0)) for _ in range(100)]
    assert len(kept) == 100

@pytest.mark.exercise("gradient", points=3)
def test_gradient(student):
    assert student.has("Model")

@pytest.mark.exercise("sigmoid", points=3)
def test_sigmoid(student):
    pass
"""
# What a check of plain numpy makes of an answer that is small itself: 8 GB each.
GROWS = """
import numpy as np
import pytest

@pytest.mark.exercise("square", points=2)
def test_square(student, rng):
    x = rng.normal(size=1000)
    assert np.allclose(student.mean_square(x), x + 1)

@pytest.mark.exercise("gradient", points=3)
def test_gradient(student):
    probabilities = np.asarray(student.Model(np.eye(3), np.ones(3)).grad(np.ones(3)))
    assert np.all(probabilities.sum(axis=-1) == 1)

@pytest.mark.exercise("sigmoid", points=3)
def test_sigmoid(student):
    student.sigmoid(np.zeros(2))
"""
GROWING = {
    "a column that meets a row": {"mean_square": "return np.zeros((1_000_000, 1))"},
    "a range": {"mean_square": "return range(200_000_000)"},
    "rows without columns": {"grad": "return np.zeros((1_000_000_000, 0))"},
}
pytestmark = [
    pytest.mark.any_user,
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]


@pytest.fixture(scope="module")
def answered(toy):
    """Submissions by the kind of their answers, and the grader's memory with and without them."""
    toy.write_assignment(memory_mib=4096, check_s=20)
    honest = toy.right(name="honest")
    wrap = [sys.executable, "-c", MEASURED]
    options = ("--jobs", "1")
    before = toy.run(honest, options=options, wrap=wrap)
    paths = {
        kind: toy.right(mean_square=f"return {answer}", name=f"{n:02}")
        for n, (kind, answer) in enumerate(ANSWERS.items())
    }
    after = toy.run(*paths.values(), honest, options=options, wrap=wrap, timeout_s=600)
    assert after["honest"]["score"] == MAX
    return {kind: after[path.stem] for kind, path in paths.items()}, peak(before), peak(after)


def peak(graded):
    return int(re.search(r"^peak: (\d+) MiB$", graded.text, re.MULTILINE)[1])


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_of_240_mib_costs_its_check_alone(answered, messages, kind):
    submission = answered[0][kind]
    assert (submission["status"], submission["score"]) == ("graded", 6.0)
    said = messages(submission)["square"]
    assert "64 MiB" in said
    assert "the limit of an answer to this check" in said


def test_the_graders_memory_stays_flat(answered):
    _, before, after = answered
    # A small one takes 100 MiB; 240 MiB of one byte each would be 1,900 as float64.
    assert after - before < 100


def test_what_a_check_keeps_of_many_large_answers_has_a_limit(host, messages):
    host.write_assignment(checks=KEEPS, memory_mib=4096, check_s=60)
    large = host.right(mean_square="return np.ones(7 << 20)")
    graded = host.run(large, wrap=[sys.executable, "-c", MEASURED])
    assert graded["right"]["score"] == 6.0
    assert "the answers to this check hold more than 512 MiB" in messages(graded["right"])["square"]
    assert peak(graded) < 1200


def test_a_check_says_how_large_an_answer_may_be(host, messages):
    answers = {"two": "np.ones(150_000)", "four": "np.ones(500_000)"}
    marker = '@pytest.mark.exercise("square", points=2, reply_mib=2)'
    checks = KEEPS.replace('@pytest.mark.exercise("square", points=2)', marker)
    host.write_assignment(checks=checks.replace("range(100)", "range(3)").replace("100", "3"))
    paths = [host.right(name=n, mean_square=f"return {a}") for n, a in answers.items()]
    graded = host.grade(*paths)
    assert graded["two"]["score"] == MAX
    assert graded["four"]["score"] == 6.0
    assert "more than 2 MiB" in messages(graded["four"])["square"]


@pytest.mark.parametrize("answer", GROWING)
def test_what_a_check_makes_of_an_answer_has_a_limit(host, messages, answer):
    right = {
        "mean_square": "return x + 1",
        "sigmoid": "return z",
        "cost": "return 0.0",
        "grad": "return np.ones((2, 1))",
    }
    host.write_assignment(checks=GROWS, reference=right, check_s=20)
    small = host.right(name="small", **right)
    grows = host.right(name="grows", **right | GROWING[answer])
    graded = host.run(grows, small, options=("--jobs", "1"), wrap=[sys.executable, "-c", MEASURED])
    assert graded["small"]["score"] == MAX
    assert graded["grows"]["status"] == "graded"
    assert graded["grows"]["score"] == MAX - (3 if "grad" in GROWING[answer] else 2)
    assert peak(graded) < 2000
