"""Feedback pages for students: one file each, in the layout that a platform accepts.

| for | name in the archive |
|---|---|
| Moodle | `<Full name>_<participant>_assignsubmission_file/<page>.html`, ids from the worksheet |
| Canvas | `<name>_<user>_<attachment>_<page>.html` |
| folder | `<name>-<key>/<page>.html` |

A page names only its reader and does not show messages of hidden checks. Each member of a team
gets a page: Moodle would read a team's number as a participant's, and show the page to a stranger.
"""

from __future__ import annotations

import multiprocessing
import re
import signal
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

from grader.errors import SheetError
from grader.files import replaced
from grader.gradebook.for_students import for_students
from grader.gradebook.people import Person
from grader.gradebook.rules import Grade, with_rules
from grader.records import Report, Result

Archive = Literal["moodle", "canvas", "folder"]
E = TypeVar("E")

_NO_FILE = re.compile(r'[/\\:*?"<>|\x00-\x1f\x7f]+')
MAX_NAME = 80
_MANY = 200
"""From this number of pages on, other processes help. Each takes half a second to start."""
_AHEAD = 8
"""Pages per process that wait to be written: more would only fill the memory."""
# A fixed time: equal pages give an archive of equal bytes.
_TIME = (1980, 1, 1, 0, 0, 0)


def _unchanged(result: Result) -> Result:
    return result


def for_student(result: Result, person: Person, title: str) -> Result:
    """Return the result as its student may see it.

    It names only this person, and holds no message of a hidden check.
    """
    return replace(for_students(result), path=title, students=(person.name,))


def write_feedback(
    to: Path,
    archive: Archive,
    grades: Sequence[Grade],
    *,
    report: Report,
    render: Callable[[Report, Result, E], str],
    evidence: Callable[[Result], E],
    whole: Callable[[Result], Result] = _unchanged,
    processes: int = 1,
) -> int:
    """Write the pages, as a zip or into a folder; return how many.

    to : the path of the zip, or of the folder if `archive` is "folder"
    render : returns a page's HTML. It runs in other processes if there are many pages, so it must
        be a function of a module
    evidence : returns a result's evidence in the form that `render` takes; called for one page
        after the other. Packed evidence travels faster to another process
    whole : returns a result with its checks; called for one page after the other
    processes : how many processes render pages
    Raises SheetError if a student has no id that the platform needs.
    """
    grades = [grade for grade in grades if grade.result is not None]
    title = re.sub(r"[^\w-]+", "-", report.assignment).strip("-") or "feedback"
    names = _names(archive, grades, f"{title}.html")
    shown = zip(
        names,
        _shown(grades, report.title or report.assignment, whole),
        (evidence(grade.result) for grade in grades if grade.result is not None),
        strict=True,
    )
    many = processes > 1 and len(grades) >= _MANY
    pages = _pages(shown, replace(report, results=(), parts=()), render, processes if many else 1)
    if archive == "folder":
        count = 0
        for name, page in pages:
            file = to / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with replaced(file) as stream:
                stream.write(page)
            count += 1
        return count
    count = 0
    with replaced(to) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as out:
        for name, page in pages:
            out.writestr(zipfile.ZipInfo(name, _TIME), page, zipfile.ZIP_DEFLATED)
            count += 1
    return count


def _pages(
    shown: Iterable[tuple[str, Result, E]],
    head: Report,
    render: Callable[[Report, Result, E], str],
    processes: int,
) -> Iterator[tuple[str, bytes]]:
    if processes == 1:
        for name, result, evidence in shown:
            yield name, render(head, result, evidence).encode()
        return
    context = multiprocessing.get_context("spawn")
    # Only this process answers Ctrl-C.
    with ProcessPoolExecutor(
        processes, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)
    ) as pool:
        waiting: deque[tuple[str, Future[str]]] = deque()
        for name, result, evidence in shown:
            waiting.append((name, pool.submit(render, head, result, evidence)))
            if len(waiting) > _AHEAD * processes:
                name, page = waiting.popleft()
                yield name, page.result().encode()
        for name, page in waiting:
            yield name, page.result().encode()


def _shown(
    grades: Sequence[Grade], title: str, whole: Callable[[Result], Result]
) -> Iterator[Result]:
    """Yield each result as its student may see it, one at a time to save memory."""
    for grade in grades:
        assert grade.result is not None
        result = with_rules(replace(grade, result=whole(grade.result)))
        assert result is not None
        yield for_student(result, grade.person, title)


def _names(archive: Archive, grades: Sequence[Grade], page: str) -> list[str]:
    """Return each page's name in the archive; people of the same name get distinct ones."""
    make = {"moodle": _moodle_name, "canvas": _canvas_name, "folder": _folder_name}[archive]
    names: list[str] = []
    taken: set[str] = set()
    for number, grade in enumerate(grades):
        name = make(grade, page)
        if name.casefold() in taken:
            folder, _, file = name.rpartition("/")
            name = f"{folder}-{number}/{file}" if folder else f"{number}-{file}"
        taken.add(name.casefold())
        names.append(name)
    return names


def _moodle_name(grade: Grade, page: str) -> str:
    participant = grade.person.ids.get("participant", "")
    if not participant.isdecimal():
        raise SheetError(
            f"{grade.person.name} has no participant number: name Moodle's worksheet with --fill "
            "or --roster"
        )
    # Moodle splits the file's name at "_".
    name = _file_name(grade.person.name.replace("_", " "))
    return f"{name}_{participant}_assignsubmission_file/{page}"


def _canvas_name(grade: Grade, page: str) -> str:
    ids = grade.result.origin.ids if grade.result else {}
    user, attachment = grade.person.ids.get("user", ids.get("user", "")), ids.get("attachment", "")
    if not user or not attachment:
        raise SheetError(
            f"{grade.person.name} has no attachment at Canvas: only submissions that came from "
            "Canvas as a zip can get pages there"
        )
    name = re.sub(r"[\W_]", "", grade.person.name.lower())
    # Canvas takes the first part of digits alone for the user's number.
    name = "student" + name if not name or name.isdigit() else name
    return f"{name}_{user}_{attachment.split()[0]}_{page}"


def _folder_name(grade: Grade, page: str) -> str:
    key = _file_name(grade.person.key)
    return f"{_file_name(grade.person.name)}{'-' if key else ''}{key}/{page}"


def _file_name(text: str) -> str:
    """Return the text as a file name that every system accepts, without separators."""
    name = _NO_FILE.sub(" ", text).strip(" .~")[:MAX_NAME].strip(" .~")
    return name or "student"
