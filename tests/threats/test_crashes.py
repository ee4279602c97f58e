"""A kernel that dies costs the cell that killed it; definitions are scored all the same."""

import pytest

MAX = 8.0

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


@pytest.mark.parametrize("death", DEATHS)
def test_a_kernel_that_dies_in_a_cell_costs_that_cell(attack, notes, death):
    source, how = DEATHS[death]
    verdict = attack(source)
    assert verdict.right["score"] == MAX
    assert "the kernel died in cell 0" in notes(verdict.right)["cell_crash"]
    assert how in notes(verdict.right)["cell_crash"]


def test_a_stack_that_overflows_costs_its_cell(attack, notes):
    """Newer versions of Python raise an error where older ones die."""
    overflow = """
        import sys
        sys.setrecursionlimit(10**9)
        class Deep:
            def __getattr__(self, name): return getattr(self, name)
        Deep().down
        """
    verdict = attack(overflow)
    assert verdict.right["score"] == MAX
    said = str(notes(verdict.right))
    assert "cell 0" in said
    assert "SIGSEGV" in said or "RecursionError" in said


@pytest.mark.parametrize(
    "leave", ["sys.exit(0)", "exit()", "quit()", "raise SystemExit", "raise KeyboardInterrupt"]
)
def test_leaving_politely_ends_nothing(attack, leave):
    assert attack(f"import sys\n{leave}").right["score"] == MAX


def test_a_death_in_a_function_costs_its_own_exercise(host, points, messages):
    deadly = host.right(sigmoid="import os\nos._exit(0)", cost="import ctypes\nctypes.string_at(0)")
    verdict = host.grade(deadly, host.right(name="honest"))
    assert points(verdict["right"]) == {"square": 2.0, "sigmoid": 0.0, "gradient": 0.0}
    assert "ended the student's process (exit code 0)" in messages(verdict["right"])["sigmoid"]
    assert "killed by SIGSEGV" in messages(verdict["right"])["gradient"]
    assert verdict["honest"]["score"] == MAX


KILL = """
import signal

def kill(target):
    if target in (1, -1) and not is_closed_in():
        raise RuntimeError("nothing closes this process in")
    os.kill(target, signal.SIGKILL)
"""


@pytest.mark.parametrize("target", ["os.getppid()", "0", "-1", "1", "-os.getpgrp()"])
def test_killing_the_grader_does_not_work(attack, notes, closed_in, target):
    verdict = attack(closed_in + KILL, f"kill({target})")
    assert verdict.right["score"] == MAX
    assert "nothing closes" not in str(notes(verdict.right))


def test_killing_the_grader_from_a_function_does_not_work(host, points, messages, closed_in):
    deadly = "kill(os.getppid())\nkill(-1)\nkill(os.getpid())"
    verdict = host.grade(host.right(closed_in + KILL, sigmoid=deadly), host.right(name="honest"))
    assert verdict["right"]["status"] == "graded"
    assert points(verdict["right"])["sigmoid"] == 0.0
    assert "nothing closes" not in messages(verdict["right"])["sigmoid"]
    assert verdict["honest"]["score"] == MAX


def test_a_thread_that_kills_later_costs_nobody_else(host):
    later = """
        import os, threading, time
        def end():
            time.sleep(0.5)
            os._exit(7)
        threading.Thread(target=end, daemon=True).start()
        """
    verdict = host.grade(host.right(later), host.right(name="honest"))
    assert verdict["right"]["status"] == "graded"
    assert verdict["honest"]["score"] == MAX


def test_a_class_whose_making_kills_is_left_out_alone(host, points):
    deadly = "class Meta(type):\n    def __new__(m, n, b, d):\n        import os; os._exit(3)\n"
    deadly += "class Boom(metaclass=Meta): pass"
    verdict = host.grade(host.right(deadly))
    assert verdict["right"]["score"] == MAX
