"""Computes what every known wrong solution answers to every check of a notebook, at two seeds.

The solved notebook runs once. Each mistake is put in the place of a function in a fresh fork, and
asked what the checks ask: a few milliseconds a mistake and check.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from grader.diagnosis.catalogue import is_vague
from grader.diagnosis.known import OF_ANY_VALUE, OTHER_FORM, CheckName, Known, Mistake
from grader.diagnosis.traces import LEAST_EVIDENCE, Print, evidence_in_all
from grader.records import Assignment, Notebook
from grader.session import Session
from grader.suite import Suite
from grader.tracing import Asked, record
from grader.verify.known_candidates import Candidate, candidates_of, patch_for
from grader.verify.replays import Replays, Work
from grader.verify.samples import exercises_of

MAX_LINES = 100_000
"""Of Python that a check's recording runs: what takes more is not asked of a thousand mistakes.
They are counted, so that every machine has the same table. A call of the check's own function
counts as a hundred."""
MAX_SECONDS = 2.0
"""Of a processor: a few lines may hold much work. Far from what the lines allow, so that a slow
machine leaves out the same."""
OTHER_CHECKS = 3
OF_A_HELPER = 8
"""Checks beyond those of a function's own exercises that its mistakes are asked."""
_OF_STALE_VALUES = ("value for another", "values swapped")
PER_GROUP = 3
"""Of mistakes that answer alike at one seed, so many are asked at the second."""


@dataclass(frozen=True)
class Prepared:
    """What a table of a notebook is computed from.

    work : what each check's recording takes of the solved notebook
    reach : the functions that each check's answers depend on
    """

    notebook: Notebook
    asked: Mapping[CheckName, Asked]
    work: Mapping[CheckName, Work]
    candidates: Sequence[Candidate]
    reach: Mapping[CheckName, Collection[str]]


def build(
    suite: Suite, notebook: Notebook, session: Session, *, seed: int = 0, part: int = 0, of: int = 1
) -> Known:
    """Return the table of a notebook, or one of several parts of it.

    session : on the solved notebook
    """
    prepared = prepare(suite, notebook, session, seed=seed)
    return table_of(prepared, suite, session, part=part, of=of)[0]


def prepare(suite: Suite, notebook: Notebook, session: Session, *, seed: int = 0) -> Prepared:
    """Learn what the checks ask, and list all that is known of the notebook."""
    only = exercises_of(suite.assignment, notebook.name)
    asked = {
        check: one
        for check, one in record(suite, notebook.name, session, seed=seed, only=only).items()
        # Figures were drawn when the cells ran: no call of a changed function draws them again.
        if "figures" not in one.recordings[0].operations
    }
    work = dict(zip(asked, Replays(session, list(asked.values()), 0).work(), strict=True))
    asked = {
        check: one
        for check, one in asked.items()
        if work[check].lines <= MAX_LINES and work[check].seconds <= MAX_SECONDS
    }
    candidates = candidates_of(suite, notebook)
    functions = {candidate.mistake.function for candidate in candidates}
    reach = reached_by(session, notebook.name, asked, functions)
    return Prepared(notebook, asked, work, candidates, reach)


def table_of(
    prepared: Prepared, suite: Suite, session: Session, *, part: int = 0, of: int = 1
) -> tuple[Known, dict[str, frozenset[CheckName]]]:
    """Return the table of every `of`-th mistake, and which checks can name what.

    The latter by the statements that put a mistake in place: the checks whose wrong answers hold
    enough evidence of it, where there are words for it.
    """
    asked, reach = prepared.asked, prepared.reach
    candidates = prepared.candidates[part::of]
    checks = list(asked)
    # A call of a check's function goes to its own process and back: a hundred times in a recording.
    costly = {number for number, check in enumerate(checks) if asked[check].recordings[0].functions}
    wanted = [
        [
            number
            for number in _checks_for(
                candidate.mistake, checks, prepared.work, reach, suite.assignment
            )
            if number not in costly or not is_odd(candidate.mistake)
        ]
        for candidate in candidates
    ]
    work = [prepared.work[check] for check in checks]
    first = Replays(session, [asked[check] for check in checks], 0, work)
    tried = [
        (candidate, {checks[number]: trace for number, trace in wrong.items()})
        for candidate, wrong in zip(
            candidates, first.wrong([c.patch for c in candidates], wanted), strict=True
        )
        if wrong
    ]
    kept = _one_of_each(tried)
    second = Replays(session, [asked[check] for check in checks], 1, work)
    again = second.wrong(
        [candidate.patch for candidate, _ in kept],
        [[checks.index(check) for check in traces] for _, traces in kept],
    )
    both = [
        (candidate, traces, {checks[number]: trace for number, trace in more.items()})
        for (candidate, traces), more in zip(kept, again, strict=True)
    ]
    return _table(both, reach), _nameable(tried, both)


def is_odd(mistake: Mistake) -> bool:
    """Tell whether it is one of the many that any value may suffer, and that says little of it."""
    if mistake.title or mistake.kind not in OF_ANY_VALUE or mistake.kind in _OF_STALE_VALUES:
        return False
    return mistake.says_little or "in one place" in mistake.told


def _nameable(
    tried: Sequence[tuple[Candidate, dict[CheckName, dict[int, Print]]]],
    both: Sequence[
        tuple[Candidate, dict[CheckName, dict[int, Print]], dict[CheckName, dict[int, Print]]]
    ],
) -> dict[str, frozenset[CheckName]]:
    """Return the checks that can name each mistake, as `name_mistakes` weighs the evidence.

    tried : answers at the first seed; both : of those that are kept, at both seeds
    """
    evidence = {
        _answers_key(first): sum(
            evidence_in_all([wrong, second.get(check, {})]) for check, wrong in first.items()
        )
        for _, first, second in both
    }
    return {
        candidate.patch: frozenset(first)
        for candidate, first in tried
        if (candidate.mistake.title or candidate.mistake.told)
        and evidence.get(_answers_key(first), 0.0) >= LEAST_EVIDENCE
    }


def _checks_for(
    mistake: Mistake,
    checks: Sequence[CheckName],
    work: Mapping[CheckName, Work],
    reach: Mapping[CheckName, Collection[str]],
    assignment: Assignment,
) -> list[int]:
    """Return the numbers of the checks that a mistake is asked: its own exercises', a few others.

    The quick ones of the others: a helper may be reached by every check.
    """
    own = {e.id for e in assignment.exercises if mistake.function in e.functions}
    reached = [
        number
        for number, check in enumerate(checks)
        if mistake.title or mistake.function in reach[check]
    ]
    others = [number for number in reached if checks[number][0] not in own]
    others.sort(key=lambda number: work[checks[number]].lines)
    few = others[: OTHER_CHECKS if own else OF_A_HELPER]
    return sorted({n for n in reached if checks[n][0] in own} | set(few))


def reached_by(
    session: Session, notebook: str, asked: Mapping[CheckName, Asked], functions: Collection[str]
) -> dict[CheckName, set[str]]:
    """Return the functions that each check's answers depend on: those it misses when they raise."""
    names = sorted(functions)
    patches = []
    for function in names:
        name = function.rpartition(".")[2]
        lost = f"def {name}(*args, **kwargs):\n    raise NotImplementedError\n"
        patches.append(patch_for(notebook, function, lost))
    replays = Replays(session, list(asked.values()), 0)
    wrong = replays.wrong(patches, [range(len(asked))] * len(patches))
    return {
        check: {name for name, found in zip(names, wrong, strict=True) if number in found}
        for number, check in enumerate(asked)
    }


def _one_of_each(
    tried: Sequence[tuple[Candidate, dict[CheckName, dict[int, Print]]]],
) -> list[tuple[Candidate, dict[CheckName, dict[int, Print]]]]:
    """Of mistakes that answer alike, keep those of different words, a few.

    Of equal words the solution's own come before those of another form.
    """
    groups: dict[object, list[tuple[Candidate, dict[CheckName, dict[int, Print]]]]] = {}
    for candidate, first in sorted(tried, key=lambda pair: OTHER_FORM in pair[0].mistake.text):
        group = groups.setdefault(_answers_key(first), [])
        words = {other.mistake.title or other.mistake.told for other, _ in group}
        if (candidate.mistake.title or candidate.mistake.told) in words:
            continue
        group.append((candidate, first))
    kept = []
    for group in groups.values():
        group.sort(key=lambda pair: _length(pair[0].mistake))
        kept += group[:PER_GROUP]
    return kept


def _answers_key(wrong_by_check: Mapping[CheckName, Mapping[int, Print]]) -> object:
    """Return what is equal for mistakes that answer alike."""
    return tuple(
        (check, tuple((n, _rounded(p)) for n, p in sorted(wrong.items())))
        for check, wrong in sorted(wrong_by_check.items())
    )


def _length(mistake: Mistake) -> tuple[bool, bool, bool, bool, int]:
    vague = is_vague(mistake.told) or not mistake.told or "in one place" in mistake.told
    any_value = mistake.kind in OF_ANY_VALUE
    return not mistake.title, vague, OTHER_FORM in mistake.text, any_value, len(mistake.told)


def _rounded(answer: Print) -> tuple[object, ...]:
    return answer.form, answer.shapes, *(f"{number:.6g}" for number in answer.sums)


def _table(
    kept: Sequence[
        tuple[Candidate, dict[CheckName, dict[int, Print]], dict[CheckName, dict[int, Print]]]
    ],
    reach: Mapping[CheckName, Collection[str]],
) -> Known:
    mistakes, both = [], []
    for candidate, first, second in kept:
        pairs = {check: (wrong, second.get(check, {})) for check, wrong in first.items()}
        mistakes.append(candidate.mistake)
        both.append(pairs)
    return Known(tuple(mistakes), tuple(both), reach)
