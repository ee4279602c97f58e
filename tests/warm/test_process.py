"""A warm process in use: the verdicts of a cold run, and nothing left when either end is killed."""

import json
import signal
import subprocess
import sys

import pytest

from .conftest import CELLS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone"),
]
HANGS = "import time, pathlib\npathlib.Path('began').touch()\ntime.sleep(1000)"


def test_it_gives_the_verdicts_that_a_cold_run_gives(desk, warm):
    for factor in (1, 2):
        desk.write(*(cell.format(factor=factor) for cell in CELLS))
        first = desk.grade("--json", "warm.json")
        cold = desk.grade("--json", "cold.json", "--no-keep-warm") if factor == 2 else None
        if cold is None:
            assert first.returncode == 0
            assert "6 / 6" in first.stdout
            continue
        assert (first.returncode, first.stdout, first.stderr) == (
            cold.returncode,
            cold.stdout,
            cold.stderr,
        )
        warm_report, cold_report = (
            json.loads((desk.folder / f"{name}.json").read_text()) for name in ("warm", "cold")
        )
        assert _without_times(warm_report) == _without_times(cold_report)
    assert warm.wait(60) == 0  # --no-keep-warm has ended it


def test_keep_warm_leaves_one_that_the_next_run_uses_and_nothing_else_does(desk, until):
    desk.grade()
    assert not desk.pids()
    first = desk.grade("--keep-warm")
    until(lambda: desk.listens)
    broken = CELLS[2].format(factor=2)
    desk.write(*CELLS[:2], broken)
    second = desk.grade()
    assert "6 / 6" in first.stdout
    assert "sigmoid_prime" in second.stdout
    record = json.loads((desk.runtime / "grade-warm" / f"{desk.key()}.json").read_text())
    assert record["pid"] in desk.pids()


def test_a_changed_check_is_run_and_the_process_that_held_the_old_one_ends(desk, warm):
    check = desk.folder / "checks" / "test_sigmoid.py"
    check.write_text(check.read_text() + "\n\nraise RuntimeError('a new line')\n")
    told = desk.grade()
    assert told.returncode == 2
    assert "a new line" in told.stderr
    assert warm.wait(60) == 0


def test_ctrl_c_ends_the_run_and_not_the_process(desk, warm, until):
    idle = len(desk.pids())
    desk.write(HANGS)
    client = subprocess.Popen(
        desk.command(), cwd=desk.folder, env=desk.environment, stderr=subprocess.PIPE
    )
    until(lambda: len(desk.pids()) > idle + 1)
    client.send_signal(signal.SIGINT)
    _, told = client.communicate(timeout=60)
    assert client.returncode == 130, told
    until(lambda: len(desk.pids()) == idle)
    assert warm.poll() is None


def test_ctrl_c_ends_a_run_whose_check_never_comes_back_from_c(desk, until):
    """It holds the interpreter's lock; the client learns what a shell would."""
    sign = desk.folder / "now"
    checks = desk.folder / "checks" / "test_sigmoid.py"
    holds = f"    import itertools\n    open({str(sign)!r}, 'w').close()\n"
    text = checks.read_text()
    first = text.index("def test_")
    body = text.index("\n", first) + 1
    checks.write_text(f"{text[:body]}{holds}    sum(itertools.repeat(0))\n{text[body:]}")
    warm = desk.start()
    until(lambda: desk.listens or warm.poll() is not None)
    idle = len(desk.pids())
    client = subprocess.Popen(
        desk.command(), cwd=desk.folder, env=desk.environment, stderr=subprocess.PIPE
    )
    until(sign.exists)
    client.send_signal(signal.SIGINT)
    _, told = client.communicate(timeout=60)
    assert client.returncode == 130, told
    until(lambda: len(desk.pids()) == idle)
    assert warm.poll() is None
    warm.terminate()
    warm.wait(60)


def test_a_client_that_is_killed_takes_its_run_with_it(desk, warm, until):
    idle = len(desk.pids())
    desk.write(HANGS)
    client = subprocess.Popen(desk.command(), cwd=desk.folder, env=desk.environment)
    until(lambda: len(desk.pids()) > idle + 1)
    client.kill()
    client.wait()
    until(lambda: len(desk.pids()) == idle)
    assert warm.poll() is None


def test_a_process_that_is_killed_leaves_nothing_and_the_run_is_done_without_it(desk, warm, until):
    idle = len(desk.pids())
    desk.write(*CELLS[:2], CELLS[2].format(factor=1), "import time\ntime.sleep(3)")
    client = subprocess.Popen(
        desk.command(),
        cwd=desk.folder,
        env=desk.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: len(desk.pids()) > idle + 1)
    warm.kill()
    out, told = client.communicate(timeout=120)
    assert client.returncode == 0
    assert "6 / 6" in out
    assert "ended meanwhile" in told
    until(lambda: not desk.pids())


def test_it_ends_by_itself(desk, until):
    process = desk.start(stays_s=0.0)
    assert process.wait(60) == 0
    assert not (desk.runtime / "grade-warm" / f"{desk.key()}.sock").exists()


def _without_times(report):
    if isinstance(report, dict):
        return {k: _without_times(v) for k, v in report.items() if "seconds" not in k}
    return [_without_times(v) for v in report] if isinstance(report, list) else report
