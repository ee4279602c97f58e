"""What students start from, made from what the instructor wrote: stubs and public checks.

The reference notebook is the only source. A stub is the reference without what stands between
its markers; a public check file is the check file without its hidden checks, the rest of its
text byte for byte. The same input always gives the same bytes.
"""

from __future__ import annotations

import ast
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.errors import AssignmentError, SubmissionError
from grader.notebook import parse_notebook
from grader.notebook.definitions import parseable, parsed
from grader.notebook.regions import markers, paired
from grader.records import Assignment, Cell, Exercise, Limits, Notebook, Rules

SOLUTION_TAG = "solution"
"""A reference's cell with this tag is left out of the stub: a written answer, say."""

_STUB_LINE = re.compile(r"(?P<indent>[ \t]*)# STUB:(?: (?P<text>.*))?$")


# --- stubs ------------------------------------------------------------------------------------


def make_stub(reference: Notebook, *, assignment: str, file: str = "") -> dict[str, object]:
    """Return the stub of a solved notebook, as an nbformat 4.5 document.

    assignment : its id, which the stub's metadata carry with the file's name
    file : the notebook's file name; the reference's own where ""
    Raises AssignmentError, which names the cell and the line, where markers have no partner or
    the stub doesn't parse.
    """
    file = file or reference.name
    slug = re.sub(r"[^A-Za-z0-9]+", "-", Path(file).stem).strip("-")[:40] or "cell"
    cells: list[dict[str, object]] = []
    for cell in reference.cells:
        tags = cell.metadata.get("tags")
        tags = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
        if SOLUTION_TAG in tags:
            continue
        source = stub_source(cell, file) if cell.kind == "code" else cell.source
        document: dict[str, object] = {
            "cell_type": cell.kind,
            "id": f"{slug}-{len(cells):03d}",
            "metadata": {"tags": tags} if tags else {},
            "source": source.splitlines(keepends=True),
        }
        if cell.kind == "code":
            document |= {"execution_count": None, "outputs": []}
        cells.append(document)
    return {
        "cells": cells,
        "metadata": {
            "grade": {"assignment": assignment, "notebook": file},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def stub_text(reference: Notebook, *, assignment: str, file: str = "") -> str:
    """Return the stub as the text of an .ipynb file."""
    document = make_stub(reference, assignment=assignment, file=file)
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def stub_notebook(reference: Notebook, *, assignment: str, file: str = "") -> Notebook:
    """Return the stub, read as a student's notebook is read."""
    file = file or reference.name
    text = stub_text(reference, assignment=assignment, file=file)
    try:
        return parse_notebook(text.encode("utf-8", "replace"), name=file)
    except SubmissionError as error:
        raise AssignmentError(f"its stub can't be read: {error}") from error


def stub_source(cell: Cell, file: str) -> str:
    """Return a code cell of the reference with its gaps emptied.

    A gap's lines `# STUB: ...` give, in order, what the stub holds there, each at its own
    indentation; without one it holds `pass`.
    """
    where = f"{file}, cell {cell.index}"
    lines = cell.source.split("\n")
    pairs, stray, left_open = paired(markers(cell.source))
    alone = [*stray, *([left_open] if left_open else [])]
    if alone:
        partner = "END" if alone[0].kind == "start" else "START"
        raise AssignmentError(
            f"{where}, line {alone[0].line}: the {alone[0].kind.upper()} marker has no {partner}"
        )
    kept: list[str] = []
    position = 0
    for start, end in pairs:
        if start.inline or end.inline or start.kind == end.kind:
            raise AssignmentError(
                f"{where}, line {start.line}: START and END markers stand on lines of their own"
            )
        kept += _without_stub_lines(lines, position, start.line, where)
        given = [match for line in lines[start.line : end.line - 1] if (match := _stub_line(line))]
        if given:
            kept += [(match["indent"] + (match["text"] or "")).rstrip() for match in given]
        else:
            kept.append(" " * start.indent + "pass")
        position = end.line - 1
    kept += _without_stub_lines(lines, position, len(lines), where)
    source = "\n".join(kept)
    if parsed(parseable(source)) is None:
        line = _line_that_breaks(source)
        raise AssignmentError(
            f"{where}: the stub doesn't parse, near `{line}`: give the gap `# STUB: ` lines"
        )
    return source


def _stub_line(line: str) -> re.Match[str] | None:
    return _STUB_LINE.match(line)


def _without_stub_lines(lines: list[str], start: int, end: int, where: str) -> list[str]:
    for number in range(start, end):
        if _stub_line(lines[number]):
            raise AssignmentError(f"{where}, line {number + 1}: a STUB line outside of any gap")
    return lines[start:end]


def _line_that_breaks(source: str) -> str:
    text = parseable(source)
    try:
        ast.parse(text)
    except SyntaxError as error:
        lines = text.split("\n")
        if error.lineno and error.lineno <= len(lines):
            return lines[error.lineno - 1].strip()
    return ""


# --- templates --------------------------------------------------------------------------------


def write_templates(assignment: Assignment, to: Path) -> list[Path]:
    """Write the stubs and the public checks; return the files that changed.

    to : student_templates/<id>; each file is replaced whole, and what an earlier run wrote and
        this one doesn't is removed
    """
    wanted = _template_files(assignment)
    changed = []
    for name, data in wanted.items():
        path = to / name
        if _read(path) != data:
            _replace(path, data)
            changed.append(path)
    for path in _leftovers(assignment, to, wanted):
        path.unlink()
        changed.append(path)
    return changed


def check_templates(assignment: Assignment, to: Path) -> list[str]:
    """Return a line for each file that `write_templates` would change, [] where all is fine."""
    wanted = _template_files(assignment)
    stale = []
    for name, data in wanted.items():
        found = _read(to / name)
        if found is None:
            stale.append(f"{to / name}: missing")
        elif found != data:
            stale.append(f"{to / name}: out of date")
    stale += [f"{path}: no longer generated" for path in _leftovers(assignment, to, wanted)]
    return stale


def _template_files(assignment: Assignment) -> dict[str, bytes]:
    """Return every file of student_templates/<id>, by its relative name."""
    files: dict[str, bytes] = {}
    for name in assignment.notebook_names:
        text = stub_text(assignment.notebooks[name], assignment=assignment.id, file=name)
        files[name] = files[f"checks/stubs/{name}"] = text.encode()
    files["checks/assignment.toml"] = public_assignment(assignment).encode()
    for path in assignment.check_files:
        text = public_checks(path.read_text(encoding="utf-8"), file=path.name)
        if text:
            files[f"checks/{path.name}"] = text.encode()
    return files


def _leftovers(assignment: Assignment, to: Path, wanted: Mapping[str, bytes]) -> list[Path]:
    """Return the files of an earlier run; a notebook of the user's own is none."""
    known = {to / name for name in wanted}
    old = [*(to / "checks").glob("test_*.py"), *(to / "checks" / "stubs").glob("*.ipynb")]
    for path in to.glob("*.ipynb"):
        if path not in known and _claimed_assignment(path) == assignment.id:
            old.append(path)
    return sorted(path for path in old if path not in known)


def _claimed_assignment(path: Path) -> object:
    try:
        grade = parse_notebook(path.read_bytes(), name=path.name).metadata.get("grade")
    except (OSError, SubmissionError):
        return None
    return grade.get("assignment") if isinstance(grade, dict) else None


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        # mkstemp makes the file readable by its owner alone; a template is for everyone.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# --- the public part of assignment.toml ---------------------------------------------------------


def public_assignment(assignment: Assignment) -> str:
    """Return the student's copy of assignment.toml; the points are the whole exercise's."""
    lines = [
        "# Made by `grade stubs`; changes here are lost.",
        f"id = {_toml(assignment.id)}",
        f"title = {_toml(assignment.title)}",
        "public = true",
    ]
    limits = [
        f"{key} = {_toml(getattr(assignment.limits, key))}"
        for key in Limits.__dataclass_fields__
        if getattr(assignment.limits, key) != getattr(Limits(), key)
    ]
    if limits:
        lines += ["", "[limits]", *limits]
    if assignment.datasets:
        lines += ["", "[data]", f"datasets = {_toml(assignment.datasets)}"]
    if assignment.rules != Rules():
        lines += ["", "[rules]", *_rules_lines(assignment.rules)]
    for name in assignment.notebook_names:
        lines += ["", "[[notebooks]]", f"file = {_toml(name)}"]
    for exercise in assignment.exercises:
        lines += ["", "[[exercises]]", *_exercise_lines(exercise)]
    return "\n".join(lines) + "\n"


def _exercise_lines(exercise: Exercise) -> Iterator[str]:
    yield f"id = {_toml(exercise.id)}"
    yield f"title = {_toml(exercise.title)}"
    yield f"points = {_toml(exercise.points)}"
    if exercise.notebook:
        yield f"notebook = {_toml(exercise.notebook)}"
    if exercise.functions:
        yield f"functions = {_toml(exercise.functions)}"
    for flag in ("manual", "bonus"):
        if getattr(exercise, flag):
            yield f"{flag} = true"
    if exercise.answer_cells:
        yield f"answer_cells = {_toml(exercise.answer_cells)}"
    if exercise.rules is not None:
        yield ""
        yield "[exercises.rules]"
        yield from _rules_lines(exercise.rules)


def _rules_lines(rules: Rules) -> Iterator[str]:
    yield f"forbidden_imports = {_toml(rules.forbidden_imports)}"
    yield f"forbidden_calls = {_toml(rules.forbidden_calls)}"
    yield f"deduction = {_toml(rules.deduction)}"


def _toml(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    assert isinstance(value, tuple)
    return "[" + ", ".join(_toml(item) for item in value) + "]"


# --- public checks --------------------------------------------------------------------------------


@dataclass
class _Piece:
    """A statement of a check file with the text that leads up to it; lines from 0, end excluded.

    lead : blank lines and comments that belong to no one else
    first : its comments, decorators and code begin here
    """

    node: ast.stmt
    lead: int
    first: int
    end: int
    removed: bool = False


def public_checks(text: str, *, file: str) -> str:
    """Return a check file without its hidden checks, "" where no check is left.

    text : of reference/<id>/test_*.py
    What only hidden checks use goes with them: helpers, constants, imports, the comments above.
    Raises AssignmentError for a file that doesn't parse, a public check that asks for the
    reference, and a `hidden` that is neither True nor False.
    """
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise AssignmentError(f"{file} doesn't parse: {error}") from error
    lines = text.split("\n")
    if _whole_file_hidden(tree, file):
        return ""
    pieces = list(_pieces(tree.body, lines, 0, len(lines)))
    edits: list[tuple[int, int, list[str]]] = []
    for piece in pieces:
        if isinstance(piece.node, ast.FunctionDef | ast.AsyncFunctionDef):
            piece.removed = _is_hidden(piece.node, file)
        elif isinstance(piece.node, ast.ClassDef):
            piece.removed = _is_hidden(piece.node, file) or _trim_class(piece, lines, edits, file)
    hidden_members = list(edits)
    if not any(piece.removed for piece in pieces) and not hidden_members:
        _refuse_reference([piece.node for piece in pieces], file)
        return text if _tests_in(tree.body) else ""
    _remove_unused(pieces, hidden_members, lines, edits)
    kept = [piece for piece in pieces if not piece.removed]
    _refuse_reference([piece.node for piece in kept], file, hidden_members)
    if not _tests_in([piece.node for piece in kept], hidden_members):
        return ""
    _drop_empty_sections(pieces, lines, edits)
    for piece in pieces:
        if piece.removed:
            edits.append((piece.first, piece.end, []))
    return _edited(lines, edits)


def _pieces(body: Sequence[ast.stmt], lines: list[str], start: int, end: int) -> Iterator[_Piece]:
    """Cut a body into its statements; comments that touch a statement from above are its own."""
    position = start
    for number, node in enumerate(body):
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(d.lineno for d in decorators)]) - 1
        while first > position and lines[first - 1].lstrip().startswith("#"):
            first -= 1
        stop = node.end_lineno or node.lineno
        following = body[number + 1].lineno - 1 if number + 1 < len(body) else end
        # Comments below, indented like the body, end the function that they stand in.
        while stop < following and _is_inner_comment(lines, stop, following, node.col_offset):
            stop += 1
        yield _Piece(node, position, first, stop)
        position = stop


def _is_inner_comment(lines: list[str], at: int, end: int, indent: int) -> bool:
    line = lines[at]
    if line.strip():
        return line.lstrip().startswith("#") and len(line) - len(line.lstrip()) > indent
    rest = next((n for n in range(at, end) if lines[n].strip()), None)
    return rest is not None and _is_inner_comment(lines, rest, end, indent)


def _is_hidden(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, file: str) -> bool:
    return any(_says_hidden(decorator, f"{file}: {node.name}") for decorator in node.decorator_list)


def _says_hidden(decorator: ast.expr, where: str) -> bool:
    for call in ast.walk(decorator):
        if not isinstance(call, ast.Call):
            continue
        for keyword in call.keywords:
            if keyword.arg == "hidden":
                if not isinstance(keyword.value, ast.Constant):
                    raise AssignmentError(f"{where}: `hidden` must be True or False itself")
                if keyword.value.value:
                    return True
            elif keyword.arg is None and "exercise" in ast.dump(call.func):
                raise AssignmentError(f"{where}: write the arguments of `exercise` out, without **")
    return False


def _whole_file_hidden(tree: ast.Module, file: str) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)
        and _says_hidden(node.value, f"{file}: pytestmark")
        for node in tree.body
    )


def _trim_class(
    piece: _Piece, lines: list[str], edits: list[tuple[int, int, list[str]]], file: str
) -> bool:
    """Plan the removal of a class's hidden checks; True where none is left."""
    node = piece.node
    assert isinstance(node, ast.ClassDef)
    members = list(_pieces(node.body, lines, node.body[0].lineno - 1, piece.end))
    hidden = [
        member
        for member in members
        if isinstance(member.node, ast.FunctionDef | ast.AsyncFunctionDef)
        and _is_hidden(member.node, file)
    ]
    left = [member.node for member in members if member not in hidden]
    if hidden and not _tests_in(left):
        return True
    edits += [
        (member.lead if member is not members[0] else member.first, member.end, [])
        for member in hidden
    ]
    return False


def _tests_in(body: Iterable[ast.stmt], removed: Sequence[tuple[int, int, list[str]]] = ()) -> bool:
    for node in body:
        if any(first < node.lineno <= end for first, end, _ in removed):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("test"):
                return True
        elif (
            isinstance(node, ast.ClassDef)
            and node.name.startswith("Test")
            and _tests_in(node.body, removed)
        ):
            return True
    return False


def _remove_unused(
    pieces: list[_Piece],
    hidden_members: Sequence[tuple[int, int, list[str]]],
    lines: list[str],
    edits: list[tuple[int, int, list[str]]],
) -> None:
    """Remove what only hidden checks led to; plan the shortening of imports."""
    definers: dict[str, list[_Piece]] = {}
    for piece in pieces:
        for name in _bound_names(piece.node):
            definers.setdefault(name, []).append(piece)
    cuts = [(first, end) for first, end, _ in hidden_members]
    hidden_names: set[str] = set()
    for piece in pieces:
        hidden_names |= _used_names(piece.node, definers) if piece.removed else set()
        hidden_names |= _used_names(piece.node, definers, within=cuts)
    led_to = _closure(hidden_names, definers)
    # Everything that hidden checks don't lead to stays, used or not, and so does what it uses.
    needed: set[str] = set()
    for piece in pieces:
        if piece.removed:
            continue
        bound = set(_bound_names(piece.node))
        if not bound or bound - led_to or _stands_alone(piece.node):
            needed |= _used_names(piece.node, definers, without=cuts)
    needed = _closure(needed, definers)
    for piece in pieces:
        bound = set(_bound_names(piece.node))
        gone = {name for name in bound if name in led_to and name not in needed}
        if piece.removed or not gone or _stands_alone(piece.node):
            continue
        if gone == bound:
            piece.removed = True
        elif isinstance(piece.node, ast.Import | ast.ImportFrom):
            first, last = piece.node.lineno - 1, piece.node.end_lineno or piece.node.lineno
            edits.append((first, last, _shorter_import(piece.node, gone)))


def _stands_alone(node: ast.stmt) -> bool:
    """True for what pytest itself looks for: public checks, autouse fixtures, pytestmark."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        if node.name.startswith(("test", "Test", "pytest_")):
            return True
        return any("autouse" in ast.dump(decorator) for decorator in node.decorator_list)
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return True
    return "pytestmark" in _bound_names(node)


def _bound_names(node: ast.stmt) -> list[str]:
    """Return the names that a top-level statement defines; [] for one that only acts."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return [
            name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
        ]
    return []


def _used_names(
    node: ast.stmt,
    known: Mapping[str, object],
    *,
    within: Sequence[tuple[int, int]] | None = None,
    without: Sequence[tuple[int, int]] = (),
) -> set[str]:
    """Return the known names that a statement mentions.

    A fixture is mentioned by an argument's name, or by a string in a decorator.
    within, without : ranges of lines that alone count, or don't
    """
    found: set[str] = set()
    for child in ast.walk(node):
        line = getattr(child, "lineno", None)
        if line is not None:
            if within is not None and not any(first < line <= end for first, end in within):
                continue
            if any(first < line <= end for first, end in without):
                continue
        elif within is not None:
            continue
        if isinstance(child, ast.Name):
            found.add(child.id)
        elif isinstance(child, ast.arg):
            found.add(child.arg)
        elif isinstance(child, ast.Constant) and isinstance(child.value, str):
            found.add(child.value)
    return found & set(known)


def _closure(names: set[str], definers: Mapping[str, list[_Piece]]) -> set[str]:
    reached: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name in reached:
            continue
        reached.add(name)
        for piece in definers.get(name, []):
            if not piece.removed:
                todo += _used_names(piece.node, definers)
    return reached


def _shorter_import(node: ast.Import | ast.ImportFrom, gone: set[str]) -> list[str]:
    """Return the import without some of its names, laid out as a formatter would."""
    kept = [
        f"{alias.name} as {alias.asname}" if alias.asname else alias.name
        for alias in node.names
        if (alias.asname or alias.name.partition(".")[0]) not in gone
    ]
    if isinstance(node, ast.Import):
        return [f"import {', '.join(kept)}"]
    head = f"from {'.' * node.level}{node.module or ''} import"
    line = f"{head} {', '.join(kept)}"
    if len(line) <= 100:
        return [line]
    return [f"{head} (", *(f"    {name}," for name in kept), ")"]


def _refuse_reference(
    nodes: Iterable[ast.stmt], file: str, removed: Sequence[tuple[int, int, list[str]]] = ()
) -> None:
    """Raise AssignmentError where something public asks for the solved notebook."""
    for node in nodes:
        for child in ast.walk(node):
            line = getattr(child, "lineno", 0)
            if any(first < line <= end for first, end, _ in removed):
                continue
            if isinstance(child, ast.arg) and child.arg == "reference":
                name = getattr(node, "name", "a check")
                raise AssignmentError(
                    f"{file}: {name} is public but asks for `reference`: mark it hidden=True"
                )


def _drop_empty_sections(
    pieces: list[_Piece], lines: list[str], edits: list[tuple[int, int, list[str]]]
) -> None:
    """Plan the removal of the comments that title a section of which nothing is left.

    The blank lines before a removed statement go with it as well.
    """
    for number, piece in enumerate(pieces):
        titled = any(lines[n].strip() for n in range(piece.lead, piece.first))
        if not titled:
            if piece.removed:
                edits.append((piece.lead, piece.first, []))
            continue
        section = [piece]
        for other in pieces[number + 1 :]:
            if any(lines[n].strip() for n in range(other.lead, other.first)):
                break
            section.append(other)
        if all(member.removed for member in section):
            edits.append((piece.lead, piece.first, []))


def _edited(lines: list[str], edits: list[tuple[int, int, list[str]]]) -> str:
    kept = list(lines)
    # From the end, so that earlier line numbers still hold; an outer range takes inner ones in.
    outer: list[tuple[int, int, list[str]]] = []
    for first, end, new in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if outer and end <= outer[-1][1] and first >= outer[-1][0]:
            continue
        outer.append((first, end, new))
    for first, end, new in reversed(outer):
        kept[first:end] = new
    return "\n".join(kept).strip("\n") + "\n"
