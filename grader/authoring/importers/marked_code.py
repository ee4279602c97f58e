"""Find solutions in code cells by the markers of many courses; each becomes one of grade's gaps.

### BEGIN SOLUTION ... ### END SOLUTION                  nbgrader, otter
x = 3  # SOLUTION                                        otter
### START CODE HERE ### ... ### END CODE HERE ###        deeplearning.ai
# *****START OF YOUR CODE ... # *****END OF YOUR CODE    CS231n
# TODO: ... (a box of comments) ... # END OF YOUR CODE   CS231n of earlier years
### SOLUTION ... ### TEMPLATE ... ### END SOLUTION       EPFL
# YOUR CODE HERE, to the end of its block                anybody, in any of several languages
# ====== YOUR CODE: ====== ... # ==============          Technion's deep learning homework
raise NotImplementedError                                a function that is not solved yet
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from grader.authoring.importers.imported import gap
from grader.authoring.importers.marker_words import edge_of, says_here
from grader.notebook import parseable
from grader.notebook.definitions import parsed, within_brackets
from grader.notebook.regions import END_SOLUTION, marker_kind, markers, paired

_BEGIN = re.compile(r"\s*#+\s*BEGIN (YOUR )?SOLUTION(?P<quiet> NO PROMPT)?\b", re.IGNORECASE)
_SECTION = re.compile(r"\s*#{2,}\s*SOLUTION\s*#*\s*$", re.IGNORECASE)
_TEMPLATE = re.compile(r"\s*#{2,}\s*TEMPLATE\s*#*\s*$", re.IGNORECASE)
_SUFFIX = re.compile(r"(?P<code>.*\S)\s*#\s*SOLUTION(?P<quiet>\s+NO PROMPT)?[\s).:;]*$")
_TODO = re.compile(r"\s*#+\s*TODO\b")
_RULE = re.compile(r"\s*#\s?[#=*-]{9,}\s*")
_RULED = re.compile(r"([=*-])\1{2,}\s*$")
_END_TODO = re.compile(r"\s*#[\s#=*-]*END (OF )?(THE )?TODO\b", re.IGNORECASE)
_PROMPT = re.compile(r'\s*(?:"""|\'\'\')\s*;?\s*#\s*(?P<which>BEGIN|END) PROMPT\s*$', re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?P<left>\s*[^\s=#(][^=#(]*?)\s*[-+*/@%&|^]?=(?!=)")
NOT_WRITTEN = ("# YOUR CODE HERE", "raise NotImplementedError")


@dataclass(frozen=True)
class Found:
    """A gap that was made. words : the course's own marker; solved : False for an empty gap"""

    words: str
    solved: bool = True


def converted(source: str, *, ellipsis: bool = False) -> tuple[str, list[Found]]:
    """Return a code cell with grade's gaps in place of a course's markers, and the gaps found.

    ellipsis : the stub of a solution block is `...`, as in otter; else NOT_WRITTEN
    """
    lines = _with_openings(source.split("\n"))
    text = "\n".join(lines)
    ends = {start.line: end.line for start, end in paired(markers(text))[0]}
    found: list[Found] = []
    kept: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        made: list[str] | None = None  # a gap in place of the lines from `number` to `end`
        end = number
        if match := _BEGIN.match(line):
            end = _next(lines, number, END_SOLUTION)
            if end:
                prompt, after = _prompt(lines, end)
                stub_lines = prompt or (
                    [] if match["quiet"] else ["..."] if ellipsis else [*NOT_WRITTEN]
                )
                made = gap(lines[number + 1 : end], stub_lines or ["pass"])
                found.append(Found(line.strip()))
                end = after
        elif _SECTION.match(line):
            end = _next(lines, number, END_SOLUTION)
            if end:
                body = lines[number + 1 : end]
                split = next((n for n, text in enumerate(body) if _TEMPLATE.match(text)), None)
                template = [] if split is None else _uncommented(body[split + 1 :])
                made = gap(body[:split], template or [*NOT_WRITTEN])
                found.append(Found(line.strip()))
        elif _SUFFIX.match(line) and not line.lstrip().startswith("#"):
            end = number
            while end + 1 < len(lines) and _same_run(lines[number], lines[end + 1]):
                end += 1
            run = [match for text in lines[number : end + 1] if (match := _SUFFIX.match(text))]
            dots = [_ellipsis(m["code"]) for m in run if not m["quiet"]]
            made = gap([match["code"] for match in run], dots or ["pass"])
            found.append(Found("# SOLUTION"))
        elif (stub := _prompt(lines, number - 1))[0]:
            # A prompt without a solution block above it: solved lines may follow it.
            end = stub[1]
            body = []
            while end + 1 < len(lines) and (quiet := _SUFFIX.match(lines[end + 1])):
                if not quiet["quiet"]:
                    break
                body.append(quiet["code"])
                end += 1
            made = gap(body or ["pass"], stub[0])
            found.append(Found(line.strip()))
        elif (box := _todo_box(lines, number)) is not None:
            kept += lines[number : box.first]
            body = lines[box.first : box.last + 1]
            made = gap(_indented(body, line), [*NOT_WRITTEN])
            found.append(Found("# TODO ... # END OF YOUR CODE", not _is_empty(body)))
            end = box.end
        elif (kind := marker_kind(line)) and kind[0] == "start":
            end = ends.get(number + 1, 0) - 1
            if end > number:
                body = _without_rules(lines[number + 1 : end])
                shown = any(text.lstrip().startswith("# STUB:") for text in body)
                inside = within_brackets(text, number + 1, end + 1)
                emptied = [] if inside else _emptied(body)
                made = lines[number : end + 1] if shown else gap(_indented(body, line), emptied)
                end = _last_end(lines, end)
                found.append(Found(line.strip(), not _is_empty(body)))
        elif edge_of(line) == "start":
            end = next((n for n in range(number + 1, len(lines)) if _closes(lines[n])), number)
            if end > number:
                body = _without_rules(lines[number + 1 : end])
                made = gap(_indented(body, line), [*NOT_WRITTEN])
                found.append(Found(line.strip(), not _is_empty(body)))
        elif says_here(line):
            end = _end_of_block(lines, number)
            closed = _closed_at(lines, number, end)
            body = _without_rules(lines[number + 1 : closed or end + 1])
            end = closed or end
            made = gap(_indented(body, line), [*NOT_WRITTEN])
            found.append(Found(line.strip(), not _is_empty(body)))
        kept += [line] if made is None else made
        number = number + 1 if made is None else end + 1
    if not found:
        return _unsolved(source)
    return "\n".join(kept), found


def made_already(source: str) -> tuple[str, list[Found]]:
    """Return a cell whose gaps are in grade's form, unchanged, and these gaps."""
    lines = source.split("\n")
    pairs = paired(markers(source))[0]
    bodies = [lines[start.line : end.line - 1] for start, end in pairs]
    return source, [Found("the students' copy differs", not _is_empty(body)) for body in bodies]


@dataclass(frozen=True)
class _Box:
    """first, last : the lines to be solved; end : the last line of the box below them"""

    first: int
    last: int
    end: int


def _todo_box(lines: Sequence[str], start: int) -> _Box | None:
    """Return the gap between a block of comments with TODO and `# END OF YOUR CODE`."""
    if not _is_comment(lines[start]) or (start and _is_comment(lines[start - 1])):
        return None
    first = start
    has_todo = False
    while first < len(lines) and _is_comment(lines[first]):
        if marker_kind(lines[first]) is not None:
            return None
        first += 1
        has_todo = has_todo or bool(_TODO.match(lines[first - 1]))
        if has_todo and _RULE.fullmatch(lines[first - 1]):
            break  # the box ends here: a comment below it belongs to the solution
    if not has_todo:
        return None
    for number in range(first, len(lines)):
        kind = marker_kind(lines[number])
        if _END_TODO.match(lines[number]) or (kind is not None and kind[0] == "end"):
            last, end = number - 1, number
            while last >= first and _RULE.fullmatch(lines[last]):
                last -= 1
            while end + 1 < len(lines) and _RULE.fullmatch(lines[end + 1]):
                end += 1
            return _Box(first, last, end)
        if kind is not None or _TODO.match(lines[number]):
            return None  # another gap begins before this one ends
    return None


def _without_rules(lines: Sequence[str]) -> list[str]:
    """Return the lines without rows of hashes (or =, *, -) at the beginning and the end."""
    first, last = 0, len(lines)
    while first < last and _RULE.fullmatch(lines[first]):
        first += 1
    while last > first and _RULE.fullmatch(lines[last - 1]):
        last -= 1
    return list(lines[first:last])


def _with_openings(lines: Sequence[str]) -> list[str]:
    """Return the lines with a `### SOLUTION` added if one was forgotten above `### TEMPLATE`.

    Otherwise students would get the solution, which is the body of the function above.
    """
    opened = False
    for number, line in enumerate(lines):
        if _SECTION.match(line) or _BEGIN.match(line):
            opened = True
        elif END_SOLUTION.match(line):
            opened = False
        elif _TEMPLATE.match(line) and not opened and _next(lines, number, END_SOLUTION):
            tree = parsed(parseable("\n".join(lines)))
            depth = len(line) - len(line.lstrip())
            heads = [
                node
                for node in ast.walk(tree or ast.Module([], []))
                if isinstance(node, ast.FunctionDef) and node.lineno <= number
                if node.col_offset < depth
            ]
            if not heads:
                continue
            body = max(heads, key=lambda node: node.lineno).body
            docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
            at = (body[0].end_lineno or 1) if docstring and len(body) > 1 else body[0].lineno - 1
            return _with_openings([*lines[:at], f"{' ' * depth}### SOLUTION", *lines[at:]])
    return list(lines)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def unclosed(source: str) -> str:
    """Return the line that opens a solution without an end; "" if there is none."""
    lines = source.split("\n")
    for number, line in enumerate(lines):
        # "## Solution ##" alone may be the author's heading: it does not count.
        if _BEGIN.match(line) and not _next(lines, number, END_SOLUTION):
            return line.strip()
    return ""


def _next(lines: Sequence[str], start: int, pattern: re.Pattern[str]) -> int:
    return next((n for n in range(start + 1, len(lines)) if pattern.match(lines[n])), 0)


def _closes(line: str) -> bool:
    kind = marker_kind(line)
    return kind[0] == "end" if kind is not None else edge_of(line) == "end"


def _indented(body: Sequence[str], marker: str) -> Sequence[str]:
    """Return the body of a gap; for one without code, `pass` below its marker."""
    if any(line.strip() and not _is_comment(line) for line in body):
        return body
    indent = marker[: len(marker) - len(marker.lstrip())]
    return [*(indent + line.lstrip() for line in body if line.strip()), f"{indent}pass"]


def _closed_at(lines: Sequence[str], start: int, last: int) -> int:
    """Return the line that ends the gap of a `# YOUR CODE HERE` before its block ends; else 0.

    A second box of comments may end it. "# ====== YOUR CODE: ======" ends at the last
    "# ========================" of the same indentation, since a solution may have such lines.
    """
    for number in range(start + 1, last + 1):
        if _closes(lines[number]):
            return number
    ruled = _RULED.search(lines[start])
    if ruled is None:
        return 0
    depth = len(lines[start]) - len(lines[start].lstrip())
    found = 0
    for number in range(start + 2, last + 1):
        line = lines[number]
        if says_here(line):
            break
        same = _RULE.fullmatch(line) and ruled[1] in line
        if same and len(line) - len(line.lstrip()) == depth:
            found = number
    return found


def _last_end(lines: Sequence[str], end: int) -> int:
    """Return the last line of a box that ends the gap a second time, right below its end."""
    number = end + 1
    while number < len(lines) and (_RULE.fullmatch(lines[number]) or _closes(lines[number])):
        number += 1
    return number - 1 if any(_closes(line) for line in lines[end + 1 : number]) else end


def _prompt(lines: Sequence[str], end: int) -> tuple[list[str], int]:
    """Return otter's prompt in a string below a solution, and the number of its last line."""
    begins = _PROMPT.match(lines[end + 1]) if end + 1 < len(lines) else None
    if not begins or begins["which"].upper() != "BEGIN":
        return [], end
    last = _next(lines, end + 1, _PROMPT)
    if not last:
        return [], end
    return textwrap.dedent("\n".join(lines[end + 2 : last])).split("\n"), last


def _uncommented(lines: Sequence[str]) -> list[str]:
    """Return the lines of a template, which are comments below `### TEMPLATE`."""
    plain = textwrap.dedent("\n".join(lines)).split("\n")
    code = [line for line in plain if line.strip()]
    if code and all(line.startswith("#") for line in code):
        plain = [re.sub(r"^# ?", "", line) for line in plain]
    return [line for line in plain if line.strip()]


def _same_run(first: str, line: str) -> bool:
    depth = len(first) - len(first.lstrip())
    return bool(_SUFFIX.match(line)) and len(line) - len(line.lstrip()) == depth


def _ellipsis(code: str) -> str:
    match = _ASSIGNMENT.match(code.strip())
    return f"{match['left'].strip()} = ..." if match else "..."


def _emptied(body: Sequence[str]) -> list[str]:
    """Return `a = None` for each plain assignment of a gap; [] if it holds anything else."""
    tree = parsed(textwrap.dedent("\n".join(body)))
    if tree is None or not all(isinstance(node, ast.Assign) for node in tree.body):
        return []
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    return [f"{ast.unparse(target)} = None" for node in assigned for target in node.targets]


def _is_empty(body: Sequence[str]) -> bool:
    code = [line.strip() for line in body if line.strip() and not line.lstrip().startswith("#")]
    return all(
        re.fullmatch(r"pass|\.\.\.|raise NotImplementedError.*|[\w, .]+ = (None|\.\.\.)", line)
        for line in code
    )


def _end_of_block(lines: Sequence[str], start: int) -> int:
    """Return the last line of a comment's block: lines of its indentation, or deeper."""
    depth = len(lines[start]) - len(lines[start].lstrip())
    last = start
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if len(line) - len(line.lstrip()) < depth or (depth == 0 and says_here(line)):
            break
        last = number
    return last


def _unsolved(source: str) -> tuple[str, list[Found]]:
    """Return the cell with a gap around each bare `raise NotImplementedError` of a function."""
    tree = parsed(parseable(source))
    raised = []
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.FunctionDef) and _raises_only(node.body[-1]):
            raised.append(node.body[-1])
    lines = source.split("\n")
    for node in sorted(raised, key=lambda node: -node.lineno):
        last = node.end_lineno or node.lineno
        lines[node.lineno - 1 : last] = gap(
            lines[node.lineno - 1 : last], ["raise NotImplementedError"]
        )
    return "\n".join(lines), [Found("raise NotImplementedError", solved=False) for _ in raised]


def _raises_only(node: ast.stmt) -> bool:
    error = node.exc if isinstance(node, ast.Raise) else None
    error = error.func if isinstance(error, ast.Call) else error
    return isinstance(error, ast.Name) and error.id == "NotImplementedError"
