"""The same work on a dask.distributed cluster: a scheduler and two workers, on this machine."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from grader import cli
from grader.batch.parcel import Parcel, TooLarge, pack_up, unpack_into

from .conftest import children, words

# --- parcels ----------------------------------------------------------------------------------


def test_a_folder_travels_with_its_name_its_files_and_what_is_no_file(tmp_path):
    folder = tmp_path / "Meier_Ann"
    (folder / "data").mkdir(parents=True)
    (folder / "a.ipynb").write_bytes(b"{}")
    (folder / "data" / "x.csv").write_bytes(b"1,2")
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    there = tmp_path / "there"
    there.mkdir()
    arrived = unpack_into(pack_up(folder), there)
    assert arrived == there / "Meier_Ann"
    assert (arrived / "data" / "x.csv").read_bytes() == b"1,2"
    assert (arrived / "a.ipynb").read_bytes() == b"{}"
    assert (arrived / "link").is_symlink()
    assert not (arrived / "link").exists()
    assert (arrived / "pipe").is_fifo()


def test_a_file_travels_with_its_name(tmp_path):
    (tmp_path / "Meier_Ann.zip").write_bytes(b"PK")
    there = tmp_path / "there"
    there.mkdir()
    arrived = unpack_into(pack_up(tmp_path / "Meier_Ann.zip"), there)
    assert (arrived.name, arrived.read_bytes()) == ("Meier_Ann.zip", b"PK")


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_nothing_is_written_outside_of_a_parcel(tmp_path, name):
    with pytest.raises(ValueError, match="leads out of the parcel"):
        unpack_into(Parcel("a", ((name, "file", b"x"),)), tmp_path)


def test_what_is_too_large_does_not_travel(tmp_path, monkeypatch):
    monkeypatch.setattr("grader.batch.parcel.MAX_BYTES", 10)
    (tmp_path / "a.zip").write_bytes(b"x" * 11)
    with pytest.raises(TooLarge):
        pack_up(tmp_path / "a.zip")
    with pytest.raises(TooLarge):
        pack_up(tmp_path)


# --- mistakes ---------------------------------------------------------------------------------


@pytest.fixture
def zip_of_mine(tmp_path, klass):
    return str(klass.hand_in("Meier_Ann")), "--assignments", str(klass.reference)


def test_without_the_package_it_tells_how_to_install_it(zip_of_mine, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.run([*zip_of_mine, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "pip install 'grade[dask]'" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["host", "tcp://host", "no/such/file.json"])
def test_what_is_no_address_is_told(zip_of_mine, capsys, address):
    pytest.importorskip("distributed")
    assert cli.run([*zip_of_mine, "--dask", address]) == 2
    assert f"{address} is neither the address of a dask scheduler" in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_told(klass, zip_of_mine):
    pytest.importorskip("distributed")
    done = subprocess.run(
        [sys.executable, "-c",
         "from grader.batch import cluster; cluster.CONNECT_S = 1; from grader import cli;"
         f"raise SystemExit(cli.run({[*zip_of_mine, '--dask', 'tcp://127.0.0.1:1']!r}))"],
        env=klass.environment, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "no dask scheduler answers at tcp://127.0.0.1:1" in done.stderr


# --- two real workers -------------------------------------------------------------------------


class Dask:
    """A scheduler and its workers, each a process of its own."""

    def __init__(self, klass):
        self.klass = klass
        self.file = klass.root / "scheduler.json"
        self.processes = []
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        end = time.monotonic() + 60
        while not self.file.is_file():
            assert time.monotonic() < end, "no scheduler"
            time.sleep(0.05)
        self.workers = [self.start("worker", "--nthreads", "1", "--no-dashboard",
                                   "--host", "127.0.0.1") for _ in range(2)]  # fmt: skip

    def start(self, kind, *options):
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "distributed.cli.dask_" + kind,
             "--scheduler-file", str(self.file), *options],
            cwd=self.klass.tmp, env=self.klass.environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def graders(self, worker):
        """The processes that grade, below one dask worker and its nanny."""
        found = []
        waiting = [worker.pid]
        while waiting:
            pid = waiting.pop()
            try:
                waiting += children(pid)
            except OSError:
                continue
            if b"grader.worker" in words(pid):
                found.append(pid)
        return found

    def close(self):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def dask(klass):
    pytest.importorskip("distributed")
    made = Dask(klass)
    yield made
    made.close()
    assert klass.processes() == []


def test_a_cluster_gives_the_same_report_and_its_results_are_kept(klass, dask, without_times):
    klass.fill(4)
    klass.hand_in("Broken_Zip").write_bytes(b"PK\3\4 cut off")
    folder = klass.handed_in / "Noether_Emmy"
    folder.mkdir()
    (folder / "toy.ipynb").write_text((klass.reference / "toy" / "toy.ipynb").read_text())
    (folder / "link").symlink_to("toy.ipynb")
    here, _ = klass.grade("--jobs", "2", "--regrade")
    there, _ = klass.grade("--dask", str(dask.file), "--regrade")
    assert without_times(here) == without_times(there)
    again, err = klass.grade("--jobs", "2")
    assert again == there
    assert err.count("kept from an earlier run") == 5  # all but the broken zip
    assert [dask.graders(worker) for worker in dask.workers] == [[], []]


def test_a_dask_worker_that_is_killed_takes_no_submission_with_it(klass, dask):
    klass.fill(8, more="import time; time.sleep(1.0)")
    process = klass.start("--dask", str(dask.file), "--json", "-")
    lines = []
    while not any(line.startswith("2/8") for line in lines):
        line = process.stderr.readline()
        assert line, lines
        lines.append(line)
    victim = next(worker for worker in dask.workers if dask.graders(worker))
    for pid in [victim.pid, *children(victim.pid)]:  # the nanny would start another one
        os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    submissions = json.loads(out)["submissions"]
    assert [s["score"] for s in submissions] == [2.0, 6.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0]
    told = [line.split()[1] for line in "".join([*lines, err]).splitlines() if "/8 " in line]
    assert sorted(told) == sorted(set(told))
    assert len(told) == 8


def test_ctrl_c_ends_the_work_on_the_cluster(klass, dask):
    klass.fill(3, more="import time; time.sleep(0.5)")
    klass.hand_in("Zander_Zoe", more="while True: pass")
    process = klass.start("--dask", str(dask.file))
    while "3/4" not in process.stderr.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "3 of 4 are graded and kept" in err
    deadline = time.monotonic() + 30
    while any(dask.graders(worker) for worker in dask.workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
