"""Probes: which replies count as the same, and how arguments are changed."""

import numpy as np
import pytest

from grader.verify.perturbations import (
    AS_CALLED,
    NOT_SYMMETRIC,
    PERTURBATIONS,
    first_difference,
    generator_of,
    holds_symmetric,
    is_rounding,
    jittered,
    payload,
    perturb,
    same_value,
)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-13])),
        (np.array([np.nan, np.inf]), np.array([np.nan, np.inf])),
        (0.1 + 0.2, 0.3),
        ((1, [np.float64(2.0)]), (1, [np.float64(2.0)])),
        ({"x": np.arange(3)}, {"x": np.arange(3)}),
        (np.zeros(0), np.zeros(0)),
    ],
)
def test_values_that_differ_by_rounding_alone_are_the_same(a, b):
    assert same_value(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.array([1.0, 2.0]), np.array([1.0, 2.0 + 1e-9])),
        (np.array([1.0]), np.array([[1.0]])),
        (np.array([1.0]), np.array([1])),
        (np.array([1.0]), np.array([1.0], dtype=np.float32)),
        (np.float64(1.0), np.array(1.0)),
        (np.array([np.inf]), np.array([-np.inf])),
        (np.array([np.nan]), np.array([0.0])),
        ((1, 2), [1, 2]),
        (None, 0.0),
        (True, 1),
        ({"x": 1}, {"y": 1}),
    ],
)
def test_other_values_shapes_and_types_are_not_the_same(a, b):
    assert not same_value(a, b)


def test_the_first_difference_is_found_and_a_story_cut_short_differs_at_its_end():
    assert first_difference([1, 2, 3], [1, 2, 3]) is None
    assert first_difference([1, 2, 3], [1, 5, 3]) == 1
    assert first_difference([1, 2, 3], [1, 2]) == 2


def changed(value, variant):
    return perturb(value, PERTURBATIONS[variant], np.random.default_rng(5))


def test_arrays_and_floats_change_and_integers_and_names_do_not():
    request = ["call", 3, "f", (np.array([1.0, -2.0]), -0.5, 7), {"epochs": 10}]
    other = changed(request, "with extreme arguments")
    assert other[:3] == ["call", 3, "f"]
    assert other[3][0].tolist() == [-1000.0, 2000.0]
    assert other[3][1:] == (500.0, 7)
    assert other[4] == {"epochs": 10}


def test_shares_go_to_their_ends_and_stay_shares():
    p = np.array([[0.1], [0.7], [0.4]])
    assert changed(p, "with extreme arguments").ravel().tolist() == [0.0, 1.0, 0.0]
    drawn = changed(p, "with arguments drawn anew")
    assert drawn.shape == (3, 1)
    assert 0.1 <= drawn.min() <= drawn.max() <= 0.7
    assert not np.array_equal(drawn, p)


@pytest.mark.parametrize("variant", PERTURBATIONS)
def test_labels_stay_labels_and_pixels_pixels(variant):
    labels = changed(np.array([0.0, 1.0, 1.0, 0.0]), variant)
    assert set(labels) <= {0.0, 1.0}
    pixels = changed(np.array([[0, 200], [7, 255]], dtype=np.uint8), variant)
    assert pixels.dtype == np.uint8
    assert set(pixels.ravel()) <= {0, 7, 200, 255}


HALF = np.random.default_rng(8).normal(size=(3, 3))
POSITIVE, NEITHER = HALF @ HALF.T + np.eye(3), HALF + HALF.T


@pytest.mark.parametrize("variant", ["with extreme arguments", "with arguments drawn anew"])
def test_a_symmetric_matrix_stays_symmetric_and_a_covariance_positive(variant):
    for matrix in (POSITIVE, NEITHER):
        other = changed(matrix, variant)
        assert np.array_equal(other, other.T) and not np.array_equal(other, matrix)
    assert np.linalg.eigvalsh(changed(POSITIVE, variant))[0] > 0


def test_only_a_symmetric_matrix_loses_its_symmetry_in_the_last_variant():
    other = changed({"P": POSITIVE, "A": HALF, "unit": np.eye(3)}, NOT_SYMMETRIC)
    assert not np.allclose(other["P"], other["P"].T)
    assert np.array_equal(other["A"], HALF) and np.array_equal(other["unit"], np.eye(3))
    assert holds_symmetric(("call", 3, [POSITIVE])) and not holds_symmetric([HALF, np.eye(3), 2.0])


def test_weights_that_are_all_zero_are_drawn_anew():
    assert np.all(changed(np.zeros((3, 1)), "with arguments drawn anew") != 0)


def test_arrays_that_belong_together_lose_a_row_together():
    shorter = changed((np.ones((4, 3)), np.ones((4, 1))), "with one row less")
    assert [a.shape for a in shorter] == [(3, 3), (3, 1)]


def test_every_replay_draws_the_same():
    first, second = (generator_of("with arguments drawn anew").normal(size=3) for _ in range(2))
    assert np.array_equal(first, second)


def test_the_payload_counts_numbers():
    assert payload([("call", np.ones((3, 4)))]) == 1 + 1 + 1 + 12


def test_a_difference_of_amplified_last_digits_is_rounding():
    steep = np.array([[1.0, 1.0], [1.0, 1.0 + 1e-6]])
    b = np.array([2.0, 2.1])
    right = np.linalg.solve(steep, b)
    change = jittered(PERTURBATIONS[AS_CALLED])
    other = np.linalg.solve(perturb(steep, change, np.random.default_rng(1)), b)
    assert not same_value(right, right * (1 + 1e-9))
    assert is_rounding({"value": right}, {"value": right * (1 + 1e-9)}, {"value": other})
    assert not is_rounding([right], [1.01 * right], [other])


def test_a_reply_that_the_last_digits_determine_tells_nothing():
    assert is_rounding([1.0, 2.0], [900.0, -3.0], [1.1, 2.0])


def test_a_small_difference_of_a_stable_function_is_no_rounding():
    right, other = (
        0.3 * HALF,
        0.3 * perturb(HALF, jittered(lambda a, rng: a), generator_of(AS_CALLED)),
    )
    assert not is_rounding(right, right * (1 + 1e-11), other)
    assert not is_rounding(("raised", "ValueError"), ("raised", "TypeError"), ("raised", "x"))
