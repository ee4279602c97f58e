"""`grade results --merge`: what people said in a part's own file goes with the part."""

import pytest

from grader.batch.merging import merge
from grader.batch.serialization import pack
from grader.batch.store import open_store
from grader.records import ExerciseScore, Result
from grader.review import marking, overrides, rubric
from grader.review.answers import Answer, answers_of, index_run
from grader.review.history import changes
from grader.review.merged import judged_results


def handed_in(name):
    exercise = ExerciseScore("words", "Words", 0.0, 5.0, "manual")
    return Result(f"in/{name}.zip", (name,), "graded", manual_points=5.0, exercises=(exercise,))


def made(file, *names):
    """A part with these students; returns the open store and whose answers they are."""
    store = open_store(file)
    run = store.begin(assignment="toy", title="Toy", submissions=len(names), settings={}, key="k")
    for number, name in enumerate(names):
        result = handed_in(name)
        run.add(number, result, pack(result), input_hash="", kept=False)
    run.end("")
    index_run(store, run.id, None)
    rows = answers_of(store, run.id)
    return store, [Answer("toy", rows[n, "words"].subject, "words", rows[n, "words"].answer)
                   for n in range(len(names))]  # fmt: skip


@pytest.fixture
def parts(tmp_path):
    """Two parts, each with a rubric of its own: one item is the same, word by word."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for part, (points, names) in enumerate([(1.0, ["Anna", "Ben"]), (3.0, ["Cleo"])]):
        store, answers = made(folder / f"{part}.sqlite", *names)
        with store:
            why = rubric.add_item(store, "toy", "words", "says why", 2.0, grader="ann")
            own = rubric.add_item(store, "toy", "words", f"own {part}", points, grader="ann")
            for answer in answers:
                marking.change(store, answer, grader=f"g{part}", items={why, own}, done=True,
                               comment=f"of {part}")  # fmt: skip
    return folder


def judged(file):
    with open_store(file) as store:
        run = store.runs()[0]
        return {r.students[0]: r.exercises[0] for r in judged_results(store, run)}


def test_marks_comments_and_rubrics_of_the_parts_are_in_the_joined_class(parts, tmp_path):
    file = tmp_path / "joined.sqlite"
    assert merge(parts, file) == (2, 3, 3)
    found = judged(file)
    assert {name: e.points for name, e in found.items()} == {"Anna": 3.0, "Ben": 3.0, "Cleo": 5.0}
    assert found["Cleo"].judgement.comment == "of 1"
    with open_store(file) as store:
        words = [item.words for item in rubric.items_of(store, "toy", "words")]
        assert words == ["says why", "own 0", "own 1"]
        assert len(changes(store, "toy")) == 7
        assert store.connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_joined_again_nothing_is_there_twice(parts, tmp_path):
    file = tmp_path / "joined.sqlite"
    merge(parts, file)
    assert merge(parts, file) == (2, 3, 0)
    assert judged(file)["Anna"].points == 3.0
    with open_store(file) as store:
        assert len(changes(store, "toy")) == 7
        assert len(rubric.items_of(store, "toy", "words")) == 3


def test_the_later_judgement_of_an_answer_stands(parts, tmp_path):
    file = tmp_path / "joined.sqlite"
    merge(parts, file)
    store, (anna,) = made(parts / "1.sqlite", "Anna")
    with open_store(file) as joined:
        marking.change(joined, anna, grader="late", comment="the last word")
    with store:
        store.connection.execute("DELETE FROM runs WHERE id = 1")
    (parts / "0.sqlite").unlink()
    merge(parts, file)
    assert judged(file)["Anna"].judgement.comment == "the last word"


def test_a_verdict_that_a_person_changed_goes_with_it(parts, tmp_path):
    with open_store(parts / "0.sqlite") as store:
        overrides.overrule(store, "toy", "words", "c", grader="ann", credit=0.5, reason="x",
                           subject="s", answer="a", floor=True)  # fmt: skip
    file = tmp_path / "joined.sqlite"
    merge(parts, file)
    with open_store(file) as store:
        ((found,),) = overrides.overrides_of(store, "toy").values()
    assert (found.credit, found.subject, found.answer, found.floor) == (0.5, "s", "a", True)
