"""Hidden checks of question 2: students get none of this file."""

import pytest
from test_q2_gradients import DH, M, assert_elastic_gradient, four, network, softmax, some_weights

from grader.checks import as_array, assert_close, assert_no_warnings


@pytest.mark.exercise("q2-forward", points=1, hidden=True, shares=True)
def test_forward_stands_large_preactivations(student, rng):
    """Probabilities come of pre-activations near 1000, without an overflow."""
    n = network(rng)
    called = "forward(...) with large weights"
    seen = student.forward.observe(n.x, 1e3 * n.W1, n.b1, 1e2 * n.W2, n.b2)
    if seen.error is not None:
        raise seen.error
    assert_no_warnings(seen.warnings, called=called)
    oa = as_array(four(seen.value)[2], called=called, shape=(M,))
    assert_close(seen.value[3], softmax(oa), called=called, noun="os")


@pytest.mark.exercise("q2-grad-ha", points=0.5, hidden=True, shares=True)
def test_grad_ha_is_zero_where_ha_is_zero(student, rng):
    """rect'(0) = 0, as question 1 has it."""
    n = network(rng)
    n.ha[1] = 0.0
    got = student.grad_ha(n.d_hs, n.ha)
    assert_close(got, n.d_hs * (n.ha > 0), called="grad_ha(d_hs, ha) with a zero in ha")


@pytest.mark.exercise("q2-grad-elastic", points=1, hidden=True, shares=True)
def test_grad_elastic_takes_each_penalty_by_itself(student, rng):
    """Lasso (l2 = 0), ridge (l1 = 0), none; matrices of other shapes."""
    for shape, l1, l2 in [((M, DH), 0.3, 0.0), ((2, 6), 0.0, 1.5), ((1, 3), 2.0, 0.1)]:
        assert_elastic_gradient(student.grad_elastic, some_weights(rng, shape), l1, l2, rng)
    W = some_weights(rng, (M, DH))
    assert_close(student.grad_elastic(W, 0.0, 0.0), 0.0 * W, called="grad_elastic(W, 0, 0)")
