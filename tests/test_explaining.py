"""Which messages name a known mistake, and how often."""

from types import SimpleNamespace

import numpy as np

from grader.diagnosis.known import Known, Mistake
from grader.diagnosis.traces import print_of, text_of
from grader.diagnosis.wording import TRY_BY_HAND
from grader.explaining import Explainer
from grader.records import ExerciseScore, Outcome, Result

RNG = np.random.default_rng(5)
ANSWERS = {name: RNG.normal(size=(2, 6)) for name in ("one", "two", "three", "other")}
ASSIGNMENT = SimpleNamespace(
    exercises=[
        SimpleNamespace(id="uses", notebook="n.ipynb", functions=("g",)),
        SimpleNamespace(id="own", notebook="n.ipynb", functions=("f", "h")),
    ]
)
SIGN = Mistake("f", "flipped sign", "with one sign reversed", "`a` -> `-a`", "n.ipynb, line 2")
SENTENCE = "`f` behaves exactly as the solution would with one sign reversed."


def traces_of(check):
    """The wrong answers to a check at both seeds."""
    return [{0: print_of("call", ["value", x])} for x in ANSWERS[check]]


def failing(exercise, check, message="3 of 6 elements of the result are wrong", **more):
    trace = text_of(traces_of(check))
    return Outcome(exercise, check, "failed", 0.0, 1.0, message=message, trace=trace, **more)


def result_of(*outcomes):
    exercises = dict.fromkeys(o.exercise for o in outcomes)
    return Result(
        "x", (), "graded",
        exercises=tuple(
            ExerciseScore(e, e, 0.0, 3.0, "failed", tuple(o for o in outcomes if o.exercise == e))
            for e in exercises
        ),
    )  # fmt: skip


def table_of(result, *mistakes):
    checks = [(o.exercise, o.name) for e in result.exercises for o in e.checks]
    traces = {check: traces_of(check[1]) for check in checks}
    reach = {check: {m.function for m in mistakes} for check in checks}
    return {"n.ipynb": Known(mistakes, tuple(traces for _ in mistakes), reach)}.get


def explained(result):
    """The messages by check, and the checks that name the mistake for the instructor."""
    done = Explainer(ASSIGNMENT, table_of(result, SIGN)).explain(result)
    outcomes = [o for e in done.exercises for o in e.checks]
    return {o.name: o.message for o in outcomes}, {o.name for o in outcomes if o.known}


def test_a_mistake_is_named_once_for_a_function_and_for_the_instructor_each_time():
    messages, known = explained(result_of(failing("own", "one"), failing("own", "two")))
    assert messages["one"].endswith(SENTENCE)
    assert SENTENCE not in messages["two"]
    assert known == {"one", "two"}


def test_the_function_s_own_exercise_names_it_before_one_that_only_uses_it():
    messages, _ = explained(result_of(failing("uses", "one"), failing("own", "two")))
    assert SENTENCE not in messages["one"]
    assert messages["two"].endswith(SENTENCE)


def test_a_hidden_check_leaves_it_to_the_first_one_that_students_read():
    hidden = failing("own", "one", hidden=True)
    messages, known = explained(result_of(hidden, failing("own", "two")))
    assert SENTENCE not in messages["one"]
    assert messages["two"].endswith(SENTENCE)
    assert known == {"one", "two"}


def test_a_mistake_is_not_named_where_a_message_says_the_same():
    same = failing("own", "two", "the result has the wrong sign everywhere")
    messages, known = explained(result_of(failing("own", "one"), same))
    assert not any(SENTENCE in text for text in messages.values())
    assert known == {"one", "two"}


def test_the_general_advice_gives_way_to_the_mistake():
    message = f"the result is wrong\n{TRY_BY_HAND}"
    messages, _ = explained(result_of(failing("own", "one", message)))
    assert messages["one"] == f"the result is wrong\n{SENTENCE}"


def test_a_result_that_is_explained_again_says_it_once():
    first = failing("own", "one", f"the result is wrong\n{SENTENCE}")
    second = failing("own", "two", f"the result is wrong\n{SENTENCE}")
    messages, _ = explained(result_of(first, second))
    assert messages == {"one": f"the result is wrong\n{SENTENCE}", "two": "the result is wrong"}


def sample(title, says=""):
    return Mistake("f", "sample", "", "as in samples/x.toml", "", title, says)


def test_students_read_the_sample_s_words_and_the_instructor_its_title():
    result = result_of(failing("own", "one"))
    one = sample("s (s - 1) for s (1 - s)", "the slope is upside down")
    done = Explainer(ASSIGNMENT, table_of(result, one)).explain(result)
    (outcome,) = done.exercises[0].checks
    assert outcome.message.endswith(
        "It answers exactly as this known mistake does: the slope is upside down."
    )
    assert outcome.known == "f: s (s - 1) for s (1 - s)"


def test_of_a_withheld_title_students_read_what_else_gives_the_same_answers():
    result = result_of(failing("own", "one"))
    done = Explainer(ASSIGNMENT, table_of(result, sample("s (1 - s)"), SIGN)).explain(result)
    (outcome,) = done.exercises[0].checks
    assert outcome.message.endswith(SENTENCE)
    assert "1 - s" not in outcome.message
    assert outcome.known == "f: s (1 - s)"


def test_of_a_withheld_title_alone_students_read_nothing():
    result = result_of(failing("own", "one", "the result is wrong"))
    done = Explainer(ASSIGNMENT, table_of(result, sample("s (1 - s)"))).explain(result)
    (outcome,) = done.exercises[0].checks
    assert (outcome.message, outcome.known) == ("the result is wrong", "f: s (1 - s)")
