"""Marks as a CSV file, for graders who prefer a spreadsheet to a browser.

    student,submission,exercise,rubric item,points,comment
    Ann Meier,Meier_Ann.zip,4-review,says why,2,
    Ann Meier,Meier_Ann.zip,4-review,gives an example,,
    Ann Meier,Meier_Ann.zip,4-review,,,Where does the 2 come from?

An item with points in its line applies; an item without points doesn't. A new item needs points.
A line without an item holds the comment and points beside the rubric; the comment is their reason.
A file that is written and read back changes nothing. A file with a mistake changes nothing either.
"""

from __future__ import annotations

import csv
import io
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
class _FileMarks:
    """The marks of one answer in a file.

    first : the number of its first line
    plain : a line names no item, or holds a comment
    free : points beside the rubric
    """

    first: int
    items: dict[str, float | None] = field(default_factory=dict)
    plain: bool = False
    comment: str = ""
    free: float | None = None


# --- writing --------------------------------------------------------------------------------------


def render_marks(store: Store, run: RunRecord, results: Sequence[Result]) -> str:
    """Return the marks of a run as CSV: every manual exercise, and the others that have marks.

    results : the run's results, in the order of its input
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
            # Done and without items is 0 points: a blank would leave the answer open.
            plain = grading.done and not grading.items
            free = _number(grading.adjustment) if grading.adjustment or plain else ""
            comment = grading.comment or grading.reason
            if not comment and not row.answered and not grading.done:
                comment = _NOT_ANSWERED
            writer.writerow([*map(safe, head), "", free, _cell(comment)])
    return "\ufeff" + made.getvalue()


def student_text(result: Result) -> str:
    """Return the column `student` of a result: the names, else the file's name."""
    return "; ".join(result.students) or result.origin.name or PurePath(result.path).name


def _cell(text: str) -> str:
    """Return a text that no spreadsheet reads as a formula; its line breaks stay."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _number(points: float) -> str:
    return f"{points:.4f}".rstrip("0").rstrip(".")


# --- reading --------------------------------------------------------------------------------------


def read_marks(
    store: Store, run: RunRecord, results: Sequence[Result], text: str, *, grader: str
) -> int:
    """Write the marks of a file into the store; return how many answers the file names.

    results : the run's results, as the machine gave them
    Raises ReviewError with the lines that are wrong; nothing is written then.
    """
    numbers = store.numbers(run.id)
    finder = _SubmissionFinder(dict(zip(numbers, results, strict=True)))
    rows = answers_of(store, run.id)
    marks: dict[tuple[int, str], _FileMarks] = {}
    wrong: list[str] = []
    for line, cells in _lines(text):
        try:
            _take(line, cells, finder, rows, marks)
        except ReviewError as error:
            wrong.append(f"line {line}: {error}")
    new = {} if wrong else _new_items(store, run, marks, wrong)
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise ReviewError(f"nothing was taken from the marks: {'; '.join(wrong[:_SHOWN])}{more}")
    with store.writing():
        for (exercise, words), points in new.items():
            rubric.add_item(store, run.assignment, exercise, words, points, grader=grader)
        for (number, exercise), mark in marks.items():
            row = rows[number, exercise]
            _write(store, Answer(run.assignment, row.subject, exercise, row.answer), mark, grader)
    return len(marks)


def _write(store: Store, answer: Answer, mark: _FileMarks, grader: str) -> None:
    ids = {i.words: i.id for i in rubric.items_of(store, answer.assignment, answer.exercise)}
    before = grading_of(store, answer)
    items = set(before.items)
    for words, points in mark.items.items():
        if points is not None:
            items.add(ids[words])
        else:
            items.discard(ids[words])
    if not mark.plain:
        change(store, answer, grader=grader, items=items, done=bool(items) or before.done)
        return
    comment = "" if mark.comment == _NOT_ANSWERED else mark.comment
    reason = ""
    if mark.free:
        old_reason = before.reason if mark.free == before.adjustment else ""
        reason = old_reason or comment[: MAX_REASON // 2] or "given in a file of marks"
    change(
        store,
        answer,
        grader=grader,
        items=items,
        comment="" if comment == before.reason and not before.comment else comment,
        adjustment=mark.free or 0.0,
        reason=reason,
        done=bool(items) or mark.free is not None,
    )


class _SubmissionFinder:
    """Finds the submission that a line names."""

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
        """Return the submission's number. Raises ReviewError unless exactly one fits."""
        found = set(self.by_path.get(submission, ())) if submission else set()
        if student:
            named = set(self.by_student.get(student, ()))
            found = found & named if submission else named
        if len(found) == 1:
            return found.pop()
        who = ", ".join(filter(None, (student, submission))) or "nobody"
        if found:
            raise ReviewError(
                f"{one_line(who)} fits {len(found)} submissions: keep the column `submission`"
            )
        raise ReviewError(f"there is no submission of {one_line(who)} in this run")


def _take(
    line: int,
    cells: Mapping[str, str],
    finder: _SubmissionFinder,
    rows: Mapping[tuple[int, str], AnswerRow],
    marks: dict[tuple[int, str], _FileMarks],
) -> None:
    """Add a line to the marks. Raises ReviewError if the line is wrong."""
    number = finder.find(cells["student"], cells.get("submission", ""))
    exercise = cells["exercise"].removeprefix("'")
    if (number, exercise) not in rows:
        known = ", ".join(name for n, name in rows if n == number) or "none: it was not graded"
        raise ReviewError(f"there is no exercise {one_line(exercise)!r}; there is {known}")
    mark = marks.setdefault((number, exercise), _FileMarks(line))
    words = " ".join(_plain(cells["rubric item"]).split())
    points, comment = _points(cells["points"]), _plain(cells["comment"]).strip()
    if words:
        if words in mark.items:
            raise ReviewError(f"{one_line(words)!r} stands twice for this answer")
        mark.items[words] = points
    elif points is not None:
        if mark.free is not None:
            raise ReviewError("points without an item stand twice for this answer")
        most = next(e.max_points for e in finder.results[number].exercises if e.id == exercise)
        if abs(points) > most + _SAME:
            raise ReviewError(
                f"{_number(points)} points, but {one_line(exercise)} has {_number(most)}"
            )
        mark.free = points
    mark.plain = mark.plain or not words or bool(comment)
    if comment:
        mark.comment = f"{mark.comment}\n{comment}" if mark.comment else comment


def _new_items(
    store: Store, run: RunRecord, marks: Mapping[tuple[int, str], _FileMarks], wrong: list[str]
) -> dict[tuple[str, str], float]:
    """Return the items that the rubric lacks, with their points; add mistakes to `wrong`."""
    known: dict[tuple[str, str], float] = {}
    for item in rubric.items_of(store, run.assignment):
        known[item.exercise, item.words] = item.points
    new: dict[tuple[str, str], float] = {}
    for (_, exercise), mark in marks.items():
        for words, points in mark.items.items():
            if points is None:
                continue
            item_points = known.get((exercise, words), new.setdefault((exercise, words), points))
            if abs(points - item_points) > _SAME:
                wrong.append(
                    f"line {mark.first} and below: {one_line(words)!r} gives "
                    f"{_number(item_points)} points to all, but {_number(points)} here: put other "
                    "points into a line without an item"
                )
    without_points = {
        (exercise, words)
        for (_, exercise), mark in marks.items()
        for words in mark.items
        if (exercise, words) not in known and (exercise, words) not in new
    }
    wrong += [
        f"{words!r} of {exercise} has no points in any line"
        for exercise, words in sorted(without_points)
    ]
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
    """Return the text without the quote that keeps a spreadsheet from reading a formula."""
    return text[1:] if text[:1] == "'" and text[1:2] in ("=", "+", "-", "@") else text


def _points(text: str) -> float | None:
    if not text:
        return None
    try:
        points = float(text.replace(",", ".").replace("−", "-"))
    except ValueError:
        raise ReviewError(f"points must be a number, not {one_line(text)!r}") from None
    return rubric.checked_points(points)
