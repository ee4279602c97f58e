"""Tries in a sandbox what a student's process must not do: `python -P sandbox_probe.py '{plan}'`.

The plan is that of confine.enter_sandbox, with "attempts": names from ATTEMPTS, and their targets:

    secret     a file of the grader's, outside of all folders of the session
    private    a file of the grader's that the session can see but only its owner may read
    grader     the pid of the grader's process

Prints {name: the error that refused the attempt, or ""}.
"""

from __future__ import annotations

import json
import mmap
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).resolve().parents[2]


def _take_memory(plan: dict[str, Any]) -> None:
    mmap.mmap(-1, (plan["memory_mib"] + 64) * 2**20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)


def _use_privileges(plan: dict[str, Any]) -> None:
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    if fields["NoNewPrivs"].strip() == "1" and int(fields["CapEff"], 16) == 0:
        os.mknod(f"{plan['work']}/device", 0o600 | stat.S_IFCHR, os.makedev(1, 3))


def _read_private(plan: dict[str, Any]) -> None:
    Path(plan["private"]).read_text()


def _signal_grader(plan: dict[str, Any]) -> None:
    os.kill(plan["grader"], 0)


def _look_at_secret(plan: dict[str, Any]) -> None:
    Path(plan["secret"]).stat()


def _read_secret(plan: dict[str, Any]) -> None:
    Path(plan["secret"]).read_text()


def _open_network(plan: dict[str, Any]) -> None:
    socket.socket(socket.AF_INET).close()


# For each layer, an attempt that this layer alone refuses.
ATTEMPTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "limits": _take_memory,
    "privileges": _use_privileges,
    "account": _read_private,
    "namespaces": _signal_grader,
    "files": _look_at_secret,
    "landlock": _read_secret,
    "seccomp": _open_network,
}


def _refusal(name: str, plan: dict[str, Any]) -> str:
    try:
        ATTEMPTS[name](plan)
    except (OSError, MemoryError) as error:
        return f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"
    return ""


if __name__ == "__main__":
    # As in launch.py: make the package importable without its __init__.
    _package = ModuleType("grader")
    _package.__path__ = [str(PACKAGE)]
    sys.modules["grader"] = _package
    from grader.in_kernel.sandbox import confine

    _plan = json.loads(sys.argv[1])
    confine.enter_sandbox(_plan)
    print(json.dumps({name: _refusal(name, _plan) for name in _plan["attempts"]}), flush=True)
    os._exit(0)
