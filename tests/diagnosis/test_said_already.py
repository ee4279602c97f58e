"""A message and the words of a known mistake that make the same finding."""

import pytest

from grader.diagnosis.said_already import says_already

SIGN = "cost(w): the cost has the wrong sign everywhere\nIs a minus sign missing, or one too many?"
MEAN = "the gradient is 120 times too large\n120 = m: is the mean (1/m) missing?"
LOG = "the result is the logarithm of what it should be\nIs an exp missing?"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (SIGN, "with one sign reversed"),
        (SIGN, "cross-entropy without its minus sign"),
        (MEAN, "with a sum where a mean belongs"),
        (MEAN, "without the mean: one division by a number of examples or elements is left out"),
        ("the gradient is 10 times too small\n10 = K: is the factor K missing, or 1/K applied once "
         "too often?", "with one mean too many"),
        (LOG, "without one call of `exp`"),
        ("the result is 2.303 times too small\nIs it np.log10 instead of it?",
         "with `log10` where another function belongs"),
        ("the change of W is what you get when both rows are raised", "with one sign reversed"),
        ("the gradient is transposed", "with a product transposed"),
        ("the penalty term is missing in the gradient", "without one term of a sum"),
    ],
)  # fmt: skip
def test_the_same_finding_in_other_words_is_recognised(message, words):
    assert says_already(message, words)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("3 of 5 elements of the result are wrong", "with one sign reversed"),
        (SIGN, "without one call of `exp`"),
        (LOG, "with one sign reversed"),
        (MEAN, "over the other axis"),
        # What was called and what came says nothing of the mistake.
        ("the result is wrong\nexpected the wrong sign\ngot a minus sign", "one sign reversed"),
    ],
)
def test_another_finding_is_not_taken_for_the_same(message, words):
    assert not says_already(message, words)
