"""Calibration: how often each check refuses the reference, over many seeds.

A check draws its inputs from the seed. So a tolerance or an accuracy threshold that is too tight
refuses the reference at some seeds. All seeds use one session; each check runs in a fork of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from grader.records import Outcome
from grader.suite import CheckedSession, CheckJob, Suite
from grader.verify.samples import flat
from grader.verify.verdicts import CheckRate


def run_seeds(
    suite: Suite,
    sessions: Mapping[str, CheckedSession],
    *,
    seeds: Iterable[int],
    only: Collection[str],
    step: Callable[[], None] = lambda: None,
) -> list[tuple[int, list[Outcome]]]:
    """Return (seed, outcomes) for each seed.

    sessions : on the solved notebooks; only : ids of their exercises
    step : called after each seed
    """
    reference = sessions.__getitem__
    runs = []
    for seed in seeds:
        job = CheckJob(sessions=sessions, seed=seed, only=only, reference=reference)
        runs.append((seed, suite.run(job)))
        step()
    return runs


def rate_checks(runs: Sequence[tuple[int, Sequence[Outcome]]]) -> tuple[CheckRate, ...]:
    """Return each check's false-fail rate, in the order in which the checks ran.

    runs : (seed, outcomes of the reference) pairs, in any order of seeds
    """
    by_check: dict[tuple[str, str], list[tuple[int, Outcome]]] = {}
    for seed, outcomes in sorted(runs, key=lambda run: run[0]):
        for outcome in outcomes:
            by_check.setdefault((outcome.exercise, outcome.name), []).append((seed, outcome))
    return tuple(
        CheckRate(
            exercise=exercise,
            name=name,
            hidden=seen[0][1].hidden,
            points=seen[0][1].max_points,
            seeds=len(seen),
            failures=tuple(
                (seed, flat(outcome.message) or outcome.outcome)
                for seed, outcome in seen
                if outcome.outcome != "passed"
            ),
            slowest=max(outcome.seconds for _, outcome in seen),
        )
        for (exercise, name), seen in by_check.items()
    )
