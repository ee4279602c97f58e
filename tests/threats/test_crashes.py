"""A kernel that dies costs the cell that killed it; definitions are scored all the same."""

import pytest

HALF = 5.0
RIGHT_BUT_FOR_THAT = 6.0

# What kills a kernel from a cell, and what the report says of it.
DEATHS = {
    "os._exit": ("import os\nos._exit(0)", "exit code 0"),
    "os.abort": ("import os\nos.abort()", "SIGABRT"),
    "kill": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    "segfault": ("import ctypes\nctypes.string_at(0)", "SIGSEGV"),
    "faulthandler": ("import faulthandler\nfaulthandler._sigsegv()", "SIGSEGV"),
    "fatal error": ("import faulthandler\nfaulthandler._fatal_error_c_thread()", "SIGABRT"),
    "exec of another program": ("import os\nos.execv('/bin/true', ['true'])", "exit code 0"),
}


# Newer versions of Python raise an error where older ones die.
OVERFLOW = """
import sys
sys.setrecursionlimit(10**9)
class Deep:
    def __getattr__(self, name): return getattr(self, name)
Deep().down
"""
POLITE = ("sys.exit(0)", "exit()", "quit()", "raise SystemExit", "raise KeyboardInterrupt")
KILL = """
import signal

def kill(target):
    if target in (1, -1) and not is_closed_in():
        raise RuntimeError("nothing closes this process in")
    os.kill(target, signal.SIGKILL)
"""
TARGETS = ("os.getppid()", "0", "-1", "1", "-os.getpgrp()")
LATER = """
import os, threading, time
def end():
    time.sleep(0.5)
    os._exit(7)
threading.Thread(target=end, daemon=True).start()
"""
METACLASS = """
class Meta(type):
    def __new__(m, n, b, d):
        import os; os._exit(3)
class Boom(metaclass=Meta): pass
"""


@pytest.fixture(scope="module")
def in_cells(attacks, closed_in):
    """The verdicts on half-right answers in which a cell dies."""
    return attacks(
        {death: source for death, (source, _) in DEATHS.items()}
        | {"overflow": OVERFLOW, "later": LATER, "metaclass": METACLASS}
        | {leave: f"import sys\n{leave}" for leave in POLITE}
        | {target: (closed_in + KILL, f"kill({target})") for target in TARGETS}
    )


@pytest.mark.parametrize("death", DEATHS)
def test_a_kernel_that_dies_in_a_cell_costs_that_cell(in_cells, notes, death):
    assert in_cells[death]["score"] == HALF
    said = notes(in_cells[death])["cell_crash"]
    assert "the kernel died in cell 0" in said
    assert DEATHS[death][1] in said


def test_a_stack_that_overflows_costs_its_cell(in_cells, notes):
    assert in_cells["overflow"]["score"] == HALF
    said = str(notes(in_cells["overflow"]))
    assert "cell 0" in said
    assert "SIGSEGV" in said or "RecursionError" in said


@pytest.mark.parametrize("leave", POLITE)
def test_leaving_politely_ends_nothing(in_cells, leave):
    assert in_cells[leave]["score"] == HALF


@pytest.mark.parametrize("target", TARGETS)
def test_killing_the_grader_does_not_work(in_cells, notes, target):
    assert in_cells[target]["score"] == HALF
    assert "nothing closes" not in str(notes(in_cells[target]))


def test_a_thread_that_kills_later_costs_nobody_else(in_cells):
    assert in_cells["later"]["status"] == "graded"


def test_a_class_whose_making_kills_is_left_out_alone(in_cells):
    assert in_cells["metaclass"]["score"] == HALF


# What ends the process of a check, and what its message says.
IN_FUNCTIONS = {
    "os._exit": ("import os\nos._exit(0)", "ended the student's process (exit code 0)"),
    "segfault": ("import ctypes\nctypes.string_at(0)", "killed by SIGSEGV"),
    "abort": ("import os\nos.abort()", "killed by SIGABRT"),
    "kill": (
        "for target in (os.getppid(), -1, os.getpid()):\n"
        "    try: kill(target)\n"
        "    except PermissionError: continue",
        "ended the student's process",
    ),
}


@pytest.fixture(scope="module")
def in_functions(inside, closed_in):
    """The verdicts on answers in which one function dies."""
    bodies = {death: body for death, (body, _) in IN_FUNCTIONS.items()}
    return inside(bodies, top=[closed_in + KILL])


@pytest.mark.parametrize("death", IN_FUNCTIONS)
def test_a_death_in_a_function_costs_its_own_exercise(in_functions, messages, death):
    assert in_functions[death]["score"] == RIGHT_BUT_FOR_THAT
    said = messages(in_functions[death])["square"]
    assert IN_FUNCTIONS[death][1] in said
    assert "nothing closes" not in said
