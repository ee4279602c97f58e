"""Frames that came back, held against what is due: what differs has a name."""

import numpy as np
import pytest

from grader.checks import assert_frame
from grader.errors import CheckFailed

pd = pytest.importorskip("pandas")


def due():
    return pd.DataFrame(
        {"name": ["a", "b", None], "mean": [1.0, np.nan, 3.0], "n": [1, 2, 3]},
        index=pd.Index([5, 6, 7], name="id"),
    )


def test_an_equal_frame_passes_and_so_does_an_equal_series():
    assert_frame(due(), due())
    assert_frame(due()["n"], due()["n"])
    assert_frame(due().assign(n=due()["n"].astype("int32")), due())
    assert_frame(due()[["n", "name", "mean"]], due(), order=False)
    assert_frame(due().reset_index(drop=True), due(), index=False)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda f: f.drop(columns="n"), "has no column 'n'"),
        (lambda f: f.assign(odd=1), "has a column 'odd' too many"),
        (lambda f: f[["n", "name", "mean"]], "another order"),
        (lambda f: f.iloc[:2], "it has 2 rows where 3 are due"),
        (lambda f: f.iloc[::-1], "rows stand in another order"),
        (lambda f: f.reset_index(drop=True), "rows have other labels"),
        (lambda f: f.assign(n=f["n"].astype(str)), "column 'n' holds .* where integers are due"),
        (lambda f: f.assign(n=f["n"].astype(float)), "holds floats where integers are due"),
        (lambda f: f.assign(mean=f["mean"].fillna(0)), "misses 0 values where 1 are missing"),
        (lambda f: f.assign(n=[1, 2, 4]), "column 'n'"),
        (lambda f: f.assign(name=["a", "x", None]), "1 of 2 values of column 'name'"),
        (lambda f: f["n"], "returned an object of type Series where a DataFrame is due"),
        (lambda f: None, "returned None where a DataFrame is due"),
    ],
)
def test_what_differs_has_a_name(change, problem):
    with pytest.raises(CheckFailed, match=problem):
        assert_frame(change(due()), due())


def test_labels_that_are_there_twice_are_compared_by_place():
    twice = pd.DataFrame([[1.0, 2.0]], columns=["a", "a"])
    assert_frame(twice.copy(), twice)
    with pytest.raises(CheckFailed, match="column 'a'"):
        assert_frame(pd.DataFrame([[1.0, 3.0]], columns=["a", "a"]), twice)
