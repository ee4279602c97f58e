"""Statistics of a class: how hard each exercise and check was, and the common mistakes.

    insight = insight_of(results)
    as_markdown(insight); as_csv(insight)

facility : mean share of the points; 1 is easy
discrimination : correlation of an item with the rest of the score (the item itself left out)
alpha : Cronbach's, over the exercises; not below LEAST_FOR_ALPHA students
Source: Crocker and Algina, Introduction to Classical and Modern Test Theory, chapters 7 and 14.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev

from grader.gradebook.table import safe
from grader.records import ExerciseScore, Result
from grader.report.wording import label
from grader.review.similar_answers import diagnosis_of, last_line
from grader.text import one_line

LEAST_FOR_ALPHA = 20
LEAST_FOR_TOGETHER = 3
"""Two checks are listed as "always together" if at least so many students fail both."""
UNCLEAR = 0.3
"""If a larger share of the class makes one mistake, the sheet may be at fault."""
MOST_DIAGNOSES = 10


@dataclass(frozen=True)
class ItemStatistics:
    """Statistics of an exercise, or of a check (`check` is then its name).

    students : how many have a verdict
    facility, sd : mean and standard deviation of the share of the points
    discrimination : None if all have the same points
    """

    exercise: str
    check: str
    students: int
    facility: float
    sd: float
    discrimination: float | None


@dataclass(frozen=True)
class Diagnosis:
    """A mistake and its frequency. example : one submission with it; message : its text"""

    exercise: str
    check: str
    words: str
    count: int
    share: float
    example: int
    message: str


@dataclass(frozen=True)
class Insight:
    """The statistics of one class. open : results with points that a person has yet to give"""

    students: int
    mean: float | None
    sd: float | None
    alpha: float | None
    open: int
    exercises: tuple[ItemStatistics, ...]
    checks: tuple[ItemStatistics, ...]
    never_fired: tuple[tuple[str, str], ...]
    together: tuple[tuple[tuple[str, str], ...], ...]
    diagnoses: tuple[Diagnosis, ...]


def insight_of(results: Sequence[Result]) -> Insight:
    """Return the statistics of a class's graded results. `example` is an index into `results`."""
    graded = [(place, r) for place, r in enumerate(results) if r.status == "graded"]
    shares = [_share(r.score, r.max_score) for _, r in graded]
    exercises = list(_exercises([r for _, r in graded]))
    checks, fails = _checks([r for _, r in graded])
    never = tuple(key for key, failed in fails.items() if not any(failed.values()))
    return Insight(
        len(graded),
        fmean(shares) if shares else None,
        pstdev(shares) if shares else None,
        cronbachs_alpha([r for _, r in graded]),
        sum(r.manual_points > 0 for _, r in graded),
        tuple(exercises),
        tuple(checks),
        never,
        _together(fails),
        tuple(_diagnoses(graded)),
    )


def _exercises(results: Sequence[Result]) -> Iterable[ItemStatistics]:
    for id_ in _ids(results):
        pairs = []
        for result in results:
            exercise = next((e for e in result.exercises if e.id == id_), None)
            if exercise is not None and _counts(exercise):
                rest = sum(e.points for e in result.exercises if e.id != id_ and _counts(e))
                pairs.append((_share(exercise.points, exercise.max_points), rest))
        if pairs:
            yield _statistics(id_, "", pairs)


def _checks(
    results: Sequence[Result],
) -> tuple[list[ItemStatistics], dict[tuple[str, str], dict[int, bool]]]:
    pairs: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    fails: dict[tuple[str, str], dict[int, bool]] = defaultdict(dict)
    for place, result in enumerate(results):
        total = sum(e.points for e in result.exercises if _counts(e))
        for exercise in result.exercises:
            for check in exercise.checks:
                if check.outcome == "skipped" and not check.missing:
                    continue
                if not check.max_points and check.penalty:
                    continue  # a broken rule is not a check
                key = (exercise.id, check.name)
                pairs[key].append((check.credit, total - check.points))
                fails[key][place] = check.credit < 1.0 - 1e-9
    return [_statistics(*key, found) for key, found in pairs.items()], dict(fails)


def _statistics(exercise: str, check: str, pairs: Sequence[tuple[float, float]]) -> ItemStatistics:
    shares = [share for share, _ in pairs]
    return ItemStatistics(exercise, check, len(pairs), fmean(shares), pstdev(shares),
                          correlation(pairs))  # fmt: skip


def correlation(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Pearson's correlation; None below three pairs, or if one side does not vary."""
    if len(pairs) < 3:
        return None
    mean_x, mean_y = (fmean(pair[i] for pair in pairs) for i in (0, 1))
    xx = sum((x - mean_x) ** 2 for x, _ in pairs)
    yy = sum((y - mean_y) ** 2 for _, y in pairs)
    if xx < 1e-12 or yy < 1e-12:
        return None
    return sum((x - mean_x) * (y - mean_y) for x, y in pairs) / math.sqrt(xx * yy)


def cronbachs_alpha(results: Sequence[Result]) -> float | None:
    """Return Cronbach's alpha over the exercises that everybody has; None below 20 students."""
    if len(results) < LEAST_FOR_ALPHA:
        return None
    columns = []
    for id_ in _ids(results):
        found = [next((e for e in r.exercises if e.id == id_), None) for r in results]
        if all(e is not None and _counts(e) for e in found):
            columns.append([e.points for e in found if e is not None])
    if len(columns) < 2:
        return None
    totals = [sum(column[n] for column in columns) for n in range(len(results))]
    whole = pstdev(totals) ** 2
    if whole < 1e-12:
        return None
    k = len(columns)
    return k / (k - 1) * (1 - sum(pstdev(column) ** 2 for column in columns) / whole)


def _together(
    fails: dict[tuple[str, str], dict[int, bool]],
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return the groups of checks that fail for exactly the same students."""
    groups: dict[tuple[tuple[int, bool], ...], list[tuple[str, str]]] = defaultdict(list)
    for key, failed in fails.items():
        if sum(failed.values()) >= LEAST_FOR_TOGETHER:
            groups[tuple(sorted(failed.items()))].append(key)
    return tuple(tuple(keys) for keys in groups.values() if len(keys) > 1)


def _diagnoses(graded: Sequence[tuple[int, Result]]) -> Iterable[Diagnosis]:
    counts: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], tuple[int, str]] = {}
    last_lines: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for place, result in graded:
        for exercise in result.exercises:
            for check in exercise.checks:
                if check.outcome in ("passed", "skipped") or check.missing:
                    continue
                key = (exercise.id, check.name, diagnosis_of(check))
                counts[key] += 1
                last_lines[key].add(last_line(check))
                first.setdefault(key, (place, check.message))
    for (exercise_id, name, words), count in counts.most_common(MOST_DIAGNOSES):
        place, message = first[exercise_id, name, words]
        texts = last_lines[exercise_id, name, words]
        shown = next(iter(texts)) if len(texts) == 1 else words
        yield Diagnosis(exercise_id, name, shown, count, count / len(graded), place, message)


def _ids(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(e.id for result in results for e in result.exercises))


def _counts(exercise: ExerciseScore) -> bool:
    return exercise.status not in ("manual", "not_gradable") and exercise.max_points > 0


def _share(points: float, most: float) -> float:
    return points / most if most > 0 else 1.0


# --- for files ------------------------------------------------------------------------------------


def as_markdown(insight: Insight, title: str, results: Sequence[Result]) -> str:
    """Return the statistics as Markdown. results : those that insight_of() got"""
    lines = [f"# What the class teaches: {_cell(title)}", ""]
    mean = ""
    if insight.mean is not None and insight.sd is not None:
        mean = f", mean {100 * insight.mean:.0f} %, standard deviation {100 * insight.sd:.0f} %"
    alpha = _number(insight.alpha) or f"not below {LEAST_FOR_ALPHA} students"
    lines.append(f"{insight.students} graded{mean}, alpha {alpha}.")
    if insight.open:
        lines.append(f"{insight.open} still have open points, which are left out.")
    for head, items in (("Exercises", insight.exercises), ("Checks", insight.checks)):
        lines += ["", f"## {head}", "", "| item | students | facility | sd | discrimination |",
                  "|---|---:|---:|---:|---:|"]  # fmt: skip
        lines += [
            f"| {_cell(': '.join(filter(None, (i.exercise, i.check))))} | {i.students} | "
            f"{i.facility:.2f} | {i.sd:.2f} | {_number(i.discrimination)} |"
            for i in items
        ]
    lines += ["", "## Checks that never fired", ""]
    lines += [f"- {_cell(e)}: {_cell(c)}" for e, c in insight.never_fired] or ["None."]
    lines += ["", "## Checks that always fail together", ""]
    lines += [
        "- " + "; ".join(f"{_cell(e)}: {_cell(c)}" for e, c in group) for group in insight.together
    ] or ["None."]
    lines += ["", "## Commonest diagnoses", ""]
    for one in insight.diagnoses:
        unclear = " **Is the sheet clear?**" if one.share > UNCLEAR else ""
        lines.append(
            f"- {one.count} ({100 * one.share:.0f} %): {_cell(one.exercise)}, {_cell(one.check)}: "
            f"{_cell(one.words)} (for example {_cell(label(results[one.example]))}).{unclear}"
        )
    if not insight.diagnoses:
        lines.append("None.")
    return "\n".join(lines) + "\n"


def as_csv(insight: Insight) -> str:
    """Return the statistics of exercises and checks as CSV, with a byte order mark for Excel."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(["exercise", "check", "students", "facility", "sd", "discrimination",
                     "never fired", "fails together with"])  # fmt: skip
    partners = {
        key: "; ".join(f"{e}: {c}" for e, c in group if (e, c) != key)
        for group in insight.together
        for key in group
    }
    for item in (*insight.exercises, *insight.checks):
        key = (item.exercise, item.check)
        writer.writerow([
            safe(item.exercise), safe(item.check), item.students, f"{item.facility:.4f}",
            f"{item.sd:.4f}", _number(item.discrimination, 4),
            "yes" if key in insight.never_fired else "", safe(partners.get(key, "")),
        ])  # fmt: skip
    return "\ufeff" + made.getvalue()


def _number(value: float | None, digits: int = 2) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _cell(text: str) -> str:
    return one_line(text, 300).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
