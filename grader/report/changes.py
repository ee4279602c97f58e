"""The list of earlier runs, and the differences between two of them, for a person or as JSON.

    {"schema": 1, "runs": [{"run", "begun", "ended", "assignment", "title", "submissions",
        "results", "kept", "not_graded", "mean_percent", "settings"}, ...]}

    {"schema": 1, "before": 12, "after": 13, "as_before": 37, "changed": [CHANGE, ...],
        "new": [{"path", "students"}, ...], "gone": [the same, ...]}

CHANGE is {"path", "students", "before": {"status", "score", "max_score"}, "after": {the same},
"checks": [{"exercise", "name", "before": {"outcome", "points"} or null, "after": ...}, ...]}.
"after" is null if the later results were not kept as a run. Times are ISO 8601, in UTC; `ended` is
null for a run that was stopped or still goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console
from rich.text import Text

from grader.records import ExerciseScore, Outcome, Result, RunRecord
from grader.report.terminal import Glyphs
from grader.report.wording import (
    OUTCOME_WORDS,
    REFUSAL_SHORT,
    deducted,
    label,
    points_text,
    score_text,
)
from grader.text import one_line, printable

SCHEMA = 1
# A smaller difference of points is rounding.
_SAME = 1e-9
_MESSAGE_LINES = 3


@dataclass(frozen=True)
class CheckChange:
    """A check with different points; before or after is None if the check did not exist then."""

    exercise: str
    name: str
    before: Outcome | None
    after: Outcome | None

    @property
    def gained(self) -> float:
        return _points(self.after) - _points(self.before)


@dataclass(frozen=True)
class Change:
    """A submission with another score or status than before."""

    before: Result
    after: Result
    checks: tuple[CheckChange, ...]

    @property
    def gained(self) -> float:
        return self.after.score - self.before.score


@dataclass(frozen=True)
class Changes:
    """What differs between two runs."""

    changed: tuple[Change, ...]
    new: tuple[Result, ...]
    gone: tuple[Result, ...]
    as_before: int


# --- finding ------------------------------------------------------------------------------


def find_changes(before: Sequence[Result], after: Sequence[Result]) -> Changes:
    """Return the differences; submissions are matched by their students, not by their order."""
    old, new = _by_student(before), _by_student(after)
    changed = []
    for student, result in new.items():
        if student in old and (change := _change(old[student], result)) is not None:
            changed.append(change)
    both = sum(student in old for student in new)
    return Changes(
        tuple(changed),
        tuple(result for student, result in new.items() if student not in old),
        tuple(result for student, result in old.items() if student not in new),
        both - len(changed),
    )


def _by_student(results: Sequence[Result]) -> dict[str, Result]:
    # Two students of one name are told apart by their paths.
    count = Counter(label(result) for result in results)
    return {
        label(result) if count[label(result)] == 1 else f"{label(result)}\n{result.path}": result
        for result in results
    }


def _change(before: Result, after: Result) -> Change | None:
    checks = tuple(_check_changes(before, after))
    same = before.status == after.status and abs(before.score - after.score) < _SAME
    if same and abs(before.max_score - after.max_score) < _SAME and not checks:
        return None
    return Change(before, after, checks)


def _check_changes(before: Result, after: Result) -> list[CheckChange]:
    if before.status != "graded" or after.status != "graded":
        return []  # it would list every check, and say no more than the status
    old, new = _checks(before), _checks(after)
    changes = [CheckChange(*key, old.get(key), new.get(key)) for key in dict.fromkeys([*new, *old])]
    return [c for c in changes if abs(c.gained) >= _SAME or _most(c.before) != _most(c.after)]


def _checks(result: Result) -> Mapping[tuple[str, str], Outcome]:
    found = {(e.id, check.name): check for e in result.exercises for check in e.checks}
    for exercise in result.exercises:
        if taken := deducted(exercise):
            found[exercise.id, "a broken rule"] = _deduction(exercise, taken)
    return found


def _deduction(exercise: ExerciseScore, taken: float) -> Outcome:
    return Outcome(exercise.id, "a broken rule", "failed", 0.0, 0.0, penalty=taken)


def _points(check: Outcome | None) -> float:
    return check.points if check is not None else 0.0


def _most(check: Outcome | None) -> float:
    return check.max_points if check is not None else 0.0


# --- for a person -------------------------------------------------------------------------


def show_runs(runs: Sequence[RunRecord], console: Console) -> None:
    """Print a line for each run, the latest first."""
    rows = [("run", "begun", "assignment", "graded", "kept", "mean", "asked for")]
    rows += [
        (
            str(run.id),
            _local(run.begun),
            one_line(run.assignment, 30),
            _how_far(run),
            str(run.kept),
            "" if run.mean_percent is None else f"{run.mean_percent:.0f} %",
            _asked_for(run),
        )
        for run in runs
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for n, row in enumerate(rows):
        cells = [
            cell.rjust(width) if column in (0, 4, 5) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = Text("  ".join(cells).rstrip(), style="" if n else "bold")
        console.print(line, soft_wrap=True)


def show_changes(
    changes: Changes, before: RunRecord, after: RunRecord | None, console: Console
) -> None:
    """Print the submissions whose score has changed, and the checks that made the difference.

    after : None if the later results come from the current checks, without a run
    """
    glyphs = Glyphs(console)
    now = f"run {after.id}" if after is not None else "the checks of now"
    head = f"run {before.id} {glyphs.arrow} {now} · {before.assignment} · {before.title}"
    console.print(Text(f"{glyphs.rule} {one_line(head)}", style="cyan"), soft_wrap=True)
    for change in changes.changed:
        console.print()
        _show_change(change, console, glyphs)
    for title, results in (("new", changes.new), ("no longer there", changes.gone)):
        if results:
            console.print()
        for result in results:
            score = f" {points_text(result.score)}" if result.status == "graded" else ""
            console.print(Text(f"  {title}: {one_line(label(result))}{score}"), soft_wrap=True)
    up = sum(change.gained > _SAME for change in changes.changed)
    down = sum(change.gained < -_SAME for change in changes.changed)
    parts = [f"{len(changes.changed)} changed ({up} up, {down} down)"]
    parts += [f"{changes.as_before} as before"]
    parts += [f"{len(changes.new)} new"] if changes.new else []
    parts += [f"{len(changes.gone)} no longer there"] if changes.gone else []
    console.print()
    console.print(Text("  " + ", ".join(parts), style="bold"))


def _show_change(change: Change, console: Console, glyphs: Glyphs) -> None:
    style = "green" if change.gained > 0 else "red" if change.gained < 0 else ""
    line = Text("  ")
    line.append(one_line(label(change.after)), style="bold")
    line.append(f"  {_verdict(change.before)} {glyphs.arrow} {_verdict(change.after)}")
    if change.before.status == change.after.status == "graded":
        line.append(f"  {_signed(change.gained)}", style=style)
    console.print(line, soft_wrap=True)
    if change.after.status != "graded":
        text = one_line(change.after.message, 300)
        console.print(Text(f"      {glyphs.guide} {text}"), soft_wrap=True)
    for check in change.checks:
        _show_check(check, console, glyphs)


def _show_check(check: CheckChange, console: Console, glyphs: Glyphs) -> None:
    line = Text(f"      {one_line(check.exercise)}: ")
    line.append(one_line(check.name), style="italic")
    line.append(f"  {_outcome(check.before)} {glyphs.arrow} {_outcome(check.after)}")
    line.append(f"  {_signed(check.gained)}", style="green" if check.gained > 0 else "red")
    console.print(line, soft_wrap=True)
    if check.after is not None and check.after.outcome != "passed":
        for text in printable(check.after.message, 600).split("\n")[:_MESSAGE_LINES]:
            console.print(Text(f"      {glyphs.guide} {text}"), soft_wrap=True)


def _verdict(result: Result) -> str:
    if result.status != "graded":
        return REFUSAL_SHORT[result.status]
    return score_text(result)


def _outcome(check: Outcome | None) -> str:
    return "not there" if check is None else OUTCOME_WORDS.get(check.outcome, check.outcome)


def _signed(points: float) -> str:
    return f"{'+' if points > 0 else ''}{points_text(points)}"


def _how_far(run: RunRecord) -> str:
    text = str(run.results - run.not_graded)
    if run.results - run.not_graded < run.submissions:
        text += f" of {run.submissions}"
    return text if run.ended is not None else f"{text}, not finished"


def _asked_for(run: RunRecord) -> str:
    settings = run.settings
    parts = [f"seed {settings.get('seed', 0)}"]
    only = settings.get("only")
    if isinstance(only, list):
        parts += [f"--only {one_line(str(name), 30)}" for name in only]
    parts += ["--public"] if settings.get("public") else []
    parts += [f"--sandbox {one_line(str(s))}"] if (s := settings.get("sandbox")) != "auto" else []
    return " ".join(parts)


def _local(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


# --- as JSON ------------------------------------------------------------------------------


def runs_as_json(runs: Sequence[RunRecord]) -> str:
    """Return the list of runs as JSON text that ends in a line break."""
    return _json(
        {
            "schema": SCHEMA,
            "runs": [
                {
                    "run": run.id,
                    "begun": _utc(run.begun),
                    "ended": None if run.ended is None else _utc(run.ended),
                    "assignment": run.assignment,
                    "title": run.title,
                    "submissions": run.submissions,
                    "results": run.results,
                    "kept": run.kept,
                    "not_graded": run.not_graded,
                    "mean_percent": None if run.mean_percent is None else _round(run.mean_percent),
                    "settings": dict(run.settings),
                }
                for run in runs
            ],
        }
    )


def changes_as_json(changes: Changes, before: RunRecord, after: RunRecord | None) -> str:
    """Return the changes as JSON text that ends in a line break."""
    return _json(
        {
            "schema": SCHEMA,
            "before": before.id,
            "after": after.id if after is not None else None,
            "as_before": changes.as_before,
            "changed": [
                {
                    **_submission(change.after),
                    "before": _score(change.before),
                    "after": _score(change.after),
                    "checks": [
                        {
                            "exercise": check.exercise,
                            "name": check.name,
                            "before": _check(check.before),
                            "after": _check(check.after),
                        }
                        for check in change.checks
                    ],
                }
                for change in changes.changed
            ],
            "new": [_submission(result) for result in changes.new],
            "gone": [_submission(result) for result in changes.gone],
        }
    )


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _submission(result: Result) -> dict[str, object]:
    return {
        "path": one_line(result.path, 1000),
        "students": [one_line(name) for name in result.students],
    }


def _score(result: Result) -> dict[str, object]:
    return {
        "status": result.status,
        "score": _round(result.score),
        "max_score": _round(result.max_score),
    }


def _check(check: Outcome | None) -> dict[str, object] | None:
    return None if check is None else {"outcome": check.outcome, "points": _round(check.points)}


def _round(number: float) -> float:
    return round(float(number), 4) + 0.0


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
