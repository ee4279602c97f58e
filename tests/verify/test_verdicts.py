"""The report's arithmetic: rates, bounds, what makes verify fail."""

import pytest

from grader.records import Outcome
from grader.verify.calibration import rate_checks
from grader.verify.mutants import Mutant
from grader.verify.verdicts import MutantVerdict, VerifyReport, upper_bound


def mutant(name: str) -> Mutant:
    return Mutant(name, "toy.ipynb", "f", "flipped sign", 1, 2, "def f(): ...\n")


def report(*statuses: str, explanation: str = "", **more) -> VerifyReport:
    verdicts = tuple(
        MutantVerdict(mutant(f"f: change {n}"), status, explanation=explanation)
        for n, status in enumerate(statuses)
    )
    return VerifyReport("toy", "Toy", (), 10.0, 10.0, 0.0, mutants=verdicts, **more)


def test_no_failure_in_fifty_runs_leaves_room_for_six_percent():
    # By hand: (1 - p)**50 = 0.05 at p = 1 - exp(log(0.05) / 50) = 0.0582.
    assert upper_bound(0, 50) == pytest.approx(0.05815, abs=1e-4)


def test_the_bound_grows_with_the_failures_and_ends_at_one():
    assert upper_bound(1, 50) > upper_bound(0, 50)
    # Tables of Clopper and Pearson: 1 of 50, one-sided 95 %.
    assert upper_bound(1, 50) == pytest.approx(0.0914, abs=1e-3)
    assert upper_bound(50, 50) == 1.0


def test_equivalent_mutants_are_left_out_of_the_rate():
    assert report("caught", "timeout", "equivalent", "survived").catch_rate == pytest.approx(2 / 3)


def test_an_unexplained_survivor_fails_and_an_explained_one_does_not():
    many = ["caught"] * 30
    assert not report(*many, "survived").passed
    assert report(*many, "survived", explanation="both layouts are right").passed


def test_a_function_that_no_check_reaches_counts_as_survived():
    assert not report(*["caught"] * 30, "unreached").passed


def test_too_many_survivors_fail_even_where_each_is_explained():
    problems = report("caught", "survived", explanation="because").problems
    assert problems == ("50.0% of the mutants that change a value are caught; 95% are required",)


def test_a_check_that_refuses_the_reference_at_one_seed_fails():
    runs = [
        (seed, [Outcome("2a", "values", "passed" if seed else "failed", 0.0, 1.0, message="no")])
        for seed in range(4)
    ]
    (rate,) = rate_checks(runs)
    assert rate.failures == ((0, "no"),)
    assert rate.rate == 0.25
    assert report(rates=(rate,)).problems == (
        "2a, values: refused the reference at 1 of 4 seeds (first: seed 0: no)",
    )


def test_seeds_may_come_in_any_order():
    runs = [(s, [Outcome("2a", "values", "failed", 0.0, 1.0, message=str(s))]) for s in (3, 1, 2)]
    assert [seed for seed, _ in rate_checks(runs)[0].failures] == [1, 2, 3]
