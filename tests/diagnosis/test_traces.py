"""Fingerprints of answers: equal for equal values, small, and of whatever a process claims."""

import numpy as np
import pytest

from grader.diagnosis.traces import (
    LEAST_EVIDENCE,
    alike,
    differing,
    evidence_in_all,
    evidence_of,
    print_of,
    same_trace,
    seen_of,
    text_of,
    traces_of,
)


def answer(value, operation="call"):
    return print_of(operation, ["value", value])


X = np.random.default_rng(1).normal(size=(5, 3))


def test_the_same_values_summed_in_another_order_are_alike():
    assert alike(answer(X @ X.T), answer(np.einsum("ij,kj->ik", X, X)))


def test_a_change_of_one_element_is_seen():
    changed = X.copy()
    changed[2, 1] += 1e-5
    assert not alike(answer(X), answer(changed))


def test_two_elements_swapped_are_seen():
    assert not alike(answer(X), answer(X[::-1]))


def test_the_layout_counts_unless_it_is_let_go():
    row, column = answer(X[:1]), answer(X[:1].T)
    assert not alike(row, column)
    assert alike(row, column, shapes=False)


@pytest.mark.parametrize("rows", [list(X), X.tolist(), [[*row] for row in X], (*X,)])
def test_rows_in_a_list_are_compared_as_an_array_is(rows):
    assert alike(answer(X), answer(rows))


def test_a_list_of_two_results_is_no_array_of_both():
    assert not alike(answer([X, X[0]]), answer(np.vstack([X, X[0]])), shapes=False)
    assert not alike(answer([X, X + 1]), answer([X + 1, X]))


def test_single_precision_is_compared_with_its_own_room():
    assert alike(answer(X), answer(X.astype(np.float32)))


def test_values_that_are_not_finite_are_told_by_their_place():
    a, b = np.array([np.nan, 1.0, 2.0]), np.array([1.0, np.nan, 2.0])
    assert alike(answer(a), answer(a.copy()))
    assert not alike(answer(a), answer(b))


def test_an_error_is_its_kind_whatever_its_text():
    first = print_of("call", ["raised", ["ValueError", "one", None, 0, "", None]])
    second = print_of("call", ["raised", ["ValueError", "two", 3, 1, "x", None]])
    other = print_of("call", ["raised", ["TypeError", "one", None, 0, "", None]])
    assert alike(first, second) and not alike(first, other)


def test_the_arguments_of_an_observed_call_that_raised_are_no_evidence():
    seen = {"value": None, "error": ["ValueError", "one"], "arguments": [X], "warnings": []}
    assert answer(seen, "observe").weight == 0.0
    assert answer(seen | {"error": None, "value": X}, "observe").weight > 0.0


def test_the_seconds_of_an_observed_call_tell_nothing():
    seen = {"value": X, "error": None, "arguments": [X], "warnings": [], "seconds": 0.1, "steps": 4}
    later = seen | {"seconds": 0.7, "steps": 9}
    assert alike(answer(seen, "observe"), answer(later, "observe"))


@pytest.mark.parametrize(
    "claim",
    [
        None,
        "text" * 10_000,
        [[[[[[[[[[[[1.0]]]]]]]]]]]],
        {"a": [1, "b", None], "c": {}},
        np.array(["a", "b"]),
        10**400,
        [True, 2, 3.5],
        ("object", "Model"),
        np.array([1 + 2j]),
        float("inf"),
        [X] * 1000,
    ],
)
def test_whatever_a_process_claims_has_a_small_fingerprint(claim):
    found = answer(claim)
    assert len(found.form) < 10_000 and len(found.sums) == 4


@pytest.mark.parametrize("reply", [["value"], [], [1, 2], [None, None]])
def test_a_reply_that_is_none_has_one_too(reply):
    print_of("call", reply)


def test_three_numbers_are_thin_evidence_and_masks_thinner():
    assert evidence_of({0: answer([0.1, 0.2, 0.3])}) < LEAST_EVIDENCE
    assert evidence_of({0: answer([1.0, 0.0] * 10)}) < LEAST_EVIDENCE
    assert evidence_of({0: answer(X)}) >= LEAST_EVIDENCE


@pytest.mark.parametrize(
    "error",
    [
        print_of("call", ["raised", ["ValueError", "shapes", None, 0, "", None]]),
        print_of("observe", ["value", {"value": None, "arguments": [X], "error": ["ValueError"]}]),
    ],
    ids=["called", "observed"],
)
def test_what_comes_after_an_error_is_no_evidence(error):
    """The object keeps the values that it had, whatever stopped its method."""
    unchanged = answer({"W": X})
    assert evidence_of({3: error, 4: unchanged}) == 0
    assert evidence_in_all([{3: error, 4: unchanged}, {3: error, 4: answer(2 * X)}]) == 0
    assert evidence_of({2: unchanged, 3: error}) >= LEAST_EVIDENCE


def test_equal_numbers_count_once():
    assert evidence_of({0: answer(np.full(100, 0.3))}) < LEAST_EVIDENCE


def test_only_wrong_answers_are_kept_and_noisy_ones_left_out():
    right = [answer(1.5), answer(X), answer(2.5)]
    got = [answer(1.5), answer(2 * X), answer(9.5)]
    assert set(differing(right, got, noisy=frozenset([2]))) == {1}


def test_answers_that_never_came_are_wrong():
    right = [answer(1.5), answer(X)]
    assert set(differing(right, right[:1])) == {1}


def test_traces_are_the_same_where_the_same_answers_are_wrong_alike():
    assert same_trace({1: answer(X)}, {1: answer(X.copy())})
    assert not same_trace({1: answer(X)}, {2: answer(X)})
    assert not same_trace({1: answer(X)}, {1: answer(X), 2: answer(X)})


def test_traces_become_a_text_and_come_back():
    traces = [{1: answer(X), 3: answer("a")}, {0: answer(np.nan)}]
    again = traces_of(text_of(traces))
    assert all(same_trace(a, b) for a, b in zip(traces, again, strict=True))


def test_a_text_of_traces_tells_how_many_answers_the_check_got():
    traces = [{0: print_of("call", ["value", 0.5])}, {}]
    assert seen_of(text_of(traces, seen=7)) == 7
    assert traces_of(text_of(traces, seen=7)) == traces_of(text_of(traces)) == traces
    assert [seen_of(text) for text in (text_of(traces), "", "of another version")] == [0, 0, 0]
