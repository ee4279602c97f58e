"""Checks that say `shares=True` ask one process of the student's; all others have their own."""

import pytest

from grader.records import Assignment, Cell, Exercise, Limits, Notebook
from grader.session import open_session, start_fork_server
from grader.session.kept_answers import KeptAnswers
from grader.session.kept_session import KeptSession
from grader.suite import CheckJob, open_suite, running

# Each check tells which process it asked, and what it had to do with it.
CHECKS = """
import pytest

@pytest.mark.exercise("a", points=1{marks[0]})
def test_first(student):
    told(student)
    {body}

@pytest.mark.exercise("a", points=1{marks[1]})
def test_second(student):
    told(student)
    {second}

@pytest.mark.exercise("a", points=1{marks[2]})
def test_third(student):
    told(student)

def told(student):
    with open({log!r}, "a") as log:
        print(student.pid(), student.count(), file=log)
"""
CELL = """
import os
calls = 0
def pid():
    return os.getpid()
def count():
    global calls
    calls += 1
    return calls
def forever():
    while True: pass
def dies():
    os._exit(3)
"""
SHARES = ", shares=True"


@pytest.fixture(scope="module")
def session():
    with start_fork_server() as fork_server:
        cells = (Cell(0, "code", CELL),)
        with open_session(
            Notebook("a.ipynb", cells), folder=None, limits=Limits(), fork_server=fork_server
        ) as opened:
            yield opened


def asked(
    session, tmp_path, *marks, body="pass", second="pass", hidden=False, checks=CHECKS, **limits
):
    """Return which process each check asked, how many calls that had had; and the outcomes."""
    log = tmp_path / "log"
    place = tmp_path / "test_a.py"
    place.write_text(checks.format(marks=marks, log=str(log), body=body, second=second))
    files = [place]
    if hidden:
        files.append(tmp_path / "hidden" / "test_a.py")
        files[1].parent.mkdir()
        files[1].write_text(place.read_text().replace("def test_", "def test_hidden_"))
    exercise = Exercise("a", "A", 3.0 * len(files), notebook="a.ipynb", functions=("pid",))
    assignment = Assignment(
        "toy", "Toy", tmp_path, (exercise,), ("a.ipynb",), tuple(files), limits=Limits(**limits)
    )
    with open_suite(assignment) as suite:
        outcomes = suite.run(CheckJob(sessions={"a.ipynb": session}))
    lines = [line.split() for line in log.read_text().splitlines()]
    return [int(pid) for pid, _ in lines], [int(n) for _, n in lines], outcomes


def test_checks_that_share_ask_one_process(session, tmp_path):
    pids, counts, outcomes = asked(session, tmp_path, SHARES, SHARES, SHARES)
    assert len(set(pids)) == 1
    assert counts == [1, 2, 3]
    assert [one.outcome for one in outcomes] == ["passed"] * 3


def test_a_check_that_does_not_share_starts_from_what_the_notebook_left(session, tmp_path):
    pids, counts, _ = asked(session, tmp_path, SHARES, "", SHARES)
    assert pids[0] == pids[2] != pids[1]
    assert counts == [1, 1, 2]


def test_hidden_checks_take_over_the_process_of_the_public_ones(session, tmp_path):
    pids, counts, outcomes = asked(session, tmp_path, SHARES, SHARES, SHARES, hidden=True)
    assert len(set(pids)) == 1
    assert counts == [1, 2, 3, 4, 5, 6]
    assert [one.hidden for one in outcomes] == [False] * 3 + [True] * 3
    assert [one.outcome for one in outcomes] == ["passed"] * 6


def test_a_public_check_gets_no_process_that_a_hidden_one_has_used(session, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "_public_first", lambda checks: checks[::-1])
    pids, counts, _ = asked(session, tmp_path, SHARES, SHARES, SHARES, hidden=True)
    assert len(set(pids[:3])) == len(set(pids[3:])) == 1
    assert pids[0] != pids[3]
    assert counts == [1, 2, 3, 1, 2, 3]


def test_checks_that_would_have_other_limits_of_an_answer_do_not_share(session, tmp_path):
    pids, _, _ = asked(session, tmp_path, SHARES, SHARES + ", reply_mib=9", SHARES)
    assert pids[0] == pids[2] != pids[1]


def test_what_an_earlier_check_left_behind_costs_no_points(session, tmp_path):
    pids, counts, outcomes = asked(
        session, tmp_path, SHARES, SHARES, SHARES, second="assert student.count() == 2"
    )
    assert [one.outcome for one in outcomes] == ["passed"] * 3
    assert pids[0] == pids[1] != pids[2] == pids[3]
    assert counts == [1, 2, 1, 3]


def test_a_wrong_answer_stays_wrong_in_a_copy_of_its_own(session, tmp_path):
    _, counts, outcomes = asked(session, tmp_path, SHARES, SHARES, SHARES, second="assert 0")
    assert [one.credit for one in outcomes] == [1.0, 0.0, 1.0]
    assert counts == [1, 2, 1, 2]


@pytest.mark.parametrize("call", ["forever", "dies"])
def test_a_check_that_ends_the_process_costs_those_that_share_nothing(session, tmp_path, call):
    pids, counts, outcomes = asked(
        session, tmp_path, SHARES, SHARES, SHARES, body=f"student.{call}()", check_s=0.5
    )
    assert [one.credit for one in outcomes] == [0.0, 1.0, 1.0]
    assert pids[0] not in pids[1:]
    assert (pids[1], counts[1:]) == (pids[2], [1, 2])


def test_each_check_that_shares_has_its_own_time(session, tmp_path):
    body = "import time; [student.pid() for _ in iter(lambda: used_s(student) < 0.4, False)]"
    body = body.replace("used_s(student)", "__import__('grader.session.student', fromlist=['x'])"
                        ".used_s_of(student)")  # fmt: skip
    _, _, outcomes = asked(session, tmp_path, SHARES, SHARES, SHARES, body=body, check_s=0.5)
    assert [one.outcome for one in outcomes] == ["passed"] * 3


@pytest.mark.parametrize("second", ["pass", "assert student.count() == 2", "assert 0"])
def test_kept_answers_of_checks_that_share_are_those_of_their_process(session, tmp_path, second):
    """A check that fails on a used copy's answers is judged by those of a fresh one, as then."""
    session.answers = KeptAnswers()
    kept = KeptSession(
        session.notebook, session.run, session.answers, lambda: session, limits=Limits()
    )
    found = []
    try:
        for way in (session, kept):
            folder = tmp_path / str(len(found))
            folder.mkdir()
            checks = CHECKS.replace("student.pid(), ", "0, ")  # which no two copies share
            _, counts, outcomes = asked(
                way, folder, SHARES, SHARES, SHARES, second=second, checks=checks
            )
            found.append((counts, [(one.name, one.outcome, one.message) for one in outcomes]))
            session.answers = None
    finally:
        session.answers = None
    assert found[0] == found[1]
    assert len(found[0][0]) == (3 if second == "pass" else 4)
    assert not kept.has_run


def test_no_process_is_left_of_checks_that_shared(session, tmp_path, until_gone):
    pids, _, _ = asked(session, tmp_path, SHARES, SHARES, SHARES)
    assert pids
    assert until_gone(session)


@pytest.fixture
def until_gone():
    """Tell whether all processes of checks have ended; an end takes a moment."""
    import time

    from grader.session import processes

    def wait(session):
        kernel = session._runner.kernel.provisioner.pid
        for _ in range(200):
            if not [
                pid for pid in processes.children(kernel) if processes.memory_mib([pid], enough=0)
            ]:
                return True
            time.sleep(0.02)
        return False

    return wait
