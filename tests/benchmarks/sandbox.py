"""Print what the sandbox costs: `grade` on pw02 with `--sandbox auto` against `--sandbox none`.

    python tests/benchmarks/sandbox.py [ROUNDS]

The two run in turn, each first in every second round, so that both see the same machine; the ratio
is taken pair by pair and its median printed. Once one zip of the three notebooks, once a batch of
eight small ones. Goal: at most 1.10.
"""

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
POLICIES = ("auto", "none")


def hand_in(folder: Path) -> dict[str, list[Path]]:
    """Return what is graded, by its name."""
    whole = folder / "whole.zip"
    with zipfile.ZipFile(whole, "w") as archive:
        for path in NOTEBOOKS:
            archive.write(path, path.name)
    smallest = min(NOTEBOOKS, key=lambda path: path.stat().st_size)
    batch = []
    for n in range(8):
        batch.append(folder / f"student-{n}.zip")
        with zipfile.ZipFile(batch[-1], "w") as archive:
            archive.write(smallest, smallest.name)
            archive.writestr("name.txt", f"student {n}")  # what is the same is graded once
    return {"one zip of three notebooks": [whole], "eight small zips": batch}


def seconds(paths: list[Path], policy: str, folder: Path) -> float:
    """Return how long the whole command takes."""
    command = [sys.executable, "-m", "grader.cli", *map(str, paths), "--assignment", "pw02",
               "--assignments", str(ROOT / "reference"), "--sandbox", policy]  # fmt: skip
    started = time.perf_counter()
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"GRADE_RESULTS": "none", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"--sandbox {policy} ended with {done.returncode}:\n{done.stderr}")
    return time.perf_counter() - started


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, paths in hand_in(folder).items():
            for policy in POLICIES:
                seconds(paths, policy, folder)  # font lists, compiled files: what is made once
            pairs = []
            for n in range(rounds):
                order = POLICIES if n % 2 else POLICIES[::-1]
                pairs.append({policy: seconds(paths, policy, folder) for policy in order})
            ratio = statistics.median(pair["auto"] / pair["none"] for pair in pairs)
            auto, none = (statistics.median(pair[policy] for pair in pairs) for policy in POLICIES)
            print(f"{name}: {auto:.2f} s closed in, {none:.2f} s not; ratio {ratio:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
