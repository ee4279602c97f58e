"""Numerical methods. Functions are handed over and called back; the seed decides which."""

import numpy as np
import pytest

from grader.checks import as_array, assert_close, assert_frame, assert_shape, counted
from grader.errors import CheckFailed, StudentError

TOL = 1e-8


def slope(h, errors):
    """Return the slope of log(errors) over log(h), by least squares."""
    return np.polyfit(np.log(h), np.log(errors), 1)[0]


def require_order(order, h, errors, *, called):
    """Fail where errors don't fall as h**order does."""
    if not np.all(np.isfinite(errors)):
        raise CheckFailed(f"{called}: the result is not finite")
    if min(errors) == 0.0 or abs(slope(h, errors) - order) > 0.2:
        hint = f"Print the errors for h, h/2, h/4: each should be {2**order} times smaller."
        if min(errors) == 0.0:
            problem = f"the error is exactly 0; it should fall as h^{order}"
        elif (found := slope(h, errors)) < 0.2:
            problem = f"the error does not fall with h; it should fall as h^{order}"
            hint += " Does the result tend to a wrong value? Look at the weights and the points."
        else:
            problem = f"the error falls as h^{found:.1f}; it should fall as h^{order}"
            hint += " If not, a weight or a point is wrong."
        raise CheckFailed(f"{called}: {problem}", hint=hint)


def require_raises(kind, call, *, called):
    """Fail where the student's code doesn't raise this."""
    try:
        call()
    except StudentError as error:
        if error.kind != kind:
            raise CheckFailed(f"{called} raised {error.kind}; it must raise {kind}") from None
    else:
        raise CheckFailed(f"{called} raised nothing; it must raise {kind}")


def pair(value, *, called):
    """Return the two results of a call."""
    if not isinstance(value, tuple | list | np.ndarray) or len(value) != 2:
        raise CheckFailed(f"{called} does not return two results", hint="return t, y")
    return value


# --- task 1 -----------------------------------------------------------------------------------


@pytest.mark.exercise("1-bisection", points=2, shares=True)
def test_bisection_finds_the_root(student, rng):
    """Of functions that rise and fall, known by their roots."""
    for sign in (1.0, -1.0):
        root = rng.uniform(-1.0, 1.0)
        a, b = root - rng.uniform(0.5, 2.0), root + rng.uniform(0.5, 2.0)
        got = student.bisection(lambda x, r=root, s=sign: s * np.arctan(x - r), a, b, TOL)
        assert_close(got, root, rtol=0, atol=TOL, called="bisection(f, a, b, tol)")


@pytest.mark.exercise("1-bisection", points=1, shares=True)
def test_bisection_refuses_ends_of_one_sign(student, rng):
    """Above and below the axis."""
    for sign in (1.0, -1.0):
        above = counted(lambda x, s=sign: s * (0.1 * x * x + 0.05))
        require_raises(
            "ValueError",
            lambda f=above: student.bisection(f, -1.0, rng.uniform(1.0, 2.0)),
            called="bisection(f, a, b), f of one sign,",
        )


@pytest.mark.exercise("1-newton", points=2, shares=True)
def test_newton_finds_the_root(student, rng):
    """Of a square and of a sine."""
    c = rng.uniform(2.0, 5.0)
    root = student.newton(lambda x: x * x - c, lambda x: 2 * x, c)
    assert_close(root, np.sqrt(c), rtol=1e-9, called="newton(f, df, x0)")
    root = student.newton(np.sin, np.cos, rng.uniform(2.8, 3.4))
    assert_close(root, np.pi, rtol=1e-9, called="newton(f, df, x0)")


@pytest.mark.exercise("1-newton", points=1, shares=True)
def test_newton_is_quick(student, rng):
    """The number of right digits doubles: a few calls of f and of df will do."""
    c = rng.uniform(2.0, 5.0)
    f, df = counted(lambda x: x * x - c, at_most=9), counted(lambda x: 2 * x, at_most=9)
    assert_close(student.newton(f, df, c), np.sqrt(c), rtol=1e-9, called="newton(f, df, x0)")


# --- task 2 -----------------------------------------------------------------------------------


@pytest.mark.exercise("2-trapezoid", points=1, shares=True)
def test_the_trapezoidal_rule_is_exact_for_lines(student, rng):
    """For any number of intervals."""
    a, b, p, q = rng.uniform(0.5, 2.0, size=4)
    exact = p * b + q * ((a + b) ** 2 - a**2) / 2
    for n in (1, 2, 5):
        got = student.trapezoid(lambda x: p + q * x, a, a + b, n)
        assert_close(got, exact, rtol=1e-10, called=f"trapezoid(f, a, b, {n}), f a line")


@pytest.mark.exercise("2-trapezoid", points=1, shares=True)
def test_the_trapezoidal_rule_has_order_2(student, rng):
    """The error over h falls with slope 2."""
    n = np.array([8, 16, 32, 64])
    w = rng.uniform(1.0, 2.0)
    exact = (np.exp(w) - 1) / w
    values = [student.trapezoid(lambda x: np.exp(w * x), 0.0, 1.0, int(k)) for k in n]
    require_order(2, 1 / n, np.abs(np.array(values, float) - exact), called="trapezoid")


@pytest.mark.exercise("2-simpson", points=1, shares=True)
def test_simpsons_rule_is_exact_for_cubics(student, rng):
    """Which has no term of the fourth power."""
    p = np.polynomial.Polynomial(rng.uniform(0.5, 2.0, size=4))
    a, b = rng.uniform(-1.0, 0.0), rng.uniform(1.0, 2.0)
    for n in (2, 4, 10):
        got = student.simpson(lambda x: p(x), a, b, n)
        exact = p.integ()(b) - p.integ()(a)
        assert_close(got, exact, rtol=1e-10, called=f"simpson(f, a, b, {n}), f a cubic")


@pytest.mark.exercise("2-simpson", points=1, shares=True)
def test_simpsons_rule_has_order_4(student, rng):
    """The error over h falls with slope 4."""
    n = np.array([4, 8, 16, 32])
    w = rng.uniform(1.0, 2.0)
    exact = (np.exp(w) - 1) / w
    values = [student.simpson(lambda x: np.exp(w * x), 0.0, 1.0, int(k)) for k in n]
    require_order(4, 1 / n, np.abs(np.array(values, float) - exact), called="simpson")


# --- task 3 -----------------------------------------------------------------------------------


@pytest.mark.exercise("3-order", points=1, shares=True)
def test_the_order_of_a_pure_power(student, rng):
    """The errors lie on the line: the slope is the power."""
    h = 0.5 ** np.arange(1, 6)
    for p in rng.uniform(0.5, 4.0, size=2):
        got = student.observed_order(h, rng.uniform(0.1, 10.0) * h**p)
        assert_close(got, p, rtol=1e-9, called="observed_order(h, C h^p)")


# --- task 4 -----------------------------------------------------------------------------------


def require_state(t, y):
    """Fail where f is not called as f(t, y)."""
    if np.shape(t) != () or np.shape(y) != (2,):
        raise CheckFailed(
            f"f(t, y) was called with a t of shape {np.shape(t)} and a y of shape {np.shape(y)}",
            hint="t is a number, y is the array of the d values at that time.",
        )


def turn(t, y):
    """y'' = -y, as a system."""
    require_state(t, y)
    return np.array([y[1], -y[0]])


def error_at_the_end(method, n):
    """Return how far y(1) is from (cos 1, -sin 1)."""
    _, y = pair(method(turn, 0.0, np.array([1.0, 0.0]), 1.0, n), called="it")
    return np.abs(as_array(y)[-1] - [np.cos(1.0), -np.sin(1.0)]).max()


@pytest.mark.exercise("4-euler", points=1, shares=True)
def test_euler_gives_times_and_values(student, rng):
    """Shapes, both ends of the times, and the first values."""
    y0, n = rng.normal(size=2), 7
    t, y = pair(student.euler(turn, 1.0, y0, 3.0, n), called="euler(...)")
    assert_shape(t, (n + 1,), called="euler(...)[0]")
    assert_shape(y, (n + 1, 2), called="euler(...)[1]")
    assert_close(t, np.linspace(1.0, 3.0, n + 1), called="euler(...)[0]")
    assert_close(as_array(y)[0], y0, called="euler(...)[1][0]")


@pytest.mark.exercise("4-euler", points=1, shares=True)
def test_euler_has_order_1(student):
    """The error at the end falls with slope 1."""
    n = np.array([16, 32, 64, 128])
    errors = [error_at_the_end(student.euler, int(k)) for k in n]
    require_order(1, 1 / n, np.array(errors), called="euler")


@pytest.mark.exercise("4-rk4", points=1, shares=True)
def test_rk4_gives_times_and_values(student, rng):
    """Shapes, both ends of the times, and the first values."""
    y0, n = rng.normal(size=2), 6
    t, y = pair(student.rk4(turn, -1.0, y0, 1.0, n), called="rk4(...)")
    assert_shape(y, (n + 1, 2), called="rk4(...)[1]")
    assert_close(t, np.linspace(-1.0, 1.0, n + 1), called="rk4(...)[0]")
    assert_close(as_array(y)[0], y0, called="rk4(...)[1][0]")


@pytest.mark.exercise("4-rk4", points=2, shares=True)
def test_rk4_has_order_4(student):
    """The error at the end falls with slope 4."""
    n = np.array([4, 8, 16, 32])
    errors = [error_at_the_end(student.rk4, int(k)) for k in n]
    require_order(4, 1 / n, np.array(errors), called="rk4")


# --- task 5 -----------------------------------------------------------------------------------


def known_rows(files):
    """Return the rows of the table that have a temperature, as columns."""
    rows = [line.split(",") for line in (files / "data/cooling.csv").read_text().split()[1:]]
    return {
        "cup": [cup for cup, _, T in rows if T],
        "minute": [float(t) for _, t, T in rows if T],
        "celsius": [float(T) for _, _, T in rows if T],
    }


@pytest.mark.exercise("5-table", points=1, shares=True)
def test_the_table_is_read(student, files):
    """Cups, minutes and temperatures of the rows that have one, in their order."""
    table = student.read_table("data/cooling.csv")
    assert_frame(table, known_rows(files), index=False, called="read_table(path)")


@pytest.mark.exercise("5-table", points=1, shares=True)
def test_the_rows_that_are_left_are_numbered_from_0(student, files):
    """Whoever leaves rows out has gaps in the labels of the others."""
    table = student.read_table("data/cooling.csv")
    assert_frame(table, known_rows(files), called="read_table(path)")


@pytest.mark.exercise("5-fit", points=2, shares=True)
def test_the_fit_finds_what_the_temperatures_were_made_of(student, rng):
    """Without noise, A and k come back."""
    t, A, k = rng.uniform(0.0, 60.0, size=20), rng.uniform(40.0, 70.0), rng.uniform(0.02, 0.06)
    got = pair(student.fit_cooling(t, 21.0 + A * np.exp(-k * t)), called="fit_cooling(t, T)")
    assert_close(got[0], A, rtol=1e-7, called="fit_cooling(t, T)[0], A")
    assert_close(got[1], k, rtol=1e-7, called="fit_cooling(t, T)[1], k")


@pytest.mark.exercise("5-fit", points=1, shares=True)
def test_the_fit_is_the_one_of_least_squares(student, rng):
    """With noise, against the line that fits log(T - 21) best."""
    t = np.sort(rng.uniform(0.0, 60.0, size=20))
    T = 21.0 + 60.0 * np.exp(-0.04 * t + rng.normal(0.0, 0.1, size=20))
    k, log_A = np.polyfit(t, np.log(T - 21.0), 1)
    got = pair(student.fit_cooling(t, T), called="fit_cooling(t, T)")
    assert_close(got[0], np.exp(log_A), rtol=1e-6, called="fit_cooling(t, T)[0], A")
    assert_close(got[1], -k, rtol=1e-6, called="fit_cooling(t, T)[1], k")


def table_of(student, rng, cups, room=21.0):
    """Return a table without noise, its rows shuffled, and what fit_cups makes of it."""
    A, k = rng.uniform(40.0, 70.0, size=len(cups)), rng.uniform(0.02, 0.06, size=len(cups))
    which = rng.permutation(np.repeat(np.arange(len(cups)), 8))
    t = rng.uniform(0.0, 60.0, size=len(which))
    columns = {
        "cup": [cups[i] for i in which],
        "minute": t,
        "celsius": room + A[which] * np.exp(-k[which] * t),
    }
    order = np.argsort(cups)
    due = {"cup": [cups[i] for i in order], "A": A[order], "k": k[order]}
    return student.pd.DataFrame(columns), due


@pytest.mark.exercise("5-cups", points=2, shares=True)
def test_each_cup_has_its_row(student, rng):
    """Of other cups than those of the file, whose rows stand in any order."""
    table, due = table_of(student, rng, ["paper", "bone", "tin", "cork"])
    got = student.fit_cups(table)
    assert_frame(got, due, rtol=1e-7, index=False, called="fit_cups(table)")
