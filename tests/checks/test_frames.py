"""Frames compared with the expected ones: each difference has a message."""

from dataclasses import dataclass, field

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
        (lambda f: f[["n", "name", "mean"]], "the wrong order"),
        (lambda f: f.iloc[:2], "it has 2 rows, expected 3"),
        (lambda f: f.iloc[::-1], "rows are in the wrong order"),
        (lambda f: f.reset_index(drop=True), "rows have the wrong labels"),
        (lambda f: f.assign(n=f["n"].astype(str)), "column 'n' holds .*, expected integers"),
        (lambda f: f.assign(n=f["n"].astype(float)), "holds floats, expected integers"),
        (lambda f: f.assign(mean=f["mean"].fillna(0)), "has 0 missing values, expected 1"),
        (lambda f: f.assign(n=[1, 2, 4]), "column 'n'"),
        (lambda f: f.assign(name=["a", "x", None]), "1 of 2 values of column 'name'"),
        (lambda f: f["n"], "returned an object of type Series, expected a DataFrame"),
        (lambda f: None, "returned None, expected a DataFrame"),
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


# --- where pandas is missing on this side ---------------------------------------------------------


@dataclass
class Series:
    """What comes where pandas can't be imported: values, the name of their dtype, labels."""

    name: str
    values: object
    dtype: str
    index: list = field(default_factory=list)


@dataclass
class Frame:
    columns: list
    data: list
    index: list


def frame(**columns):
    data = [Series(name, *pair) for name, pair in columns.items()]
    return Frame(list(columns), data, list(range(len(data[0].values))))


DUE = {"name": ["a", "b", None], "mean": [1.0, None, 3.0], "n": [1, 2, 3]}


def good(**changed):
    columns = {
        "name": (["a", "b", None], "object"),
        "mean": (np.array([1.0, np.nan, 3.0]), "float64"),
        "n": (np.array([1, 2, 3]), "int64"),
    }
    return frame(**columns | changed)


def test_a_dict_of_columns_says_what_is_due_with_pandas_and_without():
    assert_frame(pd.DataFrame(DUE), DUE)
    assert_frame(good(), DUE)
    assert_frame(good(n=([1, 2, 3], "Int64")), DUE)
    assert_frame(good(), pd.DataFrame(DUE))
    assert_frame(Series("n", np.array([1, 2]), "int64", [0, 1]), pd.Series([1, 2]))


@pytest.mark.parametrize(
    ("got", "problem"),
    [
        (good(name=(["a", "x", None], "object")), "1 of 2 values of column 'name' is wrong"),
        (good(mean=(np.array([1.0, 2.0, 3.0]), "float64")), "has 0 missing values, expected 1"),
        (good(n=(["1", "2", "3"], "object")), "holds object, expected integers"),
        (good(n=(np.array([1, 2, 4]), "int64")), "column 'n'"),
        (frame(name=(["a", "b", None], "str")), "has no column 'mean', 'n'"),
        (Frame(["n"], [], []), "has no column"),
        (np.ones(3), "returned an array of shape .*, expected a DataFrame"),
    ],
)
def test_what_differs_from_a_dict_of_columns_has_a_name(got, problem):
    with pytest.raises(CheckFailed, match=problem):
        assert_frame(got, DUE)


def test_columns_of_unequal_length_are_the_checks_own_mistake():
    with pytest.raises(ValueError, match=r"the expected columns have \[1, 2\] values"):
        assert_frame(good(), {"a": [1], "b": [1, 2]})
