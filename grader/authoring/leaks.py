"""Search the stubs and the public files for solutions and hidden checks before they are published.

A finding is not a proof. `grade stubs` stops at one; --yes-publish goes on after a person has
looked.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from grader.assignment.check_files import COPIES, is_hidden
from grader.authoring.importers.plain_course import answers_in
from grader.authoring.text_gaps import text_marker
from grader.notebook.regions import markers
from grader.records import Assignment, Notebook

# Other tools' markers of a solution or a hidden test.
_MARKERS = re.compile(
    r"(?i)^\s*(#|\"\"\"|'''|<!--).*\b(BEGIN|END)\s+(YOUR\s+)?"
    r"(SOLUTIONS?|HIDDEN|PROMPT|MARK SCHEME|TESTS?)\b"
    r"|#\s*SOLUTION(\s+NO PROMPT)?\s*$|^\s*#{2,}\s*(SOLUTION|TEMPLATE)\s*#*\s*$"
    r"|^\s*#+\s*HIDDEN(\s+TEST)?\s*#*\s*$"
)
_PLACEHOLDER = re.compile(
    r"(?i)^[\s*_>.…]*$|write|fill in|your (answer|text|solution)|hier|réponse|todo|\?\?\?"
)
_TEXTS = {".py", ".ipynb", ".md", ".txt", ".toml", ".rst", ".tex", ".html"}
_TEXT_BYTES = 4 << 20
_SHORTEST = 3
"""From this many equal lines in a row on, a public file holds a part of a hidden check."""


def find_leaks(assignment: Assignment, files: Mapping[str, bytes]) -> list[str]:
    """Return a message for each place that looks like a solution, an answer or a hidden check.

    files : the files that `grade stubs` would write, by name
    """
    found: list[str] = []
    for name, stub in assignment.stubs.items():
        found += _in_stub(name, stub)
    for name, path in assignment.files.items():
        found += _in_file(name, path)
    found += _hidden_text(assignment, files)
    return found


def _in_stub(name: str, stub: Notebook) -> Iterator[str]:
    for cell in stub.cells:
        for number, line in enumerate(cell.source.split("\n"), start=1):
            # In a text cell, a heading may have such a name.
            understood = cell.kind == "markdown" and text_marker(line)
            if (cell.kind == "code" or "--" in line) and _MARKERS.search(line) and not understood:
                yield (
                    f"{name}, cell {cell.index}, line {number}: `{line.strip()[:60]}` looks like a "
                    "marker of another tool: import it with `grade new --from`, or remove it"
                )
        if cell.kind != "markdown":
            continue
        for match in answers_in(cell.source):
            text = cell.source[match.end() :].strip().split("\n")[0]
            if text and not _PLACEHOLDER.search(text):
                yield (
                    f"{name}, cell {cell.index}: `{match.group().strip()} {text[:40]}` looks like "
                    "an answer: give its cell the tag `solution`"
                )


def _in_file(name: str, path: Path) -> Iterator[str]:
    """Yield a message for each solution in a text file that students get unchanged."""
    if path.suffix not in _TEXTS or path.stat().st_size > _TEXT_BYTES:
        return
    text = path.read_text("utf-8", "replace")
    gaps = [marker.line for marker in markers(text)] if path.suffix == ".py" else []
    lines = text.split("\n")
    found = gaps[:1] or [n for n, line in enumerate(lines, start=1) if _MARKERS.search(line)]
    for number in found:
        yield (
            f"{name}, line {number}: `{lines[number - 1].strip()[:60]}` looks like a marker of a "
            "gap, and students get this file unchanged"
        )


def _hidden_text(assignment: Assignment, files: Mapping[str, bytes]) -> Iterator[str]:
    """Yield a message for each hidden check whose lines are in a file for students."""
    public = {
        name: _code_lines(data.decode("utf-8", "replace"))
        for name, data in files.items()
        if Path(name).suffix in _TEXTS
        and len(data) <= _TEXT_BYTES
        and not name.startswith(f"checks/{COPIES}/")  # copies of other files
    }
    hidden = [path for path in assignment.check_files if is_hidden(path, assignment.folder)]
    shown = [
        body
        for path in assignment.check_files
        if path not in hidden
        for _, body in _checks_of(path)
    ]
    for path in hidden:
        for check, whole in _checks_of(path):
            body = _without_repeated(whole, shown)
            for name, known in public.items():
                if _in_common(body, known):
                    yield f"{name} holds lines of the hidden check `{check}` ({path.name})"


def _checks_of(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield name and lines of each check in a file."""
    text = path.read_text(encoding="utf-8")
    lines = text.split("\n")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield (
                node.name,
                _code_lines("\n".join(lines[node.body[0].lineno - 1 : node.end_lineno])),
            )


def _without_repeated(body: list[str], shown: list[list[str]]) -> list[str]:
    """Return a hidden check's lines without those that are public on purpose.

    The importer writes hidden checks that repeat a whole public one and extend it: a cell's public
    tests, then its hidden ones. Other hidden checks share a loop or an import with a public check.
    That is the course's style as long as half of the lines are their own.
    """
    lines = set(body)
    # The end of a cell's text, with the arguments of run_cell, does not count as a line.
    public_checks = [[line for line in public if not line.startswith('"""')] for public in shown]
    repeated = {line for public in public_checks if set(public) < lines for line in public}
    own = [line for line in body if line not in repeated]
    in_checks = {line for public in public_checks for line in public}
    hidden = [line for line in own if line not in in_checks and not line.startswith('"""')]
    return hidden if 2 * len(hidden) >= len(own) else own


def _code_lines(text: str) -> list[str]:
    """Return a file's lines, stripped; those of a notebook's JSON as they are in the cell."""
    lines = []
    for line in text.split("\n"):
        plain = line.strip().removesuffix(",")
        if plain.startswith('"') and plain.endswith('\\n"'):
            plain = plain[1:-3].replace('\\"', '"').strip()
        if len(plain) > 8 and not plain.startswith("#"):
            lines.append(plain)
    return lines


def _in_common(body: list[str], known: list[str]) -> bool:
    """Return whether both hold the same _SHORTEST lines in a row; all lines if there are fewer."""
    size = min(_SHORTEST, len(body))
    if size < 2:
        return False
    runs = {tuple(known[n : n + size]) for n in range(len(known) - size + 1)}
    return any(tuple(body[n : n + size]) in runs for n in range(len(body) - size + 1))
