"""Solutions in code cells, by the markers of many courses; each becomes a gap of ours.

### BEGIN SOLUTION ... ### END SOLUTION                  nbgrader, otter
x = 3  # SOLUTION                                        otter
### START CODE HERE ### ... ### END CODE HERE ###        deeplearning.ai
# *****START OF YOUR CODE ... # *****END OF YOUR CODE    CS231n
### SOLUTION ... ### TEMPLATE ... ### END SOLUTION       EPFL
# YOUR CODE HERE, to the end of its block                anybody
raise NotImplementedError                                a function that nobody has solved yet
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from grader.authoring.importers.imported import gap
from grader.notebook import parseable
from grader.notebook.definitions import parsed
from grader.notebook.regions import marker_kind

_BEGIN = re.compile(r"\s*#+\s*BEGIN SOLUTION(?P<quiet> NO PROMPT)?\b", re.IGNORECASE)
_END = re.compile(r"\s*#+\s*END SOLUTION\b", re.IGNORECASE)
_SECTION = re.compile(r"\s*#{2,}\s*SOLUTION\s*#*\s*$", re.IGNORECASE)
_TEMPLATE = re.compile(r"\s*#{2,}\s*TEMPLATE\s*#*\s*$", re.IGNORECASE)
_SUFFIX = re.compile(r"(?P<code>.*\S)\s*#\s*SOLUTION(?P<quiet>\s+NO PROMPT)?\s*$")
_HERE = re.compile(
    r"\s*#[\s#=*>-]*((PUT|INSERT|WRITE|ADD|TYPE|FILL IN)\s+)?(YOUR|MY) (CODE|SOLUTION|ANSWER)"
    r"( (HERE|BELOW|GOES HERE))?[\s#=*:.>-]*$",
    re.IGNORECASE,
)
_PROMPT = re.compile(r'\s*(?:"""|\'\'\')\s*#\s*(?P<which>BEGIN|END) PROMPT\s*$', re.IGNORECASE)
_ASSIGNMENT = re.compile(r"(?P<left>\s*[^\s=#(][^=#(]*?)\s*[-+*/@%&|^]?=(?!=)")
NOT_WRITTEN = ("# YOUR CODE HERE", "raise NotImplementedError")


@dataclass(frozen=True)
class Found:
    """A gap that was made. words : how the course had marked it; solved : False for an empty one"""

    words: str
    solved: bool = True


def converted(source: str, *, ellipsis: bool = False) -> tuple[str, list[Found]]:
    """Return a code cell with gaps of ours in the place of a course's markers, and what was found.

    ellipsis : the stub of a solution block is `...`, as otter has it; else it is a TODO that raises
    """
    lines = source.split("\n")
    found: list[Found] = []
    kept: list[str] = []
    number = 0
    while number < len(lines):
        line = lines[number]
        taken: list[str] | None = None
        end = number
        if match := _BEGIN.match(line):
            end = _next(lines, number, _END)
            if end:
                stub, after = _prompt(lines, end)
                stub = stub or ([] if match["quiet"] else ["..."] if ellipsis else [*NOT_WRITTEN])
                taken = gap(lines[number + 1 : end], stub or ["pass"])
                found.append(Found(line.strip()))
                end = after
        elif _SECTION.match(line):
            end = _next(lines, number, _END)
            if end:
                body = lines[number + 1 : end]
                split = next((n for n, text in enumerate(body) if _TEMPLATE.match(text)), None)
                template = [] if split is None else _uncommented(body[split + 1 :])
                taken = gap(body[:split], template or [*NOT_WRITTEN])
                found.append(Found(line.strip()))
        elif _SUFFIX.match(line) and not line.lstrip().startswith("#"):
            end = number
            while end + 1 < len(lines) and _same_run(lines[number], lines[end + 1]):
                end += 1
            run = [match for text in lines[number : end + 1] if (match := _SUFFIX.match(text))]
            stub = [_ellipsis(m["code"]) for m in run if not m["quiet"]]
            taken = gap([match["code"] for match in run], stub or ["pass"])
            found.append(Found("# SOLUTION"))
        elif (kind := marker_kind(line)) and kind[0] == "start":
            end = next((n for n in range(number + 1, len(lines)) if _closes(lines[n])), 0)
            if end:
                body = lines[number + 1 : end]
                shown = any(text.lstrip().startswith("# STUB:") for text in body)
                taken = lines[number : end + 1] if shown else gap(body, _emptied(body))
                found.append(Found(line.strip(), not _is_empty(body)))
        elif _HERE.match(line):
            end = _end_of_block(lines, number)
            body = lines[number + 1 : end + 1]
            taken = gap(body or [line], [*NOT_WRITTEN])
            found.append(Found(line.strip(), not _is_empty(body)))
        if taken is None:
            kept.append(line)
            number += 1
        else:
            kept += taken
            number = end + 1
    if not found:
        return _unsolved(source)
    return "\n".join(kept), found


def _next(lines: Sequence[str], start: int, pattern: re.Pattern[str]) -> int:
    return next((n for n in range(start + 1, len(lines)) if pattern.match(lines[n])), 0)


def _closes(line: str) -> bool:
    kind = marker_kind(line)
    return kind is not None and kind[0] == "end"


def _prompt(lines: Sequence[str], end: int) -> tuple[list[str], int]:
    """Return otter's prompt in a string below a solution, and the last line that it takes."""
    begins = _PROMPT.match(lines[end + 1]) if end + 1 < len(lines) else None
    if not begins or begins["which"].upper() != "BEGIN":
        return [], end
    last = _next(lines, end + 1, _PROMPT)
    if not last:
        return [], end
    return textwrap.dedent("\n".join(lines[end + 2 : last])).split("\n"), last


def _uncommented(lines: Sequence[str]) -> list[str]:
    """Return template lines, which stand as comments below `### TEMPLATE`."""
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
    """Return `a = None` for each plain assignment of a gap; [] where it holds anything else."""
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
    """Return the last line of the block that a comment stands in: as deep as it, or deeper."""
    depth = len(lines[start]) - len(lines[start].lstrip())
    last = start
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if len(line) - len(line.lstrip()) < depth or (depth == 0 and _HERE.match(line)):
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
