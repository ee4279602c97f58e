"""A template's first cells, run once: each notebook finds all as if it had run them itself."""

import os
import socket
import sys
from dataclasses import replace

import nbformat
import pytest

from grader.assignment import load_assignment
from grader.notebook import read_notebook
from grader.session import ForkServer, Kernels, start_fork_server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone"),
]
# An ordinary user has no namespaces to come back from.
SANDBOX = "auto" if os.geteuid() == 0 else "none"
TOML = """
id = "toy"
title = "Toy"
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "f"
title = "F"
points = 1
notebook = "toy.ipynb"
functions = ["f"]
"""
CHECK = """
import pytest

@pytest.mark.exercise("f", points=1)
def test_f(student):
    assert student.f() == 1
"""
GAP = (
    "def f():\n    ### START YOUR CODE ###\n    # STUB: return None\n    return 1\n"
    "    ### END YOUR CODE ###"
)
LOADS = """\
import os
import numpy as np
import matplotlib.pyplot as plt
data = np.arange(4.0)
once = os.urandom(8).hex()
noise = np.random.normal()
print("loaded", data.sum())
plt.plot(data)
plt.show()
data.shape"""


@pytest.fixture(scope="module")
def fork_server():
    with start_fork_server() as server:
        yield server


class Course:
    def __init__(self, folder, fork_server):
        self.folder, self.fork_server = folder, fork_server

    def kernels(self, *given, share_cells=True, **changes):
        place = self.folder / "reference" / "toy"
        place.mkdir(parents=True)
        (place / "assignment.toml").write_text(TOML)
        (place / "test_f.py").write_text(CHECK)
        write(place / "toy.ipynb", *given, GAP)
        self.assignment = assignment = replace(load_assignment(place), sandbox=SANDBOX, **changes)
        return Kernels(assignment, ForkServer(self.fork_server.clone()), share_cells=share_cells)

    def handed_in(self, name, *cells, **files):
        folder = self.folder / name
        folder.mkdir()
        for file, text in files.items():
            (folder / file.replace("__", ".")).write_text(text)
        write(folder / "toy.ipynb", *cells)
        return read_notebook(folder / "toy.ipynb"), folder


@pytest.fixture
def course(tmp_path, fork_server):
    return Course(tmp_path, fork_server)


def write(file, *cells):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbformat.write(made, file)


def values(kernels, handed_in, *names):
    """What a fresh fork of the notebook gives for these names, and what its cells did."""
    notebook, folder = handed_in
    with kernels.open(notebook, folder=folder) as session, session.student() as student:
        return [student.value(name) for name in names], session.run


def test_the_cells_run_once_and_show_in_each_notebook_what_they_showed(course):
    with course.kernels(LOADS) as kernels:
        runs, tokens = [], []
        for n in range(3):
            (token, noise), run = values(
                kernels, course.handed_in(f"s{n}", LOADS, GAP), "once", "noise"
            )
            tokens.append(token)
            runs.append(seen([noise], run))
        assert kernels.given.unfit == []
        assert kernels.given.outcomes() == [""] * 3
    assert tokens[0] == tokens[1] == tokens[2]
    assert runs[0] == runs[1] == runs[2] == by_itself(course, LOADS)
    assert "loaded 6.0" in str(runs[2])
    assert "image/png" in str(runs[2])


def test_the_figures_of_those_cells_alone_become_pictures_that_somebody_looks_at(course):
    drawn = []
    with course.kernels(LOADS) as kernels:
        for n, draw in enumerate([{0, 1}, {0, 2}, {3}, True, False]):
            notebook, folder = course.handed_in(f"s{n}", LOADS, *["plt.plot(data)"] * 3, GAP)
            with kernels.open(notebook, folder=folder, draw=draw) as session:
                cells = session.run.cells
            drawn.append([c.index for c in cells if "image/png" in str(c.outputs)])
        assert kernels.given.unfit == []
    assert drawn == [[0, 1], [0, 2], [3], [0, 1, 2, 3], []]


def test_each_kernel_is_closed_in_as_one_that_runs_the_cells_by_itself(course):
    with course.kernels(LOADS) as kernels:
        layers = []
        for n in range(3):
            notebook, folder = course.handed_in(f"s{n}", LOADS, "import os\npid = os.getpid()", GAP)
            with kernels.open(notebook, folder=folder) as session, session.student() as student:
                layers.append((session.isolation, student.value("pid")))
    assert layers[0][0] == layers[1][0] == layers[2][0]
    if "namespaces" in layers[0][0].applied:
        assert layers[1][1] == layers[2][1]  # the second of its own pids, each


def test_the_random_numbers_after_them_are_those_of_a_run_by_itself(course):
    own = "import random\nnext_draw = [np.random.normal(), random.random()]\n" + GAP
    with course.kernels(LOADS) as kernels:
        drawn = [
            values(kernels, course.handed_in(f"s{n}", LOADS, own), "next_draw", "noise")[0]
            for n in range(3)
        ]
        assert kernels.given.unfit == []
    assert drawn[0] == drawn[1] == drawn[2]


def test_what_one_notebook_changes_the_next_does_not_see(course):
    changes = "data[:] = -1.0\nnp.secret = 'left behind'\nos.environ['LEFT'] = 'behind'\n" + GAP
    looks = "seen = [hasattr(np, 'secret'), os.environ.get('LEFT', ''), float(data.sum())]\n" + GAP
    with course.kernels(LOADS) as kernels:
        for n in range(2):
            values(kernels, course.handed_in(f"s{n}", LOADS, changes), "once")
        (seen,), _ = values(kernels, course.handed_in("next", LOADS, looks), "seen")
        assert kernels.given.unfit == []
    assert seen == [False, "", 6.0]


def test_a_cell_that_differs_by_a_byte_runs_by_itself(course):
    other = LOADS + " "
    with course.kernels(LOADS) as kernels:
        tokens = {
            values(kernels, course.handed_in(f"s{n}", other, GAP), "once")[0][0] for n in range(3)
        }
    assert len(tokens) == 3


def test_what_stands_before_and_does_nothing_changes_nothing(course):
    loads = "try:\n    %load_ext grader\nexcept ModuleNotFoundError:\n    print('install it')"
    with course.kernels(LOADS) as kernels:
        tokens = [
            values(kernels, course.handed_in(f"s{n}", loads, LOADS, GAP), "once")[0][0]
            for n in range(3)
        ]
    assert tokens[0] == tokens[1] == tokens[2]


def test_a_file_of_the_student_s_that_the_cells_name_is_read_by_its_own_process(course):
    reads = "try:\n    own = open('notes.txt').read()\nexcept OSError:\n    own = ''"
    with course.kernels(reads) as kernels:
        own = [
            values(kernels, course.handed_in(f"s{n}", reads, GAP, notes__txt=f"{n}"), "own")[0][0]
            for n in range(3)
        ]
    assert own == ["0", "1", "2"]


@pytest.mark.parametrize("way", ["os.environ", "getattr(os, 'en' + 'viron')"])
def test_the_environment_that_the_cells_set_is_there(course, way):
    sets = f"import os\n{way}['COURSE'] = 'x'"
    looks = "import os\nseen = [os.environ.get('COURSE'), os.environ['HOME'], os.getcwd()]\n" + GAP
    with course.kernels(sets) as kernels:
        seen = [
            values(kernels, course.handed_in(f"s{n}", sets, looks), "seen")[0][0] for n in range(3)
        ]
        assert kernels.given.outcomes() == [""] * 3
    assert [one[0] for one in seen] == ["x"] * 3
    assert len({one[1] for one in seen}) == len({one[2] for one in seen}) == 3


TAKEN_OVER = {
    "numpy's print options": (
        "import numpy as np\nnp.set_printoptions(precision=3)",
        "print(np.pi * np.ones(2))\nv = np.get_printoptions()['precision']",
    ),
    "numpy's errors": (
        "import numpy as np\n_ = np.seterr(divide='raise')",
        "try:\n    v = float(np.ones(1)[0] / np.zeros(1)[0])\n"
        "except FloatingPointError:\n    v = 'raised'",
    ),
    "the decimal context": (
        "import decimal\ndecimal.getcontext().prec = 5",
        "v = str(decimal.Decimal(1) / 3)",
    ),
    "warnings filters": (
        "import warnings\nwarnings.simplefilter('once', UserWarning)\nwarnings.warn('1st')",
        "warnings.warn('1st')\nwarnings.warn('2nd')\nv = len(warnings.filters)",
    ),
    "a collector that is off": ("import gc\ngc.disable()", "v = gc.isenabled()"),
    "a logger's handler": (
        "import logging, sys\nlog = logging.getLogger('course')\n"
        "log.addHandler(logging.StreamHandler(sys.stdout))\nlog.warning('given')",
        "log.warning('own')\nv = len(log.handlers)",
    ),
    "a generator in its middle": (
        "numbers = iter(range(9))\nn = next(numbers)",
        "v = next(numbers)",
    ),
    "classes to inherit from": (
        "class Base:\n    subclasses = []\n    def __init_subclass__(cls):\n"
        "        Base.subclasses.append(cls.__name__)",
        "class Own(Base):\n    pass\nv = [*Base.subclasses, Own.__module__]",
    ),
    "what was awaited": (
        "import asyncio\nasync def two():\n    await asyncio.sleep(0)\n    return 2\n"
        "v = await two()",
        "v += await two()",
    ),
    "two streams": (
        "import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c')",
        "print('d')\nprint('e', file=sys.stderr)\nprint('f')\nv = 1",
    ),
    "warnings that are errors": (
        "import warnings\nwarnings.simplefilter('error')",
        "try:\n    warnings.warn('x')\n    v = 'shown'\nexcept UserWarning:\n    v = 'raised'",
    ),
    "a limit of time for sockets": (
        "import socket\nsocket.setdefaulttimeout(0.01)",
        "import time\ntime.sleep(0.1)\nv = socket.getdefaulttimeout()",
    ),
    "a path to import from": (
        "import sys\nsys.path.append('/opt/no such folder')",
        "v = [sys.path[-1], sys.path.count('/opt/no such folder')]",
    ),
    "magics": (
        "%matplotlib inline\n%load_ext autoreload\nimport numpy as np",
        "%%time\nv = 1",
    ),
}


@pytest.mark.parametrize("what", TAKEN_OVER)
def test_what_the_cells_set_holds_in_each_notebook(course, what):
    given, own = TAKEN_OVER[what]
    with course.kernels(given) as kernels:
        found = [
            seen(*values(kernels, course.handed_in(f"s{n}", given, own, GAP), "v"))
            for n in range(2)
        ]
        assert kernels.given.outcomes() == ["", ""]
    assert found == [by_itself(course, given, own, value="v")] * 2


def seen(got, run):
    return [(c.status, c.error, c.outputs) for c in run.cells], got


def by_itself(course, *cells, value="noise"):
    """What a notebook gives whose cells are not shared, in the same process's forks."""
    with Kernels(course.assignment, ForkServer(course.fork_server.clone())) as kernels:
        return seen(*values(kernels, course.handed_in("alone", *cells, GAP), value))


def test_a_module_beside_the_notebook_is_imported_in_each_and_named(course, tmp_path):
    helper = tmp_path / "helper.py"
    helper.write_text("two = 2")
    given = "import helper"
    with course.kernels(given, files={"helper.py": helper}) as kernels:
        for n in range(2):
            (two,), _ = values(
                kernels, course.handed_in(f"s{n}", given, "two = helper.two", GAP), "two"
            )
            assert two == 2
        why = "toy.ipynb: cell 0 imports what lies beside the notebook: helper"
        assert kernels.given.outcomes() == [why] * 2


def test_the_cells_before_one_that_cannot_be_shared_run_once(course):
    cells = ["import os\nonce = os.urandom(8).hex()", "kept = open('/dev/null')", "after = 1"]
    with course.kernels(*cells) as kernels:
        found = [
            values(kernels, course.handed_in(f"s{n}", *cells, GAP), "once", "after")
            for n in range(3)
        ]
        why = "cell 1 leaves files open: /dev/null"
        assert kernels.given.unfit == [why]
        assert kernels.given.outcomes() == [f"toy.ipynb: {why}"] * 3
    assert len({got[0] for got, _ in found}) == 1
    assert [got[1] for got, _ in found] == [1, 1, 1]
    assert all(c.status == "ok" for _, run in found for c in run.cells)


def test_who_changed_a_later_cell_shares_those_before_it(course):
    first, second = "import os\nonce = os.urandom(8).hex()", "two = 2"
    with course.kernels(first, second) as kernels:
        tokens = [
            values(kernels, course.handed_in(f"s{n}", *cells, GAP), "once")[0][0]
            for n, cells in enumerate([(first, "two = 2 "), (first, "# two"), (first,)])
        ]
        assert kernels.given.outcomes() == [
            "toy.ipynb: cell 1 differs from the template's",
            "toy.ipynb: cell 2 differs from the template's",
            "toy.ipynb: cell 1 differs from the template's",
        ]
    assert tokens[0] != tokens[1] == tokens[2]  # the first one's cells had not come before


def test_the_solved_notebook_shares_the_cells_and_is_not_counted(course):
    with course.kernels(LOADS) as kernels:
        (token,), _ = values(kernels, course.handed_in("s", LOADS, GAP), "once")
        (solved,) = kernels.assignment.notebooks.values()
        folder = course.folder / "empty"
        folder.mkdir()
        with kernels.open(solved, folder=folder) as session, session.student() as student:
            assert student.value("once") == token
        assert kernels.given.outcomes() == [""]


LEFT_BEHIND = {
    "threads": "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()",
    "open files": "kept = open('/dev/null')",
    "a socket": "import socket\nkept = socket.socketpair()",
    "shared memory": "kept = getattr(__import__('mm' + 'ap'), 'mm' + 'ap')(-1, 4096)",
    "written files": "open('made.txt', 'w').write('x')",
    "a child": "import os\nif getattr(os, 'fo' + 'rk')() == 0:\n    os._exit(0)",
    "a folder": "import os\nos.chdir('/tmp')",
    "a timer": "import signal\ngetattr(signal, 'set' + 'itimer')(signal.ITIMER_VIRTUAL, 1000)",
    "an alarm": "import signal\n_ = getattr(signal, 'al' + 'arm')(1000)",
    "limits": "import resource as r\nr.setrlimit(r.RLIMIT_CORE, (0, 0))\n"
    "r.setrlimit(r.RLIMIT_NOFILE, (64, 64))",
    "a time": "import time\nbegan = time.time()",
    "its folder's name": "import sys\nroot = sys.path[0]",
    "a task": "import asyncio\ntask = asyncio.create_task(asyncio.sleep(60))",
    "a signal": "import signal\n_ = signal.signal(signal.SIGUSR1, lambda *_: None)",
    "a stream": "import io, sys\nsys.stderr = io.StringIO()",
    "an error": "1 / 0",
    "a death": "import os\nos._exit(3)",
    "an endless loop": "while True:\n    pass",
}


@pytest.mark.parametrize("what", LEFT_BEHIND)
def test_what_cannot_be_shared_runs_by_itself_and_gives_the_same(course, what):
    first = LEFT_BEHIND[what] + "\ndone = 1"
    limits = load_limits(cell_s=2.0 if what == "an endless loop" else 20.0)
    with course.kernels(first, limits=limits) as kernels:
        runs = []
        for n in range(2):
            _, run = values(kernels, course.handed_in(f"s{n}", first, GAP), "f")
            runs.append([(c.status, c.error) for c in run.cells])
        assert len(kernels.given.unfit) == 1
    assert runs[0] == runs[1]


def load_limits(**changed):
    from grader.records import Limits

    return replace(Limits(), **changed)


@pytest.mark.skipif(os.geteuid() != 0, reason="with namespaces alone")
def test_the_cells_have_no_network_and_see_no_file_that_a_student_would_not(course, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("the checks")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        tries = (
            "import socket\nheard = []\n"
            f"try:\n    socket.create_connection(('127.0.0.1', {port}), 1)\n    heard += ['net']\n"
            "except OSError:\n    pass\n"
            f"try:\n    heard += [open({str(secret)!r}).read()]\nexcept OSError:\n    pass"
        )
        with course.kernels(tries) as kernels:
            for n in range(2):
                (heard,), _ = values(kernels, course.handed_in(f"s{n}", tries, GAP), "heard")
            assert kernels.given.unfit == []
    assert heard == []


def test_a_kernel_that_dies_is_replaced_by_one_that_runs_all_cells(course):
    dies = "if 'count' in globals():\n    pass\nimport os\nos.kill(os.getpid(), 11)"
    with course.kernels(LOADS) as kernels:
        for n in range(3):
            (data,), run = values(kernels, course.handed_in(f"s{n}", LOADS, dies, GAP), "data")
            assert [c.status for c in run.cells] == ["ok", "crashed", "ok"]
            assert list(data) == [0, 1, 2, 3]


def test_where_kernels_are_not_forked_no_cell_is_shared_and_it_says_why(course):
    with course.kernels(LOADS) as kernels:
        kernels.fork_server.close()
        kernels.fork_server = None
        (data,), _ = values(kernels, course.handed_in("s", LOADS, GAP), "data")
        assert kernels.given.outcomes() == ["toy.ipynb: kernels are not forked on this machine"]
    assert list(data) == [0, 1, 2, 3]


@pytest.mark.skipif(os.geteuid() == 0, reason="root comes back from where the cells run")
def test_an_ordinary_user_s_kernels_run_the_cells_by_themselves(course):
    with course.kernels(LOADS) as kernels:
        kernels.assignment = replace(kernels.assignment, sandbox="auto")
        kernels.given = type(kernels.given)(kernels.assignment, draw=True)
        tokens = {
            values(kernels, course.handed_in(f"s{n}", LOADS, GAP), "once")[0][0] for n in range(3)
        }
        assert len(kernels.given.unfit) == 1
    assert len(tokens) == 3
