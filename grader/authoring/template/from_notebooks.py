"""Write a new assignment around solved notebooks of any course.

Their tests become checks that run unchanged. A gap without a test becomes an exercise, whose check
the instructor has to write. The report says for each cell what was found and what is left to do.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

from grader.authoring.importers import Check, Draft, Item, import_notebook
from grader.authoring.importers.imported import Line, free_name, heading_above, slug
from grader.authoring.importers.marked_code import unclosed
from grader.authoring.importers.overwritten import lost_values, with_its_values
from grader.authoring.importers.solution_calls import gaps_with_helpers
from grader.authoring.importers.test_files import CourseTests
from grader.authoring.importers.test_helpers import handed_in, hidden_whole
from grader.authoring.stubs import SOLUTION_TAG, is_solution
from grader.authoring.template.beside import find_beside, modules_with_gaps
from grader.authoring.template.gaps import (
    UnmarkedNotebook,
    find_places,
    marked,
    marked_where_tested,
    refuse_broken,
)
from grader.authoring.template.given_file import read_source
from grader.authoring.template.layout import (
    Written,
    notebook_text,
    quoted,
    require_free,
    write_files,
)
from grader.authoring.template.names_used import given_names, names_used, without_nose
from grader.errors import AssignmentError
from grader.notebook import assembled
from grader.records import Definition, Notebook

_ANSWER = re.compile(r"(answer|question|explain|réponse|antwort)\b", re.IGNORECASE)


@dataclass(frozen=True)
class _Source:
    """One notebook. items : its exercises; unwritten : gap by exercise, for those without checks"""

    path: Path
    notebook: Notebook
    draft: Draft
    items: tuple[Item, ...]
    unwritten: Mapping[str, str]
    report: tuple[str, ...]


def write_from(
    assignment_id: str,
    parent: Path,
    sources: Path | Sequence[Path],
    *,
    title: str = "",
    gaps: Sequence[str] = (),
    students: Sequence[Path] = (),
    tests: Sequence[Path] = (),
) -> Written:
    """Write parent/<id>/ around solved notebooks: their gaps and tests are the exercises.

    sources : .ipynb files, or scripts whose cells begin with `# %%`; the copies are .ipynb without
        outputs, and the sources don't change
    gaps : functions that get markers in the copies
    students : the notebooks as students get them, in the order of `sources`: what differs is a gap
    tests : files of tests, pytest's or unittest's, that become checks
    A gap without a test gets one point and one check that fails until somebody writes it.
    Raises UnmarkedNotebook if there is no gap and `gaps` is empty; AssignmentError for markers
    without a partner, for cells that don't parse, and as write_example does.
    """
    require_free(assignment_id, parent)
    paths = [sources] if isinstance(sources, Path) else list(sources)
    # Students hand in what they got: the name of their copy counts.
    names = [f"{path.stem}.ipynb" for path in students or paths]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise AssignmentError(f"two of the files would both be {twice}: rename one of them")
    taken: set[str] = set()
    given = frozenset({*names, *(path.name for path in paths)})
    if students and len(students) != len(paths):
        raise AssignmentError(
            f"solved notebooks: {len(paths)}, students' copies: {len(students)}; give one for "
            "each, in the same order"
        )
    course = CourseTests(tests, handed_in((*paths, *students)))
    read = [_read(path, gaps, taken, copy, course) for path, copy in zip_longest(paths, students)]
    found = [find_beside(s.path.parent, s.notebook, apart=given, also=s.draft.files) for s in read]
    files: dict[str, str | bytes] = {
        "assignment.toml": _assignment_text(
            assignment_id,
            title or _title(read[0].notebook) or assignment_id,
            read,
            list(dict.fromkeys(pattern for one in found for pattern in one.patterns())),
        )
    }
    for one in found:
        files |= {name: path.read_bytes() for name, path in one.files.items()}
    for source in read:
        files[source.notebook.name] = notebook_text(source.notebook.cells, source.notebook.name)
        for name, text in _check_files(source).items():
            # The course may have a module of this name: utils.ipynb and its test_utils.py.
            files[name if name not in files else name.replace(".py", "_checks.py")] = text
    written = write_files(assignment_id, parent, files)
    notes = [
        note
        for source in read
        for note in _untagged(source.notebook, [i.heading for i in source.items if i.heading])
    ]
    return Written(
        written.folder,
        written.files,
        tuple(exercise for source in read for exercise in source.unwritten),
        tuple(notes),
        tuple(
            line
            for source, one in zip(read, found, strict=True)
            for line in (*source.report, *one.report)
        )
        + tuple(course.report()),
    )


def _read(
    path: Path, gaps: Sequence[str], taken: set[str], students: Path | None, tests: CourseTests
) -> _Source:
    given = read_source(path)
    for cell in given.cells:
        if cell.kind == "code" and (line := unclosed(cell.source)):
            raise AssignmentError(
                f"{path}, cell {cell.index}: `{line}` has no END SOLUTION below it: students "
                "would see the code that follows"
            )
    here = [name for name in gaps if name in given.definitions]
    given = marked(given, here or gaps) if gaps else given
    copy = None if students is None else read_source(students)
    draft = import_notebook(given, copy)
    name = given.name if copy is None else copy.name
    notebook = assembled(draft.with_indices(), name=name, metadata=given.metadata)
    if not (notebook.regions or gaps or copy):
        given, said = marked_where_tested(given, tests.words())
        draft = import_notebook(given, None)
        draft.lines += [Line(given.cells[0].index, text, todo) for text, todo in said]
        notebook = assembled(draft.with_indices(), name=name, metadata=given.metadata)
    damaged = [note.message for note in notebook.notes if note.kind == "markers_missing"]
    if damaged:
        raise AssignmentError(f"{path}: {damaged[0]}; complete the pair")
    tests.add_to(draft, notebook, path)
    if not notebook.regions and not draft.items:
        refuse_broken(notebook)
        if students is not None:
            whole = " but for whole cells: put an empty one where each of them goes"
            same = ": which one has no solution?"
            raise AssignmentError(
                f"{path} and {students} don't differ{whole if draft.lines else same}"
            )
        places = find_places(notebook)
        todo = " ".join(f"--gap {place.name}" for place in places if place.todo)
        raise UnmarkedNotebook(
            f"{path} has no gaps: put markers into it, or name its functions with --gap"
            + (f"; these hold a TODO: {todo}" if todo else "")
            + modules_with_gaps(path, notebook),
            places,
        )
    return _with_exercises(path, notebook, draft, taken)


def _with_exercises(path: Path, notebook: Notebook, draft: Draft, taken: set[str]) -> _Source:
    """Return the source with an exercise for each item, and for each gap without an item."""
    report = [
        f"{'! ' if line.todo else ''}{path.name}, cell {line.cell}: {line.text}"
        for line in sorted(draft.lines, key=lambda line: line.cell)
    ]
    functions = {item.id: _functions_of(item, draft.checks, notebook) for item in draft.items}
    covered = {name for item in draft.items for name in (*functions[item.id], item.cell_gap)}
    renamed: dict[str, str] = {}
    items = []
    for item in draft.items:
        new_id = renamed[item.id] = free_name(item.id, taken)
        items.append(replace(item, id=new_id, functions=functions[item.id]))
    checks = []
    for check in draft.checks:
        source, names = with_its_values(check, notebook)
        if names:
            report.append(
                f"{path.name}, check {check.name}: it sets {', '.join(names)} first, as the cells "
                "above it do: later cells overwrite this"
            )
        whole = hidden_whole(replace(check, source=source), notebook, path)
        if whole.source != source:
            report.append(
                f"{path.name}, check {check.name}: the modules that only it imports stand in it: "
                "students don't get them"
            )
        checks.append(replace(whole, exercise=renamed[check.exercise]))
    report += [f"! {path.name}: {line}" for line in lost_values(draft.checks, notebook)]
    helpers = {gap: said for gap, said in gaps_with_helpers(notebook).items() if gap not in covered}
    report += [f"{path.name}, {gap}: {said}" for gap, said in helpers.items()]
    covered |= helpers.keys()
    left = {e: name for e, name in _exercises(notebook).items() if name not in covered}
    unwritten: dict[str, str] = {}
    if draft.kind == "solved notebook":
        for exercise, name in left.items():
            wanted = free_name(exercise, taken)
            unwritten[wanted] = name
            items.append(_of_gap(wanted, name, notebook))
        for exercise, heading in _answers(notebook, {item.heading for item in items}).items():
            wanted = free_name(exercise, taken)
            items.append(Item(wanted, heading, 1, manual=True, heading=heading))
    else:
        untested = [name for name in left.values() if name in notebook.definitions]
        report += [f"  {path.name}: the gap `{name}` has no test" for name in untested]
    report += [f"! {path.name}: {p}" for p in names_used(checks, notebook, path.parent)[2]]
    cells = [replace(cell, source=without_nose(cell)) for cell in notebook.cells]
    if any(new.source != old.source for new, old in zip(cells, notebook.cells, strict=True)):
        report.append(f"  {path.name}: nose no longer exists: unittest's asserts replace its own")
        notebook = assembled(cells, name=notebook.name, metadata=notebook.metadata)
    items = [replace(item, follows=item.followed(items)) for item in items]
    return _Source(
        path, notebook, replace(draft, checks=checks), tuple(items), unwritten, tuple(report)
    )


def _functions_of(item: Item, checks: Sequence[Check], notebook: Notebook) -> tuple[str, ...]:
    """Return the gaps that an item's checks name; else the last gap before them."""
    if item.functions or item.manual or item.cell_gap:
        return item.functions
    gaps = list(dict.fromkeys(name.partition("#")[0] for name in notebook.regions))
    own = [check for check in checks if check.exercise == item.id]
    words = {word for check in own for word in re.findall(r"\w+", check.source)}
    named = [
        gap for gap in gaps if words.issuperset(gap.split(".")) and gap in notebook.definitions
    ]
    if named:
        return tuple(named)
    at = min((check.at for check in own), default=0)
    before = [
        region.name.partition("#")[0]
        for region in notebook.regions.values()
        if region.cell < at and region.name.partition("#")[0] in notebook.definitions
    ]
    # If the last gap is outside of any function, there is no function to name.
    last = max(
        (region.cell for region in notebook.regions.values() if region.cell < at), default=-1
    )
    return tuple(n for n in before[-1:] if notebook.definitions[n].cell == last)


def _of_gap(exercise: str, name: str, notebook: Notebook) -> Item:
    """Return the exercise of a gap; its title comes from the docstring, or from the heading."""
    definition = notebook.definitions.get(name)
    cell = notebook.regions[name].cell if name in notebook.regions else 0
    heading = heading_above(notebook, cell)
    heading = "" if heading == _title(notebook) else heading
    title = _summary(definition) or (f"{heading}: {name}" if heading and definition else heading)
    return Item(exercise, title or name, 1, functions=(name,) if definition else ())


# --- what is written ------------------------------------------------------------------------


def _assignment_text(
    assignment_id: str, title: str, sources: Sequence[_Source], files: Sequence[str]
) -> str:
    beside = f"files = [{', '.join(map(quoted, files))}]\n" if files else ""
    parts = [
        f"id = {quoted(assignment_id)}\ntitle = {quoted(title)}\n{beside}\n"
        "# What the gaps must not use:\n"
        '# [rules]\n# forbidden_imports = ["sklearn", "torch"]\n'
    ]
    parts += [f"[[notebooks]]\nfile = {quoted(source.notebook.name)}\n" for source in sources]
    if any(source.unwritten for source in sources):
        parts[-1] += (
            "\n# Fill in the points; those of the checks in test_*.py must sum to the same.\n"
        )
    for source in sources:
        for item in source.items:
            lines = [
                "[[exercises]]",
                f"id = {quoted(item.id)}",
                f"title = {quoted(item.title)}",
                f"points = {item.points:g}",
                *(["manual = true"] if item.manual else []),
                f"notebook = {quoted(source.notebook.name)}",
            ]
            lines += [
                f"{key} = [{', '.join(map(quoted, names))}]"
                for key, names in (
                    ("functions", item.functions),
                    ("needs", item.needs),
                    ("follows", item.follows),
                    ("answer_cells", [item.heading] if item.heading else []),
                )
                if names
            ]
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _check_files(source: _Source) -> dict[str, str]:
    """Return the public and the hidden check file, by name; a file without checks is left out."""
    topic = re.sub(r"\W+", "_", source.path.stem.lower(), flags=re.ASCII).strip("_") or "checks"
    about = _in_docstring(_title(source.notebook) or source.notebook.name)
    public = [check for check in source.draft.checks if not check.hidden]
    hidden = [check for check in source.draft.checks if check.hidden]
    files = {}
    if public or source.unwritten or not hidden:
        left = [_unwritten_text(source, *entry) for entry in source.unwritten.items()]
        files[f"test_{topic}.py"] = _checks_text(f"Checks of: {about}", public, source, left)
    if hidden:
        files[f"hidden/test_{topic}.py"] = _checks_text(
            f"Hidden checks of: {about}", hidden, source
        )
    return files


def _checks_text(
    title: str, checks: Sequence[Check], source: _Source, unwritten: Sequence[str] = ()
) -> str:
    more = "\n\nA check that isn't written yet stops the grading; it gives and takes no points.\n"
    helpers = {"run_examples" if check.examples else "run_cell" for check in checks}
    imports, names, _ = names_used(checks, source.notebook, source.path.parent)
    parts = [
        f'"""{title}{more if unwritten else ""}"""\n\n'
        + "".join(f"{line}\n" for line in imports)
        + "import pytest\n"
        + (f"\nfrom grader.checks import {', '.join(sorted(helpers))}\n" if helpers else "")
        + (f"\nNAMES = {{{', '.join(names)}}}\n" if names else "")
    ]
    taken: set[str] = set()
    for check in checks:
        word = free_name(re.sub(r"\W+", "_", check.name.lower(), flags=re.ASCII).strip("_"), taken)
        word = word.replace("-", "_")
        call = "run_examples" if check.examples else "run_cell"
        given = given_names(check, source.notebook, bool(names))
        options = (f", names={given}" if given else "") + (
            f", output={_block(check.output)}" if check.output is not None else ""
        )
        options += ", reference=reference" if check.compared else ""
        parts.append(
            f"@pytest.mark.exercise({quoted(check.exercise)}, points={check.points:.12g})\n"
            f"def test_{word}(student{', reference' if check.compared else ''}):\n"
            f"    {call}(student, {_block(check.source)}{options})\n"
        )
    return "\n\n".join((*parts, *unwritten))


def _block(text: str) -> str:
    """Return a text as a Python string over several lines."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return f'"""\n{escaped}\n"""'


def _unwritten_text(source: _Source, exercise: str, name: str) -> str:
    definition = source.notebook.definitions.get(name)
    word = re.sub(r"\W+", "_", exercise, flags=re.ASCII)
    call = f"student.{_called(definition)}" if definition else "what this gap makes"
    return (
        f"@pytest.mark.exercise({quoted(exercise)}, points=1)\n"
        f"def test_{word}_is_right(student, rng):\n"
        f'    """Say here what a right answer does."""\n'
        f"    # {call}\n"
        f'    raise NotImplementedError("write the check of exercise {exercise}")\n'
    )


def _in_docstring(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', "'")


def _exercises(notebook: Notebook) -> dict[str, str]:
    """Return a region's name by exercise id; several gaps of a function are one exercise."""
    names = dict.fromkeys(name.partition("#")[0] for name in notebook.regions)
    taken: set[str] = set()
    return {free_name(slug(name), taken): name for name in names}


def _answers(notebook: Notebook, known: Collection[str]) -> dict[str, str]:
    """Return the headings that ask for a written answer, by exercise id, except known ones."""
    headings = [
        line.lstrip("#").strip()
        for cell in notebook.cells
        if cell.kind == "markdown" and not is_solution(cell)
        for line in cell.source.split("\n")
        if line.startswith("#")
    ]
    asking = [h for h in dict.fromkeys(headings) if _ANSWER.match(h) and h not in known]
    return {f"answer-{number}": heading for number, heading in enumerate(asking, start=1)}


def _called(definition: Definition) -> str:
    """Return a call with the definition's parameters: "f(x, y)", "Model(...).f(x)"."""
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
    """Return the first sentence of the docstring; "" if it is too long for a title."""
    quoted = (
        re.search(r'"""\s*(.+?)(?:\.\s|\.?\s*"""|\n)', definition.source) if definition else None
    )
    text = " ".join(quoted[1].split()) if quoted else ""
    # "Arguments:" is not a title.
    return text if len(text) <= 60 and not text.endswith(":") else ""


def _title(notebook: Notebook) -> str:
    for cell in notebook.cells:
        if cell.kind == "markdown" and cell.source.startswith("# "):
            return cell.source.split("\n")[0].lstrip("# ").strip()
    return ""


def _untagged(notebook: Notebook, headings: Iterable[str]) -> Iterable[str]:
    """Yield a warning for each text cell below a question that students would get."""
    wanted = set(headings)
    below = False
    for cell in notebook.cells:
        titles = [line.lstrip("# ").strip() for line in cell.source.split("\n") if line[:1] == "#"]
        if cell.kind != "markdown" or titles:
            below = cell.kind == "markdown" and any(title in wanted for title in titles)
        elif below and not is_solution(cell):
            yield (
                f"{notebook.name}: students get cell {cell.index} unchanged: if it is "
                f"your answer, give it the tag `{SOLUTION_TAG}`"
            )
