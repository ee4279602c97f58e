"""What the commands share: exit codes, settings, and each common option once."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from grader.warm.held import Held

GRADED = 0
UNDER = 1  # under --fail-under; verify found a survivor; stubs are out of date
WRONG_INPUT = 2  # the same as click's own for wrong usage
FAULT = 3
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
TERMINATED = 143  # 128 + SIGTERM
PIPE_CLOSED = 141  # 128 + SIGPIPE: `grade ... | head` has read enough

EXIT_CODES = """\b
Exit codes:
  0  graded
  1  under --fail-under; a survivor of verify; stubs out of date
  2  the input or the usage is wrong, or nothing could be read
  3  a fault of the grader: no student loses points by it
"""
SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 88}

_Function = TypeVar("_Function", bound=Callable[..., Any])
Option = Callable[[_Function], _Function]


@dataclass
class Invocation:
    """What was asked of the command as a whole; click passes it to each command as `obj`.

    arguments, program : as the command was called
    held : what an earlier run has kept, in a process that does this one (see grader.warm)
    """

    arguments: Sequence[str] = ()
    program: str = "grade"
    held: Held | None = None
    tracebacks: bool = field(
        default_factory=lambda: os.environ.get("GRADE_TRACEBACK", "") not in ("", "0")
    )


def _show_tracebacks(context: click.Context, option: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Invocation).tracebacks = True


# Eager: it matters most when a command fails before its end, by another option, say.
traceback = click.option(
    "--traceback",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_tracebacks,
    help="Show the traceback of a fault of the grader.",
)


def command(name: str, *, cls: type[click.Command] = click.Command, **settings: Any) -> Any:
    """Return the decorator that makes a function a command with what every command has."""
    made = click.command(name, cls=cls, context_settings=SETTINGS, epilog=EXIT_CODES, **settings)
    return lambda function: traceback(made(function))  # last in the help


def group(name: str, **settings: Any) -> Any:
    """Return the decorator that makes a function a command with commands of its own."""
    return command(name, cls=click.Group, **settings)


def subcommand(parent: click.Group, name: str, **settings: Any) -> Any:
    """Return the decorator that makes a function a command of `parent`."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        made: click.Command = command(name, **settings)(function)
        parent.add_command(made)
        return made

    return decorate


assignments = click.option(
    "--assignments",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of assignments. Default: $GRADE_ASSIGNMENTS, else the nearest reference/ upwards.",
)
sandbox = click.option(
    "--sandbox",
    type=click.Choice(["auto", "strict", "none"]),
    default="auto",
    show_default=True,
    help="auto: run notebooks in every layer of the sandbox that this machine offers. strict: "
    "refuse to grade where a layer is missing. none: no sandbox, for code of your own.",
)
json_file = click.option(
    "--json", "json_file", metavar="FILE", help='Write JSON; "-" is standard output.'
)
junit_file = click.option(
    "--junit", "junit_file", metavar="FILE", help='Write JUnit XML; "-" is standard output.'
)
reports = click.option(
    "--report",
    "reports",
    metavar="NAME=FILE",
    multiple=True,
    help='Write the report of a plugin; "-" is standard output. Repeatable.',
)
html_folder = click.option(
    "--html", "html_folder", metavar="DIR", help="Write one HTML page a submission."
)
for_students = click.option(
    "--for-students",
    "for_students",
    is_flag=True,
    help="Show and write what students may read: of a hidden check, nothing that the student's "
    "code said in it.",
)


def jobs(help: str) -> Any:
    """Return the option --jobs; the help says what the processes do."""
    return click.option("--jobs", metavar="N", type=click.IntRange(min=1), help=help)
