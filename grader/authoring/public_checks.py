"""Makes the students' copy of a check file: without its hidden checks, and what they alone use.

The file is cut by its syntax tree, and what stays keeps its text byte for byte.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from grader.errors import AssignmentError

Edit = tuple[int, int, list[str]]
"""Lines from 0, the end excluded, and what stands there instead."""


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
    reference, a `hidden` that is neither True nor False, and one that would reach the students.
    """
    public = _without_hidden(text, file)
    _refuse_hidden(public, file)
    return public


def _without_hidden(text: str, file: str) -> str:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError) as error:
        raise AssignmentError(f"{file} doesn't parse: {error}") from error
    lines = text.split("\n")
    if _whole_file_hidden(tree, file):
        return ""
    pieces = list(_pieces(tree.body, lines, 0, len(lines)))
    edits: list[Edit] = []
    for piece in pieces:
        if isinstance(piece.node, ast.FunctionDef | ast.AsyncFunctionDef):
            piece.removed = _is_hidden(piece.node, file)
        elif isinstance(piece.node, ast.ClassDef):
            piece.removed = _is_hidden(piece.node, file) or _trim_class(piece, lines, edits, file)
    hidden_members = list(edits)
    if not any(piece.removed for piece in pieces) and not hidden_members:
        _refuse_reference([piece.node for piece in pieces], file)
        return text if _tests_in(tree.body) else ""
    _remove_unused(pieces, hidden_members, edits)
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
        marks = "exercise" in ast.dump(call.func)
        for keyword in call.keywords:
            if keyword.arg == "hidden":
                if not isinstance(keyword.value, ast.Constant):
                    raise AssignmentError(f"{where}: `hidden` must be True or False itself")
                if keyword.value.value:
                    return True
            elif marks and keyword.arg is None:
                raise AssignmentError(f"{where}: write the arguments of `exercise` out, without **")
            elif marks and keyword.arg != "points":
                # A slip such as hiden=True must not hand the check out.
                raise AssignmentError(
                    f"{where}: `exercise` knows no {keyword.arg!r}; it takes an id, "
                    "points and hidden"
                )
    return False


def _whole_file_hidden(tree: ast.Module, file: str) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)
        and _says_hidden(node.value, f"{file}: pytestmark")
        for node in tree.body
    )


def _trim_class(piece: _Piece, lines: list[str], edits: list[Edit], file: str) -> bool:
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


def _tests_in(body: Iterable[ast.stmt], removed: Sequence[Edit] = ()) -> bool:
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


def _remove_unused(pieces: list[_Piece], hidden_members: Sequence[Edit], edits: list[Edit]) -> None:
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


def _refuse_reference(nodes: Iterable[ast.stmt], file: str, removed: Sequence[Edit] = ()) -> None:
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


def _refuse_hidden(public: str, file: str) -> None:
    """Raise AssignmentError where hidden=True is left: said where this module doesn't look."""
    for node in ast.walk(ast.parse(public)):
        if isinstance(node, ast.Call) and any(
            keyword.arg == "hidden"
            and isinstance(keyword.value, ast.Constant)
            and keyword.value.value is True
            for keyword in node.keywords
        ):
            raise AssignmentError(
                f"{file}: `{ast.unparse(node)}` would reach the students with what it hides: "
                "write it as the decorator of each check, or as the file's own pytestmark"
            )


def _drop_empty_sections(pieces: list[_Piece], lines: list[str], edits: list[Edit]) -> None:
    """Plan the removal of the comments that title a section of which nothing is left.

    The blank lines before a removed statement go with it, but never those that the next one needs.
    """
    blank = 0
    for number, piece in enumerate(pieces):
        if _is_titled(piece, lines):
            section = [piece]
            for other in pieces[number + 1 :]:
                if _is_titled(other, lines):
                    break
                section.append(other)
            if all(member.removed for member in section):
                edits.append((piece.lead, piece.first, []))
            blank = 0
        elif piece.removed:
            edits.append((piece.lead, piece.first, []))
            blank = max(blank, piece.first - piece.lead)
        else:
            if blank > piece.first - piece.lead:
                edits.append((piece.lead, piece.first, [""] * blank))
            blank = 0


def _is_titled(piece: _Piece, lines: list[str]) -> bool:
    return any(lines[n].strip() for n in range(piece.lead, piece.first))


def _edited(lines: list[str], edits: list[Edit]) -> str:
    kept = list(lines)
    # From the end, so that earlier line numbers still hold; an outer range takes inner ones in.
    outer: list[Edit] = []
    for first, end, new in sorted(edits, key=lambda edit: (edit[0], edit[0] < edit[1], -edit[1])):
        if outer and first < outer[-1][1] and end <= outer[-1][1]:
            continue
        outer.append((first, end, new))
    for first, end, new in reversed(outer):
        kept[first:end] = new
    return "\n".join(kept).strip("\n") + "\n"
