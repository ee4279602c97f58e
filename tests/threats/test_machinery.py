"""Machinery of Python and of the system that hardly anybody uses: no verdict turns on it."""

import json
import os
import sys

import pytest

MAX = 8.0
HALF = 5.0

SYSCALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *args):
    return libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, args))
"""
# Before answers that are half right. None of them may gain or lose a point.
CELLS = {
    "a tracer of every line": "import sys, threading\ndef trace(*a): return trace\n"
    "sys.settrace(trace); threading.settrace(trace); sys.setprofile(lambda *a: None)",
    "a tracer that raises": "import sys\ndef trace(*a): raise RuntimeError('no')\n"
    "sys.setprofile(trace)",
    "an audit hook that forbids": "import sys\n"
    "def hook(event, args):\n"
    "    if event in ('os.fork', 'exec', 'compile', 'open', 'socket.connect'):\n"
    "        raise PermissionError(event)\n"
    "sys.addaudithook(hook)",
    "an audit hook that ends it later": "import os, sys\n"
    "def hook(event, args):\n    if event == 'os.fork': os._exit(0)\n"
    "sys.addaudithook(hook)",
    "an alarm that kills": "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_DFL)\n"
    "signal.setitimer(signal.ITIMER_REAL, 0.7)",
    "a profiling timer that kills": "import signal\n"
    "signal.signal(signal.SIGPROF, signal.SIG_DFL)\nsignal.setitimer(signal.ITIMER_PROF, 0.3)",
    "a handler of every signal": "import signal\n"
    "for n in signal.valid_signals() - {9, 19}:\n"
    "    try: signal.signal(n, lambda *a: print('8 / 8'))\n"
    "    except (OSError, ValueError): pass",
    "a thread that prints for ever": "import threading, time\n"
    "def talk():\n    while True: print('8 / 8'); time.sleep(0.001)\n"
    "threading.Thread(target=talk, daemon=True).start()",
    "a thread that raises into others": "import ctypes, threading, time\n"
    "main = threading.main_thread().ident\n"
    "def throw():\n"
    "    for _ in range(40):\n"
    "        time.sleep(0.05)\n"
    "        ctypes.pythonapi.PyThreadState_SetAsyncExc(\n"
    "            ctypes.c_ulong(main), ctypes.py_object(KeyboardInterrupt))\n"
    "threading.Thread(target=throw, daemon=True).start()",
    "the least of priorities": "import os\nos.nice(19)\n"
    "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))",
    "real time": "import os\n"
    "try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99))\n"
    "except OSError: pass\nelse: while_true = 1",
    "its own memory, by its file": "import os\n"
    "x = bytearray(b'wrong')\n"
    "with open('/proc/self/mem', 'r+b', buffering=0) as mem:\n"
    "    mem.seek(id(True) + 24); mem.write(b'\\0')",
    "no parent's death": SYSCALL + "libc.prctl(1, 0); libc.prctl(4, 0); libc.prctl(36, 1)\n"
    "os.setsid() if os.getpid() != os.getsid(0) else None",
    "every system call": SYSCALL + "import subprocess\n"
    "code = 'import ctypes, sys\\nctypes.CDLL(None).syscall(int(sys.argv[1]), 0, 0, 0, 0, 0, 0)'\n"
    "for n in (101, 155, 163, 165, 169, 246, 248, 250, 272, 298, 304, 308, 310, 311, 313, 317,\n"
    "          321, 323, 425, 426, 427, 434, 438, 442, 447, 448):\n"
    "    if os.fork() == 0:\n"
    "        try: call(n, 0, 0, 0, 0, 0, 0)\n"
    "        finally: os._exit(0)\n"
    "    os.wait()",
    "modules that are not what they are called": "import sys, types\n"
    "for name in ('json', 'struct', 'socket', 'os', 'numpy', 'io', 'traceback', 'linecache'):\n"
    "    sys.modules[name] = types.ModuleType(name)",
    "no modules at all": "import sys\nsys.modules.clear()",
    "no recursion": "import sys\nsys.setrecursionlimit(60)",
    "a recursion without end": "import sys\nsys.setrecursionlimit(2**31 - 1)",
    "a switch that never comes": "import sys\nsys.setswitchinterval(10**6)",
    "no garbage collector": "import gc\ngc.disable(); gc.freeze()\n"
    "gc.callbacks.append(lambda *a: 1 / 0)",
    "an exit function": "import sys\nsys.exit = quit = exit = lambda *a: None\n"
    "import os\nos._exit = os.abort = lambda *a: None",
    "the kernel's own object": "import gc, types\n"
    "for o in gc.get_objects():\n"
    "    if type(o).__name__ in ('Kernel', 'Agent', 'Outlet', 'Check'):\n"
    "        for name in list(vars(o)) if hasattr(o, '__dict__') else ():\n"
    "            try: setattr(o, name, None)\n"
    "            except Exception: pass\n"
    "        break",
    "a display of every kind": "from IPython.display import publish_display_data as show\n"
    "for kind in ('text/html', 'application/javascript', 'image/svg+xml', 'image/png', '',\n"
    "             'text/latex', 'application/vnd.plotly.v1+json', 'y' * 9999, '\\ud800'):\n"
    "    for value in ('<script>alert(1)</script>', '\\ud800', 'A' * 4000, 7, None, [1]):\n"
    "        try: show({kind: value}, metadata={kind: {'width': -1}, 'x': value})\n"
    "        except Exception: pass",
    "a display of figures that lie": "from IPython.display import publish_display_data as show\n"
    "import base64, struct, zlib\n"
    "def chunk(kind, data):\n"
    "    check = struct.pack('>I', zlib.crc32(kind + data))\n"
    "    return struct.pack('>I', len(data)) + kind + data + check\n"
    "head = struct.pack('>IIBBBBB', 60000, 60000, 8, 2, 0, 0, 0)\n"
    "png = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', head)\n"
    "png += chunk(b'IDAT', zlib.compress(bytes(1 << 20))) + chunk(b'IEND', b'')\n"
    "for data in (png, png[:20], b'GIF89a' + b'x' * 99, b'\\xff\\xd8' + b'\\xff' * 9999):\n"
    "    show({'image/png': base64.b64encode(data).decode(), 'image/jpeg': 'AAAA\\n' * 9})",
    "displays that are changed for ever": "from IPython.display import display\n"
    "handle = display('x', display_id=True)\n"
    "for n in range(2000): handle.update('8 / 8' * n)",
}  # fmt: skip
# May lose what comes after it, as its own doing; gains nothing.
MAY_LOSE = {
    "its own memory, by its file",
    "modules that are not what they are called",
    "no modules at all",
    "no recursion",
    "the kernel's own object",
    "an audit hook that forbids",
    "an audit hook that ends it later",
    "a tracer that raises",
    "a thread that raises into others",
    "an alarm that kills",
    "a profiling timer that kills",
}
FULL = {
    "in anonymous maps that are shared": "import mmap\nkept = []\n"
    "for _ in range(400):\n"
    "    m = mmap.mmap(-1, 10 << 20); m.write(b'x' * (10 << 20)); kept.append(m)",
    "in files without a name": "import os\nkept = []\n"
    "for _ in range(400):\n"
    "    f = os.memfd_create('x'); os.write(f, b'x' * (10 << 20)); kept.append(f)",
    "in segments of System V": "import ctypes\nlibc = ctypes.CDLL(None)\n"
    "libc.shmat.restype = ctypes.c_void_p\n"
    "for _ in range(400):\n"
    "    n = libc.shmget(0, 10 << 20, 0o1600)\n"
    "    if n < 0: raise MemoryError\n"
    "    ctypes.memset(libc.shmat(n, None, 0), 1, 10 << 20)",
    "in what waits in sockets": "import socket\nkept = []\n"
    "while True:\n"
    "    a, b = socket.socketpair(); a.setblocking(False); kept.append((a, b))\n"
    "    try:\n"
    "        while True: a.send(b'x' * 65536)\n"
    "    except BlockingIOError: pass",
    "in pipes": "import fcntl, os\nkept = []\n"
    "while True:\n"
    "    r, w = os.pipe(); os.set_blocking(w, False); kept.append((r, w))\n"
    "    try:\n"
    "        fcntl.fcntl(w, 1031, 1 << 20)\n"
    "        while True: os.write(w, b'x' * 65536)\n"
    "    except OSError as error:\n"
    "        if error.errno not in (11, 1): raise",
}
# Returned in place of a mean: none of them is one, and none breaks the check.
VALUES = {
    "a class that is another's": "class T:\n    __class__ = property(lambda self: float)\n"
    "return T()",
    "a class that ends the process when looked at": "import os\n"
    "class T:\n    __class__ = property(lambda self: os._exit(0))\nreturn T()",
    "an array of a class without an end": "class T(np.ndarray):\n"
    "    def __array_finalize__(self, other):\n        while True: pass\n"
    "return np.ndarray.__new__(T, (3,))",
    "a function of arrays": "class T:\n    __array_priority__ = 1e9\n"
    "    def __array_ufunc__(self, *a, **k): return True\n"
    "    def __array_function__(self, *a, **k): return True\nreturn T()",
    "a buffer that lies": "return memoryview(bytearray(8)).cast('d')",
    "half a character": "return '\\ud800'",
    "a key of half a character": "return {'\\ud800': 1.0}",
    "digits without end": "return int('9' * 4000) ** 30",
    "a float of a class": "class T(float):\n    def __eq__(self, o): return True\n"
    "    def __sub__(self, o): return 0.0\n    def __abs__(self): return 0.0\nreturn T(7e300)",
    "a dictionary of a class": "class T(dict):\n    def items(self): return [('a', 1)] * 10**9\n"
    "return T(a=1)",
    "a named tuple with a name of half a megabyte": "from collections import namedtuple\n"
    "return namedtuple('x' * 500_000, 'a')(1.0)",
    "dates": "return np.array(['NaT', '2026-01-01'], dtype='datetime64[ns]')",
    "fields with titles": "return np.zeros(3, dtype=[(('t' * 9999, 'a'), 'f8')])",
    "no elements of 10**9 rows": "return np.zeros((10**9, 0))",
    "a masked mean": "return np.ma.masked",
    "a mean of long doubles": "return np.longdouble('1e4000')",
    "an error whose name is no name": "raise type('=1\\n<b>\\x1b[2J', (Exception,), {})('\\ud800')",
    "an error that is its own cause": "e = ValueError('x')\ne.__cause__ = e.__context__ = e\n"
    "raise e",
    "a group of errors without end": "e = ValueError('x')\n"
    "for _ in range(500): e = ExceptionGroup('g', [e])\nraise e",
    "an error of a thousand notes": "e = ValueError('x')\n"
    "for n in range(10**5): e.add_note('n' * 100)\nraise e",
    "an error with attributes that raise": "class E(Exception):\n"
    "    def __getattribute__(self, name): raise SystemExit\nraise E",
    "an exit of the generator": "raise GeneratorExit",
    "a stop of the iteration": "raise StopIteration(np.mean(x**2))",
}  # fmt: skip


@pytest.fixture(scope="module")
def before(attacks):
    """The verdicts on half-right answers below such a cell."""
    return attacks(CELLS | {f"full: {title}": cell for title, cell in FULL.items()}, memory_mib=512)


@pytest.mark.parametrize("cell", CELLS)
def test_machinery_before_the_answers_turns_no_verdict(before, cell):
    assert before[cell]["status"] == "graded", before[cell]["message"]
    if cell in MAY_LOSE:
        assert before[cell]["score"] <= HALF
    else:
        assert before[cell]["score"] == HALF, before[cell]


@pytest.mark.parametrize("cell", FULL)
def test_memory_that_belongs_to_no_process_has_its_limit_all_the_same(before, cell):
    assert before[f"full: {cell}"]["status"] == "graded"
    assert before[f"full: {cell}"]["score"] == HALF


@pytest.fixture(scope="module")
def returned(inside):
    return inside(VALUES)


@pytest.mark.any_user
@pytest.mark.parametrize("value", VALUES)
def test_an_odd_value_costs_its_exercise_alone(returned, messages, value):
    assert returned[value]["status"] == "graded", returned[value]["message"]
    assert returned[value]["score"] == 6.0, returned[value]
    assert messages(returned[value])["square"]


# --- what is handed in ----------------------------------------------------------------------


def deep(levels):
    value = 0
    for _ in range(levels):
        value = {"a": value}
    return value


EDITS = {
    "metadata as deep as JSON may be": lambda d: d["metadata"].update(deep=deep(900)),
    "metadata of a hundred thousand keys": lambda d: d["metadata"].update(
        {f"k{n}": n for n in range(100_000)}
    ),
    "attachments of ten MiB": lambda d: d["cells"].insert(
        0,
        {
            "cell_type": "markdown",
            "metadata": {},
            "source": "![x](attachment:x.png)",
            "attachments": {"x.png": {"image/png": "A" * (10 << 20)}},
        },
    ),
    "attachments that are none": lambda d: d["cells"].insert(
        0,
        {"cell_type": "markdown", "metadata": {}, "source": "x", "attachments": {"../x": [1, {}]}},
    ),
    "numbers that JSON does not have": lambda d: d["metadata"].update(
        a=float("nan"), b=float("inf")
    ),
    "counts that are none": lambda d: [
        cell.update(execution_count=count)
        for cell, count in zip(d["cells"], ("x", 10**30, -1, [], 1.5), strict=False)
    ],
    "outputs of every wrong form": lambda d: d["cells"][0].update(
        outputs=[
            None,
            7,
            {},
            {"output_type": "display_data", "data": {"image/png": {"a": 1}, "a": [1, None]}},
            {"output_type": "stream", "text": {"a": 1}},
            {"output_type": "error", "ename": 1, "evalue": None, "traceback": "x" * 10**6},
            {"output_type": "x" * 10**5},
        ]
    ),
    "ids of a megabyte": lambda d: [cell.update(id="i" * (1 << 20)) for cell in d["cells"]],
    "keys that come twice": None,
    "a source in five thousand pieces": lambda d: d["cells"][0].update(
        source=["#\n"] * 5_000 + ["import numpy as np"]
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def edited(toy, notebook_text, solution, graded_together):
    paths = {}
    for n, (title, edit) in enumerate(EDITS.items()):
        document = json.loads(notebook_text(solution("right")))
        if edit is not None:
            edit(document)
        text = json.dumps(document)
        if edit is None:
            text = '{"cells": [], "metadata": {}, "cells": [], ' + text[1:]
        paths[title] = toy.handed_in / f"edited-{n}.ipynb"
        paths[title].write_text(text)
    return graded_together(toy, paths)


@pytest.mark.any_user
@pytest.mark.parametrize("edit", EDITS)
def test_an_odd_notebook_costs_nothing(edited, edit):
    assert edited[edit]["status"] == "graded", edited[edit]["message"]
    assert edited[edit]["score"] == MAX


NAMES = {
    "no text at all": b"\xff\xfe Anna\x80.zip",
    "right to left": "\u202eanna\u2066.zip".encode(),
    "a title of the terminal": b"a\x1b]0;owned\x07b.zip",
    "many accents": ("a" + "\u0301" * 100 + ".zip").encode(),
    "as long as may be": b"n" * 251 + b".zip",
    "two ways to write one": "Zoe\u0308.zip".encode(),
    "the other of the two": "Zo\u00eb.zip".encode(),
    "a line break": b"a\n::error::b.zip",
    "a family": "\U0001f468\u200d\U0001f469\u200d\U0001f467.zip".encode(),
}


@pytest.mark.any_user
@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes")
def test_a_name_of_any_bytes_is_graded_and_stands_in_every_report(host, tmp_path):
    """Named on the command line, and found in their folder; results are kept."""
    folder = os.fsencode(host.handed_in)
    one = os.fsencode(host.right(name="one"))
    for name in NAMES.values():
        with open(one, "rb") as source, open(os.path.join(folder, name), "wb") as copy:  # noqa: PTH118, PTH123
            copy.write(source.read())
    host.handed_in.joinpath("one.zip").unlink()
    pages, junit = tmp_path / "pages", tmp_path / "report.xml"
    options = ("--html", str(pages), "--junit", str(junit), "--jobs", "2")
    results = {"GRADE_RESULTS": str(tmp_path / "results.sqlite"), "GITHUB_ACTIONS": "true"}
    results["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary.md")
    for _ in range(2):  # graded, then kept
        graded = host.run(host.handed_in, options=options, environment=results)
        scores = [one["score"] for one in graded.report["submissions"]]
        assert scores == [MAX] * len(NAMES)
        assert len(list(pages.glob("*.html"))) == len(NAMES) + 1
        for text in (
            graded.text,
            (tmp_path / "summary.md").read_text("utf-8"),
            junit.read_text("utf-8"),
        ):
            assert "\x1b]" not in text
            assert "\u202e" not in text
            assert "\n::error::b" not in text
