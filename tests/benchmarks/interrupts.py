"""How soon Ctrl-C ends the command, whatever it is at: `python tests/benchmarks/interrupts.py`.

Each line is a stall; the seconds are from SIGINT, sent to the whole group as a terminal does, or
to the command alone as a service manager does, to the command's end. Afterwards no process and no
folder of it may be left.

    --only WORD    the stalls with this word in their names
    --times N      how often each
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.threats.conftest import CHECKS, HIDDEN_CHECKS, Host  # noqa: E402
from tests.threats.test_stalls import CONNECTION, FLOODS, ONLY_IN_CHECKS, STUBBORN  # noqa: E402

PROMISED_S = 2.0
HEAD = "import numpy as np\nimport pytest\n"
# Minutes, in one call of C that lets go of the interpreter's lock, or that holds it.
LONG_C = "np.linalg.svd(np.ones((9000, 9000)))"
ENDLESS_C = """
import sqlite3
numbers = "with recursive t(n) as (select 1 union all select n + 1 from t)"
sqlite3.connect(":memory:").execute(f"{numbers} select count(*) from t").fetchall()
"""
CATCHES = (
    "while True:\n    try:\n        np.sort(rng.normal(size=9))\n    except BaseException: pass"
)
HOLDING_C = "sum(iter(int, 1))"


def check_that(body: str) -> str:
    """Return the toy's checks, of which the first does this in the grader's process."""
    return CHECKS.replace(
        '    """The mean of the squares."""\n',
        '    """The mean of the squares."""\n' + textwrap.indent(body, "    ") + "\n",
    )


@dataclass(frozen=True)
class Stall:
    """make : gives the words of the command; after_s : when it is interrupted

    sign : it makes the file that sign() tells when it begins; then it is interrupted a second later
    """

    make: Callable[[Host], list[str]]
    after_s: float = 6.0
    sign: bool = False


def sign(host: Host) -> Path:
    return host.root / "now"


def giving_sign(host: Host, body: str) -> str:
    return f"open({str(sign(host))!r}, 'w').close()\n{body}"


def cells(source: str, jobs: int = 1) -> Callable[[Host], list[str]]:
    def make(host: Host) -> list[str]:
        host.write_assignment(cell_s=60, notebook_s=60)
        paths = [host.half(source, name=f"{n}") for n in range(jobs)]
        return list(host.command(*paths, options=("--jobs", str(jobs))))

    return make


def checks(body: str, jobs: int = 1) -> Callable[[Host], list[str]]:
    def make(host: Host) -> list[str]:
        host.write_assignment(
            checks=check_that(giving_sign(host, body)), hidden=f"{HIDDEN_CHECKS}\n"
        )
        paths = [host.right(name=f"{n}") for n in range(jobs)]
        return list(host.command(*paths, options=("--jobs", str(jobs))))

    return make


def in_check(jobs: int = 1) -> Callable[[Host], list[str]]:
    def make(host: Host) -> list[str]:
        host.write_assignment(check_s=60)
        paths = [
            host.right(name=f"{n}", mean_square=ONLY_IN_CHECKS.replace("SIGN", ""))
            for n in range(jobs)
        ]
        return list(host.command(*paths, options=("--jobs", str(jobs))))

    return make


def collecting(body: str) -> Callable[[Host], list[str]]:
    def make(host: Host) -> list[str]:
        host.write_assignment(
            checks=f"{HEAD}{giving_sign(host, body)}\n{CHECKS}", hidden=f"{HIDDEN_CHECKS}\n"
        )
        return list(host.command(host.right()))

    return make


def unpacking(host: Host) -> list[str]:
    path = host.right()
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for n in range(9):
            archive.writestr(f"data{n}.bin", bytes(50 << 20))
    return list(host.command(path))


def verify(host: Host) -> list[str]:
    where = ("--assignments", str(host.assignments))
    return [sys.executable, "-m", "grader", "verify", "toy", *where]


def reporting(host: Host) -> list[str]:
    """Many submissions with long outputs: pages are written while it goes on, and at the end."""
    paths = [host.half("for _ in range(4000): print('x' * 200)", name=f"{n:02}") for n in range(12)]
    return list(host.command(*paths, options=("--html", str(host.root / "pages"))))


STALLS = {
    "in Python's first moments": Stall(cells("while True: pass"), 0.2),
    "while a fork server starts": Stall(cells("while True: pass"), 0.7),
    "while kernels start": Stall(cells("while True: pass", 2), 1.5),
    **{f"a cell that {name}": Stall(cells(cell)) for name, cell in STUBBORN.items()},
    **{f"a cell that {name}, two": Stall(cells(cell, 2)) for name, cell in STUBBORN.items()},
    "a cell that sends small messages": Stall(cells(CONNECTION + FLOODS["small messages"])),
    "a function in C, in a check": Stall(in_check()),
    "a function in C, in a check, two": Stall(in_check(2)),
    "a check that computes in Python": Stall(sign=True, make=checks("while True: pass")),
    "a check that computes in Python, two": Stall(sign=True, make=checks("while True: pass", 2)),
    "a check that is in numpy": Stall(sign=True, make=checks(LONG_C)),
    "a check that is in numpy, two": Stall(sign=True, make=checks(LONG_C, 2)),
    "a check that stays in C": Stall(sign=True, make=checks(ENDLESS_C)),
    "a check that stays in C, four": Stall(sign=True, make=checks(ENDLESS_C, 4)),
    "a check that catches everything": Stall(sign=True, make=checks(CATCHES)),
    "a check in C that holds the lock": Stall(sign=True, make=checks(HOLDING_C)),
    "a check in C that holds the lock, two": Stall(sign=True, make=checks(HOLDING_C, 2)),
    "collecting in Python": Stall(sign=True, make=collecting("while True: pass")),
    "collecting in numpy": Stall(sign=True, make=collecting(LONG_C)),
    "unpacking": Stall(unpacking, 1.5),
    "verify": Stall(verify),
    "verify, later": Stall(verify, 14.0),
    "reports, early": Stall(reporting, 5.0),
    "reports, later": Stall(reporting, 15.0),
}


def measure(stall: Stall, *, group: bool) -> tuple[float | None, int, str]:
    """Return the seconds, the exit code, and what was left; None where it ended before."""
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        try:
            process = subprocess.Popen(
                stall.make(host),
                cwd=host.handed_in,
                env=host.environment(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )
            if stall.sign:
                while process.poll() is None and not sign(host).exists():
                    time.sleep(0.05)
                time.sleep(2.0)
            else:
                time.sleep(stall.after_s)
            if process.poll() is not None:
                return None, process.returncode, ""
            (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
            started = time.monotonic()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            took = time.monotonic() - started
            left = ", ".join(text.decode()[:60] for _, text in host.processes(patience_s=1.0))
            folders = " ".join(path.name for path in host.tmp.iterdir())
            return took, process.returncode, f"{left} {folders}".strip()
        finally:
            host.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--times", type=int, default=1)
    arguments = parser.parse_args()
    late = 0
    print("| what it is at | of the whole group, s | of the command alone, s | left |")
    print("|---|---|---|---|")
    for name, stall in STALLS.items():
        if arguments.only not in name:
            continue
        columns, lefts = [], []
        for group in (True, False):
            worst = 0.0
            for _ in range(arguments.times):
                took, code, left = measure(stall, group=group)
                if took is None:
                    lefts.append(f"it had ended with {code}")
                    continue
                worst = max(worst, took)
                lefts += [left] if left else []
            late += worst > PROMISED_S
            columns.append(f"{worst:.1f}")
        print(f"| {name} | {' | '.join(columns)} | {'; '.join(lefts)} |", flush=True)
    print(f"\n{date.today()}; {late} of them later than {PROMISED_S:g} s")


if __name__ == "__main__":
    main()
