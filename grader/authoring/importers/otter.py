"""Import otter assign's source notebooks: raw cells open and close questions, solutions, tests.

Sources of its earlier form, and jassign's, are rewritten to this form first.

A test cell has to print its stored output. Points are shared out as in otter: the points of a
question (1 if it names none) go in equal parts to its tests without points.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from grader.authoring.importers.imported import Check, Draft, Item
from grader.authoring.importers.marked_code import converted
from grader.authoring.importers.otter_earlier import is_earlier, with_raw_cells
from grader.records import Cell, Notebook

_COMMAND = re.compile(
    r"#\s*(?P<what>ASSIGNMENT CONFIG|(?:BEGIN|END) (?:QUESTION|PROMPT|SOLUTION|TESTS)"
    r"|EXPORT|IGNORE|STRAY TEST)\b[^\n]*",
    re.IGNORECASE,
)
_TEST_CONFIG = re.compile(
    r"\s*(?P<quote>\"\"\"|''')\s*#\s*BEGIN TEST CONFIG\s*\n(?P<text>.*?)(?P=quote)\s*#\s*END TEST "
    r"CONFIG[^\n]*\n?",
    re.DOTALL | re.IGNORECASE,
)
_HIDDEN = re.compile(r"\s*#\s*HIDDEN\s*\n?", re.IGNORECASE)
_TEST_FUNCTION = re.compile(r"^def (?P<name>test_?\w*)\((?P<arguments>[^()]*)\)", re.MULTILINE)


@dataclass
class _Question:
    """One question.

    points : of the question, or None; listed : of each of its tests, if the points are a list
    each : of every test; tests : (points or None, hidden, cell, source, at)
    code, gaps : how many cells of code it has that students get, and how many gaps in them
    """

    name: str
    points: float | None
    manual: bool
    heading: str
    listed: list[float] = field(default_factory=list)
    each: float | None = None
    code: int = 0
    gaps: int = 0
    tests: list[tuple[float | None, bool, Cell, str, int]] = field(default_factory=list)
    solution: list[Cell] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


def is_otter(notebook: Notebook) -> bool:
    """Return whether raw cells hold otter's commands, or Markdown cells those of its first form."""
    return is_earlier(notebook) or any(
        cell.kind == "raw" and _COMMAND.match(cell.source.strip()) for cell in notebook.cells
    )


def import_otter(notebook: Notebook) -> Draft:
    """Return the draft of an otter source."""
    draft = Draft("otter assign source")
    notebook = with_raw_cells(notebook) if is_earlier(notebook) else notebook
    question: _Question | None = None
    inside = ""  # PROMPT, SOLUTION, TESTS
    for cell in notebook.cells:
        command = _COMMAND.match(cell.source.strip()) if cell.kind == "raw" else None
        if command is None:
            question = question or _Question("", None, False, "")
            _cell(draft, question, inside, cell)
            continue
        what = command["what"].upper()
        config = _config(cell.source.strip()[command.end() :])
        if what == "ASSIGNMENT CONFIG":
            _assignment(draft, cell, config)
        elif what == "BEGIN QUESTION":
            question = _opened(draft, cell, config)
            inside = ""
        elif what == "END QUESTION":
            if question is not None:
                _close(draft, question, cell)
            question, inside = None, ""
        elif what.startswith("BEGIN"):
            inside = what.removeprefix("BEGIN ")
        elif what.startswith("END"):
            inside = ""
        elif what == "STRAY TEST":
            draft.say(cell, "a test that belongs to no question: left out", todo=True)
        else:
            draft.say(cell, f"# {what}: left out")
    if question is not None and question.name:
        _close(draft, question, notebook.cells[-1])
    return draft


def _assignment(draft: Draft, cell: Cell, config: Mapping[str, str]) -> None:
    draft.say(cell, "the assignment's configuration")
    if files := config.get("files"):
        draft.files |= dict.fromkeys((name.strip() for name in files.split(",")), cell.index)


def _opened(draft: Draft, cell: Cell, config: Mapping[str, str]) -> _Question:
    name = draft.item_named(config.get("name") or f"q{cell.index}", cell)
    text = config.get("points", "")
    numbers = [_number(part) for part in text.strip("[] ").split(",")] if "," in text else []
    return _Question(
        name,
        _number(text.strip("[] ")),
        config.get("manual", "").lower() in ("true", "yes"),
        draft.heading,
        listed=[number for number in numbers if number is not None],
        each=_number(config.get("points.each")),
    )


def _cell(draft: Draft, question: _Question, inside: str, cell: Cell) -> None:
    if inside == "TESTS" and cell.kind == "code":
        _test(draft, question, cell)
    elif inside == "PROMPT":
        draft.say(cell, "a prompt: students get the gap of your solution instead")
    elif inside == "SOLUTION" and cell.kind == "markdown":
        question.solution.append(cell)
    elif cell.kind == "code":
        source, found = converted(cell.source, ellipsis=True)
        if inside == "SOLUTION" and not found:
            source, _ = converted(f"# BEGIN SOLUTION\n{cell.source}\n# END SOLUTION", ellipsis=True)
            draft.say(cell, "a gap, the whole cell: no line of it is marked # SOLUTION")
        elif found:
            draft.say(cell, f"a gap (`{found[0].words}`)")
        question.code += 1
        question.gaps += source != cell.source
        draft.keep(cell, source)
    elif cell.kind == "markdown":
        draft.keep(cell)
        question.heading = draft.heading or question.heading
    elif cell.source.strip():
        draft.say(cell, "a raw cell that is not understood: left out", todo=True)


def _test(draft: Draft, question: _Question, cell: Cell) -> None:
    source, hidden = cell.source, False
    points: float | None = None
    if config := _TEST_CONFIG.match(source):
        keys = _config(config["text"])
        points, hidden = _number(keys.get("points")), keys.get("hidden", "").lower() == "true"
        source = source[config.end() :]
    if mark := _HIDDEN.match(source):
        source, hidden = source[mark.end() :], True
    question.tests.append((points, hidden, cell, source.strip("\n"), len(draft.cells)))


def _close(draft: Draft, question: _Question, cell: Cell) -> None:
    if not question.name:
        return
    if question.manual or not question.tests:
        points = question.points if question.points is not None else 1.0
        title = question.heading or question.name
        heading = f"Answer {question.name}"
        item = Item(question.name, title, points, manual=True, heading=heading)
        if question.solution:
            draft.answer(item, question.solution)
        else:
            draft.items.append(Item(question.name, title, points, manual=True))
        draft.say(cell, f"exercise {question.name}: graded by a person, {points:g} points")
        return
    if question.code and not question.gaps:
        text = f"{question.name} has tests and no gap: mark its solution, or write it"
        draft.say(question.tests[0][2], text, todo=True)
    worths = _worths(draft, question)
    for number, (_, hidden, test, source, at) in enumerate(question.tests, start=1):
        worth = worths[number - 1]
        name = question.name if len(question.tests) == 1 else f"{question.name}-{number}"
        source, output, problem = _runnable(source, test)
        draft.checks.append(Check(question.name, name, source, worth, at, hidden, output))
        kind = "a hidden test" if hidden else "a test"
        draft.say(test, f"{kind} of {question.name} that runs unchanged, {worth:g} points")
        if problem:
            draft.say(test, problem, todo=True)
    draft.items.append(Item(question.name, question.heading or question.name, sum(worths)))


def _worths(draft: Draft, question: _Question) -> list[float]:
    """Return the points of each test of a question."""
    own = [points for points, *_ in question.tests]
    if question.listed and len(question.listed) != len(own):
        text = f"{question.name} lists points for {len(question.listed)} tests and has {len(own)}"
        draft.say(question.tests[0][2], text, todo=True)
    elif question.listed:
        own = [o if o is not None else p for o, p in zip(own, question.listed, strict=True)]
    elif question.each is not None:
        own = [question.each if points is None else points for points in own]
    named, unnamed = sum(points or 0 for points in own), own.count(None)
    whole = question.points if question.points is not None else (named or 1.0)
    share = max(0.0, whole - named) / unnamed if unnamed else 0.0
    return [share if points is None else points for points in own]


def _runnable(source: str, cell: Cell) -> tuple[str, str | None, str]:
    """Return (source, output, problem) of a test; a test function gets a call below it."""
    if function := _TEST_FUNCTION.search(source):
        arguments = [
            a.split("=")[0].split(":")[0].strip() for a in function["arguments"].split(",")
        ]
        problem = ""
        if "env" in arguments:
            problem = "there is no `env` here: use the student's names directly"
        return (
            f"{source}\n\n{function['name']}({', '.join(filter(None, arguments))})",
            None,
            problem,
        )
    printed = []
    for output in cell.outputs:
        data = output.get("data")
        text = data.get("text/plain", "") if isinstance(data, dict) else output.get("text", "")
        printed.append("".join(text) if isinstance(text, list) else str(text))
    shown = "\n".join(text.strip("\n") for text in printed)
    if not shown and "assert" in source:
        return source, None, ""
    problem = "" if shown else "no stored output to compare with: run the notebook"
    return source, shown, problem


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _config(text: str) -> dict[str, str]:
    """Return the keys of a configuration, as "key" and "key.below"; a list as "a, b"."""
    found: dict[str, str] = {}
    key = ""
    for line in text.split("\n"):
        entry = re.match(r"(?P<key>[\w-]+)\s*:\s*(?P<value>.*?)\s*(#.*)?$", line)
        item = re.match(r"\s*-\s*(?P<value>.+?)\s*(#.*)?$", line)
        below = re.match(r"\s+(?P<key>\w+)\s*:\s*(?P<value>\S.*?)\s*(#.*)?$", line)
        if entry:
            key = entry["key"]
            found[key] = entry["value"].strip("\"'")
        elif item and key:
            found[key] = ", ".join(filter(None, (found[key], item["value"])))
        elif below and key:
            found[f"{key}.{below['key']}"] = below["value"].strip("\"'")
    return found
