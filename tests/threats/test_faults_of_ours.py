"""What breaks on the grader's own side costs no student a point; the batch goes on."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

import grader
from grader.session import kernels
from grader.session.guard import NAME as GUARD

MAX = 8.0
HEAD = """
import numpy as np
import pytest
from grader.errors import GraderFault
"""
CHECK = (
    HEAD
    + """
@pytest.mark.exercise("square", points=2)
def test_square(student, rng):
    x = rng.normal(size=5)
    assert abs(student.mean_square(x) - np.mean(x**2)) < 1e-9

@pytest.mark.exercise("gradient", points=3)
def test_gradient(student):
    assert student.has("Model")
"""
)
CHECK_OF_SIGMOID = """
@pytest.mark.exercise("sigmoid", points=3)
def test_sigmoid({fixtures}):
    {body}
"""


def check_of_sigmoid(body="pass", fixtures="student"):
    return CHECK_OF_SIGMOID.format(
        body=textwrap.indent(textwrap.dedent(body), "    ").strip(), fixtures=fixtures
    )


def check_file(body="pass", fixtures="student"):
    return CHECK + check_of_sigmoid(body, fixtures)


def hidden_file(body):
    """A hidden check of the sigmoid, which may ask for the solved notebook."""
    return HEAD + check_of_sigmoid(body, "student, reference")


def held_harmless(graded):
    """Nobody has lost a point: what is not graded has neither a score nor a maximum."""
    for submission in graded.submissions.values():
        assert submission["status"] == "grader_fault"
        assert (submission["score"], submission["max_score"]) == (None, None)
        assert submission["exercises"] == []
        assert "a fault of the grader, not of the submission" in submission["message"]


BROKEN = {
    "a check that raises": check_file("1 / 0"),
    "a check that uses a name that isn't there": check_file("undefined_name"),
    "a check that misspells what it calls": check_file("student.sigmoit(np.zeros(3))"),
    "a check that misspells a method": check_file("student.Model([[1.0]], [1.0]).kost([1.0])"),
    "a check that misuses what it calls": check_file("student.sigmoid(object())"),
    "a check that asks for too little": check_file("student.sigmoid(np.zeros(3))[7]"),
    "a fixture that isn't there": check_file("pass", fixtures="student, no_such_fixture"),
    "a check that says so": check_file("raise GraderFault('the machine is on fire')"),
    "a check that leaves": check_file("raise SystemExit(0)"),
}

# What shows before a kernel starts is the instructor's to mend: nothing is graded.
SLIPS = {
    "a file that doesn't parse": check_file() + "\ndef test_(:",
    "an import that isn't there": "import no_such_module\n" + check_file(),
    "a file that raises": "raise RuntimeError('not finished')\n" + check_file(),
    "a file that leaves": "import sys\nsys.exit(0)\n" + check_file(),
    "points that don't sum": check_file().replace("points=2", "points=1"),
    "an exercise that isn't there": check_file().replace('"square"', '"circle"'),
}


@pytest.mark.any_user
@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_check_file_costs_nobody_a_point(host, broken):
    host.write_assignment(checks=BROKEN[broken])
    held_harmless(host.grade(host.right(), host.wrong(), code=3))


@pytest.mark.any_user
@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_of_the_instructors_is_one_line_and_nothing_is_graded(host, slip):
    host.write_assignment(checks=SLIPS[slip])
    command = host.command(host.right(), host.wrong())
    done = subprocess.run(
        command, env=host.environment(), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 2
    assert "assignment toy" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.any_user
def test_a_reference_that_raises_costs_nobody_a_point(host):
    host.write_assignment(
        checks=CHECK,
        hidden=hidden_file("assert np.allclose(student.sigmoid(0.0), reference.sigmoid(0.0))"),
        reference={
            "mean_square": "return np.mean(x**2)",
            "sigmoid": "raise RuntimeError('the solution is not finished')",
            "cost": "return 0.0",
            "grad": "return w",
        },
    )
    held_harmless(host.grade(host.right(), host.right(name="second"), code=3))


@pytest.mark.any_user
def test_a_reference_whose_process_dies_costs_nobody_a_point(host):
    host.write_assignment(
        checks=CHECK,
        hidden=hidden_file("reference.sigmoid(0.0)"),
        reference={
            "mean_square": "return np.mean(x**2)",
            "sigmoid": "import os\nos._exit(1)",
            "cost": "return 0.0",
            "grad": "return w",
        },
    )
    held_harmless(host.grade(host.right(), code=3))


@pytest.mark.any_user
def test_a_reference_that_never_returns_costs_nobody_a_point(host):
    host.write_assignment(
        checks=CHECK,
        hidden=hidden_file("reference.sigmoid(0.0)"),
        reference={
            "mean_square": "return np.mean(x**2)",
            "sigmoid": "while True: pass",
            "cost": "return 0.0",
            "grad": "return w",
        },
    )
    held_harmless(host.grade(host.right(), code=3))


@pytest.mark.any_user
def test_a_check_that_breaks_on_one_student_s_value_is_that_student_s_loss_alone(host):
    """The other side: what the solved notebook passes is no broken check."""
    host.write_assignment(checks=check_file("assert {0.5: True}[student.sigmoid(0.0)]"))
    odd = host.right(name="odd", sigmoid="return []")
    graded = host.grade(odd, host.right())
    assert graded["odd"]["status"] == "graded"
    assert graded["odd"]["score"] == 5.0
    assert graded["right"]["score"] == MAX


# --- the machine --------------------------------------------------------------------------------


@pytest.mark.any_user
def test_a_disk_that_is_full_costs_nobody_a_point(host):
    """No file of the grader may grow beyond some bytes: as on a full disk, writing fails."""
    limit = "import os, resource, signal, sys\n"
    limit += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))\n"
    limit += "os.execv(sys.argv[1], sys.argv[1:])"
    graded = host.grade(
        host.right(), host.right(name="second"), code=3, wrap=[sys.executable, "-c", limit]
    )
    held_harmless(graded)


def test_a_temporary_folder_that_is_full_costs_nobody_a_point(host, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    small = host.root / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)])
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        (small / "full").write_bytes(bytes(50_000))
        big = host.right(files={"data.csv": "1,2\n" * 20_000})
        graded = host.grade(big, code=3, environment={"TMPDIR": str(small)})
        held_harmless(graded)
        assert [path.name for path in small.iterdir()] == ["full"]
    finally:
        subprocess.run(["umount", str(small)], check=True)


def _limited_to(descriptors):
    limit = "import os, resource, sys\n"
    limit += f"resource.setrlimit(resource.RLIMIT_NOFILE, ({descriptors}, {descriptors}))\n"
    limit += "os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", limit]


@pytest.mark.any_user
@pytest.mark.parametrize("descriptors", [8, 12, 16, 63])
def test_too_few_descriptors_are_told_in_one_line_and_nothing_is_graded(host, descriptors):
    done = subprocess.run(
        [*_limited_to(descriptors), *host.command(host.right())],
        env=host.environment(), capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stdout == ""
    (line,) = [x for x in done.stderr.splitlines() if "to fork kernels from" not in x]
    assert f"{descriptors} files may be open at once here, and grading needs 64" in line


@pytest.mark.any_user
def test_few_descriptors_are_enough_for_one_submission(host):
    graded = host.run(host.right(), wrap=_limited_to(64))
    assert graded["right"]["score"] == graded["right"]["max_score"]


@pytest.mark.any_user
def test_a_temporary_folder_that_is_not_there_is_told_in_one_line(host):
    done = subprocess.run(
        host.command(host.right()),
        cwd=host.root,
        env=host.environment(TMPDIR="/nowhere", TEMP="/nowhere", TMP="/nowhere"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    # Python falls back on /tmp: then it is graded as ever.
    assert done.returncode in (0, 3)


@pytest.mark.any_user
def test_a_session_that_fails_stops_its_submission_alone(host, monkeypatch):
    """One kernel in three can't be started: the machine's fault."""
    opened = []
    open_session = kernels.open_session

    def failing(notebook, **options):
        opened.append(notebook)
        if len(opened) == 2:
            raise OSError(28, "No space left on device")
        return open_session(notebook, **options)

    monkeypatch.setattr(kernels, "open_session", failing)
    monkeypatch.setenv("TMPDIR", str(host.tmp))
    paths = [host.right(name=name) for name in ("a", "b", "c")]
    report = grader.grade(paths, assignment="toy", assignments=host.assignments)
    # The second one to be opened is the solved notebook's, which the first submission needs.
    assert [r.status for r in report.results] == ["grader_fault", "graded", "graded"]
    assert [r.score for r in report.results] == [0.0, MAX, MAX]
    assert "No space left" in report.results[0].message


@pytest.mark.any_user
def test_a_student_s_own_session_that_fails_is_ours_too(host, monkeypatch):
    open_session = kernels.open_session

    def failing(notebook, **options):
        if "/1" in str(options["folder"]):
            raise OSError(28, "No space left on device")
        return open_session(notebook, **options)

    monkeypatch.setattr(kernels, "open_session", failing)
    monkeypatch.setenv("TMPDIR", str(host.tmp))
    paths = [host.right(name=name) for name in ("a", "b", "c")]
    report = grader.grade(paths, assignment="toy", assignments=host.assignments)
    assert [r.status for r in report.results] == ["graded", "grader_fault", "graded"]
    assert [r.score for r in report.results] == [MAX, 0.0, MAX]


# Says from inside, where /proc shows it to the host, that now is the time to kill it.
NOW = "import ctypes, time\nctypes.CDLL(None).prctl(15, b'SIGN')\ntime.sleep(1)\n"
# The template's last cell calls it as well, with three numbers.
IN_CHECK = "if len(x) == 9:\n" + textwrap.indent(NOW, "    ")
KILLED = {
    "a cell": (NOW + "two = float(np.sum(np.ones(2)))", "", "itself"),
    "a check": ("two = float(np.sum(np.ones(2)))", IN_CHECK, "itself"),
    "a check's notebook": ("two = float(np.sum(np.ones(2)))", IN_CHECK, "its parent"),
}


def sign_of(host):
    """The name that a process of this host's gradings takes; another run has another one."""
    return host.mark[-12:]


def giving_sign(host, where, name):
    """A right answer that gives the sign there."""
    cell, body, _ = KILLED[where]
    return host.right(
        f"import numpy as np\n{cell}".replace("SIGN", sign_of(host)),
        name=name,
        mean_square=f"{body}return two * np.mean(x**2) / 2".replace("SIGN", sign_of(host)),
    )


def named(name):
    """The processes of that name."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if (entry / "comm").read_text().strip() == name:
                yield int(entry.name)


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def running(host, script):
    """The processes of this host's gradings that run such a file or module."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
            ours = host.mark.encode() in (entry / "environ").read_bytes()
            if ours and any(word.endswith(script) for word in words):
                yield int(entry.name)


def grading_processes(host):
    """The workers of this host's gradings: forks of the command, with its words."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            words = (entry / "cmdline").read_bytes()
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            ours = host.mark.encode() in (entry / "environ").read_bytes()
            forked = words == Path(f"/proc/{parent}/cmdline").read_bytes()
            guard = (entry / "comm").read_text().strip() == GUARD
            if ours and forked and not guard and b"grader" in words.split(b"\0"):
                yield int(entry.name)


def graded_while_killing(host, victims, *paths, options, number=signal.SIGKILL):
    """What the command says of these paths; at the first sign of NOW each victim gets a signal.

    victims : victims(pid) -> the processes to kill, of the one that gave the sign
    """
    process = subprocess.Popen(
        host.command(*paths, options=options),
        env=host.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    killed = []

    def kill_once():
        while not killed and process.poll() is None:
            for pid in named(sign_of(host)):
                killed.extend(victims(pid))
                for victim in killed:
                    with contextlib.suppress(ProcessLookupError):  # gone with one before it
                        os.kill(victim, number)
                return
            time.sleep(0.01)

    thread = threading.Thread(target=kill_once)
    thread.start()
    out, err = process.communicate(timeout=180)
    thread.join()
    assert killed
    submissions = {Path(s["path"]).stem: s for s in json.loads(out)["submissions"]}
    assert host.processes() == []
    return process.returncode, submissions, err


@pytest.mark.parametrize("where", KILLED)
def test_a_process_that_the_machine_kills_costs_nobody_a_point(host, sandbox, where):
    """The kernel's memory killer, say, takes a student's process for no fault of its own."""
    victim = KILLED[where][2]
    code, submissions, err = graded_while_killing(
        host,
        lambda pid: [pid if victim == "itself" else parent_of(pid)],
        *(giving_sign(host, where, "right"), host.right(name="honest")),
        options=["--jobs", "1"],
    )
    assert code == 0, err
    assert [s["status"] for s in submissions.values()] == ["graded", "graded"]
    assert [s["score"] for s in submissions.values()] == [MAX, MAX], submissions["right"]
    kinds = [note["kind"] for note in submissions["right"]["notes"]]
    assert kinds == ([] if where == "a check" else ["rerun"])


@pytest.mark.parametrize("where", ["a cell", "a check"])
def test_a_killed_parent_of_all_kernels_costs_one_submission_its_grading_and_nobody_a_point(
    host, sandbox, where
):
    """The solved notebook's kernel, which every submission is held against, dies with it."""
    code, submissions, err = graded_while_killing(
        host,
        lambda pid: running(host, "in_kernel/fork_server.py"),
        host.right(name="a"),
        giving_sign(host, where, "b"),
        *(host.right(name="c"), host.half(name="d")),
        options=["--jobs", "1"],
    )
    assert code == 3, err
    assert [s["status"] for s in submissions.values()] == [
        *("graded", "grader_fault", "graded", "graded")
    ]
    assert [s["score"] for s in submissions.values()] == [MAX, None, MAX, 5.0]
    assert submissions["b"]["max_score"] is None


def test_killed_parents_of_every_worker_s_kernels_cost_no_more_than_what_was_at_work(host, sandbox):
    code, submissions, err = graded_while_killing(
        host,
        lambda pid: running(host, "in_kernel/fork_server.py"),
        *(giving_sign(host, "a check", name) for name in "ab"),
        *(host.half(name=name) for name in "cdef"),
        options=["--jobs", "2"],
    )
    assert code == 3, err
    faults = [name for name, s in submissions.items() if s["status"] == "grader_fault"]
    assert 1 <= len(faults) <= 2
    for name, submission in submissions.items():
        if name not in faults:
            assert submission["score"] == (MAX if name in "ab" else 5.0), name
    assert list(host.tmp.iterdir()) == []


@pytest.mark.any_user
@pytest.mark.parametrize("where", ["a cell", "a check"])
def test_a_grader_that_is_stopped_for_a_while_costs_nobody_a_point(host, sandbox, where):
    """By Ctrl-Z, by a cluster that suspends its job: longer than the patience with any cell."""
    host.write_assignment(cell_s=1.5, check_s=1.5)
    process = subprocess.Popen(
        host.command(giving_sign(host, where, "right"), options=["--jobs", "1"]),
        env=host.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    while not [*named(sign_of(host))]:
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(6.5)  # four times the limit is the patience
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate(timeout=180)
    (submission,) = json.loads(out)["submissions"]
    assert submission["score"] == MAX, submission
    assert submission["notes"] == []


@pytest.mark.parametrize("where", ["a cell", "a check"])
def test_a_student_s_process_that_somebody_stops_costs_nobody_a_point(host, sandbox, where):
    """It is not asleep: the grader finds it stopped when its time is up, and makes it go on."""
    host.write_assignment(cell_s=1.5, check_s=1.5)
    code, submissions, err = graded_while_killing(
        host,
        lambda pid: [pid],
        *(giving_sign(host, where, "right"), host.right(name="honest")),
        options=["--jobs", "1"],
        number=signal.SIGSTOP,
    )
    assert code == 0, err
    assert [s["score"] for s in submissions.values()] == [MAX, MAX], submissions["right"]
    assert submissions["right"]["notes"] == []


@pytest.mark.any_user
@pytest.mark.parametrize("where", ["a cell", "a check"])
def test_a_killed_grading_process_costs_nobody_a_point(host, sandbox, where):
    """Another takes up its submission."""
    slow = giving_sign(host, where, "b")
    code, submissions, err = graded_while_killing(
        host,
        lambda pid: grading_processes(host),
        *(host.right(name="a"), slow, host.half(name="c"), host.right(name="d")),
        options=["--jobs", "2"],
    )
    assert code == 0, err
    assert [s["status"] for s in submissions.values()] == ["graded"] * 4
    assert [s["score"] for s in submissions.values()] == [MAX, MAX, 5.0, MAX]
    assert list(host.tmp.iterdir()) == []


def test_an_interrupted_grader_leaves_nothing_behind(host):
    process = subprocess.Popen(
        host.command(host.right("while True: pass")),
        env=host.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert host.processes() == []
    assert list(host.tmp.iterdir()) == []


def test_a_killed_grader_leaves_no_process_behind(host):
    """SIGKILL gives it no time to tidy up: the student's processes end by themselves."""
    process = subprocess.Popen(
        host.command(host.right("while True: pass")),
        env=host.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(2.5)
    process.kill()
    process.wait()
    assert host.processes(patience_s=15) == []
