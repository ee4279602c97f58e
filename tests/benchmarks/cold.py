"""Print how long `grade one.zip` takes, cold, against python running the same cells as scripts.

    python tests/benchmarks/cold.py [RUNS]

The two run in turn, so that both see the same machine; the ratio is taken pair by pair.
Also prints the peak memory of the grader's own process (VmHWM; Linux).
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "reference" / "pw02").glob("*.ipynb"))

# The scripts find fetch_openml's data where the grader's kernels find it, and draw to memory.
PREAMBLE = """
import matplotlib
matplotlib.use("agg")
from grader.datasets import datasets_dir
from grader.in_kernel.offline_data import install
install(str(datasets_dir()))
"""


def write_scripts(folder: Path) -> list[Path]:
    scripts = []
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        lines = "\n".join(code).splitlines()
        kept = "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))
        script = folder / f"{path.stem}.py"
        script.write_text(PREAMBLE + kept, encoding="utf-8")
        scripts.append(script)
    return scripts


def seconds(run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def peak_mib(command: list[str], **options) -> float:
    """Run it and return the peak resident memory of its main process alone, MiB."""
    process = subprocess.Popen(command, **options)
    peak = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            break
        for line in status.splitlines():
            if line.startswith("VmHWM:"):
                peak = max(peak, int(line.split()[1]))
        time.sleep(0.02)
    process.wait()
    return peak / 1024


def main(runs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scripts = write_scripts(Path(folder))
        archive = Path(folder) / "Curie_Marie.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for path in NOTEBOOKS:
                file.write(path, path.name)
        grade = [
            str(Path(sys.executable).with_name("grade")),
            str(archive),
            "--assignments",
            str(ROOT / "reference"),
            "--regrade",
        ]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
        environment = dict(os.environ, OPENBLAS_NUM_THREADS="1")

        def bare() -> None:
            for script in scripts:
                subprocess.run([sys.executable, str(script)], check=True, env=environment, **quiet)

        def graded() -> None:
            subprocess.run(grade, check=True, **quiet)

        pairs = []
        for n in range(runs + 1):
            pair = seconds(graded), seconds(bare)
            if n:  # the first warms the disk's cache
                pairs.append(pair)
        print(f"grade one.zip        {statistics.median(p[0] for p in pairs):6.2f} s")
        print(f"the cells as scripts {statistics.median(p[1] for p in pairs):6.2f} s")
        print(f"ratio                {statistics.median(a / b for a, b in pairs):6.2f}")
        print(f"grader's peak memory {peak_mib(grade, **quiet):6.0f} MiB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
