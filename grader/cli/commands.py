"""The group of commands: it chooses one, and ends the process with its exit code."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem
from click_default_group import DefaultGroup

import grader
from grader.cli import options
from grader.cli.options import (
    FAULT,
    GRADED,
    INTERRUPTED,
    PIPE_CLOSED,
    TERMINATED,
    WRONG_INPUT,
    Invocation,
)
from grader.cli.output import complain
from grader.errors import GradeError, GraderFault, NotHeld, fault_line
from grader.session.scratch import remove_session_leftovers
from grader.text import one_line

if TYPE_CHECKING:
    from grader.warm.held import Held

# Any other word is a path to grade. In the order of `grade --help`.
DEFAULT = "grade"
COMMANDS = {
    "demo": "grader.cli.demo",
    "new": "grader.cli.new",
    "stubs": "grader.cli.stubs",
    "try": "grader.cli.trying",
    "verify": "grader.cli.verify",
    "results": "grader.cli.results",
    "regrade": "grader.cli.regrade",
    "env": "grader.cli.env",
    "pack": "grader.cli.pack",
    "review": "grader.cli.review",
    "data": "grader.cli.data",
    "doctor": "grader.cli.doctor",
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command with these arguments (None for the process's own), and exit."""
    # Imported objects stay: looking for garbage among them is a tenth of the start. All commands
    # import fewer. Once submissions are graded, it looks more often (watching.py).
    gc.set_threshold(200_000)
    # Before numpy is imported: a thread for each core would only slow it down, since processes
    # share the cores; and a process with one thread can be forked (batch/forked.py).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # nbformat validates an output by jsonschema anyway; by default it would compile the
    # schema of whole notebooks first, for 0.1 s.
    os.environ.setdefault("NBFORMAT_VALIDATOR", "jsonschema")
    _open_closed_streams()
    end_in_order_when_asked()
    program = "numgrade" if Path(sys.argv[0]).stem == "numgrade" else "grade"
    code = run(sys.argv[1:] if arguments is None else arguments, program=program)
    gc.freeze()  # Python would look at every object once more, for 0.1 s, before it ends
    sys.exit(code)


def end_in_order_when_asked() -> None:
    """Let SIGTERM do what Ctrl-C does: stop in good order, and leave nothing behind.

    `timeout`, batch systems and service managers send it.
    """
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end_in_order)


def _end_in_order(number: int, frame: FrameType | None) -> None:
    if not _asked_to_end:  # once is enough
        _asked_to_end.append(number)
        raise KeyboardInterrupt


_asked_to_end: list[int] = []


def _open_closed_streams() -> None:
    """Open the null device for each standard stream that was closed before the start (`2>&-`).

    Otherwise the first opened files get the numbers of these streams, and their output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115


def run(arguments: Sequence[str], *, program: str = "grade", held: Held | None = None) -> int:
    """Return the exit code; print one line for any error.

    program : the name in usage lines, and for shell completion
    held : kept by this process for such runs. Raises NotHeld if it does not fit
    """
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal can't encode must not lose the report.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    invocation = Invocation(tuple(arguments), program, held)
    try:
        code = _group.main(
            list(arguments), prog_name=program, standalone_mode=False, obj=invocation
        )
    except click.ClickException as error:
        error.show()
        return WRONG_INPUT
    except (click.Abort, KeyboardInterrupt) as stop:
        # click before 8.1.4 raises it without a cause.
        cause = stop.__context__ if isinstance(stop, click.Abort) else stop
        complain(str(cause or "") or "interrupted")
        # A worker that didn't end in time was killed, and has not cleaned up.
        remove_session_leftovers()
        return TERMINATED if _asked_to_end else INTERRUPTED
    except NotHeld:
        raise
    except GraderFault as fault:
        return _report_fault(fault, invocation)
    except GradeError as error:
        complain(str(error))
        return WRONG_INPUT
    except SystemExit as end:
        # Completion exits with 0; rich and click with 1 if standard output is closed.
        return GRADED if end.code == 0 else PIPE_CLOSED
    except Exception as error:
        return _report_fault(error, invocation)
    return code if isinstance(code, int) else GRADED


class Group(DefaultGroup):
    """The commands, each imported when it is needed; without a name, the default one.

    The default command is shown as the group itself: its usage, its options.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS and cmd_name not in self.commands:
            self.add_command(import_module(COMMANDS[cmd_name]).command, cmd_name)
        if self.default_cmd_name not in self.commands:
            self.add_command(import_module("grader.cli.grade").command, self.default_cmd_name)
        found: click.Command | None = super().get_command(ctx, cmd_name)
        return found

    def default_command(self, context: click.Context) -> click.Command:
        found = self.get_command(context, str(self.default_cmd_name))
        assert found is not None
        return found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            # click before 8.2 would print it to standard output, and end with 0.
            click.echo(ctx.get_help(), err=True, color=ctx.color)
            ctx.exit(WRONG_INPUT)
        # The group would take a leading "--" for its own, and the paths after it for options.
        if "--" in takewhile(lambda argument: argument.startswith("-"), args):
            args.insert(0, str(self.default_cmd_name))
        rest: list[str] = super().parse_args(ctx, args)
        return rest

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        default = self.default_command(ctx)
        if incomplete.startswith("-"):
            return default.shell_complete(ctx, incomplete)
        # Files first: click's bash script empties the list when it finds them.
        return [CompletionItem(incomplete, type="file"), *super().shell_complete(ctx, incomplete)]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        default = self.default_command(ctx)
        with default.make_context(ctx.info_name, [], resilient_parsing=True) as shown:
            default.format_usage(shown, formatter)
            default.format_help_text(shown, formatter)
            default.format_options(shown, formatter)
        click.Group.format_commands(self, ctx, formatter)
        default.format_epilog(shown, formatter)


@options.command(DEFAULT, cls=Group, default=f"<{DEFAULT}>")
@click.version_option(grader.__version__, prog_name="grade")
def _group() -> None:
    """Grade submissions."""


def _report_fault(error: Exception, invocation: Invocation) -> int:
    """Say in one line that the grader is at fault; keep or show the traceback."""
    trace = "".join(traceback.format_exception(error))
    what = f"{type(error).__name__}: {error}" if not isinstance(error, GradeError) else str(error)
    if invocation.tracebacks:
        click.echo(trace, err=True, nl=False)
        complain(f"a fault of the grader: {what}")
        return FAULT
    if (line := fault_line(what)) != what:  # the machine is at fault: a traceback does not help
        complain(line)
        return FAULT
    try:
        descriptor, file = tempfile.mkstemp(prefix="grade-fault-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as kept:
            kept.write(trace)
        where = f"its traceback is in {file}"
    except OSError:
        where = "--traceback shows where"
    complain(f"a fault of the grader: {one_line(what)} ({where})")
    return FAULT
