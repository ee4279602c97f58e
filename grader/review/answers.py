"""The answers of a run: the student and a fingerprint of the content. A mark belongs to both.

A later run with the same answer of the same student finds its marks again. A changed answer is
another answer, without marks.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from grader.batch.serialization import Packed, unpack
from grader.batch.store import Store
from grader.gradebook.people import ids_of
from grader.notebook import answer_cells
from grader.records import Assignment, Cell, Evidence, Exercise, ExerciseScore, Result

MAX_TEXT = 20_000
_AT_ONCE = 50
_FIGURE_DATA = "grade_figure_data"
"""The key in a picture's metadata, as in_kernel/figure_data.py has it."""
_FINGERPRINT = re.compile(r"[0-9a-f]{24}")
_UNKNOWN = -1
"""The column `answered` has this value if the template was not at hand."""


@dataclass(frozen=True)
class Answer:
    """What a mark belongs to.

    subject : identifies the student; answer : the fingerprint of the content
    round : 2 for the second grader of an answer that is graded twice
    """

    assignment: str
    subject: str
    exercise: str
    answer: str
    round: int = 1

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        return self.assignment, self.subject, self.exercise, self.answer, self.round


@dataclass(frozen=True)
class AnswerRow:
    """An answer in a run. number : the submission's; answered : False if only the template's"""

    number: int
    exercise: str
    subject: str
    answer: str
    answered: bool
    text: str = ""
    figures: str = ""


def subject_of(result: Result, *, whole_path: bool = False) -> str:
    """Return the identity of a result's student: the platform's ids, else the names and the file.

    whole_path : use the whole path, for two students of one name in one class
    """
    ids = ids_of(result)
    if ids:
        return json.dumps({"platform": result.origin.platform, **ids}, sort_keys=True)
    path = result.path if whole_path else "/".join(PurePath(result.path).parts[-2:])
    # A path need not be UTF-8, but the file of results holds only UTF-8 text.
    shown = path.encode("utf-8", "backslashreplace").decode()
    names = [name.encode("utf-8", "backslashreplace").decode() for name in result.students]
    return json.dumps({"students": names, "path": shown}, sort_keys=True)


def fingerprint_of(exercise: ExerciseScore, evidence: Evidence) -> str:
    """Return the fingerprint of an answer's content: text, gaps, drawing cells, derivation."""
    content = {
        "words": [
            [cell.source, {name: dict(kinds) for name, kinds in cell.attachments.items()}]
            for cell in evidence.answers.get(exercise.id, ())
        ],
        "gaps": [[r.name, r.source] for r in evidence.regions.get(exercise.id, ())],
        "drawn": _drawing_sources(exercise.id, evidence),
        "steps": [[s.left, s.sign, s.right] for s in exercise.derivation.steps]
        if exercise.derivation
        else [],
    }
    # As ASCII: a notebook may hold half of a surrogate pair.
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _drawing_sources(exercise: str, evidence: Evidence) -> list[str]:
    """Return the sources of the cells that drew an exercise's figures."""
    sources = {
        (notebook.name, cell.index): cell.source
        for notebook in evidence.notebooks.values()
        for cell in notebook.cells
    }
    places = evidence.drawn.get(exercise, ())
    return [sources.get((place.notebook, place.cell), "") for place in places]


def text_of(exercise: str, evidence: Evidence) -> str:
    """Return the student's text and code, at most MAX_TEXT characters, for groups."""
    parts = [cell.source for cell in evidence.answers.get(exercise, ())]
    parts += [region.source for region in evidence.regions.get(exercise, ())]
    text = "\n\n".join(parts)[:MAX_TEXT]
    return text.encode("utf-8", "backslashreplace").decode()


def figures_of(exercise: str, evidence: Evidence) -> str:
    """Return a fingerprint of the figures that go with an answer; "" without figures.

    It covers each figure's data if the student's process sent a fingerprint of them, else the
    picture. The process may lie: this only groups answers, and gives no points.
    """
    places = {(p.notebook, p.cell) for p in evidence.drawn.get(exercise, ())}
    found = [
        _data_of(output) or data["image/png"]
        for name, run in evidence.runs.items()
        for cell in run.cells
        if (name, cell.index) in places
        for output in cell.outputs
        if isinstance(data := output.get("data"), Mapping) and "image/png" in data
    ]
    # As JSON: a notebook can display any type under "image/png".
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:24] if found else ""


def _data_of(output: Mapping[str, object]) -> str:
    """Return the fingerprint of a figure's data that came with its picture; "" without one."""
    metadata = output.get("metadata")
    of_png = metadata.get("image/png") if isinstance(metadata, Mapping) else None
    claimed = of_png.get(_FIGURE_DATA) if isinstance(of_png, Mapping) else None
    return claimed if isinstance(claimed, str) and _FINGERPRINT.fullmatch(claimed) else ""


def is_answered(exercise: Exercise, evidence: Evidence, assignment: Assignment) -> bool:
    """Return whether a manual exercise has more than the template's text; True if unsure.

    If the prompt's cells are gone, the answer may stand elsewhere: a person decides.
    """
    cells = evidence.answers.get(exercise.id, ())
    regions = evidence.regions.get(exercise.id, ())
    stub = assignment.stubs.get(exercise.notebook)
    if not exercise.manual or stub is None or not (cells or regions):
        return True
    given = {_plain(cell) for cell in answer_cells(stub, exercise.answer_cells)}
    if any(cell.attachments or _plain(cell) not in given for cell in cells):
        return True
    if any(region.status == "filled" for region in regions):
        return True
    # A figure that the student's own cell draws under the heading is an answer as well.
    known = {cell.source.strip() for cell in stub.cells}
    return any(
        source.strip() and source.strip() not in known
        for source in _drawing_sources(exercise.id, evidence)
    )


def _plain(cell: Cell) -> str:
    return " ".join(cell.source.split())


# --- the answers of a run -----------------------------------------------------------------------


def index_run(
    store: Store,
    run: int,
    assignment: Assignment | None,
    *,
    numbers: Collection[int] | None = None,
    seen: dict[int, Result] | None = None,
) -> int:
    """Add the answers of a run that are missing from the table; return how many submissions.

    assignment : holds the template; None if it is not at hand
    numbers : only these submissions
    seen : receives the results that were read, without evidence
    """
    # With the template at hand, answers of unknown state are looked at again.
    known = "AND answered != -1" if assignment is not None else ""
    only = json.dumps(list(numbers)) if numbers is not None else None
    with store.guarded():
        waiting = store.connection.execute(
            "SELECT number FROM items JOIN results ON results.id = items.result "
            "WHERE run = :run AND status = 'graded' AND NOT EXISTS (SELECT 1 FROM answers "
            f"WHERE answers.run = :run AND answers.number = items.number {known}) "
            "AND (:only IS NULL OR number IN (SELECT value FROM json_each(:only))) ORDER BY number",
            {"run": run, "only": only},
        ).fetchall()
        subjects: dict[int, str] = dict(
            store.connection.execute(
                "SELECT DISTINCT number, subject FROM answers WHERE run = :run "
                "AND (:only IS NULL OR number IN (SELECT value FROM json_each(:only)))",
                {"run": run, "only": only},
            ).fetchall()
        )
    found = [number for (number,) in waiting]
    for start in range(0, len(found), _AT_ONCE):
        rows: list[tuple[object, ...]] = []
        taken: set[str] = set()
        for number in found[start : start + _AT_ONCE]:
            result = result_of(store, run, number)
            subject = subjects.get(number) or subject_of(result)
            if (
                number not in subjects
                and not ids_of(result)
                and (subject in taken or _is_taken(store, run, subject))
            ):
                subject = subject_of(result, whole_path=True)
            taken.add(subject)
            rows += _rows(run, number, subject, result, assignment)
            if seen is not None:
                seen[number] = replace(result, evidence=Evidence())
        with store.writing():
            store.connection.executemany(
                "INSERT OR REPLACE INTO answers "
                "(run, number, exercise, subject, answer, answered, text, figures) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )
    return len(found)


def _is_taken(store: Store, run: int, subject: str) -> bool:
    with store.guarded():
        row = store.connection.execute(
            "SELECT 1 FROM answers WHERE subject = ? AND run = ? LIMIT 1", (subject, run)
        ).fetchone()
    return row is not None


def _rows(
    run: int, number: int, subject: str, result: Result, assignment: Assignment | None
) -> Iterator[tuple[object, ...]]:
    by_id = {e.id: e for e in assignment.exercises} if assignment is not None else {}
    for exercise in result.exercises:
        answered = _UNKNOWN
        if assignment is not None:
            known = by_id.get(exercise.id)
            answered = int(known is None or is_answered(known, result.evidence, assignment))
        yield (
            *(run, number, exercise.id, subject),
            *(fingerprint_of(exercise, result.evidence), answered),
            text_of(exercise.id, result.evidence),
            figures_of(exercise.id, result.evidence),
        )


def result_of(store: Store, run: int, number: int, *, evidence: bool = True) -> Result:
    """Return a submission's result as the machine gave it, under this run's path."""
    item = store.item(run, number, evidence=evidence)
    return unpack(Packed(item.relabelled().verdict, item.packed.evidence if evidence else b""))


def answers_of(
    store: Store,
    run: int,
    *,
    exercise: str | None = None,
    numbers: Collection[int] | None = None,
    text: bool = False,
) -> dict[tuple[int, str], AnswerRow]:
    """Return the answers of a run, by the submission's number and the exercise."""
    where, values = ["run = ?"], [run]
    if exercise is not None:
        where.append("exercise = ?")
        values.append(exercise)  # type: ignore[arg-type]
    if numbers is not None:
        where.append("number IN (SELECT value FROM json_each(?))")
        values.append(json.dumps(list(numbers)))  # type: ignore[arg-type]
    with store.guarded():
        rows = store.connection.execute(
            f"SELECT number, exercise, subject, answer, answered, {'text' if text else chr(39) * 2}"
            f", figures FROM answers WHERE {' AND '.join(where)} ORDER BY number",
            values,
        ).fetchall()
    return {
        (row[0], row[1]): AnswerRow(row[0], row[1], row[2], row[3], row[4] != 0, *row[5:])
        for row in rows
    }


def index_all(store: Store, assignment: str) -> None:
    """Add the answers of every run of an assignment to the table, before a run is deleted."""
    runs: Sequence[int] = [run.id for run in store.runs() if run.assignment == assignment]
    for run in runs:
        index_run(store, run, None)
