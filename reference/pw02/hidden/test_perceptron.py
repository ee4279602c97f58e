"""Hidden checks of exercise 3: the perceptron. Students get none of this file."""

import numpy as np
import pytest
from test_perceptron import (
    ALPHA,
    CE,
    M_TEST,
    MSE,
    N,
    assert_ce,
    assert_grad_b,
    assert_grad_w,
    assert_mse,
    assert_normalised,
    assert_prediction,
    assert_update,
    fresh_images,
    make_data,
    make_weights,
    mse_conventions,
    pair_rates,
    perceptron,
    raw_data,
    real_pair,
    some_predictions,
    trained_error,
)

from grader.checks import assert_error_rate, assert_one_of, assert_unchanged
from grader.errors import CheckFailed


@pytest.mark.exercise("3b-normalise", points=2, hidden=True, shares=True)
def test_a_second_model_gets_the_same_normalised_data(student, rng):
    """Normalising one model's data leaves the array that the next model is given as it was."""
    raw = raw_data(rng)
    arrays = {name: student.keep(array) for name, array in raw.items()}
    # Each model gets a dict of its own: whether a constructor keeps it is not asked here.
    first = student.GradientDescent(dict(arrays), ALPHA, CE)
    by_hand = np.array_equal(first.data["x_train"], raw["x_train"])
    if by_hand:
        first.normalise_data()
    assert_normalised(first.data, raw)
    hint = "Make a new array (x = x / 255): x /= 255, x[:] = ... and out= change the one that is "
    hint += "shared, and the next model normalises it once more."
    if not all(np.array_equal(arrays[name].get(), raw[name]) for name in raw):
        raise CheckFailed("the array that the model was given is changed in place", hint=hint)
    second = student.GradientDescent(dict(arrays), ALPHA, CE)
    if by_hand:
        second.normalise_data()
    if not np.allclose(second.data["x_train"], first.data["x_train"]):
        raise CheckFailed("the second model's data differs from the first's", hint=hint)


@pytest.mark.exercise("3b-cost", points=3, hidden=True, shares=True)
def test_costs_are_means_over_the_rows_that_they_are_given(student, rng):
    """The number of samples is that of the arguments, also where it is not the training set's."""
    data = make_data(rng)
    for m in (37, M_TEST, 1):
        p, y = some_predictions(rng, m)
        assert_mse(perceptron(student, data, MSE), p, y)
        assert_ce(perceptron(student, data, CE), p, y)


@pytest.mark.exercise("3b-grad", points=3, hidden=True, shares=True)
def test_gradients_hold_for_other_numbers_of_samples(student, rng):
    """Both costs, with 7 and with 53 training images."""
    conventions = mse_conventions(perceptron(student, data := make_data(rng), MSE), data)
    for m in (7, 53):
        data, (w, b) = make_data(rng, m=m), make_weights(rng)
        model = perceptron(student, data, CE)
        assert_grad_w(model, data, w, b, CE, 1.0, rng)
        assert_grad_b(model, data, w, b, CE, 1.0)
        model = perceptron(student, data, MSE)
        assert_one_of(conventions.values(), lambda c: assert_grad_w(model, data, w, b, MSE, c, rng))  # noqa: B023
        assert_one_of(conventions.values(), lambda c: assert_grad_b(model, data, w, b, MSE, c))  # noqa: B023


@pytest.mark.exercise("3b-predict", points=2, hidden=True, shares=True)
def test_predict_uses_the_images_that_it_is_given(student, rng):
    """Fresh images of another number; they stay as they are, and so do the weights."""
    w, b = make_weights(rng)
    model = perceptron(student, make_data(rng), CE, w, b)
    for m in (37, 1):
        x = rng.random((m, N))
        seen = model.predict.observe(x)
        if seen.error is not None:
            raise seen.error
        assert_prediction(seen.value, x, w, b)
        assert_unchanged(x, seen.arguments[0], called="predict(x)")
    assert_unchanged(w, model.w, called="predict(x) leaves w")


@pytest.mark.exercise("3b-update", points=2, hidden=True, shares=True)
def test_update_holds_for_other_learning_rates_and_costs(student, rng):
    """Small and large steps, with the squared error, too."""
    for alpha, cost in [(0.01, MSE), (2.5, CE)]:
        for part in (0, 1):
            assert_update(student, rng, cost, part, alpha=alpha)


@pytest.mark.exercise("3b-training", points=2, hidden=True)
def test_training_learns_another_pair_of_digits(student, rng, datasets):
    """The same class tells 0 from 6."""
    error = trained_error(student, real_pair(datasets, rng, 0, 6))
    assert_error_rate(error, at_most=0.05, called="the test error after optimise(200)")


@pytest.mark.exercise("3g-pairs", points=2, hidden=True)
def test_every_pair_is_guesswork_where_digits_are_shuffled(student, rng, datasets):
    """With digits dealt at random nothing can be learnt: every pair errs in half of its tests."""
    x, digits = fresh_images(rng, datasets, 50)
    rates = pair_rates(student, x, rng.permutation(digits))[np.triu_indices(10, 1)]
    if np.sum(rates == 0) > 1:
        raise CheckFailed("some pairs of digits are left out")
    # So few images are learnt by heart: the error on the training images is about 0.32.
    if not 0.38 < rates.mean() < 0.6:
        hint = "Train and test on images of the two digits alone; test on those set aside."
        raise CheckFailed("the error rates are not those of the images set aside", hint=hint)
