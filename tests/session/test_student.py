"""Calls into the student's process, from friendly ones to hostile ones. Real forks, no Jupyter."""

import contextlib
import copy
import os
import pickle
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from grader.errors import (
    BadReply,
    Missing,
    ReferenceFault,
    StudentDied,
    StudentError,
    StudentTimeout,
)
from grader.in_kernel import codec
from grader.records import Definition, Limits, Notebook
from grader.session.proxies import Remote, show_call
from grader.session.student import as_reference, wire_of

# /proc, and a fork that dies with its parent.
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")

CODEC = Path(codec.__file__).parent

SIGMOID = """
def sigmoid(z):
    return 1 / (1 + np.exp(-z))
"""

MODEL = """
class Model:
    bias = 1.0

    def __init__(self, w):
        self.w = w

    def predict(self, x, scale=1.0):
        return scale * x * self.w

    @property
    def broken(self):
        return self.nothing_of_the_kind
"""


# --- calls --------------------------------------------------------------------------------------


def test_a_call_returns_the_functions_value(student_of):
    student = student_of(SIGMOID)
    assert student.sigmoid(0.0) == 0.5
    z = np.array([[0.0, np.log(3)]])
    np.testing.assert_allclose(student.sigmoid(z), [[0.5, 0.75]], rtol=1e-15)


def test_a_scalar_of_numpy_arrives_as_one(student_of):
    assert type(student_of(SIGMOID).sigmoid(0.0)) is np.float64


def test_keyword_arguments_are_passed(student_of):
    assert student_of("def f(a, *, b): return [a, b]").f(1, b=2) == [1, 2]


def test_map_returns_the_value_of_each_call(student_of):
    student = student_of("def add(a, b=10): return a + b")
    assert student.add.map([1, 2, (3, 4)]) == [11, 12, 7]


def test_map_names_the_first_call_that_raised(student_of):
    student = student_of("def inverse(x): return 1 // x")
    with pytest.raises(StudentError) as caught:
        student.inverse.map([1, 0, 0])
    assert caught.value.called == "inverse(0) (call 1 of 3)"
    assert caught.value.kind == "ZeroDivisionError"


def test_an_argument_arrives_writable(student_of):
    student = student_of("def f(x):\n    x[0] = 7\n    return x")
    assert student.f(np.zeros(2)).tolist() == [7, 0]


def test_an_error_names_the_students_own_line(student_of):
    source = """
    def outer(x):
        return inner(x)

    def inner(x):
        return np.linalg.inv(x)   # raises inside numpy
    """
    with pytest.raises(StudentError) as caught:
        student_of(source).outer(np.zeros((2, 2)))
    error = caught.value
    assert (error.called, error.kind) == ("outer(array (2, 2) float64)", "LinAlgError")
    assert error.text == "Singular matrix"
    assert error.where == "cell 4, line 7: return np.linalg.inv(x)   # raises inside numpy"


def test_sys_exit_is_an_error_like_others(student_of):
    student = student_of("def f(): sys.exit(3)")
    with pytest.raises(StudentError, match="SystemExit: 3"):
        student.f()
    assert student.has("f")


def test_an_undefined_name_is_missing(student_of):
    student = student_of("")
    with pytest.raises(Missing, match=r"^`sigmoid` is not defined$"):
        student.sigmoid(0.5)


def test_a_name_is_looked_up_in_the_notebook_alone(student_of):
    assert not student_of("").has("print")


def test_variables_are_read_and_set(student_of):
    student = student_of("alpha = 0.5\ndef f(): return alpha")
    assert student.value("alpha") == 0.5
    student.alpha = 2
    assert student.f() == 2


def test_names_that_collide_with_our_own_are_reached_by_index(student_of):
    student = student_of("def value(x): return x + 1\nhas = 3")
    assert student["value"](1) == 2
    student["has"] = 4
    assert student.value("has") == 4


def test_the_names_of_the_notebook_are_listed_and_no_others(student_of):
    student = student_of(
        "import math\n_x = 1\nfor i in range(2): pass\ndef f(): return i\nlast = 4"
    )
    assert student.names()[-3:] == ["i", "f", "last"]
    assert "_x" not in student.names()


def test_has_follows_dotted_names(student_of):
    student = student_of(MODEL)
    assert student.has("Model.predict")
    assert not student.has("Model.fit")
    assert not student.has("Nothing.predict")


def test_source_is_the_definition_as_handed_in(student_of):
    definition = Definition("f", 4, 1, "def f(): ...")
    student = student_of("", notebook=Notebook("a.ipynb", (), {"f": definition}))
    assert student.source("f") == "def f(): ..."
    assert student.source("g") == ""


def test_each_check_starts_from_the_state_that_the_notebook_left(serve):
    server = serve("seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)")
    for _ in range(3):
        with server.student() as student:
            assert student.f(1) == 1


# --- what stays over there ----------------------------------------------------------------------


def test_an_object_reads_sets_and_calls_like_a_local_one(student_of):
    model = student_of(MODEL).Model(3.0)
    assert isinstance(model, Remote)
    assert (model.type_name, repr(model)) == ("Model", "<Model of the student's process>")
    assert (model.w, model.bias) == (3.0, 1.0)
    model.w = np.array([1.0, 2.0])
    assert model.predict(2).tolist() == [2, 4]
    assert [one.tolist() for one in model.predict.map([1, (1, 3)])] == [[1, 2], [3, 6]]
    assert model.predict.observe(2, scale=0.5).value.tolist() == [1, 2]


def test_a_missing_attribute_of_an_object_is_missing(student_of):
    model = student_of(MODEL).Model(3.0)
    with pytest.raises(Missing, match=r"^`Model\.v` is not defined$"):
        model.v  # noqa: B018


def test_a_property_that_fails_inside_is_the_students_error(student_of):
    model = student_of(MODEL).Model(3.0)
    with pytest.raises(StudentError, match="nothing_of_the_kind"):
        model.broken  # noqa: B018


def test_a_call_of_an_objects_method_reads_well_in_messages(student_of):
    model = student_of(MODEL).Model(3.0)
    with pytest.raises(StudentError) as caught:
        model.predict()
    assert caught.value.called == "Model.predict()"


def test_objects_and_functions_are_arguments_too(student_of):
    student = student_of(
        SIGMOID + MODEL + "def apply(f, x): return f(x)\ndef is_it(a, b): return a['m'] is b"
    )
    model = student.Model(2.0)
    assert student.apply(student.sigmoid, 0.0) == 0.5
    assert student.apply(model.predict, 4.0) == 8.0
    assert student.is_it({"m": model}, model) is True


def test_a_kept_value_is_sent_once_and_used_often(student_of):
    student = student_of("def same(a, b): return a is b\ndef change(x): x[0] = 5")
    data = student.keep(np.zeros(3))
    assert student.same(data, data) is True
    student.change(data)
    assert data.get().tolist() == [5, 0, 0]
    assert isinstance(student.same.observe(data, 1).arguments[0], Remote)


def test_items_of_an_object_are_reached(student_of):
    student = student_of("class Table:\n    def __getitem__(self, key): return key * 2")
    assert student.Table().item("ab") == "abab"


@pytest.mark.parametrize("result", ["lambda: 1", "(i for i in [1])", "object()", "np"])
def test_what_is_no_plain_value_stays_there(student_of, result):
    assert isinstance(student_of(f"def f(): return {result}").f(), Remote)


def test_a_returned_function_can_be_called(student_of):
    double = student_of("def make(): return lambda x: 2 * x").make()
    assert double(4) == 8


def test_a_frame_of_a_pandas_like_library_is_reached_by_its_methods(student_of):
    source = """
    class Frame:
        def __array__(self, *args, **kwargs):
            return np.ones(2)
        def to_numpy(self):
            return np.ones(2)
        def __getattr__(self, name):
            raise AttributeError(name)
    def f(): return Frame()
    """
    frame = student_of(source).f()
    assert isinstance(frame, Remote)
    assert frame.to_numpy().tolist() == [1, 1]
    with pytest.raises(Missing):
        frame.columns  # noqa: B018


def test_a_class_that_extends_dict_makes_objects_and_a_named_tuple_is_a_value(student_of):
    source = """
    from collections import namedtuple
    class Params(dict):
        w = 3
    Pair = namedtuple("Pair", "dw db")
    def gradients(): return Pair(1, 2)
    """
    student = student_of(source)
    assert student.Params().w == 3
    assert student.gradients() == (1, 2)


def test_no_question_of_python_itself_travels(student_of):
    student = student_of("class C:\n    def __getattr__(self, name): os._exit(1)\nc = C()")
    c = student.value("c")
    for proxy in (student, student.f, c):
        assert not hasattr(proxy, "__array__")
        assert not hasattr(proxy, "_repr_html_")
        assert not hasattr(proxy, "_ipython_display_")
        with pytest.raises(TypeError):
            pickle.dumps(proxy)
        with pytest.raises(TypeError):
            copy.copy(proxy)
    assert np.asarray(c).dtype == object
    assert student.has("c")


def test_what_cannot_travel_is_a_type_error_of_the_check(student_of):
    student = student_of(SIGMOID)
    with pytest.raises(TypeError, match="object can't be sent"):
        student.sigmoid(object())
    assert student.sigmoid(0.0) == 0.5


def test_an_object_of_another_check_is_refused(serve):
    server = serve(SIGMOID + MODEL)
    with server.student() as one, server.student() as other:
        model = one.Model(1.0)
        with pytest.raises(TypeError, match="another process"):
            other.sigmoid(model)


def test_calls_are_shown_in_a_few_words():
    args = (np.zeros((3, 4)), 0.5, np.float64(2.0), [1, 2], [0] * 120, "a" * 100, None)
    assert show_call("f", args, {"alpha": (1,)}) == (
        "f(array (3, 4) float64, 0.5, 2.0, [1, 2], list of 120, '"
        + "a" * 36
        + "..., None, alpha=(1,))"
    )


# --- observed calls -----------------------------------------------------------------------------


def test_observe_shows_arguments_as_they_are_after_the_call(student_of):
    student = student_of("def f(x):\n    x /= 2\n    return x.sum()")
    x = np.array([2.0, 4.0])
    seen = student.f.observe(x)
    assert (seen.value, seen.arguments[0].tolist()) == (3.0, [1.0, 2.0])
    assert x.tolist() == [2.0, 4.0]


def test_observe_shows_every_warning_each_time_whatever_the_notebook_set(student_of):
    student = student_of(
        SIGMOID + "import warnings\nwarnings.simplefilter('ignore')\nnp.seterr(all='ignore')"
    )
    for _ in range(2):
        seen = student.sigmoid.observe(np.array([-1000.0]))
        assert seen.warnings == ("RuntimeWarning: overflow encountered in exp",)
        assert seen.value.tolist() == [0.0]


def test_observe_shows_what_was_printed_up_to_a_limit(student_of):
    student = student_of("def f(n): print('x' * n)")
    assert student.f.observe(3).printed == "xxx\n"
    assert student.f.observe(10**7).printed == "x" * 2**16
    assert student.f.observe(1).printed == "x\n"


def test_observe_holds_the_error_instead_of_raising_it(student_of):
    seen = student_of("def f(x):\n    x[0] = 1\n    raise ValueError('no')").f.observe(np.zeros(1))
    assert (seen.error.kind, seen.error.text, seen.value) == ("ValueError", "no", None)
    assert seen.arguments[0].tolist() == [1]


def test_observe_counts_steps_that_grow_with_a_loop_alone(student_of):
    student = student_of(
        "def loop(x):\n    t = 0.0\n    for v in x: t += v\n    return t\n"
        "def vectorised(x): return np.mean(x)"
    )

    def steps(name, size):
        seen = student[name].observe(np.zeros(size), steps=True)
        assert seen.error is None
        return seen.steps

    assert steps("loop", 1000) - steps("loop", 100) >= 900
    steps("vectorised", 10)
    assert steps("vectorised", 1000) == steps("vectorised", 100) > 0


def test_steps_are_none_unless_asked_for(student_of):
    assert student_of(SIGMOID).sigmoid.observe(0.5).steps is None


def test_code_that_traces_itself_runs_and_has_no_steps(student_of):
    student = student_of("def f():\n    sys.settrace(lambda *a: None)\n    return 3")
    seen = student.f.observe(steps=True)
    assert (seen.value, seen.steps) == (3, None)
    assert student.f.observe().value == 3


# --- figures ------------------------------------------------------------------------------------

FIGURE = """
def figures_of_the_test():
    axes = dict(title="Cost", xlabel="", ylabel="", xscale="linear", yscale="log", legend=["a"],
                lines=[dict(x=np.arange(3), y=np.arange(3.0), label="a\\x1b[31m")],
                images=[np.zeros((2, 2))], extents=[np.arange(4.0)],
                contours=[np.zeros((3, 2))], bars=np.zeros((0, 3)), points=[np.zeros((4, 2))])
    axes.update(changed)
    return [dict(cell=4, axes=[axes])]
changed = {}
"""


def test_figures_arrive_in_their_form_with_harmless_texts(student_of):
    (figure,) = student_of(FIGURE).figures
    (axes,) = figure["axes"]
    assert (figure["cell"], axes["title"], axes["yscale"]) == (4, "Cost", "log")
    assert axes["lines"][0]["x"].dtype == np.float64
    assert axes["lines"][0]["label"] == "a"


@pytest.mark.parametrize(
    "changed",
    [
        {"lines": 3},
        {"lines": [{"x": np.zeros(2), "y": np.zeros(3), "label": ""}]},
        {"lines": [{"x": [1], "y": [1], "label": ""}]},
        {"bars": np.zeros((2, 2))},
        {"title": None},
        {"images": [None]},
        {"images": []},
        {"extents": [np.zeros(3)]},
        {"contours": [np.zeros((2, 3))]},
        {"points": [np.array(["a"])]},
    ],
    ids=repr,
)
def test_figures_in_another_form_are_a_bad_reply(student_of, changed):
    student = student_of(FIGURE)
    student.changed = changed
    with pytest.raises(BadReply):
        student.figures  # noqa: B018


def test_figures_travel_again_only_after_a_request_that_may_draw(student_of):
    again = """
figures_once = figures_of_the_test
drawn = 0
def draw():
    global drawn
    drawn += 1
def figures_of_the_test():
    return figures_once() * drawn
"""
    student = student_of(FIGURE + again)
    replies = []
    wire_of(student).on_reply = lambda operation, content: replies.append(operation)
    student.draw()
    first = student.figures
    first[0]["axes"][0]["lines"][0]["x"][:] = 9  # a check may change what it gets
    assert student.figures[0]["axes"][0]["lines"][0]["x"].tolist() == [0, 1, 2]
    student.draw()
    assert [len(first), len(student.figures)] == [1, 2]
    assert replies == ["call", "figures", "call", "figures"]


# --- limits -------------------------------------------------------------------------------------


def test_an_endless_loop_times_out_and_names_call_and_limit(student_of):
    student = student_of("def f(x):\n    while True: pass", limit_s=0.3)
    with pytest.raises(StudentTimeout, match=r"f\(1\) did not return: .* 0.3 s"):
        student.f(1)
    with pytest.raises(StudentTimeout):
        student.f(2)


def test_a_sleep_for_ever_times_out(student_of):
    student = student_of("def f(): time.sleep(10**6)", limit_s=0.1)
    with pytest.raises(StudentTimeout):
        student.f()


def test_an_endless_loop_in_c_that_holds_the_interpreter_times_out(student_of):
    student = student_of("import itertools\ndef f(): max(itertools.repeat(0))", limit_s=0.2)
    with pytest.raises(StudentTimeout):
        student.f()


def test_an_endless_loop_that_ignores_signals_and_catches_everything_times_out(student_of):
    source = """
    import signal
    def f():
        for number in range(1, 32):
            try: signal.signal(number, signal.SIG_IGN)
            except OSError: pass
        while True:
            try:
                while True: pass
            except BaseException: pass
    """
    student = student_of(source, limit_s=0.2)
    with pytest.raises(StudentTimeout):
        student.f()


def test_the_limit_holds_for_all_calls_together(student_of):
    student = student_of(
        "def burn(s):\n"
        "    end = time.process_time() + s\n"
        "    while time.process_time() < end: pass",
        limit_s=0.5,
    )
    with pytest.raises(StudentTimeout):
        for _ in range(20):
            student.burn(0.1)


@linux
def test_a_process_that_stops_itself_again_and_again_is_one_that_sleeps(student_of):
    source = """
    def f():
        while True:
            os.kill(os.getpid(), 19)
    """
    with pytest.raises(StudentTimeout):
        student_of(source, limit_s=0.5).f()


@pytest.mark.parametrize("place", ["__repr__", "__del__", "__eq__", "__str__"])
def test_endless_special_methods_end_with_the_limit_at_worst(student_of, place):
    source = f"""
    class Trap(Exception):
        def {place}(self, *args):
            while True: pass
    def f(): raise Trap()
    """
    with pytest.raises((StudentTimeout, StudentError)):
        student_of(source, limit_s=0.2).f()


@linux
def test_a_timed_out_check_leaves_no_process_behind(student_of, until, alive):
    source = """
    def start():
        for _ in range(3):
            pid = os.fork()
            if not pid:
                while True: time.sleep(100)
        return os.getpid(), pid
    def loop():
        while True: pass
    """
    student = student_of(source, limit_s=0.3)
    pids = student.start()
    with pytest.raises(StudentTimeout):
        student.loop()
    until(lambda: not any(map(alive, pids)))


@linux
def test_a_closed_check_leaves_no_process_behind(student_of, until, alive):
    source = """
    def start(session):
        pid = os.fork()
        if not pid:
            if session: os.setsid()
            while True: time.sleep(100)
        time.sleep(0.1)
        return pid
    """
    student = student_of(source)
    pids = [student.start(False), student.start(True)]
    assert all(map(alive, pids))
    student.close()
    until(lambda: not any(map(alive, pids)))


def test_a_closed_student_answers_no_more(student_of):
    student = student_of(SIGMOID)
    student.close()
    student.close()
    with pytest.raises(RuntimeError, match="closed"):
        student.sigmoid(0.0)


@linux
def test_checks_die_with_the_notebooks_process(serve, until, alive):
    server = serve("def pid(): return os.getpid()\ndef loop():\n    while True: pass")
    with server.student() as student:
        pid = student.pid()
        server.process.kill()
        server.process.wait()
        until(lambda: not alive(pid))
        with pytest.raises(StudentDied):
            student.loop()
    with pytest.raises(StudentDied):
        server.student()


# --- hostile code -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "killed by SIGSEGV"),
        ("os.closerange(0, 10000)", "exit code 0"),
        pytest.param(
            "sys.setrecursionlimit(10**9); g = lambda x: g(sorted([x], key=g)); g(1)",
            "killed by",
            marks=pytest.mark.skipif(
                sys.version_info >= (3, 12), reason="Python 3.12 stops it before the stack ends"
            ),
        ),
    ],
)
def test_a_process_that_ends_itself_is_said_to_have_died(student_of, body, how):
    with pytest.raises(StudentDied, match=rf"f\(\) ended the student's process \({how}"):
        student_of(f"def f():\n    {body}").f()


def test_a_check_that_died_costs_that_check_alone(serve):
    server = serve(SIGMOID + "def die(): os._exit(0)")
    with server.student() as student, pytest.raises(StudentDied):
        student.die()
    with server.student() as student:
        assert student.sigmoid(0.0) == 0.5


def test_deep_recursion_and_a_lack_of_memory_are_errors_of_the_call(student_of):
    student = student_of("def f(x): return f(x)\ndef g(): return np.ones(10**14)")
    with pytest.raises(StudentError, match="RecursionError"):
        student.f(1)
    with pytest.raises(StudentError, match="MemoryError"):
        student.g()
    assert student.has("f")


def test_what_holds_more_than_a_reply_may_is_a_bad_reply(student_of):
    student = student_of(
        "def f(): return np.broadcast_to(1.0, 10**9)\ndef g(): return 3", limits=Limits(reply_mib=1)
    )
    with pytest.raises(BadReply, match=r"f\(\) returned more than 1 MiB"):
        student.f()
    assert student.g() == 3


def test_a_list_nested_without_end_stays_there(student_of):
    student = student_of(
        "def f():\n    deep = []\n    for _ in range(10**5): deep = [deep]\n    return deep"
    )
    value, depth = student.f(), 0
    while type(value) is list:
        (value,), depth = value, depth + 1
    assert isinstance(value, Remote)
    assert depth <= 64


def test_an_array_of_objects_stays_there(student_of):
    assert isinstance(student_of("def f(): return np.array([1, None])").f(), Remote)


def test_subclasses_that_lie_are_sent_by_their_true_bytes(student_of):
    source = """
    class Liar(np.ndarray):
        shape = property(lambda self: (9,))
        def __array__(self, *a, **k): return np.zeros(9)
        def __eq__(self, other): return True
        def tobytes(self, *a): return b""
    class Nine(float):
        def __float__(self): return 9.0
        def __repr__(self): return "9.0"
    def f(): return [np.array([1.0, 2.0]).view(Liar), Nine(1.0), np.matrix([[3.0]])]
    """
    array, number, matrix = student_of(source).f()
    assert array.tolist() == [1.0, 2.0]
    assert (number, type(number)) == (1.0, float)
    assert (matrix.tolist(), type(matrix)) == ([[3.0]], np.ndarray)


def test_replaced_functions_of_builtins_and_numpy_change_no_value(student_of):
    source = """
    import builtins, json, socket, struct, warnings
    def sigmoid(z): return 1 / (1 + np.exp(-z))
    def lie(*args, **kwargs): return True
    for module, names in [
        (np, "allclose all any array array_equal asarray ascontiguousarray frombuffer save"),
        (builtins, "abs isinstance issubclass len max min sum type getattr sorted"),
        (json, "dumps loads"),
        (struct, "pack unpack"),
        (os, "fork getpid read write _exit"),
        (time, "time perf_counter"),
        (socket, "socket"),
        (socket.socket, "send sendall recv recv_into close"),
    ]:
        for name in names.split():
            setattr(module, name, lie)
    """
    student = student_of(source)
    assert student.sigmoid(np.zeros(2)).tolist() == [0.5, 0.5]
    assert student.sigmoid.map([0.0] * 20) == [0.5] * 20


def test_endless_prints_on_every_channel_neither_block_nor_show(student_of, capfd):
    source = """
    import logging
    handler = logging.StreamHandler(sys.stdout)
    old = sys.stdout
    def f():
        for _ in range(1000):
            print("x" * 10_000)
            os.write(1, b"x" * 10_000)
            old.write("x" * 10_000)
        print("y", file=sys.stderr)
        sys.stdout.buffer.write(b"z")
        logging.getLogger().addHandler(handler)
        logging.warning("logged")
        return os.system("echo from a shell")
    """
    assert student_of(source).f() == 0
    assert capfd.readouterr() == ("", "")


def test_input_is_an_end_of_file(student_of):
    student = student_of("def f(): return input('name? ')\ndef g(): return sys.stdin.read()")
    with pytest.raises(StudentError, match="EOFError"):
        student.f()
    assert student.g() == ""


def test_texts_from_the_process_are_harmless_and_short(student_of):
    source = """
    kind = type("Evil\\x1b]0;title\\x07" + "x" * 10**4, (Exception,), {})
    def f(): raise kind("\\x1b[2J\\u202egnp.exe\\n" + "y" * 10**6)
    """
    with pytest.raises(StudentError) as caught:
        student_of(source).f()
    assert str(caught.value).replace("\n", "").isprintable()
    assert len(str(caught.value)) < 2000


def test_an_exception_whose_text_raises_is_still_an_error(student_of):
    source = """
    class Evil(Exception):
        def __str__(self): raise SystemExit
    def f(): raise Evil
    """
    with pytest.raises(StudentError, match="Evil: <its text raises SystemExit>"):
        student_of(source).f()


@linux
def test_names_looked_for_by_the_student_lead_to_no_check(student_of):
    source = """
    import gc
    def f():
        links = []
        for name in os.listdir("/proc/self/fd"):
            try: links.append(os.readlink(f"/proc/self/fd/{name}"))
            except OSError: pass
        names = {type(o).__module__ + "." + type(o).__qualname__ for o in gc.get_objects()}
        return links, sorted(n for n in names if n.startswith("grader.")), sorted(
            n for n in sys.modules if n.startswith("grader"))
    """
    links, objects, modules = student_of(source).f()
    assert sum(link.startswith("socket:") for link in links) == 1
    inside = {"agent", "codec", "counting", "functions", "operations", "operators"}
    inside |= {"printing", "protocol", "sandbox", "system"}
    inside |= {"sandbox.libc", "sandbox.limits"}
    inside |= {f"codec.{path.stem}" for path in CODEC.glob("[a-z]*.py")}
    inside = {f"grader.in_kernel.{module}" for module in inside}
    assert {name.rpartition(".")[0] for name in objects} <= inside
    assert set(modules) == {"grader", "grader.in_kernel", *inside}


# A process that rewrites the agent and answers in its place. `answer` gets the socket.
REWRITTEN = """
from grader.in_kernel import codec, operations
def hijack(check, *args):
    socket = check._stream._socket
    number = check._stream.receive(lambda handle: None)[0]
    answer(socket, number)
    os._exit(0)
operations.Check.serve = hijack
def send(socket, *pieces):
    for piece in pieces: socket.sendall(piece)
"""


@pytest.mark.parametrize(
    "answer",
    [
        "socket.sendall(b'HTTP/1.1 200 OK' * 100)",
        "send(socket, *codec.encode([number + 1, 'value', 1]))",
        "send(socket, *codec.encode([number, 'perhaps', 1]))",
        "send(socket, *codec.encode([number, 'value']))",
        "send(socket, *codec.encode([number, 3, 1]))",
        "send(socket, *codec.encode({'number': 1}))",
        "send(socket, *codec.encode([number, 'raised', ['ValueError']]))",
        "send(socket, *codec.encode([number, 'raised', [1, 2, 3, 4, 5, 6]]))",
        "send(socket, *codec.encode([number, 'too large', 3]))",
        "socket.sendall(b'GRDF' + (1).to_bytes(4, 'little') + b'\\xff' * 8)",
        "socket.sendall(b'GRDF' + (1).to_bytes(4, 'little') + (1).to_bytes(4, 'little')"
        " + (4).to_bytes(4, 'little') + (8 * 10**9).to_bytes(8, 'little') + b'null')",
        "import pickle; socket.sendall(pickle.dumps([number, 'value', 1]) * 10)",
    ],
)
def test_a_process_that_answers_what_is_no_reply_is_a_bad_reply(student_of, answer):
    student = student_of(REWRITTEN + f"def answer(socket, number):\n    {answer}\n")
    with pytest.raises(BadReply):
        student.f(1)
    with pytest.raises(BadReply):
        student.f(2)


@pytest.mark.parametrize(
    ("call", "claim"),
    [
        (lambda student: student.f.map([1, 2]), [1]),
        (lambda student: student.f.map([1, 2]), 3),
        (lambda student: student.f.observe(1), {"value": 1}),
        (lambda student: student.f.observe(1), None),
        (lambda student: student.has("f"), 1),
        (lambda student: student.keep(1), 1),
        (lambda student: student.figures, {"axes": []}),
    ],
)
def test_a_claim_in_another_form_than_the_question_is_a_bad_reply(student_of, call, claim):
    student = student_of(
        REWRITTEN + "def answer(socket, number):\n"
        f"    send(socket, *codec.encode([number, 'value', {claim!r}]))\n"
    )
    with pytest.raises(BadReply):
        call(student)


def test_a_map_that_blames_a_call_that_was_not_made_is_a_bad_reply(student_of):
    student = student_of(
        REWRITTEN + "def answer(socket, number):\n"
        "    send(socket, *codec.encode([number, 'raised', ['E', '', None, 0, '', 7]]))\n"
    )
    with pytest.raises(BadReply):
        student.f.map([1, 2])


@pytest.mark.parametrize(
    "answer",
    [
        # A byte now and then: each arrives in time, the whole never does.
        "while True: socket.sendall(b'G'); time.sleep(0.01)",
        "socket.sendall(b'GRDF' + (1).to_bytes(4, 'little') + (0).to_bytes(4, 'little')"
        " + (10**6).to_bytes(4, 'little'))\n"
        "    while True: socket.sendall(b' '); time.sleep(0.01)",
        "time.sleep(10**6)",
    ],
)
def test_a_process_that_trickles_its_reply_does_not_hold_the_grader_up(student_of, answer):
    student = student_of(REWRITTEN + f"def answer(socket, number):\n    {answer}\n", limit_s=0.1)
    with pytest.raises((StudentTimeout, BadReply)):
        student.f(1)


def test_a_process_that_does_not_read_its_request_does_not_hold_the_grader_up(student_of):
    source = """
    from grader.in_kernel import operations
    operations.Check.serve = lambda check: time.sleep(10**6)
    """
    student = student_of(source, limit_s=0.1)
    with pytest.raises(StudentTimeout):
        student.f(np.zeros(10**7))


@pytest.mark.parametrize(
    "trap",
    [
        "os.register_at_fork(after_in_child=lambda: os._exit(0))",
        "from grader.in_kernel import agent; agent._fork = lambda: 10**9",
        "from grader.in_kernel import agent; agent._detach = lambda parent: os._exit(0)",
    ],
)
def test_a_process_whose_forks_never_come_is_said_to_have_died(serve, monkeypatch, trap):
    monkeypatch.setattr("grader.session.server._FORK_S", 1.0)
    server = serve(trap)
    with pytest.raises((StudentDied, StudentTimeout)):
        server.student()


def test_a_notebook_that_uses_up_its_processes_costs_the_check_not_the_session(serve):
    server = serve(
        "from grader.in_kernel import agent\n"
        "fork, forks = agent._fork, []\n"
        "def limited():\n"
        "    forks.append(1)\n"
        "    if len(forks) == 1: raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    return fork()\n"
        "agent._fork = limited\n" + SIGMOID
    )
    with pytest.raises(StudentDied, match="Resource temporarily unavailable"):
        server.student()
    with server.student() as student:
        assert student.sigmoid(0.0) == 0.5


def test_a_stranger_without_the_token_is_turned_away(serve):
    import socket

    server = serve(SIGMOID)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as stranger:
        stranger.connect(server.address.removeprefix("unix:"))
        stranger.sendall(b"let me in, it is me")
        with server.student() as student:
            assert student.sigmoid(0.0) == 0.5


# --- in place, and over loopback ----------------------------------------------------------------


@pytest.mark.parametrize("loopback", [False, True])
def test_without_fork_checks_are_answered_in_place_one_after_the_other(serve, loopback):
    server = serve(SIGMOID + "def pid(): return os.getpid()", in_place=True, loopback=loopback)
    for _ in range(2):
        with server.student() as student:
            assert student.sigmoid(0.0) == 0.5
            assert student.pid() == server.process.pid


def test_in_place_a_second_student_at_a_time_is_a_mistake(serve):
    server = serve(SIGMOID, in_place=True)
    with server.student(), pytest.raises(RuntimeError, match="still open"):
        server.student()


def test_in_place_a_hang_ends_the_session(serve):
    server = serve("def loop():\n    while True: pass", in_place=True)
    with server.student(limit_s=0.2) as student, pytest.raises(StudentTimeout):
        student.loop()
    with pytest.raises(StudentDied):
        server.student()
    assert server.process.wait() == -signal.SIGKILL


def test_over_loopback_the_session_is_told_to_end_a_hung_kernel(serve):
    killed = []
    server = serve(
        "def loop():\n    while True: pass",
        in_place=True,
        loopback=True,
        kill=lambda: killed.append(True),
    )
    with server.student(limit_s=0.1) as student, pytest.raises(StudentTimeout):
        student.loop()
    assert killed == [True]


def test_forks_answer_over_loopback_too(serve):
    server = serve(SIGMOID, loopback=True)
    with server.student() as student:
        assert student.sigmoid(0.0) == 0.5


# --- the processes' own end ---------------------------------------------------------------------


def test_the_notebooks_process_ends_when_the_grader_closes(serve):
    server = serve("import atexit\natexit.register(time.sleep, 10**6)")
    server.close()
    assert server.process.wait() == 0


def test_closing_removes_the_socket(serve):
    server = serve()
    path = server.address.removeprefix("unix:")
    assert os.path.exists(path)  # noqa: PTH110
    server.close()
    assert not os.path.exists(os.path.dirname(path))  # noqa: PTH110, PTH120


def test_waiting_for_a_process_that_is_gone_ends_at_once():
    from grader.session.server import AgentServer

    with AgentServer() as server, pytest.raises(StudentDied):
        server.wait(alive=lambda: False)


@pytest.mark.parametrize("name", ["f", "not_there"])
def test_a_fault_of_the_solved_notebook_is_none_of_a_student(student_of, name):
    student = as_reference(student_of("def f(): raise ValueError('unfinished')"))
    with pytest.raises(ReferenceFault, match=r"the solved notebook: .*(unfinished|not defined)"):
        student[name]()


# --- tensors: torch is played here, tests/test_torch.py has the real one ------------------------

TORCH = """
import types

class Tensor:
    dtype = "float32"
    def __init__(self, values):
        self.values = values
    def detach(self):
        return Tensor(self.values)
    cpu = detach
    def numpy(self):
        return self.values

class Sparse(Tensor):
    def numpy(self):
        raise TypeError("no strides")

sys.modules["torch"] = types.SimpleNamespace(Tensor=Tensor, tensor=Tensor, bfloat16="bfloat16")

def double(tensor):
    return {"doubled": [Tensor(2 * tensor.values)]}

def sparse():
    return Sparse(None)
"""


def test_a_tensor_goes_in_as_values_and_comes_back_as_an_array(student_of):
    student = student_of(TORCH)
    tensor = student.tensor(np.array([1.0, 2.0]))
    assert student.double(tensor)["doubled"][0].tolist() == [2.0, 4.0]
    assert show_call("double", (tensor,), {}) == "double(tensor (2,) float64)"


def test_a_tensor_that_is_no_array_stays_behind_a_handle(student_of):
    student = student_of(TORCH)
    assert student.sparse().type_name == "Sparse"


def test_where_torch_is_not_there_a_tensor_is_the_students_error(student_of):
    student = student_of("sys.modules['torch'] = None")
    with pytest.raises(StudentError, match="torch"):
        student.tensor(np.zeros(2))


def test_a_method_is_looked_up_again_at_each_call(student_of):
    source = """
class Model:
    def __init__(self):
        self.rate = 1.0
    def step(self, x):
        return self.rate * x
    def replace(self):
        self.step = lambda x: -x
    def spoil(self):
        self.step = 3.0
"""
    model = student_of(source).Model()
    assert model.step(2.0) == 2.0
    model.rate = 5.0
    assert model.step(2.0) == 10.0
    assert model.step.map([1.0, 2.0]) == [5.0, 10.0]
    model.replace()
    assert model.step(2.0) == -2.0
    model.spoil()
    with pytest.raises(StudentError, match="not callable"):
        model.step(2.0)
    assert model.step.get() == 3.0


def test_a_method_can_be_an_argument_and_has_attributes_whenever_it_is_read(student_of):
    source = """
class Model:
    def f(self, x):
        "Doubles."
        return 2 * x
def apply(function, x):
    return function(x)
"""
    student = student_of(source)
    model = student.Model()
    for _ in range(2):
        assert student.apply(model.f, 4) == 8
        assert model.f.attribute("__doc__") == "Doubles."
        assert model.f.type_name == "method"


@pytest.mark.parametrize(
    "use",
    [
        lambda name: name < 0.1,
        lambda name: name == 0.05,
        lambda name: name != 0,
        bool,
        lambda name: 2 * name,
        lambda name: name[0],
        lambda name: len(name),
        lambda name: [*name],
        lambda name: float(name),
    ],
)
def test_a_name_that_is_used_as_a_value_says_how_to_fetch_it(student_of, use):
    student = student_of("error_rate = 0.05")
    with pytest.raises(TypeError, match=r"student.value\('error_rate'\) fetches"):
        use(student.error_rate)
    assert student.value("error_rate") < 0.1
