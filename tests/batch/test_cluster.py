"""The same work on a dask.distributed cluster: a scheduler and two workers, on this machine."""

import json
import os
import pickle
import signal
import sys
import zlib

import pytest

from grader import cli
from grader.batch.answer_store import MAX_ANSWER_BYTES
from grader.batch.archive import Archive, TooLarge, extract_archive, make_archive
from grader.batch.cluster import _kept_of, _problem_of
from grader.batch.cluster_worker import Answer, ClusterRun, grade_there
from grader.batch.serialization import Packed, pack
from grader.records import Options, Result

from .conftest import WITHOUT_THIS_PACKAGE, Dask, regrade_with_another_check

pytestmark = pytest.mark.slow

# --- archives ---------------------------------------------------------------------------------


def test_a_folder_travels_with_its_name_its_files_and_what_is_no_file(tmp_path):
    folder = tmp_path / "Meier_Ann"
    (folder / "data").mkdir(parents=True)
    (folder / "a.ipynb").write_bytes(b"{}")
    (folder / "data" / "x.csv").write_bytes(b"1,2")
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    there = tmp_path / "there"
    there.mkdir()
    arrived = extract_archive(make_archive(folder), there)
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
    arrived = extract_archive(make_archive(tmp_path / "Meier_Ann.zip"), there)
    assert (arrived.name, arrived.read_bytes()) == ("Meier_Ann.zip", b"PK")


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_nothing_is_written_outside_of_a_parcel(tmp_path, name):
    with pytest.raises(ValueError, match="leads out of the archive"):
        extract_archive(Archive("a", ((name, "file", b"x"),)), tmp_path)


def test_what_is_too_large_does_not_travel(tmp_path, monkeypatch):
    monkeypatch.setattr("grader.batch.archive.MAX_BYTES", 10)
    (tmp_path / "a.zip").write_bytes(b"x" * 11)
    with pytest.raises(TooLarge):
        make_archive(tmp_path / "a.zip")
    with pytest.raises(TooLarge):
        make_archive(tmp_path)


# --- mistakes ---------------------------------------------------------------------------------


@pytest.fixture
def zip_of_mine(tmp_path, klass):
    return str(klass.hand_in("Meier_Ann")), "--assignments", str(klass.reference)


def test_without_the_package_it_tells_how_to_install_it(zip_of_mine, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.run([*zip_of_mine, "--dask", "tcp://127.0.0.1:1"]) == 2
    assert "pip install distributed" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["host", "tcp://host", "no/such/file.json"])
def test_what_is_no_address_is_told(zip_of_mine, capsys, address):
    pytest.importorskip("distributed")
    assert cli.run([*zip_of_mine, "--dask", address]) == 2
    assert f"{address} is neither the address of a dask scheduler" in capsys.readouterr().err


def test_a_scheduler_that_does_not_answer_is_told(klass, zip_of_mine):
    pytest.importorskip("distributed")
    process = start(klass, "--dask", "tcp://127.0.0.1:1", CONNECT_S=1)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2, err
    assert "no dask scheduler answers at tcp://127.0.0.1:1" in err


def test_a_worker_of_another_version_grades_nothing():
    run = pickle.dumps(ClusterRun("token", "other code", Options("nowhere")))
    nothing = pickle.dumps(Archive("toy", ()))
    assert grade_there(run, nothing, nothing).kind == "other"


# --- a scheduler and workers ------------------------------------------------------------------


def start(klass, *options, **constants):
    """The command, with other constants of grader.batch.cluster."""
    changed = "; ".join(f"cluster.{name} = {value}" for name, value in constants.items())
    return klass.start(*options, first=f"from grader.batch import cluster; {changed}")


def told(process, text):
    """Read the command's progress up to this text; return all that was read."""
    seen = ""
    while text not in seen:
        line = process.stderr.readline()
        assert line, seen
        seen += line
    return seen


@pytest.fixture
def lone(tmp_path):
    """A scheduler of this test's own, that has no workers."""
    pytest.importorskip("distributed")
    (tmp_path / "dask").mkdir()
    made = Dask(tmp_path / "dask", workers=False)
    yield made
    made.close()


def test_what_a_cluster_has_graded_is_kept(klass, dask):
    klass.fill(2)
    klass.hand_in("Broken_Zip").write_bytes(b"PK\3\4 cut off")
    there, _ = klass.grade("--dask", str(dask.file))
    again, err = klass.grade("--jobs", "2")
    assert again == there
    assert err.count("kept from an earlier run") == 2  # all but the broken zip
    assert dask.graders() == {}


def test_a_dask_worker_that_is_killed_takes_no_submission_with_it(klass, dask):
    klass.fill(8, more="import time; time.sleep(0.5)")
    process = klass.start("--dask", str(dask.file), "--json", "-")
    seen = told(process, "2/8")
    os.kill(next(iter(dask.graders().values())), signal.SIGKILL)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    submissions = json.loads(out)["submissions"]
    assert [s["score"] for s in submissions] == [2.0, 6.0, 6.0, 2.0, 6.0, 6.0, 2.0, 6.0]
    names = [line.split()[1] for line in (seen + err).splitlines() if "/8 " in line]
    assert sorted(names) == sorted(set(names))
    assert len(names) == 8


def test_ctrl_c_ends_the_work_on_the_cluster(klass, dask, until):
    klass.limit("cell_s", 3600)
    klass.fill(3)
    klass.hand_in("Zander_Zoe", more="while True: pass")
    process = klass.start("--dask", str(dask.file))
    told(process, "3/4")
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "3 of 4 are done and kept; the same command goes on" in err
    until(lambda: not dask.graders())


def test_a_cluster_without_workers_is_told_and_waited_for(klass, lone):
    klass.fill(2)
    process = start(klass, "--dask", str(lone.file), "--json", "-", LOOK_S=0.2)
    told(process, f"no dask worker is at {lone.file}: waiting for one")
    lone.add("--no-nanny")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert [s["score"] for s in json.loads(out)["submissions"]] == [2.0, 6.0]


def test_a_cluster_that_has_no_worker_for_long_is_given_up(klass, lone):
    klass.fill(2)
    process = start(klass, "--dask", str(lone.file), LOOK_S=0.1, WORKER_S=0.3)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2
    assert f"no dask worker came to {lone.file}" in err


def test_a_scheduler_that_is_killed_is_told_and_what_is_graded_stands(klass, lone, until):
    klass.fill(4, more="import time; time.sleep(0.5)")
    worker = lone.add("--no-nanny")
    process = klass.start("--dask", str(lone.file))
    told(process, "2/4")
    lone.scheduler.kill()
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2, err
    (line,) = (line for line in err.splitlines() if line.startswith("grade: "))
    assert f"the dask scheduler at {lone.file} has ended, or gave the work up" in line
    assert "2 of 4 are done and kept; the same command goes on" in line
    assert klass.processes() == []
    rest, err = klass.grade("--jobs", "1")
    assert err.count("kept from an earlier run") == 2
    assert [s["score"] for s in json.loads(rest)["submissions"]] == [2.0, 6.0, 6.0, 2.0]
    until(lambda: not lone.graders(below=worker.pid))


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        ("from grader.batch import cache_key; cache_key.code = lambda: 'other'",
         "has another version of grade: install this one"),
        (WITHOUT_THIS_PACKAGE, "this version of grade must be installed"),
    ],
)  # fmt: skip
def test_workers_that_have_not_this_grader_are_told(klass, lone, first, problem):
    klass.fill(1)
    lone.add("--no-nanny", first=first)
    process = klass.start("--dask", str(lone.file))
    _, err = process.communicate(timeout=200)
    assert process.returncode == 2
    # On a busy machine the worker comes late, and a line before says that it is awaited.
    *_, line = (line for line in err.splitlines() if line.startswith("grade: "))
    assert problem in line


# --- what comes back --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "NoneType"),
        (Answer("done", ""), "no result: error"),
        (Answer("done", "", Packed(zlib.compress(b"[]"))), "no result: AttributeError"),
        (Answer("done", "", None), "kept replies that are not bytes"),
        (Answer("done", "", Packed(b"", answers="x")), "kept replies that are not bytes"),
        (Answer("points", ""), "kind 'points'"),
        (Answer("lost", "", how=7), "a field is not text"),
        (Answer("done", "", pack(Result("a.zip", (), "graded"))), ""),
        (Answer("lost", "", how="no answer"), ""),
    ],
)
def test_what_a_cluster_returns_is_looked_at_before_it_is_believed(answer, problem):
    assert _problem_of(answer) == problem


def test_replies_from_a_cluster_are_kept_up_to_a_submission_s_share():
    assert _kept_of(Packed(b"", answers=b"one")) == b"one"
    assert _kept_of(Packed(b"", answers=bytes(MAX_ANSWER_BYTES + 1))) == b""


@pytest.mark.slow
def test_what_a_cluster_has_graded_is_graded_again_without_a_notebook(klass, dask):
    klass.fill(2)
    klass.grade("--dask", str(dask.file), "--regrade")
    assert "2 submissions: 2 from kept answers" in regrade_with_another_check(klass)
