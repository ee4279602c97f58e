"""The watchdog's own reckoning; what it stops is in test_closed_notebooks.py and tests/threats."""

import os
import tempfile
import threading

import pytest

from grader.records import Limits
from grader.session import watchdog
from grader.session.watchdog import Watchdog
from grader.temporary import TemporaryFolder


def test_a_process_is_measured_before_its_children(monkeypatch):
    """Half of what a check shares is its parent's; all of it, once the check has ended."""
    trees = {10: [11, 12], 9: [13]}
    measured = []
    looked = threading.Event()

    def memory_mib(pids, *, enough):
        measured.append(pids)
        looked.set()
        return 0.0

    monkeypatch.setattr("grader.session.processes.descendants", trees.__getitem__)
    monkeypatch.setattr("grader.session.processes.resident_mib", lambda pids: 1e6)
    monkeypatch.setattr("grader.session.watchdog._FAST_LOOKS", 0)
    monkeypatch.setattr("grader.session.processes.memory_mib", memory_mib)
    made = Watchdog(10, Limits(), first=9, disk=[])
    assert looked.wait(10)
    made.stop()
    assert measured[0] == [10, 11, 12, 13]


class Sizes:
    """What made-up processes hold, look by look; `walks` counts the slow reckonings."""

    def __init__(self, monkeypatch, resident, *, shared=0.0, own=0.0):
        self.resident, self.shared, self.own, self.walks = iter(resident), shared, own, 0
        for name in ("resident_mib", "most_shared_mib", "memory_mib"):
            monkeypatch.setattr(f"grader.session.processes.{name}", getattr(self, name))

    def resident_mib(self, pids):
        return next(self.resident)

    def most_shared_mib(self, pids):
        return self.shared

    def memory_mib(self, pids, *, enough):
        self.walks += 1
        return self.own


@pytest.fixture
def looking(monkeypatch):
    """Return a function: at which of some looks the processes are too large; nobody else looks."""
    monkeypatch.setattr("grader.session.watchdog._LOOK_S", 3600.0)
    made = []

    def look(count):
        made.append(Watchdog(10, Limits(memory_mib=700), first=9, disk=[]))
        return [made[-1]._is_too_large([10, 11]) for _ in range(count)]

    look.made = made
    yield look
    for one in made:
        one.stop()


def test_shared_memory_of_one_process_is_over_the_limit_without_a_walk(monkeypatch, looking):
    """A walk takes a second where the process grows, and it grows by gigabytes in one."""
    sizes = Sizes(monkeypatch, [500.0, 2000.0], shared=701.0)
    assert looking(2) == [False, True]
    assert sizes.walks == 0


def test_what_grows_fast_is_walked_some_looks_later(monkeypatch, looking):
    sizes = Sizes(monkeypatch, [200.0 * n for n in range(1, 12)], shared=690.0, own=800.0)
    assert looking(9) == [False] * 8 + [True]
    assert sizes.walks == 1


def test_what_is_large_and_rests_is_walked_at_each_look(monkeypatch, looking):
    sizes = Sizes(monkeypatch, [690.0, 710.0, 715.0], shared=100.0, own=650.0)
    assert looking(3) == [False, False, False]
    assert sizes.walks == 2


@pytest.mark.parametrize(
    ("largest", "sockets", "killed"),
    [(1 << 18, 1400, False), (1 << 18, 1401, True), (1 << 30, 256, False), (1 << 30, 257, True)],
)
def test_sockets_that_could_hold_all_memory_end_it(monkeypatch, looking, largest, sockets, killed):
    """At most 0.5 MiB wait in each; where a socket may hold 2 GiB, a few dozen are no fault."""
    monkeypatch.setattr("grader.session.processes.socket_mib", lambda: 2 * largest / 2**20)
    monkeypatch.setattr("grader.session.processes.unix_sockets", lambda pid: sockets)
    assert looking(0) == []
    made = looking.made[-1]
    assert not made._has_too_many_sockets()  # they may be other processes'
    made.own_network()
    assert made._has_too_many_sockets() == killed


def test_folders_links_and_deleted_files_count_as_the_disk_s(tmp_path):
    def used(pids=()):
        devices = {tmp_path.stat().st_dev}
        return watchdog._kib(tmp_path) + watchdog._deleted_kib(pids, devices)

    for n in range(100):
        (tmp_path / f"folder-{n}").mkdir()
        (tmp_path / f"link-{n}").symlink_to("nowhere")
    assert 200 <= used() < 2000
    before = used()
    with tempfile.TemporaryFile(dir=tmp_path) as file:
        file.write(b"x" * (1 << 20))
        file.flush()
        os.fsync(file.fileno())
        assert used([os.getpid()]) - before >= 1024
        assert used() == before


def test_a_folder_that_is_nested_beyond_the_longest_path_is_not_overlooked(tmp_path):
    with TemporaryFolder(parent=str(tmp_path)) as folder:
        at = os.open(folder, os.O_RDONLY)
        for _ in range(30):
            os.mkdir("d" * 200, dir_fd=at)
            inner = os.open("d" * 200, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = inner
        os.close(at)
        with pytest.raises(watchdog._OutOfReach):
            watchdog._kib(folder)


def test_whatever_a_look_meets_the_next_one_follows(monkeypatch):
    looked = threading.Event()
    looks = []

    def look(self, *, disk):
        looks.append(disk)
        if len(looks) == 1:
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "a name")
        looked.set()

    monkeypatch.setattr(Watchdog, "_look", look)
    made = Watchdog(10, Limits(), first=9, disk=[])
    assert looked.wait(10)
    made.stop()
