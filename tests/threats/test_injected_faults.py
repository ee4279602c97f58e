"""Faults of the machine, injected into the whole command: nobody loses a point, nothing is left.

Each injection grades four submissions. What is graded has its own points; what is not has none and
no maximum; and the next run, on a machine that is well again, grades the rest.
"""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

MAX = 8.0
HALF = 5.0
PIDS = Path("/sys/fs/cgroup/pids")

# Laid where Python looks for it before anything else runs, in the command and in its workers.
CLOCK = """
import time
began = time.monotonic()
real, real_ns = time.time, time.time_ns

def back_s():
    # An hour back after half a second, a year on after three, and so on.
    return [0, -3600, 31_536_000, -86_400][int((time.monotonic() - began) * 2) % 4]

time.time = lambda: real() + back_s()
time.time_ns = lambda: real_ns() + back_s() * 10**9
"""
PLUGIN = """
from grader.plugins import Reporter, hookimpl

@hookimpl
def {hook}({arguments}):
    {body}
"""
# Runs the command as if this text were the only plugin that is installed.
INSTALLED = """
import sys, types
import pluggy
from grader import plugins
module = types.ModuleType("bad_plugin")
exec({text!r}, vars(module))
made = pluggy.PluginManager("grade")
made.add_hookspecs(plugins.Hooks)
made.register(module, "bad-plugin")
plugins._manager = lambda: made
from grader.cli import main
main()
"""
HOOKS = {
    "grade_reporters": ("", "raise RuntimeError('no')"),
    "grade_reporters, later": ("", "return [Reporter('bad', lambda report: 1 / 0)]"),
    "grade_export": ("path, into", "raise MemoryError"),
    "grade_export, leaving": ("path, into", "raise SystemExit(0)"),
    "grade_check_helpers": ("", "raise SystemError('no')"),
    "grade_check_helpers, later": (
        "",
        "class Bad:\n        def pytest_collection_modifyitems(self): raise ValueError('no')\n"
        "    return [Bad()]",
    ),
}


def submissions(host):
    """Two that are right and two that are half right."""
    return [(host.half if n % 2 else host.right)(name=f"s{n}") for n in range(4)]


def run(host, paths, *, environment=None, enter=None, jobs=2, timeout_s=300):
    """Return the exit code, the verdicts (None where none were told), and what it said."""
    process = subprocess.Popen(
        host.command(*paths, options=("--jobs", str(jobs))),
        cwd=host.handed_in,
        env=host.environment(
            GRADE_RESULTS=str(host.root / "results.sqlite"), **(environment or {})
        ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=enter,
    )
    try:
        out, err = process.communicate(timeout=timeout_s)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, json.loads(out)["submissions"] if out else None, err


def hold_harmless(verdicts):
    for number, one in enumerate(verdicts):
        if one["status"] == "graded":
            assert one["score"] == (HALF if number % 2 else MAX), one
        else:
            assert (one["status"], one["score"], one["max_score"]) == ("grader_fault", None, None)


def hold_well_again(host, paths):
    """The next run grades what is left, and nothing is left of the one before."""
    assert host.processes() == []
    code, verdicts, err = run(host, paths)
    assert code == 0, err
    assert [one["score"] for one in verdicts] == [MAX, HALF] * 2
    assert host.processes() == []
    # The traceback of a fault that ended the command is left for whoever mends it.
    left = [path.name for path in host.tmp.iterdir()]
    assert [name for name in left if not name.startswith("grade-fault-")] == []


@contextmanager
def few_processes(host, most):
    """A function that puts the process that calls it where so many may be, of all that it starts.

    A fork beyond them fails with EAGAIN. Skips where that can't be.
    """
    group = PIDS / host.mark
    try:
        group.mkdir()
        (group / "pids.max").write_text(str(most))
    except OSError:
        pytest.skip("no control group of processes can be made here")

    def enter():
        (group / "cgroup.procs").write_text(str(os.getpid()))

    try:
        yield enter
    finally:
        assert host.processes() == []
        group.rmdir()


def with_few_processes(host, most):
    paths = submissions(host)
    with few_processes(host, most) as enter:
        code, verdicts, err = run(host, paths, enter=enter)
    assert code in (0, 3), err
    assert "Traceback" not in err
    # What to do is told; it is no matter for who maintains the grader.
    assert [*host.tmp.glob("grade-fault-*")] == []
    if verdicts is not None:
        hold_harmless(verdicts)
        lost = [one["message"] for one in verdicts if one["status"] != "graded"]
    else:
        lost = [err]
    assert all("the limit of processes is reached" in message for message in lost), lost
    hold_well_again(host, paths)
    return code


@contextmanager
def small_disk(host, kib):
    """A temporary folder on a disk of that size."""
    place = host.root / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k,mode=1777", "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield place
        assert list(place.iterdir()) == []
    finally:
        subprocess.run(["umount", str(place)], check=True)
        place.rmdir()


def with_a_small_disk(host, kib):
    """Results are kept on it, too."""
    paths = submissions(host)
    with small_disk(host, kib) as place:
        (place / "kept").mkdir()
        environment = {
            "TMPDIR": str(place),
            "GRADE_RESULTS": str(place / "kept" / "results.sqlite"),
        }
        process = subprocess.run(
            host.command(*paths, options=("--jobs", "2")),
            cwd=host.handed_in,
            env=host.environment(**environment),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert process.returncode in (0, 2, 3), process.stderr
        assert "Traceback" not in process.stderr
        if process.stdout:
            hold_harmless(json.loads(process.stdout)["submissions"])
        for file in (place / "kept").iterdir():
            file.unlink()
        (place / "kept").rmdir()
        assert host.processes() == []
    hold_well_again(host, paths)
    return process.returncode


# What the command can just do with, and its workers; `tests/benchmarks/faults.py` tries others.
@pytest.mark.parametrize("most", [9, 16])
def test_forks_that_fail_cost_nobody_a_point_and_are_told_with_what_to_do(host, most):
    with_few_processes(host, most)


@pytest.mark.parametrize("kib", [200])
def test_a_disk_that_fills_up_costs_nobody_a_point(host, kib):
    with_a_small_disk(host, kib)


@pytest.mark.any_user
def test_a_clock_that_is_set_back_and_on_turns_no_verdict_and_ends_no_time(host):
    folder = host.root / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCK)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")]))
    sleeps = "import time\nuntil = time.monotonic() + 1.2\nwhile time.monotonic() < until: pass"
    paths = [(host.half if n % 2 else host.right)(sleeps, name=f"s{n}") for n in range(4)]
    code, verdicts, err = run(host, paths, environment={"PYTHONPATH": path})
    assert code == 0, err
    assert [one["score"] for one in verdicts] == [MAX, HALF] * 2
    assert all(one["notes"] == [] for one in verdicts), verdicts
    # What was kept then holds now, whatever the time was.
    _, _, err = run(host, paths)
    assert err.count("kept from an earlier run") == 4


@pytest.mark.any_user
def test_the_faked_clock_is_the_command_s(host):
    (host.root / "sitecustomize.py").write_text(CLOCK)
    code = "import time\nwhile abs(time.time() - time.clock_gettime(0)) < 100: time.sleep(0.1)"
    environment = host.environment(PYTHONPATH=str(host.root))
    subprocess.run([sys.executable, "-P", "-c", code], env=environment, check=True, timeout=60)


@pytest.mark.any_user
@pytest.mark.parametrize("hook", HOOKS)
def test_a_plugin_that_raises_is_named_and_costs_nobody_a_point(host, hook):
    arguments, body = HOOKS[hook]
    text = PLUGIN.format(hook=hook.partition(",")[0], arguments=arguments, body=body)
    report = ("--report", "bad=-") if "reporters" in hook else ()
    words = host.command(host.right(), options=report)[3:]
    if report:  # standard output is the plugin's
        at = words.index("--json")
        del words[at : at + 2]
    done = subprocess.run(
        [sys.executable, "-c", INSTALLED.format(text=text), *words],
        cwd=host.handed_in,
        env=host.environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (2, 3), done.stderr
    assert "Traceback" not in done.stderr
    assert "plugin" in done.stderr
    assert host.processes() == []
    assert [path.name for path in host.tmp.iterdir()] == []
