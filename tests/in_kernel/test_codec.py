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
    assert arrived.tobytes() == scalar.tobytes()


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


@pytest.mark.parametrize("lie", _BAD_HEADERS.values(), ids=_BAD_HEADERS)
def test_npy_headers_that_lie_or_name_other_dtypes_are_refused(lie):
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(frame({"a": 0}, npy(lie, b"\0" * 8)))


@pytest.mark.parametrize("lie", _BAD_HEADERS.values(), ids=_BAD_HEADERS)
def test_large_buffers_are_held_to_the_same_rules(lie):
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(frame({"a": 0}, npy(lie, b"\0" * 100_000)))


@pytest.mark.parametrize("version", [b"\x02\x00", b"\x03\x00", b"\x01\x01"])
def test_other_npy_versions_are_refused(version):
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(frame({"a": 0}, _GOOD[:6] + version + _GOOD[8:]))


_BAD_TREES = {
    "unknown tag": {"p": 0},
    "two tags": {"t": [], "c": [1.0, 2.0]},
    "no tag": {},
    "no such buffer": {"a": 1},
    "negative buffer": {"a": -1},
    "buffer named by a bool": {"a": False},
    "buffer named twice": [{"a": 0}, {"a": 0}],
    "buffer never named": 1,
    "scalar with a shape": {"s": 0},
    "bytes of floats": {"b": 0},
    "tuple of no list": {"t": {"c": [1.0, 2.0]}},
    "stack of scalars": {"A": 0},
    "no columns": [{"a": 0}, {"z": []}],
    "columns of several lengths": [{"a": 0}, {"z": [[1], [1, 2]]}],
    "columns of no lists": [{"a": 0}, {"z": [1, 2]}],
    "dict with a key too few": [{"a": 0}, {"d": [[], [1]]}],
    "dict of one list": [{"a": 0}, {"d": [[]]}],
    "dict with a list as key": [{"a": 0}, {"d": [[[1]], [1]]}],
    "dict with an array as key": {"d": [[{"a": 0}], [1]]},
    "complex of text": [{"a": 0}, {"c": ["1", 2.0]}],
    "int of text": [{"a": 0}, {"i": "zz"}],
    "int of a number": [{"a": 0}, {"i": 3}],
    "handle of text": [{"a": 0}, {"h": ["1", "x"]}],
    "negative handle": [{"a": 0}, {"h": [-1, "x"]}],
    "handle with a long name": [{"a": 0}, {"h": [1, "x" * 1000]}],
    "handle, where none is known": [{"a": 0}, {"h": [1, "x"]}],
    "function, where none is known": [{"a": 0}, {"f": [1, "x", True, None]}],
    "function with a negative number": [{"a": 0}, {"f": [-1, "x", True, None]}],
    "function with too little": [{"a": 0}, {"f": [1, "x", True]}],
    "function with odd parameters": [{"a": 0}, {"f": [1, "x", True, [["a", 9, True]]]}],
    "scalar of text": [{"a": 0}, {"n": "x"}],
    "scalar beyond 64 bits": [{"a": 0}, {"n": 1 << 63}],
    "form of no name": [{"a": 0}, {"v": [1, 2]}],
    "form of another name": [{"a": 0}, {"v": ["os", 2]}],
    "form of one part": [{"a": 0}, {"v": ["set"]}],
}


@pytest.mark.parametrize("tree", _BAD_TREES.values(), ids=_BAD_TREES)
def test_trees_that_break_the_form_are_refused(tree):
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(frame(tree, _GOOD))


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
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(frame(None, text=text))


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (struct.pack("<4sHHII", b"GRDX", 1, 0, 0, 4), "no frame of this version"),
        (struct.pack("<4sHHII", b"GRDF", 2, 0, 0, 4), "no frame of this version"),
        (struct.pack("<4sHHII", b"GRDF", 1, 7, 0, 4), "no frame of this version"),
        (struct.pack("<4sHHII", b"GRDF", 1, 0, 2**32 - 1, 4), "more than a frame may hold"),
        (struct.pack("<4sHHII", b"GRDF", 1, 0, 0, 2**32 - 1), "more than a frame may hold"),
        (struct.pack("<4sHHIIQ", b"GRDF", 1, 0, 1, 4, 2**63), "more than a frame may hold"),
        (struct.pack("<4sHHIIQ", b"GRDF", 1, 0, 1, 4, 8 * 10**9), "more than a frame may hold"),
        (b"GRDF", "ends too early"),
    ],
)
def test_headers_that_claim_too_much_are_refused_before_anything_is_read(head, problem):
    with pytest.raises(codec.MalformedFrame, match=problem):
        codec.decode_bytes(head)


def test_bytes_after_the_frame_are_refused():
    with pytest.raises(codec.MalformedFrame, match="after the frame"):
        codec.decode_bytes(frame(1) + b"x")


def test_more_items_than_allowed_are_refused_before_the_parser_makes_them():
    limits = codec.Limits(nodes=100)
    with pytest.raises(codec.MalformedFrame, match="more items"):
        codec.decode_bytes(frame([[]] * 101), limits=limits)


def test_a_packed_list_counts_its_items_before_it_is_unpacked():
    data = frame({"l": 0}, saved(np.zeros(1000, bool)))
    with pytest.raises(codec.MalformedFrame, match="more items"):
        codec.decode_bytes(data, limits=codec.Limits(items=999))


def test_keys_that_are_made_to_collide_are_few():
    keys = [k * (2**61 - 1) for k in range(20_000)]
    with pytest.raises(codec.MalformedFrame):
        codec.decode_bytes(frame({"d": [keys, keys]}))


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
    with pytest.raises(codec.MalformedFrame):
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
    with pytest.raises(codec.MalformedFrame, match="than a frame may hold"):
        codec.decode(fill, limits=limits)
    assert read == []
    with pytest.raises(codec.TooLarge):
        codec.encode(np.zeros(1 << 18, kind), limits=limits)
