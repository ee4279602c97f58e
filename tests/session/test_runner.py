"""Whole notebooks in real kernels: what goes wrong in a cell costs that cell alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import grader
from grader import records
from grader.notebook import parse_notebook
from grader.session import Session, Stop, open_session
from grader.session.processes import session_members
from grader.session.stopping import CalledOff

Run = Callable[..., Session]


def statuses(session: Session) -> list[str]:
    return [cell.status for cell in session.run.cells]


def notes(session: Session, kind: str) -> list[tuple[int | None, str]]:
    return [(note.cell, note.message) for note in session.run.notes if note.kind == kind]


def printed(session: Session, cell: int = 0) -> str:
    return "".join(
        str(output["text"])
        for output in session.run.cells[cell].outputs
        if output["output_type"] == "stream"
    )


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(p) for t in threads for p in (t / "children").read_text().split()]


# --- notebooks that run -----------------------------------------------------------------


def test_a_notebook_runs_and_answers_calls(run: Run) -> None:
    session = run("import numpy as np", "def f(x):\n    return 2 * np.exp(x)", "print(f(0.0))")
    assert statuses(session) == ["ok", "ok", "ok"]
    assert session.run.notes == ()
    assert printed(session, 2) == "2.0\n"
    with session.student() as student:
        assert student.f(0.0) == 2.0


def test_every_check_starts_from_the_state_that_the_notebook_left(run: Run) -> None:
    session = run("seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)")
    for _ in range(2):
        with session.student() as student:
            assert student.f(1.0) == 1


def test_only_code_cells_run_and_keep_their_place_in_the_notebook(tmp_path: Path) -> None:
    cells = (
        records.Cell(0, "markdown", "# A title"),
        records.Cell(1, "code", "x = 1"),
        records.Cell(2, "raw", "1/0"),
        records.Cell(3, "code", "1/0"),
    )
    notebook = records.Notebook("a.ipynb", cells)
    with open_session(notebook, folder=tmp_path, limits=records.Limits()) as session:
        assert [(c.index, c.status) for c in session.run.cells] == [(1, "ok"), (3, "error")]


def test_progress_counts_every_code_cell(run: Run) -> None:
    seen: list[tuple[int, int]] = []
    run("1", "1/0", "", on_cell=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_random_generators_are_seeded(run: Run) -> None:
    source = "import random, numpy as np\nx = np.random.rand()\ny = random.random()"
    values = []
    for seed in (7, 7, 8):
        with run(source, seed=seed).student() as student:
            values.append((student.value("x"), student.value("y")))
    assert values[0] == values[1] != values[2]


def test_a_cell_may_await(run: Run) -> None:
    session = run("import asyncio\nx = await asyncio.sleep(0.001, result=3)")
    with session.student() as student:
        assert student.value("x") == 3


def test_files_that_were_handed_in_are_found_and_the_originals_stay(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.csv").write_text("1,2")
    (tmp_path / "layers.py").write_text("WIDTH = 3")
    session = run(
        "import layers\ntext = open('data/x.csv').read()\nopen('data/x.csv', 'w').write('gone')",
        folder=tmp_path,
    )
    assert statuses(session) == ["ok"]
    assert (tmp_path / "data" / "x.csv").read_text() == "1,2"


def test_a_notebook_runs_in_its_own_folder_of_what_was_handed_in(tmp_path: Path) -> None:
    (tmp_path / "homework" / "src").mkdir(parents=True)
    (tmp_path / "homework" / "src" / "utils.py").write_text("SEED = 7")
    (tmp_path / "homework" / "data.csv").write_text("1,2")
    text = "import utils\nfirst = open('../data.csv').read()[0]\n"
    script = parse_notebook(text.encode(), name="homework/src/hw1-q2.py")
    with (
        open_session(script, folder=tmp_path, limits=records.Limits()) as session,
        session.student() as student,
    ):
        assert student.value("first") == "1" and student.value("utils").SEED == 7


def test_links_in_a_submission_are_not_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc")
    session = run("import os\nprint(os.listdir('.'))", folder=tmp_path)
    assert printed(session) == "[]\n"


def test_a_submission_can_not_stand_in_for_a_library(run: Run, tmp_path: Path) -> None:
    for name in ("numpy", "random", "IPython", "sitecustomize", "usercustomize", "secrets"):
        (tmp_path / f"{name}.py").write_text("print('SHADOW'); raise SystemExit")
    (tmp_path / "ipython_config.py").write_text("raise SystemExit")
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 33")
    session = run(
        "import numpy, random, secrets, IPython, matplotlib\n"
        "print(numpy.exp(0), matplotlib.rcParams['lines.linewidth'])",
        folder=tmp_path,
    )
    assert printed(session) == "1.0 1.5\n"


def test_nothing_of_the_hosts_environment_is_seen(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADER_SECRET", "hidden")
    monkeypatch.setenv("PYTHONSTARTUP", "/nowhere.py")
    session = run("import os\nprint('hidden' in str(os.environ), 'PYTHONSTARTUP' in os.environ)")
    assert printed(session) == "False False\n"


def test_home_and_temporary_files_are_private_and_deleted(run: Run) -> None:
    session = run(
        "import pathlib, tempfile\nprint(pathlib.Path.home())\nprint(tempfile.gettempdir())"
    )
    home, temporary = map(Path, printed(session).split())
    assert home != Path.home()
    assert home.is_dir()
    assert temporary.is_dir()
    session.close()
    assert not home.exists()
    assert not temporary.exists()


def test_a_script_runs_without_its_main(run: Run) -> None:
    session = run(
        "import argparse\n"
        "def f(x):\n    return x + 1\n"
        "def main():\n    argparse.ArgumentParser().parse_args(['--no-such'])\n"
        "if __name__ == '__main__':\n    main()\n",
        name="hw1-q2.py",
    )
    assert statuses(session) == ["ok"]
    with session.student() as student:
        assert student.f(1) == 2


def test_a_main_guard_in_a_notebook_runs_as_in_jupyter(run: Run) -> None:
    session = run("if __name__ == '__main__':\n    import sys\n    print(sys.argv[1:])")
    assert printed(session) == "[]\n"


def test_magics_and_commands_do_not_stop_a_notebook(run: Run) -> None:
    session = run(
        "%matplotlib notebook\n!touch here\npip install nothing\n%load_ext autoreload\nx = 3\nx?",
        "print('%d epochs'\n%(x,\n))",
        "%%bash\ntouch here",
        "import os\nprint(os.listdir('.'))",
    )
    assert statuses(session) == ["ok"] * 4
    assert printed(session, 1) == "3 epochs\n"
    assert printed(session, 3) == "[]\n"
    assert notes(session, "command")[0][0] == 0


def test_input_is_answered_by_nothing(run: Run) -> None:
    session = run("name = input('Your name? ')\nimport getpass\nword = getpass.getpass()")
    assert statuses(session) == ["ok"]
    with session.student() as student:
        assert student.value("name") == ""


def test_a_loop_that_asks_until_it_likes_the_answer_ends(run: Run) -> None:
    session = run("n = ''\nwhile not n.isdigit():\n    n = input('A number: ')", "x = 1")
    assert statuses(session) == ["error", "ok"]
    assert session.run.cells[0].error.startswith("EOFError: input()")


def test_exit_does_not_end_the_notebook(run: Run) -> None:
    session = run("exit()", "quit()", "import sys\nsys.exit(1)", "x = 1")
    assert statuses(session) == ["ok", "ok", "error", "ok"]


def test_modules_of_colab_do_nothing(run: Run) -> None:
    session = run(
        "from google.colab import drive, files\ndrive.mount('/content')\nuploaded = files.upload()"
    )
    assert statuses(session) == ["ok"]


def test_the_names_of_python_2_are_there_where_a_sheet_imports_them(run: Run) -> None:
    session = run(
        "from builtins import object, range\nfrom past.builtins import xrange, basestring\n"
        "print(sum(xrange(4)), isinstance('a', basestring))"
    )
    assert statuses(session) == ["ok"], session.run.cells[0].error
    assert printed(session) == "6 True\n"


def test_names_of_earlier_years_work_without_a_warning(run: Run) -> None:
    session = run(
        "import warnings; warnings.simplefilter('error')\n"
        "import numpy as np, time\n"
        "from collections import Iterator, Mapping\n"
        "print(np.float(1), np.int(2.5), np.asscalar(np.array([3])), np.product([2, 2]), np.Inf)\n"
        "print(np.trapz([1, 1, 1]), np.in1d([1], [1]), np.bool(1), isinstance({}, Mapping))\n"
        "time.clock()"
    )
    assert statuses(session) == ["ok"], session.run.cells[0].error
    assert printed(session) == "1.0 2 3 4 inf\n2.0 [ True] True True\n"


def test_calls_of_the_grader_itself_do_nothing_in_a_kernel(run: Run) -> None:
    assert statuses(run("%load_ext grader\n%grade", "import grader\ngrader.check()")) == ["ok"] * 2


def test_data_sets_are_served_offline(run: Run) -> None:
    session = run(
        "from sklearn.datasets import fetch_openml\n"
        "x, y = fetch_openml('mnist_784', return_X_y=True)\nprint(x.shape[1], len(x) == len(y))",
        datasets_dir=Path(grader.__file__).parent / "datasets",
    )
    assert printed(session) == "784 True\n"


# --- notebooks that go wrong ------------------------------------------------------------


def test_an_error_costs_its_cell_alone(run: Run) -> None:
    session = run("y = 1 / 0", "def f(x):\n    return x")
    assert statuses(session) == ["error", "ok"]
    assert session.run.cells[0].error == "ZeroDivisionError: division by zero"
    assert notes(session, "cell_error") == [
        (0, "cell 0 stopped with ZeroDivisionError: division by zero")
    ]


def test_definitions_after_an_error_still_run(run: Run) -> None:
    session = run(
        "import math\ny = missing\ndef f(x):\n    return ALPHA * math.cos(x)\nALPHA = 3.0\nf(0)\n",
        "z = f(0.0)",
    )
    assert statuses(session) == ["error", "ok"]
    assert notes(session, "extracted")[0][0] == 0
    with session.student() as student:
        assert student.value("z") == 3.0


def test_what_ran_before_an_error_does_not_run_again(run: Run) -> None:
    session = run("import os\nos.makedirs('made')\nn = 1\nn = n + 1\n1/0\nm = n")
    with session.student() as student:
        assert student.value("m") == 2


def test_one_broken_function_does_not_cost_the_others_of_its_cell(run: Run) -> None:
    session = run(
        "def a(x):\n    return x + 1\n\ndef b(x:\n    return x\n\ndef c(x):\n    return x + 3\n"
    )
    assert statuses(session) == ["error"]
    assert session.run.cells[0].error.startswith("SyntaxError")
    with session.student() as student:
        assert (student.a(0), student.c(0)) == (1, 3)
        assert not student.has("b")


def test_an_endless_cell_is_stopped_and_completed(run: Run) -> None:
    session = run(
        "def f(x):\n    return x\nwhile True:\n    pass\ndef g(x):\n    return 2 * x",
        "y = g(2)",
        cell_s=1.0,
    )
    assert statuses(session) == ["timeout", "ok"]
    assert notes(session, "cell_timeout") == [(0, "cell 0 was stopped: the limit of a cell is 1 s")]
    with session.student() as student:
        assert (student.f(1), student.value("y")) == (1, 4)


def test_a_cell_that_sleeps_is_stopped(run: Run) -> None:
    session = run("import time\ntime.sleep(1000)", "x = 1", cell_s=0.5)
    assert statuses(session) == ["timeout", "ok"]


def test_a_cell_that_ignores_interrupts_is_killed_and_the_others_run_again(run: Run) -> None:
    session = run(
        "def f(x):\n    return x",
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "def g(x):\n    return 2 * x\n"
        "while True:\n    pass",
        "y = f(1) + g(1)",
        cell_s=1.0,
    )
    assert statuses(session) == ["ok", "timeout", "ok"]
    assert "could not be interrupted" in session.run.cells[1].error
    with session.student() as student:
        assert student.value("y") == 3


def test_a_cell_that_ends_its_process_costs_itself_alone(run: Run) -> None:
    session = run("x = 1", "import os\ndef f(x):\n    return x\nos._exit(0)", "y = f(x)")
    assert statuses(session) == ["ok", "crashed", "ok"]
    assert notes(session, "cell_crash") == [(1, "the kernel died in cell 1: exit code 0")]
    with session.student() as student:
        assert student.value("y") == 1


def test_a_segmentation_fault_costs_its_cell_alone(run: Run) -> None:
    session = run("import ctypes\nctypes.string_at(0)\ndef f(x):\n    return x", "y = f(1)")
    assert statuses(session) == ["crashed", "ok"]
    assert session.run.cells[0].error == "killed by SIGSEGV"


def test_a_kernel_that_dies_again_and_again_still_serves_the_definitions(run: Run) -> None:
    session = run(
        *(f"import os\ndef f{i}(x):\n    return x + {i}\nos._exit({i})" for i in range(4)), "x = 1"
    )
    assert statuses(session) == ["crashed", "crashed", "crashed", "extracted", "extracted"]
    with session.student() as student:
        assert student.value("x") == 1
        assert (student.f0(1), student.f3(1)) == (1, 4)


def test_a_statement_that_kills_even_an_extraction_is_left_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text("import os; os._exit(3)")
    session = run(
        "def f(x):\n    return x\nimport deadly\ndef g(x):\n    return x", folder=tmp_path
    )
    assert statuses(session) == ["crashed"]
    ((_, line),) = notes(session, "extracted")
    assert "could not be defined: deadly" in line
    with session.student() as student:
        assert (student.f(1), student.g(2)) == (1, 2)


def test_cells_beyond_the_notebooks_time_give_their_definitions(run: Run) -> None:
    session = run(
        "x = 1", "while True: pass", "def f(x):\n    return x\nprint(f(1))", notebook_s=1.0
    )
    assert statuses(session) == ["ok", "timeout", "extracted"]
    assert notes(session, "cell_timeout") == [
        (1, "cell 1 was stopped: the notebook's 1 s are used up")
    ]
    assert notes(session, "cell_not_run") == [
        (2, "cell 2 was not run: the notebook's 1 s are used up")
    ]
    with session.student() as student:
        assert student.f(2) == 2


def test_an_exception_that_can_not_be_shown_is_an_error(run: Run) -> None:
    session = run(
        "class E(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise E", "x = 1"
    )
    assert statuses(session) == ["error", "ok"]


def test_a_value_that_can_not_be_shown_costs_its_cell_alone(run: Run) -> None:
    session = run(
        "class A:\n    def __repr__(self):\n        while True: pass\nA()", "x = 1", cell_s=1.0
    )
    assert statuses(session) == ["timeout", "ok"]


def test_an_error_is_one_printable_line(run: Run) -> None:
    session = run("raise ValueError('\\x1b[31mred\\x1b[0m\\n\\u202eesrever\\x07' + 'z' * 10**6)")
    error = session.run.cells[0].error
    assert error.startswith("ValueError: red ")
    assert error.isprintable()
    assert len(error) <= 300


def test_long_outputs_are_cut(run: Run) -> None:
    session = run("print('x' * 50_000_000)", "for i in range(100_000): print(i)", "'y' * 10**7",
                  "print('after')", output_mib=1)  # fmt: skip
    assert statuses(session) == ["ok"] * 4
    assert printed(session, 0).startswith("xxx")
    assert "was cut" in printed(session, 0)
    assert printed(session, 3) == "after\n"
    assert sum(len(str(cell.outputs)) for cell in session.run.cells) < 2**20


def test_what_is_printed_and_shown_is_kept_nowhere(run: Run) -> None:
    session = run("import sys\nfrom IPython.display import display\nx = ''.join(['x'] * 100)",
                  "for _ in range(9): print(x); display({'text/plain': x}, raw=True)",
                  "print(sys.getrefcount(x))")  # fmt: skip
    assert printed(session, 2) == "2\n"  # its name, and the question itself


def test_a_thread_that_prints_for_ever_stops_nothing(run: Run) -> None:
    session = run(
        "import threading\n"
        "def chatter():\n    while True: print('x' * 1000, flush=True)\n"
        "threading.Thread(target=chatter, daemon=True).start()",
        "def f(x):\n    return x",
        cell_s=5.0,
    )
    assert statuses(session) == ["ok", "ok"]
    with session.student() as student:
        assert student.f(1) == 1


def test_a_kernel_that_dies_after_the_notebook_is_replaced_by_its_definitions(
    run: Run, until, alive
) -> None:
    session = run(
        "import os, threading, time\nprint(os.getpid(), os.getcwd())\ndef f(x):\n    return x\n",
        "def die_later():\n"
        "    while not os.path.exists('die'):\n        time.sleep(0.01)\n"
        "    os._exit(5)\n"
        "threading.Thread(target=die_later, daemon=True).start()",
        sandbox="none",  # this test speaks to the kernel through the host's files
    )
    kernel, folder = printed(session).split()
    with session.student() as student:
        assert student.f(1) == 1
    Path(folder, "die").touch()
    until(lambda: not alive(kernel))
    with session.student() as student:
        assert student.f(2) == 2
    named = "the kernel was killed after cell 1 had run, by what it started: exit code 5"
    assert notes(session, "cell_crash") == [(1, named)]


def test_a_kernel_that_nothing_of_a_cell_s_killed_keeps_its_definitions(
    run: Run, until, alive
) -> None:
    source = "import os\nprint(os.getpid())\ndef f(x):\n    return x\n"
    session = run(source, "done = 1", sandbox="none")
    (kernel,) = printed(session).split()
    for _ in range(2):  # the first time, it may have been the machine
        with session.student() as student:
            assert student.f(1) == 1
        (pid,) = (int(kernel) if not _ else session._runner.kernel.provisioner.pid,)
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: not alive(pid))
    with session.student() as student:
        assert student.f(2) == 2
    died = "the kernel died after the notebook had run (killed by SIGKILL)"
    died += ": only its definitions are left"
    assert notes(session, "cell_crash") == [(None, died)]
    assert {cell.status for cell in session.run.cells} == {"ok"}
    assert notes(session, "cell_not_run") == []


# --- sessions beside each other, and after ----------------------------------------------


def test_three_sessions_at_once_do_not_meet(run: Run) -> None:
    sessions: dict[int, Session] = {}

    def work(number: int) -> None:
        sessions[number] = run(f"def f(x):\n    return x + {number}", "1/0")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(3):
        with sessions[number].student() as student:
            assert student.f(0) == number


def test_what_is_printed_before_the_kernel_serves_does_not_keep_it_from_serving(run: Run) -> None:
    session = run(
        "import sys\n"
        "agent = sys.modules['grader.in_kernel.agent']\n"
        "def serve(*args, serve=agent.serve, **kwargs):\n"
        "    print('x' * 20_000_000, flush=True)  # as a thread of the notebook may\n"
        "    serve(*args, **kwargs)\n"
        "agent.serve = serve",
        output_mib=256,
    )
    assert statuses(session) == ["ok"]
    assert session.run.notes == ()


def test_a_cell_goes_through_the_notebooks_own_transformers_each_time(run: Run) -> None:
    add = "get_ipython().input_transformers_post.append(lambda lines: [*lines, 'print(2)'])"
    session = run("print(1)", add, "print(1)")
    assert [printed(session, 0), printed(session, 2)] == ["1\n", "1\n2\n"]


def test_a_session_opens_while_an_event_loop_runs(run: Run) -> None:
    async def in_jupyter() -> list[str]:
        return statuses(run("x = 1"))

    assert asyncio.run(in_jupyter()) == ["ok"]


def test_closing_leaves_no_process_descriptor_thread_or_file(run: Run, alive) -> None:
    run("x = 1").close()  # whatever stays for good, stays now
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    threads = set(threading.enumerate())
    session = run("import subprocess\nprint(subprocess.Popen(['sleep', '1000']).pid)\nimport os\n"
                  "print(os.getpid(), os.environ['HOME'])", sandbox="none")  # fmt: skip
    child, kernel, home = printed(session).split()
    with session.student() as student:
        assert student.has("os")
    session.close()
    session.close()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
    assert set(threading.enumerate()) == threads
    assert not session_members(int(kernel))
    assert not alive(child)
    assert not Path(home).parent.exists()


def test_a_notebook_leaves_no_process_when_the_grader_dies(tmp_path: Path, until, alive) -> None:
    script = tmp_path / "die.py"
    script.write_text(
        "import os\n"
        "from grader import records\n"
        "from grader.session import open_session\n"
        "cell = records.Cell(0, 'code', 'import os; print(os.getpid())')\n"
        "s = open_session(records.Notebook('a.ipynb', (cell,)), folder=None,"
        " limits=records.Limits(), sandbox='none')\n"
        "print(s.run.cells[0].outputs[0]['text'], flush=True)\n"
        "os._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "TMPDIR": str(tmp_path)},  # nobody is left to delete its folders
    )
    until(lambda: not alive(done.stdout.strip()))


def test_an_interrupted_grader_ends_the_kernel(tmp_path: Path, alive) -> None:
    script = tmp_path / "interrupted.py"
    script.write_text(
        # A shell's background job, which a test may run in, ignores Ctrl-C.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from grader import records\n"
        "from grader.session import open_session\n"
        "cells = [records.Cell(i, 'code', s) for i, s in enumerate(['1', 'while True: pass'])]\n"
        "open_session(records.Notebook('a.ipynb', tuple(cells)), folder=None,\n"
        "             limits=records.Limits(), on_cell=lambda *_: print('ran', flush=True))\n"
    )
    grader = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert grader.stdout is not None
    assert grader.stdout.readline() == "ran\n"
    (kernel,) = children(grader.pid)
    grader.send_signal(signal.SIGINT)
    _, errors = grader.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
    assert not alive(kernel)


@pytest.mark.parametrize("when", ["before", "within"])
def test_a_session_that_is_being_opened_can_be_called_off(fork_server, when: str) -> None:
    stop = Stop()
    if when == "before":
        stop()
    # Called off within the second cell: it must not begin again without that one.
    sources = ["1", "import time; time.sleep(2)", "while True: pass"]
    cells = tuple(records.Cell(i, "code", source) for i, source in enumerate(sources))
    with pytest.raises(CalledOff):
        open_session(
            records.Notebook("a.ipynb", cells),
            folder=None,
            limits=records.Limits(cell_s=3600, notebook_s=3600),
            fork_server=fork_server,
            on_cell=lambda *_: stop(),
            stop=stop,
        )


def test_an_agent_that_never_says_hello_is_replaced_by_one_with_the_definitions(run, monkeypatch):
    monkeypatch.setattr("grader.session.runner.HELLO_S", 0.5)
    patch = """
import sys
agent = sys.modules["grader.in_kernel.agent"]
agent.serve = lambda *a, **k: sum(iter(int, 1))
raise ValueError("told before the kernel was replaced")
"""
    session = run(patch, "def f(x):\n    return 2 * x")
    with session.student() as student:
        assert student.f(3) == 6
    assert session.run.cells[0].status == "error"
    assert "told before" in session.run.cells[0].error


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_fork_that_its_cell_lets_go_on_ends_with_the_cell(run):
    """It would else take the grader's next messages away from the notebook's own process."""
    fork = "import os\nx = os.fork()\nif x:\n    os.waitpid(x, 0)\nprint('one' if x else 'other')"
    session = run(fork, *["print(x > 0)"] * 5, cell_s=20)
    assert [cell.status for cell in session.run.cells] == ["ok"] * 6
    printed = ["".join(o["text"] for o in cell.outputs) for cell in session.run.cells]
    assert sorted(printed[0].split()) == ["one", "other"]
    assert printed[1:] == ["True\n"] * 5
    with session.student() as student:
        assert student.has("x")
