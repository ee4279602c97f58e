"""Values that are more than JSON and arrays arrive as they were; what is none is refused."""

import collections
import datetime as dt
import json
import struct
import types
from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.in_kernel import codec
from grader.in_kernel.codec import array_forms, forms, frame_forms
from grader.in_kernel.codec.plain_forms import Named

Root = collections.namedtuple("Root", "root steps")


def travel(value):
    return codec.decode_bytes(b"".join(codec.encode(value)))


PLAIN = [
    {1, 2.5, "a", (1, 2)},
    frozenset(["x"]),
    set(),
    range(1, 9, 2),
    slice(1, None, -3),
    ...,
    collections.deque([1, 2], 3),
    bytearray(b"\0x"),
    dt.date(2020, 2, 29),
    dt.datetime(2020, 1, 2, 3, 4, 5, 6, fold=1),
    dt.datetime(2020, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=-3))),
    dt.time(23, 59, 1, 2),
    dt.timedelta(-3, 4, 5),
    dt.UTC,
    Decimal("1.50"),
    Decimal("-Infinity"),
    Fraction(-3, 7),
    types.SimpleNamespace(a=1, b=[2]),
    np.dtype("<f4"),
    float,
    np.float32,
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_pythons_own_values_arrive_equal_and_of_the_same_type(value):
    arrived = travel({"k": [value]})["k"][0]
    assert type(arrived) is type(value)
    assert repr(arrived) == repr(value) or arrived == value


def test_a_named_tuple_arrives_with_its_names():
    arrived = travel(Root(1.5, 3))
    assert (arrived.root, arrived.steps) == arrived == (1.5, 3)
    assert repr(arrived) == "(root=1.5, steps=3)"
    assert arrived._asdict() == {"root": 1.5, "steps": 3}
    with pytest.raises(AttributeError, match="no field `x`; there are root, steps"):
        arrived.x  # noqa: B018
    assert travel(arrived).steps == 3


ARRAYS = [
    np.array(["2020", "NaT"], "M8[Y]"),
    np.array([1, 2], "m8[us]").reshape(2, 1),
    np.array(["2020-01-01"], ">M8[D]"),
    np.array([(1, 2.5, "a")], [("x", "i4"), ("y", "f8"), ("z", "U3")]),
    np.zeros((2, 3), [("p", "f8", (2,)), ("q", "M8[D]"), ("r", [("s", "i1")])]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: str(array.dtype))
def test_arrays_of_dates_and_records_arrive_with_dtype_shape_and_values(array):
    arrived = travel(array)
    assert arrived.dtype == array.dtype
    assert arrived.shape == array.shape
    assert arrived.tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "scalar", [np.datetime64("2020-01-02"), np.timedelta64(3, "h"), ARRAYS[3][0]], ids=repr
)
def test_dates_and_records_of_numpy_arrive_as_scalars(scalar):
    arrived = travel([scalar])[0]
    assert (type(arrived), arrived.dtype) == (type(scalar), scalar.dtype)
    assert arrived == scalar


def test_a_masked_array_keeps_its_mask_and_what_fills_it():
    arrived = travel(np.ma.array([1.0, 2.0], mask=[0, 1], fill_value=-1))
    assert type(arrived) is np.ma.MaskedArray
    assert arrived.mask.tolist() == [False, True]
    assert arrived.filled().tolist() == [1, -1]
    assert travel(np.ma.masked).mask.item() is True
    assert travel(np.ma.array([1, 2])).tolist() == [1, 2]


def test_polynomials_arrive_as_polynomials():
    assert travel(np.poly1d([1, 2], variable="z"))(3) == 5
    series = np.polynomial.Chebyshev([1, 2, 3], domain=[0, 4])
    arrived = travel(series)
    assert type(arrived) is np.polynomial.Chebyshev
    assert arrived == series


@pytest.mark.parametrize("layout", ["csr", "csc", "coo", "bsr", "dia", "lil", "dok"])
@pytest.mark.parametrize("flavour", ["array", "matrix"])
def test_sparse_matrices_arrive_in_their_format(layout, flavour):
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.diag([1.0, 2.0, 0.0])
    value = getattr(sparse, f"coo_{flavour}")(dense).asformat(layout)
    arrived = travel(value)
    assert type(arrived) is type(value)
    assert np.array_equal(arrived.toarray(), dense)


def test_without_scipy_a_sparse_matrix_is_described(monkeypatch):
    sparse = pytest.importorskip("scipy.sparse")
    data = b"".join(codec.encode(sparse.csr_matrix(np.eye(2))))
    monkeypatch.setattr(array_forms.importlib, "import_module", _no_module)
    arrived = codec.decode_bytes(data)
    assert (type(arrived), arrived.format) == (array_forms.Sparse, "csr")
    assert np.array_equal(arrived.toarray(), np.eye(2))


def _no_module(name):
    raise ImportError(name)


# --- pandas -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pd():
    return pytest.importorskip("pandas")


def frame_of(pd):
    days = pd.to_datetime(["2020-01-01", "2021-01-01"])
    return pd.DataFrame(
        {
            "int": [1, 2],
            "text": ["x", None],
            "nan": [1.5, np.nan],
            "when": days,
            "zone": days.tz_localize("Europe/Berlin"),
            "span": pd.to_timedelta([1, 2], "D"),
            "kind": pd.Categorical(["u", "v"], ["v", "u"], ordered=True),
            "some": pd.array([1, None], dtype="Int64"),
            "flag": [True, False],
            3: [[1], {"k": 2}],
        },
        index=pd.Index(["r", "s"], name="row"),
    )


def test_a_frame_arrives_with_columns_dtypes_and_index(pd):
    frame = frame_of(pd)
    pd.testing.assert_frame_equal(travel(frame), frame)


def test_frames_of_other_shapes_arrive_too(pd):
    twice = pd.DataFrame([[1, 2.5]], columns=["a", "a"])
    levels = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["u", None])
    for frame in (
        twice,
        pd.DataFrame(),
        pd.DataFrame(np.eye(2), columns=levels, index=levels),
        pd.DataFrame({"a": []}),
    ):
        pd.testing.assert_frame_equal(travel(frame), frame)


def test_series_and_indexes_arrive(pd):
    for series in (
        pd.Series([1, 2], name="s", dtype="int8"),
        pd.Series(["a", "b"], index=[5, 6]),
        pd.Series(["a", None], dtype="string"),
        pd.Series([0.5, 0.5], dtype="category"),
    ):
        assert travel(series).equals(series)
        assert travel(series).dtype == series.dtype
    for index in (pd.RangeIndex(2, 9, 3, name="i"), pd.Index([3, 4]), pd.Index(["a"], name="n")):
        assert travel(index).equals(index)
        assert travel(index).name == index.name
    assert travel(pd.Timestamp("2020-01-01 12:00")) == pd.Timestamp("2020-01-01 12:00")


def test_what_pandas_has_beyond_these_stays_where_it_is(pd):
    interval = pd.Series(pd.interval_range(0, 2))
    data = codec.encode(interval, keep=lambda value: codec.Handle(0, "Series"))
    assert isinstance(codec.decode_bytes(b"".join(data), handle=lambda h: h), codec.Handle)


def test_without_pandas_a_frame_is_described(pd, monkeypatch):
    data = b"".join(codec.encode(frame_of(pd)))
    monkeypatch.setattr(frame_forms.importlib, "import_module", _no_module)
    frame = codec.decode_bytes(data)
    assert type(frame) is frame_forms.Frame
    assert frame.columns[:3] == ["int", "text", "nan"]
    assert frame.index == ["r", "s"]
    assert frame["int"].values.tolist() == [1, 2]
    assert (frame["text"].values, frame["kind"].values) == (["x", None], ["u", "v"])
    assert (frame["some"].dtype, frame["some"].values) == ("Int64", [1, None])


def test_a_frame_that_came_where_pandas_is_missing_goes_back_as_it_was(pd, monkeypatch):
    frame = frame_of(pd).drop(columns=["zone", "kind", 3]).reset_index(drop=True)
    series = pd.Series([0.5, 1.5], index=pd.Index([5, 9]), name="s")
    # Labels of columns are text; whether pandas keeps them as "str" or "object" is its version's.
    for sent, equal in (
        (frame, partial(pd.testing.assert_frame_equal, check_column_type=False)),
        (series, pd.testing.assert_series_equal),
    ):
        with monkeypatch.context() as without:
            without.setattr(frame_forms.importlib, "import_module", _no_module)
            here = codec.decode_bytes(b"".join(codec.encode(sent)))
            back = b"".join(codec.encode(here))
        assert type(here) in (frame_forms.Frame, frame_forms.Series)
        equal(codec.decode_bytes(back), sent)


# --- what is none -------------------------------------------------------------------------------

_DATES = np.array([1], np.int64)
LIES = {
    "a range of no step": ("range", [0, 3, 0]),
    "a range of a billion": ("range", [0, 10**9, 1]),
    "a date that is none": ("date", [2020, 2, 30]),
    "a time with a zone beyond a day": ("time", [1, 2, 3, 4, 0, 90_000]),
    "a decimal with a vast exponent": ("Decimal", "1e99999999"),
    "a fraction over 0": ("Fraction", [1, 0]),
    "a vast fraction": ("Fraction", [1 << 20_000, 3]),
    "a set of lists": ("set", [[1]]),
    "a set of a text": ("set", "abc"),
    "a type that is none": ("type", "os.system"),
    "a dtype of objects": ("dtype", "O"),
    "a dtype of fields": ("dtype", "i4,i4"),
    "fields that are none": ("named", [["a-b"], [1]]),
    "fields of dunder names": ("named", [["__class__"], [1]]),
    "a field twice": ("named", [["a", "a"], [1, 2]]),
    "fields without values": ("named", [["a"], []]),
    "a namespace of dunder names": ("namespace", {"__class__": 1}),
    "dates of another unit": ("dates", [_DATES, "<M8[x]"]),
    "dates of floats": ("dates", [np.zeros(1), "<M8[D]"]),
    "dates that are objects": ("dates", [_DATES, "O"]),
    "records of several lengths": (
        "structured",
        [[["a", np.zeros(2)], ["b", np.zeros(3)]], [2]],
    ),
    "a record without fields": ("structured", [[], [2]]),
    "a mask of another shape": ("masked", [np.zeros(2), np.zeros(3, bool), 0.0]),
    "a mask of numbers": ("masked", [np.zeros(2), np.zeros(2), 0.0]),
    "a polynomial of text": ("poly1d", [np.array(["a"]), "x"]),
    "a polynomial of another class": ("polynomial", ["os", *[np.ones(2)] * 3, "x"]),
    "sparse entries beyond the shape": (
        "sparse",
        ["csr", "array", [2, 2], np.array([2]), np.array([0]), np.ones(1)],
    ),
    "sparse entries before the shape": (
        "sparse",
        ["csr", "array", [2, 2], np.array([-1]), np.array([0]), np.ones(1)],
    ),
    "a vast sparse shape": (
        "sparse",
        ["csr", "array", [1 << 40, 2], np.array([0]), np.array([0]), np.ones(1)],
    ),
    "sparse entries of several lengths": (
        "sparse",
        ["csr", "array", [2, 2], np.array([0, 1]), np.array([0]), np.ones(1)],
    ),
    "a frame with a column too few": (
        "frame",
        [[None, ["range", 0, 2, 1]], [["plain", np.ones(1), "f8"]], [None, ["range", 0, 1, 1]]],
    ),
    "a frame of several lengths": (
        "frame",
        [[None, ["range", 0, 1, 1]], [["plain", np.ones(3), "f8"]], [None, ["range", 0, 1, 1]]],
    ),
    "a zone that is a path": (
        "series",
        [None, ["zoned", np.array(["2020"], "M8[ns]"), "ns", "../../etc/passwd"],
         [None, ["range", 0, 1, 1]]],
    ),
    "a zone that is a file for dateutil": (
        "series",
        [None, ["zoned", np.array(["2020"], "M8[ns]"), "ns", "dateutil//etc/passwd"],
         [None, ["range", 0, 1, 1]]],
    ),
    "codes beyond the categories": (
        "series",
        [None, ["category", np.array([4]), ["plain", ["a"], "object"], False],
         [None, ["range", 0, 1, 1]]],
    ),
    "a name that can't be one": (
        "series", [[1], ["plain", np.ones(1), "float64"], [None, ["range", 0, 1, 1]]],
    ),
    "an endless range as index": (
        "series", [None, ["plain", np.ones(1), "float64"], [None, ["range", 0, 1 << 40, 1]]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_form_that_holds_something_else_is_malformed(lie):
    with pytest.raises(codec.MalformedFrame):
        forms.built(*lie)


def test_many_elements_that_are_made_to_collide_are_refused():
    elements = [k * (2**61 - 1) for k in range(20_000)]
    text = json.dumps({"v": ["set", elements]}).encode()
    data = struct.pack("<4sHHII", b"GRDF", 1, 0, 0, len(text)) + text
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(data)
    kept = b"".join(codec.encode(set(elements), keep=lambda value: codec.Handle(0, "set")))
    assert isinstance(codec.decode_bytes(kept, handle=lambda handle: handle), codec.Handle)


_CONTENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 1 << 70)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["range", "plain", "category", "nullable", "zoned", "<M8[s]", "csr", "array"])
    | st.sampled_from([np.zeros(2), np.array([1, 0]), np.array([True]), np.array(["a"])]),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=12,
)


@given(st.sampled_from(sorted(forms._BUILT)), _CONTENTS)
def test_contents_of_any_kind_raise_nothing_but_malformed_frame(name, contents):
    try:
        forms.built(name, contents)
    except codec.MalformedFrame:
        return


def test_a_subclass_that_lies_does_not_become_what_it_says():
    class Liar(tuple):
        _fields = ("a",)

        def __iter__(self):
            raise RuntimeError

        def __getitem__(self, key):
            return 42

    arrived = travel(Liar((1,)))
    assert type(arrived) is Named and arrived == (1,)

    class NoFields(tuple):
        _fields = ("a", "b")

    assert type(travel(NoFields((1,)))) is tuple
