"""Has pytest collect the check files, as its own `main` does, and ends it again."""

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


@contextmanager
def open_suite(assignment: Assignment, *, wanted: str = "") -> Iterator[Suite]:
    """Collect the assignment's checks; yield what runs them for one job after the other.

    wanted : a check's name or an exercise's id; errors in other checks are ignored
    Raises AssignmentError where a check file can't be loaded or disagrees with assignment.toml.
    """
    if not assignment.check_files:
        raise AssignmentError(f"{assignment.folder} holds no check file (test_*.py)")
    plugin = Plugin(assignment)
    # Our own empty directory as rootdir: no configuration file is found from there.
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
    """Yield the collected checks; what pytest set up ends with the block.

    The steps of pytest.main and of `wrap_session` in _pytest/main.py, with the block in the place
    of their loop. What they catch comes out here as it is.
    """
    here = Path.cwd()
    helpers = check_helpers()
    with _failing_as_helpers(helpers):
        config = _prepareconfig(arguments, [plugin, *helpers])
    # The grader reports failures; pytest would parse each frame's source for nothing.
    config.option.tbstyle = "line"
    # What the terminal's plugin, which is off, would bring: before 9.1 pytest compares with it.
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
            os.chdir(here)  # a check may have left it
            config.hook.pytest_sessionfinish(session=session, exitstatus=pytest.ExitCode.OK)
    finally:
        config._ensure_unconfigure()


@contextmanager
def _failing_as_helpers(helpers: Sequence[object]) -> Iterator[None]:
    """Say of what breaks pytest itself that it is a plugin's doing, where plugins bring helpers.

    A check file that raises breaks nothing: pytest makes a report of it.
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
    """Keep the user's own pytest settings out, and what pytest sets from staying."""
    kept = {name: os.environ.pop(name, None) for name in ("PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST")}
    autoload = os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    # Names modules that pytest imports as plugins.
    kept["PYTEST_PLUGINS"] = os.environ.pop("PYTEST_PLUGINS", None)
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        kept["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = autoload
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
