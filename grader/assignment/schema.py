"""The schema of assignment.toml: each table with its keys, types and defaults.

The file format is stable: keys may be added, but none changes its meaning.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, UnsetType

from grader.records import (
    Deadline,
    DerivationTarget,
    DerivationTask,
    Environment,
    Exercise,
    Limits,
    Rules,
)

Text = Annotated[str, msgspec.Meta(min_length=1)]
OLDEST = (3, 10)
"""The oldest Python that a notebook may run in, since the grader's agent runs there, too."""
Count = Annotated[int, msgspec.Meta(gt=0)]
Size = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


def _require_finite(name: str, value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, not {value}")


class LimitsTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[limits]: see records.Limits, whose defaults these are."""

    cell_s: Size = Limits.cell_s
    notebook_s: Size = Limits.notebook_s
    check_s: Size = Limits.check_s
    checks_s: Size = Limits.checks_s
    reply_mib: Count = Limits.reply_mib
    output_mib: Count = Limits.output_mib
    memory_mib: Count = Limits.memory_mib
    processes: Count = Limits.processes
    scratch_mib: Count = Limits.scratch_mib
    open_files: Count = Limits.open_files

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            _require_finite(name, getattr(self, name))

    def record(self) -> Limits:
        return Limits(**msgspec.structs.asdict(self))


class RulesTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[rules] and [exercises.rules]: an exercise's own keys replace the assignment's."""

    forbidden_imports: tuple[Text, ...] | UnsetType = UNSET
    forbidden_calls: tuple[Text, ...] | UnsetType = UNSET
    deduction: Share | UnsetType = UNSET

    def record(self, base: Rules) -> Rules:
        given = msgspec.structs.asdict(self)
        return replace(base, **{k: value for k, value in given.items() if value is not UNSET})


class DataTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[data]"""

    datasets: tuple[Text, ...] = ()


class NotebookTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[[notebooks]]. requires : packages that it needs besides grade's, by their import names."""

    file: Text
    requires: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        name = self.file
        if name != Path(name).name or not name.lower().endswith((".ipynb", ".py")):
            raise ValueError(f"file {name!r} must be the name of an .ipynb or .py")
        for package in self.requires:
            if not package.isidentifier():
                raise ValueError(
                    f"requires {package!r}: name a package as it is imported and as "
                    "pip installs it, such as torch"
                )


class TargetTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[[exercises.derivation.reach]]: see records.DerivationTarget."""

    last: Text
    of: str = ""
    symbols: tuple[Text, ...] = ()
    least: Count = 1
    points: Annotated[float, msgspec.Meta(ge=0)] = 0.0

    def __post_init__(self) -> None:
        _require_finite("points", self.points)

    def record(self) -> DerivationTarget:
        return DerivationTarget(**msgspec.structs.asdict(self))


class DerivationTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[exercises.derivation]: what the sheet declares for a written derivation."""

    symbols: dict[str, Text] = {}
    sizes: dict[str, Annotated[int, msgspec.Meta(ge=1, le=12)]] = {}
    given: tuple[Text, ...] = ()
    aliases: dict[str, Text] = {}
    bare: dict[str, Text] = {}
    sums: Literal["explicit", "einstein"] = "explicit"
    variable: str = ""
    swapped: tuple[tuple[Text, Text], ...] = ()
    file: str = ""
    tag: str = ""
    reach: tuple[TargetTable, ...] = ()

    def __post_init__(self) -> None:
        name = self.file
        if name and (name != Path(name).name or not name.lower().endswith((".md", ".tex"))):
            raise ValueError(f"file {name!r} must be the name of a .md or .tex file")

    def record(self) -> DerivationTask:
        sheet = msgspec.to_builtins(self)
        for key in ("file", "tag", "reach"):
            del sheet[key]
        targets = tuple(target.record() for target in self.reach)
        return DerivationTask(sheet, targets, self.file, self.tag)


class ExerciseTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[[exercises]]: see records.Exercise."""

    id: Text
    title: Text
    points: Annotated[float, msgspec.Meta(ge=0)]
    notebook: str = ""
    functions: tuple[Text, ...] = ()
    needs: tuple[Text, ...] = ()
    values: tuple[Text, ...] = ()
    manual: bool = False
    bonus: bool = False
    rules: RulesTable | None = None
    answer_cells: tuple[Text, ...] = ()
    kind: Literal["checks", "derivation"] = "checks"
    derivation: DerivationTable | None = None
    follows: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        _require_finite("points", self.points)
        if self.id in self.follows and len(self.functions) < 2:
            raise ValueError(
                f"exercise {self.id!r}: `follows` names the exercise itself, which has one function"
            )
        if self.points == 0 and self.derivation is None:
            raise ValueError("`points` must be a number of more than 0")
        if (self.kind == "derivation") != (self.derivation is not None):
            raise ValueError(
                f'exercise {self.id!r}: kind = "derivation" and the table '
                "[exercises.derivation] go together"
            )
        if self.derivation is None:
            return
        if self.functions or self.needs or self.follows or self.values:
            raise ValueError(
                f"exercise {self.id!r}: a derivation has no `functions`, `values`, `needs` or "
                "`follows`"
            )
        task = self.derivation
        if not (task.file or task.tag or self.answer_cells):
            raise ValueError(
                f"exercise {self.id!r}: say where its text is: `answer_cells` (headings), or "
                "`tag` or `file` in [exercises.derivation]"
            )
        points = sum(target.points for target in task.reach)
        if points > self.points + 1e-9:
            raise ValueError(
                f"exercise {self.id!r}: what must be reached gives {points:g} points, and the "
                f"exercise has {self.points:g}"
            )

    def record(self, rules: Rules) -> Exercise:
        given = msgspec.structs.asdict(self)
        del given["kind"]
        if self.derivation is not None:
            given["derivation"] = self.derivation.record()
            given["manual"] = True  # a person gives its points
        given["rules"] = self.rules.record(rules) if self.rules is not None else None
        return Exercise(**given)


class StepTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[[deadline.steps]]: from that day on, that share."""

    days: Size
    share: Share


class DeadlineTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[deadline]: see records.Deadline. It does not change verdicts, only what they count."""

    due: object = None  # msgspec can't tell a date from a datetime in one union
    late_days: Annotated[int, msgspec.Meta(ge=0)] | None = None
    penalty_per_day: Share = 0.0
    steps: tuple[StepTable, ...] = ()
    cap: Share = 1.0
    attempts: Literal["last", "best", "first"] = "last"

    def __post_init__(self) -> None:
        if self.due is not None and not isinstance(self.due, date):
            raise ValueError(f"`due` must be a date, with or without a time, not {self.due!r}")
        if self.steps and self.penalty_per_day:
            raise ValueError("`steps` and `penalty_per_day` exclude each other")

    def record(self) -> Deadline:
        due = self.due
        if isinstance(due, date) and not isinstance(due, datetime):
            due = datetime.combine(due, time(23, 59, 59))  # a date: that whole day is in time
        return Deadline(
            due if isinstance(due, datetime) else None,
            self.late_days,
            self.penalty_per_day,
            tuple((step.days, step.share) for step in self.steps),
            self.cap,
            self.attempts,
        )


class EnvironmentTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """[environment]: see records.Environment."""

    python: str = ""
    requirements: tuple[Text, ...] = ()
    lock: str = ""
    wheels: str = ""
    inherit: bool = False

    def __post_init__(self) -> None:
        if self.python and not re.fullmatch(r"3\.\d{1,2}", self.python):
            raise ValueError(f'`python` must be a version such as "3.12", not {self.python!r}')
        if self.python and tuple(map(int, self.python.split("."))) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise ValueError(f"`python` must be {oldest} or newer, not {self.python}")
        for requirement in self.requirements:
            if requirement.startswith("-") or "\n" in requirement:
                raise ValueError(
                    f"requirement {requirement!r}: name a package with its version, as "
                    '"numpy<2.4"; options of pip have no place here'
                )
        if self.lock and self.requirements:
            raise ValueError("`requirements` and `lock` exclude each other")
        if not (self.python or self.requirements or self.lock or self.inherit):
            raise ValueError("it asks for nothing: give `python`, `requirements` or `lock`")

    def record(self) -> Environment:
        return Environment(**msgspec.structs.asdict(self))


class AssignmentFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The whole of assignment.toml."""

    id: Text
    notebooks: Annotated[tuple[NotebookTable, ...], msgspec.Meta(min_length=1)]
    exercises: Annotated[tuple[ExerciseTable, ...], msgspec.Meta(min_length=1)]
    title: str = ""
    public: bool = False
    files: tuple[Text, ...] = ()
    environment: EnvironmentTable | None = None
    limits: LimitsTable = LimitsTable()
    data: DataTable = DataTable()
    rules: RulesTable = RulesTable()
    deadline: DeadlineTable = DeadlineTable()
