"""Functions of a check's as arguments: the student's code calls them back. Real forks."""

import functools
import time

import numpy as np
import pytest

from grader.checks import counted
from grader.errors import (
    CheckFailed,
    GraderFault,
    PassedOn,
    StudentError,
    StudentTimeout,
)
from grader.session import callbacks
from grader.session.callbacks import CheckFunctions
from grader.session.claims import listen

NEWTON = """
def newton(f, df, x, steps=30):
    for _ in range(steps):
        x = x - f(x) / df(x)
    return x
"""
CALL = """
def call(f, *args, **kwargs): return f(*args, **kwargs)
def often(f, x, times):
    for _ in range(times): y = f(x)
    return y
"""


class OwnError(ValueError):
    """One that the student's process does not know."""


def test_a_function_of_the_check_is_called_back(student_of):
    root = student_of(NEWTON).newton(lambda x: x**2 - 2, lambda x: 2 * x, 1.0)
    assert root == pytest.approx(2**0.5, rel=1e-15)


class Curve:
    """Has what can be called in many ways."""

    def at(self, x):
        return 3 * x

    def __call__(self, x):
        return 4 * x


@pytest.mark.parametrize(
    ("function", "due"),
    [
        (lambda x: 2 * x, 4.0),
        (Curve().at, 6.0),
        (Curve(), 8.0),
        (np.square, 4.0),
        (functools.partial(pow, 3), 9.0),
        (abs, 2.0),
        (np.polynomial.Polynomial([1, 1]), 3.0),
    ],
    ids=["lambda", "method", "object", "ufunc", "partial", "builtin", "polynomial"],
)
def test_whatever_can_be_called_is_an_argument(student_of, function, due):
    if isinstance(function, np.polynomial.Polynomial):
        function = function.__call__
    assert student_of(CALL).call(function, 2.0) == due


def test_functions_travel_in_lists_dicts_and_keyword_arguments(student_of):
    source = "def total(fs, x, *, more): return sum(f(x) for f in fs) + more['g'](x)"
    total = student_of(source).total([np.sin, lambda x: 1.0], 0.0, more={"g": lambda x: 5.0})
    assert total == 6.0


def test_a_function_is_an_attribute_of_what_is_built_over_there(student_of):
    student = student_of(
        "class Layer:\n"
        "    def __init__(self, g): self.g = g\n"
        "    def forward(self, x): return self.g(x)\n"
    )
    layer = student.Layer(lambda x: x + 1)
    assert layer.forward(1) == 2
    layer.g = lambda x: x - 1
    assert layer.forward(1) == 0


def test_a_function_of_a_class_becomes_a_method_as_it_would_here(student_of):
    student = student_of("class A:\n    b = 5\n    f = g = None\na = A()")
    student.A.f = lambda self, x: self.b + x
    student.A.g = np.square
    assert student.value("a").f(2) == 7
    assert student.value("a").g(3) == 9


def test_the_same_function_is_the_same_object_there_and_comes_back_as_itself(student_of):
    student = student_of("def same(f, g): return f is g\ndef back(f): return {'f': [f]}")
    f, g = Curve(), abs
    assert student.same(f, f) is True
    assert student.same(f, g) is False
    assert student.back(f)["f"][0] is f


def test_what_is_returned_and_given_is_of_every_kind_that_travels(student_of):
    student = student_of(CALL + "class Box:\n    v = 3\ndef with_box(f): return f(Box(), k=(1, 2))")
    seen = []
    x = np.arange(6.0).reshape(2, 3)
    got = student.call(lambda a, k: seen.append((a, k)) or {"a": a.T, "k": (k,)}, x, k=[1])
    assert np.array_equal(got["a"], x.T) and got["k"] == ([1],)
    assert np.array_equal(seen[0][0], x)
    assert student.with_box(lambda box, k: box.v + sum(k)) == 6


def test_a_large_array_is_called_back_with(student_of):
    big = np.arange(200_000.0)
    assert np.array_equal(student_of(CALL).call(lambda x: x + 1, big), big + 1)


def test_the_students_code_sees_a_functions_name_and_parameters(student_of):
    source = """
    import inspect
    def about(f): return f.__name__, str(inspect.signature(f))
    """

    def gauss(x, mean, scale=1.0, *more, width, **rest):
        """A function of a check's."""

    name, parameters = student_of(source).about(gauss)
    assert name == "gauss"
    assert parameters == "(x, mean, scale=Ellipsis, *more, width, **rest)"


def test_scipy_fits_a_model_of_the_checks_by_its_parameters(student_of):
    scipy = pytest.importorskip("scipy.optimize")
    del scipy
    student = student_of(
        "def fit(f, x, y):\n"
        "    from scipy.optimize import curve_fit\n"
        "    return curve_fit(f, x, y)[0]\n"
    )
    x = np.linspace(0, 1, 20)
    found = student.fit(lambda x, a, b: a * x + b, x, 2 * x + 1)
    np.testing.assert_allclose(found, [2, 1], rtol=1e-6)


def test_a_function_that_the_student_returns_is_called_and_is_an_argument(student_of):
    student = student_of(CALL + "def compose(f, g): return lambda x: f(g(x))")
    both = student.compose(lambda x: x + 1, lambda x: 10 * x)
    assert both(2) == 21
    assert student.call(both, 3) == 31
    assert student.compose(both, both)(0) == 11


def test_map_and_observe_call_back_too(student_of):
    student = student_of(CALL)
    assert student.call.map([(abs, -1), (abs, -2)]) == [1, 2]
    seen = student.call.observe(lambda x: x + 1, 1)
    assert (seen.value, seen.error) == (2, None)


def test_steps_are_the_notebooks_own(student_of):
    student = student_of(CALL)

    def slow(x):
        return sum(range(1000)) + x

    few = student.often.observe(lambda x: x, 1.0, 5, steps=True).steps
    many = student.often.observe(slow, 1.0, 5, steps=True).steps
    assert few == many < 1000


# --- counting -----------------------------------------------------------------------------------


def test_a_counted_function_says_how_often_and_where_it_was_called(student_of):
    student = student_of(NEWTON)
    f = counted(lambda x: x**2 - 2)
    student.newton(f, lambda x: 2 * x, 1.0, steps=3)
    assert f.calls == 3
    assert f.arguments[:2] == [(1.0,), (1.5,)]
    assert f.returned[0] == -1.0
    np.testing.assert_allclose(f.points(), [1, 1.5, 1.5 - 0.25 / 3])
    f.reset()
    assert (f.calls, f.arguments) == (0, [])


def test_arguments_are_kept_as_they_were(student_of):
    student = student_of("def f(g):\n    x = np.zeros(2)\n    g(x)\n    x += 1\n    g(x, k=x)")
    g = counted(lambda x, k=None: x.fill(9))
    student.f(g)
    assert [args[0].tolist() for args in g.arguments] == [[0, 0], [1, 1]]
    assert g.keywords[1]["k"].tolist() == [1, 1]


def test_ten_thousand_calls_in_a_loop_work(student_of):
    student = student_of(CALL)
    f = counted(np.cos)
    assert student.often(f, 0.0, 10_000) == 1.0
    assert f.calls == 10_000


def test_a_function_that_may_be_called_so_often_fails_the_check_at_the_next(student_of):
    student = student_of(CALL)
    f = counted(abs, at_most=3)
    assert student.often(f, -1, 3) == 1
    f.reset()
    with pytest.raises(CheckFailed, match="abs was called more than 3 times"):
        student.often(f, -1, 4)


def test_points_of_several_shapes_fail_the_check(student_of):
    student = student_of("def f(g): g(1.0); g(np.zeros(2))")
    g = counted(lambda x: x)
    student.f(g)
    with pytest.raises(CheckFailed, match="different kinds or shapes of arguments"):
        g.points()


# --- exceptions ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [ValueError("no", 3), ZeroDivisionError("x"), KeyError("k"), OwnError("own"), OSError(2, "no")],
    ids=lambda error: type(error).__name__,
)
def test_an_exception_of_the_function_comes_back_as_itself(student_of, error):
    def f(x):
        raise error

    with pytest.raises(type(error)) as caught:
        student_of(CALL).call(f, 1)
    assert caught.value is error
    assert isinstance(error.__cause__, PassedOn)
    assert (
        error.__cause__.where
        == "cell 4, line 3: def call(f, *args, **kwargs): return f(*args, **kwargs)"
    )


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (ValueError("no"), ("ValueError", "no")),
        (OwnError("own"), ("ValueError", "own")),
        (KeyError("k"), ("KeyError", "'k'")),
        (np.linalg.LinAlgError("singular"), ("LinAlgError", "singular")),
        (CheckFailed("the answer is 42"), ("AssertionError", "a function of the check")),
        (AssertionError("x == 42"), ("AssertionError", "a function of the check")),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), ("RuntimeError", None)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_students_code_catches_the_builtin_class_and_no_verdict(student_of, error, seen):
    source = """
    def catch(f):
        try: return f(1)
        except Exception as e: return type(e).__name__, str(e)
    """

    def f(x):
        raise error

    kind, text = student_of(source).catch(f)
    assert kind == seen[0]
    assert seen[1] is None or text == seen[1]


def test_an_exception_that_the_student_raises_in_its_place_is_the_students(student_of):
    source = """
    def f(g):
        try: g(1)
        except ValueError as e: raise KeyError("mine") from e
    """

    def g(x):
        raise ValueError("no")

    with pytest.raises(StudentError) as caught:
        student_of(source).f(g)
    assert caught.value.kind == "KeyError"


def test_a_caught_exception_that_is_raised_again_is_still_the_checks(student_of):
    source = """
    def f(g):
        try: g(1)
        except ValueError as e: kept = e
        g(2)
        raise kept
    """
    errors = [ValueError("first"), None]

    def g(x):
        if errors[x - 1] is not None:
            raise errors[x - 1]
        return 0

    with pytest.raises(ValueError, match="first") as caught:
        student_of(source).f(g)
    assert caught.value is errors[0]


def test_a_wrong_number_of_arguments_is_told_with_the_students_line(student_of):
    with pytest.raises(TypeError) as caught:
        student_of(CALL).call(lambda x: x, 1, 2)
    assert "takes 1 positional argument" in str(caught.value.__cause__)
    assert "where: cell 4, line 3" in str(caught.value.__cause__)


def test_a_fault_of_the_grader_can_not_be_caught_over_there(student_of):
    student = student_of("def f(g):\n    try: g()\n    except BaseException: pass\n    return 1")

    def g():
        raise GraderFault("the disk is full")

    with pytest.raises(GraderFault):
        student.f(g)


def test_a_value_that_can_not_be_sent_is_the_checks_own_mistake(student_of):
    with pytest.raises(TypeError, match="object can't be sent"):
        student_of(CALL).call(lambda x: object(), 1)


def test_words_that_a_function_is_called_with_count_as_the_students_own(student_of):
    student = student_of(
        CALL
        + "from collections import namedtuple\n"
        + "def fields(): return np.zeros(2, [('secretfield', 'f8')])\n"
        + "def named(): return namedtuple('N', 'secretname')(1)\n"
        + "def several(): return {'secretset', 3}\n"
    )
    claims = listen(student)
    student.call(lambda *a, **k: 0, 1.0, {"k": ["secretword"]}, secretkey=2)
    student.named()
    student.several()
    for word in ("secretword", "secretkey", "secretname", "secretset"):
        assert claims.without(f"it is {word} there") == ""
    assert claims.without("nothing of it") == "nothing of it"
    student.fields()
    assert claims.without("nothing of it") == ""


# --- generators ---------------------------------------------------------------------------------


def test_a_generator_does_not_depend_on_what_the_student_made_of_numpy(student_of):
    source = """
    np.random.Generator = np.random.default_rng = np.random.RandomState = None
    np.random.PCG64 = np.random.MT19937 = None
    def draw(rng): return rng.normal(size=3)
    """
    student = student_of(source)
    drawn = student.draw(np.random.default_rng(5))
    assert np.array_equal(drawn, np.random.default_rng(5).normal(size=3))
    drawn = student.draw(np.random.RandomState(5))
    assert np.array_equal(drawn, np.random.RandomState(5).normal(size=3))


def test_the_state_after_the_call_can_be_had_back(student_of):
    student = student_of("def draw(rng): return rng.normal(size=3)")
    rng, twin = np.random.default_rng(5), np.random.default_rng(5)
    twin.normal(size=3)
    next_draw = twin.normal()
    seen = student.draw.observe(rng)
    assert seen.arguments[0].normal() == next_draw
    kept = student.keep(np.random.default_rng(5))
    student.draw(kept)
    assert kept.get().normal() == next_draw
    assert rng.normal() == np.random.default_rng(5).normal()  # the check's own has not moved


# --- bounds -------------------------------------------------------------------------------------


def test_a_function_may_call_the_notebook_again(student_of):
    student = student_of(CALL)

    def down(n):
        return student.call(down, n - 1) + 1 if n else 0

    assert student.call(down, callbacks.DEPTH_MAX - 1) == callbacks.DEPTH_MAX - 1
    with pytest.raises(RecursionError, match=f"more than {callbacks.DEPTH_MAX} deep"):
        student.call(down, callbacks.DEPTH_MAX + 1)
    assert student.call(down, 2) == 2


def test_a_function_that_is_kept_works_in_later_calls_of_the_check(student_of):
    student = student_of("kept = []\ndef keep(f): kept.append(f)\ndef use(x): return kept[0](x)")
    student.keep_it = 0
    student["keep"](lambda x: x + 1)
    assert student.use(1) == 2


THREAD = """
import threading
def later(f):
    def run():
        for _ in range(2000):
            try: f(1)
            except BaseException as e:
                said.append(type(e).__name__ + ": " + str(e))
                return
            time.sleep(0.01)
    threading.Thread(target=run, daemon=True).start()
said = []
def heard(): return list(said)
"""


def test_a_function_that_is_called_while_no_call_runs_raises_there(student_of):
    student = student_of(THREAD)
    student.later(lambda x: x)
    for _ in range(400):
        time.sleep(0.05)
        if said := student.heard():
            break
    assert said[0].startswith("RuntimeError: a function of the check was called after")
    assert student.heard() == said


def test_threads_of_the_notebook_call_back_one_after_the_other(student_of):
    source = """
    from concurrent.futures import ThreadPoolExecutor
    def many(f, n):
        with ThreadPoolExecutor(8) as pool: return sum(pool.map(f, range(n)))
    """
    student = student_of(source)
    f = counted(lambda x: 2 * x)
    assert student.many(f, 200) == 200 * 199
    assert f.calls == 200


def test_another_process_of_the_notebooks_can_not_call_back(student_of):
    source = """
    def f(g):
        r, w = os.pipe()
        if os.fork() == 0:
            try: g(1)
            except RuntimeError as e: os.write(w, str(e).encode())
            os._exit(0)
        os.close(w)
        return os.read(r, 1000).decode()
    """
    assert "from another process" in student_of(source).f(lambda x: x)


def test_a_kept_function_is_nothing_to_the_next_check(serve):
    server = serve("kept = []\ndef keep(f): kept.append(f)\ndef use(): return len(kept)")
    with server.student() as student:
        student["keep"](lambda x: x)
        assert student.use() == 1
    with server.student() as student:
        assert student.use() == 0


def test_where_there_is_but_one_process_a_kept_function_raises_in_the_next_check(serve):
    server = serve(
        "kept = []\ndef keep(f): kept.append(f)\ndef use(): return kept[0](1)", in_place=True
    )
    first = []
    with server.student() as student:
        student["keep"](lambda x: first.append(x))
    with server.student() as student, pytest.raises(StudentError, match="after the check's call"):
        student.use()
    assert first == []


def test_calls_back_have_a_limit_that_is_named(student_of, monkeypatch):
    monkeypatch.setattr(callbacks, "CALLS_MAX", 50)
    student = student_of(CALL)
    with pytest.raises(StudentTimeout, match=r"often\(abs, -1, 100\) called functions .* 50 times"):
        student.often(abs, -1, 100)


def test_what_the_checks_function_computes_counts_as_the_checks_time(student_of):
    student = student_of(CALL, limit_s=0.3)

    def burn(x):
        return sum(range(20_000)) and x

    with pytest.raises(StudentTimeout, match="all calls of a check together may take"):
        student.often(burn, 1, 10**9)


def test_nothing_but_what_was_sent_can_be_named():
    functions = CheckFunctions()
    functions.stand_in(abs)
    assert functions.answer([0, None, -3]) == ["returned", 3]
    for claim in (
        [],
        [0],
        [1, None],
        [-1, None],
        [True, None],
        ["0", None],
        [0, [], 1],
        [0, {1: 2}],
    ):
        with pytest.raises(callbacks.codec.MalformedFrame):
            functions.answer(claim)
