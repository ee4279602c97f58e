"""Marks as a CSV file, for who likes a spreadsheet better than a browser.

    student,submission,exercise,rubric item,points,comment
    Ann Meier,Meier_Ann.zip,4-review,says why,2,
    Ann Meier,Meier_Ann.zip,4-review,gives an example,,
    Ann Meier,Meier_Ann.zip,4-review,,,Where does the 2 come from?

A line with points is an item that applies; without, it doesn't. A new item comes with its points.
A line without an item holds the comment, and points beside the rubric; the comment is their reason.
What is written is read back as it was. A file with a mistake changes nothing.
"""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from grader.batch.store import Store
from grader.errors import ReviewError
from grader.gradebook.table import safe
from grader.records import Result, RunRecord
from grader.review import rubric
from grader.review.answers import Answer, AnswerRow, answers_of
from grader.review.book import read_book
from grader.review.marking import MAX_REASON, change, grading_of
from grader.text import one_line

COLUMNS = ("student", "submission", "exercise", "rubric item", "points", "comment")
MAX_BYTES = 32 * 2**20
_SHOWN = 8
_NOT_ANSWERED = "(not answered)"
_SAME = 1e-6


@dataclass
class _Said:
    """What the lines of a file say of one answer.

    first : the line's number
    plain : one of them names no item, or holds a comment
    """

    first: int
    items: dict[str, float | None] = field(default_factory=dict)
    plain: bool = False
    comment: str = ""
    free: float | None = None


# --- writing --------------------------------------------------------------------------------------


def render_marks(store: Store, run: RunRecord, results: Sequence[Result]) -> str:
    """Return the marks of a run: every manual exercise, and what was said of the others.

    results : the run's own, in the order of its input
    """
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    book = read_book(store, run.assignment)
    rows = answers_of(store, run.id)
    for number, result in zip(store.numbers(run.id), results, strict=True):
        for exercise in result.exercises:
            row = rows.get((number, exercise.id))
            if row is None:
                continue
            grading = book.grading(row.subject, exercise.id, row.answer)
            if exercise.status != "manual" and not grading.version:
                continue
            head = [student_text(result), result.path, exercise.id]
            for item in book.items.get(exercise.id, []):
                points = _number(item.points) if item.id in grading.items else ""
                writer.writerow([*map(safe, head), _cell(item.words), points, ""])
            # Said and without points is 0 points: a blank would leave it open.
            plain = grading.done and not grading.items
            free = _number(grading.adjustment) if grading.adjustment or plain else ""
            comment = grading.comment or grading.reason
            if not comment and not row.answered and not grading.done:
                comment = _NOT_ANSWERED
            writer.writerow([*map(safe, head), "", free, _cell(comment)])
    return "\ufeff" + made.getvalue()


def student_text(result: Result) -> str:
    return "; ".join(result.students) or result.origin.name or PurePath(result.path).name


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula; its line breaks stay."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _number(points: float) -> str:
    return f"{points:.4f}".rstrip("0").rstrip(".")


# --- reading --------------------------------------------------------------------------------------


def read_marks(
    store: Store, run: RunRecord, results: Sequence[Result], text: str, *, grader: str
) -> int:
    """Take the marks of a file into the store; return how many answers it speaks of.

    results : the run's own, as the machine gave them
    Raises ReviewError with the lines that can't be taken; nothing is written then.
    """
    numbers = store.numbers(run.id)
    whose = _Whose(dict(zip(numbers, results, strict=True)))
    rows = answers_of(store, run.id)
    said: dict[tuple[int, str], _Said] = {}
    wrong: list[str] = []
    for line, cells in _lines(text):
        try:
            _take(line, cells, whose, rows, said)
        except ReviewError as error:
            wrong.append(f"line {line}: {error}")
    new = {} if wrong else _new_items(store, run, said, wrong)
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ReviewError(f"nothing was taken from the marks: {'; '.join(wrong[:_SHOWN])}{more}")
    with store.writing():
        for (exercise, words), points in new.items():
            rubric.add_item(store, run.assignment, exercise, words, points, grader=grader)
        for (number, exercise), one in said.items():
            row = rows[number, exercise]
            _write(store, Answer(run.assignment, row.subject, exercise, row.answer), one, grader)
    return len(said)


def _write(store: Store, answer: Answer, said: _Said, grader: str) -> None:
    listed = {i.words: i.id for i in rubric.items_of(store, answer.assignment, answer.exercise)}
    before = grading_of(store, answer)
    items = set(before.items)
    for words, points in said.items.items():
        if points is not None:
            items.add(listed[words])
        else:
            items.discard(listed[words])
    if not said.plain:
        # Nothing is said but of items.
        change(store, answer, grader=grader, items=items, done=bool(items) or before.done)
        return
    comment = "" if said.comment == _NOT_ANSWERED else said.comment
    reason = ""
    if said.free:
        kept = before.reason if said.free == before.adjustment else ""
        reason = kept or comment[: MAX_REASON // 2] or "given in a file of marks"
    change(
        store,
        answer,
        grader=grader,
        items=items,
        comment="" if comment == before.reason and not before.comment else comment,
        adjustment=said.free or 0.0,
        reason=reason,
        done=bool(items) or said.free is not None,
    )


class _Whose:
    """Finds the submission that a line speaks of."""

    def __init__(self, results: Mapping[int, Result]) -> None:
        self.results = results
        self.by_path: dict[str, list[int]] = defaultdict(list)
        self.by_student: dict[str, list[int]] = defaultdict(list)
        for number, result in results.items():
            self.by_path[safe(result.path)].append(number)
            self.by_student[safe(student_text(result))].append(number)
            for name in result.students if len(result.students) > 1 else ():
                self.by_student[safe(name)].append(number)

    def find(self, student: str, submission: str) -> int:
        """Return the submission's number. Raises ReviewError where it is none, or not one."""
        found = set(self.by_path.get(submission, ())) if submission else set()
        if student:
            named = set(self.by_student.get(student, ()))
            found = found & named if submission else named
        if len(found) == 1:
            return found.pop()
        who = ", ".join(filter(None, (student, submission))) or "nobody"
        if found:
            raise ReviewError(
                f"{one_line(who)} may be {len(found)} submissions: keep the column `submission`"
            )
        raise ReviewError(f"there is no submission of {one_line(who)} in this run")


def _take(
    line: int,
    cells: Mapping[str, str],
    whose: _Whose,
    rows: Mapping[tuple[int, str], AnswerRow],
    said: dict[tuple[int, str], _Said],
) -> None:
    number = whose.find(cells["student"], cells.get("submission", ""))
    exercise = cells["exercise"].removeprefix("'")
    if (number, exercise) not in rows:
        known = ", ".join(name for n, name in rows if n == number) or "none: it was not graded"
        raise ReviewError(f"there is no exercise {one_line(exercise)!r}; there is {known}")
    one = said.setdefault((number, exercise), _Said(line))
    words = " ".join(_plain(cells["rubric item"]).split())
    points, comment = _points(cells["points"]), _plain(cells["comment"]).strip()
    if words:
        if words in one.items:
            raise ReviewError(f"{one_line(words)!r} stands twice for this answer")
        one.items[words] = points
    elif points is not None:
        if one.free is not None:
            raise ReviewError("points without an item stand twice for this answer")
        one.free = points
    one.plain = one.plain or not words or bool(comment)
    if comment:
        one.comment = f"{one.comment}\n{comment}" if one.comment else comment


def _new_items(
    store: Store, run: RunRecord, said: Mapping[tuple[int, str], _Said], wrong: list[str]
) -> dict[tuple[str, str], float]:
    """Return the items that the rubric lacks, with their points; report differing points."""
    known: dict[tuple[str, str], float] = {}
    for item in rubric.items_of(store, run.assignment):
        known[item.exercise, item.words] = item.points
    new: dict[tuple[str, str], float] = {}
    for (_, exercise), one in said.items():
        for words, points in one.items.items():
            if points is None:
                continue
            due = known.get((exercise, words), new.setdefault((exercise, words), points))
            if abs(points - due) > _SAME:
                wrong.append(
                    f"line {one.first} and below: {one_line(words)!r} gives {_number(due)} points "
                    f"to all, and {_number(points)} here: a line without an item takes others"
                )
    # An unknown item that no answer has needs no points.
    lost = {
        (exercise, words)
        for (_, exercise), one in said.items()
        for words in one.items
        if (exercise, words) not in known and (exercise, words) not in new
    }
    wrong += [f"{words!r} of {exercise} has points nowhere" for exercise, words in sorted(lost)]
    return {key: points for key, points in new.items() if key not in known}


def _lines(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number and the cells of each line. Raises ReviewError for any other file."""
    if len(text) > MAX_BYTES:
        raise ReviewError("the file of marks has more than 32 MiB")
    text = text.removeprefix("\ufeff")
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
        lacking = [name for name in COLUMNS if name not in header and name != "submission"]
        if lacking:
            raise ReviewError(
                f"the file of marks lacks the column {lacking[0]!r}; it has: "
                f"{one_line(', '.join(header), 300) or 'nothing'}"
            )
        for cells in reader:
            line = reader.line_num
            if any(cell.strip() for cell in cells):
                padded = [*cells, *[""] * (len(header) - len(cells))]
                yield (
                    line,
                    {
                        name: padded[place] if name == "comment" else padded[place].strip()
                        for place, name in enumerate(header)
                    },
                )
    except csv.Error as error:
        raise ReviewError(f"the file of marks can't be read: {error}") from error


def _plain(text: str) -> str:
    """Return the text without the mark that keeps a spreadsheet from reading it as a formula."""
    return text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@") else text


def _points(text: str) -> float | None:
    if not text:
        return None
    try:
        points = float(text.replace(",", ".").replace("−", "-"))
    except ValueError:
        raise ReviewError(f"{one_line(text)!r} are no points") from None
    if not math.isfinite(points) or abs(points) > rubric.MAX_POINTS:
        raise ReviewError(f"{one_line(text)} are no points")
    return points
