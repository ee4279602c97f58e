"""A cell that never ends costs itself, whatever it refuses to hear; the rest goes on."""

import pytest

HALF = 5.0
MAX = 8.0
LIMITS = {"cell_s": 1, "notebook_s": 6, "check_s": 1}

DEAF = """
    import os, signal, threading, time
    def deaf(*args): pass
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        try: signal.signal(number, deaf)
        except (OSError, ValueError): continue
    """
# What stands in a cell for ever.
CELLS = {
    "a loop": "while True: pass",
    "a sleep": "import time\ntime.sleep(10**6)",
    "a loop that catches everything": """
        while True:
            try:
                while True: pass
            except BaseException:
                continue
        """,
    "a sleep that ignores every signal": DEAF + "while True: time.sleep(10**6)",
    "signals blocked": """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while True: pass
        """,
    "C that holds the interpreter's lock": "import itertools\nsum(itertools.repeat(0))",
    "a sleep in C that holds the interpreter's lock": (
        "import ctypes\nctypes.PyDLL(None).sleep(10**6)"
    ),
    "a power": "2 ** (10 ** 11) % 3 if False else pow(7, 10 ** 8)",
    "a pattern that backtracks": "import re\nre.match('(a|aa)+$', 'a' * 60 + 'b')",
    "a lock that nobody opens": (
        "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()"
    ),
    "a pipe that nobody fills": "import os\nos.read(os.pipe()[0], 1)",
    "a process that stops itself": (
        "import os, signal\nwhile True: os.kill(os.getpid(), signal.SIGSTOP)"
    ),
    "a child that it waits for": """
        import os
        if os.fork() == 0:
            while True: pass
        os.wait()
        """,
    "what it shows": "class Slow:\n    def __repr__(self):\n        while True: pass\nSlow()",
    "what it throws away": (
        "class Slow:\n    def __del__(self):\n        while True: pass\nslow = Slow()\ndel slow"
    ),
    "the text of its error": (
        "class Slow(Exception):\n    def __str__(self):\n        while True: pass\nraise Slow"
    ),
    "a tracer": """
        import sys
        def trace(*args):
            while True: pass
        sys.settrace(trace)
        (lambda: 0)()
        """,
    "a default of a definition": "def slow(x=[0 for _ in iter(int, 1)]): pass",
}
# What hangs later than in its cell, and so costs nothing.
LATER = {
    "an atexit handler": """
        import atexit, multiprocessing.util, weakref
        def hang():
            while True: pass
        class Thing: pass
        thing = Thing()
        atexit.register(hang)
        weakref.finalize(thing, hang)
        multiprocessing.util.Finalize(None, hang, exitpriority=100)
        """,
    "a destructor at the end": """
        class Slow:
            def __del__(self):
                while True: pass
        slow = Slow(); slow.itself = slow
        """,
    "threads that never rest": """
        import threading
        def spin():
            while True: pass
        for _ in range(3): threading.Thread(target=spin).start()
        """,
    "a thread that waits": (
        "import threading\nthreading.Thread(target=threading.Event().wait).start()"
    ),
    "a hook after the cell": """
        def hang(*args):
            while True: pass
        get_ipython().events.register("post_run_cell", hang)
        """,
    "fork handlers": """
        import os
        def hang():
            while True: pass
        os.register_at_fork(after_in_child=hang)
        """,
}


@pytest.fixture(scope="module")
def in_cells(attacks):
    """The verdicts on half-right answers under a cell that hangs."""
    return attacks(CELLS | {f"later: {title}": cell for title, cell in LATER.items()}, **LIMITS)


@pytest.mark.parametrize("hang", CELLS)
def test_a_cell_that_never_ends_costs_itself_alone(in_cells, notes, hang):
    assert in_cells[hang]["score"] == HALF
    said = notes(in_cells[hang])["cell_timeout"]
    assert "cell 0 was stopped: the limit of a cell is 1 s" in said, said


@pytest.mark.parametrize("hang", LATER)
def test_what_hangs_when_nobody_waits_for_it_holds_nothing_up(in_cells, hang):
    assert in_cells[f"later: {hang}"]["status"] == "graded"
    assert in_cells[f"later: {hang}"]["score"] == HALF


def test_a_notebook_of_cells_that_all_take_their_time_meets_the_notebook_s_limit(host, notes):
    """No cell alone is too long; together they are. What is left is extracted."""
    host.write_assignment(cell_s=3, notebook_s=3)
    slow = "import time\ntime.sleep(2)"
    # Twenty seconds of sleep: on a busy machine, not all of it counts.
    graded = host.grade(host.half(*[slow] * 10), host.right(name="honest"))
    assert graded["half"]["score"] == HALF
    assert "the notebook's 3 s are used up" in str(notes(graded["half"]))
    assert graded["honest"]["score"] == MAX
