"""Files are written whole or not at all, and a wrong path is found before it matters."""

import os
import stat
import threading

import pytest

from grader.report import writing


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_parent_folders_are_made_and_nothing_else_is_left(tmp_path):
    writing.write_whole(tmp_path / "a" / "b" / "report.json", "é\n")
    assert (tmp_path / "a" / "b" / "report.json").read_bytes() == "é\n".encode()
    assert names_in(tmp_path / "a" / "b") == ["report.json"]


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "r").write_text("a long old text")
    writing.write_whole(tmp_path / "r", "new")
    assert (tmp_path / "r").read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "r").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        writing.write_whole(tmp_path / "r", "half \ud800")
    assert (tmp_path / "r").read_text() == "old"
    assert names_in(tmp_path) == ["r"]


def test_the_file_has_the_rights_that_the_umask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        writing.write_whole(tmp_path / "r", "text")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o640


def test_a_link_keeps_leading_to_the_file(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    writing.write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    writing.check_writable(tmp_path / "pipe")
    writing.write_whole(tmp_path / "pipe", "text")
    reader.join(10)
    assert read == ["text"]


def test_checking_leaves_no_file_behind(tmp_path):
    writing.check_writable(tmp_path / "new" / "r.json")
    writing.check_folder_writable(tmp_path / "pages")
    assert names_in(tmp_path / "new") == names_in(tmp_path / "pages") == []


def test_a_folder_in_the_files_place_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        writing.check_writable(tmp_path)


def test_a_file_where_a_folder_is_due_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        writing.check_writable(tmp_path / "file" / "r.json")
    with pytest.raises(OSError):
        writing.check_folder_writable(tmp_path / "file")
