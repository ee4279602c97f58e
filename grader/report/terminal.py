"""The report for a person at a terminal, 60 columns wide or more; plain text in a pipe.

All output is rich.Text, so that no student-written text is parsed as markup.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from grader.records import ExerciseScore, Note, Report, Result
from grader.report.class_summary import summarise
from grader.report.derivation_words import derivation_lines
from grader.report.judgement_words import judgement_lines
from grader.report.wording import (
    MARKS,
    REFUSAL_SHORT,
    REFUSAL_WORDS,
    Complaint,
    checks_from,
    complaints,
    deducted,
    exercise_points,
    label,
    notes_by_title,
    open_text,
    percent_text,
    placed,
    points_text,
    result_tone,
    score_text,
    share,
    status_text,
    tone,
)
from grader.text import one_line, printable

# Wider lines are hard to follow from an exercise's title to its points.
WIDEST = 100
# Enough for two matrices, expected and got, and for the last lines: the place, and what to do next.
# JSON and HTML have the rest.
_MESSAGE_LINES = 16
_COMPLAINTS = 6
_NOTES_OF_A_KIND = 4
# Of a larger class only the summary is shown: no one reads a thousand lines that scroll by.
_SHOWN_WHOLE = 20

_STYLES = {"good": "green", "part": "yellow", "bad": "red", "open": "cyan"}
_ASCII_MARKS = {"good": "+", "part": "~", "bad": "x", "open": "o"}


def show(
    report: Report,
    console: Console,
    *,
    tracebacks: bool = False,
    before: Report | None = None,
) -> None:
    """Print every submission, and a summary table if there are several.

    More than _SHOWN_WHOLE submissions have only the summary.

    tracebacks : also print the tracebacks of faults of the grader
    before : an earlier report that was shown: only the changes and the total are printed
    """
    earlier = {result.path: result for result in before.results} if before is not None else {}
    for part in report.each:
        for result in part.results if len(report.results) <= _SHOWN_WHOLE else ():
            old = earlier.get(result.path)
            lines = _SubmissionLines(result, part, console, tracebacks)
            if old is not None and old.status == result.status == "graded":
                lines.show_changes(old)
            else:
                lines.show()
    if len(report.results) > 1:
        for place, part in enumerate(report.each):
            if place:
                console.print()
            show_summary(part, console, of=part.assignment if report.parts else "")


@contextmanager
def progress_line(console: Console) -> Iterator[Callable[[str], None]]:
    """Yield a function that shows the current activity, on one line that vanishes at the end.

    It shows nothing if the console is not a terminal: a log needs no animation.
    """
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("") as status:

        def update(text: str) -> None:
            line = one_line(text, max(20, console.width - 4))
            status.update(Text(line, no_wrap=True, overflow="ellipsis"))

        yield update


class _SubmissionLines:
    """Prints one submission."""

    def __init__(self, result: Result, report: Report, console: Console, tracebacks: bool) -> None:
        self.result = result
        self.tracebacks = tracebacks
        self.report = report
        self.console = console
        self.width = min(console.width, WIDEST)
        self.glyphs = Glyphs(console)

    def show(self) -> None:
        self._head()
        if self.result.status != "graded":
            self._refusal()
        if self.result.exercises:
            columns = _Columns.fitting(self.result.exercises, self.width)
            for exercise in self.result.exercises:
                self._exercise(exercise, columns)
            self._total()
        self._notes(self.result.notes)
        self._line(Text())

    def show_changes(self, old: Result) -> None:
        """Print the differences from an earlier result of the same file, and the total."""
        known = {exercise.id: as_shown(exercise) for exercise in old.exercises}
        changed = [e for e in self.result.exercises if known.get(e.id) != as_shown(e)]
        notes = [note for note in self.result.notes if note not in old.notes]
        if changed:
            columns = _Columns.fitting(self.result.exercises, self.width)
            for exercise in changed:
                self._exercise(exercise, columns)
        elif not notes:
            self._line(Text("  Nothing has changed", style="dim"))
        self._total(old.score)
        self._notes(notes)
        self._line(Text())

    def _head(self) -> None:
        # The rule in front keeps a line from starting with what a student wrote: CI services
        # obey lines that begin with "::".
        rule = Text(f"{self.glyphs.rule} ", style="cyan")
        students = one_line(" · ".join(self.result.students), 300)
        if students:
            self._wrapped(Text(students, style="bold"), rule)
        self._wrapped(
            Text(one_line(self.result.path, 300), style="dim" if students else "bold"), rule
        )
        about = " · ".join(
            part
            for part in (self.report.assignment, self.report.title, f"seed {self.report.seed}")
            if part
        )
        self._wrapped(Text(one_line(about), style="dim"), rule)
        if len(self.report.results) == 1 and (checks := checks_from(self.report)):
            self._wrapped(Text(checks, style="dim"), rule)
        self._line(Text())

    def _refusal(self) -> None:
        words = REFUSAL_WORDS[self.result.status]
        text = Text.assemble(
            (f"{words}: ", "bold red"), printable(self.result.message, 600) or "no reason given"
        )
        self._wrapped(text, Text("  "))

    def _exercise(self, exercise: ExerciseScore, columns: _Columns) -> None:
        style = _STYLES[tone(exercise)]
        title = one_line(exercise.title) + (" (bonus)" if exercise.bonus else "")
        line = Text("  ")
        line.append(self.glyphs.marks[tone(exercise)], style=style)
        id = _fitted(one_line(exercise.id), columns.id, self.glyphs.ellipsis)
        line.append(f" {id} ", style="bold")
        if columns.title:
            line.append(_fitted(title, columns.title, self.glyphs.ellipsis) + " ")
        line.append(exercise_points(exercise).rjust(columns.points) + " ")
        if columns.bar:
            line.append_text(
                self.glyphs.bar(share(exercise.points, exercise.max_points), columns.bar, style)
                if exercise.status not in ("manual", "not_gradable")
                else Text(self.glyphs.empty * columns.bar, style="dim")
            )
            line.append(" ")
        line.append(status_text(exercise), style=style)
        self._line(line)
        self._complaints(exercise)

    def _complaints(self, exercise: ExerciseScore) -> None:
        found = complaints(exercise.checks)
        for complaint in found[:_COMPLAINTS]:
            self._complaint(complaint)
        if len(found) > _COMPLAINTS:
            more = len(found) - _COMPLAINTS
            self._wrapped(
                Text(f"and {more} more: see --html or --json", style="dim"), Text(" " * 6)
            )
        # A student's own machine has no solution, and so no known mistakes.
        for known in dict.fromkeys(check.known for check in exercise.checks if check.known):
            text = f"for the instructor: {one_line(known, 300)}"
            self._wrapped(Text(text, style="dim"), Text(" " * 6))
        for line in (*derivation_lines(exercise), *judgement_lines(exercise)):
            guide = Text(f"{' ' * 6}{self.glyphs.guide} ", style="dim")
            self._wrapped(Text(line), guide, most=_MESSAGE_LINES)
        if taken := deducted(exercise):
            text = f"{points_text(taken)} points deducted for a broken rule: see the notes"
            self._wrapped(Text(text, style="yellow"), Text(" " * 6))

    def _complaint(self, complaint: Complaint) -> None:
        names = one_line("; ".join(complaint.names), 300)
        head = Text(names, style="italic")
        if complaint.hidden:
            head.append(" (hidden)", style="dim")
        if complaint.lost > 0:
            head.append(f"  -{points_text(complaint.lost)}", style="red")
        self._wrapped(head, Text(" " * 6))
        guide = Text(f"{' ' * 6}{self.glyphs.guide} ", style="dim")
        message = printable(complaint.message, 1200) or complaint.outcome
        self._wrapped(Text(message), guide, most=_MESSAGE_LINES)

    def _total(self, before: float | None = None) -> None:
        result = self.result
        style = _STYLES[result_tone(result)]
        self._line(Text())
        line = Text("  ")
        total = f"Total {score_text(result)} points ({percent_text(result)}) "
        line.append(total, style=f"bold {style}")
        if before is not None and points_text(before) != points_text(result.score):
            line.append(f"before: {points_text(before)} ", style="dim")
        bar = min(30, self.width - line.cell_len)
        if bar >= 8:
            line.append_text(self.glyphs.bar(share(result.score, result.max_score), bar, style))
        self._line(line)
        if result.manual_points:
            self._wrapped(Text(open_text(result.manual_points), style="cyan"), Text("  "))

    def _notes(self, notes: Sequence[Note]) -> None:
        shown = [note for note in notes if note.kind != "traceback"]
        for note in notes:
            if note.kind == "traceback" and self.tracebacks:
                self._line(Text())
                self._wrapped(Text(printable(note.message, 20_000)), Text("  "))
        for title, same in notes_by_title(shown).items():
            self._line(Text())
            self._wrapped(Text(one_line(title), style="bold"), Text("  "))
            for note in same[:_NOTES_OF_A_KIND]:
                where, message = placed(note)
                where = one_line(where, 100)
                text = Text(f"{where}: " if where else "", style="dim")
                text.append(one_line(message, 240), style="not dim")
                self._wrapped(text, Text(f"  {self.glyphs.guide} ", style="dim"))
            if len(same) > _NOTES_OF_A_KIND:
                more = f"  {self.glyphs.guide} and {len(same) - _NOTES_OF_A_KIND} more"
                self._line(Text(more, style="dim"))

    def _wrapped(self, text: Text, prefix: Text, *, most: int | None = None) -> None:
        """Print text in lines that all begin with prefix, at most `most` of them."""
        lines = list(
            text.wrap(self.console, max(20, self.width - prefix.cell_len), overflow="fold")
        )
        for line in lines[:most]:
            line.rstrip()
            self._line(Text.assemble(prefix, line))
        if most is not None and len(lines) > most:
            self._line(Text.assemble(prefix, (self.glyphs.ellipsis, "dim")))

    def _line(self, text: Text) -> None:
        text.rstrip()
        self.console.print(text, no_wrap=True, overflow="ignore", crop=False, highlight=False)


def as_shown(exercise: ExerciseScore) -> ExerciseScore:
    """Return the exercise without its checks' times, which differ from run to run."""
    return replace(
        exercise, checks=tuple(replace(outcome, seconds=0.0) for outcome in exercise.checks)
    )


@dataclass(frozen=True)
class _Columns:
    """Widths of an exercise's line; 0 for a column that does not fit."""

    id: int
    title: int
    points: int
    bar: int

    @classmethod
    def fitting(cls, exercises: Sequence[ExerciseScore], width: int) -> _Columns:
        # The whole id if there is room: users type it after --only.
        widest = min(24, max(14, width // 3))
        id = min(widest, max(cell_len(one_line(exercise.id)) for exercise in exercises))
        points = max(len(exercise_points(exercise)) for exercise in exercises)
        status = max(len(status_text(exercise)) for exercise in exercises)
        longest = max(
            cell_len(one_line(exercise.title)) + 8 * exercise.bonus for exercise in exercises
        )
        bar = 14 if width >= 90 else 10 if width >= 76 else 8 if width >= 56 else 0
        # Two blanks and a mark in front, one blank between neighbours.
        free = width - (4 + id + 1 + points + 1 + (bar + 1 if bar else 0) + status) - 1
        return cls(id, min(longest, free) if free >= 8 else 0, points, bar)


class Glyphs:
    """Marks and bars; in ASCII if the console's encoding is not Unicode."""

    def __init__(self, console: Console) -> None:
        unicode = console.encoding.lower().startswith("utf")
        self.marks = MARKS if unicode else _ASCII_MARKS
        self.full, self.empty = ("━", "─") if unicode else ("#", "-")
        self.guide, self.rule = ("│", "▌") if unicode else ("|", "|")
        self.ellipsis, self.arrow = ("…", "→") if unicode else ("...", "->")

    def bar(self, share: float, width: int, style: str) -> Text:
        """Return a bar that is full only for a share of 1 and empty only for 0."""
        filled = round(share * width)
        if 0 < share < 1:
            filled = min(width - 1, max(1, filled))
        return Text.assemble((self.full * filled, style), (self.empty * (width - filled), "dim"))


def show_summary(report: Report, console: Console, *, of: str = "") -> None:
    """Print a line for each submission, and how many were graded.

    of : the assignment's id if there are several
    """
    width = min(console.width, WIDEST)
    glyphs = Glyphs(console)
    rows = [_SummaryRow.of(result) for result in report.results]
    score_width = max(len(row.score) for row in rows)
    verdict_width = max(len(row.verdict) for row in rows)
    bar = 12 if width >= 76 else 0
    name_width = max(
        10, width - (4 + 1 + score_width + 1 + (bar + 1 if bar else 0) + verdict_width)
    )
    name_width = min(name_width, max(cell_len(row.name) for row in rows))
    title = f"Summary of {one_line(of)}" if of else "Summary"
    console.print(Text(f"{glyphs.rule} {title}", style="bold cyan"))
    console.print()
    for row in rows:
        style = _STYLES[row.tone]
        line = Text("  ")
        line.append(glyphs.marks[row.tone], style=style)
        line.append(f" {_fitted(row.name, name_width, glyphs.ellipsis)} ")
        line.append(f"{row.score.rjust(score_width)} ")
        if bar:
            if row.share is not None:
                line.append_text(glyphs.bar(row.share, bar, style))
            else:
                line.append(" " * bar)
            line.append(" ")
        line.append(row.verdict.rjust(verdict_width), style=style)
        if row.open and line.cell_len + 1 + len(row.open) <= width:
            line.append(f" {row.open}", style="cyan")
        line.rstrip()
        console.print(line, no_wrap=True, overflow="ignore", crop=False, highlight=False)
    console.print()
    for fact in [
        *summarise(report.results).lines(),
        f"seed {report.seed}",
        *filter(None, [checks_from(report)]),
    ]:
        for number, part in enumerate(Text(fact).wrap(console, width - 6, overflow="fold")):
            part.rstrip()
            # The guide keeps a line from starting with what a student wrote.
            prefix = f"    {glyphs.guide} " if number else "  "
            console.print(Text.assemble((prefix, "dim"), part), no_wrap=True, overflow="ignore")
    if len(rows) > _SHOWN_WHOLE:
        hint = "what each one lost: --html, --json, or `grade results latest --student NAME`"
        console.print(Text(f"  {hint}", style="dim"))


@dataclass(frozen=True)
class _SummaryRow:
    """A result's line in the summary; share is None if it was not graded.

    open : "+10 open", the points that a person has yet to give; or ""
    """

    name: str
    score: str
    verdict: str
    tone: str
    share: float | None
    open: str = ""

    @classmethod
    def of(cls, result: Result) -> _SummaryRow:
        name = one_line(label(result))
        if result.status != "graded":
            return cls(name, "", REFUSAL_SHORT[result.status], result_tone(result), None)
        reached = share(result.score, result.max_score)
        open_ = f"+{points_text(result.manual_points)} open" if result.manual_points else ""
        tone_ = result_tone(result)
        return cls(name, score_text(result), percent_text(result), tone_, reached, open_)


def _fitted(text: str, width: int, ellipsis: str) -> str:
    """Return text in exactly `width` cells."""
    if cell_len(text) > width:
        text = set_cell_size(text, width - len(ellipsis)) + ellipsis
    return set_cell_size(text, width)
