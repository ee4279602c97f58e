"""Runs Python source closed in, and tells how it ended: `python closed.py '{"source": ...}'`.

    source     what runs inside; it finds `plan`, and `grader`, the number of the process outside
    layers     the layers to use; all where absent
    limits     of records.Limits
    strict     whether a missing layer is fatal
    let_go     let the launcher end everything as soon as a line was printed inside

Prints what the source prints, then a line of JSON: {"applied", "missing", "code"}.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

from grader.in_kernel.sandbox import confine
from grader.records import Limits
from grader.session import sandbox
from grader.session.scratch import Scratch


def main(told):
    scratch = Scratch(None)
    (scratch.work / "data.csv").write_text("a,b\n1,2\n")
    (scratch.calls / "private").write_text("secret")
    (scratch.calls / "private").chmod(0o600)
    plan = sandbox.plan(scratch.folders(), Limits(**told.get("limits", {})), "auto")
    plan |= {"strict": told.get("strict", False)}
    plan |= {"layers": told.get("layers", [*confine.LAYERS])}
    if "cpu_s" in told:
        plan["cpu_s"] = told["cpu_s"]
    if os.geteuid() != 0:
        plan["layers"] = [layer for layer in plan["layers"] if layer != "account"]
    inner, control = os.pipe()
    report, outer = os.pipe()
    heard, said = os.pipe()
    grader = os.getpid()
    launcher = os.fork()
    if launcher == 0:
        for descriptor in (control, report, heard):
            os.close(descriptor)
        # As the kernel's launcher, which the grader starts in a session of its own.
        os.setsid()
        os.chdir(scratch.work)
        confine.enter_sandbox(plan | {"control": inner, "report": outer})
        if not told.get("let_go"):
            os.close(said)
        code = 1
        try:
            exec(told["source"], {"plan": plan, "grader": grader, "said": said})
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    for descriptor in (inner, outer, said):
        os.close(descriptor)
    try:
        if told.get("let_go"):
            os.read(heard, 1)
            os.close(control)
        status = os.waitpid(launcher, 0)[1]
        isolation = sandbox.read_report(report)
        end = {
            "applied": isolation.applied,
            "missing": dict(isolation.missing),
            "code": os.waitstatus_to_exitcode(status),
        }
        print(json.dumps(end), flush=True)
    finally:
        scratch.remove()


if __name__ == "__main__":
    # The folder of this file holds tests; a submission's process has nothing of the kind.
    here = str(Path(__file__).parent)
    with contextlib.suppress(ValueError):
        sys.path.remove(here)
    main(json.loads(sys.argv[1]))
