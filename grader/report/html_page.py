"""The report as HTML: one self-contained page a submission, and an index where there are several.

No script, nothing loaded from anywhere: a Content-Security-Policy in the page allows its own style
and images that it carries. Everything a student wrote is made printable and then escaped by
jinja2; their figures are shown only as verified PNG.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from grader.records import CellRun, ExerciseScore, Notebook, Report, Result
from grader.report.plain import one_line, printable
from grader.report.templates import environment
from grader.report.wording import (
    OUTCOME_WORDS,
    REFUSAL_SHORT,
    REFUSAL_WORDS,
    cell_text,
    deducted,
    label,
    notes_by_title,
    open_text,
    percent_text,
    placed,
    points_text,
    result_tone,
    share,
    status_text,
    tone,
)

# A page that a browser opens at once: a figure of matplotlib has 20 to 200 kB.
MAX_FIGURE_BYTES = 2 * 2**20
MAX_PAGE_FIGURE_BYTES = 16 * 2**20
MAX_FIGURES = 60
# A PNG of a few kB can unpack to gigabytes in the reader's browser.
MAX_SIDE = 8000
MAX_PIXELS = 20_000_000
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_CODE_LIMIT = 20_000
_TEXT_LIMIT = 20_000

_OUTCOME_TONES = {"passed": "good", "skipped": "open"}
_FAILED_CELLS = {
    "error": "raised an error",
    "timeout": "ran out of time",
    "crashed": "ended the kernel",
}
_RUN_NOTES = {"cell_error", "cell_timeout", "cell_crash"}


@dataclass(frozen=True)
class Figure:
    """One PNG of the student's, verified. uri : "data:image/png;base64,..." """

    notebook: str
    cell: str
    uri: str
    width: int
    height: int


def write_pages(report: Report, folder: Path) -> list[Path]:
    """Write a page a submission into folder, and index.html where there are several.

    Returns the files written. Raises OSError.
    """
    pages = Pages(folder, replace(report, results=()), [result.path for result in report.results])
    files = [pages.write(number, result) for number, result in enumerate(report.results)]
    return files + pages.write_index(report)


class Pages:
    """Pages written one by one, as results come.

    report : the head of every page
    paths : of all submissions
    """

    def __init__(self, folder: Path, report: Report, paths: Sequence[str]) -> None:
        self.folder = folder
        self.report = report
        self.names = page_names(paths)

    def write(self, number: int, result: Result) -> Path:
        """Write the page of one submission. Raises OSError."""
        from grader.report.writing import write_whole

        file = self.folder / self.names[number]
        write_whole(file, render_page(self.report, result))
        return file

    def write_index(self, report: Report) -> list[Path]:
        """Write the page that leads to the others, where there are several. Raises OSError."""
        from grader.report.writing import write_whole

        if len(self.names) < 2:
            return []
        file = self.folder / "index.html"
        write_whole(file, render_index(report, self.names))
        return [file]


def page_names(paths: Collection[str]) -> list[str]:
    """Return a file name for each path: ASCII, no separators, unique also where case is ignored."""
    taken = {"index"}
    names = []
    for path in paths:
        last = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
        stem = re.sub(r"\.(zip|ipynb|py)$", "", last, flags=re.IGNORECASE)
        plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
        safe = re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-_")[:80] or "submission"
        name, n = safe, 1
        while name.lower() in taken:
            n += 1
            name = f"{safe}-{n}"
        taken.add(name.lower())
        names.append(f"{name}.html")
    return names


def render_page(report: Report, result: Result) -> str:
    """Return one submission's page."""
    figures, left_out = _figures(result)
    failures = list(_failures(result))
    told = {(failure["notebook"], failure["index"]) for failure in failures}
    notes = [
        note
        for note in result.notes
        if not (note.kind in _RUN_NOTES and (one_line(note.notebook), note.cell) in told)
    ]
    graded = result.status == "graded"
    return _template("page.html.j2").render(
        head=_head(report, result),
        refusal="" if graded else REFUSAL_WORDS[result.status],
        message=printable(result.message),
        exercises=[_exercise(exercise, result) for exercise in result.exercises],
        open_text=open_text(result.manual_points) if result.manual_points else "",
        figures=figures,
        left_out=left_out,
        failures=failures,
        notes=[
            (one_line(title), [tuple(map(printable, placed(note))) for note in same])
            for title, same in notes_by_title(notes).items()
        ],
    )


def render_index(report: Report, names: Collection[str]) -> str:
    """Return the page that leads to all the others."""
    rows = [
        {
            "file": name,
            "label": one_line(label(result)),
            "path": one_line(result.path, 300),
            "tone": result_tone(result),
            "graded": result.status == "graded",
            "share": share(result.score, result.max_score),
            "score": f"{points_text(result.score)} / {points_text(result.max_score)}",
            "verdict": percent_text(result)
            if result.status == "graded"
            else REFUSAL_SHORT[result.status],
            "open": points_text(result.manual_points) if result.manual_points else "",
        }
        for name, result in zip(names, report.results, strict=True)
    ]
    return _template("index.html.j2").render(
        assignment=one_line(report.assignment),
        title=one_line(report.title),
        seed=report.seed,
        rows=rows,
    )


def figure_of(data: object) -> tuple[bytes, int, int] | None:
    """Return (png, width, height) of an output's "image/png", None where it is no safe PNG.

    data : base64 text, as nbformat stores it: a string, or a list of strings
    """
    if isinstance(data, list) and all(isinstance(part, str) for part in data):
        data = "".join(data)
    if not isinstance(data, str) or len(data) > MAX_FIGURE_BYTES * 3 // 2:
        return None
    try:
        png = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(png) > MAX_FIGURE_BYTES or not png.startswith(_PNG_MAGIC) or png[12:16] != b"IHDR":
        return None
    if len(png) < 33:
        return None
    width, height = struct.unpack(">II", png[16:24])
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        return None
    return png, width, height


def highlighted(code: str) -> Markup:
    """Return Python code as HTML spans; everything in it escaped."""
    shown = printable(code, _CODE_LIMIT)
    return Markup(highlight(shown, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True)))


def _template(name: str) -> jinja2.Template:
    return environment().get_template(name)


def _head(report: Report, result: Result) -> dict[str, Any]:
    return {
        "assignment": one_line(report.assignment),
        "title": one_line(report.title),
        "seed": report.seed,
        "students": [one_line(name) for name in result.students],
        "path": one_line(result.path, 300),
        "graded": result.status == "graded",
        "tone": result_tone(result),
        "share": share(result.score, result.max_score),
        "percent": percent_text(result),
        "score": points_text(result.score),
        "max_score": points_text(result.max_score),
    }


def _exercise(exercise: ExerciseScore, result: Result) -> dict[str, Any]:
    open_ = exercise.status in ("manual", "not_gradable")
    return {
        "id": one_line(exercise.id),
        "title": one_line(exercise.title),
        "bonus": exercise.bonus,
        "status": status_text(exercise),
        "tone": tone(exercise),
        "points": "–" if open_ else points_text(exercise.points),
        "max_points": points_text(exercise.max_points),
        "share": 0.0 if open_ else share(exercise.points, exercise.max_points),
        "open": open_text(exercise.max_points) if exercise.status == "manual" else "",
        "deducted": points_text(deducted(exercise)) if deducted(exercise) else "",
        "checks": [
            {
                "name": one_line(check.name),
                "outcome": OUTCOME_WORDS.get(check.outcome, check.outcome),
                "tone": _OUTCOME_TONES.get(check.outcome, "part" if check.points > 0 else "bad"),
                "hidden": check.hidden,
                "points": points_text(check.points),
                "max_points": points_text(check.max_points)
                if check.max_points and check.outcome != "skipped"
                else "",
                "message": printable(check.message).strip(),
            }
            for check in exercise.checks
        ],
        "regions": [
            {
                "name": one_line(region.name),
                "cell": cell_text(region.cell),
                "status": region.status,
                "code": highlighted(region.source),
            }
            for region in result.evidence.regions.get(exercise.id, ())
        ],
        "answers": [
            {"cell": cell_text(cell.index), "text": printable(cell.source, _TEXT_LIMIT)}
            for cell in result.evidence.answers.get(exercise.id, ())
        ],
    }


def _failures(result: Result) -> Iterator[dict[str, Any]]:
    """Yield what went wrong while the notebooks ran, with the cells' code."""
    sources = {n.name: _sources(n) for n in result.evidence.notebooks.values()}
    for name, run in result.evidence.runs.items():
        for cell in run.cells:
            if cell.status not in _FAILED_CELLS:
                continue
            source = sources.get(name, {}).get(cell.index, "")
            yield {
                "notebook": one_line(name),
                "index": cell.index,
                "cell": cell_text(cell.index),
                "what": _FAILED_CELLS[cell.status],
                "error": printable(cell.error),
                "code": highlighted(source) if source else "",
            }


def _sources(notebook: Notebook) -> dict[int, str]:
    return {cell.index: cell.source for cell in notebook.cells}


def _figures(result: Result) -> tuple[list[Figure], int]:
    """Return the student's figures in order, and how many were left out."""
    figures: list[Figure] = []
    left_out = 0
    room = MAX_PAGE_FIGURE_BYTES
    for name, run in result.evidence.runs.items():
        for cell in run.cells:
            for data in _images(cell):
                found = figure_of(data)
                if found is None or len(figures) == MAX_FIGURES or len(found[0]) > room:
                    left_out += 1
                    continue
                png, width, height = found
                room -= len(png)
                uri = "data:image/png;base64," + base64.b64encode(png).decode()
                figures.append(Figure(one_line(name), cell_text(cell.index), uri, width, height))
    return figures, left_out


def _images(cell: CellRun) -> Iterator[object]:
    for output in cell.outputs:
        data = output.get("data")
        if isinstance(data, Mapping) and "image/png" in data:
            yield data["image/png"]
