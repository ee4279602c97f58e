"""Frames: what travels arrives as it was, and nothing malformed gets further."""

import builtins
import contextlib
import io
import json
import struct
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from grader.in_kernel import codec


def travel(value):
    return codec.decode_bytes(b"".join(codec.encode(value)))


def frame(tree, *buffers, text=None):
    """A frame by hand: the JSON of `tree`, and raw buffers."""
    text = json.dumps(tree).encode() if text is None else text
    head = struct.pack("<4sHHII", b"GRDF", 1, 0, len(buffers), len(text))
    lengths = struct.pack(f"<{len(buffers)}Q", *map(len, buffers))
    return head + lengths + text + b"".join(buffers)


def npy(header, data=b""):
    """A .npy file with a header of our own making."""
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def saved(array):
    """numpy's own .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def shown(value):
    """Return a test's id. pytest finds no test by an id with open brackets or with escapes."""
    return ascii(value).translate({ord("["): "<", ord("]"): ">", ord("\\"): "/"})


# --- round trips ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -(1 << 63),
        1 << 64,
        -(3**1000),
        1.5,
        float("inf"),
        5e-324,
        1 - 2j,
        "",
        "é \ud800 \0",
        b"",
        b"\x00\xff",
        [],
        [1, [2.0, ["x"]]],
        (),
        (1, (2,), [3]),
        {},
        {"a": 1, 2: (3, 4), (5, "six"): None, b"7": {}},
        [0.1] * 100,
        [True, False] * 50,
        list(range(100)),
        [1 << 70] * 100,
        ["text"] * 100,
        [(1, 2.5, "x")] * 100,
        [((1, 2), [3])] * 100,
        [()] * 100,
        [(1,), (1, 2)] * 50,
    ],
    ids=lambda value: shown(value)[:20],
)
def test_plain_values_arrive_equal_and_of_the_same_type(value):
    arrived = travel(value)
    assert arrived == value
    assert repr(arrived) == repr(value)


def test_nan_and_negative_zero_arrive_as_they_are():
    nan, zero, several = travel([float("nan"), -0.0, [-0.0, float("nan")] * 20])
    assert np.isnan(nan)
    assert np.signbit(zero)
    assert np.signbit(several[0]) and np.isnan(several[1])


@pytest.mark.parametrize(
    "scalar",
    [
        np.float16(0.1),
        np.float64(-0.0),
        np.longdouble(1) / 3,
        np.complex64(1 - 1j),
        np.int8(-3),
        np.uint64(2**64 - 1),
        np.bool_(True),
        np.str_("ä"),
        np.bytes_(b"b"),
    ],
    ids=lambda scalar: type(scalar).__name__,
)
def test_numpy_scalars_arrive_as_numpy_scalars(scalar):
    arrived = travel(scalar)
    assert type(arrived) is type(scalar)
    # A long double has ten bytes, and then some that mean nothing.
    assert arrived.tobytes()[:10] == scalar.tobytes()[:10]


def test_a_long_list_of_numpy_scalars_arrives_as_numpy_scalars():
    arrived = travel([np.float32(0.1)] * 50)
    assert type(arrived) is list
    assert {type(one) for one in arrived} == {np.float32}


def test_a_long_list_of_pairs_of_arrays_arrives_as_pairs():
    pairs = [(np.full(2, i), np.full((1, 3), -i)) for i in range(50)]
    arrived = travel(pairs)
    assert repr(arrived) == repr(pairs)


def test_a_long_list_of_arrays_of_one_shape_arrives_as_separate_arrays():
    arrived = travel([np.array([1, 2], np.int16)] * 50)
    arrived[0][0] = 9
    assert arrived[1].tolist() == [1, 2]
    assert arrived[0].dtype == np.int16


@pytest.mark.parametrize(
    "array",
    [
        np.array(5.0),
        np.zeros((0, 3)),
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(20)[::-3],
        np.broadcast_to(np.float32(2), (3, 4)),
        np.arange(3, dtype=">f8"),
        np.array(["ab", "c"]),
        np.array([""]),
        np.array([b"ab", b"c"]),
        np.asfortranarray([["ab", "cd", "ef"], ["gh", "ij", "k"]]),
        np.array([True, False]),
        np.arange(30_000.0).reshape(3, 100, 100),
        np.arange(30_000.0).reshape(3, 100, 100).transpose(2, 1, 0),
        np.arange(30_000.0).reshape(300, 100)[:, ::2],
        np.array(["wide"] * 20_000),
        np.arange(30_000, dtype=">i8"),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_arrays_arrive_with_shape_dtype_and_bytes(array):
    arrived = travel(array)
    assert type(arrived) is np.ndarray
    assert (arrived.shape, arrived.dtype) == (array.shape, array.dtype)
    assert arrived.tobytes() == array.tobytes()


@pytest.mark.parametrize("size", [10, 100_000])
def test_arrays_arrive_writable_and_resizable(size):
    arrived = travel(np.zeros(size))
    arrived[0] = 1
    arrived.resize(2 * size, refcheck=False)


@given(hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0)))
def test_any_array_of_plain_kind_arrives_bit_by_bit(array):
    if array.dtype.kind not in "biufcSU" or not array.dtype.itemsize:
        return
    arrived = travel(array)
    assert (arrived.shape, arrived.dtype) == (array.shape, array.dtype)
    assert arrived.tobytes() == array.tobytes()


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
    ),
    max_leaves=30,
)


@given(_PLAIN)
def test_any_plain_value_arrives_equal(value):
    assert travel(value) == value


def test_buffers_are_npy_files_that_numpy_reads():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    file = io.BytesIO(codec.npy_header("<f8", True, (2, 3)) + array.tobytes("F"))
    assert np.load(file, allow_pickle=False).tolist() == array.tolist()


@pytest.mark.parametrize("array", [np.array(1.0), np.arange(3), np.ones((2, 3)).T])
def test_npy_files_that_numpy_wrote_are_read(array):
    assert codec.decode_bytes(frame({"a": 0}, saved(array))).tolist() == array.tolist()


# --- what is not plain ------------------------------------------------------------------------


def keeping():
    """A `keep` that numbers objects from 0."""
    kept = []

    def keep(value):
        kept.append(value)
        return codec.Handle(len(kept) - 1, type(value).__name__)

    return keep, kept


@pytest.mark.parametrize(
    "value",
    [
        np.array([1, None]),
        np.zeros(2, [("x", "O")]),
        object(),
        print,
        1 << (1 << 21),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_becomes_a_handle(value):
    keep, kept = keeping()
    data = b"".join(codec.encode((value, 1), keep=keep))
    handle, one = codec.decode_bytes(data, handle=lambda handle: handle)
    assert (handle, one) == (codec.Handle(0, type(value).__name__), 1)
    assert kept[0] is value


def test_what_says_the_same_as_an_array_may_go_as_one():
    data = b"".join(codec.encode([object(), 1], keep=lambda value: np.arange(3.0)))
    array, one = codec.decode_bytes(data)
    assert (array.tolist(), one) == ([0.0, 1.0, 2.0], 1)


def test_what_is_not_plain_is_a_type_error_without_handles():
    with pytest.raises(TypeError, match="object can't be sent"):
        codec.encode([object()])


Pair = namedtuple("Pair", "a b")


class LyingList(list):
    def __iter__(self):
        raise RuntimeError

    def __len__(self):
        return 10**9

    def __getitem__(self, key):
        return 0


class LyingFloat(float):
    def __float__(self):
        return 0.0

    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class LyingArray(np.ndarray):
    shape = property(lambda self: (10**9,))
    dtype = property(lambda self: np.dtype(object))

    def __array__(self, *args, **kwargs):
        return np.zeros(7)

    def tobytes(self, order="C"):
        return b"lie"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (OrderedDict(a=1), {"a": 1}),
        (LyingList([1, 2]), [1, 2]),
        (LyingFloat(2.5), 2.5),
        (LyingFloat(-0.0), -0.0),
        (type("Name", (str,), {})("x"), "x"),
        (type("Big", (int,), {})(3), 3),
    ],
    ids=lambda value: type(value).__name__,
)
def test_subclasses_arrive_as_the_plain_value_inside(value, plain):
    arrived = travel(value)
    assert type(arrived) is type(plain)
    assert repr(arrived) == repr(plain)


@pytest.mark.parametrize("kind", [np.matrix, LyingArray])
def test_array_subclasses_arrive_as_plain_arrays(kind):
    arrived = travel(np.array([[1.0, 2.0]]).view(kind))
    assert type(arrived) is np.ndarray
    assert arrived.tolist() == [[1.0, 2.0]]


def test_a_list_nested_beyond_the_depth_ends_in_a_handle():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    keep, _ = keeping()
    data = b"".join(codec.encode(deep, keep=keep))
    level, arrived = 0, codec.decode_bytes(data, handle=lambda handle: handle)
    while type(arrived) is list:
        level, arrived = level + 1, arrived[0]
    assert (level, arrived.type_name) == (64, "list")
    while deep:  # its own destructor would recurse
        deep = deep[0]


@pytest.mark.parametrize("wrap", [lambda x: (x,), lambda x: {"k": x}], ids=["tuple", "dict"])
def test_what_is_nested_beyond_the_depth_ends_in_a_handle_of_its_type(wrap):
    deep = ()
    for _ in range(70):
        deep = wrap(deep)
    keep, kept = keeping()
    codec.encode(deep, keep=keep)
    assert [type(one) for one in kept] == [type(deep)]


def test_a_list_that_holds_itself_twice_is_too_large():
    cycle = []
    cycle += [cycle, cycle]
    with pytest.raises(codec.TooLarge, match="items"):
        codec.encode(cycle, keep=keeping()[0], limits=codec.Limits(items=1000))


def test_an_array_that_claims_more_than_a_frame_holds_is_not_copied():
    with pytest.raises(codec.TooLarge, match="256 MiB"):
        codec.encode(np.broadcast_to(1.0, (10**6, 10**6)))


# --- malformed frames -------------------------------------------------------------------------

_GOOD = saved(np.arange(3.0))


def refusal(data, **options):
    """Return why a frame is malformed."""
    with pytest.raises(codec.MalformedFrame) as refused:
        codec.decode_bytes(data, **options)
    return str(refused.value)


def header(descr, shape):
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()


_BAD_HEADERS = {
    "object dtype": header("'|O'", "(1,)"),
    "structure": header("[('a', '<f8')]", "(1,)"),
    "datetime": header("'<M8[s]'", "(1,)"),
    "void": header("'|V8'", "(1,)"),
    "an expression": header("'<f'+'8'", "(1,)"),
    "a call": header("exit()", "(1,)"),
    "no such width": header("'<f3'", "(1,)"),
    "endless text": header("'<U999999999'", "(1,)"),
    "nothing wide": header("'|S0'", "(999999999,)"),
    "negative axis": header("'<f8'", "(-1,)"),
    "too few bytes": header("'<f8'", "(2,)"),
    "10**9 elements": header("'<f8'", "(1000000000,)"),
    "overflowing axes": header("'<f8'", "(4294967296, 4294967296, 1)"),
    "empty but vast": header("'<f8'", "(0, 999999999999999)"),
    "too many axes": header("'<f8'", "(" + "1, " * 98 + "1)"),
    "another file": b"",
}


# Where the header itself is well formed, what is wrong with what it says.
_PROBLEMS = {
    "no such width": "a .npy header names no dtype",
    "endless text": "a .npy header names no dtype",
    "nothing wide": "a .npy header names a dtype that is not sent",
    "too few bytes": "a .npy buffer and its header have different sizes",
    "10**9 elements": "a .npy buffer and its header have different sizes",
    "overflowing axes": "a .npy header names an impossible array",
    "empty but vast": "a .npy header names an impossible array",
    "too many axes": "a .npy header names an impossible array",
}
if np.lib.NumpyVersion(np.__version__) < "2.0.0":  # it knows a dtype as long as that
    _PROBLEMS["endless text"] = _PROBLEMS["too few bytes"]
_NO_NPY = "a buffer is not a .npy file of plain numbers or text"


@pytest.mark.parametrize("size", [8, 100_000], ids=["small", "large"])
@pytest.mark.parametrize("name", _BAD_HEADERS)
def test_npy_headers_that_lie_or_name_other_dtypes_are_refused(name, size):
    lie = npy(_BAD_HEADERS[name], b"\0" * size)
    assert refusal(frame({"a": 0}, lie)) == _PROBLEMS.get(name, _NO_NPY)


def test_an_empty_array_counts_as_large_as_its_sum():
    lie = npy(header("'<f8'", "(0, 1000000000)"), b"")
    assert refusal(frame({"a": 0}, lie)) == "larger arrays than a frame may have"
    with pytest.raises(codec.TooLarge):
        codec.encode(np.zeros((0, 10**9)))


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x03\x00", b"\x01\x01"])
def test_other_npy_versions_are_refused(version):
    assert refusal(frame({"a": 0}, _GOOD[:6] + version + _GOOD[8:])) == _NO_NPY


def test_npy_files_that_end_in_their_header_are_refused():
    assert refusal(frame({"a": 0}, b"\x93NUMPY")) == "a buffer is not a .npy file"
    assert refusal(frame({"a": 0}, _GOOD[:20])) == "a .npy header is longer than its buffer"
    assert refusal(frame({"a": 0}, npy(b" " * 3000))) == _NO_NPY


# What is wrong -> what it is told as.
_BAD_TREES = {
    "an unknown tag": {
        "unknown tag": {"p": 0},
    },
    "an object with more than a tag": {
        "two tags": {"t": [], "c": [1.0, 2.0]},
        "no tag": {},
    },
    "no such buffer": {
        "no such buffer": {"a": 1},
        "negative buffer": {"a": -1},
        "buffer named by a bool": {"a": False},
    },
    "a buffer used twice": {
        "buffer named twice": [{"a": 0}, {"a": 0}],
    },
    "a buffer that is never used": {
        "buffer never named": 1,
    },
    "a scalar with a shape": {
        "scalar with a shape": {"s": 0},
    },
    "not valid bytes": {
        "bytes of floats": {"b": 0},
    },
    "not a list": {
        "tuple of no list": {"t": {"c": [1.0, 2.0]}},
        "columns of no lists": [{"a": 0}, {"z": [1, 2]}],
    },
    "not a valid packed list": {
        "stack of scalars": {"A": 0},
    },
    "not valid columns": {
        "no columns": [{"a": 0}, {"z": []}],
        "columns of text": [{"a": 0}, {"z": "abc"}],
    },
    "columns of several lengths": {
        "columns of several lengths": [{"a": 0}, {"z": [[1], [1, 2]]}],
    },
    "not a valid dict": {
        "dict with a key too few": [{"a": 0}, {"d": [[], [1]]}],
        "dict of one list": [{"a": 0}, {"d": [[]]}],
    },
    "a dict key that can't be hashed": {
        "dict with a list as key": [{"a": 0}, {"d": [[[1]], [1]]}],
        "dict with an array as key": {"d": [[{"a": 0}], [1]]},
    },
    "not a valid complex number": {
        "complex of text": [{"a": 0}, {"c": ["1", 2.0]}],
    },
    "not a valid int": {
        "int of text": [{"a": 0}, {"i": "zz"}],
        "int of a number": [{"a": 0}, {"i": 3}],
    },
    "not a valid handle": {
        "handle of text": [{"a": 0}, {"h": ["1", "x"]}],
        "negative handle": [{"a": 0}, {"h": [-1, "x"]}],
        "handle with a long name": [{"a": 0}, {"h": [1, "x" * 1000]}],
        "handle of a number too large": [{"a": 0}, {"h": [1 << 31, "x"]}],
        "handle of three parts": [{"a": 0}, {"h": [1, "x", 2]}],
        "handle with a name of 201 characters": [{"a": 0}, {"h": [1, "x" * 201]}],
    },
    "a handle where none is known": {
        "handle, where none is known": [{"a": 0}, {"h": [1, "x"]}],
        "function, where none is known": [{"a": 0}, {"f": [1, "x", True, None]}],
    },
    "not a valid function": {
        "function with a negative number": [{"a": 0}, {"f": [-1, "x", True, None]}],
        "function with too little": [{"a": 0}, {"f": [1, "x", True]}],
        "function with odd parameters": [{"a": 0}, {"f": [1, "x", True, [["a", 9, True]]]}],
        "function of a number too large": [{"a": 0}, {"f": [1 << 31, "x", True, None]}],
        "function with a long name": [{"a": 0}, {"f": [1, "x" * 201, True, None]}],
        "function with parameters of no list": [{"a": 0}, {"f": [1, "x", True, "a"]}],
        "function with a parameter of a kind too large": [
            {"a": 0},
            {"f": [1, "x", True, [["a", 5, True]]]},
        ],
        "function with a parameter of a negative kind": [
            {"a": 0},
            {"f": [1, "x", True, [["a", -1, True]]]},
        ],
        "function with a parameter with a long name": [
            {"a": 0},
            {"f": [1, "x", True, [["a" * 201, 0, True]]]},
        ],
        "function with a parameter of two parts": [{"a": 0}, {"f": [1, "x", True, [["a", 0]]]}],
    },
    "not a valid scalar": {
        "scalar of text": [{"a": 0}, {"n": "x"}],
        "scalar beyond 64 bits": [{"a": 0}, {"n": 1 << 63}],
        "scalar below 64 bits": [{"a": 0}, {"n": -(1 << 63) - 1}],
    },
    "an unknown form": {
        "form of no name": [{"a": 0}, {"v": [1, 2]}],
        "form of another name": [{"a": 0}, {"v": ["os", 2]}],
    },
    "not a valid form": {
        "form of one part": [{"a": 0}, {"v": ["set"]}],
        "form of three parts": [{"a": 0}, {"v": ["set", 2, 3]}],
        "form of no list": [{"a": 0}, {"v": "set"}],
    },
}


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        pytest.param(tree, problem, id=name)
        for problem, trees in _BAD_TREES.items()
        for name, tree in trees.items()
    ],
)
def test_trees_that_break_the_form_are_refused(tree, problem):
    assert refusal(frame(tree, _GOOD)) == problem


@pytest.mark.parametrize(
    ("tag", "array", "problem"),
    [
        ("l", np.zeros(3, np.float32), "a packed list of another dtype"),
        ("l", np.zeros(3, "S3"), "a packed list of text"),
        ("L", np.zeros(3, "U3"), "a packed list of text"),
        ("l", np.zeros((3, 1)), "not a valid packed list"),
        ("A", np.zeros(3), "not a valid packed list"),
        ("A", np.zeros(()), "not a valid packed list"),
        ("b", np.zeros((3, 1), np.uint8), "not valid bytes"),
    ],
)
def test_arrays_that_are_not_what_their_tag_says_are_refused(tag, array, problem):
    assert refusal(frame({tag: 0}, saved(array))) == problem


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[",
        b"[1,]",
        b"\xff",
        b"nul",
        b"[" * 100_000,
        b'"\n"',
        b"1" * 5000,
        b"[" * 65 + b"]" * 65,
    ],
    ids=lambda text: shown(text[:6]) + str(len(text)),
)
def test_text_that_is_no_json_or_too_deep_is_refused(text):
    problem = "nested too deeply" if text.endswith(b"]" * 65) else "the text is not JSON"
    assert refusal(frame(None, text=text)) == problem


def test_text_after_the_json_is_refused():
    assert refusal(frame(None, text=b"1 ")) == "text after the JSON"


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (struct.pack("<4sHHII", b"GRDX", 1, 0, 0, 4), "not the start of a frame of this version"),
        (struct.pack("<4sHHII", b"GRDF", 2, 0, 0, 4), "not the start of a frame of this version"),
        (struct.pack("<4sHHII", b"GRDF", 1, 7, 0, 4), "not the start of a frame of this version"),
        (struct.pack("<4sHHII", b"GRDF", 1, 0, 2**32 - 1, 4), "more than a frame may have"),
        (struct.pack("<4sHHII", b"GRDF", 1, 0, 0, 2**32 - 1), "more than a frame may have"),
        (struct.pack("<4sHHIIQ", b"GRDF", 1, 0, 1, 4, 2**63), "more than a frame may have"),
        (struct.pack("<4sHHIIQ", b"GRDF", 1, 0, 1, 4, 8 * 10**9), "more than a frame may have"),
        (b"GRDF", "the frame ends too early"),
    ],
)
def test_headers_that_claim_too_much_are_refused_before_anything_is_read(head, problem):
    assert refusal(head) == problem


def test_bytes_after_the_frame_are_refused():
    with pytest.raises(codec.MalformedFrame, match="after the frame"):
        codec.decode_bytes(frame(1) + b"x")


def test_more_items_than_allowed_are_refused_before_the_parser_makes_them():
    limits = codec.Limits(nodes=100)
    assert refusal(frame([[]] * 101), limits=limits) == "more items than a frame may have"
    assert codec.decode_bytes(frame([1] * 100), limits=limits) == [1] * 100
    assert codec.decode_bytes(frame("," * 98), limits=codec.Limits(nodes=98)) == "," * 98


def test_a_packed_list_counts_its_items_before_it_is_unpacked():
    data = frame({"l": 0}, saved(np.zeros(1000, bool)))
    with pytest.raises(codec.MalformedFrame, match="more items"):
        codec.decode_bytes(data, limits=codec.Limits(items=999))


def test_keys_that_are_made_to_collide_are_few():
    keys = [k * (2**61 - 1) for k in range(20_000)]
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(frame({"d": [keys, keys]}))


def test_a_frame_may_hold_as_much_as_its_limit_and_no_byte_more():
    data = frame([1, {"a": 0}], _GOOD)
    assert codec.decode_bytes(data, limits=codec.Limits(size=len(data)))[0] == 1
    problem = "more than a frame may have"
    assert refusal(data, limits=codec.Limits(size=len(data) - 1)) == problem
    value = [1, np.arange(300.0)]
    size = sum(map(len, codec.encode(value)))
    assert sum(map(len, codec.encode(value, limits=codec.Limits(size=size)))) == size
    with pytest.raises(codec.TooLarge, match=r"^more than 0 MiB$"):
        codec.encode(value, limits=codec.Limits(size=size - 1))
    with pytest.raises(codec.TooLarge, match=r"^more than 0 MiB$"):
        codec.encode([1], limits=codec.Limits(size=18))
    assert codec.encode([1], limits=codec.Limits(size=19))


def test_arrays_of_a_frame_may_hold_as_much_as_its_limit_as_float64():
    data = frame({"a": 0}, saved(np.ones(1000, np.uint8)))
    assert codec.decode_bytes(data, limits=codec.Limits(size=8000)).size == 1000
    problem = "larger arrays than a frame may have"
    assert refusal(data, limits=codec.Limits(size=7999)) == problem
    # Nobody computes with text.
    words, limits = np.full(1000, b"x"), codec.Limits(size=2000)
    data = b"".join(codec.encode(words, limits=limits))
    assert codec.decode_bytes(data, limits=limits).tolist() == words.tolist()


def test_items_count_over_the_whole_frame():
    value = [[1, 2], (3, {"k": 4}), np.arange(2.0), [np.ones(2)] * 20, b"x"]
    # 5 + 2 + 2 + 2 of the dict + the array + 20 and four times 20 for what they weigh + 2 buffers
    for count, fits in ((114, True), (113, False)):
        limits = codec.Limits(items=count)
        data = b"".join(codec.encode(value))
        if fits:
            assert codec.encode(value, limits=limits)
            assert codec.decode_bytes(data, limits=limits)[0] == [1, 2]
        else:
            with pytest.raises(codec.TooLarge, match=f"^more than {count} items$"):
                codec.encode(value, limits=limits)
            assert refusal(data, limits=limits) == "more items than a frame may have"


def test_as_many_buffers_as_items_are_allowed():
    data = frame({"a": 0}, _GOOD)
    assert codec.decode_bytes(data, limits=codec.Limits(items=1)).tolist() == [0.0, 1.0, 2.0]


def test_text_of_more_nodes_than_allowed_is_not_sent():
    limits = codec.Limits(nodes=30)
    with pytest.raises(codec.TooLarge, match=r"^more than 30 items$"):
        codec.encode([[1], [2, 3]] * 8, limits=limits)
    assert codec.encode([1.5] * 100, limits=limits)
    assert codec.encode("x" * 100, limits=limits)


def test_keys_that_may_collide_count_over_the_whole_frame():
    half = dict.fromkeys(range(5000))
    data = b"".join(codec.encode([half, half]))
    assert codec.decode_bytes(data) == [half, half]
    keep, kept = keeping()
    data = b"".join(codec.encode([half, half, {1: 2}], keep=keep))
    assert kept == [{1: 2}]
    tree = [{"d": [[*half], [*half]]}] * 2
    assert codec.decode_bytes(frame(tree)) == [dict(zip(half, half, strict=True))] * 2
    assert refusal(frame([*tree, {"d": [[1], [2]]}])) == "not a valid dict"
    tree = [{"v": ["set", [*range(n, n + 5000)]]} for n in (0, 5000)]
    assert codec.decode_bytes(frame(tree))[1] == set(range(5000, 10_000))
    assert refusal(frame([*tree, {"v": ["set", [1]]}])) == "not a valid set"
    assert codec.decode_bytes(frame([*tree, {"v": ["set", ["1"]]}]))[2] == {"1"}


def test_keys_of_text_are_salted_and_as_many_as_they_like():
    many = dict.fromkeys(map(str, range(10_001)))
    assert travel(many) == many


def test_a_set_of_more_numbers_than_allowed_becomes_a_handle():
    keep, kept = keeping()
    few, many = set(range(10_000)), set(range(10_001))
    codec.encode([few], keep=keep)
    assert kept == []
    codec.encode([many], keep=keep)
    assert kept == [many]


@pytest.mark.parametrize(
    ("value", "room"),
    [
        (np.zeros(2, [("x", float)]), 4),
        ({((((1,),),),)}, 6),
        (Pair(np.zeros(3), [[[]]]), 6),
    ],
    ids=["table", "set", "named"],
)
def test_what_does_not_lie_within_the_depth_as_a_whole_becomes_a_handle(value, room):
    wrapped = value
    for _ in range(64 - room):
        wrapped = [wrapped]
    assert repr(travel(wrapped)) == repr(wrapped).replace("Pair", "")
    for around in range(65 - room, 66):
        wrapped = [wrapped]
        keep, _ = keeping()
        data = b"".join(codec.encode(wrapped, keep=keep))
        arrived = codec.decode_bytes(data, handle=lambda handle: handle)
        for _ in range(min(around, 64)):
            (arrived,) = arrived
        assert arrived.type_name == (type(value).__name__ if around < 65 else "list")


def test_tuples_with_names_within_each_other_are_looked_at_once_each():
    deep = 1
    for _ in range(100):
        deep = Pair(0, deep)
    keep, kept = keeping()
    codec.encode([deep], keep=keep)
    assert 0 < len(kept) < 100


@pytest.mark.parametrize(
    "wrap", [lambda x: [x], lambda x: (x,), lambda x: {"k": [x]}, lambda x: {x}]
)
def test_what_lies_at_the_last_depth_is_told_apart(wrap):
    """62 lists around: one level more is plain, and the next is a handle's."""
    for around in range(59, 66):
        value = wrap("x")
        for _ in range(around):
            value = [value]
        keep, kept = keeping()
        data = b"".join(codec.encode(value, keep=keep))
        arrived = codec.decode_bytes(data, handle=lambda handle: handle)
        if not kept:
            assert arrived == value
        else:
            assert len(kept) == 1
            assert around >= 62


def test_functions_and_handles_travel_as_they_are():
    every = [("a", kind, kind % 2 == 0) for kind in range(5)]
    values = [
        codec.Function((1 << 31) - 1, "f" * 200, False, (*every, ("b" * 200, 0, True))),
        codec.Function(0, "g"),
        codec.Function(2, "h", True, ()),
        codec.Handle((1 << 31) - 1, "T" * 200),
    ]
    data = b"".join(codec.encode(values))
    assert codec.decode_bytes(data, handle=lambda one: one) == values
    # What `keep` gives for what is no plain value is the same.
    data = b"".join(codec.encode([object()], keep=lambda _: values[0]))
    assert codec.decode_bytes(data, handle=lambda one: one) == values[:1]


def test_scalars_of_64_bits_travel_to_their_ends():
    for value in (-(1 << 63), (1 << 63) - 1):
        assert codec.decode_bytes(frame({"n": value})) == value
        assert type(travel(np.int64(value))) is np.int64


def test_a_list_is_packed_from_16_items_on():
    def buffers(value):
        return struct.unpack_from("<I", b"".join(codec.encode(value)), 8)[0]

    assert [buffers([1.5] * n) for n in (15, 16)] == [0, 1]
    assert [buffers([(1, 2.5)] * n) for n in (15, 16)] == [0, 2]
    assert [buffers([np.ones(2)] * n) for n in (15, 16)] == [15, 1]
    # The columns lie one level deeper.
    pairs, two = [(1, 2.5)] * 16, codec.Limits(depth=2)
    assert struct.unpack_from("<I", b"".join(codec.encode(pairs, limits=two)), 8) == (2,)
    # Of one shape, and small: else each goes alone.
    assert buffers([np.ones(2)] * 16 + [np.ones(3)]) == 17
    assert buffers([np.ones(2)] * 16 + [np.ones(2, np.float32)]) == 17
    assert buffers([np.array(1.0)] * 16) == 16
    assert buffers([np.ones((1,) * 32)] * 16) == 16
    assert buffers([np.ones((1,) * 31)] * 16) == 1
    assert [type(one) for one in travel([True] * 20)] == [bool] * 20


def test_text_arrays_without_a_byte_arrive_as_empty_text():
    for kind in ("U", "S"):
        arrived = travel(np.zeros(3, [("name", kind + "0")])["name"])
        assert (arrived.dtype.kind, arrived.dtype.itemsize) == (kind, 4 if kind == "U" else 1)
        assert not any(arrived)


def test_large_arrays_arrive_between_small_ones_whatever_their_order():
    large = np.arange(40_000.0).reshape(200, 200)
    value = [np.arange(2), large, np.arange(3), large.T, large[::2], "x"]
    arrived = travel(value)
    for got, sent in zip(arrived[:-1], value[:-1], strict=True):
        assert np.array_equal(got, sent)


def refused_or_read(data):
    with contextlib.suppress(codec.MalformedFrame):
        codec.decode_bytes(data, handle=lambda handle: handle, limits=codec.Limits(size=1 << 20))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_malformed_frame(data):
    refused_or_read(data)
    refused_or_read(b"GRDF\x01\x00\x00\x00" + data)


_SAMPLE = b"".join(
    codec.encode(
        [1, {"k": (2.5, [0.5] * 20, np.arange(4), np.float32(1), b"x", 1 << 80, 1j)}, "text"]
    )
)


@given(st.lists(st.tuples(st.integers(0, len(_SAMPLE) - 1), st.integers(0, 255)), max_size=8))
def test_mutated_frames_raise_nothing_but_malformed_frame(changes):
    data = bytearray(_SAMPLE)
    for place, byte in changes:
        data[place] = byte
    refused_or_read(bytes(data))


@given(st.integers(0, len(_SAMPLE)), st.integers(0, len(_SAMPLE)), st.binary(max_size=20))
def test_cut_and_spliced_frames_raise_nothing_but_malformed_frame(start, end, middle):
    refused_or_read(_SAMPLE[:start] + middle + _SAMPLE[end:])


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*"tdciasblLAzhxnvf"]), inner, min_size=1, max_size=2)
    ),
    max_leaves=12,
)


@given(_JSON)
def test_trees_of_any_form_raise_nothing_but_malformed_frame(tree):
    refused_or_read(frame(tree, _GOOD, saved(np.float32(2)), saved(np.zeros((2, 2), np.uint8))))


# --- hostile neighbours -----------------------------------------------------------------------


def test_replaced_builtins_and_numpy_functions_do_not_reach_the_codec():
    def trap(*args, **kwargs):
        raise AssertionError("called")

    def replace(names, module):
        return module, {name: module[name] for name in names}, dict.fromkeys(names, trap)

    value = [(1.5, [0.5] * 20, np.arange(3.0)), {"k": Pair(1, 2)}, [np.ones(2)] * 20]
    arrived = repr([(1.5, [0.5] * 20, np.arange(3.0)), {"k": (1, 2)}, [np.ones(2)] * 20])
    arrived = arrived.replace("(1, 2)", "(a=1, b=2)")
    replacements = [
        replace(["isinstance", "len", "type", "issubclass", "sum", "map", "set"], vars(builtins)),
        replace(["array", "frombuffer", "empty", "ndarray", "dtype"], vars(np)),
        replace(["dumps", "loads", "JSONEncoder"], vars(json)),
    ]
    for module, _, traps in replacements:
        module.update(traps)
    try:
        value = codec.decode_bytes(b"".join(codec.encode(value)))
    finally:
        for module, originals, _ in replacements:
            module.update(originals)
    assert repr(value) == arrived


@pytest.mark.parametrize("tag", ["a", "s", "A", "L", "l"])
@pytest.mark.parametrize("order", "<>")
def test_a_text_that_is_no_code_point_is_malformed_wherever_it_stands(tag, order):
    shape = {"s": "()", "A": "(2, 1)"}.get(tag, "(2,)")
    header = f"{{'descr': '{order}U1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    data = b"\xff" * 4 if tag == "s" else b"\xff" * 8
    with pytest.raises(codec.MalformedFrame, match="a text with an invalid code point"):
        codec.decode_bytes(frame({tag: 0}, npy(header, data)))


def test_a_large_text_array_is_looked_at_to_its_end():
    header = b"{'descr': '<U1', 'fortran_order': True, 'shape': (50000, 1), }\n"
    data = bytes(4 * 49_999) + b"\x00\x00\x11\x00"  # one past the last code point
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(frame({"a": 0}, npy(header, data)))


@pytest.mark.parametrize("kind", ["u1", "?", "f2", "f4", "i8", "c16"])
def test_an_array_that_is_too_large_as_float64_is_refused_by_its_header(kind):
    limits = codec.Limits(size=1 << 20)
    (head, *rest) = codec.encode(np.zeros(1 << 18, kind), limits=codec.Limits())
    read = []

    def fill(target):
        if len(target) >= 1 << 16:
            read.append(len(target))
        target[:] = data[: len(target)]
        del data[: len(target)]

    data = bytearray(b"".join([head, *rest]))
    with pytest.raises(codec.MalformedFrame, match="than a frame may have"):
        codec.decode(fill, limits=limits)
    assert read == []
    with pytest.raises(codec.TooLarge):
        codec.encode(np.zeros(1 << 18, kind), limits=limits)
