"""The table of known mistakes with their answers, and how a submission's mistake is found in it.

A failing check's answers are compared with those of every known wrong solution, at two seeds. Equal
answers at random inputs are evidence. A mistake is named only if it also explains the other failing
checks that use its function, except those in which another function is wrong, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from grader.diagnosis.catalogue import is_of_another_form, is_vague
from grader.diagnosis.traces import LEAST_EVIDENCE, Print, Trace, evidence_in_all, same_trace

SEEDS = 2
"""At least: a check that gives only a number or two has more. With one seed, a fifth of a check's
matches are chance: they don't hold at another seed."""
MAX_ANSWERS = 40
"""How many wrong answers of a check are compared: the first ones."""

OTHER_FORM = ", in the form of "
"""The text of a change contains this if a right sample was changed, not the solution."""

CheckName = tuple[str, str]


@dataclass(frozen=True)
class Mistake:
    """One known wrong solution.

    function : qualified name of the changed function; kind : see the catalogue
    phrase : what a student reads after "behaves exactly as the solution would"
    text : the change, for the instructor; place : its notebook, cell and line
    title : of the instructor's sample with this mistake; "" for an automatic mutant
    says : what a student reads of a sample; "" if its title would give the solution away
    """

    function: str
    kind: str
    phrase: str
    text: str
    place: str = ""
    title: str = ""
    says: str = ""

    @property
    def says_little(self) -> bool:
        """Whether its words tell a student nothing, or too much, or of code that isn't theirs."""
        if self.title:
            return not self.says
        of_another = OTHER_FORM in self.text and is_of_another_form(self.phrase)
        return is_vague(self.phrase) or of_another


@dataclass(frozen=True)
class Expected:
    """The solved notebook's answers to one check, at one seed.

    noisy : numbers of the answers that differ between two runs of the same code
    """

    answers: tuple[Print, ...]
    noisy: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Known:
    """The known mistakes of an assignment.

    traces : of each mistake, by check, one for each seed
    reach : the functions that a check's answers depend on
    """

    mistakes: tuple[Mistake, ...] = ()
    traces: tuple[Mapping[CheckName, Sequence[Trace]], ...] = ()
    reach: Mapping[CheckName, Collection[str]] = field(default_factory=dict)

    @cached_property
    def moved(self) -> Mapping[CheckName, Sequence[set[int]]]:
        """The numbers of the answers that any mistake changes, by check and seed.

        The other answers depend on values of the notebook's cells, such as a trained model.
        """
        moved: dict[CheckName, list[set[int]]] = {}
        for by_check in self.traces:
            for check, pair in by_check.items():
                numbers = moved.setdefault(check, [])
                numbers += [set() for _ in range(len(numbers), len(pair))]
                for mine, trace in zip(numbers, pair, strict=False):
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
    """The known mistake that gives the same answers to a check as the submission.

    others : how many other known mistakes give these answers, too
    also : one of them, of another kind; None if none of them is worth naming
    told : the first one with words for a student; None if there is none
    """

    mistake: Mistake
    others: int = 0
    also: Mistake | None = None
    told: Mistake | None = None


def name_mistakes(
    known: Known,
    failing: Mapping[CheckName, Sequence[Trace]],
    *,
    owners: Mapping[str, Collection[str]] | None = None,
    passed: Collection[CheckName] = (),
    seen: Mapping[CheckName, int] | None = None,
) -> dict[CheckName, Named]:
    """Return the known mistake that explains each failing check, if there is one.

    failing : the wrong answers to each failing check, one trace for each seed
    owners : the exercises that score each function. If all of a function's exercises pass, the
        fault is in the code that calls it
    passed : the checks that pass. A mistake that would fail one of them comes last
    seen : how many answers each failing check got. It failed at one of these, as at None from an
        empty gap: a mistake that changes only later answers is not its cause
    """
    owners = owners or {}
    seen = seen or {}
    exercises = {exercise for exercise, _ in failing}
    wrong = {check: _moved(known, check, traces) for check, traces in failing.items()}
    fitting = {check: _fitting(known, check, traces) for check, traces in wrong.items()}
    weights = {check: evidence_in_all(traces) for check, traces in wrong.items()}
    right = {name for check in passed for name in known.reach.get(check, ())}
    right |= {name for name, own in owners.items() if own and not exercises & {*own}}
    named = {}
    for check, found in fitting.items():
        if not _is_seen(wrong[check], seen.get(check, 0)):
            continue
        consistent = [
            number
            for number in found
            if _reads_well(known.mistakes[number])
            and exercises & set(owners.get(known.mistakes[number].function, exercises))
            and _holds_elsewhere(
                known, known.mistakes[number].function, number, check, fitting, right
            )
            # A check with few numbers needs the evidence of other checks of the same mistake.
            and sum(weights[other] for other in fitting if number in fitting[other])
            >= LEAST_EVIDENCE
        ]
        consistent.sort(key=lambda n: (_seen_in(known, n, passed), _rank(known.mistakes[n])))
        mistakes = [known.mistakes[number] for number in consistent]
        if mistakes:
            others = len({mistake.phrase for mistake in mistakes}) - 1
            telling = [m for m in mistakes if not m.says_little]
            also = _another(telling) if telling else None
            named[check] = Named(mistakes[0], others, also, telling[0] if telling else None)
    return named


_ALIKE = (
    {
        "transposed",
        "rows for columns",
        "transposed operand",
        "transposed product",
        "dropped transpose",
        "swapped operands",
    },
    {"flipped sign", "sign", "swapped difference", "negated argument", "sigmoid's slope"},
    {"forgotten call", "wrong function", "function", "related function", "absolute"},
    {"mean", "mean and sum", "divisor of the mean", "wrong function", "reduced"},
    {"dropped power", "power", "another power", "absolute"},
    {"dropped factor", "lost divisor", "scaled", "mean", "factor 2", "wrong constant"},
)
"""Kinds of which a student learns nothing more from a second one."""


def _another(mistakes: Sequence[Mistake]) -> Mistake | None:
    """Return a second mistake that is worth naming beside the first; None if there is none.

    A mistake is not worth naming if its phrase says little, or if it comes from another form of the
    solution. Beside an instructor's sample only a flipped sign is: many mistakes end in one.
    """
    first = mistakes[0]
    for other in mistakes[1:]:
        says_little = not other.phrase or other.says_little or " in one place" in other.phrase
        alike = other.kind == first.kind or any({other.kind, first.kind} <= one for one in _ALIKE)
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
    """Return whether the mistake would fail a check that passes."""
    return any(any(known.traces[number].get(check, ())) for check in passed)


def _reads_well(mistake: Mistake) -> bool:
    return bool(mistake.title or mistake.phrase)


OF_ANY_VALUE = frozenset(
    (
        *("scaled", "sign", "power", "absolute", "shifted", "complement", "reciprocal"),
        *("function", "mask", "rounded", "reduced", "mean", "normalised", "centred", "transposed"),
        *("flipped", "first", "constant", "sorted", "shifted in place", "rest"),
        *("value for another", "values swapped", "rows for columns"),
    )
)
"""Kinds of mistakes that can happen to any value."""

_ODD = frozenset(
    ("complement", "reciprocal", "shifted", "power", "function", "mask", "rounded", "sorted")
)
"""Kinds that are not named as a second mistake beside a typical mistake of the field."""


def _rank(mistake: Mistake) -> tuple[bool, bool, bool, bool, bool, int]:
    """Return the sort key: an instructor's sample first, then the phrases that say the most."""
    phrase = mistake.title or mistake.phrase
    odd = "in one place" in phrase or "everywhere" in phrase
    return (
        not mistake.title,
        not mistake.title and odd,
        mistake.says_little,
        OTHER_FORM in mistake.text,
        # A change that can happen to any value says less than a typical mistake of the field.
        mistake.kind in OF_ANY_VALUE,
        len(phrase),
    )


def _moved(known: Known, check: CheckName, traces: Sequence[Trace]) -> list[Trace]:
    """Return the wrong answers, at each seed, that some known mistake changes."""
    moved = known.moved.get(check, ())
    return [
        {number: answer for number, answer in trace.items() if number in numbers}
        for trace, numbers in zip(traces, moved, strict=False)
    ]


def _is_seen(wrong: Sequence[Trace], seen: int) -> bool:
    """Return whether the check itself got one of the wrong answers; True if that is not known.

    The first trace is of the seed at which the check ran.
    """
    return not seen or any(number < seen for number in (wrong[0] if wrong else ()))


def _fitting(known: Known, check: CheckName, wrong: Sequence[Trace]) -> set[int]:
    """Return the numbers of the mistakes that give these answers to the check, at every seed."""
    if len(wrong) < SEEDS or not any(wrong):
        return set()
    for shapes in (True, False):
        found = {
            number
            for number, by_check in enumerate(known.traces)
            if len(theirs := by_check.get(check, ())) >= len(wrong)
            and all(
                same_trace(mine, other, shapes=shapes)
                for mine, other in zip(wrong, theirs, strict=False)
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
    right: Collection[str],
) -> bool:
    """Return whether no other failing check contradicts the mistake.

    A failing check that uses the mistake's function must have the mistake's answers, too. It need
    not if it also uses a function that is wrong elsewhere: in a failing check that does not use the
    mistake's function. Where the check uses this function alone, its answers depend on nothing
    else: then it is enough that the other check uses a function that may be wrong, too.

    right : the functions that passed checks use, or whose own exercises pass
    """
    alone = set(known.reach.get(check, ())) == {function}
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
        if seen is None:  # never recorded: the check takes too long
            continue
        unproven = {*reached} - {function, *right} if alone else set()
        if not set(reached) & others and not unproven:
            return False
    return True
