"""Forbidden imports and calls in a piece of source, found in its syntax tree.

Nothing is run. Names are followed through aliases (`import numpy as n; n.gradient`),
assignments (`g = np.gradient`), `__import__`, importlib, getattr and eval of strings.
Source that doesn't parse is searched by its tokens.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grader.checks.meaning import Rules, Scope, TooMuch, Work, parse, text_of, walk

MAX_STEPS = 2_000_000
"""Names looked up and nodes visited by one Search. About three seconds; real work takes 20,000."""
_RUNS_STRINGS = frozenset({"eval", "exec", "compile"})
_MAX_DEPTH = 8


@dataclass(frozen=True)
class Breach:
    """One use of a forbidden name.

    line : 1-based line of the source; name : the broken rule ("sklearn")
    text : the text of the line
    """

    line: int
    name: str
    text: str


def find_forbidden(
    source: str,
    *,
    imports: Sequence[str] = (),
    calls: Sequence[str] = (),
    context: str = "",
) -> list[Breach]:
    """Return the uses of forbidden names in the source, by line; it never raises.

    imports : module names; a name covers its submodules ("scipy", "sklearn.linear_model")
    calls : dotted names of functions ("np.gradient", "numpy.linalg.lstsq"), or a method
        of any object with a dot before it (".backward")
    context : the rest of the notebook's code, with its imports (`import numpy as n`); it is not
        searched itself
    """
    return Search(context, imports=imports, calls=calls).breaches(source)


def names_meant(source: str, *, context: str = "") -> set[str]:
    """Return the dotted names that the source uses or imports; it never raises.

    With `import mine as m` in the source or the context, `m.f(x)` means "mine.f".
    `from mine import *` means "mine.*", and each name that it may define means "mine.name", too.
    """
    return Search(context).names_meant(source)


class Search:
    """Searches pieces of one notebook's code; the names that the notebook binds are read once.

    exhausted : whether a search stopped before its end, because the code is too complex
    """

    def __init__(
        self, context: str = "", *, imports: Sequence[str] = (), calls: Sequence[str] = ()
    ) -> None:
        self.exhausted = False
        self._found: dict[str, list[Breach]] = {}  # of each piece that was searched completely
        self._scope = Scope(Rules(tuple(imports), tuple(calls)), Work(MAX_STEPS))
        try:
            tree = parse(context)
            if tree is not None:
                self._scope.bind(tree.body)
            else:
                self._scope.bind_by_lines(context)
        except TooMuch:
            self.exhausted = True

    def breaches(self, source: str) -> list[Breach]:
        """Return the breaches in the source, by line; those found so far if the search stopped."""
        # Each exercise with a method of a class searches the whole class.
        if source in self._found:
            return self._found[source]
        unique: dict[tuple[int, str], Breach] = {}
        stopped = False
        try:
            for breach in _search(source, self._scope, 0):
                unique[breach.line, breach.name] = breach
        except TooMuch:
            self.exhausted = stopped = True
        found = sorted(unique.values(), key=lambda breach: (breach.line, breach.name))
        if not stopped:
            self._found[source] = found
        return found

    def names_meant(self, source: str) -> set[str]:
        """Return the dotted names that the source uses or imports."""
        found: set[str] = set()
        try:
            for name in _names_meant(source, self._scope):
                found.add(name.lstrip("."))
        except TooMuch:
            self.exhausted = True
        return found


def _names_meant(source: str, around: Scope) -> Iterator[str]:
    queue = [(source, around, 0)]
    while queue:
        text, outer, depth = queue.pop()
        tree = parse(text)
        scope = outer.inner()
        if tree is None:
            scope.bind_by_lines(textwrap.dedent(text))
            for match in _TOKEN.finditer(text):
                if match.lastgroup == "dotted":
                    head, dot, rest = re.sub(r"\s", "", match.group()).partition(".")
                    yield from (meaning + dot + rest for meaning in scope.meanings(head))
            continue
        scope.bind(tree.body)
        for node, names in walk(tree, scope):
            yield from _meanings(node, names)
            if isinstance(node, ast.Call) and depth < _MAX_DEPTH:
                run = _text_that_runs(node, names)
                queue += [(run, names, depth + 1)] if run is not None else []


def _meanings(node: ast.AST, scope: Scope) -> Iterator[str]:
    """Return the dotted names that this one node means."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield from (f"{node.module or ''}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Name):
        yield from scope.meanings(node.id)
    elif isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        meaning = scope.resolve(node)
        if meaning:
            yield meaning


# --- the search -------------------------------------------------------------------------


def _search(source: str, outer: Scope, depth: int) -> Iterator[Breach]:
    tree = parse(source)
    lines = source.splitlines()
    if tree is None:
        yield from _search_tokens(source, outer)
        return
    scope = outer.inner()
    # Names that the source binds count from its start: a function may use names defined below it.
    scope.bind(tree.body)
    for node, names in walk(tree, scope):
        for rule in _breaches_of(node, names):
            line = getattr(node, "lineno", 1)
            yield Breach(line, rule, _line(lines, line))
        if isinstance(node, ast.Call) and depth < _MAX_DEPTH:
            yield from _search_string(node, names, depth, lines)


def _breaches_of(node: ast.AST, scope: Scope) -> Iterator[str]:
    """Return the rules that this one node breaks."""
    rules = scope.rules
    found: list[str | None] = []
    if isinstance(node, ast.Import):
        found = [rules.forbids_module(alias.name) for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        module = node.module or ""
        found = [rules.forbids_module(module)]
        found += [rules.forbids_name(f"{module}.{alias.name}") for alias in node.names]
    elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        if isinstance(node.ctx, ast.Load):
            meaning = scope.resolve(node)
            found = [rules.forbids_name(meaning)] if meaning else []
            if isinstance(node, ast.Attribute):
                found.append(rules.forbids_method(node.attr))
    elif isinstance(node, ast.Call):
        meaning = scope.resolve(node)
        found = [rules.forbids_name(meaning)] if meaning else []
        module_name = scope.imported(node)
        if module_name:
            found.append(rules.forbids_module(module_name))
        if scope.resolve(node.func) == "getattr" and len(node.args) >= 2:
            name = text_of(node.args[1])
            found.append(rules.forbids_method(name) if name else None)
    yield from dict.fromkeys(name for name in found if name is not None)


def _search_string(
    node: ast.Call, scope: Scope, depth: int, lines: Sequence[str]
) -> Iterator[Breach]:
    """Search the strings that eval and exec run."""
    text = _text_that_runs(node, scope)
    for breach in _search(text, scope, depth + 1) if text is not None else ():
        yield Breach(node.lineno, breach.name, _line(lines, node.lineno))


def _text_that_runs(node: ast.Call, scope: Scope) -> str | None:
    function = scope.resolve(node.func) or ""
    if function.rpartition(".")[2] not in _RUNS_STRINGS or not node.args:
        return None
    return text_of(node.args[0])


# --- source that doesn't parse ----------------------------------------------------------

_TOKEN = re.compile(
    r"(?P<comment>\#[^\n]*)"
    r"|(?P<string>(?:\b[rbuf]{1,2})?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"))"
    r"|(?P<dotted>[^\W\d]\w*(?:\s*\.\s*[^\W\d]\w*)*)"
    r"|(?P<other>.)",
    re.DOTALL | re.IGNORECASE,
)


def _search_tokens(source: str, scope: Scope) -> Iterator[Breach]:
    """Search source that doesn't parse: imports by line, then dotted names."""
    source = source.replace("\0", " ")
    lines = source.splitlines()
    scope = scope.inner()
    rules = scope.rules
    for line in lines:
        scope.bind_by_lines(line.strip())
    for i, line in enumerate(lines, start=1):
        bare = line.strip()
        if re.match(r"(from|import)\s", bare):
            tree = parse(bare.split("#")[0].rstrip(" ,\\("))
            for node in ast.walk(tree) if tree is not None else ():
                for name in _breaches_of(node, scope):
                    yield Breach(i, name, bare)
    position = 1
    dynamic = False
    for match in _TOKEN.finditer(source):
        scope.work.spend()
        text = match.group()
        line_number = position
        position += text.count("\n")
        if match.lastgroup == "dotted":
            dotted = re.sub(r"\s", "", text)
            dynamic = dotted.rpartition(".")[2] in ("__import__", "import_module")
            head, dot, rest = dotted.partition(".")
            meaning = scope.resolve_name(head)
            full = f"{meaning}{dot}{rest}" if meaning else ""
            rule = rules.forbids_name(full) if full else None
            rule = rule or next(filter(None, map(rules.forbids_method, rest.split("."))), None)
            if rule:
                yield Breach(line_number, rule, _line(lines, line_number))
        elif match.lastgroup == "string" and dynamic:
            module = text.strip("rbufRBUF").strip("'\"")
            rule = rules.forbids_module(module)
            if rule:
                yield Breach(line_number, rule, _line(lines, line_number))
            dynamic = False
        elif text not in "( \n\t":
            dynamic = False


def _line(lines: Sequence[str], number: int) -> str:
    return lines[number - 1].strip()[:200] if 0 < number <= len(lines) else ""
