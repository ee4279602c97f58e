"""`grade doctor`: show what this machine offers for grading.

Each finding comes from a trial: it starts and calls a kernel, binds a socket, reads a data set.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from grader.cli import options, output
from grader.cli.options import FAULT, GRADED
from grader.environments import python_of
from grader.errors import GradeError
from grader.records import Cell, Limits, Notebook
from grader.temporary import TemporaryFolder
from grader.text import one_line

if TYPE_CHECKING:
    from rich.console import Console

    from grader.session.sandbox_check import Probe

Status = Literal["ok", "note", "fault"]
Progress = Callable[[str], None]

OLDEST_PYTHON = (3, 11)
# From here on, `a[i, 0] = <array of shape (1, 1)>` is an error.
NUMPY_LIMIT = (2, 4)
PACKAGES = (
    "ipykernel",
    "jupyter-client",
    "nbclient",
    "nbformat",
    "pytest",
    "matplotlib",
    "scikit-learn",
    "jinja2",
    "rich",
    "click",
)


@dataclass(frozen=True)
class Finding:
    """One line of the answer.

    status : "ok"; "note", for a person to know; "fault", grading is not possible
    """

    name: str
    status: Status
    text: str


@options.command("doctor", short_help="Show what this machine offers.")
@options.assignments
def command(assignments: Path | None) -> int:
    """Show what this machine offers: python, kernels, isolation, data, assignments.

    Starts a real kernel and calls into it. Exits with 3 when notebooks can't be graded here.
    """
    console = output.console()
    with output.progress() as tell:
        findings = examine(assignments, progress=tell)
    show(findings, console)
    return GRADED if all(finding.status != "fault" for finding in findings) else FAULT


def examine(assignments: Path | None = None, *, progress: Progress | None = None) -> list[Finding]:
    """Return every finding, in the order of grading.

    assignments : folder of assignments; None to find it from $GRADE_ASSIGNMENTS or upwards
    """
    tell = progress or (lambda text: None)
    findings = [*find_python(), *find_packages(), find_fork(), find_sockets()]
    tell("starting a kernel")
    findings.append(find_kernel())
    tell("trying the sandbox")
    findings.append(find_isolation())
    findings += find_layers()
    tell("reading data sets")
    findings += find_data()
    findings += find_assignments(assignments)
    return findings


def show(findings: list[Finding], console: Console) -> None:
    """Print the findings, and a summary in the last line."""
    from rich.table import Table
    from rich.text import Text

    words: dict[Status, tuple[str, str]] = {
        "ok": ("ok", "green"),
        "note": ("note", "yellow"),
        "fault": ("fault", "bold red"),
    }
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for finding in findings:
        word, style = words[finding.status]
        name = Text(one_line(finding.name), style="bold")
        table.add_row(Text(word, style=style), name, Text(one_line(finding.text, 600)))
    console.print(table)
    console.print()
    faults = [finding.name for finding in findings if finding.status == "fault"]
    if faults:
        console.print(Text(f"Notebooks can't be graded here: {', '.join(faults)}.", style="red"))
    else:
        console.print(Text("Notebooks can be graded here."))


# --- findings -------------------------------------------------------------------------------


def find_python() -> Iterator[Finding]:
    version = platform.python_version()
    where = f"{version} on {platform.system()} {platform.machine()}, {os.cpu_count() or 1} cores"
    old = sys.version_info[:2] < OLDEST_PYTHON
    needed = ".".join(map(str, OLDEST_PYTHON))
    yield (
        Finding("python", "fault", f"{where}; {needed} or newer is needed")
        if old
        else Finding("python", "ok", where)
    )


def find_packages(version_of: Callable[[str], str] = metadata.version) -> Iterator[Finding]:
    """Yield a finding for numpy, and one for all other packages.

    version_of : name -> version; raises PackageNotFoundError
    """
    yield _find_numpy(version_of)
    versions, absent = [], []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {version_of(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        yield Finding("packages", "fault", f"not installed: {', '.join(absent)}")
    else:
        yield Finding("packages", "ok", ", ".join(versions))


def _find_numpy(version_of: Callable[[str], str]) -> Finding:
    try:
        version = version_of("numpy")
    except metadata.PackageNotFoundError:
        return Finding("numpy", "fault", "not installed")
    major, minor = (int(part) for part in version.split(".")[:2])
    if (major, minor) >= NUMPY_LIMIT:
        return Finding(
            "numpy",
            "fault",
            f"{version}: since 2.4, assigning a (1, 1) array to an element is an error, and right "
            "answers of earlier years would lose points; install 'numpy<2.4'",
        )
    return Finding("numpy", "ok", f"{version} (below 2.4, which fails right answers)")


def find_fork() -> Finding:
    from grader.in_kernel.system import CAN_FORK

    if CAN_FORK:
        return Finding("fork", "ok", "each check starts from a fork of the notebook's state")
    return Finding("fork", "note", "not offered by this system: checks share one process")


def find_sockets() -> Finding:
    """Bind a Unix socket as a session does; without it, loopback is used."""
    if hasattr(socket, "AF_UNIX"):
        try:
            with (
                TemporaryFolder() as folder,
                socket.socket(socket.AF_UNIX) as probe,
            ):
                probe.bind(str(Path(folder) / "probe"))
            return Finding("sockets", "ok", "Unix sockets carry the calls")
        except OSError as error:
            return Finding("sockets", "note", f"no Unix sockets ({error}): calls go over loopback")
    return Finding("sockets", "note", "no Unix sockets here: calls go over loopback")


def find_kernel() -> Finding:
    """Run a notebook of two cells in a real kernel and call the function that it defines."""
    notebook = Notebook(
        "probe.ipynb",
        (
            Cell(0, "code", "import numpy as np\nfactor = 2.0"),
            Cell(1, "code", "def scaled(x):\n    return factor * np.asarray(x)"),
        ),
    )
    started = time.perf_counter()
    try:
        from grader.session import open_session

        with TemporaryFolder() as folder:
            session = open_session(notebook, folder=Path(folder), limits=Limits(notebook_s=60.0))
            try:
                failed = [cell.error for cell in session.run.cells if cell.status != "ok"]
                if failed:
                    return Finding("kernel", "fault", f"a plain cell fails: {failed[0]}")
                with session.student(limit_s=20.0) as student:
                    answer = [float(value) for value in student.scaled([1.0, 2.5])]
            finally:
                session.close()
    except Exception as error:  # any error is the finding
        return Finding("kernel", "fault", f"does not start: {type(error).__name__}: {error}")
    if answer != [2.0, 5.0]:
        return Finding("kernel", "fault", f"2 * [1, 2.5] came back as {answer}")
    seconds = time.perf_counter() - started
    return Finding("kernel", "ok", f"starts, runs two cells and answers a call in {seconds:.1f} s")


def find_isolation() -> Finding:
    """Let a notebook try what student code must not do, and report what succeeded."""
    from grader.session import open_session

    with TemporaryFolder() as folder, socket.socket() as listener:
        # Readable by every user, so that only the sandbox can refuse it.
        folder.chmod(0o777)
        (folder / "secret").write_text("read me", encoding="ascii")
        (folder / "secret").chmod(0o644)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        probe = Notebook("probe.ipynb", (Cell(0, "code", _ATTEMPTS),))
        try:
            with (
                open_session(probe, folder=None, limits=Limits(notebook_s=60.0)) as session,
                session.student(limit_s=20.0) as student,
            ):
                reached = [str(word) for word in student.reached(str(folder), port, os.getpid())]
                isolation = session.isolation
        except Exception as error:  # any error is the finding
            return Finding("isolation", "note", f"not known: {type(error).__name__}: {error}")
    if reached:
        return Finding(
            "isolation",
            "note",
            f"student code can {', '.join(reached)}. {isolation.line()} Grade strangers' work in "
            "a container or with an account made for it.",
        )
    layers = ", ".join(isolation.applied)
    return Finding(
        "isolation",
        "ok",
        "a probe could not read or write other folders, reach the network or see the grader's "
        f"process. Layers: {layers}. {isolation.line()}".strip(),
    )


# Attempts of a student's process that one layer by itself must refuse.
_FORBIDDEN = {
    "limits": "taking more memory than the limit",
    "privileges": "making a device",
    "account": "reading a file of the grader's",
    "namespaces": "signalling the grader",
    "files": "looking at a file outside its folders",
    "landlock": "reading a file outside its folders",
    "seccomp": "opening a network socket",
}


def find_layers(probe: Callable[[str], Probe] | None = None) -> Iterator[Finding]:
    """Yield a finding for each layer: a process with only this layer tries what it forbids.

    probe : layer -> the outcome of the attempt
    """
    from grader.in_kernel.system import CAN_SANDBOX
    from grader.session import sandbox_check

    if not CAN_SANDBOX:
        yield Finding(
            "layers",
            "note",
            f"none on {platform.system()}: student code has this account's rights to files and "
            "network. Grade what strangers wrote on Linux.",
        )
        return
    for layer in sandbox_check.layers_here():
        tried = _FORBIDDEN[layer]
        try:
            found = (probe or sandbox_check.probe_alone)(layer)
        except GradeError as error:
            yield Finding(layer, "fault", str(error))
            continue
        if found.missing:
            yield Finding(
                layer, "note", f"not here, {tried} is left to other layers: {found.missing}"
            )
        elif found.refusal:
            yield Finding(layer, "ok", f"{tried} is refused: {found.refusal}")
        else:
            yield Finding(layer, "fault", f"{tried} is not refused")


_ATTEMPTS = """
import os, socket

def reached(folder, port, pid):
    def read():
        open(os.path.join(folder, "secret")).read()
    def write():
        open(os.path.join(folder, "written"), "w").close()
    def connect():
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    def look():
        # A namespace has numbers of its own: the same one may be somebody else's there.
        command = open(f"/proc/{pid}/cmdline", "rb").read()
        if b"grade" not in command and b"pytest" not in command:
            raise OSError("another process")
    attempts = {
        "read other folders": read,
        "write to other folders": write,
        "reach the network": connect,
        "see the grader's process": look,
    }
    done = []
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError:
            continue
        done.append(name)
    return done
"""


def find_data() -> Iterator[Finding]:
    from grader import datasets

    configured = os.environ.get("GRADE_DATA", "")
    if configured and not datasets.datasets_dir().is_dir():
        yield Finding(
            "GRADE_DATA", "note", f"{configured} is not a folder: the included data sets are used"
        )
    for name in datasets.NAMES:
        try:
            x, _ = datasets.load(name)
        except GradeError as error:
            yield Finding(name, "fault", str(error))
            continue
        own = datasets.path_of(name).parent != datasets.SHIPPED
        origin = f"from {datasets.path_of(name)}" if own else "the small included set"
        yield Finding(name, "ok", f"{len(x)} images, {origin}")


def find_assignments(folder: Path | None = None) -> Iterator[Finding]:
    """Yield a finding for each assignment; the instructor must repair a broken one."""
    from grader import assignment

    try:
        found = assignment.find_assignments(Path.cwd(), folder, os.environ)
    except GradeError as error:
        yield Finding("assignments", "note", str(error))
        return
    for name, place in sorted(found.items()):
        try:
            loaded = assignment.load_assignment(place)
        except GradeError as error:
            yield Finding(name, "note", f"can't be used: {error}")
            continue
        points = sum(exercise.points for exercise in loaded.exercises if not exercise.bonus)
        kind = "public checks" if loaded.public_only else "checks and solutions"
        lacking = [why for file in loaded.notebook_names if (why := loaded.lacking(file))]
        try:
            python_of(loaded)
        except GradeError as error:
            lacking.append(str(error))
        yield Finding(
            name,
            "note" if lacking else "ok",
            f"{loaded.title}: {len(loaded.exercises)} exercises, {points:g} points, {kind}; "
            f"{place}" + "".join(f". {why}" for why in lacking),
        )
