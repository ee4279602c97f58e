"""Starts a student's kernel: `python -P launch.py '{"address": "unix:...", ...}'`.

It runs in a folder that holds a copy of the submission. Options (JSON):

    address, token    of the grader's listener for the kernel's messages
    beside            the notebook's folder, relative to the submission's
    draw              whether figures become pictures, or a list of the cells whose figures do
    seed              for `random` and `np.random` before the first cell
    output_bytes      how much output of a cell the kernel sends
    datasets          folder of the data sets that are served offline, or null
    profile           an empty folder for IPython
    fault             a file that says why the kernel did not start
    lifeline          descriptor of a pipe; this process ends with it (see lifeline.py). Absent if
                      the sandbox's launcher ends this process
    plan              how this process is sandboxed (see confine.py); absent without a sandbox

prepare() uses nothing of a student, so a fork server (fork_server.py) calls it once for all its
forks. become_kernel() then runs in each student's own process.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent

# No file of a submission can replace these modules, even if it is called random.py or numpy.py. A
# file may be called test.py.
PROTECTED = (sys.stdlib_module_names - {"test", "this", "antigravity"}) | {
    "numpy", "scipy", "matplotlib", "mpl_toolkits", "pandas", "sklearn", "PIL", "joblib",
    "threadpoolctl", "cycler", "kiwisolver", "contourpy", "pyparsing", "packaging", "dateutil",
    "six", "fontTools", "IPython", "ipykernel", "jupyter_client", "jupyter_core", "zmq", "tornado",
    "traitlets", "comm", "psutil", "pygments", "stack_data", "decorator", "prompt_toolkit",
    "wcwidth", "jedi", "parso", "torch", "torchvision", "autograd", "jax", "tensorflow",
}  # fmt: skip


def main(options: dict[str, Any]) -> None:
    """Run the kernel until it serves the grader or is killed."""
    hollow_package()
    from grader.in_kernel.system import lift_memory_limit

    lift_memory_limit()
    if "lifeline" in options:
        from grader.in_kernel.lifeline import end_with

        end_with(options["lifeline"])
    enter_sandbox(options)
    become_kernel(prepare(options["profile"]), options)


def enter_sandbox(options: dict[str, Any]) -> None:
    """Sandbox this process, if there is a plan."""
    if "plan" in options:
        from grader.in_kernel.sandbox import confine

        confine.enter_sandbox(options.pop("plan"))


def prepare(profile: str) -> Any:
    """Return a new kernel, after all its imports.

    profile : an empty folder
    """
    # The agent is imported before student code runs.
    from grader.in_kernel import agent, kernel, legacy, own_modules, shared_maps  # noqa: F401

    legacy.install()
    shared_maps.install()
    return kernel.make_kernel(profile)


def become_kernel(kernel: Any, options: dict[str, Any]) -> None:
    """Run the cells that the grader sends, then serve its checks. Never returns."""
    with contextlib.suppress(OSError):  # a notebook made in memory has no folder
        os.chdir(options["beside"])
    if kernel.given is not None:
        kernel.given.take_over(options["draw"])
    else:
        begin_notebook(options)
    kernel.outlet.open(options["address"], options["token"], options["output_bytes"])
    options["fault"].close()
    kernel.run()


def begin_notebook(options: dict[str, Any]) -> None:
    """Set up the state in which a notebook's first cell starts."""
    import numpy as np

    from grader.in_kernel import figures

    figures.draw_in(options["draw"])
    if options["datasets"]:
        from grader.in_kernel import offline_data

        if options["datasets"] != offline_data.installed:  # else the fork server has done it
            offline_data.install(options["datasets"])
    random.seed(options["seed"])
    np.random.seed(options["seed"])
    add_working_folder()
    sys.argv = [""]  # a notebook that parses arguments must not find these options


def hollow_package() -> None:
    """Make `grader.in_kernel` importable without running grader/__init__.py.

    A student's notebook may call `grader.check()`; it does nothing in this process, which has no
    checks.
    """
    package = ModuleType("grader")
    package.__path__ = [str(PACKAGE)]
    package.check = package.load_ipython_extension = _do_nothing  # type: ignore[attr-defined]
    sys.modules["grader"] = package


def _do_nothing(*args: object, **kwargs: object) -> None: ...


def add_working_folder() -> None:
    """Put the notebook's folder first on the path, as Jupyter does.

    So a notebook can import the student's own modules; but none of them replaces a PROTECTED one.
    """
    from grader.in_kernel import own_modules

    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, _ProtectedFinder(folder))
    own_modules.add_own_finder(folder)


class _ProtectedFinder(importlib.abc.MetaPathFinder):
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or fullname not in PROTECTED:
            return None
        elsewhere = [p for p in sys.path if p and not p.startswith(self.folder)]
        return importlib.machinery.PathFinder.find_spec(fullname, elsewhere)


@contextlib.contextmanager
def fault_written(options: dict[str, Any]) -> Any:
    """Write an error that comes before the kernel runs into the file that the grader reads."""
    # Opened now: a sandboxed process can't create a file there.
    fault = options["fault"] = Path(options["fault"]).open("w", encoding="utf-8")  # noqa: SIM115
    try:
        yield
    except BaseException:
        if not fault.closed:
            fault.write(traceback.format_exc())
            fault.close()
        raise


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):  # started without -P
        del sys.path[0]  # this file's folder
    _options = json.loads(sys.argv[1])
    with fault_written(_options):
        main(_options)
