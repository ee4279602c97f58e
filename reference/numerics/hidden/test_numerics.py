"""Hidden checks: how often functions are called and where, times that count, other rooms."""

import math

import numpy as np
import pytest
from test_numerics import TOL, pair, require_raises, require_state, table_of, turn

from grader.checks import as_array, assert_close, assert_frame, counted
from grader.errors import CheckFailed


@pytest.mark.exercise("1-bisection", points=1, shares=True)
def test_bisection_halves_and_keeps_its_values(student, rng):
    """One new value each time that the interval is halved; a root at an end is one."""
    root, length = rng.uniform(-1.0, 1.0), 3.0
    f = counted(lambda x: x - root)
    got = student.bisection(f, root - 1.0, root + 2.0, TOL)
    assert_close(got, root, rtol=0, atol=TOL)
    most = math.ceil(math.log2(length / TOL)) + 4
    if not most / 2 <= f.calls <= most:
        raise CheckFailed(
            "f is called too often" if f.calls > most else "f is called too seldom",
            hint="Halve the interval each time, and keep the value at the end that stays.",
        )
    for a, b in ((root, root + 1.0), (root - 1.0, root)):
        assert_close(student.bisection(lambda x: x - root, a, b, TOL), root, rtol=0, atol=TOL)


@pytest.mark.exercise("1-newton", points=1, shares=True)
def test_newton_gives_up(student):
    """Where there is no root it raises, after as many steps as it may take."""
    f = counted(lambda x: x * x + 1.0, at_most=60)
    require_raises(
        "RuntimeError",
        lambda: student.newton(f, lambda x: 2 * x, 0.7, 1e-12, 20),
        called="newton, where there is no root,",
    )
    if not 20 <= f.calls <= 22:
        raise CheckFailed("it does not take max_steps steps before it gives up")


@pytest.mark.exercise("2-trapezoid", points=1, shares=True)
def test_the_trapezoidal_rule_calls_f_once_with_all_points(student, rng):
    """n + 1 points of equal distance, both ends among them."""
    a, b, n = rng.uniform(-1.0, 0.0), rng.uniform(1.0, 2.0), 9
    f = counted(np.cos)
    student.trapezoid(f, a, b, n)
    _require_points(f, np.linspace(a, b, n + 1))


@pytest.mark.exercise("2-simpson", points=1, shares=True)
def test_simpsons_rule_calls_f_once_and_refuses_an_odd_n(student, rng):
    """Its points are those of the trapezoidal rule."""
    a, b, n = rng.uniform(-1.0, 0.0), rng.uniform(1.0, 2.0), 8
    f = counted(np.cos)
    student.simpson(f, a, b, n)
    _require_points(f, np.linspace(a, b, n + 1))
    require_raises(
        "ValueError", lambda: student.simpson(np.cos, a, b, 7), called="simpson(f, a, b, 7)"
    )


def _require_points(f, points):
    if f.calls != 1:
        raise CheckFailed("f is not called once", hint="Call f once, with the array of all points.")
    assert_close(np.sort(f.points()[0]), points)


@pytest.mark.exercise("3-order", points=1, shares=True)
def test_the_order_is_the_slope_of_least_squares(student, rng):
    """With scatter, and in any order of the step lengths."""
    h = rng.permutation(0.5 ** np.arange(1, 8))
    errors = h**1.7 * rng.uniform(0.5, 2.0, size=7)
    expected = np.polyfit(np.log(h), np.log(errors), 1)[0]
    assert_close(student.observed_order(h, errors), expected, rtol=1e-9)


def stirred(t, y):
    """A system whose right side depends on the time, and not linearly on y."""
    require_state(t, y)
    return np.array([np.sin(3 * t) - y[0] * y[1], y[0] + t * t])


@pytest.mark.exercise("4-euler", points=1, shares=True)
def test_euler_takes_the_time_at_the_beginning_of_each_step(student, rng):
    """Step by step, with one value of f a step."""
    y0, n, h = rng.normal(size=2), 5, 0.4
    expected = [y0]
    for k in range(n):
        expected.append(expected[-1] + h * stirred(0.5 + k * h, expected[-1]))
    f = counted(stirred, at_most=n)
    _, y = pair(student.euler(f, 0.5, y0, 2.5, n), called="euler(...)")
    assert_close(y, np.array(expected), rtol=1e-9)


@pytest.mark.exercise("4-rk4", points=2, shares=True)
def test_rk4_takes_four_values_a_step_where_they_belong(student, rng):
    """Step by step, for a system that depends on the time."""
    y0, n, h = rng.normal(size=2), 3, 0.3
    expected = [y0]
    for k in range(n):
        t, y = 0.5 + k * h, expected[-1]
        slopes = [stirred(t, y)]
        for part in (0.5, 0.5, 1.0):
            slopes.append(stirred(t + part * h, y + part * h * slopes[-1]))
        expected.append(y + h * np.array([1, 2, 2, 1]) @ slopes / 6)
    f = counted(stirred, at_most=4 * n)
    _, y = pair(student.rk4(f, 0.5, y0, 1.4, n), called="rk4(...)")
    assert_close(y, np.array(expected), rtol=1e-9)
    # Integers to begin with.
    _, y = pair(student.rk4(turn, 0.0, np.array([1, 0]), 1.0, 8), called="rk4(...)")
    assert_close(as_array(y)[-1], [np.cos(1.0), -np.sin(1.0)], rtol=1e-4)


@pytest.mark.exercise("5-fit", points=1, shares=True)
def test_the_fit_takes_the_room_that_it_is_given(student, rng):
    """A cellar of 12 degrees."""
    t, A, k = rng.uniform(0.0, 60.0, size=20), rng.uniform(40.0, 70.0), rng.uniform(0.02, 0.06)
    got = pair(student.fit_cooling(t, 12.0 + A * np.exp(-k * t), 12.0), called="fit_cooling")
    assert_close([got[0], got[1]], [A, k], rtol=1e-7)


@pytest.mark.exercise("5-cups", points=1, shares=True)
def test_the_rooms_temperature_goes_on_to_each_fit(student, rng):
    """A cellar of 12 degrees; and the rows are numbered from 0."""
    table, due = table_of(student, rng, ["tin", "bone"], 12.0)
    assert_frame(student.fit_cups(table, 12.0), due, rtol=1e-7)
