"""A grader that grades many, hostile ones among them, stays what it was: nothing piles up."""

import gc
import os
import threading
from pathlib import Path

import pytest

import grader

MAX = 8.0
HOSTILE = {
    "dies": "import os\nos._exit(1)",
    "hangs": "while True: pass",
    "forks": "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(60)",
    "prints": "print('x' * (20 << 20))",
    "fills": "kept = bytearray(200 << 20)",
    "raises": "raise ValueError('x')",
}


def used():
    """Descriptors, threads and MiB of memory that this process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return (
        len(os.listdir("/proc/self/fd")),  # noqa: PTH208
        threading.active_count(),
        pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
    )


@pytest.fixture
def grade(host, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(host.tmp))
    monkeypatch.setattr("tempfile.tempdir", None)
    return lambda *paths: grader.grade(paths, assignment="toy", assignments=host.assignments)


def test_neither_descriptors_nor_threads_nor_memory_grow(host, grade):
    paths = [host.right(source, name=name) for name, source in HOSTILE.items()]
    grade(*paths)  # imports, pools, caches: what is made once
    before = used()
    for _ in range(2):
        report = grade(*paths, host.right(name="honest"))
        assert report.results[-1].score == MAX
        assert {result.status for result in report.results} == {"graded"}
    after = used()
    assert after[0] <= before[0]
    assert after[1] <= before[1]
    assert after[2] < before[2] + 30
    assert host.processes() == []
    assert list(host.tmp.iterdir()) == []


def test_scores_do_not_depend_on_who_came_before(host, grade):
    honest = host.right(name="honest")
    hostile = [host.wrong(source, name=name) for name, source in HOSTILE.items()]
    alone = grade(honest).results[0]
    after = grade(*hostile, honest).results[-1]
    assert after.score == alone.score == MAX
    assert [e.points for e in after.exercises] == [e.points for e in alone.exercises]
