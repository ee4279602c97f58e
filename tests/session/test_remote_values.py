"""What stays in the student's process: what a check does with it, and what it may not do."""

import pickle

import numpy as np
import pytest

from grader.checks import assert_close, assert_raises, live
from grader.errors import CheckFailed, NotAValue, StudentError
from grader.session.proxies import Live, Remote

VALUE = """
class Value:
    def __init__(self, data):
        self.data, self.grad = data, 0.0
        self.back = lambda: None
    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data)
        def back():
            self.grad += out.grad
            other.grad += out.grad
        out.back, out.parents = back, (self, other)
        return out
    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data)
        def back():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out.back, out.parents = back, (self, other)
        return out
    __radd__, __rmul__ = __add__, __mul__
    def __neg__(self): return self * -1
    def __eq__(self, other): return self.data == getattr(other, "data", other)
    def __lt__(self, other): return self.data < getattr(other, "data", other)
    def __iadd__(self, other):
        self.data += other
        return self
    def backward(self):
        self.grad = 1.0
        for node in (self, *self.parents): node.back()
"""

SPY = """
seen = []
class Spy:
    def take(self, *other):
        seen.append(other)
        return 0.0
    __sub__ = __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __truediv__ = __pow__ = take
    def __eq__(self, other): seen.append(other); return True
    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __contains__ = __eq__
    def __bool__(self): return True
    def __array_ufunc__(self, *args, **kwargs): seen.append(args); return 0.0
def f(x): return Spy()
def told(): return len(seen)
"""


def test_a_class_with_operators_computes_with_numbers_on_either_side(student_of):
    Value = live(student_of(VALUE).Value)
    a, b = Value(2.0), Value(-3.0)
    out = 10 + a * b + np.float64(1)
    assert isinstance(out, Live)
    assert out.data == 5.0
    assert (-a).data == -2.0
    assert sum([a, b]).data == -1.0
    product = a * b
    product.backward()
    assert (a.grad, b.grad) == (-3.0, 2.0)


def test_a_live_object_answers_comparisons_by_itself(student_of):
    Value = live(student_of(VALUE).Value)
    a = Value(2.0)
    assert a == 2.0 and a == Value(2.0) and a != Value(3.0)
    assert a < Value(3.0) and not a < 1
    a += 5
    assert a.data == 7.0


def test_an_operator_that_a_class_lacks_is_the_students_type_error(student_of):
    a = live(student_of(VALUE).Value)(2.0)
    with pytest.raises(TypeError, match="unsupported operand") as caught:
        a - 1
    assert isinstance(caught.value, StudentError)
    assert caught.value.called == "Value - 1"


COMPARISONS = {
    "==": lambda spy: spy == 5.0,
    "== from the left": lambda spy: 5.0 == spy,  # noqa: SIM300
    "!=": lambda spy: spy != 5.0,
    "<": lambda spy: spy < 5.0,
    "difference": lambda spy: abs(spy - 5.0),
    "difference from the left": lambda spy: 5.0 - spy,
    "difference from a scalar of numpy": lambda spy: np.float64(5) - spy,
    "difference from an array": lambda spy: np.ones(2) - spy,
    "bool": bool,
    "in": lambda spy: 5.0 in spy,
    "in a list": lambda spy: spy in [5.0],
    "a list": lambda spy: spy == [5.0],
    "another object": lambda spy: spy == object(),
    "allclose": lambda spy: np.allclose(spy, 5.0),
    "assert_close": lambda spy: assert_close(spy, 5.0),
    "a power": lambda spy: spy**2,
    "an approximate value": lambda spy: spy == pytest.approx(5.0),
}


@pytest.mark.parametrize("compare", COMPARISONS.values(), ids=COMPARISONS)
def test_an_object_where_a_value_is_due_fails_the_check_and_learns_nothing(student_of, compare):
    student = student_of(SPY)
    spy = student.f(1)
    # numpy 1 looks at the dtype before it asks for a value: the check breaks, and learns nothing.
    before = np.lib.NumpyVersion(np.__version__) < "2.0.0"
    with pytest.raises((CheckFailed, TypeError) if before else CheckFailed):
        compare(spy)
    assert student.told() == 0


def test_an_object_is_never_equal_to_the_same_answer_of_another_function(student_of):
    student = student_of(SPY)
    with pytest.raises(NotAValue, match="got an object of class Spy, expected a plain value"):
        assert student.f(1) == student.f(2)
    spy = student.f(3)
    assert spy == spy
    assert spy != None  # noqa: E711
    assert {spy: 1}[spy] == 1


def test_an_object_is_indexed_counted_and_passed_through(student_of):
    source = """
    class Table:
        def __init__(self): self.rows = {0: "a", 1: [1], 2: Table}
        def __len__(self): return len(self.rows)
        def __getitem__(self, key): return self.rows[key]
        def __setitem__(self, key, value): self.rows[key] = value
        def __delitem__(self, key): del self.rows[key]
        def __iter__(self): return iter(self.rows.values())
        def __float__(self): return 2.5
        def __abs__(self): return 3
    def squares(n):
        for i in range(n): yield i * i
    """
    student = student_of(source)
    table = student.Table()
    assert (len(table), table[1], float(table), abs(table)) == (3, [1], 2.5, 3)
    assert list(table)[:2] == ["a", [1]]
    table["k"] = np.ones(2)
    assert table["k"].tolist() == [1, 1]
    del table["k"]
    with pytest.raises(KeyError, match="KeyError: 'k'"):
        table["k"]
    assert list(student.squares(5)) == [0, 1, 4, 9, 16]
    first, *_ = student.squares(3)
    assert first == 0


def test_an_object_that_has_no_length_and_no_elements_says_so(student_of):
    thing = student_of("class Thing: pass").Thing()
    for ask in (len, list, float, lambda t: t[0]):
        with pytest.raises(TypeError):
            ask(thing)
    assert np.asarray(thing).dtype == object


@pytest.mark.parametrize("length", ["-1", "10**30", "'3'", "None"])
def test_a_length_that_is_none_is_the_students_error(student_of, length):
    thing = student_of(f"class T:\n    def __len__(self): return {length}").T()
    with pytest.raises(StudentError):
        len(thing)


def test_with_enters_and_leaves_an_object(student_of):
    source = """
    class Manager:
        state = "new"
        def __enter__(self):
            Manager.state = "in"
            return 5
        def __exit__(self, *exc): Manager.state = "out"
    """
    student = student_of(source)
    with student.Manager() as entered:
        assert (entered, student.value("Manager").state) == (5, "in")
    assert student.value("Manager").state == "out"


# --- exceptions ---------------------------------------------------------------------------------

ERRORS = """
class NoBracket(ValueError): pass
class Plain(Exception): pass
def fail(kind):
    raise {"v": ValueError("no"), "k": KeyError("k"), "own": NoBracket("mine"), "p": Plain("p"),
           "a": AssertionError("shape"), "z": ZeroDivisionError("z"), "o": OSError(2, "gone"),
           "s": StopIteration(1), "n": NotImplementedError(), "x": SystemExit(3)}[kind]
"""


@pytest.mark.parametrize(
    ("kind", "due"),
    [
        ("v", ValueError),
        ("k", KeyError),
        ("own", ValueError),
        ("a", AssertionError),
        ("z", ArithmeticError),
        ("o", FileNotFoundError),
        ("n", NotImplementedError),
        ("p", StudentError),
        ("s", StudentError),
        ("x", StudentError),
    ],
)
def test_an_error_of_the_students_is_caught_as_the_builtin_class_that_it_is(student_of, kind, due):
    with pytest.raises(due) as caught:
        student_of(ERRORS).fail(kind)
    error = caught.value
    assert isinstance(error, StudentError)
    assert str(error).startswith(f"fail('{kind}') raised ")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))


def test_an_end_of_iteration_does_not_end_a_loop_of_the_checks(student_of):
    student = student_of(ERRORS)
    with pytest.raises(StudentError):
        all(map(student.fail, ["s", "s"]))
    with pytest.raises(StudentError):
        [*map(student.fail.map, [["s"]])]


def test_a_class_that_only_calls_itself_value_error_is_none(student_of):
    student = student_of("class ValueError(Exception): pass\ndef f(): raise ValueError('no')")
    with pytest.raises(StudentError) as caught:
        student.f()
    assert not isinstance(caught.value, ValueError)
    assert caught.value.kind == "ValueError"


def test_map_and_observe_tell_the_class_too(student_of):
    student = student_of(ERRORS)
    with pytest.raises(ZeroDivisionError, match="call 0 of 1"):
        student.fail.map(["z"])
    assert isinstance(student.fail.observe("k").error, KeyError)


def test_assert_raises_takes_a_builtin_class_or_the_name_of_the_students(student_of):
    student = student_of(ERRORS + "def fine(x): return x")
    assert assert_raises(ValueError, student.fail, "own").text == "mine"
    assert_raises("NoBracket", student.fail, "own")
    with pytest.raises(CheckFailed, match="raised ZeroDivisionError, expected ValueError"):
        assert_raises(ValueError, student.fail, "z")
    with pytest.raises(CheckFailed, match="raised ValueError, expected NoBracket"):
        assert_raises("NoBracket", student.fail, "v")
    with pytest.raises(CheckFailed, match="expected it to raise ValueError"):
        assert_raises(ValueError, student.fine, 1)


def test_what_is_no_object_is_not_live():
    with pytest.raises(CheckFailed, match="returned a list of 2 values, expected an object"):
        live([1, 2])


def test_values_of_courses_arrive_from_a_real_process(student_of):
    source = """
    import datetime, fractions
    from collections import namedtuple
    Root = namedtuple("Root", "x steps")
    def f(): return Root({1, 2}, fractions.Fraction(1, 3)), datetime.date(2020, 1, 2), range(3)
    def back(v): return type(v).__name__, v
    """
    student = student_of(source)
    root, day, three = student.f()
    assert (root.x, root.steps * 3, day.year, list(three)) == ({1, 2}, 1, 2020, [0, 1, 2])
    assert student.back({3, 4}) == ("set", {3, 4})
    assert student.back(np.float32) == ("type", np.float32)
    assert not isinstance(root, Remote)
