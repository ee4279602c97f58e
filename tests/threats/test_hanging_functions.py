"""A function that never ends costs its exercise, whatever it refuses to hear; the rest goes on."""

import pytest

RIGHT_BUT_FOR_THAT = 6.0
LIMITS = {"cell_s": 1, "notebook_s": 6, "check_s": 1}

DEAF = """
    import os, signal, threading, time
    def deaf(*args): pass
    for number in set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}:
        try: signal.signal(number, deaf)
        except (OSError, ValueError): continue
    """
BODIES = {
    "a loop": "while True: pass",
    "a sleep that ignores every signal": DEAF + "while True: time.sleep(10**6)",
    "C that holds the interpreter's lock": "import itertools\nreturn sum(itertools.repeat(0))",
    "a process that stops itself": (
        "import os, signal\nwhile True: os.kill(os.getpid(), signal.SIGSTOP)"
    ),
    "a stopped parent": (
        "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nwhile True: pass"
    ),
    "a child that it waits for": """
        import os
        if os.fork() == 0:
            while True: pass
        os.wait()
        """,
    "what it throws away": """
        class Slow:
            def __del__(self):
                while True: pass
        Slow()
        return 0.0
        """,
    "the text of its error": """
        class Slow(Exception):
            def __str__(self):
                while True: pass
        raise Slow
        """,
}
# Values whose own code would hang: what they hold is asked of C alone, or not at all.
RETURNED = {
    "what it is": ("__getattribute__",),
    "what it shows": ("__repr__", "__str__", "__format__"),
    "what it counts": ("__len__", "__iter__", "__next__", "__contains__"),
    "what it is as an array": ("__array__", "__array_interface__", "__float__", "__index__"),
    "what it compares": ("__eq__", "__bool__", "__lt__", "__sub__", "__hash__"),
}


def returning(names):
    body = "def hang(*args, **more):\n    while True: pass\nclass Slow: pass\n"
    body += "".join(f"Slow.{name} = hang\n" for name in names)
    return body + "return Slow()"


@pytest.fixture(scope="module")
def in_functions(inside):
    """The verdicts on right answers of which one function hangs."""
    values = {f"value: {title}": returning(names) for title, names in RETURNED.items()}
    return inside(BODIES | values, **LIMITS)


@pytest.mark.parametrize("hang", BODIES)
def test_a_function_that_never_ends_costs_its_exercise_alone(in_functions, messages, hang):
    assert in_functions[hang]["score"] == RIGHT_BUT_FOR_THAT
    said = messages(in_functions[hang])["square"]
    assert "did not return: all calls of a check together may take 1 s" in said, said


@pytest.mark.parametrize("hang", RETURNED)
def test_a_value_whose_own_code_hangs_costs_its_exercise_alone(in_functions, messages, hang):
    assert in_functions[f"value: {hang}"]["score"] == RIGHT_BUT_FOR_THAT
    assert messages(in_functions[f"value: {hang}"])["square"]
