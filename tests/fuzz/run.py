"""Fuzz what reads students' bytes: `python tests/fuzz/run.py --seconds 1800`.

Each target of targets.py gets its share of the time, by Hypothesis, from another seed each time it
is called. What breaks one is shrunk, kept in corpus/<target>/ and printed; the exit code is then 1.
Where atheris is installed (`pip install -e '.[fuzz]'`), half of the time goes to its mutations of
the corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hypothesis import HealthCheck, Phase, given, seed, settings

# Set for the processes that run atheris, which has to see our modules as they are loaded.
ALONE = "GRADE_ATHERIS_SECONDS"
if ALONE in os.environ:
    import atheris

    with atheris.instrument_imports(include=["grader"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS, Broken, Target
else:
    from tests.fuzz.targets import TARGETS, Broken, Target

CORPUS = Path(__file__).with_name("corpus")
BATCH = 200
STARTING_S = 300.0


def keep(target: Target, data: bytes) -> Path:
    """Write an input that broke a target into the corpus; return where."""
    file = CORPUS / target.name / hashlib.sha256(data).hexdigest()[:16]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def search(target: Target, seconds: float, first_seed: int) -> tuple[int, str]:
    """Return how many inputs were tried, and what broke: "" for nothing."""
    until = time.monotonic() + seconds
    tried, latest = 0, b""

    def one(data: bytes) -> None:
        nonlocal tried, latest
        tried += 1
        latest = data
        target.run(data)

    while time.monotonic() < until:
        batch = settings(
            max_examples=BATCH,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        )(seed(first_seed)(given(target.strategy)(one)))
        first_seed += 1
        try:
            batch()
        except Broken as broken:
            # Hypothesis runs the smallest one last.
            return tried, f"{broken}\nkept in {keep(target, latest)}"
    return tried, ""


def with_atheris(target: Target, seconds: float) -> tuple[int, str]:
    """Return how many inputs atheris tried within that time, and what broke: "" for nothing.

    In a process of its own: it never returns.
    """
    folder = CORPUS / target.name
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [sys.executable, __file__, "--target", target.name],
        env=os.environ | {ALONE: str(max(1, int(seconds)))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds + STARTING_S,
    )
    tried = re.search(r"^Done (\d+) runs", done.stdout, re.MULTILINE)
    return int(tried[1]) if tried else 0, "" if done.returncode == 0 else done.stdout[-3000:]


def alone(target: Target, seconds: str) -> None:
    """Let atheris go on from the corpus; end with another code than 0 where it finds something."""

    def one(data: bytes) -> None:
        try:
            target.run(data)
        except Broken:
            print(f"kept in {keep(target, data)}", file=sys.stderr)
            raise

    with tempfile.TemporaryDirectory() as own:
        # What it finds of interest goes into the first folder: only what breaks is kept.
        options = [f"-max_total_time={seconds}", "-rss_limit_mb=4096", f"-artifact_prefix={own}/"]
        atheris.Setup([sys.argv[0], *options, own, str(CORPUS / target.name)], one)
        atheris.Fuzz()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="of all targets together")
    parser.add_argument("--target", choices=[*TARGETS], action="append", help="repeatable")
    parser.add_argument("--seed", type=int, default=secrets.randbits(30))
    parser.add_argument("--no-atheris", action="store_true")
    arguments = parser.parse_args()
    wanted = [TARGETS[name] for name in arguments.target or TARGETS]
    if ALONE in os.environ:
        alone(wanted[0], os.environ[ALONE])
        return 0
    use_atheris = not arguments.no_atheris and importlib.util.find_spec("atheris") is not None
    share_s = arguments.seconds / len(wanted) / (2 if use_atheris else 1)
    print(f"seed {arguments.seed}, atheris {'half of the time' if use_atheris else 'not there'}")
    broken = 0
    for target in wanted:
        tried, found = search(target, share_s, arguments.seed)
        print(f"{target.name}: {tried} inputs in {share_s:.0f} s: {found or 'nothing broke'}")
        broken += bool(found)
        if use_atheris:
            tried, found = with_atheris(target, share_s)
            print(
                f"{target.name}, atheris: {tried} inputs in {share_s:.0f} s: "
                f"{found or 'nothing broke'}"
            )
            broken += bool(found)
        sys.stdout.flush()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
