"""The program that follows derivations in a separate process: `-m grader.derivation.worker`.

Depth, readings, exponents and counted work of a student's LaTeX are limited. As a second line of
defence, this process has limits of memory and processor time.

Standard input: one JSON list of {"text", "sheet", "targets", "rendered"}. Standard output: for each
text, in order, one line with a JSON object, the fields of a Derivation. Each line is written at
once.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from grader.derivation.context import ContextError
from grader.derivation.following import follow
from grader.derivation.sheet import read_context
from grader.records import Derivation, DerivationTarget

MEMORY_MIB = 768
"""A usual answer takes 60."""
PROCESSOR_S = 30
"""A long answer takes one second; on a slow machine, some five."""


def main() -> None:
    _confine()
    for job in json.load(sys.stdin):
        print(json.dumps(asdict(_followed(job))), flush=True)


def _followed(job: dict[str, Any]) -> Derivation:
    try:
        context = read_context(job["sheet"])
    except ContextError as error:
        return Derivation(note=f"what the assignment declares can't be read: {error}")
    targets = [
        DerivationTarget(**{**target, "symbols": tuple(target["symbols"])})
        for target in job["targets"]
    ]
    return follow(job["text"], context, targets, rendered=job["rendered"])


def _confine() -> None:
    """Set this process's limits, if the system supports it."""
    try:
        import resource
    except ImportError:  # Windows: only the time limit of the waiting process is left
        return
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY_MIB * 2**20),
        (resource.RLIMIT_CPU, PROCESSOR_S),
        (resource.RLIMIT_FSIZE, 0),
    ):
        _, most = resource.getrlimit(kind)
        wanted = limit if most == resource.RLIM_INFINITY else min(limit, most)
        resource.setrlimit(kind, (wanted, most))


if __name__ == "__main__":
    main()
