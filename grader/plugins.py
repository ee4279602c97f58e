"""Plugin points: what other packages may add, found by the entry point `grade.plugins`.

    # in the plugin's pyproject.toml
    [project.entry-points."grade.plugins"]
    example = "grade_example"

    # in grade_example.py
    from grader.plugins import Reporter, hookimpl

    @hookimpl
    def grade_reporters():
        return [Reporter("count", lambda report: [f"{len(report.results)} submissions\\n"])]

Hooks lists the hooks, with their arguments and results. Only packages in this Python's own folders
are searched: never the working folder, $PYTHONPATH or the submissions, so that a submission can't
supply a plugin. pluggy, which pytest installs, calls the hooks.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

import pluggy

from grader.errors import PluginError
from grader.records import Origin, Report

GROUP = "grade.plugins"
hookspec = pluggy.HookspecMarker("grade")
hookimpl = pluggy.HookimplMarker("grade")


@dataclass(frozen=True)
class Reporter:
    """A format that `grade --report NAME=FILE` writes.

    pieces : takes the report, gives the text of the file, piece by piece
    """

    name: str
    pieces: Callable[[Report], Iterable[str]]


@dataclass(frozen=True)
class Handed:
    """What one student handed in, from an export that a plugin has split.

    path : a file or folder, below the folder that the plugin was given, or the export itself
    shown : its name in the report
    origin : the platform's keys and the students' names
    """

    path: Path
    shown: str
    origin: Origin = field(default_factory=Origin)


class Hooks:
    """The hooks that a plugin may define, under these names and with the decorator `hookimpl`."""

    @hookspec
    def grade_reporters(self) -> Sequence[Reporter]:  # type: ignore[empty-body]
        """Return further formats of reports, besides JSON, JUnit and HTML."""

    @hookspec(firstresult=True)
    def grade_export(self, path: Path, into: Path) -> Sequence[Handed] | None:
        """Return what each student handed in, from a platform's export; None for other files.

        path : a file or folder that the instructor named
        into : a folder to unpack into; it may not exist yet
        """

    @hookspec(firstresult=True)
    def grade_import(self, path: Path) -> str | None:
        """Return the text of an .ipynb with the solved notebook in it; None for other files.

        path : what the instructor named with `grade new --from`
        """

    @hookspec
    def grade_check_helpers(self) -> Sequence[object]:  # type: ignore[empty-body]
        """Return modules or objects whose pytest fixtures checks may ask for.

        They are pytest plugins, and run in the grader's process with the checks.
        """


# --- what the stages use ------------------------------------------------------------------


def reporters() -> dict[str, Reporter]:
    """Return the formats that plugins add, by name. Raises PluginError."""
    return {one.name: one for given in _call("grade_reporters") for one in given or ()}


def take_export_apart(path: Path, into: Path) -> Sequence[Handed] | None:
    """Return what each student handed in, if a plugin knows the export. Raises PluginError."""
    found: Sequence[Handed] | None = _call("grade_export", path=path, into=into)
    return found


def import_notebook(path: Path) -> str | None:
    """Return the .ipynb that a plugin makes of an instructor's file. Raises PluginError."""
    found: str | None = _call("grade_import", path=path)
    return found


def check_helpers() -> list[object]:
    """Return the pytest plugins that plugins add for checks. Raises PluginError."""
    return [one for given in _call("grade_check_helpers") for one in given or ()]


def _call(name: str, **given: object):  # type: ignore[no-untyped-def]
    try:
        return getattr(_manager().hook, name)(**given)
    except PluginError:
        raise
    except (Exception, SystemExit) as error:  # it is other people's code
        raise PluginError(
            f"a plugin failed in {name} ({type(error).__name__}: {error}): fix or uninstall it; "
            f"installed are {', '.join(installed()) or 'none'}"
        ) from error


def helpers_failed(error: Exception) -> PluginError:
    """Return the error for helpers of a plugin that broke the collection of checks."""
    return PluginError(
        f"a plugin's helpers for checks failed ({type(error).__name__}: {error}): mend or "
        f"uninstall it; installed are {', '.join(installed()) or 'none'}"
    )


# --- finding ------------------------------------------------------------------------------


def installed() -> dict[str, metadata.EntryPoint]:
    """Return the entry points of the plugins that are installed, by "distribution: name"."""
    found = {}
    for distribution in metadata.distributions(path=_own_folders()):
        # Most packages have no such entry: a look at the text is enough.
        if GROUP in (distribution.read_text("entry_points.txt") or ""):
            for entry in distribution.entry_points.select(group=GROUP):
                found[f"{distribution.metadata['Name']}: {entry.name}"] = entry
    return found


@cache
def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("grade")
    manager.add_hookspecs(Hooks)
    for name, entry in installed().items():
        try:
            with _without_the_working_folder():
                manager.register(entry.load(), name)
            manager.check_pending()
        except (Exception, SystemExit) as error:
            raise PluginError(
                f"the plugin {name} can't be loaded ({type(error).__name__}: {error}): mend or "
                "uninstall it"
            ) from error
    return manager


def _own_folders() -> list[str]:
    """Return the folders of this Python into which packages are installed."""
    folders = [
        *site.getsitepackages(),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
    ]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return list(dict.fromkeys(folders))


@contextmanager
def _without_the_working_folder() -> Iterator[None]:
    """Import nothing from the working folder: a submission there may have a plugin's name.

    `python -m` puts that folder first.
    """
    before = sys.path[:]
    here = os.path.realpath(os.curdir)
    if sys.path and os.path.realpath(sys.path[0] or os.curdir) == here:
        del sys.path[0]
    try:
        yield
    finally:
        sys.path[:] = before
