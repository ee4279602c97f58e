"""How far two graders agree on the answers that both have marked: Cohen's kappa.

Source: Cohen, A coefficient of agreement for nominal scales, Educ. Psychol. Meas. 20 (1960).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from grader.review.classroom import Classroom
from grader.review.merged import points_of


@dataclass(frozen=True)
class Agreement:
    """The agreement on one exercise.

    both : how many answers two graders have finished
    same : share of the rubric's decisions on which they agree; None without decisions
    kappa : Cohen's kappa of these decisions; None where it isn't defined
    mean_gap : mean absolute difference of the points
    differing : (submission, points of the first, of the second)
    """

    exercise: str
    both: int
    same: float | None
    kappa: float | None
    mean_gap: float
    differing: tuple[tuple[int, float, float], ...]


def cohens_kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Return Cohen's kappa of pairs of judgements: 1 is full agreement, 0 is chance.

    None if there are no pairs, or if all judgements are equal.
    """
    if not pairs:
        return None
    count = len(pairs)
    agreed = sum(one == other for one, other in pairs) / count
    first, second = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    by_chance = sum(first[key] * second[key] for key in first) / count**2
    if 1.0 - by_chance < 1e-12:
        return None
    return (agreed - by_chance) / (1.0 - by_chance)


def agreement_on(room: Classroom, exercise: str) -> Agreement | None:
    """Return the agreement on an exercise; None if no answer was graded twice."""
    items = room.book.items.get(exercise, [])
    start = room.book.starts.get(exercise, "none")
    decisions: list[tuple[bool, bool]] = []
    gaps: list[float] = []
    differing = []
    for number, rows in room.answers.items():
        if exercise not in rows:
            continue
        first, second = (room.grading(number, exercise, r) for r in (1, 2))
        if not (first.done and second.done):
            continue
        machine = room.machine_score(number, exercise)
        points = [points_of(machine, items, one, start) for one in (first, second)]
        gaps.append(abs(points[0] - points[1]))
        decisions += [(i.id in first.items, i.id in second.items) for i in items]
        if first.items != second.items or gaps[-1] > 1e-9:
            differing.append((number, points[0], points[1]))
    if not gaps:
        return None
    same = sum(a == b for a, b in decisions) / len(decisions) if decisions else None
    return Agreement(exercise, len(gaps), same, cohens_kappa(decisions),
                     sum(gaps) / len(gaps), tuple(differing))  # fmt: skip
