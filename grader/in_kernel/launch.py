"""Starts a student's kernel: `python -P launch.py '{"address": "unix:...", ...}'`.

Run by path, from the folder that holds a copy of what the student handed in. Options (JSON):

    address, token    where the grader listens for the kernel's messages
    draw              whether figures are shown as pictures, or a list of the cells whose are
    seed              of `random` and `np.random` before the first cell
    output_bytes      how much of a cell's output leaves the kernel
    datasets          folder of the data sets that are served offline, or null
    profile           an empty folder for IPython
    fault             file that says why the kernel did not start, if it didn't
    lifeline          end with the pipe of this descriptor (see lifeline.py); absent where the
                      sandbox's launcher ends this process
    plan              how this process is sandboxed (see confine.py); absent where it isn't

Two steps: prepare() holds nothing of a student's, so that a fork server (fork_server.py) takes it
once for all its forks; become_kernel() is each student's own.
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

# No file of a submission can replace these, even if it is called random.py or numpy.py. `test` may.
OURS_FIRST = (sys.stdlib_module_names - {"test", "this", "antigravity"}) | {
    "numpy", "scipy", "matplotlib", "mpl_toolkits", "pandas", "sklearn", "PIL", "joblib",
    "threadpoolctl", "cycler", "kiwisolver", "contourpy", "pyparsing", "packaging", "dateutil",
    "six", "fontTools", "IPython", "ipykernel", "jupyter_client", "jupyter_core", "zmq", "tornado",
    "traitlets", "comm", "psutil", "pygments", "stack_data", "decorator", "prompt_toolkit",
    "wcwidth", "jedi", "parso", "torch", "torchvision", "autograd", "jax", "tensorflow",
}  # fmt: skip


def main(options: dict[str, Any]) -> None:
    """Run the kernel until it serves the grader or is killed."""
    hollow_package()
    if "lifeline" in options:
        from grader.in_kernel.lifeline import end_with

        end_with(options["lifeline"])
    enter_sandbox(options)
    become_kernel(prepare(options["profile"]), options)


def enter_sandbox(options: dict[str, Any]) -> None:
    """Close this process in, if there is a plan."""
    if "plan" in options:
        from grader.in_kernel.sandbox import confine

        confine.enter_sandbox(options.pop("plan"))


def prepare(profile: str) -> Any:
    """Return a kernel that nobody has talked to yet, with what it needs imported.

    profile : an empty folder
    """
    from grader.in_kernel import agent, kernel, legacy  # noqa: F401  agent: first of all

    legacy.install()
    return kernel.make_kernel(profile)


def become_kernel(kernel: Any, options: dict[str, Any]) -> None:
    """Run the cells that the grader sends, then serve it. Returns never."""
    with contextlib.suppress(OSError):  # a notebook that lies nowhere: one made in memory
        os.chdir(options["beside"])
    if kernel.given is not None:
        kernel.given.take_over(options["draw"])
    else:
        begin_notebook(options)
    kernel.outlet.open(options["address"], options["token"], options["output_bytes"])
    options["fault"].close()
    kernel.run()


def begin_notebook(options: dict[str, Any]) -> None:
    """Make this process what a notebook's first cell finds."""
    import numpy as np

    from grader.in_kernel import figures

    figures.draw_in(options["draw"])
    if options["datasets"]:
        from grader.in_kernel import offline_data

        offline_data.install(options["datasets"])
    random.seed(options["seed"])
    np.random.seed(options["seed"])
    add_working_folder()
    sys.argv = [""]  # a notebook that parses arguments finds none, not these options


def hollow_package() -> None:
    """Let `grader.in_kernel` be imported without running grader/__init__.py.

    A student's notebook may hold `grader.check()`: here it does nothing, since nothing of the
    verdict is in this process.
    """
    package = ModuleType("grader")
    package.__path__ = [str(PACKAGE)]
    package.check = package.load_ipython_extension = _nothing  # type: ignore[attr-defined]
    sys.modules["grader"] = package


def _nothing(*args: object, **kwargs: object) -> None: ...


def add_working_folder() -> None:
    """Let the student's own modules be imported, as in Jupyter, from the folder of the notebook.

    First on the path, too, but for names that libraries import among themselves.
    """
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, _OursFirst(folder))


class _OursFirst(importlib.abc.MetaPathFinder):
    def __init__(self, folder: str) -> None:
        self.folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if path is not None or fullname not in OURS_FIRST:
            return None
        elsewhere = [p for p in sys.path if p and not p.startswith(self.folder)]
        return importlib.machinery.PathFinder.find_spec(fullname, elsewhere)


@contextlib.contextmanager
def fault_written(options: dict[str, Any]) -> Any:
    """Write errors, until the kernel runs, into the file that the grader reads."""
    # Opened now: a process that is sandboxed makes no file there.
    fault = options["fault"] = Path(options["fault"]).open("w", encoding="utf-8")  # noqa: SIM115
    try:
        yield
    except BaseException:
        if not fault.closed:
            fault.write(traceback.format_exc())
            fault.close()
        raise


if __name__ == "__main__":
    if not getattr(sys.flags, "safe_path", False):  # started without -P: this file's own folder
        del sys.path[0]
    _options = json.loads(sys.argv[1])
    with fault_written(_options):
        main(_options)
