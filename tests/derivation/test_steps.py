"""Right steps are never flagged, and what differs in value never passes."""

import pytest
from cases import CASES_FIRST, CASES_SECOND, CONTEXTS

from grader.derivation.following import follow

SIGNS = {"=": "=", "<=": r"\le", ">=": r"\ge"}
RIGHT = [(case[0], case[1], case[4] if len(case) > 4 else "=", case[2])
         for case in [*CASES_FIRST, *CASES_SECOND]]  # fmt: skip
MUTANTS = [(case[0], case[1], case[4] if len(case) > 4 else "=", wrong)
           for case in [*CASES_FIRST, *CASES_SECOND] for wrong in case[3]]  # fmt: skip


def verdict(context: str, left: str, sign: str, right: str) -> str:
    steps = follow(f"$${left} {SIGNS[sign]} {right}$$", CONTEXTS[context], rendered=False).steps
    assert len(steps) == 1, steps
    return steps[0].verdict


def test_there_are_as_many_cases_as_were_promised():
    assert len(RIGHT) >= 120
    assert len(MUTANTS) >= 180


@pytest.mark.parametrize("step", RIGHT, ids=" ".join)
def test_a_right_step_follows(step):
    assert verdict(*step) in ("follows", "definition")


@pytest.mark.parametrize("step", MUTANTS, ids=" ".join)
def test_a_step_that_differs_in_value_does_not_pass(step):
    assert verdict(*step) in ("differs", "not read")


def test_of_the_steps_that_differ_most_are_told():
    told = sum(verdict(*step) == "differs" for step in MUTANTS)
    assert told >= 0.85 * len(MUTANTS)
