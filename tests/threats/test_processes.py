"""What a submission starts ends with it: children, daemons, bombs, whatever session they are in."""

import textwrap

import pytest

HALF = 5.0
RIGHT_BUT_FOR_THAT = 6.0

# Each child stays for ten minutes, and bears the test's mark where its arguments can be read.
STAY = "import sys, time; time.sleep(600)"
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
    "nohup": "os.system('nohup setsid sh -c \"sleep 600 # MARK\" >/dev/null 2>&1 &')",
    "a chain of forks": """
        def run():
            import time
            for _ in range(200):
                if os.fork():
                    os._exit(0)
                os.setsid()
                time.sleep(0.05)
            time.sleep(600)
        if os.fork() == 0:
            run()
        """,
    "a thousand threads": """
        import threading, time
        try:
            for _ in range(1000):
                threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
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
                time.sleep(600)
                os._exit(0)
            born += 1
        except OSError as error:
            raise RuntimeError(f"no more than {born} processes: {error}")
    raise RuntimeError("nothing stopped it")
    """


# Each child makes the next and ends, as fast as it can: no list of processes holds it.
HYDRA = """
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
IN_FUNCTIONS = (
    "a child in a session of its own",
    "a daemon, forked twice, without its environment",
)


def source_of(left, mark):
    source = textwrap.dedent(left).strip("\n").replace("MARK", mark)
    return f"import os, subprocess, sys\nSTAY = {STAY!r}\n{source}"


@pytest.fixture(scope="module")
def in_cells(attacks, toy):
    """The verdicts on half-right answers; that nothing of theirs is alive was seen by then."""
    sources = LEFT | {"bomb": BOMB, "hydra": HYDRA}
    return attacks({title: source_of(left, toy.mark) for title, left in sources.items()})


@pytest.mark.parametrize("left", LEFT)
def test_nothing_that_a_cell_started_outlives_its_submission(in_cells, left):
    assert in_cells[left]["score"] == HALF


def test_a_fork_bomb_meets_a_limit_and_is_gone(in_cells, notes):
    assert in_cells["bomb"]["status"] == "graded"
    said = str(notes(in_cells["bomb"]))
    assert "nothing stopped it" not in said
    assert "processes" in said


def test_children_that_fork_on_while_they_are_killed_are_all_gone(in_cells):
    assert in_cells["hydra"]["status"] == "graded"


@pytest.fixture(scope="module")
def in_functions(inside, toy):
    bodies = {
        left: source_of(LEFT[left], toy.mark) + "\nreturn (x * x).mean()" for left in IN_FUNCTIONS
    }
    return inside(bodies | {"bomb": "import os\n" + textwrap.dedent(BOMB)})


@pytest.mark.parametrize("left", IN_FUNCTIONS)
def test_nothing_that_a_function_started_outlives_its_submission(in_functions, left):
    assert in_functions[left]["score"] >= RIGHT_BUT_FOR_THAT


def test_a_fork_bomb_in_a_function_costs_its_exercise(in_functions, messages):
    assert in_functions["bomb"]["score"] == RIGHT_BUT_FOR_THAT
    assert "nothing stopped it" not in messages(in_functions["bomb"])["square"]
