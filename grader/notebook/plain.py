"""Turn a cell's source into plain Python: IPython's syntax is removed or translated.

Lines are replaced and never dropped, so that line numbers stay valid.
"""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass
from functools import lru_cache

from grader.text import encodable

# Cell magics whose body is the student's own Python: the body runs, the magic does not.
_BODY_RUNS = {"time", "timeit", "capture", "prun", "memit", "mprun", "lprun", "debug", "snakeviz"}
_BODY_IS_FILE = {"writefile", "file"}
# Line magics that run a statement which may bind names.
_STATEMENT_RUNS = {"time", "prun", "memit", "snakeviz"}
_PYLAB = (
    "import numpy, matplotlib; from matplotlib import pyplot; from matplotlib.pylab import *; "
    "import numpy as np; import matplotlib.pyplot as plt"
)

_LONGEST_ESCAPE = 4_000
"""Characters of a line that may be a magic; hostile blanks make patterns take quadratic time."""

_REMEMBERED_CHARS = 10_000
"""Longer cells are not cached, so that the cache stays small."""

# No Python statement begins with % and a letter.
_MAGIC = re.compile(r"^(?P<indent>[ \t]*)%(?P<name>[A-Za-z_]\w*)(?P<rest>.*)$", re.S)
_CELL_MAGIC = re.compile(r"^[ \t]*%%(?P<name>[A-Za-z_!]\w*)[ \t]*(?P<rest>.*)$")
_SHELL = re.compile(r"^(?P<indent>[ \t]*)!(?!=)(?P<rest>.*)$", re.S)
_ASSIGNED = re.compile(
    r"^(?P<indent>[ \t]*)(?P<targets>[A-Za-z_][\w.,\[\] \t]*?)[ \t]*=[ \t]*"
    r"(?P<kind>!|%)(?!=)(?P<rest>.*)$",
    re.S,
)
_HELP = re.compile(r"^[ \t]*(\?{1,2}[%\w.*]+|%{0,2}[A-Za-z_][\w.*]*\?{1,2})[ \t]*(#.*)?$")
_BARE_COMMAND = re.compile(
    r"^[ \t]*(?:(?:pip[\d.]*|conda|mamba|apt|apt-get|brew|uv|poetry|npm)[ \t]+[a-z]+\b"
    r"|python[\d.]*[ \t]+-m\b"
    r"|(?:git|wget|curl|unzip|tar|cd|ls|mkdir|cp|mv|rm|cat|sudo|jupyter)[ \t])"
)


@dataclass(frozen=True)
class Normal:
    """A cell's source as plain Python.

    source : as many lines as before
    not_run : lines that were left out and may matter ("line 3: `!unzip data.zip`")
    """

    source: str
    not_run: tuple[str, ...] = ()


def normalise(source: str) -> Normal:
    """Return the cell without magics, shell escapes and help lines, and with sane characters.

    A magic counts only at the start of a statement: `%(epochs, ...` and any line inside a string
    or brackets stay as they are. Never raises; invalid Python stays invalid.
    """
    # Every notebook of a class has the template's cells, and each is read three times.
    return _normalise_once(source) if len(source) <= _REMEMBERED_CHARS else _normalise(source)


@lru_cache(maxsize=2048)
def _normalise_once(source: str) -> Normal:
    return _normalise(source)


def _normalise(source: str) -> Normal:
    lines = _clean_characters(source).split("\n")
    first = next((i for i, line in enumerate(lines) if is_code(line)), None)
    if first is not None and (magic := _CELL_MAGIC.match(lines[first])):
        lines = _without_cell_magic(lines, first, magic)
    lines = _without_leading_indent(lines)
    not_run: list[str] = []
    scanner = Scanner()
    number = 0
    while number < len(lines):
        line = lines[number]
        if scanner.at_statement:
            span = _escape_span(lines, number)
            plain = _plain("\n".join(lines[number : number + span]))
            if plain is not None:
                text = line.strip()
                if _names_a_command(text):
                    not_run.append(f"line {number + 1}: `{_shortened(text)}`")
                lines[number : number + span] = [plain] + [
                    _commented(rest) for rest in lines[number + 1 : number + span]
                ]
                number += span
                continue
        scanner.read(line)
        number += 1
    return Normal(_with_sane_tabs("\n".join(lines)), tuple(not_run))


def without_main_guard(source: str) -> str:
    """Return a script's source in which `if __name__ == "__main__":` and `main()` do not run.

    A script's main() may parse arguments and train for hours; only its definitions are graded.
    A source that does not parse is returned unchanged.
    """
    tree = parsed(source)
    if tree is None:
        return source
    edits: list[tuple[ast.expr, str]] = []
    for node in tree.body:
        if isinstance(node, ast.If) and _is_main_guard(node.test):
            edits.append((node.test, "False"))
        elif isinstance(node, ast.Expr) and _calls_main(node.value):
            edits.append((node.value, "None"))
    lines = [line.encode() for line in source.split("\n")]
    for expression, replacement in reversed(edits):
        _replace_expression(lines, expression, replacement.encode())
    return b"\n".join(lines).decode()


def parsed(source: str) -> ast.Module | None:
    """Return the syntax tree (`await` is fine at the top level), or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SyntaxWarning for "\d" or `x is 1`
            tree = compile(
                source,
                "<cell>",
                "exec",
                ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
                dont_inherit=True,
            )
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    assert isinstance(tree, ast.Module)
    return tree


# --- characters -------------------------------------------------------------------------


def _clean_characters(source: str) -> str:
    """Return the text with one kind of line end and normal blanks, without NUL bytes and BOM.

    Form feeds and the like stay: Python accepts them, and no other character ends a line.
    """
    text = source.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").replace("\ufeff", "")
    if ("\u00a0" in text or "\u200b" in text) and parsed(text) is None:
        # Pasted from a web page. If the cell parses as it is, its strings keep them.
        text = text.replace("\u00a0", " ").replace("\u200b", "")
    return encodable(text)


def _with_sane_tabs(source: str) -> str:
    """Return the text with blanks for tabs, if only its tabs keep the cell from parsing."""
    if "\t" not in source or parsed(source) is not None:
        return source
    for width in (8, 4):
        expanded = "\n".join(_expand_indent(line, width) for line in source.split("\n"))
        if parsed(expanded) is not None:
            return expanded
    return source


def _expand_indent(line: str, width: int) -> str:
    body = line.lstrip(" \t")
    return line[: len(line) - len(body)].expandtabs(width) + body


def _without_leading_indent(lines: list[str]) -> list[str]:
    """Remove the indentation of a whole cell, as Jupyter does."""
    first = next((line for line in lines if is_code(line)), "")
    indent = first[: len(first) - len(first.lstrip(" \t"))]
    if not indent:
        return lines
    return [line.removeprefix(indent) for line in lines]


def is_code(line: str) -> bool:
    """Tell whether a line is neither blank nor a comment."""
    return bool(line.strip()) and not line.lstrip().startswith("#")


# --- magics -----------------------------------------------------------------------------


def _without_cell_magic(lines: list[str], first: int, magic: re.Match[str]) -> list[str]:
    name, rest = magic["name"], magic["rest"]
    head, body = lines[:first], lines[first + 1 :]
    title = f"pass  # %%{name} {rest}".rstrip()
    if name in _BODY_RUNS:
        return [*head, title, *body]
    if name in _BODY_IS_FILE and rest.split():
        target = rest.split()[-1].strip("'\"")
        mode = "a" if "-a" in rest.split() else "w"
        text = "\n".join(body) + "\n"
        write = f"with open({target!r}, {mode!r}, encoding='utf-8') as _: _.write({text!r})"
        return [*head, write, *map(_commented, body)]
    return [*head, title, *map(_commented, body)]


def _escape_span(lines: list[str], start: int) -> int:
    """Return how many lines a magic or shell escape takes: a backslash continues it."""
    span = 1
    while lines[start + span - 1].endswith("\\") and start + span < len(lines):
        span += 1
    return span


def _plain(line: str) -> str | None:
    """Return the Python meaning of a line that starts a statement; None if it is Python."""
    if len(line) > _LONGEST_ESCAPE:
        return None
    if magic := _MAGIC.match(line):
        return magic["indent"] + _plain_magic(magic["name"], magic["rest"].strip())
    if shell := _SHELL.match(line):
        return f"{shell['indent']}pass  # {_one_line('!' + shell['rest'])}"
    if assigned := _ASSIGNED.match(line):
        return _plain_assignment(assigned)
    if _HELP.match(line) or line.lstrip().startswith("%%"):
        return f"{_indent(line)}pass  # {_one_line(line.strip())}"
    if _BARE_COMMAND.match(line) and parsed(line.strip()) is None:
        return f"{_indent(line)}pass  # {_one_line(line.strip())}"
    return None


def _plain_magic(name: str, rest: str) -> str:
    if name in _STATEMENT_RUNS and rest and not rest.startswith("-"):
        return rest.rstrip("\\")
    if name == "pylab":
        return _PYLAB
    if name == "run" and (script := re.search(r"[^\s'\"]+\.py\b", rest)):
        path = script.group()
        return (
            f"exec(compile(__import__('pathlib').Path({path!r}).read_text(encoding='utf-8'), "
            f"{path!r}, 'exec'))"
        )
    return f"pass  # {_one_line(f'%{name} {rest}'.rstrip())}"


def _plain_assignment(assigned: re.Match[str]) -> str:
    """`files = !ls` gives no files; `x = %time f()` gives f()."""
    left = f"{assigned['indent']}{assigned['targets']} = "
    rest = assigned["rest"].strip()
    if assigned["kind"] == "%":
        name, _, statement = rest.partition(" ")
        if not re.match(r"[A-Za-z_]\w*$", name):
            return left + "%" + rest
        if name in _STATEMENT_RUNS and statement.strip():
            return left + statement.strip()
        return f"{left}None  # {_one_line('%' + rest)}"
    return f"{left}[]  # {_one_line('!' + rest)}"


def _names_a_command(text: str) -> bool:
    return (
        text.startswith("!")
        or bool(_ASSIGNED.match(text) and "!" in text.split("=", 1)[1][:3])
        or bool(re.match(r"%(pip|conda|sx|system|run)\b", text) and not text.endswith(".py"))
        or bool(_BARE_COMMAND.match(text))
    )


def _commented(line: str) -> str:
    return f"# {line}" if line.strip() else line


def _one_line(text: str) -> str:
    return text.replace("\n", " ")


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]


class Scanner:
    """Find, line by line, whether the next line starts a statement.

    A tokeniser fails, since cells also hold other syntax than Python's. Only brackets, strings and
    backslashes continue a statement on the next line.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._quote = ""  # the triple quote that is open
        self._backslash = False

    @property
    def at_statement(self) -> bool:
        return self._depth == 0 and not self._quote and not self._backslash

    def read(self, line: str) -> None:
        self._backslash = False
        position = 0
        while position < len(line):
            if self._quote:
                position = self._skip_string(line, position, self._quote)
                continue
            character = line[position]
            if character == "#":
                return
            if character in "\"'":
                triple = line[position : position + 3]
                if triple == character * 3:
                    self._quote = triple
                    position += 3
                else:
                    position = self._skip_string(line, position + 1, character)
                continue
            if character in "([{":
                self._depth += 1
            elif character in ")]}":
                self._depth = max(0, self._depth - 1)
            elif character == "\\" and position == len(line) - 1:
                self._backslash = True
            position += 1

    def _skip_string(self, line: str, position: int, quote: str) -> int:
        """Return the position after the string's end, or after the line's."""
        while position < len(line):
            if line[position] == "\\":
                if position == len(line) - 1 and len(quote) == 1:
                    self._backslash = True  # "..\ continues a short string, rarely
                position += 2
            elif line.startswith(quote, position):
                self._quote = ""
                return position + len(quote)
            else:
                position += 1
        return len(line)


# --- scripts ----------------------------------------------------------------------------


def _is_main_guard(test: ast.expr) -> bool:
    """Tell whether it is `__name__ == "__main__"`, in either order."""
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return False
    sides = (test.left, test.comparators[0])
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )


def _calls_main(value: ast.expr) -> bool:
    """Tell whether it is `main()`, or `sys.exit(main())`."""
    if not isinstance(value, ast.Call):
        return False
    if isinstance(value.func, ast.Name) and value.func.id == "main":
        return True
    return any(_calls_main(argument) for argument in value.args)


def _replace_expression(lines: list[bytes], node: ast.expr, replacement: bytes) -> None:
    """Replace the node; the lines that it spans stay, joined by backslashes."""
    assert node.end_lineno is not None and node.end_col_offset is not None
    start, end = node.lineno - 1, node.end_lineno - 1
    before, after = lines[start][: node.col_offset], lines[end][node.end_col_offset :]
    if start == end:
        lines[start] = before + replacement + after
        return
    join = b" \\" if after.strip() else b""
    lines[start] = before + replacement + join
    lines[start + 1 : end] = [join] * (end - start - 1)
    lines[end] = after
