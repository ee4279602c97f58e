"""What a submission starts ends with it: children, daemons, bombs, whatever session they are in."""

import textwrap

import pytest

MAX = 8.0

# Each child stays for a minute, and bears the test's mark where its arguments can be read.
STAY = "import sys, time; time.sleep(60)"
LEFT = {
    "a child": "subprocess.Popen([sys.executable, '-c', STAY, 'MARK'])",
    "a child in a session of its own": (
        "subprocess.Popen([sys.executable, '-c', STAY, 'MARK'], start_new_session=True)"
    ),
    "a daemon, forked twice, without its environment": """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 4096)
                os.chdir("/")
                os.execve(sys.executable, [sys.executable, "-c", STAY, "MARK"], {})
            os._exit(0)
        """,
    "a shell that comes again and again": (
        "subprocess.Popen(['/bin/sh', '-c', 'while true; do sleep 1; done # MARK'],"
        " start_new_session=True, env={})"
    ),
    "nohup": "os.system('nohup setsid sh -c \"sleep 60 # MARK\" >/dev/null 2>&1 &')",
    "a chain of forks": """
        def run():
            import time
            for _ in range(200):
                if os.fork():
                    os._exit(0)
                os.setsid()
                time.sleep(0.05)
            time.sleep(60)
        if os.fork() == 0:
            run()
        """,
    "a thousand threads": """
        import threading, time
        try:
            for _ in range(1000):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except RuntimeError:
            pass
        """,
    "a process pool that is never closed": """
        import multiprocessing
        try:
            pool = multiprocessing.Pool(2)
        except OSError:
            pass
        """,
}
# As far as it gets: without a limit it would be 4000, which this machine survives.
BOMB = """
    born = 0
    for _ in range(4000):
        try:
            if os.fork() == 0:
                import time
                time.sleep(60)
                os._exit(0)
            born += 1
        except OSError as error:
            raise RuntimeError(f"no more than {born} processes: {error}")
    raise RuntimeError("nothing stopped it")
    """


def source_of(left, mark):
    source = textwrap.dedent(left).strip("\n").replace("MARK", mark)
    return f"import os, subprocess, sys\nSTAY = {STAY!r}\n{source}"


@pytest.mark.parametrize("left", LEFT)
def test_nothing_that_a_cell_started_outlives_its_submission(attack, host, left):
    verdict = attack(source_of(LEFT[left], host.mark))
    assert verdict.right["score"] == MAX


@pytest.mark.parametrize(
    "left", ["a child in a session of its own", "a daemon, forked twice, without its environment"]
)
def test_nothing_that_a_function_started_outlives_its_submission(host, left):
    body = source_of(LEFT[left], host.mark) + "\nreturn (x * x).mean()"
    verdict = host.grade(host.right(mean_square=body), host.right(name="honest"))
    assert verdict["right"]["status"] == "graded"
    assert verdict["honest"]["score"] == MAX


def test_a_fork_bomb_meets_a_limit_and_is_gone(attack, notes):
    verdict = attack("import os\n" + textwrap.dedent(BOMB))
    assert verdict.right["status"] == "graded"
    said = str(notes(verdict.right))
    assert "nothing stopped it" not in said
    assert "processes" in said


def test_a_fork_bomb_in_a_function_costs_its_exercise(host, points, messages):
    verdict = host.grade(
        host.right(sigmoid="import os\n" + textwrap.dedent(BOMB)), host.right(name="honest")
    )
    assert points(verdict["right"])["sigmoid"] == 0.0
    assert "nothing stopped it" not in messages(verdict["right"])["sigmoid"]
    assert verdict["honest"]["score"] == MAX


def test_children_that_fork_on_while_they_are_killed_are_all_gone(host):
    """Each child makes the next and ends, as fast as it can: no list of processes holds it."""
    source = """
        import os
        if os.fork() == 0:
            os.setsid()
            for _ in range(20000):
                try:
                    if os.fork():
                        os._exit(0)
                except OSError:
                    continue
            os._exit(0)
        """
    verdict = host.grade(host.right(source), host.right(name="honest"))
    assert verdict["right"]["status"] == "graded"
    assert verdict["honest"]["score"] == MAX
