"""Reads an assignment: reference/<id>/, or the checks/ folder of a student's copy of it.

reference/pw02/assignment.toml, *.ipynb (solved), test_*.py        stubs are made in memory
student_templates/pw02/checks/assignment.toml, stubs/*.ipynb, test_*.py      `public = true`
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from grader.authoring.stubs import stub_notebook
from grader.errors import AssignmentError, SubmissionError
from grader.notebook import read_notebook
from grader.records import Assignment, Exercise, Limits, Notebook, Rules

FILE = "assignment.toml"
ENVIRONMENT_VARIABLE = "GRADE_ASSIGNMENTS"

_T = TypeVar("_T")


# --- finding ------------------------------------------------------------------------------


def find_assignments(
    start: Path, explicit: Path | None, environ: Mapping[str, str]
) -> dict[str, Path]:
    """Return the folders of the assignments that can be graded, by assignment id.

    start : the working directory; never a submission's folder, which may hold checks of its own
    explicit : a folder of assignments, or one assignment's; else $GRADE_ASSIGNMENTS; else the
        nearest folder upwards from start with checks/assignment.toml or reference/*/assignment.toml
    Raises AssignmentError where none is found.
    """
    named = explicit
    source = "--assignments"
    if named is None and environ.get(ENVIRONMENT_VARIABLE):
        named, source = Path(environ[ENVIRONMENT_VARIABLE]).expanduser(), f"${ENVIRONMENT_VARIABLE}"
    if named is not None:
        found = _assignments_in(named)
        if not found:
            raise AssignmentError(f"{source}: {named} holds no {FILE}, nor does a folder in it")
        return found
    start = start.resolve()
    for folder in (start, *start.parents):
        found = _named([folder / "checks"]) | _assignments_in(folder / "reference", only_below=True)
        if found:
            return found
    raise AssignmentError(
        f"no assignment found: neither reference/*/{FILE} nor checks/{FILE} in {start} or above; "
        f"go to its folder (cd), or name it with --assignments or ${ENVIRONMENT_VARIABLE}"
    )


def _assignments_in(folder: Path, *, only_below: bool = False) -> dict[str, Path]:
    candidates = [] if only_below else [folder, folder / "checks", folder / "reference"]
    if not only_below and (folder / FILE).is_file():
        return _named([folder])
    try:
        below = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        below = []
    _refuse_twins(below)
    found = _named([*candidates, *below, *(entry / "checks" for entry in below)])
    if not found and not only_below:
        return _assignments_in(folder / "reference", only_below=True)
    return found


def _named(folders: list[Path]) -> dict[str, Path]:
    """Return the folders that hold an assignment, by its id; the first of an id wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        if (folder / FILE).is_file():
            found.setdefault(_id_of(folder), folder)
    return found


def _refuse_twins(folders: list[Path]) -> None:
    """Raise AssignmentError where two of the folders give one id: a copy for the next year."""
    first: dict[str, Path] = {}
    for folder in folders:
        if (folder / FILE).is_file():
            other = first.setdefault(_id_of(folder), folder)
            if other != folder:
                raise AssignmentError(
                    f"{folder} and {other.name} beside it have the same id, {_id_of(folder)!r}: "
                    f"give one of them another in its {FILE}"
                )


def _id_of(folder: Path) -> str:
    """Return the assignment's id; the folder's name where the file is broken."""
    name = folder.parent.name if folder.name == "checks" else folder.name
    try:
        value = tomllib.loads((folder / FILE).read_text(encoding="utf-8")).get("id")
    except (OSError, ValueError):
        return name
    return value if isinstance(value, str) and value else name


# --- loading ------------------------------------------------------------------------------


def load_assignment(folder: Path) -> Assignment:
    """Return the assignment in `folder`, its notebooks and stubs read.

    Raises AssignmentError, which names the file, the key and what to do.
    """
    path = folder / FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AssignmentError(f"{path}: can't be read ({error.strerror})") from error
    except ValueError as error:
        raise AssignmentError(f"{path}: is no TOML: {error}") from error
    table = _Table(document, str(path))
    assignment_id = table.text("id")
    title = table.text("title", default=assignment_id)
    public = table.flag("public")
    limits = _limits(table.table("limits"))
    data = table.table("data")
    datasets = data.texts("datasets")
    data.done()
    rules = _rules(table.table("rules"))
    entries = [_notebook_entry(entry) for entry in table.tables("notebooks")]
    names = tuple(name for name, _ in entries)
    if not names:
        raise AssignmentError(f'{path}: it has no [[notebooks]]; name one: file = "x.ipynb"')
    _refuse_duplicates(names, f"{path}: [[notebooks]] file")
    exercises = tuple(_exercise(entry, rules) for entry in table.tables("exercises"))
    if not exercises:
        raise AssignmentError(f"{path}: it has no [[exercises]]")
    _refuse_duplicates([exercise.id for exercise in exercises], f"{path}: [[exercises]] id")
    table.done()
    notebooks, stubs = _notebooks(folder, names, assignment_id, public=public)
    for exercise in exercises:
        _hold_against(exercise, stubs if public else notebooks, path, public=public)
    check_files = tuple(sorted(folder.glob("test_*.py")))
    if not check_files and not public and any(not exercise.manual for exercise in exercises):
        raise AssignmentError(f"{folder}: it has no check file; add test_<topic>.py")
    return Assignment(
        id=assignment_id,
        title=title,
        folder=folder,
        exercises=exercises,
        notebook_names=names,
        check_files=check_files,
        limits=limits,
        rules=rules,
        datasets=datasets,
        notebooks=notebooks,
        stubs=stubs,
        requires={name: packages for name, packages in entries if packages},
        public_only=public,
    )


def _notebooks(
    folder: Path, names: tuple[str, ...], assignment_id: str, *, public: bool
) -> tuple[dict[str, Notebook], dict[str, Notebook]]:
    """Return (solved notebooks, stubs) by file name; a student's copy has no solved ones."""
    notebooks: dict[str, Notebook] = {}
    stubs: dict[str, Notebook] = {}
    for name in names:
        path = folder / "stubs" / name if public else folder / name
        try:
            notebook = read_notebook(path, name=name)
        except SubmissionError as error:
            raise AssignmentError(f"{path.parent}: {error}") from error
        if public:
            stubs[name] = notebook
            continue
        notebooks[name] = notebook
        try:
            stubs[name] = stub_notebook(notebook, assignment=assignment_id, file=name)
        except AssignmentError as error:
            raise AssignmentError(f"{path.parent}: {error}") from error
    return notebooks, stubs


def _hold_against(
    exercise: Exercise, notebooks: Mapping[str, Notebook], path: Path, *, public: bool
) -> None:
    """Raise AssignmentError where the exercise names what isn't there."""
    where = f"{path}: exercise {exercise.id!r}"
    if not exercise.notebook:
        if exercise.manual and not exercise.functions:
            return
        raise AssignmentError(f"{where} names no `notebook`; it may be {_listed(notebooks)}")
    if exercise.notebook not in notebooks:
        raise AssignmentError(
            f"{where}: there is no [[notebooks]] file {exercise.notebook!r}; "
            f"it may be {_listed(notebooks)}"
        )
    if public:
        return  # a stub may lack what stands in a gap as a whole
    notebook = notebooks[exercise.notebook]
    for name in (*exercise.functions, *exercise.needs):
        if name not in notebook.definitions:
            raise AssignmentError(
                f"{where}: {exercise.notebook} defines no {name!r}; "
                f"it defines {_listed(notebook.definitions)}"
            )
    headings = {
        line.lstrip("#").strip()
        for cell in notebook.cells
        if cell.kind == "markdown"
        for line in cell.source.split("\n")
        if line.startswith("#")
    }
    for heading in exercise.answer_cells:
        if heading not in headings:
            raise AssignmentError(
                f"{where}: {exercise.notebook} has no Markdown heading {heading!r}"
            )


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "nothing"


def _refuse_duplicates(values: tuple[str, ...] | list[str], where: str) -> None:
    for value in values:
        if values.count(value) > 1:
            raise AssignmentError(f"{where} {value!r} comes twice")


# --- the parts of the file ------------------------------------------------------------------


def _limits(table: _Table) -> Limits:
    given: dict[str, Any] = {}
    for field in fields(Limits):
        default = field.default
        assert isinstance(default, int | float)
        value = table.number(field.name, default=default)
        if value <= 0:
            raise AssignmentError(f"{table.where} {field.name} must be more than 0, not {value}")
        given[field.name] = int(value) if isinstance(default, int) else float(value)
    table.done()
    return Limits(**given)


def _rules(table: _Table, base: Rules | None = None) -> Rules:
    """Return the rules; what an exercise's own table doesn't give, the assignment's does."""
    base = base or Rules()
    rules = Rules(
        forbidden_imports=table.texts("forbidden_imports", default=base.forbidden_imports),
        forbidden_calls=table.texts("forbidden_calls", default=base.forbidden_calls),
        deduction=float(table.number("deduction", default=base.deduction)),
    )
    if not 0 <= rules.deduction <= 1:
        raise AssignmentError(f"{table.where} deduction must lie in [0, 1], not {rules.deduction}")
    table.done()
    return rules


def _notebook_entry(table: _Table) -> tuple[str, tuple[str, ...]]:
    """Return a notebook's file name and the packages that it needs besides ours."""
    name = table.text("file")
    requires = table.texts("requires")
    table.done()
    if name != Path(name).name or not name.lower().endswith((".ipynb", ".py")):
        raise AssignmentError(f"{table.where} file {name!r} must be the name of an .ipynb or .py")
    for package in requires:
        if not package.isidentifier():
            raise AssignmentError(
                f"{table.where} requires {package!r}: name a package as it is imported and as "
                "pip installs it, such as torch"
            )
    return name, requires


def _exercise(table: _Table, rules: Rules) -> Exercise:
    exercise = Exercise(
        id=table.text("id"),
        title=table.text("title"),
        points=float(table.number("points")),
        notebook=table.text("notebook", default=""),
        functions=table.texts("functions"),
        needs=table.texts("needs"),
        manual=table.flag("manual"),
        bonus=table.flag("bonus"),
        rules=_rules(table.table("rules"), rules) if "rules" in table.values else None,
        answer_cells=table.texts("answer_cells"),
    )
    table.done()
    if exercise.points <= 0:
        raise AssignmentError(f"{table.where} points must be more than 0, not {exercise.points:g}")
    return exercise


class _Table:
    """A TOML table whose keys are taken one by one; what nobody took is unknown."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self.values = values
        self.where = f"{where}:"
        self._path = where
        self._taken: set[str] = set()

    def _take(self, key: str, default: _T | None, kinds: tuple[type, ...], noun: str) -> Any:
        self._taken.add(key)
        if key not in self.values:
            if default is None:
                raise AssignmentError(f"{self.where} `{key}` is missing; it is {noun}")
            return default
        value = self.values[key]
        # A bool is an int to Python, and no number to anybody else.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise AssignmentError(f"{self.where} `{key}` must be {noun}, not {value!r}")
        return value

    def text(self, key: str, *, default: str | None = None) -> str:
        value: str = self._take(key, default, (str,), "a text")
        if default is None and not value.strip():
            raise AssignmentError(f"{self.where} `{key}` is empty")
        return value

    def number(self, key: str, *, default: float | None = None) -> float:
        value: float = self._take(key, default, (int, float), "a number")
        if not math.isfinite(value):
            raise AssignmentError(f"{self.where} `{key}` must be finite, not {value}")
        return value

    def flag(self, key: str) -> bool:
        value: bool = self._take(key, False, (bool,), "true or false")
        return value

    def texts(self, key: str, *, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        values = self._take(key, default, (list, tuple), "a list of texts")
        for value in values:
            if not isinstance(value, str) or not value:
                raise AssignmentError(f"{self.where} `{key}` must be a list of texts")
        return tuple(values)

    def table(self, key: str) -> _Table:
        return _Table(self._take(key, {}, (dict,), "a table"), f"{self._path}: [{key}]")

    def tables(self, key: str) -> list[_Table]:
        values = self._take(key, [], (list,), "a list of tables")
        if not all(isinstance(value, dict) for value in values):
            raise AssignmentError(f"{self.where} `{key}` must be [[{key}]] tables")
        return [
            _Table(value, f"{self._path}: [[{key}]] {_title(value, number)}")
            for number, value in enumerate(values, start=1)
        ]

    def done(self) -> None:
        """Raise AssignmentError for the keys that nobody knows."""
        unknown = sorted(set(self.values) - self._taken)
        if unknown:
            known = ", ".join(sorted(self._taken))
            raise AssignmentError(f"{self.where} unknown key `{unknown[0]}`; known are {known}")


def _title(value: Mapping[str, Any], number: int) -> str:
    name = value.get("id", value.get("file"))
    return repr(name) if isinstance(name, str) else f"number {number}"
