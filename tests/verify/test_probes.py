"""Probes: which replies count as the same, and how arguments are changed."""

import numpy as np
import pytest

from grader.verify.probes import PERTURBATIONS, first_difference, perturb, same_value

RNG = np.random.default_rng(5)


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


def test_arrays_and_floats_change_and_integers_and_names_do_not():
    request = ["call", 3, "f", (np.array([1.0, -2.0]), 0.5, 7), {"epochs": 10}]
    changed = perturb(request, PERTURBATIONS["arguments negated"], RNG)
    assert changed[:3] == ["call", 3, "f"]
    assert changed[3][0].tolist() == [-1.0, 2.0]
    assert changed[3][1:] == (-0.5, 7)
    assert changed[4] == {"epochs": 10}


def test_pixels_stay_pixels_under_every_perturbation():
    pixels = np.array([[0, 200], [7, 255]], dtype=np.uint8)
    for change in PERTURBATIONS.values():
        assert change(pixels, RNG).dtype == np.uint8
    assert PERTURBATIONS["arguments negated"](pixels, RNG).tolist() == [[255, 55], [248, 0]]


def test_arrays_that_belong_together_lose_a_row_together():
    x, y = np.ones((4, 3)), np.ones((4, 1))
    shorter = perturb((x, y), PERTURBATIONS["one row less"], RNG)
    assert [a.shape for a in shorter] == [(3, 3), (3, 1)]
