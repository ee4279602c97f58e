"""Find the gaps of one solved code cell by its students' copy: what differs is the solution.

with_gaps(solved, students)    the solved cell, with gaps of whole statements
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from grader.authoring.importers.imported import gap
from grader.notebook import parseable
from grader.notebook.definitions import first_line, parsed
from grader.notebook.regions import END_SOLUTION, marker_kind, markers, paired

HEAD = re.compile(r"[ \t]*(?:async[ \t]+)?(?:def|class)[ \t]+(?P<name>\w+)")
_SOLUTION_BLOCK = re.compile(r"\s*#+\s*BEGIN (YOUR )?SOLUTION\b", re.IGNORECASE)
_NO_VALUE = re.compile(r"^(?P<left>[^=#(]*[^=#(!<>\s]\s*=)[ \t]*(?P<rest>#.*)?$")
# The parts of a line: a string without quotes or backslashes in it, another string, a comment.
_PARTS = re.compile(
    r"(?P<plain>'[^'\"\\]*')|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<comment>#.*)|(?P<code>[^'\"#]+|['\"])"
)
_PLACEHOLDER = re.compile(r"<[A-Z][A-Z _-]{1,30}>")


@dataclass(frozen=True)
class _Hunk:
    """Lines of the students' copy, a to b, that stand for the solution's, c to d; ends excluded."""

    a: int
    b: int
    c: int
    d: int


def with_gaps(solved: str, students: str) -> tuple[str, int]:
    """Return a code cell with a gap for each place where the students' copy differs, and how many.

    A gap holds whole statements. If the solved cell doesn't parse, it is one gap.
    """
    theirs = [line.rstrip() for line in students.split("\n")]
    ours = [line.rstrip() for line in _with_their_docstrings(solved, students).split("\n")]
    blocks = _blocks(theirs, ours)
    hunks = _hunks(blocks, theirs, ours)
    tree = parsed(parseable("\n".join(ours)))
    if hunks and tree is None:
        hunks = [_Hunk(0, len(theirs), 0, len(ours))]
    elif tree is not None:
        hunks = _whole_statements(hunks, blocks, tree, ours)
    made: list[str] = []
    position = number = 0
    for hunk in hunks:
        made += without_markers(ours[position : hunk.c])
        position = hunk.d
        old, new = theirs[hunk.a : hunk.b], ours[hunk.c : hunk.d]
        if code_lines(old) or code_lines(new):
            made += _gap_of(old, new, _indent(old, new))
            number += 1
        else:
            made += old  # Comments alone: students get their own.
    return "\n".join([*made, *without_markers(ours[position:])]), number


def without_markers(lines: Sequence[str]) -> list[str]:
    """Return the lines without a course's markers: what both copies have is given."""
    return [line for line in lines if not _is_marker(line)]


def code_lines(lines: Sequence[str]) -> list[str]:
    """Return the lines that are neither blank nor a comment alone."""
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def _blocks(theirs: Sequence[str], ours: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the equal runs (a, c, size) of the two copies that hold a line of code.

    A line equals only a line of the definition of the same name. Spaces around an operator and
    the kind of quotes don't count: one copy may have gone through a formatter.
    """
    old, new = (
        list(zip(_definition_of(lines), map(_unformatted, lines), strict=True))
        for lines in (theirs, ours)
    )
    matcher = SequenceMatcher(lambda line: not code_lines(line[1:]), old, new, autojunk=False)
    found = []
    for a, c, size in matcher.get_matching_blocks():
        edge = (a == 0 and c == 0) or (a + size == len(theirs) and c + size == len(ours))
        if edge or code_lines(theirs[a : a + size]):
            found.append((a, c, size))
    return found


def _unformatted(line: str) -> str:
    """Return a line with its indentation and its comment, without its spaces between signs."""
    indent = line[: len(line) - len(line.lstrip())]
    parts = []
    for match in _PARTS.finditer(line):
        if match["comment"]:
            parts.append(match["comment"])
        elif match["plain"]:
            parts.append(f'"{match["plain"][1:-1]}"')
        else:
            parts.append(match["string"] or re.sub(r"\s*([^\w\s])\s*", r"\1", match["code"]))
    return indent + "".join(parts).strip()


def _definition_of(lines: Sequence[str]) -> list[str]:
    """Return the definition that each line belongs to, by indentation; a copy need not parse.

    Lines between two definitions belong to "after f".
    """
    found: list[str] = []
    around: list[tuple[int, str]] = []
    last = ""
    for line in lines:
        depth = len(line) - len(line.lstrip())
        head = HEAD.match(line)
        if line.strip() and not line.lstrip().startswith(("#", ")", "]", "}")):
            while around and around[-1][0] >= depth:
                last = around.pop()[1]
        if head:
            around.append((depth, ".".join([name for _, name in around] + [head["name"]])))
            last = ""
        found.append(
            around[-1][1] + (f" after {last}" if last else "") if around else f"after {last}"
        )
    # Comments and blank lines below a definition go with what follows, unless they are indented.
    for number in reversed(range(len(lines) - 1)):
        line = lines[number]
        if not line.strip() or line.startswith("#"):
            found[number] = found[number + 1]
    return found


def _hunks(
    blocks: Sequence[tuple[int, int, int]], theirs: Sequence[str], ours: Sequence[str]
) -> list[_Hunk]:
    """Return what stands between the equal runs, apart for each definition."""
    named, own = _definition_of(theirs), _definition_of(ours)
    found = []
    a = c = 0
    for start_a, start_c, size in blocks:
        while a < start_a or c < start_c:
            key = own[c] if c < start_c else named[a]
            d = next((n for n in range(c, start_c) if own[n] != key), start_c)
            others = set(own[d:start_c])
            b = next((n for n in range(a, start_a) if named[n] in others), start_a)
            if a < b or any(line.strip() for line in ours[c:d]):
                found.append(_Hunk(a, b, c, d))
            a, c = b, d
        a, c = start_a + size, start_c + size
    return found


def _whole_statements(
    hunks: Sequence[_Hunk],
    blocks: Sequence[tuple[int, int, int]],
    tree: ast.Module,
    ours: Sequence[str],
) -> list[_Hunk]:
    """Return hunks that cover whole statements of one suite; those that touch become one."""
    source = "\n".join(ours)
    marked = [(s.line - 1, e.line) for s, e in paired(markers(source))[0]]
    marked += _solution_blocks(ours)
    found = list(hunks)
    while True:
        grown = []
        for hunk in found:
            c, d = _covered(tree.body, hunk, ours)
            for first, last in marked:
                if c < last and d > first:
                    c, d = min(c, first), max(d, last)
            grown.append(_stretched(hunk, c, d, blocks))
        joined = _joined(grown, tree, ours)
        if joined == found:
            return found
        found = joined


def _solution_blocks(lines: Sequence[str]) -> list[tuple[int, int]]:
    found = []
    for number, line in enumerate(lines):
        if _SOLUTION_BLOCK.match(line):
            ends = (n for n in range(number, len(lines)) if END_SOLUTION.match(lines[n]))
            if end := next(ends, 0):
                found.append((number, end + 1))
    return found


def _covered(suite: Sequence[ast.stmt], hunk: _Hunk, ours: Sequence[str]) -> tuple[int, int]:
    """Return the lines of the statements of the innermost suite that hold a hunk's code."""
    code = [n for n in range(hunk.c, hunk.d) if ours[n].strip()]
    code = [n for n in code if not ours[n].lstrip().startswith("#")] or code
    if not code:
        return hunk.c, hunk.d
    first, last = code[0] + 1, code[-1] + 1
    touched = [s for s in suite if first_line(s) <= last and (s.end_lineno or s.lineno) >= first]
    if not touched:
        return hunk.c, hunk.d
    if len(touched) == 1:
        for inner in _suites(touched[0]):
            end = inner[-1].end_lineno or inner[-1].lineno
            if first_line(inner[0]) <= first and last <= end and inner[0].lineno > suite[0].lineno:
                return _covered(inner, hunk, ours)
    start = min(hunk.c, first_line(touched[0]) - 1)
    return start, max(hunk.d, touched[-1].end_lineno or touched[-1].lineno)


def _suites(statement: ast.stmt) -> list[list[ast.stmt]]:
    found = [getattr(statement, name, None) for name in ("body", "orelse", "finalbody")]
    found += [handler.body for handler in getattr(statement, "handlers", ())]
    found += [case.body for case in getattr(statement, "cases", ())]
    return [suite for suite in found if isinstance(suite, list) and suite]


def _stretched(hunk: _Hunk, c: int, d: int, blocks: Sequence[tuple[int, int, int]]) -> _Hunk:
    """Return the hunk over the solution's lines c to d, with the students' lines for them."""
    a, b = hunk.a, hunk.b
    if c < hunk.c:
        a = max((x + c - y for x, y, size in blocks if y <= c <= y + size), default=hunk.a)
        if not any(y <= c < y + size for _, y, size in blocks):
            # The line is in another hunk: take all of that.
            a, c = max(
                ((x + size, y + size) for x, y, size in blocks if y + size <= c), default=(0, 0)
            )
    if d > hunk.d:
        b = min((x + d - y for x, y, size in blocks if y <= d <= y + size), default=hunk.b)
        if not any(y < d <= y + size for _, y, size in blocks):
            later = ((x, y) for x, y, size in blocks if y >= d)
            b, d = min(later, default=(hunk.b, hunk.d), key=lambda place: place[1])
    return _Hunk(min(a, hunk.a), max(b, hunk.b), min(c, hunk.c), max(d, hunk.d))


def _joined(hunks: Sequence[_Hunk], tree: ast.Module, ours: Sequence[str]) -> list[_Hunk]:
    """Return the hunks in order; those that overlap are one.

    A hunk without code of the solution, as for `raise NotImplementedError`, joins the next one of
    its function: what stands between them can't be reached in the students' copy.
    """
    found: list[_Hunk] = []
    for hunk in sorted(hunks, key=lambda hunk: (hunk.c, hunk.d)):
        before = found[-1] if found else None
        overlaps = before is not None and (hunk.c < before.d or hunk.a < before.b)
        if before is not None and not overlaps and not code_lines(ours[before.c : before.d]):
            owner = _owner(tree, before.c + 1)
            overlaps = owner is not None and owner is _owner(tree, hunk.c + 1)
        if before is not None and overlaps:
            found[-1] = _Hunk(
                min(before.a, hunk.a), max(before.b, hunk.b), before.c, max(before.d, hunk.d)
            )
        else:
            found.append(hunk)
    return found


def _owner(tree: ast.Module, line: int) -> ast.AST | None:
    """Return the innermost function around a line."""
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.lineno < line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno, default=None)


def _indent(theirs: Sequence[str], ours: Sequence[str]) -> str:
    """Return the indentation of a gap's first statement."""
    for lines in (code_lines(ours), theirs):
        for line in lines:
            if line.strip():
                return line[: len(line) - len(line.lstrip())]
    return ""


def _gap_of(theirs: Sequence[str], body: Sequence[str], indent: str) -> list[str]:
    """Return the lines of a gap, its markers included."""
    inside = without_markers(body)
    stub = [_shifted(line, len(indent)) for line in without_markers(theirs)]
    while stub and not stub[0].strip():
        stub.pop(0)
    while stub and not stub[-1].strip():
        stub.pop()
    while inside and not inside[0].strip():
        inside.pop(0)
    after = 0
    while inside and not inside[-1].strip():
        inside.pop()
        after += 1
    if not code_lines(inside):
        inside.append(f"{indent}pass")
    made = gap(inside, _runnable(stub, inside=bool(indent)))
    made[0] = indent + made[0].lstrip()
    made[-1] = indent + made[-1].lstrip()
    shown = [line for line in made if line.lstrip().startswith("# STUB:")]
    rest = [line for line in made[1:] if not line.lstrip().startswith("# STUB:")]
    return [made[0], *(indent + line.lstrip() for line in shown), *rest, *[""] * after]


def _runnable(stub: Sequence[str], *, inside: bool) -> list[str]:
    """Return the students' lines, such that they parse: `x =` without a value gets `...`.

    inside : whether they stand inside a function or another block
    """
    lines = list(stub)
    if not _parses(lines):
        lines = [_PLACEHOLDER.sub("...", line) for line in lines]
        lines = [_NO_VALUE.sub(_without_value, line) for line in lines]
    if not _parses(lines):
        # What is no Python stays visible to students, as a comment.
        lines = [line if line.startswith("#") or not line.strip() else f"# {line}" for line in stub]
    if not code_lines(lines):
        lines.append("pass")
    return lines


def _without_value(match: re.Match[str]) -> str:
    return f"{match['left']} ...  {match['rest'] or ''}".rstrip()


def _parses(lines: Sequence[str]) -> bool:
    body = textwrap.indent("\n".join(lines), "    ")
    return parsed(f"def f():\n    while True:\n        pass\n{parseable(body)}") is not None


def _is_marker(line: str) -> bool:
    kind = marker_kind(line)
    if kind is not None and not kind[1]:
        return True
    return bool(_SOLUTION_BLOCK.match(line) or END_SOLUTION.match(line))


def _shifted(line: str, by: int) -> str:
    """Return a line with so many blanks less in front, as far as it has them."""
    return line[min(by, len(line) - len(line.lstrip())) :]


def _with_their_docstrings(solved: str, students: str) -> str:
    """Return the solved cell with the docstrings of the students' copy: they are no solution."""
    theirs, ours = parsed(parseable(students)), parsed(parseable(solved))
    if theirs is None or ours is None:
        return solved
    known = dict(_docstrings(theirs))
    old, lines = students.split("\n"), solved.split("\n")
    found = [(node, known[name]) for name, node in _docstrings(ours) if name in known]
    for node, other in sorted(found, key=lambda pair: -pair[0].lineno):
        if node.col_offset == other.col_offset:
            text = old[other.lineno - 1 : other.end_lineno or other.lineno]
            lines[node.lineno - 1 : node.end_lineno or node.lineno] = text
    return "\n".join(lines)


def _docstrings(tree: ast.AST, prefix: str = "") -> list[tuple[str, ast.stmt]]:
    """Return the docstring's statement of each function and class, by its qualified name."""
    found: list[tuple[str, ast.stmt]] = []
    for node in getattr(tree, "body", ()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{node.name}"
            if ast.get_docstring(node, clean=False) is not None:
                found.append((name, node.body[0]))
            found += _docstrings(node, f"{name}.")
    return found
