"""How long a student waits for a verdict: cold, by a process that is kept warm, in the notebook.

    python tests/benchmarks/latency.py [RUNS]

In a copy of a student's folder, with the solved sigmoid.ipynb; `its cells alone` is a fork of a
process that has imported everything, which runs the notebook's cells and nothing else. Medians;
processor time is that of all processes together.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAGIC = """
import resource, time
def used_s():
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(kind)[:2]) for kind in kinds)
wall, used = time.perf_counter(), used_s()
get_ipython().run_line_magic("grade", "2ab-sigmoid")
print(time.perf_counter() - wall, used_s() - used)
"""


def used_s() -> float:
    return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def main(runs: int) -> None:
    rows: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder, runtime = Path(scratch, "pw02"), Path(scratch, "run")
        runtime.mkdir(mode=0o700)
        shutil.copytree(ROOT / "student_templates" / "pw02", folder)
        shutil.copyfile(ROOT / "reference" / "pw02" / "sigmoid.ipynb", folder / "sigmoid.ipynb")
        os.environ |= {"XDG_RUNTIME_DIR": str(runtime), "GRADE_RESULTS": "none"}
        os.environ.pop("GRADE_ASSIGNMENTS", None)
        # A warm process that loads takes the processor from who is measured.
        rows["cold"] = [timed(lambda: grade(folder)) for _ in range(runs)]
        grade(folder, "--keep-warm")
        pid = wait_for(runtime)
        grade(folder)
        rows["kept warm"] = [timed(lambda: grade(folder), pid) for _ in range(runs)]
        grade(folder, "--no-keep-warm")
        cells = code_of(folder / "sigmoid.ipynb")
        rows["its cells alone"] = [timed(lambda: run_cells(cells, folder)) for _ in range(runs)]
        rows["%grade of one exercise"] = magic(folder, cells, runs)
    print("| a verdict on sigmoid.ipynb | seconds | processor seconds |\n|---|---:|---:|")
    for name, times in rows.items():
        wall, used = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"| {name} | {wall:.2f} | {used:.2f} |")


def grade(folder: Path, *options: str) -> None:
    command = [sys.executable, "-P", "-m", "grader", "sigmoid.ipynb", *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def timed(work: Callable[[], None], pid: int = 0) -> tuple[float, float]:
    from grader.session.processes import tree_cpu_s

    def all_s() -> float:
        return used_s() + ((tree_cpu_s(pid) or 0.0) if pid else 0.0)

    wall, used = time.perf_counter(), all_s()
    work()
    took_s = time.perf_counter() - wall
    if pid:
        time.sleep(0.3)  # until its fork server has reaped the kernel
    return took_s, all_s() - used


def wait_for(runtime: Path) -> int:
    """Return the pid of the warm process once it listens."""
    while not (records := [*runtime.glob("grade-warm/*.json")]):
        time.sleep(0.1)
    time.sleep(3.0)  # its fork server imports what the notebooks do
    return int(json.loads(records[0].read_text())["pid"])


def code_of(file: Path) -> list[str]:
    import nbformat

    return [c.source for c in nbformat.read(file, 4).cells if c.cell_type == "code"]


def run_cells(cells: list[str], folder: Path) -> None:
    """Run the cells in a fork of this process."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot

    pid = os.fork()
    if pid == 0:
        try:
            os.chdir(folder)
            names: dict[str, object] = {"__name__": "__main__"}
            with contextlib.redirect_stdout(io.StringIO()):
                for cell in cells:
                    plain = "\n".join(line for line in cell.splitlines() if line[:1] != "%")
                    exec(plain, names)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def magic(folder: Path, cells: list[str], runs: int) -> list[tuple[float, float]]:
    import nbformat
    from nbclient import NotebookClient

    code = [c for c in cells if "%" not in c]
    sources = [*code, "%load_ext grader", *[MAGIC] * (runs + 1)]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(made, timeout=120, kernel_name="python3", resources=place).execute()
    printed = [
        output["text"]
        for cell in made.cells[-runs:]
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    ]
    return [(float(a), float(b)) for a, b in (text.split()[-2:] for text in printed)]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
