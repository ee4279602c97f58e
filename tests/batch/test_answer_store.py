"""Students' answers in the file of results: they go with a result, and have a limit together."""

import sqlite3

import pytest

from grader.batch import answer_store
from grader.batch.serialization import Packed, pack
from grader.batch.store import open_store
from grader.batch.tables import STEPS
from grader.errors import StoreError
from grader.records import Evidence, Notebook, Result

SECRET = b"what-a-student-has-answered"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "results.sqlite"


@pytest.fixture
def store(file):
    with open_store(file) as opened:
        yield opened


def begun(store, session_key="here", mib=1):
    run = store.begin(assignment="toy", title="Toy", submissions=9, settings={}, key="now")
    run.session_key, run.answers_mib = session_key, mib
    return run


def keep(run, input_hash, answers, number=0):
    evidence = Evidence(notebooks={"toy.ipynb": Notebook("toy.ipynb", ())})
    result = Result(f"{input_hash}.zip", ("Ann",), "graded", score=1.0, max_score=4.0)
    packed = Packed(
        pack(result).verdict, pack(Result("", (), "graded", evidence=evidence)).evidence
    )
    run.add(number, result, packed, input_hash=input_hash, kept=False)
    answer_store.keep(run, number, answers)


def answers(run, input_hash):
    found = answer_store.kept(run, input_hash)
    return None if found is None else found.answers


def test_answers_are_found_by_the_submission_and_what_its_state_depends_on(store):
    keep(begun(store), "abc", b"one")
    assert answers(begun(store), "abc") == b"one"
    assert answers(begun(store), "abd") is None
    assert answers(begun(store, session_key="elsewhere"), "abc") is None
    assert answers(begun(store), "") is None
    assert answer_store.kept(begun(store), "abc").evidence


def test_the_parts_of_several_runs_come_together(store):
    keep(begun(store), "abc", b"one")
    keep(begun(store), "abc", b"two")
    keep(begun(store), "abc", b"")
    assert answers(begun(store), "abc") == b"twoone"


def test_where_they_take_too_much_the_oldest_go_and_the_results_stay(store):
    run = begun(store)
    for number in range(4):
        keep(run, f"student {number}", bytes(400 << 10), number)
    assert [answers(run, f"student {n}") is not None for n in range(4)] == [
        False,
        False,
        True,
        True,
    ]
    assert len(store.results(run.id)) == 4


def test_where_none_are_wanted_none_are_kept_or_used(store):
    keep(begun(store, mib=0), "abc", b"one")
    assert answers(begun(store), "abc") is None
    keep(begun(store), "abc", b"one")
    assert answers(begun(store, mib=0), "abc") is None


@pytest.mark.parametrize(
    ("said", "mib"), [({}, 256), ({"GRADE_ANSWERS": "none"}, 0), ({"GRADE_ANSWERS": " 12 "}, 12)]
)
def test_the_limit_is_said_in_the_environment(said, mib):
    assert answer_store.room_mib(said) == mib


@pytest.mark.parametrize("said", ["much", "-1", "1.5"])
def test_a_limit_that_is_no_number_is_refused_with_what_to_say(said):
    with pytest.raises(StoreError, match="say how many MiB, or none"):
        answer_store.room_mib({"GRADE_ANSWERS": said})


def test_answers_are_forgotten_with_their_run_from_the_files_free_pages_too(store, file):
    run = begun(store)
    keep(run, "abc", SECRET)
    assert SECRET in file.read_bytes()
    store.forget(run.id)
    assert answers(begun(store), "abc") is None
    assert SECRET not in file.read_bytes()


def test_what_is_dropped_is_overwritten(store, file):
    run = begun(store)
    keep(run, "abc", SECRET)
    keep(run, "more", bytes((1 << 20) - 5), 1)
    assert answers(run, "abc") is None
    assert SECRET not in file.read_bytes()


def test_a_file_of_an_earlier_version_is_read_and_keeps_answers_from_then_on(file):
    connection = sqlite3.connect(file)
    for version in range(1, 6):
        for statement in STEPS[version]:
            connection.execute(statement)
    connection.execute("PRAGMA user_version = 5")
    connection.commit()
    connection.close()
    with open_store(file) as store:
        assert answers(begun(store), "abc") is None
        keep(begun(store), "abc", b"one")
        assert answers(begun(store), "abc") == b"one"


@pytest.fixture
def joined(tmp_path):
    """The run into which parts are joined, in a file of its own."""
    with open_store(tmp_path / "joined.sqlite") as opened:
        run = opened.begin(assignment="toy", title="Toy", submissions=9, settings={}, key="")
        run.answers_mib = 1
        yield run


def carried(part, run, joined):
    """What `grade regrade` finds of a part's first submission in the joined class."""
    found = answer_store.of_part(part, run.id, 0)
    result = Result("abc.zip", ("Ann",), "graded", score=1.0, max_score=4.0)
    (item,) = part.items(run.id, evidence=True)
    joined.add(0, result, item.packed, input_hash=found.input_hash, kept=False)
    answer_store.carry(joined, 0, found)
    return answers(begun(joined.store), "abc")


def test_answers_go_with_their_part_of_a_class(store, joined):
    run = begun(store)
    keep(run, "abc", b"one")
    assert carried(store, run, joined) == b"one"
    assert begun(joined.store).kept("abc") is None  # no other run takes its verdict


def test_what_a_later_grading_of_the_same_work_added_goes_along(store, joined):
    run = begun(store)
    keep(run, "abc", b"one")
    keep(begun(store), "abc", b"two")
    keep(begun(store, session_key="elsewhere"), "abc", b"three")
    assert carried(store, run, joined) == b"onetwo"


def test_a_part_without_answers_is_joined_without_them(store, joined):
    run = begun(store)
    keep(run, "abc", b"")
    assert carried(store, run, joined) is None


def test_more_than_a_submission_s_share_is_left_behind(store, joined, monkeypatch):
    monkeypatch.setattr(answer_store, "MAX_ANSWER_BYTES", 4)
    run = begun(store)
    keep(run, "abc", b"one")
    keep(begun(store), "abc", b"two")
    assert carried(store, run, joined) == b"one"


def test_what_is_no_text_of_bytes_in_a_part_is_left_behind(store, joined):
    run = begun(store)
    keep(run, "abc", b"one")
    with store.writing():
        store.connection.execute("UPDATE kept_answers SET answers = 'one'")
    assert carried(store, run, joined) is None
