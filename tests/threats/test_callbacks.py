"""A check's function, called back by code that means ill: its limit, and nothing of the check's."""

import numpy as np
import pytest

from grader import records
from grader.errors import BadReply, StudentError, StudentFault, StudentTimeout
from grader.session import callbacks, open_session, start_fork_server

pytestmark = pytest.mark.any_user

SECRET = "KEEP-secret-OUT"
HONEST = """
import numpy as np, os, sys, threading, time
def call(f, *args): return f(*args)
kept = []
def keep(f): kept.append(f)
def use(x): return kept[0](x)
"""
# What speaks to the grader below all that is ours to bound it.
RAW = """
from grader.in_kernel import codec, operations
def raw(*message):
    agent = next(o for o in __import__("gc").get_objects() if type(o) is operations.Check)
    number = agent._number
    pieces = codec.encode([number, *message], keep=lambda value: codec.Handle(0, "x"))
    agent._stream.send(pieces)
    return agent
"""


@pytest.fixture(scope="module")
def session_of(tmp_path_factory):
    """Give a session, sandboxed, on a notebook of one cell."""
    server = start_fork_server()
    sessions = []

    def start(source, **limits):
        cells = (records.Cell(0, "code", HONEST + source),)
        session = open_session(
            records.Notebook("answer.ipynb", cells),
            folder=tmp_path_factory.mktemp("handed in"),
            limits=records.Limits(**limits),
            fork_server=server,
        )
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        session.close()
    if server is not None:
        server.close()


@pytest.fixture(scope="module")
def raw_session(session_of):
    return session_of(RAW, reply_mib=8)


def honest_after(session):
    """The next check has its own process, and works as ever."""
    with session.student() as student:
        assert student.call(lambda x: x + 1, 1) == 2


def test_a_million_calls_end_at_the_checks_limit(session_of):
    session = session_of("def f(g):\n    for _ in range(10**9): g(1)")
    count = [0]

    def g(x):
        count[0] += 1
        return x

    with (
        session.student(limit_s=1) as student,
        pytest.raises(StudentTimeout, match="all calls of a check together may take 1 s"),
    ):
        student.f(g)
    assert count[0] > 100
    honest_after(session)


def test_calls_without_end_are_counted(session_of, monkeypatch):
    monkeypatch.setattr(callbacks, "CALLS_MAX", 1000)
    session = session_of(
        "def f(g):\n    while True:\n        try: g(1)\n        except Exception: pass"
    )
    with (
        session.student() as student,
        pytest.raises(StudentTimeout, match="called functions of the check more than 1,000 times"),
    ):
        student.f(lambda x: 1 / 0)
    honest_after(session)


def test_recursion_ends_in_an_error_that_names_its_depth(session_of):
    session = session_of("")
    with session.student() as student:

        def g(x):
            return student.call(g, x)

        with pytest.raises(RecursionError, match="more than 16 deep"):
            student.call(g, 1)
        assert student.call(abs, -1) == 1
    honest_after(session)


def test_a_function_that_is_kept_has_no_effect_on_another_check(session_of):
    session = session_of("")
    calls = []
    with session.student() as student:
        student["keep"](calls.append)
        with pytest.raises(TypeError):  # None is no number: the check's own function ran
            student.use(1) + 1
    with session.student() as student, pytest.raises(StudentError, match="IndexError"):
        student.use(1)
    assert calls == [1]
    honest_after(session)


def test_huge_values_are_refused_before_they_are_read(session_of):
    session = session_of(
        "def big(f): return f(np.zeros(10**7))\n"
        "def wide(f): return f([[]] * 3_000_000)\n"
        "def long(f): return f(1 << (1 << 24))\n"
        "def deep(f):\n"
        "    x = []\n"
        "    for _ in range(10**5): x = [x]\n"
        "    return f(x)\n",
        reply_mib=8,
    )
    got = []
    for name in ("big", "wide"):
        with session.student() as student, pytest.raises(StudentError, match="more than"):
            student[name](got.append)
    assert got == []
    for name in ("long", "deep"):
        with session.student() as student:
            student[name](got.append)
    assert str(got[0]) == "<int of the student's process>"
    honest_after(session)


FORGED = {
    "a function that was never sent": "raw('calls', 7, None, 1)",
    "a negative number": "raw('calls', -1, None)",
    "a number that is a bool": "raw('calls', True, None)",
    "no number": "raw('calls')",
    "keywords that are none": "raw('calls', 0, [1])",
    "keywords that are numbers": "raw('calls', 0, {1: 2})",
    "an exception that was never raised": "raw('passed on', [3, ['A', 'b', None, 0, '', None]])",
    "an exception of no form": "raw('passed on', 3)",
    "another status": "raw('call back', 0, None)",
    "more than a frame may hold": "raw('calls', 0, None, np.zeros(10**7))",
    "a function as a value, never sent": "raw('value', codec.Function(9, 'x'))",
    "a name of a function": "raw('calls', 'abs', None)",
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_message_is_a_bad_reply(raw_session, forged):
    called = []
    source = f"import __main__\ndef forge(f): return {FORGED[forged]}\n__main__.forge = forge"
    with raw_session.student() as student:
        student["__builtins__"].exec(f"import __main__\nexec({source!r}, vars(__main__))", {})
        with pytest.raises(StudentFault) as caught:
            student.forge(called.append)
    assert isinstance(caught.value, BadReply)
    assert called == []
    honest_after(raw_session)


def test_calls_whose_answers_nobody_reads_end_at_the_limit(session_of):
    session = session_of(RAW + "def flood(f):\n    while True: raw('calls', 0, None, 'x' * 1000)")
    with session.student(limit_s=1) as student, pytest.raises(StudentTimeout):
        student.flood(lambda text: text * 100)
    honest_after(session)


def test_nothing_of_a_function_reaches_the_process_but_its_name_and_parameters(session_of):
    source = """
def search(f):
    import gc
    found = [f.__name__, str(f.__defaults__), str(f.__doc__), str(vars(f))]
    found.append(str(f.__code__.co_consts))
    for cell in f.__closure__: found.append(str(vars(type(cell.cell_contents))))
    for o in gc.get_objects():
        if type(o) in (str, tuple, list, dict):
            try: found.append(repr(o)[:10000])
            except Exception: pass
    with open("/proc/self/maps") as maps: spans = [l.split()[0] for l in maps if "[heap]" in l]
    with open("/proc/self/mem", "rb") as memory:
        for span in spans:
            start, end = (int(x, 16) for x in span.split("-"))
            memory.seek(start)
            found.append(memory.read(end - start).decode("latin-1"))
    # Made only now: this text, and the constants of this function, are in this memory.
    needle = "".join(["KEEP-sec", "ret-OUT"])
    return any(needle in text for text in found)
"""
    session = session_of(source)
    hidden = SECRET

    def f(x, default=SECRET):
        """KEEP-secret-OUT"""
        return len(hidden) + len(default)

    with session.student() as student:
        assert student.call(f, 1) == 2 * len(SECRET)
        assert student.search(f) is False


def test_what_a_check_asserts_in_its_function_does_not_reach_the_process(session_of):
    session = session_of("def f(g):\n    try: g(1)\n    except AssertionError as e: return repr(e)")

    def g(x):
        raise AssertionError(SECRET)

    with session.student() as student:
        assert SECRET not in student.f(g)


def test_what_comes_is_a_copy_that_no_later_change_reaches(session_of):
    session = session_of(
        "def f(g):\n"
        "    x = np.zeros(3)\n"
        "    class Liar(float):\n"
        "        def __add__(self, other): return 42.0\n"
        "    g(Liar(1.0))\n"
        "    g(x)\n"
        "    x += 1\n"
    )
    got = []
    with session.student() as student:
        student.f(got.append)
    assert type(got[0]) is float
    assert np.array_equal(got[1], np.zeros(3))
