"""Breaks the grader itself, module by module, and lists what the module's own tests don't notice.

    python tests/mutants/run.py [NAME...]      every module of MODULES, or those that are named

mutmut makes the mutants and runs the tests. At least DUE of a module's mutants must be killed. A
survivor that changes nothing that matters has its reason in survivors.toml, by the module's name:

    [score]
    "_fine: - if share > 0: + if share >= 0:" = "a fine of nothing is no fine"

Exit code 1 where a module is below DUE.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DUE = 0.9
COPIED = ("grader", "tests", "reference", "student_templates", "README.md", "pyproject.toml")

# A module, or a few of one noun, and the tests that are its own.
MODULES = {
    "score": (("grader/score.py",), ("tests/test_score.py",)),
    "codec": (
        tuple(f"grader/in_kernel/codec/{part}.py" for part in ("encoding", "decoding", "npy")),
        ("tests/in_kernel/test_codec.py",),
    ),
    "regions": (("grader/notebook/regions.py",), ("tests/notebook/test_regions.py",)),
    "matching": (("grader/submission/matching.py",), ("tests/submission/test_matching.py",)),
    "store": (("grader/batch/store.py",), ("tests/batch/test_store.py",)),
    "pipeline": (("grader/pipeline.py", "grader/grading.py"), ("tests/test_pipeline.py",)),
    "submission": (
        ("grader/submission/archive.py", "grader/submission/finding.py"),
        ("tests/submission",),
    ),
}


@dataclass(frozen=True)
class Survivor:
    """A mutant that the tests did not notice: where it is, and what it changes."""

    function: str
    change: str

    @property
    def key(self) -> str:
        return f"{self.function}: {self.change}"


def mutate(name: str, into: Path) -> tuple[int, list[Survivor]]:
    """Return how many mutants a module has, and those that survive its own tests."""
    sources, tests = MODULES[name]
    for copied in COPIED:
        source = ROOT / copied
        if source.is_dir():
            shutil.copytree(source, into / copied, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, into)
    settings = into / "pyproject.toml"
    # mutmut splits these options at blanks.
    text = settings.read_text(encoding="utf-8").replace(" -m 'not slow'", "")
    settings.write_text(text + _settings(sources, tests), encoding="utf-8")
    done = _mutmut(into, "run")
    states = [
        line.strip().rsplit(": ", 1)
        for line in _mutmut(into, "results", "--all", "true").splitlines()
        if "__mutmut_" in line
    ]
    if not states or any(state == "not checked" for _, state in states):
        raise SystemExit(f"{name}: mutmut did not run:\n{done[-3000:]}")
    survivors = [
        _survivor(into, mutant) for mutant, state in states if state in ("survived", "no tests")
    ]
    return len(states), survivors


def _settings(sources: tuple[str, ...], tests: tuple[str, ...]) -> str:
    return f"""
[tool.mutmut]
source_paths = ["grader"]
only_mutate = {list(sources)}
also_copy = ["tests", "reference", "student_templates", "README.md"]
pytest_add_cli_args = ["-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {list(tests)}
use_git_change_detection = false
"""


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def _survivor(folder: Path, mutant: str) -> Survivor:
    """Return a mutant by what it changes: its number moves with every edit of the file."""
    function = mutant.rpartition(".")[2].partition("__mutmut_")[0].removeprefix("x_")
    changed = [
        f"{line[0]} {line[1:].strip()}"
        for line in _mutmut(folder, "show", mutant).splitlines()
        if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip()
    ]
    return Survivor(function.replace("ǁ", "."), " ".join(changed))


def main(names: list[str]) -> int:
    if unknown := set(names) - set(MODULES):
        raise SystemExit(
            f"no such module: {', '.join(sorted(unknown))}; there is {', '.join(MODULES)}"
        )
    reasons = tomllib.loads(Path(__file__).with_name("survivors.toml").read_text(encoding="utf-8"))
    below = 0
    for name in names or MODULES:
        started = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="grade-mutants-") as folder:
            count, survivors = mutate(name, Path(folder))
        explained = reasons.get(name, {})
        open_ones = [s for s in survivors if s.key not in explained]
        killed = (count - len(survivors)) / max(1, count)
        seconds = time.perf_counter() - started
        print(
            f"{name}: {count} mutants, {killed:.1%} killed, "
            f"{len(open_ones)} survivors without a reason, {seconds:.0f} s"
        )
        for survivor in open_ones:
            print(f"    {survivor.key}")
        below += killed < DUE
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
