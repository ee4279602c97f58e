"""Runs of the file of results: under which key an input was graded, and runs taken off the list."""

import pytest

from grader.batch.serialization import pack, unpack
from grader.batch.store import graded_with_solutions, open_store
from grader.records import Result


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "results.sqlite") as opened:
        yield opened


def begun(store, key="now", **told):
    return store.begin(
        assignment="toy", title="Toy", submissions=2, settings={}, key=key, **told
    )  # fmt: skip


def keep(run, input_hash, status="graded", number=0):
    result = Result("a.zip", ("Ann",), status, score=1.0, max_score=4.0)
    run.add(number, result, pack(result), input_hash=input_hash, kept=False)


def test_of_several_keys_the_one_of_the_last_grading_is_told(store):
    for key in ("first", "second", "third"):
        keep(begun(store, key), "abc")
    assert store.graded_under("abc", ["second", "first"]) == "second"
    assert store.graded_under("abc", ["first"]) == "first"


def test_under_no_key_or_for_no_input_nothing_was_graded(store):
    keep(begun(store, "first"), "abc")
    keep(begun(store, "refusing"), "abc", status="refused")
    assert store.graded_under("abc", []) == ""
    assert store.graded_under("abc", ["other", "refusing"]) == ""
    assert store.graded_under("abd", ["first"]) == ""


def test_a_result_of_one_run_alone_has_no_key(store):
    keep(begun(store, "first"), "")
    assert store.graded_under("", ["first"]) == ""
    assert [*store.connection.execute("SELECT cache_key FROM results")] == [("",)]


def test_a_run_that_is_taken_off_the_list_leaves_its_results_to_the_next(store):
    first, second = begun(store), begun(store)
    keep(first, "abc")
    keep(second, "other")
    store.drop(first.id)
    assert [run.id for run in store.runs()] == [second.id]
    assert unpack(begun(store).kept("abc")).score == 1.0


def test_a_part_of_a_regrade_that_was_stopped_is_no_run_and_goes_with_its_run(store):
    whole = begun(store)
    keep(whole, "abc")
    part = begun(store, about={"part_of": whole.id})
    keep(part, "abd")
    assert [run.id for run in store.runs()] == [whole.id]
    assert [run.id for run in store.runs(part.id)] == [part.id]
    store.forget(whole.id)
    assert store.runs(part.id) == []
    assert begun(store).kept("abd") is None


@pytest.mark.parametrize("about", [{"regraded": 3}, None])
def test_what_a_run_is_about_stands_with_it(store, about):
    run = begun(store, about=about)
    keep(run, "abc")
    assert store.runs(run.id)[0].about == (about or {})


def test_the_folders_of_the_file_are_made_whatever_is_missing(tmp_path):
    file = tmp_path / "deep" / "deeper" / "results.sqlite"
    with open_store(file):
        assert file.is_file()
    with open_store(file):  # and are there the next time
        pass


def test_asking_whether_an_instructor_graded_makes_no_file(tmp_path, monkeypatch):
    file = tmp_path / "results.sqlite"
    asked = []

    def opened(path, **options):
        asked.append(options)
        return open_store(path, **options)

    with open_store(file) as store:
        keep(begun(store), "abc")
    monkeypatch.setattr("grader.batch.store.open_store", opened)
    assert graded_with_solutions({"GRADE_RESULTS": str(file)})
    assert asked == [{"create": False}]
    assert not graded_with_solutions({"GRADE_RESULTS": str(tmp_path / "none.sqlite")})
    assert not (tmp_path / "none.sqlite").exists()


def packed(store, run):
    return [item.packed for item in store.items(run.id, evidence=True)]


def test_other_words_are_put_into_one_result_of_one_run_and_its_evidence_stays(store):
    first, second = begun(store), begun(store, "other")
    for run in (first, second):
        keep(run, "abc", number=0)
        keep(run, "def", number=1)
    result = Result("a.zip", ("Ann",), "graded", score=1.0, max_score=4.0, message="a lost sign")
    evidence = {run.id: [one.evidence for one in packed(store, run)] for run in (first, second)}
    assert all(evidence[first.id])
    told = first.explain(1, pack(result, evidence=False))
    assert (told.verdict, told.evidence) == (pack(result).verdict, evidence[first.id][1])
    for run, said in ((first, ["", "a lost sign"]), (second, ["", ""])):
        assert [unpack(one).message for one in packed(store, run)] == said
        assert [one.evidence for one in packed(store, run)] == evidence[run.id]
