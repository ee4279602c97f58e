"""Checks which sandbox layers hold here: a sandboxed process tries what each layer forbids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.errors import GraderFault, SandboxError
from grader.in_kernel.sandbox import confine
from grader.in_kernel.system import CAN_SANDBOX, is_root
from grader.records import Limits, Sandbox
from grader.session import sandbox
from grader.session.scratch import Scratch

PROBE = Path(__file__).resolve().parent.parent / "in_kernel" / "sandbox" / "sandbox_probe.py"
_TIMEOUT_S = 60.0
# Layers that need other layers.
_NEEDED = {"files": ("namespaces", "files"), "account": ("namespaces", "files", "account")}


@dataclass(frozen=True)
class Probe:
    """The result of an attempt to do what one layer forbids.

    missing : why the machine does not offer the layer; "" if it does
    refusal : the error of the attempt ("PermissionError: ..."); "" if the attempt succeeded
    """

    layer: str
    missing: str = ""
    refusal: str = ""

    @property
    def holds(self) -> bool:
        return not self.missing and bool(self.refusal)


def layers_here() -> tuple[str, ...]:
    """Return the layers that this grader would use; only root needs the layer "account"."""
    root = is_root()
    return tuple(layer for layer in confine.LAYERS if root or layer != "account")


def probe_alone(layer: str) -> Probe:
    """Return whether one layer by itself refuses the actions that it forbids."""
    return _probe(_NEEDED.get(layer, (layer,)), (layer,))[0]


def require_sandbox(policy: Sandbox) -> None:
    """Raise SandboxError if this machine can't keep a strict policy; it names the layers."""
    if policy != "strict":
        return
    layers = layers_here()
    probes = _probe(layers, layers)
    if missing := [f"{probe.layer} ({probe.missing})" for probe in probes if probe.missing]:
        raise SandboxError(
            f"--sandbox strict: this machine does not offer {', '.join(missing)}; "
            "`grade doctor` shows every layer"
        )
    if broken := [probe.layer for probe in probes if not probe.holds]:
        raise SandboxError(f"--sandbox strict: what {', '.join(broken)} forbids was possible")


def _probe(layers: Sequence[str], attempts: Sequence[str]) -> list[Probe]:
    """Start a process sandboxed by these layers; return the outcomes of its attempts."""
    if not CAN_SANDBOX:
        return [Probe(layer, missing=f"not on {sys.platform}") for layer in attempts]
    scratch = Scratch(None)
    plan = sandbox.plan(scratch.folders(), Limits(), "auto") | {"layers": [*layers]}
    inner, control = os.pipe()
    report, outer = os.pipe()
    try:
        with tempfile.NamedTemporaryFile("w", prefix="grade-") as secret:
            secret.write("secret")
            secret.flush()
            private = scratch.calls / "private"
            private.write_text("secret")
            private.chmod(0o600)
            plan |= {
                "attempts": [*attempts],
                "secret": secret.name,
                "private": str(private),
                "grader": os.getpid(),
                "control": inner,
                "report": outer,
            }
            done = subprocess.run(
                [sys.executable, "-P", str(PROBE), json.dumps(plan)],
                cwd=scratch.work,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                pass_fds=(inner, outer),
                timeout=_TIMEOUT_S,
            )
        os.close(outer)
        outer = -1
        isolation = sandbox.read_report(report)
        report = -1
        if done.returncode:
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise GraderFault(f"the probe of the sandbox ended early: {' '.join(last)}")
        refusals = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise GraderFault("the probe of the sandbox does not end") from error
    finally:
        for descriptor in (inner, control, report, outer):
            if descriptor >= 0:
                os.close(descriptor)
        scratch.remove()
        sandbox.release_user(plan["user"])
    return [Probe(name, isolation.missing.get(name, ""), refusals[name]) for name in attempts]
