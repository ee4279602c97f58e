"""Known mistakes by what they answer: the table, and the mistake that a submission's answers name.

A failing check's answers are compared with those of every known wrong solution, at two seeds. Equal
at random inputs is evidence; what is told must hold in every failing check that the function
reaches, as far as no other function is at fault there too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from grader.diagnosis.catalogue import is_of_another_form, is_vague
from grader.diagnosis.traces import LEAST_EVIDENCE, Print, Trace, evidence_in_all, same_trace

SEEDS = 2
"""Of a single check's matches at one seed a fifth do not hold at another."""
MAX_ANSWERS = 40
"""Wrong answers of a check that are compared: the first ones."""

OTHER_FORM = ", in the form of "
"""Stands in the text of a change that was made in a right sample, not in the solution."""

CheckName = tuple[str, str]


@dataclass(frozen=True)
class Mistake:
    """One known wrong solution.

    function : qualified name of what it changes; kind : see the catalogue
    told : what a student reads after "behaves exactly as the solution would"
    text : the change, for the instructor; place : notebook, cell and line of it
    title : of the sample that tells it, in the instructor's words; "" for an automatic one
    """

    function: str
    kind: str
    told: str
    text: str
    place: str = ""
    title: str = ""

    @property
    def says_little(self) -> bool:
        """True where a student learns nothing from the words, or something of code not theirs."""
        of_another = OTHER_FORM in self.text and is_of_another_form(self.told)
        return not self.title and (is_vague(self.told) or of_another)


@dataclass(frozen=True)
class Expected:
    """What the solved notebook answers one check, at one seed.

    noisy : numbers of answers that differ between two runs of the same code
    """

    answers: tuple[Print, ...]
    noisy: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Known:
    """All that is known of an assignment at one seed.

    reach : the functions that a check's answers depend on
    traces : of each mistake, by check, one for each seed
    """

    mistakes: tuple[Mistake, ...] = ()
    traces: tuple[Mapping[CheckName, Sequence[Trace]], ...] = ()
    reach: Mapping[CheckName, Collection[str]] = field(default_factory=dict)

    @cached_property
    def moved(self) -> Mapping[CheckName, Sequence[set[int]]]:
        """Numbers of the answers that any mistake changes, by check and seed.

        Others hang on what the notebook's cells made: a student's trained model, say.
        """
        moved: dict[CheckName, list[set[int]]] = {}
        for by_check in self.traces:
            for check, pair in by_check.items():
                numbers = moved.setdefault(check, [set() for _ in range(SEEDS)])
                for mine, trace in zip(numbers, pair, strict=True):
                    mine.update(trace)
        return moved

    def merged(self, others: Iterable[Known]) -> Known:
        """Return the table of several parts of an assignment."""
        parts = [self, *others]
        reach: dict[CheckName, set[str]] = {}
        for part in parts:
            for check, functions in part.reach.items():
                reach.setdefault(check, set()).update(functions)
        return Known(
            tuple(mistake for part in parts for mistake in part.mistakes),
            tuple(traces for part in parts for traces in part.traces),
            reach,
        )


@dataclass(frozen=True)
class Named:
    """The mistake that a check's answers are those of.

    others : how many other known mistakes answer the same
    also : of another kind, that answers the same here; None where there is none to tell
    """

    mistake: Mistake
    others: int = 0
    also: Mistake | None = None


def name_mistakes(
    known: Known,
    failing: Mapping[CheckName, Sequence[Trace]],
    *,
    owners: Mapping[str, Collection[str]] | None = None,
    passed: Collection[CheckName] = (),
) -> dict[CheckName, Named]:
    """Return the mistake of each failing check whose answers are those of a known one.

    failing : the wrong answers to each failing check, one trace for each seed
    owners : the exercises that score a function; one of theirs must fail, or the fault lies
        in what calls the function
    passed : checks that hold: a mistake that answers them wrong, too, is told last
    """
    owners = owners or {}
    exercises = {exercise for exercise, _ in failing}
    wrong = {check: _moved(known, check, traces) for check, traces in failing.items()}
    fitting = {check: _fitting(known, check, traces) for check, traces in wrong.items()}
    weights = {check: evidence_in_all(traces) for check, traces in wrong.items()}
    named = {}
    for check, found in fitting.items():
        consistent = [
            number
            for number in found
            if _reads_well(known.mistakes[number])
            and exercises & set(owners.get(known.mistakes[number].function, exercises))
            and _holds_elsewhere(known, known.mistakes[number].function, number, check, fitting)
            # A check that asks for few numbers is named with the others of its function.
            and sum(weights[other] for other in fitting if number in fitting[other])
            >= LEAST_EVIDENCE
        ]
        consistent.sort(key=lambda n: (_seen_in(known, n, passed), _rank(known.mistakes[n])))
        told = [known.mistakes[number] for number in consistent]
        if told:
            named[check] = Named(told[0], len({m.told for m in told}) - 1, _another(told))
    return named


_OTHER_WAY_ROUND = {
    "transposed",
    "rows for columns",
    "transposed operand",
    "transposed product",
    "dropped transpose",
    "swapped operands",
}


def _another(told: Sequence[Mistake]) -> Mistake | None:
    """Return the second mistake to tell, where what is asked tells it from the first in nothing.

    What says little, or comes from another form of the solution, is no second reading. Beside the
    instructor's own words stands a sign alone: many mistakes end in one.
    """
    first = told[0]
    for other in told[1:]:
        says_little = not other.told or other.says_little or " in one place" in other.told
        alike = other.kind == first.kind or {other.kind, first.kind} <= _OTHER_WAY_ROUND
        if other.function != first.function or alike or says_little or other.title:
            continue
        if first.title and other.kind != "flipped sign":
            continue
        if other.kind in _ODD and first.kind not in OF_ANY_VALUE:
            continue
        if OTHER_FORM not in other.text or OTHER_FORM in first.text:
            return other
    return None


def _seen_in(known: Known, number: int, passed: Collection[CheckName]) -> bool:
    """Tell whether a check that holds would have seen the mistake."""
    return any(any(known.traces[number].get(check, ())) for check in passed)


def _reads_well(mistake: Mistake) -> bool:
    return bool(mistake.title or mistake.told)


OF_ANY_VALUE = frozenset(
    (
        *("scaled", "sign", "power", "absolute", "shifted", "complement", "reciprocal"),
        *("function", "mask", "rounded", "reduced", "mean", "normalised", "centred", "transposed"),
        *("flipped", "first", "constant", "sorted", "shifted in place", "rest"),
        *("value for another", "values swapped", "rows for columns"),
    )
)


_ODD = frozenset(
    ("complement", "reciprocal", "shifted", "power", "function", "mask", "rounded", "sorted")
)
"""What somebody may well have done is no second reading beside a mistake of the field."""


def _rank(mistake: Mistake) -> tuple[bool, bool, bool, bool, bool, int]:
    """The instructor's own words first, then those that say most of the solution's own form."""
    told = mistake.title or mistake.told
    odd = "in one place" in told or "everywhere" in told
    return (
        not mistake.title,
        not mistake.title and odd,
        mistake.says_little,
        OTHER_FORM in mistake.text,
        # What any value may suffer says less than a mistake of the field.
        mistake.kind in OF_ANY_VALUE,
        len(told),
    )


def _moved(known: Known, check: CheckName, traces: Sequence[Trace]) -> list[Trace]:
    """Return the wrong answers that some mistake changes, at each seed; none for no table."""
    moved = known.moved.get(check, ())
    return [
        {number: answer for number, answer in trace.items() if number in numbers}
        for trace, numbers in zip(traces, moved, strict=False)
    ]


def _fitting(known: Known, check: CheckName, wrong: Sequence[Trace]) -> set[int]:
    """Return the numbers of the mistakes that answer the check so, at every seed."""
    if len(wrong) < SEEDS or not any(wrong):
        return set()
    for shapes in (True, False):
        found = {
            number
            for number, by_check in enumerate(known.traces)
            if len(theirs := by_check.get(check, ())) == SEEDS
            and all(
                same_trace(mine, other, shapes=shapes)
                for mine, other in zip(wrong, theirs, strict=True)
            )
        }
        if found:
            return found
    return set()


def _holds_elsewhere(
    known: Known,
    function: str,
    number: int,
    check: CheckName,
    matching: Mapping[CheckName, Collection[int]],
) -> bool:
    """Return whether no other failing check speaks against a mistake.

    One that reaches the function must match, unless another function is at fault there: one that
    fails in a check which does not reach this function.
    """
    others = {
        name
        for failed in matching
        if function not in known.reach.get(failed, ())
        for name in known.reach.get(failed, ())
    }
    for failed, found in matching.items():
        reached = known.reach.get(failed, ())
        if failed == check or function not in reached or number in found:
            continue
        seen = known.traces[number].get(failed)
        if seen is None:  # never tried there: a check that takes long
            continue
        if not set(reached) & others:
            return False
    return True
