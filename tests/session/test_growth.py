"""Steps and memory of calls that grow, leaks, and many calls watched; in real forks."""

import numpy as np
import pytest

from grader.checks import assert_growth, assert_no_leak, measure_growth, sample_calls
from grader.errors import CheckFailed

SIZES = [200, 400, 800, 1600]
SOURCE = """
import warnings
kept = []
def linear(x): return np.cumsum(x)
def pairs(x): return np.abs(x[:, None] - x[None, :]).sum(axis=1)
def loops(x):
    t = 0.0
    for a in x[:300]:
        for b in x: t += a * b
    return t
def square(x):
    t = 0.0
    for a in range(len(x) // 10):
        for b in range(len(x) // 10): t += a * b
    return t
def ordered(x): return sorted(x.tolist())
def leaks(x):
    kept.append(x * 2)
    return 0.0
def clean(x): return x * 2
def odd(x):
    print(f"got {x}")
    if x < 0: raise ValueError("negative")
    return np.log(np.float64(x))
"""


def inputs(n):
    return np.random.default_rng(n).normal(size=n)


@pytest.fixture
def student(student_of):
    return student_of(SOURCE)


def test_an_array_of_all_pairs_is_seen_by_its_memory(student):
    found = measure_growth(student.pairs, inputs, SIZES)
    assert found.bytes_order == pytest.approx(2, abs=0.2)
    with pytest.raises(CheckFailed, match=r"its memory grows like n\^2.0, expected n\^1"):
        assert_growth(student.pairs, inputs, SIZES)
    assert_growth(student.pairs, inputs, SIZES, order=2)


def test_a_loop_in_a_loop_is_seen_by_its_steps(student):
    with pytest.raises(CheckFailed, match=r"number of Python steps grows like n\^2.0"):
        assert_growth(student.square, inputs, [400, 800, 1600, 3200])


@pytest.mark.parametrize("name", ["linear", "ordered"])
def test_what_grows_as_is_due_passes(student, name):
    assert_growth(student[name], inputs, [2000, 4000, 8000, 16000])


def test_an_error_of_the_call_is_the_students(student_of):
    with pytest.raises(ZeroDivisionError):
        measure_growth(student_of("def f(x): return 1 // 0").f, inputs, SIZES)


def test_memory_that_each_call_keeps_is_a_leak(student):
    x = np.zeros(100_000)
    assert_no_leak(student.clean, x)
    with pytest.raises(CheckFailed, match="each call keeps memory"):
        assert_no_leak(student.leaks, x)


def test_memory_is_none_unless_it_is_asked_for(student):
    seen = student.clean.observe(np.zeros(10_000))
    assert (seen.kept_bytes, seen.peak_bytes) == (None, None)
    seen = student.clean.observe(np.zeros(10_000), memory=True)
    assert 80_000 <= seen.kept_bytes <= seen.peak_bytes < 200_000


def test_many_calls_are_watched_each(student):
    seen = sample_calls(student.odd, [1.0, 0.0, -1.0])
    assert (seen.values[0], seen.values[2]) == (0.0, None)
    assert [error and error.kind for error in seen.errors] == [None, None, "ValueError"]
    assert seen.warned() == {"RuntimeWarning: divide by zero encountered in log": 1}
    assert seen.printed == ("got 1.0\n", "got 0.0\n", "got -1.0\n")
    assert len(seen.seconds) == 3
