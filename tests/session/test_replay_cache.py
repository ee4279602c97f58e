"""The solved notebook is asked once what every submission's check asks of it."""

import contextlib

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from grader.checks import counted
from grader.errors import EnoughAsked, StudentDied, StudentError, StudentFault, StudentTimeout
from grader.session import recordings, replay_cache
from grader.session.recordings import Recorder, replay
from grader.session.replay_cache import ReplayCache, replayed
from grader.tracing import answers_of

SOURCE = """
import numpy as np, os
class Model:
    def __init__(self): self.w = np.arange(3.0)
    def cost(self, x): return float(self.w @ x)
count = 0
def counted():
    global count
    count += 1
    return count
def twice(x): return 2 * x
def fails(): raise ValueError("no such answer")
def dies(): os._exit(3)
def newton(f, df, x, steps=4):
    for _ in range(steps): x = x - f(x) / df(x)
    return x
def hangs():
    while True: pass
"""


@pytest.fixture
def reference(run, monkeypatch):
    """A session on a solved notebook; `forks` counts its processes."""
    session = run(SOURCE)
    session.forks = 0
    open_student = session.student

    def student(limit_s, reply_mib=None):
        session.forks += 1
        return open_student(limit_s)

    monkeypatch.setattr(session, "student", student)
    return session


def test_what_was_asked_before_is_answered_without_a_process(reference):
    memory, x = ReplayCache(), np.arange(6.0).reshape(2, 3)
    for _ in range(3):
        with replayed(reference, memory, limit_s=20) as answers:
            got = answers.twice(x)
            assert_array_equal(got, 2 * x)
            got[:] = 0  # each check has a copy of its own
            model = answers.Model()
            model.w = np.ones(3)
            assert model.cost(np.arange(3.0)) == 3.0
            assert model.cost.map([np.ones(3), np.zeros(3)]) == [3.0, 0.0]
            assert answers.value("count") == 0
    assert reference.forks == 1


def test_another_question_is_put_to_a_process_in_the_same_state(reference):
    memory = ReplayCache()
    with replayed(reference, memory, limit_s=20) as answers:
        model = answers.Model()
        assert [answers.counted(), answers.counted()] == [1, 2]
    for x in (1.0, 2.0, 2.0):
        with replayed(reference, memory, limit_s=20) as answers:
            model = answers.Model()
            assert [answers.counted(), answers.counted()] == [1, 2]
            assert answers.twice(x) == 2 * x
            assert answers.counted() == 3
            assert model.cost(np.array([0.0, x, 0.0])) == x
    assert reference.forks == 3  # the last one's were all known


def test_errors_are_recalled_and_deaths_are_not(reference):
    memory = ReplayCache()
    for _ in range(2):
        with replayed(reference, memory, limit_s=20) as answers:
            with pytest.raises(StudentError, match="no such answer"):
                answers.fails()
            with pytest.raises(StudentDied, match="exit code 3"):
                answers.dies()
    assert reference.forks == 2
    with replayed(reference, memory, limit_s=0.2) as answers, pytest.raises(StudentTimeout):
        answers.hangs()


def test_functions_of_the_check_are_called_without_a_process(reference):
    memory = ReplayCache()
    for a in (2.0, 2.0, 3.0, 2.0):
        with replayed(reference, memory, limit_s=20) as answers:
            f = counted(lambda x, a=a: x**2 - a)
            assert answers.newton(f, lambda x: 2 * x, 1.0) == pytest.approx(a**0.5, abs=1e-3)
            assert f.calls == 4
    assert reference.forks == 3  # the second asked nobody
    with replayed(reference, memory, limit_s=20) as answers:

        def fails(x):
            raise KeyError("own")

        with pytest.raises(KeyError, match="own"):
            answers.newton(fails, fails, 1.0)


def test_a_story_holds_what_the_check_asked_and_its_functions_answer_others(run):
    recorder = Recorder(run(SOURCE), lambda: ("a", "b"))
    with recorder.student(limit_s=20) as student:
        assert student.twice(1.0) == 2.0
        student.newton(lambda x: x**2 - 4.0, lambda x: 2 * student.twice(0.5) * x, 1.0)
        assert student.twice(3.0) == 6.0
    recording = recorder.recordings["a", "b"]
    assert recording.operations == ("call", "call", "call")
    other = run(SOURCE.replace("2 * x", "3 * x").replace("steps=4", "steps=9"))
    with other.student(limit_s=20) as student:
        first, second, third = list(replay(student, recording))
    assert (first, third) == (["value", 3.0], ["value", 9.0])
    # A function that asks the process of then gets no answer: the replay says so, and goes on.
    assert second[:1] == ["raised"]


def test_a_story_goes_on_with_as_many_calls_as_another_solution_makes(run):
    recorder = Recorder(run(SOURCE), lambda: ("a", "b"))
    with recorder.student(limit_s=20) as student:
        student.newton(lambda x: x**2 - 4.0, lambda x: 2 * x, 1.0)
        assert student.twice(3.0) == 6.0
    with run(SOURCE.replace("steps=4", "steps=9")).student(limit_s=20) as student:
        replies = list(replay(student, recorder.recordings["a", "b"]))
    assert replies[0] == ["value", 2.0]
    assert replies[1] == ["value", 6.0]


def test_large_answers_are_asked_again(reference, monkeypatch):
    monkeypatch.setattr(replay_cache, "MAX_BYTES", 10_000)
    memory, x = ReplayCache(), np.ones(2_000)
    for _ in range(2):
        with replayed(reference, memory, limit_s=20) as answers:
            assert answers.twice(1.0) == 2.0
            assert_array_equal(answers.twice(x), 2 * x)
            assert answers.twice(3.0) == 6.0
    assert reference.forks == 2
    assert len(memory.steps) == 1


def test_a_story_of_large_answers_is_asked_again_under_its_own_check_s_limit(run):
    large = "import numpy as np\ndef large(n): return np.ones(n)\n"
    session = run(large, reply_mib=1)
    recorder = Recorder(session, lambda: ("a", "b"))
    for reply_mib, form in ((None, "too large:"), (8, "value:")):
        with recorder.student(limit_s=20, reply_mib=reply_mib) as student:
            student.large(3)
            with contextlib.suppress(StudentFault):
                student.large(1 << 18)  # 2 MiB
        asked_again = answers_of(session, recorder.recordings["a", "b"], "")
        small, large = (one.form for one in asked_again)
        assert small.startswith("value:")
        assert large.startswith(form)


def test_a_check_is_recorded_up_to_the_last_request_that_a_recording_holds(reference, monkeypatch):
    monkeypatch.setattr(recordings, "MAX_REQUESTS", 5)
    recorder = Recorder(reference, lambda: ("a", "many"))
    sent = 0
    with recorder.student(limit_s=20) as student, pytest.raises(EnoughAsked):
        for n in range(50):
            assert student.twice(n) == 2 * n
            sent += 1
    assert sent == 5
    assert len(recorder.recordings["a", "many"].requests) == 5


def test_requests_of_a_checks_own_function_do_not_fill_a_recording(reference, monkeypatch):
    monkeypatch.setattr(recordings, "MAX_REQUESTS", 2)
    recorder = Recorder(reference, lambda: ("a", "newton"))
    with recorder.student(limit_s=20) as student:
        assert student.newton(lambda x: student.twice(x) - 4, lambda x: 2.0, 5.0) == 2.0
        assert student.twice(4) == 8
    assert recorder.recordings["a", "newton"].operations == ("call", "call")
