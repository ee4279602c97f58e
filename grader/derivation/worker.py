"""The program that follows derivations, a process of its own: `-m grader.derivation.worker`.

A student's LaTeX is bounded by depth, readings, exponents and work that is counted; this process is
the wall behind these bounds, with limits of its own on memory and processor time.

Standard input: one JSON list of {"text", "sheet", "targets", "rendered"}. Standard output: one JSON
object a line, in that order, each written as soon as it is known: a Derivation's fields.
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
"""All of it takes 60."""
PROCESSOR_S = 30
"""A long answer takes one second; on the slowest machine that students have, some five."""


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
    """Set this process's limits, where the system has them."""
    try:
        import resource
    except ImportError:  # Windows: the time limit of the process that waits is left
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
