"""What a process replied is kept as bytes, and answers the same requests without a process."""

import struct
import zlib

import numpy as np
import pytest

from grader.errors import StudentDied, StudentError, StudentFault
from grader.records import Limits, Run
from grader.session import kept_answers
from grader.session.kept_answers import KeptAnswers, note_used, root_of, unpacked
from grader.session.kept_session import KeptSession
from grader.session.student import renew, used_s_of

SOURCE = """
import numpy as np, os
class Model:
    def __init__(self): self.w = np.arange(3.0)
    def cost(self, x): return float(self.w @ x)
def twice(x): return 2 * x
def fails(): raise ValueError("no such answer")
def dies(): os._exit(3)
def chance(): return os.urandom(8)
def newton(f, df, x, steps=4):
    for _ in range(steps): x = x - f(x) / df(x)
    return x
"""


class Asked:
    """A session whose processes are counted and heard, and one that answers from what was kept."""

    def __init__(self, session):
        self.session = session
        session.answers = self.heard = KeptAnswers()
        self.opened = 0

    def student(self):
        return self.session.student(limit_s=20)

    def kept(self, data=None):
        """data : packed answers; those that were heard where None"""
        earlier = unpacked(self.heard.packed() if data is None else data)
        return KeptSession(
            self.session.notebook, Run(()), earlier, self.open, limits=Limits(reply_mib=1)
        )

    def open(self):
        self.opened += 1
        return self.session


@pytest.fixture
def asked(run):
    return Asked(run(SOURCE))


def everything(student):
    """What the tests below ask, as values that can be compared."""
    model = student.Model()
    model.w = np.ones(3)
    found = [model.cost(np.arange(3.0)), model.w, student.twice(np.arange(6.0).reshape(2, 3))]
    found.append(student.newton(lambda x: x * x - 2.0, lambda x: 2.0 * x, 1.0))
    with pytest.raises(StudentError, match="no such answer"):
        student.fails()
    found.append(student.twice.map([1, 2.0, np.float32(3)]))
    seen = student.twice.observe(4)
    return [*found, seen.value, seen.warnings]


def test_the_same_requests_get_the_same_answers_without_a_process(asked):
    with asked.student() as student:
        then = everything(student)
    kept = asked.kept()
    for _ in range(2):
        with kept.student() as student:
            now = everything(student)
        assert repr(now) == repr(then)
    assert not kept.missed
    assert asked.opened == 0


def test_another_request_is_a_miss_and_the_next_check_asks_a_process(asked):
    with asked.student() as student:
        assert student.twice(2) == 4
    kept = asked.kept()
    with kept.student() as student, pytest.raises(StudentDied):
        assert student.twice(2) == 4
        student.twice(3)
    assert kept.missed
    with kept.student() as student:
        assert student.twice(3) == 6
    assert (kept.missed, asked.opened, kept.has_run) == (False, 1, True)
    with kept.student() as student:  # what was kept still answers
        assert student.twice(2) == 4
    with pytest.raises(StudentFault), kept.student() as student:
        student.twice(5)
    with kept.student() as student:
        assert student.twice(5) == 10
    assert asked.opened == 1


def test_what_changes_the_state_first_has_answers_of_its_own(asked):
    for alpha in (1.0, 2.0):
        with asked.student() as student:
            student.alpha = alpha
            assert student.value("alpha") == alpha
    for alpha in (2.0, 1.0):
        with asked.kept().student() as student:
            student.alpha = alpha
            assert student.value("alpha") == alpha


def test_a_function_of_the_check_that_answers_otherwise_is_a_miss(asked):
    with asked.student() as student:
        root = student.newton(lambda x: x * x - 2.0, lambda x: 2.0 * x, 1.0)
    kept = asked.kept()
    with kept.student() as student:
        assert student.newton(lambda x: x * x - 2.0, lambda x: 2.0 * x, 1.0) == root
    with kept.student() as student, pytest.raises(StudentDied):
        student.newton(lambda x: x * x - 3.0, lambda x: 2.0 * x, 1.0)
    assert kept.missed


def test_two_answers_to_the_same_requests_are_none(asked):
    for _ in range(2):
        with asked.student() as student:
            student.chance()
    kept = asked.kept()
    with kept.student() as student, pytest.raises(StudentDied):
        student.chance()
    assert kept.missed


def test_of_a_process_that_died_its_last_request_has_no_answer(asked):
    with asked.student() as student:
        assert student.twice(1) == 2
        with pytest.raises(StudentDied, match="exit code 3"):
            student.dies()
    kept = asked.kept()
    with kept.student() as student:
        assert student.twice(1) == 2
        assert not kept.missed
        with pytest.raises(StudentDied):
            student.dies()
    assert kept.missed


def test_counts_are_taken_anew(asked):
    with asked.student() as student:
        assert student.twice(1) == 2
        assert student.twice.observe(1, steps=True).steps
    assert asked.heard.replies == {}


def test_a_process_that_replies_a_lot_is_not_kept(asked, monkeypatch):
    monkeypatch.setattr(kept_answers, "MAX_CHECK_BYTES", 5000)
    with asked.student() as student:
        student.twice(np.zeros(500))
        assert len(asked.heard.replies) == 1
        student.twice(np.zeros(500))
    assert asked.heard.replies == {}
    with asked.student() as student:
        student.twice(np.zeros(400))
    assert len(asked.heard.replies) == 1


def test_a_submissions_answers_together_have_a_limit(asked, monkeypatch):
    monkeypatch.setattr(kept_answers, "MAX_BYTES", 5000)
    for fill in (1.0, 2.0, 3.0):
        with asked.student() as student:
            student.twice(np.full(200, fill))
    assert len(asked.heard.replies) == 2


def test_a_check_that_asks_a_used_process_has_answers_of_its_own(asked):
    def called(student):
        return student.Model().cost(np.ones(3))

    with asked.student() as student:
        assert called(student) == 3.0
        assert renew(student, 20)
        asked.session.listen_on(student, "a second")
        assert called(student) == 3.0
    kept = asked.kept()
    assert kept.inherited("a third", 20) is None
    with kept.inherited("a second", 20) as student:
        assert called(student) == 3.0
    assert kept.inherited("a second", 20) is None, "a fresh copy decides the second time"
    with kept.student() as student:
        assert called(student) == 3.0
    assert (kept.missed, asked.opened) == (False, 0)


def test_the_time_that_the_code_took_is_kept(asked):
    with asked.student() as student:
        student.twice(1)
        note_used(student, 1.5)
    with asked.kept().student() as student:
        student.twice(1)
        assert used_s_of(student) == 1.5


def test_parts_of_two_runs_are_one(asked):
    with asked.student() as student:
        student.twice(1)
    first = asked.heard.packed()
    asked.session.answers = asked.heard = KeptAnswers()
    with asked.student() as student:
        student.twice(2)
    kept = asked.kept(asked.heard.packed() + first)
    for x in (1, 2):
        with kept.student() as student:
            assert student.twice(x) == 2 * x
    assert asked.opened == 0


# --- bytes ----------------------------------------------------------------------------------------

KEY = b"k" * 16


def packed(*replies):
    answers = KeptAnswers()
    for reply in replies:
        answers.add(KEY, reply)
    return answers.packed()


def test_two_parts_that_contradict_each_other_give_no_answer():
    assert unpacked(packed(b"one") + packed(b"one")).replies == {KEY: b"one"}
    assert unpacked(packed(b"one") + packed(b"two")).replies == {KEY: None}
    assert unpacked(packed(b"one", b"two") + packed(b"one")).replies == {KEY: None}


@pytest.mark.parametrize(
    "data",
    [
        b"no zlib",
        packed(b"reply")[:-3],
        packed(b"reply") + b"more",
        zlib.compress(b"short"),
        zlib.compress(struct.pack("<16sBI", KEY, 0, 99) + b"fewer"),
        zlib.compress(struct.pack("<16sBI", KEY, 77, 0)),
        zlib.compress(struct.pack("<16sBI", KEY, 2, 3) + b"abc"),
    ],
)
def test_what_is_no_such_thing_is_nothing(data):
    assert unpacked(data) is None


def test_what_unpacks_to_too_much_is_nothing(monkeypatch):
    monkeypatch.setattr(kept_answers, "MAX_UNPACKED_BYTES", 1000)
    assert unpacked(packed(b"0" * 900)) is not None
    assert unpacked(packed(b"0" * 1100)) is None
    assert unpacked(packed(b"0" * 600) + packed(b"0" * 600)) is None


def test_the_answers_of_one_notebook_and_limit_are_no_others():
    roots = [root_of("a", None), root_of("b", None), root_of("a", 3), root_of("a", None, "c")]
    assert len({*roots}) == 4
