"""Temporary folders: gone when their maker is, and never while it lives."""

import os
import subprocess
import sys

import pytest

from grader import temporary
from grader.temporary import TemporaryFolder, remove_leftovers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no locks that end with a process")


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(temporary.tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_by_a_killed_process(place, more=""):
    source = (
        "import os, signal\n"
        "from grader.temporary import TemporaryFolder\n"
        "made = TemporaryFolder()\n"
        "folder = made.path\n"
        f"{more}\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", source], env={"TMPDIR": str(place)})
    (folder,) = place.iterdir()
    return folder


def test_a_folder_is_gone_after_its_block(place):
    with TemporaryFolder() as folder:
        (folder / "file").write_text("x")
        assert [*place.iterdir()] == [folder]
    assert [*place.iterdir()] == []


def test_what_a_killed_process_left_is_deleted_even_read_only(place):
    more = "(folder / 'a' / 'b').mkdir(parents=True); (folder / 'a').chmod(0o500)"
    left_by_a_killed_process(place, more)
    assert remove_leftovers() == 1
    assert [*place.iterdir()] == []


@pytest.mark.parametrize("closed", [False, True], ids=["open", "read-only"])
def test_a_tree_that_is_too_deep_for_a_path_or_a_recursion_is_deleted(place, closed):
    folder = TemporaryFolder(parent=str(place))
    at = os.open(folder.path, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=at)
        inner = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        if closed:
            os.fchmod(at, 0)
        os.close(at)
        at = inner
    os.close(at)
    folder.remove()
    assert not folder.path.exists()


def test_the_folder_of_a_process_that_lives_stays(place):
    with TemporaryFolder() as folder:
        assert remove_leftovers() == 0
        assert folder.is_dir()


def test_a_folder_without_a_lock_is_somebody_elses(place):
    (place / "grade-sheets").mkdir()
    (place / "grade-sheets" / "a.ipynb").write_text("x")
    assert remove_leftovers() == 0
    assert (place / "grade-sheets" / "a.ipynb").is_file()


def test_a_maker_that_was_killed_before_it_had_a_lock_leaves_what_is_deleted(place):
    (place / "grade-abcd_123").mkdir()
    (place / "grade-abcd_124").mkdir()
    (place / "grade-abcd_124" / ".in-use.new").touch()
    assert remove_leftovers() == 2
    assert [*place.iterdir()] == []


def test_who_was_killed_while_it_deleted_leaves_what_is_deleted(place):
    more = (
        "for n in range(30): (folder / str(n)).mkdir()\n"
        "left, rmdir = [*range(30)], os.rmdir\n"
        "def removed(*args, **kwargs):\n"
        "    rmdir(*args, **kwargs)\n"
        "    left.pop()\n"
        "    if not left: os.kill(os.getpid(), signal.SIGKILL)\n"
        "os.rmdir = removed\n"
        "made.remove()"
    )
    left_by_a_killed_process(place, more)
    assert remove_leftovers() == 1
    assert [*place.iterdir()] == []


def test_a_folder_that_was_taken_for_a_left_one_is_made_anew(place, monkeypatch):
    taken = []
    mkdtemp = temporary.tempfile.mkdtemp

    def taken_once(**kwargs):
        made = mkdtemp(**kwargs)
        if not taken:
            taken.append(made)
            assert remove_leftovers() == 1
        return made

    monkeypatch.setattr(temporary.tempfile, "mkdtemp", taken_once)
    with TemporaryFolder() as folder:
        assert str(folder) not in taken
        assert [*place.iterdir()] == [folder]


def test_what_can_not_be_locked_is_not_left(place, monkeypatch):
    def no_more(*args):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(temporary.fcntl, "flock", no_more)
    with pytest.raises(OSError, match="Too many"):
        TemporaryFolder()
    assert [*place.iterdir()] == []


def test_no_link_is_followed(place, tmp_path_factory):
    precious = left_by_a_killed_process(place).rename(tmp_path_factory.mktemp("other") / "precious")
    (place / "grade-link").symlink_to(precious)
    (place / "grade-folder").mkdir()
    (place / "grade-folder" / ".in-use").symlink_to(precious / ".in-use")
    assert remove_leftovers() == 0
    assert precious.is_dir() and (place / "grade-folder").is_dir()
