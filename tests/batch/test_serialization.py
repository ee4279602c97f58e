"""A result that was packed is the result that it was."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from grader.batch.serialization import Packed, pack, unpack
from grader.records import (
    Cell,
    CellRun,
    Definition,
    Evidence,
    ExerciseScore,
    Note,
    Notebook,
    Outcome,
    Region,
    Result,
    Run,
)

texts = st.text(max_size=20)
numbers = st.floats(allow_nan=False)
OUTPUT = {"output_type": "display_data", "data": {"image/png": "iVBO", "text/plain": ["a", None]}}
RESULT = Result(
    "a/Zoé\udcff.zip",
    ("Zoé",),
    "graded",
    score=1 / 3,
    max_score=4.0,
    exercises=(
        ExerciseScore(
            "1", "One", 1 / 3, 4.0, "partial", (Outcome("1", "values", "failed", 1 / 12, 4.0),)
        ),
    ),
    notes=(Note("cell_error", "cell 2 stopped", 2, "a.ipynb"), Note("x", "y")),
    evidence=Evidence(
        notebooks={
            "a.ipynb": Notebook(
                "b.ipynb",
                (Cell(0, "code", "x = 1"),),
                {"f": Definition("f", 0, 1, "def f(): pass")},
                {"f": Region("f", 0, "pass", "filled")},
            )
        },
        runs={"b.ipynb": Run((CellRun(0, "ok", 0.1, "", (OUTPUT,)),), (), 0.2)},
        regions={"1": (Region("f", 0, "pass", "filled"),)},
        answers={"2": (Cell(1, "markdown", "# Answer"),)},
    ),
)


def test_a_result_comes_back_whole():
    assert unpack(pack(RESULT)) == RESULT


def test_the_evidence_stays_behind_where_nobody_wants_it():
    packed = pack(RESULT, evidence=False)
    assert packed.evidence == b""
    assert unpack(packed).evidence == Evidence()
    assert unpack(Packed(pack(RESULT).verdict)) == unpack(packed)


def test_what_numpy_computed_is_packed_as_a_number():
    outcome = Outcome("1", "values", "passed", np.float32(0.5), np.int64(4), hidden=np.bool_(True))
    exercise = ExerciseScore("1", "One", np.float64(2.0), 4.0, "partial", (outcome,))
    (back,) = unpack(pack(Result("a", (), "graded", exercises=(exercise,)))).exercises
    assert (back.points, back.checks[0].credit, back.checks[0].max_points) == (2.0, 0.5, 4)
    assert back.checks[0].hidden is True


def test_an_output_nested_without_end_costs_its_page_the_outputs_alone():
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    run = Run((CellRun(0, "ok", outputs=({"data": deep},)),))
    back = unpack(pack(Result("a", (), "graded", evidence=Evidence(runs={"a.ipynb": run}))))
    assert back.evidence.runs == {"a.ipynb": Run((CellRun(0, "ok"),))}
    while isinstance(deep, list):  # taken apart here: freeing it at once is as deep
        deep = deep[0]


@given(texts, st.lists(texts), numbers, st.one_of(st.none(), st.integers()), st.booleans())
def test_any_text_and_number_comes_back(text, names, number, cell, flag):
    outcome = Outcome(text, text, "failed", number, number, flag, text, number, flag)
    exercise = ExerciseScore(text, text, number, number, "failed", (outcome,), flag)
    notes = (Note(text, text, cell, text),)
    result = Result(text, tuple(names), "graded", text, number, number, 0.0, (exercise,), notes)
    assert unpack(pack(result)) == result
