"""Compute the answers of every known wrong solution to every check of a notebook, at two seeds.
A check that gives only a number or two has more seeds (`grader.tracing`).

The solved notebook runs once. In a fork of it, each mistake replaces a function and gets the
requests that the checks make: a few milliseconds for a mistake and a check.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from grader.diagnosis.catalogue import is_vague
from grader.diagnosis.known import OF_ANY_VALUE, OTHER_FORM, CheckName, Known, Mistake
from grader.diagnosis.traces import LEAST_EVIDENCE, Print, Trace, evidence_in_all
from grader.records import Assignment, Notebook
from grader.session import Session
from grader.suite import Suite
from grader.tracing import Asked, record
from grader.verify.known_candidates import Candidate, candidates_of, patch_for
from grader.verify.patching import raising_source
from grader.verify.replays import Replays, Work
from grader.verify.samples import exercises_of

MAX_LINES = 100_000
"""Lines of Python that a check's recording may run: a longer one would take too long with a
thousand mistakes. Lines are counted, so that every machine has the same table. A call of the
check's own function counts as a hundred."""
MAX_SECONDS = 2.0
"""Processor time of a recording: a few lines may hold much work. The limit is far above the time of
MAX_LINES, so that a slow machine leaves out the same recordings."""
OTHER_CHECKS = 3
OF_A_HELPER = 8
"""How many checks of other exercises a function's mistakes are replayed in; OF_A_HELPER for a
function without exercises of its own."""
_OF_STALE_VALUES = ("value for another", "values swapped")
PER_GROUP = 3
"""Of mistakes with equal answers at one seed, so many are replayed at the other seeds."""


@dataclass(frozen=True)
class Prepared:
    """The input of a notebook's table.

    asked : each check's recordings
    work : the cost of each check's recording on the solved notebook
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
    """Record the requests of the checks, and list the known mistakes of the notebook."""
    only = exercises_of(suite.assignment, notebook.name)
    asked = {
        check: one
        for check, one in record(suite, notebook.name, session, seed=seed, only=only).items()
        # Figures were drawn when the cells ran: a changed function does not draw them again.
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
    """Return the table of every `of`-th mistake, and the checks that can name each mistake.

    The checks are listed by the mistake's patch. A check can name a mistake if its wrong answers
    hold enough evidence, and if there are words for the mistake.
    """
    asked, reach = prepared.asked, prepared.reach
    candidates = prepared.candidates[part::of]
    checks = list(asked)
    # A call of a check's function goes to our process and back, up to a hundred times a recording.
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
    chosen = _one_of_each(tried)
    later: list[dict[CheckName, list[dict[int, Print]]]] = [{} for _ in chosen]
    for seed in range(1, max((len(one.recordings) for one in asked.values()), default=1)):
        here = [check for check in checks if len(asked[check].recordings) > seed]
        replays = Replays(session, [asked[c] for c in here], seed, [prepared.work[c] for c in here])
        again = replays.wrong(
            [candidate.patch for candidate, _ in chosen],
            [[here.index(check) for check in traces if check in here] for _, traces in chosen],
        )
        for found, (_, traces), wrong in zip(later, chosen, again, strict=True):
            for check in traces:
                if check in here:
                    found.setdefault(check, []).append(wrong.get(here.index(check), {}))
    both = [
        (candidate, {check: (trace, *more.get(check, ())) for check, trace in traces.items()})
        for (candidate, traces), more in zip(chosen, later, strict=True)
    ]
    return _table(both, reach), _nameable(tried, both)


def is_odd(mistake: Mistake) -> bool:
    """Return whether a mistake is a change of any value, with words that say little."""
    if mistake.title or mistake.kind not in OF_ANY_VALUE or mistake.kind in _OF_STALE_VALUES:
        return False
    return mistake.says_little or "in one place" in mistake.phrase


def _nameable(
    tried: Sequence[tuple[Candidate, dict[CheckName, dict[int, Print]]]],
    both: Sequence[tuple[Candidate, Mapping[CheckName, Sequence[Trace]]]],
) -> dict[str, frozenset[CheckName]]:
    """Return the checks that can name each mistake, with the evidence that `name_mistakes` needs.

    tried : answers at the first seed; both : answers of the chosen mistakes at every seed
    """
    evidence = {
        _answers_key({check: found[0] for check, found in traces.items()}): sum(
            evidence_in_all(found) for found in traces.values()
        )
        for _, traces in both
    }
    return {
        candidate.patch: frozenset(first)
        for candidate, first in tried
        if (candidate.mistake.title or candidate.mistake.phrase)
        and evidence.get(_answers_key(first), 0.0) >= LEAST_EVIDENCE
    }


def _checks_for(
    mistake: Mistake,
    checks: Sequence[CheckName],
    work: Mapping[CheckName, Work],
    reach: Mapping[CheckName, Collection[str]],
    assignment: Assignment,
) -> list[int]:
    """Return the numbers of the checks to replay a mistake in: of its exercises, and a few others.

    The others are the quickest ones: every check may reach a helper.
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
    """Return the functions that each check depends on: its answers change if they raise."""
    names = sorted(functions)
    patches = [patch_for(notebook, name, raising_source(name)) for name in names]
    replays = Replays(session, list(asked.values()), 0)
    wrong = replays.wrong(patches, [range(len(asked))] * len(patches))
    return {
        check: {name for name, found in zip(names, wrong, strict=True) if number in found}
        for number, check in enumerate(asked)
    }


def _one_of_each(
    tried: Sequence[tuple[Candidate, dict[CheckName, dict[int, Print]]]],
) -> list[tuple[Candidate, dict[CheckName, dict[int, Print]]]]:
    """Return at most PER_GROUP mistakes, with different words, of each group with equal answers.

    Of mistakes with equal words, one in the solution comes before one in another form.
    """
    groups: dict[object, list[tuple[Candidate, dict[CheckName, dict[int, Print]]]]] = {}
    for candidate, first in sorted(tried, key=lambda pair: OTHER_FORM in pair[0].mistake.text):
        group = groups.setdefault(_answers_key(first), [])
        words = {other.mistake.title or other.mistake.phrase for other, _ in group}
        if (candidate.mistake.title or candidate.mistake.phrase) in words:
            continue
        group.append((candidate, first))
    chosen = []
    for group in groups.values():
        group.sort(key=lambda pair: _rank(pair[0].mistake))
        chosen += group[:PER_GROUP]
    return chosen


def _answers_key(wrong_by_check: Mapping[CheckName, Mapping[int, Print]]) -> object:
    """Return a key that is equal for mistakes with equal answers."""
    return tuple(
        (check, tuple((n, _rounded(p)) for n, p in sorted(wrong.items())))
        for check, wrong in sorted(wrong_by_check.items())
    )


def _rank(mistake: Mistake) -> tuple[bool, bool, bool, bool, int]:
    """Return a sort key: the instructor's words first, then the most precise, then the shortest."""
    vague = is_vague(mistake.phrase) or not mistake.phrase or "in one place" in mistake.phrase
    any_value = mistake.kind in OF_ANY_VALUE
    return not mistake.title, vague, OTHER_FORM in mistake.text, any_value, len(mistake.phrase)


def _rounded(answer: Print) -> tuple[object, ...]:
    return answer.form, answer.shapes, *(f"{number:.6g}" for number in answer.sums)


def _table(
    chosen: Sequence[tuple[Candidate, Mapping[CheckName, Sequence[Trace]]]],
    reach: Mapping[CheckName, Collection[str]],
) -> Known:
    return Known(
        tuple(candidate.mistake for candidate, _ in chosen),
        tuple(traces for _, traces in chosen),
        reach,
    )
