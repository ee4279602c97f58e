"""Files are written whole or not at all, and a wrong path is found before it matters."""

import os
import stat
import threading

import pytest

from grader import files


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_parent_folders_are_made_and_nothing_else_is_left(tmp_path):
    files.write_whole(tmp_path / "a" / "b" / "report.json", "é\n")
    assert (tmp_path / "a" / "b" / "report.json").read_bytes() == "é\n".encode()
    assert names_in(tmp_path / "a" / "b") == ["report.json"]


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "r").write_text("a long old text")
    files.write_whole(tmp_path / "r", "new")
    assert (tmp_path / "r").read_text() == "new"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "r").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        files.write_whole(tmp_path / "r", "half \ud800")
    assert (tmp_path / "r").read_text() == "old"
    assert names_in(tmp_path) == ["r"]


def test_the_file_has_the_rights_that_the_umask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        files.write_whole(tmp_path / "r", "text")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o640


def test_a_link_keeps_leading_to_the_file(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    files.write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    read = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    files.check_writable(tmp_path / "pipe")
    files.write_whole(tmp_path / "pipe", "text")
    reader.join(10)
    assert read == ["text"]


def test_checking_leaves_no_file_behind(tmp_path):
    files.check_writable(tmp_path / "new" / "r.json")
    files.check_folder_writable(tmp_path / "pages")
    assert names_in(tmp_path / "new") == names_in(tmp_path / "pages") == []


def test_a_folder_in_the_files_place_is_refused(tmp_path):
    with pytest.raises(IsADirectoryError):
        files.check_writable(tmp_path)


def test_a_file_where_a_folder_is_due_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError):
        files.check_writable(tmp_path / "file" / "r.json")
    with pytest.raises(OSError):
        files.check_folder_writable(tmp_path / "file")


def test_bytes_and_pieces_are_written_as_they_are(tmp_path):
    files.write_whole(tmp_path / "b", b"\xff\x00")
    files.write_whole(tmp_path / "p", iter(["é", "b"]))
    assert (tmp_path / "b").read_bytes() == b"\xff\x00"
    assert (tmp_path / "p").read_bytes() == "éb".encode()


def test_a_file_can_be_for_everyone_whatever_the_umask(tmp_path):
    old = os.umask(0o077)
    try:
        files.write_whole(tmp_path / "r", "text", mode=0o644)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "r").stat().st_mode) == 0o644


def test_a_block_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    (tmp_path / "r").write_text("old")
    with pytest.raises(ZeroDivisionError), files.replaced(tmp_path / "r", durable=True) as stream:
        stream.write(b"half")
        1 / 0  # noqa: B018
    assert (tmp_path / "r").read_text() == "old"
    assert names_in(tmp_path) == ["r"]


def test_the_old_file_is_there_until_the_block_ends(tmp_path):
    (tmp_path / "r").write_text("old")
    with files.replaced(tmp_path / "r", durable=True) as stream:
        stream.write(b"new")
        stream.flush()
        assert (tmp_path / "r").read_text() == "old"
    assert (tmp_path / "r").read_text() == "new"


def test_a_name_of_the_longest_kind_can_be_written(tmp_path):
    # A file system takes 255 bytes: the temporary name must not be longer than the name itself.
    files.write_whole(tmp_path / ("é" * 120), "text")
    assert names_in(tmp_path) == ["é" * 120]
