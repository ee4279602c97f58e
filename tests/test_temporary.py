"""Temporary folders: gone when their maker is, and never while it lives."""

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


def test_the_folder_of_a_process_that_lives_stays(place):
    with TemporaryFolder() as folder:
        assert remove_leftovers() == 0
        assert folder.is_dir()


def test_a_folder_without_a_lock_is_somebody_elses(place):
    (place / "grade-sheets").mkdir()
    (place / "grade-sheets" / "a.ipynb").write_text("x")
    assert remove_leftovers() == 0
    assert (place / "grade-sheets" / "a.ipynb").is_file()


def test_no_link_is_followed(place, tmp_path_factory):
    precious = left_by_a_killed_process(place).rename(tmp_path_factory.mktemp("other") / "precious")
    (place / "grade-link").symlink_to(precious)
    (place / "grade-folder").mkdir()
    (place / "grade-folder" / ".in-use").symlink_to(precious / ".in-use")
    assert remove_leftovers() == 0
    assert precious.is_dir() and (place / "grade-folder").is_dir()
