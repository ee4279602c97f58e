"""Where a warm process is found: nothing of another user's, no link, nothing old."""

import json
import os
import socket
import stat

import pytest

from grader.warm import client, fingerprint
from grader.warm.place import NoPlace, Place, key


@pytest.fixture
def runtime(tmp_path, monkeypatch):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_the_folder_is_the_users_alone(runtime):
    Place(make=True).close()
    assert stat.S_IMODE((runtime / "grade-warm").stat().st_mode) == 0o700


def test_a_link_in_the_folders_place_is_refused(runtime, tmp_path_factory):
    (runtime / "grade-warm").symlink_to(tmp_path_factory.mktemp("elsewhere"))
    with pytest.raises(NoPlace):
        Place(make=True)


def test_a_folder_that_others_may_enter_is_refused_with_its_reason(runtime):
    (runtime / "grade-warm").mkdir()
    (runtime / "grade-warm").chmod(0o755)
    with pytest.raises(NoPlace, match="0700"):
        Place(make=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_folder_of_another_users_is_refused(runtime):
    (runtime / "grade-warm").mkdir(mode=0o700)
    os.chown(runtime / "grade-warm", 54321, 54321)
    with pytest.raises(NoPlace):
        Place(make=True)


def test_without_a_runtime_folder_it_lies_in_the_temporary_one(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.chmod(0o700)
    Place(make=True).close()
    assert (tmp_path / f"grade-warm-{os.geteuid()}").is_dir()


def test_a_temporary_folder_where_anybody_may_replace_it_is_refused(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.chmod(0o777)
    with pytest.raises(NoPlace, match="sticky"):
        Place(make=True)


def test_a_runtime_folder_that_others_may_write_to_is_not_used(tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(shared))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.chmod(0o700)
    Place(make=True).close()
    assert not (shared / "grade-warm").exists()


def test_a_record_is_read_by_who_wrote_it_and_is_private(runtime):
    with Place(make=True) as place:
        token = place.write_record("k")
        assert place.record("k")["token"] == token
        (runtime / "grade-warm" / "k.json").chmod(0o644)
        assert place.record("k") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"token": 3}', "\x00" * 9000, "[" * 4000])
def test_a_record_that_is_none_is_no_process(runtime, text):
    with Place(make=True) as place:
        file = runtime / "grade-warm" / "k.json"
        file.write_text(text)
        file.chmod(0o600)
        assert place.record("k") is None


def test_a_link_in_a_records_place_is_not_followed(runtime, tmp_path):
    with Place(make=True) as place:
        place.write_record("other")
        (runtime / "grade-warm" / "k.json").symlink_to(runtime / "grade-warm" / "other.json")
        assert place.record("k") is None


def test_a_pipe_in_a_records_place_holds_nobody_up(runtime):
    with Place(make=True) as place:
        os.mkfifo(runtime / "grade-warm" / "k.json", 0o600)
        assert place.record("k") is None


def test_a_socket_that_nobody_listens_on_is_no_process(runtime):
    with Place(make=True) as place, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as left:
        left.bind(place.address("k"))
        left.close()
        assert place.connected("k") is None


def test_a_file_in_the_sockets_place_is_no_process(runtime):
    with Place(make=True) as place:
        (runtime / "grade-warm" / "k.sock").touch()
        assert place.connected("k") is None


def test_one_process_holds_a_key(runtime):
    with Place(make=True) as place:
        first = place.locked("k")
        assert place.locked("k") is None
        os.close(first)
        again = place.locked("k")
        assert again is not None
        os.close(again)


def test_another_environment_another_key(tmp_path):
    plain = {"PATH": "/bin", "EDITOR": "vi"}
    assert key(tmp_path, plain) == key(tmp_path, plain | {"EDITOR": "ed"})
    for changed in ({"PATH": "/sbin"}, {"PYTHONPATH": "/x"}, {"GRADE_DATA": "/x"}, {"LC_ALL": "C"}):
        assert key(tmp_path, plain) != key(tmp_path, plain | changed)
    assert key(tmp_path, plain) != key(tmp_path.parent, plain)


def test_a_changed_byte_changes_a_folders_fingerprint(tmp_path):
    (tmp_path / "test_a.py").write_text("a = 1")
    before = fingerprint.of_folder(tmp_path)
    (tmp_path / "test_a.py").write_text("a = 2")
    assert fingerprint.of_folder(tmp_path) != before


def test_new_code_of_the_grader_changes_the_programs_fingerprint(tmp_path, monkeypatch):
    code = tmp_path / "grader"
    code.mkdir()
    (code / "__init__.py").write_text("")
    monkeypatch.setattr(fingerprint.grader, "__file__", str(code / "__init__.py"))
    before = fingerprint.of_program()
    (code / "score.py").write_text("x = 1")
    assert fingerprint.of_program() != before


def test_a_package_that_is_installed_changes_the_programs_fingerprint(tmp_path, monkeypatch):
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.setattr("sys.path", [str(packages)])
    before = fingerprint.of_program()
    (packages / "numpy-9.dist-info").mkdir()
    assert fingerprint.of_program() != before


def test_nothing_is_asked_where_nothing_was_left(runtime, tmp_path):
    assert client.answered(["a.ipynb"], tmp_path / "a.ipynb", program="grade") is None
    assert not (runtime / "grade-warm").exists()


def test_a_listener_that_never_answers_costs_seconds_and_no_verdict(runtime, tmp_path, monkeypatch):
    monkeypatch.setattr(client, "BEGINS_S", 0.2)
    with Place(make=True) as place, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as mute:
        name = key(tmp_path, os.environ)
        mute.bind(place.address(name))
        mute.listen()
        place.write_record(name)
        assert client.answered(["a.ipynb"], tmp_path / "a.ipynb", program="grade") is None
        peer, _ = mute.accept()
        with peer:
            assert json.loads(peer.recv(1 << 18))["arguments"] == ["a.ipynb"]
