"""The records of `grade verify`: the findings of each of its parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from grader.verify.mutants import Mutant
from grader.verify.samples import SampleVerdict

MutantStatus = Literal["caught", "timeout", "survived", "unreached", "equivalent"]

REQUIRED_RATE = 0.95
"""Share of the value-changing mutants that the checks must catch."""

CONFIDENCE = 0.95


@dataclass(frozen=True)
class MutantVerdict:
    """The verdict on a mutant.

    status : "timeout" is caught by the clock; "unreached" survived in a function that no check
        calls; "equivalent" gave the reference's values at every probe
    by : the check that caught it ("3b-cost, cross entropy matches the definition")
    detail : for a survivor, the probe that shows the difference; for an equivalent mutant, the
        number of probes
    explanation : the reason in survivors.toml why it may survive
    named : whether the message of the check that caught it names it
    """

    mutant: Mutant
    status: MutantStatus
    by: str = ""
    detail: str = ""
    explanation: str = ""
    suspects: tuple[str, ...] = ()
    seconds: float = 0.0
    named: bool = False

    @property
    def survivor(self) -> bool:
        """True if it changes a value and no check lost credit."""
        return self.status in ("survived", "unreached")

    @property
    def caught(self) -> bool:
        return self.status in ("caught", "timeout")


@dataclass(frozen=True)
class CheckRate:
    """How often a check refused the reference over the seeds.

    failures : (seed, message) of each refusal
    slowest : seconds of its slowest run
    """

    exercise: str
    name: str
    hidden: bool
    points: float
    seeds: int
    failures: tuple[tuple[int, str], ...] = ()
    slowest: float = 0.0

    @property
    def rate(self) -> float:
        return len(self.failures) / self.seeds if self.seeds else 0.0

    @property
    def bound(self) -> float:
        """The upper bound of the false-fail rate, with confidence CONFIDENCE."""
        return upper_bound(len(self.failures), self.seeds)


def upper_bound(failures: int, runs: int, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided upper confidence bound of a rate of failures.

    It is the rate at which so few failures have the probability 1 - confidence.
    Source: Clopper and Pearson, Biometrika 26 (1934).
    """
    if failures >= runs:
        return 1.0
    low, high = failures / runs, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        tail = sum(
            math.comb(runs, k) * middle**k * (1 - middle) ** (runs - k) for k in range(failures + 1)
        )
        low, high = (middle, high) if tail > 1 - confidence else (low, middle)
    return high


@dataclass(frozen=True)
class ExerciseLine:
    """An exercise's line: its points, its functions and the number of its checks."""

    id: str
    title: str
    points: float
    manual: bool
    bonus: bool
    functions: tuple[str, ...]
    notebook: str
    checks: int = 0


@dataclass(frozen=True)
class WrittenLine:
    """A derivation exercise: its solution, its samples, its mutants.

    steps, not_read : of the solution
    samples : how many there are; as_declared : how many match their declaration
    differ, unread, passing : of the mutants of the solution's lines
    problems : a sentence for everything that makes verify fail
    """

    exercise: str
    steps: int
    not_read: int
    samples: int = 0
    as_declared: int = 0
    differ: int = 0
    unread: int = 0
    passing: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerifyReport:
    """The findings about an assignment.

    reference_lost, stub_earned : a sentence for each check that refuses the reference, or gives
        points to the bare stub
    samples, mutants, rates : empty if they were not requested
    stale : ids in survivors.toml without a survivor
    left_out : functions without mutants, since they draw; samples can cover their mistakes
    written : the exercises that are written derivations
    skipped : notebooks that need a package which is not installed here
    stale_tables : notebooks whose table in the assignment's folder is out of date
    warnings : checks that raised an exception of their own instead of giving a verdict
    too_much_said : samples with words that would give the solution away to students
    """

    assignment: str
    title: str
    exercises: tuple[ExerciseLine, ...]
    reference_score: float
    max_score: float
    stub_score: float
    checks: int = 0
    hidden_checks: int = 0
    reference_lost: tuple[str, ...] = ()
    stub_earned: tuple[str, ...] = ()
    rates: tuple[CheckRate, ...] = ()
    seeds: int = 0
    samples: tuple[SampleVerdict, ...] = ()
    mutants: tuple[MutantVerdict, ...] = ()
    stale: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    written: tuple[WrittenLine, ...] = ()
    stale_tables: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    too_much_said: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def survivors(self) -> tuple[MutantVerdict, ...]:
        return tuple(m for m in self.mutants if m.survivor)

    @property
    def unexplained(self) -> tuple[MutantVerdict, ...]:
        return tuple(m for m in self.survivors if not m.explanation)

    @property
    def equivalent(self) -> tuple[MutantVerdict, ...]:
        return tuple(m for m in self.mutants if m.status == "equivalent")

    @property
    def catch_rate(self) -> float:
        """Share of the value-changing mutants that are caught; 1.0 if there are none."""
        caught = sum(m.caught for m in self.mutants)
        changed = caught + len(self.survivors)
        return caught / changed if changed else 1.0

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for everything that makes verify fail; empty if it passes."""
        found = [f"the reference loses points: {text}" for text in self.reference_lost]
        found += [f"the stub earns points: {text}" for text in self.stub_earned]
        found += [
            f"{rate.exercise}, {rate.name}: refused the reference at {len(rate.failures)} of "
            f"{rate.seeds} seeds (first: seed {rate.failures[0][0]}: {rate.failures[0][1]})"
            for rate in self.rates
            if rate.failures
        ]
        found += [
            f"samples/{verdict.sample.name}.toml ({verdict.sample.title}): {text}"
            for verdict in self.samples
            for text in verdict.deviations
        ]
        found += [
            f"mutant survived: {m.mutant.id} ({m.mutant.place})"
            + (f"; {m.detail}" * bool(m.detail))
            for m in self.unexplained
        ]
        found += [text for line in self.written for text in line.problems]
        if self.catch_rate < REQUIRED_RATE:
            found.append(
                f"{self.catch_rate:.1%} of the mutants that change a value are caught; "
                f"{REQUIRED_RATE:.0%} are required"
            )
        return tuple(found)

    @property
    def passed(self) -> bool:
        return not self.problems
