"""The report as HTML: a self-contained page for each submission, and an index for several.

A page has no script and loads nothing: its Content-Security-Policy allows only the style and the
images inside it. Student-written text is made printable and then escaped by jinja2. Figures and
pictures are shown only as verified PNG or JPEG.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from grader.files import write_whole
from grader.records import (
    Cell,
    CellRun,
    Evidence,
    ExerciseScore,
    Notebook,
    Outcome,
    Place,
    Report,
    Result,
)
from grader.report import markdown
from grader.report.class_summary import summarise
from grader.report.code_colours import highlighted
from grader.report.derivation_words import derivation_table
from grader.report.judgement_words import judgement_lines, missed
from grader.report.page_names import page_names
from grader.report.templates import environment
from grader.report.wording import (
    MARKS,
    OUTCOME_WORDS,
    REFUSAL_SHORT,
    REFUSAL_WORDS,
    cell_text,
    checks_from,
    deducted,
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

# Limits for a page that opens at once: a figure of matplotlib has 20 to 200 kB, a photograph of a
# derivation on paper 1 to 4 MB.
MAX_FIGURE_BYTES = 5 * 2**20
MAX_PAGE_FIGURE_BYTES = 16 * 2**20
MAX_FIGURES = 60
# A PNG of a few kB can unpack to gigabytes in the reader's browser.
MAX_SIDE = 8000
MAX_PIXELS = 20_000_000
_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_JPEG_MAGIC = b"\xff\xd8\xff"
_KINDS = ("image/png", "image/jpeg")
# A picture that an editor wrote into the Markdown itself.
_INLINE = re.compile(
    r"!\[(?P<name>[^\]\n]{0,200})\]\(data:image/\w+;base64,(?P<data>[A-Za-z0-9+/=]+)\)"
)

_OUTCOME_TONES = {"passed": "good", "skipped": "open"}
_FAILED_CELLS = {
    "error": "raised an error",
    "timeout": "ran out of time",
    "crashed": "ended the kernel",
}
_RUN_NOTES = {"cell_error", "cell_timeout", "cell_crash"}


@dataclass(frozen=True)
class Figure:
    """A verified PNG or JPEG of the student. uri : "data:image/png;base64,..." """

    number: int
    notebook: str
    cell: str
    uri: str
    width: int
    height: int


class Gallery:
    """The page's figures, each shown once: beside the first answer that it belongs to.

    formula : returns safe HTML of a formula in an answer; None to show its LaTeX
    """

    def __init__(self, evidence: Evidence, *, formula: Callable[[str], str] | None = None) -> None:
        self.formula = formula
        self.shown = 0
        self.left_out = 0
        self.room = MAX_PAGE_FIGURE_BYTES
        self.drawn: dict[tuple[str, int], list[Figure]] = {}
        for name, run in evidence.runs.items():
            for cell in run.cells:
                figures = [self.take(data, name, cell.index) for data in _images(cell)]
                self.drawn.setdefault((name, cell.index), []).extend(filter(None, figures))
        self.claimed: set[int] = set()

    def take(self, data: object, notebook: str, cell: int) -> Figure | None:
        """Return the figure; None if the data are not a picture, or the page is full."""
        found = figure_of(data)
        if found is None or self.shown == MAX_FIGURES or len(found[0]) > self.room:
            self.left_out += 1
            return None
        content, width, height = found
        self.room -= len(content)
        self.shown += 1
        kind = "jpeg" if content.startswith(_JPEG_MAGIC) else "png"
        uri = f"data:image/{kind};base64," + base64.b64encode(content).decode()
        return Figure(self.shown, one_line(notebook), cell_text(cell), uri, width, height)

    def beside(self, places: Iterable[Place]) -> tuple[list[Figure], list[Figure]]:
        """Return the figures of these cells: those to show now, and those shown already."""
        here = [f for place in places for f in self.drawn.get((place.notebook, place.cell), [])]
        new = [figure for figure in here if figure.number not in self.claimed]
        old = [figure for figure in here if figure.number in self.claimed]
        self.claimed |= {figure.number for figure in new}
        return new, old

    def rest(self) -> list[Figure]:
        """Return the figures that belong to no answer."""
        return [
            f for figures in self.drawn.values() for f in figures if f.number not in self.claimed
        ]


class Pages:
    """Pages that are written one by one, while results arrive.

    report : gives the head of every page
    paths : the paths of all submissions
    """

    def __init__(self, folder: Path, report: Report, paths: Sequence[str]) -> None:
        self.folder = folder
        self.report = report
        self.names = page_names(paths)

    def write(self, number: int, result: Result) -> Path:
        """Write the page of one submission. Raises OSError."""
        file = self.folder / self.names[number]
        write_whole(file, render_page(self.report, result))
        return file

    def write_index(self, report: Report) -> list[Path]:
        """Write the page that links to the others if there are several. Raises OSError."""
        if len(self.names) < 2:
            return []
        file = self.folder / "index.html"
        write_whole(file, render_index(report, self.names))
        return [file]


def write_contents(folder: Path, report: Report, parts: Sequence[Pages]) -> Path:
    """Write the page that links to the pages of each assignment. Raises OSError."""
    rows = []
    for part, pages in zip(report.each, parts, strict=True):
        inner = pages.folder.name
        count = len(part.results)
        rows.append(
            {
                "file": f"{inner}/{'index.html' if count > 1 else pages.names[0]}",
                "id": one_line(part.assignment),
                "title": one_line(part.title),
                "facts": " · ".join(summarise(part.results).lines(names=False)),
            }
        )
    file = folder / "index.html"
    write_whole(file, _template("contents.html.j2").render(rows=rows, seed=report.seed))
    return file


def render_page(report: Report, result: Result) -> str:
    """Return one submission's page."""
    gallery = Gallery(result.evidence)
    exercises = [exercise_parts(exercise, result, gallery) for exercise in result.exercises]
    failures = list(_failures(result))
    failed_cells = {(failure["notebook"], failure["index"]) for failure in failures}
    notes = [
        note
        for note in result.notes
        if note.kind not in _RUN_NOTES or (one_line(note.notebook), note.cell) not in failed_cells
    ]
    graded = result.status == "graded"
    return _template("page.html.j2").render(
        head=_head(report, result),
        refusal="" if graded else REFUSAL_WORDS[result.status],
        message=printable(result.message),
        exercises=exercises,
        open_text=open_text(result.manual_points) if result.manual_points else "",
        figures=gallery.rest(),
        left_out=gallery.left_out,
        failures=failures,
        notes=[
            (one_line(title), [tuple(map(printable, placed(note))) for note in same])
            for title, same in notes_by_title(notes).items()
        ],
    )


def render_index(report: Report, names: Collection[str]) -> str:
    """Return the page that links to all submissions' pages."""
    rows = [
        {
            "file": name,
            "label": one_line(label(result)),
            "path": one_line(result.path, 300),
            "tone": result_tone(result),
            "graded": result.status == "graded",
            "share": share(result.score, result.max_score),
            "score": score_text(result),
            "verdict": percent_text(result)
            if result.status == "graded"
            else REFUSAL_SHORT[result.status],
            "open": points_text(result.manual_points) if result.manual_points else "",
            "message": one_line(result.message, 300),
        }
        for name, result in zip(names, report.results, strict=True)
    ]
    return _template("index.html.j2").render(
        assignment=one_line(report.assignment),
        title=one_line(report.title),
        seed=report.seed,
        checks=checks_from(report),
        facts=summarise(report.results).lines(names=False),
        rows=rows,
    )


def figure_of(data: object) -> tuple[bytes, int, int] | None:
    """Return (bytes, width, height) of a picture; None if it is not a safe PNG or JPEG.

    data : base64 text, as nbformat stores it: a string, or a list of strings
    """
    if isinstance(data, list) and all(isinstance(part, str) for part in data):
        data = "".join(data)
    if not isinstance(data, str) or len(data) > MAX_FIGURE_BYTES * 3 // 2:
        return None
    try:
        content = base64.b64decode("".join(data.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    size = _png_size(content) or _jpeg_size(content)
    if len(content) > MAX_FIGURE_BYTES or size is None:
        return None
    width, height = size
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        return None
    return content, width, height


def _png_size(content: bytes) -> tuple[int, int] | None:
    if not content.startswith(_PNG_MAGIC) or content[12:16] != b"IHDR" or len(content) < 33:
        return None
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def _jpeg_size(content: bytes) -> tuple[int, int] | None:
    """Return the size in the frame's header; segments are 0xff, kind, length, content."""
    if not content.startswith(_JPEG_MAGIC):
        return None
    at = 2
    while at + 9 <= len(content) and content[at] == 0xFF:
        kind, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], "big")
        # C0 to CF begin a frame, except C4, C8 and CC, which are tables.
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return width, height
        at += 2 + length
    return None


def _template(name: str) -> jinja2.Template:
    return environment().get_template(name)


def _head(report: Report, result: Result) -> dict[str, Any]:
    return {
        "assignment": one_line(report.assignment),
        "title": one_line(report.title),
        "seed": report.seed,
        "checks": checks_from(report),
        "students": [one_line(name) for name in result.students],
        "path": one_line(result.path, 300),
        "graded": result.status == "graded",
        "tone": result_tone(result),
        "share": share(result.score, result.max_score),
        "percent": percent_text(result),
        "score": points_text(result.score),
        "max_score": points_text(result.max_score),
    }


def exercise_parts(exercise: ExerciseScore, result: Result, gallery: Gallery) -> dict[str, Any]:
    """Return the variables of an exercise for a page's template, with printable texts."""
    answers = [_answer(cell, gallery) for cell in result.evidence.answers.get(exercise.id, ())]
    figures, seen = gallery.beside(result.evidence.drawn.get(exercise.id, ()))
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
        "open": open_text(exercise.max_points)
        if exercise.status == "manual" and exercise.max_points
        else "",
        "deducted": points_text(deducted(exercise)) if deducted(exercise) else "",
        "checks": [
            {
                "name": one_line(check.name),
                "outcome": OUTCOME_WORDS.get(check.outcome, check.outcome),
                "tone": _check_tone(check),
                "mark": MARKS[_check_tone(check)],
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
        "derivation": derivation_table(exercise),
        "judged": [printable(line) for line in judgement_lines(exercise)],
        "missed": missed(exercise.judgement) if exercise.judgement is not None else [],
        "answers": answers,
        "figures": figures,
        "seen": seen,
    }


def _check_tone(check: Outcome) -> str:
    return _OUTCOME_TONES.get(check.outcome, "part" if check.points > 0 else "bad")


def _answer(cell: Cell, gallery: Gallery) -> dict[str, Any]:
    """Return a Markdown cell's text, rendered and as typed, and the pictures in it."""
    pasted: list[object] = [match["data"] for match in _INLINE.finditer(cell.source)]
    for bundle in cell.attachments.values():
        pasted += [bundle[kind] for kind in _KINDS if kind in bundle]
    text = _INLINE.sub(lambda match: f"![{match['name']}](below)", cell.source)
    return {
        "cell": cell_text(cell.index),
        "text": printable(text, markdown.LIMIT),
        "html": markdown.rendered(text, formula=gallery.formula),
        "pictures": [p for data in pasted if (p := gallery.take(data, "", cell.index))],
    }


def _failures(result: Result) -> Iterator[dict[str, Any]]:
    """Yield the cells that failed while the notebooks ran, with their code."""
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


def _images(cell: CellRun) -> Iterator[object]:
    for output in cell.outputs:
        data = output.get("data")
        if isinstance(data, Mapping):
            yield from (data[kind] for kind in _KINDS if kind in data)
