"""A derivation that was made to hang or to crash its reader is "not read", in bounded work."""

import pytest
from cases import SIGMOID

from grader.derivation.following import follow

HOSTILE = {
    "a tower of powers": r"$$2^{9^{9^{9}}} = 1$$",
    "a tower of e": "$$" + "e^{" * 30 + "z" + "}" * 30 + " = 1$$",
    "a small tower of e": "$$" + "e^{" * 8 + "z" + "}" * 8 + " = 1$$",
    "400 juxtaposed letters": "$$" + "x z t a " * 100 + "= 1$$",
    "a megabyte of braces": "$$" + "{" * 1_000_000 + "$$",
    "braces that close": "$$" + "{" * 2900 + "x" + "}" * 2900 + "=1$$",
    "brackets without end": "$$" + "(" * 2500 + "x = 1$$",
    "nested fractions": "$$" + r"\frac{1}{" * 200 + "x" + "}" * 200 + "=1$$",
    "nested sums": "$$" + r"\sum_{k=1}^{200} " * 8 + "x = 1$$",
    "a sum of a billion": r"$$\sum_{k=1}^{10^{9}} k = 1$$",
    "a product of towers": r"$$\prod_{k=1}^{200} 10^{k^{k}} = 1$$",
    "nested derivatives": "$$" + r"\frac{d}{dx}" * 12 + r"\sin x = 1$$",
    "many readings": "$$" + r"\frac{d}{dx} x z " * 40 + "= 1$$",
    "500 primes": "$$x" + "'" * 500 + " = 1$$",
    "minus after minus": "$$" + "-" * 800 + "x = x$$",
    "a number of 5000 digits": "$$" + "9" * 5000 + "=1$$",
    "nested calls": "$$" + r"\sigma(" * 39 + "z" + ")" * 39 + " = 1$$",
    "nested indices": "$$x" + "_{x" * 300 + "}" * 300 + "=1$$",
    "a limit of a tower": r"$$\lim_{x\to\infty} e^{e^{e^{x}}} = 1$$",
    "the sine of a huge number": r"$$\sin(10^{900000}) = 1$$",
    "unclosed environments": "$$" + r"\begin{cases}" * 60 + "x=1$$",
    "unclosed formulas": "$$ x = 1 $" * 5000,
    "openings without end": "\\begin{align} " * 8000,
    "control characters": "$$\x00\x1b[2J = 1$$",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_latex_is_not_read(text):
    followed = follow(text, SIGMOID)

    assert {step.verdict for step in followed.steps} <= {"not read"}


def test_thousands_of_steps_are_looked_at_up_to_a_limit_that_is_told():
    followed = follow("$x=x$ " * 5000, SIGMOID)

    assert len(followed.steps) == 400
    assert "first 400" in followed.note


def test_many_costly_formulas_share_one_budget():
    costly = "$$" + r"\sum_{k=1}^{200} \sum_{j=1}^{200} \sin(x) = 1$$" + "\n\n"

    followed = follow(costly * 60, SIGMOID)

    assert followed.count("not read") == 60
