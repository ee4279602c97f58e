"""Collects the check files with pytest, as its own `main` does, and shuts pytest down again."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from _pytest._io import TerminalWriter
from _pytest.config import _prepareconfig

from grader.assignment.check_files import importable
from grader.errors import AssignmentError, GradeError
from grader.plugins import check_helpers, helpers_failed
from grader.records import Assignment
from grader.suite.check import checks_of
from grader.suite.interrupting import interruptible_in_c
from grader.suite.running import Plugin, Suite
from grader.temporary import TemporaryFolder

_NO_AUTOLOAD = "PYTEST_DISABLE_PLUGIN_AUTOLOAD"


@contextmanager
def open_suite(assignment: Assignment, *, wanted: str = "") -> Iterator[Suite]:
    """Collect the assignment's checks; yield the Suite that runs them.

    wanted : a check's name or an exercise's id; errors in other checks are ignored
    Raises AssignmentError if a check file can't be loaded or disagrees with assignment.toml.
    """
    if not assignment.check_files:
        raise AssignmentError(f"{assignment.folder} holds no check file (test_*.py)")
    plugin = Plugin(assignment)
    # An empty folder as rootdir: pytest finds no configuration file from there.
    with (
        TemporaryFolder() as root,
        _quiet_pytest(),
        importable(assignment.folder),
        _collected(_arguments(assignment.check_files, str(root)), plugin, assignment.id) as items,
    ):
        checks = checks_of(assignment, items, plugin.unloadable, wanted=wanted)
        yield Suite(assignment, checks, plugin)


def _arguments(files: Sequence[Path], root: str) -> list[str]:
    arguments = [
        *map(str, files),
        f"--rootdir={root}",
        f"--confcutdir={root}",
        f"--config-file={os.devnull}",
        "--noconftest",
        "--import-mode=importlib",
        "--strict-markers",
        "--capture=sys",
    ]
    for plugin in (
        "cacheprovider",
        "terminal",
        "doctest",
        "faulthandler",
        "logging",
        "unraisableexception",
        "threadexception",
        "junitxml",
        "pastebin",
    ):
        arguments += ["-p", f"no:{plugin}"]
    return arguments


@contextmanager
def _collected(
    arguments: list[str], plugin: Plugin, assignment: str
) -> Iterator[Sequence[pytest.Item]]:
    """Yield the collected checks; shut pytest down at the end of the block.

    The steps are those of pytest.main and of `wrap_session` in _pytest/main.py, with the block
    instead of their loop. Exceptions that those catch are raised here.
    """
    here = Path.cwd()
    helpers = check_helpers()
    with _failing_as_helpers(helpers):
        config = _prepareconfig(arguments, [plugin, *helpers])
    # The grader reports failures itself; pytest need not parse each frame's source.
    config.option.tbstyle = "line"
    # The terminal plugin, which is off, would define these; pytest before 9.1 uses them.
    config.option.verbose = 0
    config.get_terminal_writer = lambda: TerminalWriter(io.StringIO())  # type: ignore[method-assign]
    try:
        session = pytest.Session.from_config(config)
        with _failing_as_helpers(helpers):
            config._do_configure()
            config.hook.pytest_sessionstart(session=session)
        try:
            try:
                with _failing_as_helpers(helpers), interruptible_in_c():
                    config.hook.pytest_collection(session=session)
            except (pytest.UsageError, SystemExit, pytest.exit.Exception) as error:
                reason = str(error) or type(error).__name__
                if isinstance(error, SystemExit):
                    reason = f"a check file ends Python when it is loaded (SystemExit: {reason})"
                raise AssignmentError(
                    f"assignment {assignment}: the checks can't be collected: {reason}"
                ) from error
            yield session.items
        finally:
            os.chdir(here)  # a check may have changed the folder
            config.hook.pytest_sessionfinish(session=session, exitstatus=pytest.ExitCode.OK)
    finally:
        config._ensure_unconfigure()


@contextmanager
def _failing_as_helpers(helpers: Sequence[object]) -> Iterator[None]:
    """Report an error inside pytest as the fault of a plugin, if plugins bring helpers.

    An exception in a check file does not get here: pytest makes a report of it.
    """
    try:
        yield
    except (pytest.UsageError, pytest.exit.Exception, GradeError):
        raise
    except Exception as error:
        if not helpers:
            raise
        raise helpers_failed(error) from error


@contextmanager
def _quiet_pytest() -> Iterator[None]:
    """Within the block, ignore the user's pytest settings; undo afterwards what pytest has set."""
    # PYTEST_PLUGINS names modules that pytest imports.
    names = ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "PYTEST_PLUGINS", _NO_AUTOLOAD)
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ[_NO_AUTOLOAD] = "1"
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
