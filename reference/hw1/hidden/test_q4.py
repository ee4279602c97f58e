"""Hidden checks of question 4: students get none of this file."""

import numpy as np
import pytest
from test_q4 import (
    RATE,
    H,
    K,
    N,
    Parameters,
    clothes,
    linear_model,
    loss_and_gradient,
    make_network,
    some_points,
    step,
    trained_accuracy,
)

from grader.checks import as_array, assert_accuracy, assert_close
from grader.errors import CheckFailed


@pytest.mark.exercise("q4-logistic", points=1, hidden=True)
def test_logistic_regression_has_one_linear_layer(student):
    """K N weights and K biases, and no more, for other sizes too."""
    for k, n in [(3, 6), (10, 20)]:
        state = student.LogisticRegression(k, n).state_dict()
        count = sum(value.size for value in state.values())
        if count != k * n + k:
            raise CheckFailed("one linear layer has K N + K parameters", got=f"{count}")


@pytest.mark.exercise("q4-step", points=1.5, hidden=True)
def test_train_batch_takes_the_gradient_of_this_batch_alone(student, rng):
    """A second batch doesn't add to the first one's gradient; the criterion is the one given."""
    model, W, b, optimizer = linear_model(student, rng)
    for _ in range(3):
        X, y = some_points(rng)
        step(student, model, optimizer, X, y, reduction="sum")
        _, dW, db = loss_and_gradient(X, y, W, b)
        W, b = W - RATE * len(X) * dW, b - RATE * len(X) * db
    hint = "optimizer.zero_grad() before backward(), and the criterion that is given."
    called = "three calls of train_batch with the sum as criterion"
    after = model.state_dict()
    assert_close(after["weight"], W, rtol=1e-3, atol=1e-4, called=called, hint=hint, noun="W")
    assert_close(after["bias"], b, rtol=1e-3, atol=1e-4, called=called, hint=hint, noun="b")


@pytest.mark.exercise("q4-network", points=2, hidden=True)
def test_dropout_drops_its_share_of_the_hidden_units(student):
    """Whole hidden units, a share of `dropout` of them; neither inputs nor scores."""
    share, called = 0.2, "model(X) in training, dropout=0.2"
    model = make_network(student, 1, "relu", dropout=share)
    parameters = Parameters(student, model, (N, H, K), "FeedforwardNetwork(...)")
    # Score 0 is 0, scores 1 and 2 show one hidden unit, score 3 another one.
    W2 = np.zeros((K, H))
    W2[[1, 2, 3], [0, 0, 1]] = 1.0
    parameters.layers[0].write(np.ones((H, N)), np.zeros(H), W2, np.zeros(K))
    parameters.put()
    model.train()
    X = np.ones((2000, N), dtype=np.float32)
    scores = as_array(model(student.tensor(X)), called=called, shape=(2000, K))
    one, same, other = (scores - scores[:, :1])[:, 1:].T  # log softmax may follow the scores
    units = np.concatenate([one, other])
    kept = units[abs(units) > 0.01]
    if abs(one - same).max() > 0.01 or (kept.size and np.ptp(kept) > 0.01):
        raise CheckFailed("what is dropped are not the hidden units", called=called)
    if abs(1 - len(kept) / len(units) - share) > 0.04:  # 6 standard deviations
        raise CheckFailed("not that share of the hidden units is dropped", called=called)


@pytest.mark.exercise("q4-training", points=2, hidden=True)
def test_the_network_learns_to_tell_clothes(student, rng, datasets):
    """After 5 epochs over 1200 images more than half of the others are right."""
    student.torch.manual_seed(int(rng.integers(1000)))
    model = student.FeedforwardNetwork(10, 196, 50, 1, "relu", 0.1)
    accuracy = trained_accuracy(student, model, clothes(rng, datasets), rate=0.2)
    assert_accuracy(accuracy, at_least=0.5, called="the test accuracy after 5 epochs")
