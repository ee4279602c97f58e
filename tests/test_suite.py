"""Checks are pytest tests: collection, fixtures, and the verdict that an exception stands for."""

import math
import os
import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from grader.errors import AssignmentError, StudentError, StudentTimeout
from grader.records import Assignment, Exercise
from grader.suite import CheckJob, open_suite

HEAD = """
import pytest
from grader.checks import assert_close
from grader.errors import CheckFailed, GraderFault, Missing
"""


class FakeSession:
    def __init__(self, **functions):
        self.functions = functions
        self.opened = 0

    @contextmanager
    def student(self, *, limit_s, reply_mib=None):
        self.opened += 1
        yield SimpleNamespace(**self.functions)


def raising(error):
    def function(*args):
        raise error

    return function


@pytest.fixture
def assignment(tmp_path):
    """An assignment with one exercise `a` of `points`, and check files of the given texts."""

    def make(text, points=1.0, public_only=False, hidden=""):
        files = [tmp_path / "test_toy.py", tmp_path / "hidden" / "test_toy.py"]
        files[1].parent.mkdir(exist_ok=True)
        files[0].write_text(HEAD + text)
        files[1].write_text(HEAD + hidden)
        exercise = Exercise("a", "A", points, notebook="toy.ipynb", functions=("f",))
        return Assignment(
            "toy",
            "Toy",
            tmp_path,
            (exercise,),
            ("toy.ipynb",),
            tuple(files),
            public_only=public_only,
        )

    return make


def outcomes_of(assignment, **job):
    job.setdefault("sessions", {"toy.ipynb": FakeSession(f=lambda x: x)})
    with open_suite(assignment) as suite:
        return suite.run(CheckJob(**job))


ONE = """
@pytest.mark.exercise("a", points=1)
def test_f_is_right(student):
    {body}
"""


def verdict(assignment, body, **job):
    (outcome,) = outcomes_of(assignment(ONE.format(body=body)), **job)
    return outcome


def test_a_check_that_returns_has_passed(assignment):
    outcome = verdict(assignment, "assert_close(student.f(2.0), 2.0)")
    assert (outcome.exercise, outcome.name) == ("a", "f is right")
    assert (outcome.outcome, outcome.points) == ("passed", 1.0)


def test_a_failed_check_says_why(assignment):
    outcome = verdict(assignment, "raise CheckFailed('too large', hint='look at m', got='3')")
    assert (outcome.outcome, outcome.points) == ("failed", 0.0)
    assert outcome.message == "too large\ngot 3\nlook at m"


def test_a_failed_check_can_keep_a_part_of_its_points(assignment):
    outcome = verdict(assignment, "raise CheckFailed('half of it', credit=0.5)")
    assert (outcome.outcome, outcome.points) == ("failed", 0.5)


def test_what_is_missing_is_told_from_what_is_wrong(assignment):
    assert verdict(assignment, "raise Missing('`f` is not defined')").missing


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pytest.fail('f(2) is odd')", "f(2) is odd"),
        ("pytest.raises(ValueError, student.f, -1.0)", "DID NOT RAISE"),
    ],
)
def test_what_pytest_itself_refuses_is_a_verdict_like_an_assert(assignment, body, message):
    outcome = verdict(assignment, body)
    assert (outcome.outcome, outcome.points, outcome.suspect) == ("failed", 0.0, False)
    assert message in outcome.message


def test_an_error_of_the_student_costs_the_check(assignment):
    error = StudentError("f(2.0)", "ValueError", "no", "cell 3, line 2: raise ValueError('no')")
    session = FakeSession(f=raising(error))
    outcome = verdict(assignment, "student.f(2.0)", sessions={"toy.ipynb": session})
    assert outcome.outcome == "error"
    assert not outcome.suspect
    assert "f(2.0) raised ValueError: no" in outcome.message
    assert "cell 3, line 2" in outcome.message


def test_a_hidden_check_tells_a_size_that_is_written_in_the_code_and_no_input(assignment):
    text = "operands could not be broadcast together with shapes (7,) (10,)"
    error = StudentError("f(array (7,) float64)", "ValueError", text, "cell 3, line 2: x + y", [10])
    session = FakeSession(f=raising(error))
    source = ONE.format(body="student.f(2.0)").replace("points=1", "points=1, hidden=True")
    (outcome,) = outcomes_of(assignment("", hidden=source), sessions={"toy.ipynb": session})
    assert outcome.hidden
    assert "10 is written as a number" in outcome.message
    assert "(7,)" not in outcome.message


def test_a_line_that_the_template_has_left_is_missing_work_and_no_error(assignment):
    where = "cell 3, line 2: raise NotImplementedError"
    session = FakeSession(f=raising(StudentError("f(2.0)", "NotImplementedError", "", where)))
    outcome = verdict(assignment, "student.f(2.0)", sessions={"toy.ipynb": session})
    assert (outcome.outcome, outcome.missing, outcome.points) == ("failed", True, 0.0)
    assert outcome.message == f"not filled in yet: {where}"


@pytest.mark.parametrize(
    ("wrong", "step"),
    [
        (lambda x: 1 if x > 0 else 0, "np.where(condition, a, b)"),
        (lambda x: math.exp(x), "np.exp and others of numpy take arrays"),
        (lambda x: x + np.zeros(4), "Look at the shapes"),
        (lambda x: x.reshape(1, 3) @ np.zeros((4, 1)), "Look at the shapes"),
        (lambda x: np.dot(x, np.zeros(4)), "Look at the shapes"),
    ],
)
def test_what_numpy_says_of_a_common_mistake_is_followed_by_the_next_step(wrong, step):
    with pytest.raises((TypeError, ValueError)) as raised:
        wrong(np.ones(3))
    error = StudentError("f(x)", raised.typename, str(raised.value), "cell 3, line 2: ...")
    assert step in str(error).splitlines()[-1]


def test_a_hang_of_the_student_is_a_timeout(assignment):
    session = FakeSession(f=raising(StudentTimeout("f(2.0) took more than 20 s")))
    outcome = verdict(assignment, "student.f(2.0)", sessions={"toy.ipynb": session})
    assert outcome.outcome == "timeout"


def test_an_exception_of_the_check_itself_is_no_verdict(assignment):
    outcome = verdict(assignment, "None + 1")
    assert outcome.suspect
    assert outcome.points == 0.0


def test_a_fault_of_the_grader_is_marked_as_ours(assignment):
    assert verdict(assignment, "raise GraderFault('disk full')").fault


def test_a_hidden_check_tells_neither_inputs_nor_answers(assignment):
    text = """
@pytest.mark.exercise("a", points=1)
def test_f_is_right(student):
    raise CheckFailed("wrong sign", called="f(42)", expected="17", got="-17", hint="the minus")
"""
    (outcome,) = outcomes_of(assignment("", hidden=text))
    assert outcome.hidden
    assert outcome.message == "wrong sign\nthe minus"


def test_a_bare_assert_in_a_hidden_check_shows_nothing(assignment):
    text = """
@pytest.mark.exercise("a", points=1, hidden=True)
def test_f_is_right(student):
    assert student.f(42) == 17
"""
    (outcome,) = outcomes_of(assignment("", hidden=text))
    assert outcome.message == "the value is not right"


def test_public_leaves_hidden_checks_out(assignment):
    text = """
@pytest.mark.exercise("a", points=0.5)
def test_seen(student): pass
"""
    toy = assignment(text, hidden=text.replace("seen", "unseen"))
    assert [o.name for o in outcomes_of(toy)] == ["seen", "unseen"]
    assert [o.name for o in outcomes_of(toy, public=True)] == ["seen"]


def test_a_check_is_public_or_hidden_by_its_place_and_its_marker_may_not_say_otherwise(assignment):
    one = '@pytest.mark.exercise("a", points=1, hidden={})\ndef test_f(student): pass\n'
    assert outcomes_of(assignment("", hidden=one.format(True)))[0].hidden
    assert not outcomes_of(assignment(one.format(False)))[0].hidden
    with pytest.raises(AssignmentError, match=r"test_f: it says hidden=True, but students get its"):
        outcomes_of(assignment(one.format(True)))
    with pytest.raises(AssignmentError, match=r"test_f: it says hidden=False, but is in hidden/"):
        outcomes_of(assignment("", hidden=one.format(False)))


MODULES = {
    "shapes.py": "from grader.errors import CheckFailed\nSIDES = 3\n"
    "def same(got, due):\n    assert got == due, 'no'\n",
    "hidden/answers.py": "ANSWER = 7\n",
    "numpy.py": "raise ImportError('this is not numpy')\n",
}
IMPORTING = """
from answers import ANSWER
from shapes import SIDES, same
from test_toy import given
@pytest.mark.exercise("a", points=1)
def test_f(student):
    same(given(student.f(2.0)) * SIDES, ANSWER - 1)
"""


def test_checks_import_the_modules_beside_them_and_hidden_ones_those_of_hidden_too(assignment):
    given = "import numpy\ndef given(x):\n    return numpy.asarray(x)\n"
    toy = assignment(given, hidden=IMPORTING)
    for name, text in MODULES.items():
        (toy.folder / name).write_text(text)
    path, modules = list(sys.path), {"shapes", "answers", "test_toy"}
    assert outcomes_of(toy)[0].outcome == "passed"
    assert sys.path == path
    assert not modules & set(sys.modules)
    (toy.folder / "shapes.py").write_text(MODULES["shapes.py"].replace("3", "40"))
    assert outcomes_of(toy)[0].outcome == "failed"  # read anew


def test_an_assert_in_a_module_of_the_course_tells_both_sides(assignment):
    toy = assignment("from shapes import same" + ONE.format(body="same(student.f(2.0), 3.0)"))
    (toy.folder / "shapes.py").write_text(MODULES["shapes.py"])
    assert outcomes_of(toy)[0].message == "no\nassert 2.0 == 3.0"


def test_an_exercise_that_was_not_filled_in_is_skipped_and_missing(assignment):
    session = FakeSession()
    outcome = verdict(
        assignment, "student.f(1)", sessions={"toy.ipynb": session}, skip={"a": "placeholder"}
    )
    assert (outcome.outcome, outcome.missing, outcome.message) == ("skipped", True, "placeholder")
    assert session.opened == 0


def test_each_check_gets_a_fresh_student(assignment):
    text = """
@pytest.mark.exercise("a", points=0.5)
def test_one(student): pass
@pytest.mark.exercise("a", points=0.5)
def test_two(student): pass
"""
    session = FakeSession()
    outcomes_of(assignment(text), sessions={"toy.ipynb": session})
    assert session.opened == 2


def test_random_inputs_depend_on_the_seed_and_the_check_alone(assignment):
    text = """
@pytest.mark.exercise("a", points=0.5)
def test_one(rng): raise CheckFailed(str(rng.random()))
@pytest.mark.exercise("a", points=0.5)
def test_two(rng): raise CheckFailed(str(rng.random()))
"""
    toy = assignment(text)
    first, again, other = ([o.message for o in outcomes_of(toy, seed=seed)] for seed in (1, 1, 2))
    assert first == again
    assert len({*first, *other}) == 4


def test_one_collection_serves_many_jobs(assignment):
    toy = assignment(ONE.format(body="assert_close(student.f(2.0), 2.0)"))
    right, wrong = FakeSession(f=lambda x: x), FakeSession(f=lambda x: -x)
    with open_suite(toy) as suite:
        jobs = (CheckJob(sessions={"toy.ipynb": session}) for session in (right, wrong, right))
        seen = [outcome.outcome for job in jobs for outcome in suite.run(job)]
    assert seen == ["passed", "failed", "passed"]


def test_a_check_can_compare_with_the_reference(assignment):
    text = """
@pytest.mark.exercise("a", points=1)
def test_like_the_reference(student, reference):
    assert_close(student.f(3.0), reference.f(3.0))
"""
    (outcome,) = outcomes_of(
        assignment("", hidden=text), reference=lambda name: FakeSession(f=lambda x: x)
    )
    assert outcome.outcome == "passed"
    (outcome,) = outcomes_of(assignment("", hidden=text))
    assert (outcome.outcome, outcome.missing) == ("skipped", False)


def test_a_check_file_that_does_not_load_is_the_instructors_to_mend(assignment):
    with pytest.raises(AssignmentError, match=r"can't be loaded[^$]*test_toy\.py"):
        outcomes_of(assignment("import no_such_module_anywhere"))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def test_a(:", "test_toy.py, line 5: SyntaxError: invalid syntax: `def test_a(:`"),
        (
            "import no_such_module",
            "test_toy.py, line 5: ModuleNotFoundError: No module named 'no_such_module': "
            "`import no_such_module`",
        ),
        (
            "x = 1\nx.y",
            "test_toy.py, line 6: AttributeError: 'int' object has no attribute 'y': `x.y`",
        ),
        (
            "import json\njson.loads('')",
            "test_toy.py, line 6: JSONDecodeError: Expecting value: line 1 column 1 (char 0): "
            "`json.loads('')`",
        ),
    ],
)
def test_a_check_file_that_does_not_load_is_told_by_its_line_alone(assignment, text, told):
    with pytest.raises(AssignmentError) as fault:
        outcomes_of(assignment(text))
    assert str(fault.value) == f"assignment toy: a check file can't be loaded: {told}"


def test_a_check_that_asks_for_an_unknown_fixture_is_our_fault_and_told_which_there_are(assignment):
    text = '@pytest.mark.exercise("a", points=1)\ndef test_a(rgn): pass'
    (outcome,) = outcomes_of(assignment(text))
    assert outcome.fault
    assert (
        outcome.message
        == "it asks for 'rgn'; there are student, reference, rng, datasets and files"
    )


def test_points_must_sum_to_what_the_assignment_says(assignment):
    with pytest.raises(
        AssignmentError, match=r"its checks sum to 1 points, assignment\.toml says 3"
    ):
        outcomes_of(assignment(ONE.format(body="pass"), points=3.0))


def test_checks_of_what_a_person_grades_are_refused(assignment):
    toy = assignment(ONE.format(body="pass"))
    by_hand = replace(toy, exercises=(replace(toy.exercises[0], manual=True),))
    with pytest.raises(AssignmentError, match="its checks, of 1 points, would count for nothing"):
        outcomes_of(by_hand)


def test_a_students_copy_may_hold_a_part_of_the_points(assignment):
    toy = assignment(ONE.format(body="pass"), points=3.0, public_only=True)
    assert [o.points for o in outcomes_of(toy)] == [1.0]


def test_two_checks_of_one_name_in_an_exercise_are_refused(assignment, tmp_path):
    toy = assignment(ONE.format(body="pass"), points=2.0)
    other = tmp_path / "test_other.py"
    other.write_text(HEAD + ONE.format(body="assert False"))
    with pytest.raises(
        AssignmentError, match="test_f_is_right: exercise a has 2 checks of this name"
    ):
        outcomes_of(replace(toy, check_files=(*toy.check_files, other)))


def test_a_check_without_its_marker_is_refused(assignment):
    with pytest.raises(AssignmentError, match=r"test_bare has no @pytest\.mark\.exercise"):
        outcomes_of(assignment("def test_bare(): pass"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ('"b", points=1', "assignment.toml has no exercise b; it has: a"),
        ("points=1", "assignment.toml has no exercise None"),
        ('"a", 1', "its marker takes points=..., hidden=..., reply_mib=... and shares=..., not 1"),
        ('"a", points=1, shares=1', "`shares` must be True or False, not 1"),
        ('"a", points=1, reply_mib=0', "`reply_mib` is how many MiB an answer to it may have"),
        (
            '"a", points=1, hiden=True',
            "its marker takes points=..., hidden=..., reply_mib=... and shares=..., not hiden",
        ),
        ('"a", points=1, hidden="yes"', "`hidden` must be True or False, not 'yes'"),
        ('"a"', "its marker must say points=..., a number from 0 on, not None"),
        ('"a", points="1"', "a number from 0 on, not '1'"),
        ('"a", points=-1', "a number from 0 on, not -1"),
        ('"a", points=float("nan")', "a number from 0 on, not nan"),
    ],
)
def test_a_marker_that_says_something_else_is_refused(assignment, arguments, problem):
    text = f"@pytest.mark.exercise({arguments})\ndef test_f(student): pass\n"
    with pytest.raises(AssignmentError, match=re.escape(problem)):
        outcomes_of(assignment(text))


def test_what_a_check_prints_stays_off_the_terminal(assignment, capsys):
    verdict(assignment, "print('debug')")
    assert capsys.readouterr().out == ""


def test_configuration_beside_the_caller_is_not_read(assignment, tmp_path, monkeypatch):
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    (tmp_path / "conftest.py").write_text("raise SystemExit('conftest was run')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    assert verdict(assignment, "pass").outcome == "passed"


def test_a_check_that_exits_is_no_verdict_and_ends_nothing(assignment):
    assert verdict(assignment, "raise SystemExit(0)").suspect


def test_a_session_that_can_not_be_opened_is_a_fault_of_ours(assignment):
    class Broken:
        def student(self, *, limit_s, reply_mib=None):
            raise OSError(28, "No space left on device")

    outcome = verdict(assignment, "pass", sessions={"toy.ipynb": Broken()})
    assert outcome.fault
    assert "No space left" in outcome.message


def test_a_check_of_a_notebook_that_lacks_a_package_is_skipped_and_nothing_is_missing(assignment):
    needy = replace(
        assignment(ONE.format(body="assert False")), requires={"toy.ipynb": ("no_such_package",)}
    )
    (outcome,) = outcomes_of(needy, sessions={})
    assert (outcome.outcome, outcome.missing) == ("skipped", False)
    assert "pip install no_such_package" in outcome.message


@pytest.mark.parametrize("text", ["raise SystemExit(0)", "pytest.exit('enough')"])
def test_a_check_file_that_exits_when_it_is_loaded_is_refused_like_any_that_does_not_load(
    assignment, text
):
    with pytest.raises(AssignmentError):
        outcomes_of(assignment(text))


def test_a_check_that_ends_the_pytest_run_ends_nothing_and_the_next_one_runs(assignment):
    text = """
@pytest.mark.exercise("a", points=0.5)
def test_one(student): pytest.exit("enough")
@pytest.mark.exercise("a", points=0.5)
def test_two(student): pass
"""
    first, second = outcomes_of(assignment(text))
    assert (first.suspect, first.points) == (True, 0.0)
    assert second.outcome == "passed"


def test_the_student_of_a_check_that_is_interrupted_is_closed(assignment):
    closed = []

    class Session:
        @contextmanager
        def student(self, *, limit_s, reply_mib=None):
            yield SimpleNamespace(f=raising(KeyboardInterrupt()))
            closed.append(True)

    with pytest.raises(KeyboardInterrupt):
        verdict(assignment, "student.f(1)", sessions={"toy.ipynb": Session()})
    assert closed == [True]


def test_what_pytest_sets_up_ends_with_the_suite(assignment, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "-q")

    def state():
        return (Path.cwd(), [*sys.path], [*sys.meta_path], dict(os.environ), sys.stdin, sys.stdout)

    before = state()
    outcomes_of(assignment(ONE.format(body="import os; os.chdir('/')")))
    assert state() == before


def test_a_plugin_that_the_environment_names_is_not_loaded(assignment, tmp_path, monkeypatch):
    (tmp_path / "a_plugin_of_somebody.py").write_text("raise SystemExit('the plugin was loaded')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTEST_PLUGINS", "a_plugin_of_somebody")
    assert verdict(assignment, "pass").outcome == "passed"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise NotImplementedError('write the check of f')", ": write the check of f"),
        ("raise NotImplementedError", ": it only raises NotImplementedError"),
        (
            "'What f gives.'\n    raise NotImplementedError()",
            ": it only raises NotImplementedError",
        ),
    ],
)
def test_a_check_that_is_not_written_yet_is_refused_before_anything_runs(assignment, body, said):
    with pytest.raises(AssignmentError) as refused:
        outcomes_of(assignment(ONE.format(body=body)))
    assert str(refused.value) == f"assignment toy: test_f_is_right is not written yet{said}"


def test_a_check_that_may_raise_not_implemented_error_later_is_written(assignment):
    body = "assert student.f(2.0) == 2.0\n    if student.f(2.0) != 2.0: raise NotImplementedError"
    assert verdict(assignment, body).outcome == "passed"
