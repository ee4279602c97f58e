"""Which known mistake wrong answers are those of, told from fingerprints alone."""

from dataclasses import replace

import numpy as np

from grader.diagnosis.known import OTHER_FORM, Known, Mistake, name_mistakes
from grader.diagnosis.traces import print_of

RNG = np.random.default_rng(7)
X, Y = RNG.normal(size=(2, 6)), RNG.normal(size=(2, 6))
COST, GRAD = ("a", "cost"), ("a", "grad")


def wrong(*values):
    """A trace: the answers to requests 0, 1, ... that are wrong."""
    return {n: print_of("call", ["value", value]) for n, value in enumerate(values)}


def mistake(function, told, title="", kind="sign"):
    return Mistake(function, kind, told, "`a` -> `-a`", "n.ipynb, cell 1, line 2", title)


def table(*entries, reach=None):
    """Entries: (mistake, {check: (trace at seed 1, trace at seed 2)})."""
    reach = reach or {COST: {"cost"}, GRAD: {"grad", "cost"}}
    return Known(tuple(m for m, _ in entries), tuple(t for _, t in entries), reach)


def test_equal_answers_at_both_seeds_name_the_mistake():
    known = table((mistake("cost", "with its sign reversed"), {COST: (wrong(-X), wrong(-Y))}))
    named = name_mistakes(known, {COST: (wrong(-X), wrong(-Y))})
    assert named[COST].mistake.phrase == "with its sign reversed"


def test_answers_that_agree_at_one_seed_alone_name_nothing():
    known = table((mistake("cost", "with its sign reversed"), {COST: (wrong(-X), wrong(-Y))}))
    assert not name_mistakes(known, {COST: (wrong(-X), wrong(2 * Y))})


def test_a_mistake_that_changes_only_answers_after_the_failure_is_not_its_cause():
    """The check has stopped at the first answer, a None that no known mistake gives."""
    at_none = {0: print_of("call", ["value", None])}
    got = [at_none | {n + 1: p for n, p in wrong(-x).items()} for x in (X, Y)]
    later = tuple({1: trace[1]} for trace in got)
    known = table((mistake("cost", "with its sign reversed"), {COST: later}))
    assert not name_mistakes(known, {COST: got}, seen={COST: 1})
    for seen in ({COST: 2}, {}):  # it got that answer, too; an older result does not tell
        assert COST in name_mistakes(known, {COST: got}, seen=seen)


def test_three_numbers_name_nothing():
    few = np.array([0.1, 0.2, 0.3])
    known = table((mistake("cost", "negated"), {COST: (wrong(few), wrong(few))}))
    assert not name_mistakes(known, {COST: (wrong(few), wrong(few))})


def test_two_numbers_at_each_of_two_seeds_are_four():
    a, b = np.array([0.11, 0.23]), np.array([0.37, 0.59])
    known = table((mistake("cost", "negated"), {COST: (wrong(a), wrong(b))}))
    assert COST in name_mistakes(known, {COST: (wrong(a), wrong(b))})


def test_a_second_reading_of_another_kind_is_told_with_the_first():
    traces = {COST: (wrong(-X), wrong(-Y))}
    known = table(
        (mistake("cost", "with `U` transposed", kind="transposed"), traces),
        (mistake("cost", "without `U @ x`, one of its terms", kind="dropped term"), traces),
        (mistake("cost", "with one value in the place of another", kind="value"), traces),
    )
    named = name_mistakes(known, {COST: traces[COST]})[COST]
    # What any value may suffer comes after a mistake of the field.
    assert named.mistake.phrase == "without `U @ x`, one of its terms"
    assert named.also is not None
    assert named.also.phrase == "with `U` transposed"


def test_beside_the_instructors_words_stands_a_sign_alone():
    traces = {COST: (wrong(-X), wrong(-Y))}
    title = "the inner derivative -1 is forgotten"
    sample = Mistake("cost", "sample", "", "", "", title, "the inner derivative is forgotten")
    for kind, also in (("flipped sign", "with one sign reversed"), ("dropped term", None)):
        told = "with one sign reversed" if also else "without one term"
        known = table((sample, traces), (mistake("cost", told, kind=kind), traces))
        named = name_mistakes(known, {COST: traces[COST]})[COST]
        assert named.mistake.title == "the inner derivative -1 is forgotten"
        assert (named.also.phrase if named.also else None) == also


def test_a_mistake_that_does_not_fit_another_failing_check_of_its_function_is_not_told():
    known = table(
        (mistake("cost", "negated"), {COST: (wrong(-X), wrong(-Y)), GRAD: (wrong(-X), wrong(-Y))}),
        reach={COST: {"cost"}, GRAD: {"cost"}},
    )
    failing = {COST: (wrong(-X), wrong(-Y)), GRAD: (wrong(3 * X), wrong(3 * Y))}
    assert not name_mistakes(known, failing)


def test_two_mistakes_in_two_functions_are_each_told():
    known = table(
        (mistake("cost", "negated"), {COST: (wrong(-X), wrong(-Y)), GRAD: (wrong(-X), wrong(-Y))}),
        (mistake("other", "doubled"), {("b", "other"): (wrong(2 * X), wrong(2 * Y))}),
        reach={COST: {"cost"}, GRAD: {"cost", "other"}, ("b", "other"): {"other"}},
    )
    failing = {
        COST: (wrong(-X), wrong(-Y)),
        GRAD: (wrong(5 * X), wrong(5 * Y)),  # both at once
        ("b", "other"): (wrong(2 * X), wrong(2 * Y)),
    }
    named = name_mistakes(known, failing)
    assert named[COST].mistake.phrase == "negated"
    assert named["b", "other"].mistake.phrase == "doubled"
    assert GRAD not in named


def alone(**more):
    """What is named of `cost`, that COST uses alone, where GRAD fails in a way of its own."""
    traces = {COST: (wrong(-X), wrong(-Y)), GRAD: (wrong(2 * X), wrong(2 * Y))}
    known = table(
        (mistake("cost", "negated"), traces),
        (mistake("grad", "halved"), {GRAD: (wrong(X / 2), wrong(Y / 2))}),
        reach={COST: {"cost"}, GRAD: {"cost", "grad"}, ("a", "third"): {"grad"}},
    )
    failing = {COST: (wrong(-X), wrong(-Y)), GRAD: (wrong(X + Y), wrong(X - Y))}
    return name_mistakes(known, failing, **more)


def test_a_mistake_of_a_function_that_a_check_uses_alone_is_told_beside_a_second_mistake():
    assert alone()[COST].mistake.phrase == "negated"


def test_it_is_not_told_where_the_other_function_is_known_to_be_right():
    assert COST not in alone(passed=[("a", "third")])
    owners = {"cost": ["a"], "grad": ["b"]}
    assert COST not in alone(owners=owners)


def test_another_layout_of_the_same_wrong_values_is_named():
    known = table((mistake("cost", "negated"), {COST: (wrong(-X[None]), wrong(-Y[None]))}))
    assert COST in name_mistakes(known, {COST: (wrong(-X[:, None]), wrong(-Y[:, None]))})


def test_answers_that_no_mistake_moves_hang_on_the_cells_and_are_left_out():
    known = table((mistake("cost", "negated"), {COST: ({0: wrong(-X)[0]}, {0: wrong(-Y)[0]})}))
    trained = print_of("get", ["value", RNG.normal(size=9)])
    failing = {COST: ({**wrong(-X), 5: trained}, {**wrong(-Y), 5: trained})}
    assert COST in name_mistakes(known, failing)


def test_the_instructors_own_words_come_first_and_vague_ones_last():
    traces = {COST: (wrong(-X), wrong(-Y))}
    known = table(
        (mistake("cost", "with one value in the place of another"), traces),
        (mistake("cost", "with its sign reversed"), traces),
        (mistake("cost", "", title="the minus of the cross-entropy is missing"), traces),
    )
    told = name_mistakes(known, {COST: traces[COST]})[COST]
    assert told.mistake.title == "the minus of the cross-entropy is missing"
    assert told.others == 2


def test_a_mistake_without_words_is_not_told():
    traces = {COST: (wrong(-X), wrong(-Y))}
    assert not name_mistakes(table((mistake("cost", ""), traces)), {COST: traces[COST]})


def test_the_parts_of_a_table_are_put_together():
    first = table((mistake("cost", "negated"), {COST: (wrong(-X), wrong(-Y))}))
    second = table((mistake("cost", "doubled"), {COST: (wrong(2 * X), wrong(2 * Y))}))
    whole = first.merged([second])
    assert (
        name_mistakes(whole, {COST: (wrong(2 * X), wrong(2 * Y))})[COST].mistake.phrase == "doubled"
    )
    assert name_mistakes(whole, {COST: (wrong(-X), wrong(-Y))})[COST].mistake.phrase == "negated"


def test_a_check_that_asks_for_few_numbers_does_not_speak_against_a_mistake():
    few = np.array([0.5])
    entry = {COST: (wrong(-X), wrong(-Y)), GRAD: (wrong(-few), wrong(-few))}
    known = table((mistake("cost", "negated"), entry), reach={COST: {"cost"}, GRAD: {"cost"}})
    named = name_mistakes(known, entry)
    assert named[COST].mistake.phrase == named[GRAD].mistake.phrase == "negated"


def test_a_function_whose_own_exercise_holds_is_not_blamed_for_one_that_calls_it():
    traces = {GRAD: (wrong(-X), wrong(-Y))}
    known = table((mistake("sigmoid", "negated"), traces), reach={GRAD: {"sigmoid", "grad"}})
    assert not name_mistakes(known, traces, owners={"sigmoid": {"s"}, "grad": {"a"}})
    assert name_mistakes(known, traces, owners={"sigmoid": {"a"}, "grad": {"a"}})


def test_words_that_say_little_are_for_the_instructor_alone():
    assert mistake("f", "with one of its values squared in one place").says_little
    assert mistake("f", "with one value in the place of another").says_little
    assert not mistake("f", "without `lr`").says_little
    other = replace(
        mistake("f", "with a difference taken the other way round"),
        text=f"`1 - y` -> `y - 1`{OTHER_FORM}samples/right-by-definition.toml",
    )
    assert other.says_little
    assert not replace(other, text="`1 - y` -> `y - 1`").says_little
    assert not replace(other, title="the label is 1 - y", says="the other label").says_little


def test_a_sample_without_words_for_students_says_nothing_to_them():
    assert mistake("f", "", title="the label is 1 - y").says_little


def test_a_student_is_told_the_first_mistake_with_words_for_students():
    traces = {COST: (wrong(-X), wrong(-Y))}
    withheld = mistake("cost", "", title="1 - y for y")
    known = table((withheld, traces), (mistake("cost", "with one sign reversed"), traces))
    named = name_mistakes(known, {COST: traces[COST]})[COST]
    assert named.mistake is withheld
    assert named.told is not None
    assert named.told.phrase == "with one sign reversed"


def test_an_odd_change_is_no_second_reading_of_a_mistake_of_the_field():
    traces = {COST: (wrong(-X), wrong(-Y))}
    known = table(
        (mistake("cost", "with `p` taken from 1", kind="complement"), traces),
        (mistake("cost", "in the other order", kind="other order"), traces),
    )
    named = name_mistakes(known, {COST: traces[COST]})[COST]
    assert named.mistake.phrase == "in the other order" and named.also is None


def test_a_mistake_that_a_check_which_holds_would_see_is_told_after_others():
    mine = {GRAD: (wrong(-X), wrong(-Y))}
    known = table(
        (mistake("cost", "negated"), mine | {COST: (wrong(X), wrong(Y))}),
        (mistake("grad", "with the largest for the smallest"), mine),
    )
    failing = {GRAD: mine[GRAD]}
    assert name_mistakes(known, failing)[GRAD].mistake.function == "cost"
    assert name_mistakes(known, failing, passed=[COST])[GRAD].mistake.function == "grad"
