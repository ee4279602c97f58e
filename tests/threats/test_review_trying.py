"""The box under an answer: what a grader pastes there may be a student's attack."""

import os
import secrets
import socket
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from grader.records import Limits
from grader.review.try_it import Tryout

from ..review.conftest import assignment_of, empty, klass, result_of, serve, visit  # noqa: F401

LIMITS = Limits(cell_s=3, notebook_s=12, output_mib=1, memory_mib=1024, processes=64)


@pytest.fixture(scope="module")
def tryout(tmp_path_factory):
    assignment = assignment_of(tmp_path_factory.mktemp("assignment"))
    made = Tryout(replace(assignment, limits=LIMITS))
    yield made
    made.close()


def run(tryout, code):
    return tryout.run(result_of(0), "toy.ipynb", code)


def test_it_reads_nothing_of_the_grader_s(tryout, tmp_path):
    secret = tmp_path / "results.sqlite"
    secret.write_text("KEEP-OUT")
    tried = run(tryout, f"print(open({str(secret)!r}).read())")
    assert tried.status == "error" and "KEEP-OUT" not in tried.text + tried.error
    told = run(tryout, "import os; print(dict(os.environ))").text
    assert "'USER': 'student'" in told
    assert not any(f"'{name}'" in told for name in os.environ if "GRADE" in name)


def test_it_meets_no_server_of_this_machine(tryout):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        met = []
        thread = threading.Thread(target=lambda: met.append(server.accept()), daemon=True)
        thread.start()
        tried = run(
            tryout, f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=1)"
        )
        assert tried.status == "error"
        assert met == []


def test_a_loop_without_end_and_a_death_are_told_and_the_next_try_goes_on(tryout):
    assert run(tryout, "while True: pass").status == "timeout"
    assert run(tryout, "import os; os._exit(0)").status in ("crashed", "error")
    assert run(tryout, "print(double(1))").text.strip() == "2"


def test_nothing_of_it_lives_on(tryout, alive):
    mark = f"time.sleep(600 + {secrets.randbits(60)} / 2**60)"  # of no other test beside this one
    code = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; {mark}'],"
        " start_new_session=True)\nprint('started', child.pid)"
    )
    assert "started" in run(tryout, code).text
    processes = [p for p in Path("/proc").iterdir() if p.name.isdigit()]
    left = [p for p in processes if mark.encode() in _words(p)]
    assert left == []


def _words(process):
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_output_without_end_is_cut(tryout):
    tried = run(tryout, "for _ in range(10**6): print('x' * 100)")
    assert len(tried.text) < 30_000


def test_markup_and_escapes_of_it_are_text_on_the_page(klass, visit):  # noqa: F811
    made = klass(1)
    visitor = visit(made)
    code = (
        "from IPython.display import HTML, display\n"
        "display(HTML('<script>window.hit=1</script>'))\n"
        "print('\\x1b]0;title\\x07<img src=x onerror=hit()>')"
    )
    status, _, body = visitor.ask("/q/0/0/try", {"code": code})
    assert status == 200
    shown = body.partition('id="tried"')[2]
    assert "<script" not in shown and "<img" not in shown and "\x1b" not in body
    assert "&lt;img src=x" in shown
    # Nothing of the class has changed by it.
    assert made.store.connection.execute("SELECT count(*) FROM history").fetchone() == (0,)
