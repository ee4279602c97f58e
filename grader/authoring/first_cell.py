"""How students check their work: the first cell of their notebooks, and a README beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from grader.records import Assignment, Environment

FIRST_CELL = """\
# Check your work as you go: `%grade` in a cell checks what has run so far, `%grade EXERCISE` one.
try:
    %load_ext grader
except ModuleNotFoundError:
    print("To check your work here: pip install numgrade")"""


def first_cell(environment: Environment | None, *, script: bool = False) -> str:
    """Return the source of the first cell, with the environment as PEP 723 metadata.

    script : a script gets only the environment, since `%grade` is not Python
    """
    block = script_block(environment)
    if script:
        return block
    return f"{block}\n{FIRST_CELL}" if block else FIRST_CELL


def script_block(environment: Environment | None) -> str:
    """Return the environment as inline script metadata (PEP 723); "" without one."""
    if environment is None or not (environment.python or environment.requirements):
        return ""
    lines = ["/// script"]
    if environment.python:
        minor = int(environment.python.partition(".")[2])
        lines.append(f'requires-python = ">=3.{minor},<3.{minor + 1}"')
    lines.append("dependencies = [")
    lines += [f"    {json.dumps(requirement)}," for requirement in environment.requirements]
    lines += ["]", "///"]
    return "\n".join(f"# {line}" for line in lines)


def readme(assignment: Assignment) -> str:
    """Return the README of the students' folder."""
    notebooks = assignment.notebook_names
    checked = [e.id for e in assignment.exercises if not e.manual]
    one = notebooks[0]
    lines = [
        f"# {assignment.title}",
        "",
        f"Fill in {_listed(notebooks)}: write your code between the markers. Do not change names "
        "and markers.",
        "",
        f"- Once: `pip install numgrade`. Then `grade {one}` in this folder checks a notebook"
        + (f", `grade {_all_of(notebooks)}` all of them." if len(notebooks) > 1 else "."),
    ]
    if any(not name.lower().endswith(".py") for name in notebooks):
        lines.append(
            "- Or in the notebook: run its first cell, then `%grade`"
            + (f", or `%grade {checked[0]}` for one exercise." if checked else ".")
        )
    lines += [
        "- The checks are in `checks/`. Your instructor runs these checks and hidden ones.",
    ]
    if assignment.files:
        names = list(dict.fromkeys(_top(name) for name in assignment.files))
        lines.append(
            f"- {_listed(names)} {'lies' if len(names) == 1 else 'lie'} beside the notebook. "
            "Grading uses the original files, so do not change them."
        )
    if assignment.environment is not None:
        lines += _of_environment(assignment.environment)
    return "\n".join(lines) + "\n"


def _all_of(notebooks: Sequence[str]) -> str:
    """Return all notebooks as arguments of a shell command."""
    scripts = [name for name in notebooks if name.lower().endswith(".py")]
    return " ".join([*(["*.ipynb"] if len(scripts) < len(notebooks) else []), *scripts])


def _of_environment(environment: Environment) -> list[str]:
    python = f"Python {environment.python}" if environment.python else "your Python"
    if environment.lock:
        what, install = f"`{environment.lock}`", f"uv pip install -r {environment.lock}"
    else:
        quoted = " ".join(f'"{requirement}"' for requirement in environment.requirements)
        what = ", ".join(f"`{requirement}`" for requirement in environment.requirements)
        install = f"uv pip install {quoted}"
    version = f" --python {environment.python}" if environment.python else ""
    return [
        f"- It is graded in {python}{f' with {what}' if what else ''}. To have the same: "
        f"`uv venv{version} && {install} ipykernel`, and take that kernel.",
        "- `grade` in this folder runs in it after `grade env build --assignments checks`.",
    ]


def _top(name: str) -> str:
    return name.partition("/")[0] + "/" if "/" in name else name


def _listed(names: Sequence[str]) -> str:
    shown = [f"`{name}`" for name in names]
    return ", ".join(shown[:-1]) + (f" and {shown[-1]}" if len(shown) > 1 else shown[0])
