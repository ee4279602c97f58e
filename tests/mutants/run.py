"""Breaks the grader itself, module by module, and lists what the module's own tests don't notice.

    python tests/mutants/run.py [--sample N] [--seed N] [NAME...]    no name: all MODULES

mutmut makes the mutants and runs the tests. Of a module's mutants, a sample is drawn by the seed:
as many as two minutes allow. A survivor that changes nothing has its reason in survivors.toml, by
the module's name; of all other mutants at least DUE must be killed:

    [score]
    "_fine: - if share > 0: + if share >= 0:" = "a fine of nothing is no fine"

Exit code 1 where a module is below DUE.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
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
# So many are run in two minutes on two cores; fewer where each runs tests of a whole grading.
SAMPLE = 250
SAMPLES = {"pipeline": 100, "submission": 100}
COPIED = ("grader", "tests", "reference", "student_templates", "README.md", "pyproject.toml")

# A module, or a few of one noun, and the tests that are its own.
MODULES = {
    "score": (("grader/score.py",), ("tests/test_score.py",)),
    "codec": (
        tuple(f"grader/in_kernel/codec/{part}.py" for part in ("encoding", "decoding", "npy")),
        (
            "tests/in_kernel/test_codec.py",
            # mutmut's own code in the codec calls what this test replaces.
            "--deselect=tests/in_kernel/test_codec.py::"
            "test_replaced_builtins_and_numpy_functions_do_not_reach_the_codec",
        ),
    ),
    "regions": (("grader/notebook/regions.py",), ("tests/notebook/test_regions.py",)),
    "matching": (("grader/submission/matching.py",), ("tests/submission/test_matching.py",)),
    "store": (
        ("grader/batch/store.py",),
        ("tests/batch/test_store.py", "tests/batch/test_store_runs.py"),
    ),
    "pipeline": (
        (
            "grader/pipeline.py",
            "grader/request.py",
            "grader/grading_class.py",
            "grader/grading.py",
            "grader/not_filled_in.py",
        ),
        ("tests/test_pipeline.py", "tests/test_pipeline_notes.py", "tests/test_grading.py"),
    ),
    "submission": (
        ("grader/submission/archive.py", "grader/submission/finding.py"),
        (
            *(f"tests/submission/test_{part}.py" for part in ("archive", "finding", "submission")),
            # A mutant that survives runs all of them: they draw fewer examples.
            "--hypothesis-profile=quick",
        ),
    ),
}

# A mutant runs in a fork of a process that has run the tests: what that kept would hide the mutant.
_FORGET = """

def pytest_sessionstart(session):
    import sys

    for name, module in [*sys.modules.items()]:
        if name.partition(".")[0] == "grader":
            for value in [*vars(module).values()]:
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
"""

# Prints what a mutant changes, as a JSON object by its name: `mutmut show` takes a second for one.
_SHOW = """
import json, sys
from mutmut.__main__ import find_mutant, get_diff_for_mutant
names = json.load(sys.stdin)
print(json.dumps({name: get_diff_for_mutant(name, path=find_mutant(name).path) for name in names}))
"""


@dataclass(frozen=True)
class Survivor:
    """A mutant that the tests did not notice: where it is, and what it changes."""

    function: str
    change: str

    @property
    def key(self) -> str:
        return f"{self.function}: {self.change}"

    @property
    def is_sql_in_other_case(self) -> bool:
        """Whether it writes a statement in other letters: to SQLite only texts in it differ."""
        removed, _, added = self.change[2:].partition(" + ")
        same = removed.casefold() == added.casefold()
        same = same and _TEXT.findall(removed) == _TEXT.findall(added)
        return same and bool(_SQL.search(removed))


_SQL = re.compile(
    r"\b(?:SELECT|INSERT|DELETE|UPDATE|VALUES|FROM|JOIN|WHERE|ORDER BY|PRAGMA|BEGIN|COMMIT"
    r"|ROLLBACK|VACUUM)\b"
)
_TEXT = re.compile("'[^']*'")


@dataclass(frozen=True)
class Run:
    """count : how many mutants the module has; tried : how many of them were run"""

    count: int
    tried: int
    survivors: tuple[Survivor, ...]


def mutate(name: str, into: Path, *, sample: int, seed: int) -> Run:
    """Run a module's mutants, or a sample of them, in a copy of the repository."""
    sources, tests = MODULES[name]
    for copied in COPIED:
        source = ROOT / copied
        if source.is_dir():
            shutil.copytree(source, into / copied, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, into)
    with (into / "tests" / "conftest.py").open("a", encoding="utf-8") as conftest:
        conftest.write(_FORGET)
    settings = into / "pyproject.toml"
    # mutmut splits these options at blanks.
    text = settings.read_text(encoding="utf-8").replace(" -m 'not slow'", "")
    settings.write_text(text + _settings(sources, tests), encoding="utf-8")
    # It makes all mutants and measures the tests before it sees that none has this name.
    said = _mutmut(into, "run", "none")
    made = sorted(_states(into))
    if not made:
        raise SystemExit(f"{name}: mutmut made no mutants:\n{said[-3000:]}")
    tried = random.Random(seed).sample(made, min(sample, len(made)))
    said = _mutmut(into, "run", *tried)
    states = {mutant: state for mutant, state in _states(into).items() if mutant in set(tried)}
    if "not checked" in states.values():
        raise SystemExit(f"{name}: mutmut did not run:\n{said[-3000:]}")
    alive = [mutant for mutant, state in states.items() if state in ("survived", "no tests")]
    return Run(len(made), len(tried), tuple(_survivors(into, alive)))


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


def _states(folder: Path) -> dict[str, str]:
    lines = _mutmut(folder, "results", "--all", "true").splitlines()
    return dict(line.strip().rsplit(": ", 1) for line in lines if "__mutmut_" in line)  # type: ignore[misc]


def _mutmut(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


def _survivors(folder: Path, mutants: list[str]) -> list[Survivor]:
    """Return mutants by what they change: a number moves with every edit of the file."""
    shown = subprocess.run(
        [sys.executable, "-c", _SHOW],
        cwd=folder, input=json.dumps(mutants), stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    survivors = []
    for mutant, diff in json.loads(shown.stdout.splitlines()[-1]).items():
        function = mutant.rpartition(".")[2].partition("__mutmut_")[0].removeprefix("x_")
        changed = [
            f"{line[0]} {line[1:].strip()}"
            for line in diff.splitlines()
            if line[:1] in "+-" and line[:3] not in ("+++", "---") and line[1:].strip()
        ]
        survivors.append(Survivor(function.replace("ǁ", "."), " ".join(changed)))
    return survivors


def _processor_s() -> float:
    """Return what all that has ended so far took: on a busy machine the clock says little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MODULES))
    parser.add_argument("--sample", type=int, help="how many mutants of each module are drawn")
    parser.add_argument("--seed", type=int, default=0, help="which of them are drawn")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(MODULES):
        parser.error(f"no such module: {', '.join(sorted(unknown))}; there is {', '.join(MODULES)}")
    reasons = tomllib.loads(Path(__file__).with_name("survivors.toml").read_text(encoding="utf-8"))
    below = 0
    for name in arguments.names or MODULES:
        started, used = time.perf_counter(), _processor_s()
        with tempfile.TemporaryDirectory(prefix="grade-mutants-") as folder:
            sample = arguments.sample or SAMPLES.get(name, SAMPLE)
            run = mutate(name, Path(folder), sample=sample, seed=arguments.seed)
        explained = reasons.get(name, {})
        open_ones = [
            s for s in run.survivors if s.key not in explained and not s.is_sql_in_other_case
        ]
        same = len(run.survivors) - len(open_ones)
        killed = (run.tried - len(run.survivors)) / max(1, run.tried - same)
        seconds = time.perf_counter() - started
        print(
            f"{name}: {run.tried} of {run.count} mutants, {same} change nothing, "
            f"{killed:.1%} of the others killed, {len(open_ones)} survive, "
            f"{seconds:.0f} s, {_processor_s() - used:.0f} s of a processor",
            flush=True,
        )
        for survivor in open_ones:
            print(f"    {survivor.key}")
        below += killed < DUE
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
