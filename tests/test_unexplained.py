"""Wrong answers that nothing explains, grouped over a class."""

from dataclasses import replace

import numpy as np
import pytest

from grader.diagnosis.traces import print_of, text_of
from grader.records import ExerciseScore, Outcome, Result
from grader.unexplained import lines_of, unexplained

X = np.random.default_rng(3).normal(size=(2, 6))


def handed_in(path, factor=1.0, *, known="", trace=True):
    """A submission that answers factor * X at both seeds, wrongly."""
    traces = [{0: print_of("call", ["value", factor * x])} for x in X]
    outcome = Outcome(
        "3b", "the gradient", "failed", 0.0, 2.0, message="got 3.5, expected less",
        trace=text_of(traces) if trace else "", known=known,
    )  # fmt: skip
    return Result(
        path, (), "graded", exercises=(ExerciseScore("3b", "", 0, 2, "failed", (outcome,)),)
    )


def test_those_who_answer_alike_are_one_group():
    (group,) = unexplained([handed_in("a"), handed_in("b", 2.0), handed_in("c")])
    assert group.paths == ["a", "c"]
    assert lines_of([group]) == [
        "2 submissions give the same answers at 3b, unexplained: the gradient"
    ]


def test_a_group_shows_who_was_judged_on_other_values():
    """Equal traces may be forged: what the check saw is told of each."""
    odd = handed_in("b")
    (exercise,) = odd.exercises
    seen = replace(exercise.checks[0], message="got 99, expected less")
    odd = replace(odd, exercises=(replace(exercise, checks=(seen,)),))
    (group,) = unexplained([handed_in("a"), odd, handed_in("c")])
    assert group.otherwise == {"b": "got 99, expected less"}


def test_one_alone_is_no_group():
    assert not unexplained([handed_in("a"), handed_in("b", 2.0)])


def test_what_has_a_name_is_left_out():
    assert not unexplained([handed_in("a", known="f: ..."), handed_in("b", known="f: ...")])


def test_answers_without_a_trace_are_left_out():
    assert not unexplained([handed_in("a", trace=False), handed_in("b", trace=False)])


@pytest.mark.parametrize("trace", ["nonsense", "c-" * 50, "\x00"])
def test_a_trace_that_can_not_be_read_groups_nothing(trace):
    one = handed_in("a")
    (exercise,) = one.exercises
    broken = replace(exercise, checks=(replace(exercise.checks[0], trace=trace),))
    assert not unexplained([replace(one, exercises=(broken,))] * 2)


def test_the_largest_group_comes_first():
    class_ = [handed_in(f"a{n}") for n in range(2)] + [handed_in(f"b{n}", 3.0) for n in range(4)]
    assert [len(group.paths) for group in unexplained(class_)] == [4, 2]


def test_the_command_names_each_option_once():
    from grader.cli.results import command

    names = [name for parameter in command.params for name in parameter.opts]
    assert len(names) == len(set(names))
    assert {"--unexplained", "--as-sample"} <= set(names)
