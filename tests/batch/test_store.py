"""The file of results: what is written stands, what is read back is what was written."""

import sqlite3
import stat
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from grader.batch.serialization import pack, unpack
from grader.batch.store import KeptItem, graded_with_solutions, open_store, place
from grader.batch.tables import SCHEMA, STEPS
from grader.errors import StoreError
from grader.records import Evidence, Result


@pytest.fixture
def file(tmp_path):
    return tmp_path / "state" / "results.sqlite"


@pytest.fixture
def store(file):
    with open_store(file) as opened:
        yield opened


def begin(store, key="now", submissions=2):
    return store.begin(
        assignment="toy",
        title="Toy",
        submissions=submissions,
        settings={"seed": 7},
        key=key,
    )


def keep(run, number=0, path="a.zip", status="graded", input_hash="abc", score=1.0):
    result = Result(path, ("Ann",), status, score=score, max_score=4.0)
    run.add(number, result, pack(result), input_hash=input_hash, kept=False)
    return result


def test_a_kept_result_is_found_by_a_later_run(store):
    result = keep(begin(store))
    assert unpack(begin(store).kept("abc")) == result


def test_results_read_in_place_are_the_run_s_under_its_own_paths(store):
    first = begin(store)
    kept = [keep(first, n, f"{n}.zip", input_hash=f"h{n}") for n in (0, 2, 5)]
    again = begin(store)
    packed = again.kept("h2")
    again.add(0, replace(kept[1], path="late/2.zip"), packed, input_hash="h2", kept=True)
    read = store.results_in_place(first.id)
    assert (len(read), list(read), read[-1]) == (3, kept, kept[2])
    assert list(read[1:]) == kept[1:]
    assert list(store.results_in_place(again.id)) == [replace(kept[1], path="late/2.zip")]


@pytest.mark.parametrize("status", ["grader_fault", "refused"])
def test_only_what_was_graded_is_taken_up_again(store, status):
    keep(begin(store), status=status)
    assert begin(store).kept("abc") is None


def test_other_circumstances_or_another_content_find_nothing(store):
    keep(begin(store, "before"))
    assert begin(store, "after").kept("abc") is None
    assert begin(store, "before").kept("abd") is None
    assert begin(store, "before").kept("") is None


def test_the_latest_of_two_results_counts_and_the_earlier_run_still_shows_its_own(store):
    first, second = begin(store), begin(store)
    keep(first, score=1.0)
    keep(second, score=2.0)
    assert unpack(begin(store).kept("abc")).score == 2.0
    (item,) = store.items(first.id)
    assert unpack(item.packed).score == 1.0


def test_runs_are_listed_with_how_far_they_came(store):
    whole, stopped = begin(store), begin(store)
    keep(whole, 0)
    keep(whole, 1, input_hash="b")
    whole.end("no seccomp")
    result = keep(stopped, 0, input_hash="c")
    packed = whole.kept("b")
    stopped.kept("b")
    stopped.add(1, result, packed, input_hash="b", kept=True)
    late, early = store.runs()
    assert (early.id, early.results, early.kept, early.isolation) == (whole.id, 2, 0, "no seccomp")
    assert early.ended >= early.begun
    assert (late.results, late.kept, late.ended) == (2, 1, None)
    assert (late.assignment, late.title, late.settings) == ("toy", "Toy", {"seed": 7})


def test_the_submissions_of_a_run_come_in_the_order_of_its_input(store):
    run = begin(store)
    for number in (2, 0, 1):
        keep(run, number, path=f"{number}\udcff.zip", input_hash=str(number))
    assert [item.path for item in store.items(run.id)] == [
        "0\udcff.zip",
        "1\udcff.zip",
        "2\udcff.zip",
    ]
    assert [item.number for item in store.items(run.id)] == store.numbers(run.id) == [0, 1, 2]


def test_a_forgotten_run_is_gone_from_the_file_but_not_what_others_show(store, file):
    first, second = begin(store), begin(store)
    keep(first, path="only-in-the-first.zip")
    keep(first, 1, input_hash="shared", path="b.zip")
    packed = second.kept("shared")
    second.add(0, Result("b.zip", (), "graded"), packed, input_hash="shared", kept=True)
    store.forget(first.id)
    assert [run.id for run in store.runs()] == [second.id]
    assert len(list(store.items(second.id))) == 1
    assert begin(store).kept("abc") is None
    assert b"only-in-the-first" not in file.read_bytes()


def test_opening_the_file_once_more_leaves_what_this_process_has_locked(store, file):
    # The system drops a process's locks on a file when any descriptor of it is closed.
    write = "import sqlite3, sys\nsqlite3.connect(sys.argv[1], 0).execute('BEGIN IMMEDIATE')"
    other = [sys.executable, "-I", "-S", "-c", write, file]
    with store.writing():
        open_store(file).close()
        done = subprocess.run(other, capture_output=True, text=True)
    assert "database is locked" in done.stderr
    assert subprocess.run(other, capture_output=True).returncode == 0


def test_nobody_else_can_read_the_file(store, file):
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content", [b"no database, whatever its name says", b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_store_is_told_with_what_to_do(tmp_path, content):
    file = tmp_path / "results.sqlite"
    file.write_bytes(content)
    with pytest.raises(StoreError, match=r"results\.sqlite can't be used .*move the file away"):
        open_store(file)
    assert file.read_bytes() == content


def test_a_file_of_a_later_version_is_left_alone(file):
    open_store(file).close()
    connection = sqlite3.connect(file)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="another version of grade wrote it, in format 99"):
        open_store(file)


def test_a_folder_that_can_not_be_made_is_told(tmp_path):
    (tmp_path / "state").write_text("a file")
    with pytest.raises(StoreError, match="can't be used"):
        open_store(tmp_path / "state" / "results.sqlite")


def test_reading_makes_no_file(file):
    with pytest.raises(StoreError, match="no results are kept yet"):
        open_store(file, create=False)
    assert not file.parent.exists()


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from grader.batch.serialization import pack
from grader.batch.store import open_store
from grader.records import Evidence, Result

name = sys.argv[2]
with open_store(Path(sys.argv[1])) as store:
    run = store.begin(assignment="toy", title="", submissions=40, settings={}, key="now")
    for n in range(40):
        result = Result(f"{name}{n}", (), "graded", message="x" * 5000)
        run.add(n, result, pack(result), input_hash=f"{name}{n}", kept=False)
        print(n, flush=True)
    run.end("")
"""


def writer(file, name):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file), name], stdout=subprocess.PIPE, text=True
    )


def test_several_runs_write_at_the_same_time_and_nothing_is_lost(file):
    writers = [writer(file, name) for name in "abc"]
    for process in writers:
        process.communicate(timeout=100)
        assert process.returncode == 0
    with open_store(file) as store:
        assert [run.results for run in store.runs()] == [40, 40, 40]
        assert store.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize("after", [1, 7, 20, 33])
def test_a_writer_that_is_killed_has_lost_nothing_that_it_told(file, after):
    process = writer(file, "a")
    for _ in range(after):
        process.stdout.readline()
    process.kill()
    told = after + len(process.communicate()[0].splitlines())
    with open_store(file) as store:
        (run,) = store.runs()
        assert run.ended is None or told == 40  # it was quicker than the signal
        # It may have written one more and been killed before it said so.
        assert told <= run.results <= told + 1
        assert store.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert unpack(begin(store).kept("a0")).path == "a0"


@pytest.mark.parametrize(
    ("environ", "student", "expected"),
    [
        ({"GRADE_RESULTS": "none"}, False, None),
        ({"GRADE_RESULTS": "/x/y.sqlite"}, False, "/x/y.sqlite"),
        ({"GRADE_RESULTS": "/x/y.sqlite"}, True, "/x/y.sqlite"),
        ({}, True, None),
    ],
)
def test_where_results_are_kept(environ, student, expected):
    found = place(environ, student=student)
    assert (found and str(found)) == expected


def test_results_are_kept_in_the_users_own_folder_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    found = place({})
    assert found.name == "results.sqlite"
    assert found.is_relative_to(tmp_path)


# --- what no longer stands in the file --------------------------------------------------------


@pytest.fixture
def careless_sqlite(monkeypatch):
    """SQLite as most builds have it: what is deleted stays in the file until it is written over."""
    connect = sqlite3.connect

    def careless(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr("grader.batch.store.sqlite3.connect", careless)


def test_what_is_deleted_is_overwritten_also_where_sqlite_does_not_by_itself(careless_sqlite, file):
    with open_store(file) as store:
        assert store.connection.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_a_forgotten_run_leaves_no_free_page_in_the_file(careless_sqlite, file):
    with open_store(file) as store:
        run = begin(store, submissions=200)
        for number in range(200):
            keep(run, number, path=f"{number}.zip", input_hash=str(number))
        full = file.stat().st_size
        store.forget(run.id)
        assert store.connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert file.stat().st_size < full


def test_a_forgotten_student_s_path_is_nowhere_in_the_file(careless_sqlite, file):
    with open_store(file) as store:
        run = begin(store)
        keep(run, path="Zwingli_Huldrych.zip")
        store.forget(run.id)
    assert b"Zwingli" not in file.read_bytes()


@pytest.mark.parametrize("version", [SCHEMA + 1, 70])
def test_a_file_of_another_version_is_refused_with_its_number(file, version):
    open_store(file).close()
    connection = sqlite3.connect(file)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(StoreError, match=f"another version of grade wrote it, in format {version}"):
        open_store(file)


def test_a_file_of_an_earlier_version_keeps_its_results_and_their_keys(file):
    with open_store(file) as store:
        result = keep(begin(store))
        row = store.connection.execute("SELECT * FROM results").fetchone()
        run = store.connection.execute("SELECT * FROM runs").fetchone()[:8]  # of version 2
    file.unlink()
    connection = sqlite3.connect(file)
    for version in (1, 2):
        for statement in STEPS[version]:
            connection.execute(statement)
    connection.execute(f"INSERT INTO runs VALUES ({', '.join('?' * len(run))})", run)
    connection.execute(f"INSERT INTO results VALUES ({', '.join('?' * len(row))})", row)
    connection.execute("PRAGMA user_version = 2")
    connection.commit()
    connection.close()
    with open_store(file) as store:
        assert unpack(begin(store).kept("abc")) == result
        assert begin(store, "later").kept("abc") is None
        assert store.connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


def test_what_is_written_within_a_block_goes_with_it_when_it_fails(store):
    run = begin(store)
    assert run.id == 1  # it is in the file before the block
    with pytest.raises(ZeroDivisionError), store.writing():
        keep(run)
        with store.writing():
            keep(run, 1, input_hash="b")
        raise ZeroDivisionError
    assert list(store.items(run.id)) == []
    with store.writing():
        keep(run)
    assert len(list(store.items(run.id))) == 1


# --- runs -------------------------------------------------------------------------------------


def test_a_run_without_a_result_leaves_no_trace(store):
    begin(store)
    assert store.runs() == []


def test_a_result_of_this_run_alone_is_taken_up_by_none(store):
    run = begin(store)
    keep(run, input_hash="")
    assert begin(store).kept("") is None
    assert [record.results for record in store.runs()] == [1]


def test_a_run_tells_whether_anything_was_graded_under_a_key_that_it_accepts(store):
    assert not begin(store, "now").has_results()
    keep(begin(store, "now"))
    assert begin(store, "now").has_results()
    assert not begin(store, "later").has_results()
    later = store.begin(
        assignment="toy", title="", submissions=1, settings={}, key="later", acceptable=["now"]
    )
    assert later.has_results()
    assert later.kept("abc") is not None


@pytest.mark.parametrize("status", ["refused", "grader_fault"])
def test_what_was_not_graded_tells_nothing_of_a_key(store, status):
    keep(begin(store, "now"), status=status)
    assert not begin(store, "now").has_results()


def test_a_kept_result_is_shown_under_the_path_of_the_run_that_took_it_up(store):
    keep(begin(store), path="old/a.zip")
    second = begin(store)
    packed = second.kept("abc")
    moved = replace(unpack(packed), path="new/a.zip")
    second.add(0, moved, packed, input_hash="abc", kept=True)
    (item,) = store.items(second.id)
    assert (item.path, unpack(item.relabelled()).path) == ("new/a.zip", "new/a.zip")
    assert [result.path for result in store.results(second.id)] == ["new/a.zip"]


def test_a_mean_is_of_what_was_graded_alone(store):
    run = begin(store, submissions=3)
    keep(run, 0, score=4.0)
    keep(run, 1, score=2.0, input_hash="b")
    keep(run, 2, status="refused", score=0.0, input_hash="c")
    (record,) = store.runs()
    assert (record.mean_percent, record.not_graded, record.kept) == (75.0, 1, 0)


def test_one_run_is_listed_alone(store):
    first, second = begin(store), begin(store)
    keep(first)
    keep(second)
    assert [run.id for run in store.runs()] == [second.id, first.id]
    assert [run.id for run in store.runs(first.id)] == [first.id]
    assert store.runs(99) == []


def test_a_record_says_when_a_run_was_and_of_how_many(store):
    before = time.time()
    run = begin(store, submissions=7)
    keep(run, score=3.0)
    run.end("no seccomp")
    (record,) = store.runs()
    assert before <= record.begun <= record.ended <= time.time()
    assert (record.submissions, record.mean_percent) == (7, 75.0)


def test_a_result_of_no_points_counts_as_all_of_them(store):
    run = begin(store)
    result = Result("a", (), "graded", score=0.0, max_score=0.0)
    run.add(0, result, pack(result), input_hash="a", kept=False)
    assert store.runs()[0].mean_percent == 100.0


SEEN = Evidence(answers={"a": ("because",)})


def test_evidence_is_read_where_it_is_asked_for(store):
    run = begin(store)
    result = Result("a", (), "graded", evidence=SEEN)
    run.add(3, result, pack(result), input_hash="a", kept=False)
    for evidence, expected in ((True, SEEN), (False, Evidence())):
        (listed,) = store.items(run.id, evidence=evidence)
        one = store.item(run.id, 3, evidence=evidence)
        assert unpack(listed.packed).evidence == unpack(one.packed).evidence == expected
    assert unpack(next(store.items(run.id)).packed).evidence == Evidence()
    assert unpack(store.item(run.id, 3).packed).evidence == Evidence()
    assert store.evidence_of(run.id, "a") == SEEN
    assert store.evidence_of(run.id, "b") == Evidence()
    assert store.evidence_of(run.id + 1, "a") == Evidence()


def test_a_submission_of_a_run_is_found_by_its_number(store):
    run, other = begin(store), begin(store)
    keep(run, 2, path="a\udcff.zip")
    keep(run, 0, path="b.zip", input_hash="b")
    keep(other, 5, input_hash="c")
    assert store.numbers(run.id) == [0, 2]
    item = store.item(run.id, 2)
    assert (item.number, item.path, item.kept) == (2, "a\udcff.zip", False)
    assert unpack(item.packed).path == "a\udcff.zip"
    with pytest.raises(StoreError) as refused:
        store.item(run.id, 5)
    assert str(refused.value) == f"run {run.id} has no submission 5 any more"


def test_only_a_result_that_was_taken_up_gets_another_path():
    packed = pack(Result("old", (), "graded", evidence=SEEN))
    assert KeptItem(0, "new", packed, kept=False).relabelled() is packed
    taken_up = unpack(KeptItem(0, "new", packed, kept=True).relabelled())
    assert (taken_up.path, taken_up.evidence) == ("new", SEEN)


def test_a_result_of_another_origin_is_kept_once_more(store):
    keep(begin(store))
    second = begin(store)
    packed = second.kept("abc")
    moved = Result("b.zip", ("Bea",), "graded")
    second.add(0, moved, pack(moved), input_hash="abc", kept=True, another_origin=True)
    assert packed is not None
    assert unpack(begin(store).kept("abc")).students == ("Bea",)
    assert [run.kept for run in store.runs()] == [1, 0]


def test_of_whom_no_run_shows_anything_nothing_stays(store):
    first, second = begin(store), begin(store)
    keep(first)
    keep(second)
    for number, run in enumerate((first, second)):
        store.connection.execute(
            "INSERT INTO answers (run, number, exercise, subject, answer) "
            "VALUES (?, 0, 'a', ?, '')",
            (run.id, f"student {number}"),
        )
        store.connection.execute(
            "INSERT INTO history (changed, grader, assignment, subject, what) "
            "VALUES (0, 'ann', 'toy', ?, 'marked')",
            (f"student {number}",),
        )
    store.connection.execute(
        "INSERT INTO history (changed, grader, assignment, what) VALUES (0, 'ann', 'toy', 'rubric')"
    )
    store.forget(first.id)
    rows = store.connection.execute("SELECT subject FROM history ORDER BY subject").fetchall()
    assert rows == [("",), ("student 1",)]


# --- what is told where it can't be used ------------------------------------------------------

ADVICE = (
    "move the file away, name another one by $GRADE_RESULTS, or set GRADE_RESULTS=none to keep none"
)


def test_a_folder_in_its_place_is_told(tmp_path):
    with pytest.raises(StoreError) as refused:
        open_store(tmp_path)
    assert str(refused.value) == (
        f"the results in {tmp_path} can't be used (it is a folder): {ADVICE}"
    )


def test_what_the_system_says_is_told_without_its_number(tmp_path):
    (tmp_path / "state").write_text("a file")
    file = tmp_path / "state" / "results.sqlite"
    with pytest.raises(StoreError) as refused:
        open_store(file)
    assert str(refused.value) == f"the results in {file} can't be used (File exists): {ADVICE}"


def test_where_nothing_is_kept_yet_the_file_is_named(file):
    with pytest.raises(StoreError) as refused:
        open_store(file, create=False)
    assert str(refused.value) == f"no results are kept yet: there is no {file}"


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def homeless(*arguments, **options):
        raise RuntimeError("no home")

    monkeypatch.setattr("grader.batch.store.platformdirs.user_state_path", homeless)
    with pytest.raises(StoreError) as refused:
        place({})
    assert str(refused.value) == (
        "there is no place for results (no home): name a file by $GRADE_RESULTS, or set "
        "GRADE_RESULTS=none to keep none"
    )


def test_the_users_own_folder_is_called_grade(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if sys.platform == "linux":
        assert place({}) == tmp_path / "grade" / "results.sqlite"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert place({"GRADE_RESULTS": "~/r.sqlite"}) == tmp_path / "r.sqlite"


def test_what_sqlite_refuses_within_a_block_is_a_store_error_and_nothing_is_written(store):
    with pytest.raises(StoreError, match="no such table: nowhere"), store.writing():
        keep(begin(store))
        store.connection.execute("DELETE FROM nowhere")
    assert store.runs() == []


# --- who has graded with solutions ------------------------------------------------------------


@pytest.mark.parametrize(("settings", "graded"), [({}, True), ({"public": True}, False)])
def test_a_run_with_hidden_checks_is_an_instructors(file, settings, graded):
    environ = {"GRADE_RESULTS": str(file)}
    assert not graded_with_solutions(environ)
    with open_store(file) as store:
        run = store.begin(assignment="toy", title="", submissions=1, settings=settings, key="now")
        keep(run)
    assert graded_with_solutions(environ) is graded


def test_without_a_usable_file_nobody_has_graded(file):
    assert not graded_with_solutions({"GRADE_RESULTS": "none"})
    file.parent.mkdir()
    file.write_bytes(b"no database" * 100)
    assert not graded_with_solutions({"GRADE_RESULTS": str(file)})
