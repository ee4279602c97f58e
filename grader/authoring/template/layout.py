"""Writes the folder of a new assignment, whole or not at all, and never over another one."""

from __future__ import annotations

import json
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat

from grader.assignment import load_assignment
from grader.authoring.stubs import SOLUTION_TAG
from grader.authoring.template import example
from grader.authoring.template.gaps import UnmarkedNotebook, find_places, mark, refuse_broken
from grader.errors import AssignmentError
from grader.notebook import assembled, read_notebook
from grader.records import Cell, Definition, Notebook

# A folder's name, a word on the command line, a key of TOML: what needs no quotes anywhere.
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_ANSWER = re.compile(r"(answer|question|explain|réponse|antwort)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Written:
    """The files of a new assignment, and what its author should know.

    exercises : ids of those whose checks are still to be written
    notes : a sentence each
    """

    folder: Path
    files: tuple[Path, ...]
    exercises: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write_example(assignment_id: str, parent: Path, *, title: str = "") -> Written:
    """Write parent/<id>/ with an exercise or two that can be changed; return its files.

    Raises AssignmentError for an id that can't be one, and where the folder is there already.
    """
    _require_free(assignment_id, parent)
    title = title or f"{assignment_id}: linear regression"
    notebook = f"{assignment_id}.ipynb"
    words = {"id": _quoted(assignment_id), "title": _quoted(title), "file": _quoted(notebook)}
    cells = [
        Cell(
            number,
            "markdown" if kind == "solution" else kind,  # type: ignore[arg-type]
            text.replace("{title}", title),
            metadata={"tags": [SOLUTION_TAG]} if kind == "solution" else {},
        )
        for number, (kind, text) in enumerate(example.CELLS)
    ]
    files = {
        "assignment.toml": _filled(example.ASSIGNMENT, words),
        notebook: _notebook_text(cells, notebook),
        "test_regression.py": example.CHECKS,
        "hidden/test_regression.py": example.HIDDEN_CHECKS,
    }
    for name, text in example.SAMPLES.items():
        files[f"samples/{name}"] = _filled(text, words)
    return _write(assignment_id, parent, files)


def write_from(
    assignment_id: str,
    parent: Path,
    source: Path,
    *,
    title: str = "",
    gaps: Sequence[str] = (),
) -> Written:
    """Write parent/<id>/ around a solved notebook: its gaps are the exercises.

    source : an .ipynb, or a script whose cells begin with `# %%`; the copy is an .ipynb without
        outputs, and the source stays as it is
    gaps : functions that get markers in the copy
    Each exercise gets one point and one check that fails until somebody writes it.
    Raises UnmarkedNotebook where there is no gap and none is asked for; AssignmentError for
    markers without a partner, for cells that don't parse, and as write_example does.
    """
    _require_free(assignment_id, parent)
    if source.suffix.lower() not in (".ipynb", ".py"):
        raise AssignmentError(f"{source}: a solved notebook is an .ipynb, or a .py with # %% cells")
    notebook = replace(read_notebook(source), name=f"{source.stem}.ipynb")
    notebook = _marked(notebook, gaps) if gaps else notebook
    damaged = [note.message for note in notebook.notes if note.kind == "markers_missing"]
    if damaged:
        raise AssignmentError(f"{source}: {damaged[0]}; complete the pair")
    if not notebook.regions:
        refuse_broken(notebook)
        raise UnmarkedNotebook(
            f"{source} has no gaps: put markers into it, or name its functions with --gap",
            find_places(notebook),
        )
    exercises = _exercises(notebook)
    answers = _answers(notebook)
    title = title or _title(notebook) or assignment_id
    topic = re.sub(r"\W+", "_", Path(source.name).stem.lower(), flags=re.ASCII).strip("_")
    files = {
        "assignment.toml": _assignment_text(assignment_id, title, notebook, exercises, answers),
        notebook.name: _notebook_text(notebook.cells, notebook.name),
        f"test_{topic or 'checks'}.py": _checks_text(notebook, exercises),
    }
    written = _write(assignment_id, parent, files)
    return Written(
        written.folder,
        written.files,
        tuple(exercises),
        tuple(_untagged(notebook, answers.values())),
    )


# --- what is written ------------------------------------------------------------------------


def _exercises(notebook: Notebook) -> dict[str, str]:
    """Return a region's name by exercise id; several gaps of a function are one exercise."""
    names = dict.fromkeys(name.partition("#")[0] for name in notebook.regions)
    found: dict[str, str] = {}
    for name in names:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "gap"
        exercise, number = slug, 1
        while exercise in found:
            number += 1
            exercise = f"{slug}-{number}"
        found[exercise] = name
    return found


def _answers(notebook: Notebook) -> dict[str, str]:
    """Return the headings that ask for words, by exercise id."""
    headings = [
        line.lstrip("#").strip()
        for cell in notebook.cells
        if cell.kind == "markdown" and not _is_solution(cell)
        for line in cell.source.split("\n")
        if line.startswith("#")
    ]
    asking = [heading for heading in dict.fromkeys(headings) if _ANSWER.match(heading)]
    return {f"answer-{number}": heading for number, heading in enumerate(asking, start=1)}


def _assignment_text(
    assignment_id: str,
    title: str,
    notebook: Notebook,
    exercises: Mapping[str, str],
    answers: Mapping[str, str],
) -> str:
    file = _quoted(notebook.name)
    parts = [
        f"id = {_quoted(assignment_id)}\ntitle = {_quoted(title)}\n\n"
        "# What the gaps may not use:\n"
        '# [rules]\n# forbidden_imports = ["sklearn", "torch"]\n\n'
        f"[[notebooks]]\nfile = {file}\n\n"
        "# Fill in the points; those of the checks in test_*.py must sum to the same."
    ]
    for exercise, name in exercises.items():
        definition = notebook.definitions.get(name)
        functions = f"functions = [{_quoted(name)}]\n" if definition else ""
        parts.append(
            f"[[exercises]]\nid = {_quoted(exercise)}\n"
            f"title = {_quoted(_summary(definition) or name)}\n"
            f"points = 1\nnotebook = {file}\n{functions}"
        )
    for exercise, heading in answers.items():
        parts.append(
            f"[[exercises]]\nid = {_quoted(exercise)}\ntitle = {_quoted(heading)}\npoints = 1\n"
            f"manual = true\nnotebook = {file}\nanswer_cells = [{_quoted(heading)}]\n"
        )
    return "\n".join(part + "\n" if not part.endswith("\n") else part for part in parts)


def _checks_text(notebook: Notebook, exercises: Mapping[str, str]) -> str:
    title = _title(notebook) or notebook.name
    parts = [
        f'"""Checks of: {_in_docstring(title)}\n\n'
        "A check that isn't written yet stops the grading; it gives and takes no points.\n"
        '"""\n\nimport pytest\n'
    ]
    for exercise, name in exercises.items():
        definition = notebook.definitions.get(name)
        word = re.sub(r"\W+", "_", exercise, flags=re.ASCII)
        call = f"student.{_called(definition)}" if definition else "what this gap makes"
        parts.append(
            f"@pytest.mark.exercise({_quoted(exercise)}, points=1)\n"
            f"def test_{word}_is_right(student, rng):\n"
            f'    """Say here what a right answer does."""\n'
            f"    # {call}\n"
            f'    raise NotImplementedError("write the check of exercise {exercise}")\n'
        )
    return "\n\n".join(parts)


def _called(definition: Definition) -> str:
    """Return a call of the definition as its head spells it: "f(x, y)", "Model(...).f(x)"."""
    head = re.search(
        r"def\s+\w+\s*\((?P<arguments>.*?)\)\s*(->.*?)?:", definition.source, re.DOTALL
    )
    names = [
        re.split(r"[:=]", argument)[0].strip()
        for argument in (head["arguments"].split(",") if head else [])
    ]
    owner, _, name = definition.name.rpartition(".")
    shown = ", ".join(n for n in names if n and n not in ("self", "cls", "/", "*"))
    return f"{owner}(...).{name}({shown})" if owner else f"{name}({shown})"


def _summary(definition: Definition | None) -> str:
    """Return the first sentence of the docstring, short enough for a title."""
    quoted = (
        re.search(r'"""\s*(.+?)(?:\.\s|\.?\s*"""|\n)', definition.source) if definition else None
    )
    text = " ".join(quoted[1].split()) if quoted else ""
    return text if len(text) <= 60 else ""


def _title(notebook: Notebook) -> str:
    for cell in notebook.cells:
        if cell.kind == "markdown" and cell.source.startswith("# "):
            return cell.source.split("\n")[0].lstrip("# ").strip()
    return ""


def _untagged(notebook: Notebook, headings: Iterable[str]) -> Iterable[str]:
    """Yield a sentence for each cell of text that students would find below a question."""
    wanted = set(headings)
    below = False
    for cell in notebook.cells:
        titles = [line.lstrip("# ").strip() for line in cell.source.split("\n") if line[:1] == "#"]
        if cell.kind != "markdown" or titles:
            below = cell.kind == "markdown" and any(title in wanted for title in titles)
        elif below and not _is_solution(cell):
            yield (
                f"{notebook.name}, cell {cell.index} goes to students as it stands: if it is "
                f"your answer, give it the tag `{SOLUTION_TAG}`"
            )


def _is_solution(cell: Cell) -> bool:
    tags = cell.metadata.get("tags")
    return isinstance(tags, list) and SOLUTION_TAG in tags


def _marked(notebook: Notebook, gaps: Sequence[str]) -> Notebook:
    sources = mark({cell.index: cell.source for cell in notebook.cells}, notebook, gaps)
    cells = [
        Cell(cell.index, cell.kind, sources[cell.index], metadata=cell.metadata)
        for cell in notebook.cells
    ]
    return assembled(cells, name=notebook.name, metadata=notebook.metadata)


def _notebook_text(cells: Sequence[Cell], file: str) -> str:
    """Return an nbformat 4.5 document without outputs."""
    make = {
        "code": nbformat.v4.new_code_cell,
        "markdown": nbformat.v4.new_markdown_cell,
        "raw": nbformat.v4.new_raw_cell,
    }
    slug = re.sub(r"[^A-Za-z0-9]+", "-", Path(file).stem).strip("-")[:40] or "cell"
    document = nbformat.v4.new_notebook(
        cells=[
            make[cell.kind](cell.source, id=f"{slug}-{cell.index:03d}", metadata=_kept(cell))
            for cell in cells
        ],
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
    )
    document.nbformat_minor = 5
    return nbformat.writes(document) + "\n"


def _kept(cell: Cell) -> dict[str, object]:
    """Return the tags; what editors keep besides (collapsed, scrolled) goes."""
    tags = cell.metadata.get("tags")
    tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    return {"tags": tags} if tags else {}


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = text.replace(f"{{{word}}}", value)
    return text


def _quoted(text: str) -> str:
    """Return a string of TOML, which is one of Python, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _in_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")


# --- writing ----------------------------------------------------------------------------------


def _require_free(assignment_id: str, parent: Path) -> None:
    if not _ID.fullmatch(assignment_id):
        raise AssignmentError(
            f"{assignment_id!r} can't be an assignment's id: small letters, digits, - and _ make "
            "one, 40 of them at most"
        )
    folder = parent / assignment_id
    if folder.exists() or folder.is_symlink():
        raise AssignmentError(f"{folder} is there already; nothing is written over it")


def _write(assignment_id: str, parent: Path, files: Mapping[str, str]) -> Written:
    """Write the files beside the place, read them as an assignment, and only then move them."""
    folder = parent / assignment_id
    beside = parent / f".new-{secrets.token_hex(6)}" / assignment_id
    made = not parent.exists()
    try:
        for name, text in files.items():
            path = beside / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        try:
            load_assignment(beside)
        except AssignmentError as error:
            raise AssignmentError(str(error).replace(str(beside), str(folder))) from error
        beside.rename(folder)
    except OSError as error:
        raise AssignmentError(f"{folder} can't be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside.parent, ignore_errors=True)
        if made and not folder.exists() and parent.is_dir():
            shutil.rmtree(parent, ignore_errors=True)
    return Written(folder, tuple(folder / name for name in files))
