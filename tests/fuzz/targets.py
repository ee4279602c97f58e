"""What reads bytes of a student's, each as a function of bytes with the errors that it may raise.

    target.run(data)        raises Broken for any other error, and for too much processor time

A target takes bytes whatever they are, so what was found is a file (corpus/<target>/), and a fuzzer
that knows no structure can go on from it. `strategy` makes bytes that get further than random ones.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from grader.checks.arrays import as_array
from grader.errors import CheckFailed, SubmissionError
from grader.in_kernel import codec
from grader.notebook import compare_with_stub
from grader.notebook.reading import parse_notebook
from grader.notebook.regions import find_gaps, markers
from grader.records import Assignment, Exercise, Rules
from grader.rule_checks import BreachSearch
from grader.session.cell_outputs import CellOutputs
from grader.session.extraction import extract, grouped, joined
from grader.session.messages import Client
from grader.session.replies import figures, observation, student_error
from grader.submission import open_submission

# Processor time of one input: so much whatever it is, and so much for each of its bytes. An honest
# notebook of 100 kB takes a tenth; what is slower in one of 10 kB than this would be a minute at
# the most bytes that are read.
BASE_S = 0.5
PER_BYTE_S = 2e-5
_TRIES = 3


class Broken(AssertionError):
    """A target raised what it may not, or was slow."""


@dataclass(frozen=True)
class Target:
    """strategy : of bytes; read : reads them; refusals : what it may raise"""

    name: str
    strategy: st.SearchStrategy[bytes]
    read: Callable[[bytes], object]
    refusals: tuple[type[BaseException], ...] = ()

    def run(self, data: bytes) -> None:
        limit_s = BASE_S + PER_BYTE_S * len(data)
        for _ in range(_TRIES):
            began = time.process_time()
            try:
                self.read(data)
            except self.refusals:
                pass
            except Exception as error:
                raise Broken(f"{self.name}: {type(error).__name__}: {error}") from error
            took = time.process_time() - began
            if took <= limit_s:
                return
        raise Broken(
            f"{self.name}: {took:.1f} s of processor time for {len(data)} bytes, "
            f"{_TRIES} times; {limit_s:.1f} s are allowed"
        )


# --- zips -----------------------------------------------------------------------------------------

_NOTEBOOK = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
_PARTS = st.sampled_from(
    ["..", ".", "", "a", "A", "b.ipynb", "B.IPYNB", "c.py", "é", "e\u0301", "con", "~", "C:", "\\",
     "a\\..", "\x00", "\n", "\u202e", "__MACOSX", ".git", "x" * 260, "inner.zip",
     "Anna Mueller_1001_assignsubmission_file_"]
)  # fmt: skip
_ENTRY = st.tuples(
    st.lists(_PARTS, min_size=1, max_size=5).map("/".join),
    st.sampled_from([_NOTEBOOK.encode(), b"x = 1\n", b"", bytes(1 << 16), b"PK\x03\x04"]),
    st.sampled_from([0o100644, 0o120777, 0o040755, 0o010644, 0o020644, 0]),
    st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]),
)


def _zipped(entries: list[tuple[str, bytes, int, int]]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content, mode, method in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name
            info.external_attr = mode << 16
            info.compress_type = method
            archive.writestr(info, content)
    return stream.getvalue()


def _damaged(data: bytes) -> st.SearchStrategy[bytes]:
    """The bytes, with some of them changed, cut out or doubled."""

    def changed(edits: list[tuple[int, int, int]]) -> bytes:
        made = bytearray(data)
        for kind, place, value in edits:
            at = place % (len(made) + 1)
            if kind == 0 and at < len(made):
                made[at] = value
            elif kind == 1:
                del made[at : at + value]
            else:
                made[at:at] = made[at : at + value]
        return bytes(made)

    edit = st.tuples(st.integers(0, 2), st.integers(0, 1 << 16), st.integers(0, 255))
    return st.lists(edit, max_size=6).map(changed)


def _read_zip(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.zip")
        path.write_bytes(data)
        into = Path(folder, "into")
        into.mkdir()
        try:
            open_submission(path, into)
        finally:
            left = {file.relative_to(folder).parts[0] for file in Path(folder).rglob("*")}
            assert left <= {"a.zip", "into"}, left
            assert not any(file.is_symlink() for file in into.rglob("*"))


# --- source, notebooks, markers -------------------------------------------------------------------

_PIECES = st.sampled_from(
    ["def f(x):\n", "    return x\n", "class A:\n", "    def g(self):\n", "        pass\n", "@f\n",
     "### START YOUR CODE ###\n", "### END YOUR CODE ###\n", "    ### START YOUR CODE ###\n",
     "    ### END YOUR CODE ###\n", "# START\n", "'''\n", '"""', "\\\n", "(", ")", "[", "{", ":",
     "1+" * 50, "-" * 60, "not " * 40, "x.y" * 30, "import numpy as np\n", "import scipy\n",
     "from torch import nn as np\n", "__import__('scipy')\n", "getattr(np, 'gradient')\n",
     "a = b = np\n", "a, b = b, a\n", "for a in b:\n", "    a.c = lambda: a\n", "elif x:\n",
     "if x:\n", "else:\n", "f'{x!r:{y}}'\n", "%matplotlib inline\n", "!ls\n", "x?\n", "\t", "\x0c",
     "\x00", "\r\n", "é = 1\n", "\ud800", "async def h(): await f\n", "match x:\n  case [1, *a]:\n",
     "lambda: (yield)\n", "x: int = 1\n", "type X = int\n", "0x", "1e999\n", "b'\\xff'\n", "\n"]
)  # fmt: skip
_SOURCE = st.lists(_PIECES | st.text(max_size=6), max_size=30).map("".join)
_BYTES_OF_SOURCE = _SOURCE.map(lambda text: text.encode("utf-8", "surrogatepass"))
_LONG = st.builds(
    lambda piece, count, tail: (piece * count + tail).encode("utf-8", "surrogatepass"),
    _PIECES | _SOURCE,
    st.integers(1, 400),
    _SOURCE,
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | _SOURCE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "cells",
                    "source",
                    "outputs",
                    "metadata",
                    "cell_type",
                    "nbformat",
                    "nbformat_minor",
                    "worksheets",
                    "attachments",
                    "text",
                    "data",
                    "id",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)
_CELL = st.fixed_dictionaries(
    {"cell_type": st.sampled_from(["code", "markdown", "raw", "heading", ""]), "source": _SOURCE},
    optional={
        "metadata": _JSON,
        "outputs": st.lists(_JSON, max_size=2),
        "attachments": _JSON,
        "execution_count": _JSON,
        "id": _JSON,
        "input": _JSON,
        "language": _JSON,
    },
)
_DOCUMENT = st.fixed_dictionaries(
    {
        "cells": st.lists(_CELL, max_size=4) | _JSON,
        "metadata": _JSON,
        "nbformat": st.sampled_from([1, 2, 3, 4, 5, 10**30, "4", None]),
        "nbformat_minor": st.sampled_from([0, 2, 5, 9, None]),
    },
    optional={"worksheets": _JSON},
)
_NOTEBOOKS = (_DOCUMENT | _JSON).map(lambda value: json.dumps(value).encode())


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _cells_of(source: str) -> bytes:
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "source": source}
    return json.dumps(
        {"cells": [cell | {"execution_count": None}], "metadata": {}, "nbformat": 4,
         "nbformat_minor": 4}
    ).encode()  # fmt: skip


_STUB = parse_notebook(
    _cells_of(
        "import numpy as np\ndef f(x):\n    ### START YOUR CODE ###\n    pass\n"
        "    ### END YOUR CODE ###\n"
    ),
    name="a.ipynb",
)
_ASSIGNMENT = Assignment(
    id="a",
    title="A",
    folder=Path("nowhere"),
    exercises=(Exercise("1", "One", 1.0, notebook="a.ipynb", functions=("f", "A.g")),),
    notebook_names=("a.ipynb",),
    check_files=(),
    rules=Rules(("scipy", "torch"), ("np.gradient", "torch.nn.Linear")),
    stubs={"a.ipynb": _STUB},
)


def _read_markers(data: bytes) -> None:
    source = _text(data)
    markers(source)
    notebook = parse_notebook(_cells_of(source), name="a.ipynb")
    find_gaps(notebook.cells)
    compare_with_stub(notebook, _STUB, functions=("f", "A.g"))


def _search_rules(data: bytes) -> None:
    notebook = parse_notebook(_cells_of(_text(data)), name="a.ipynb")
    BreachSearch(_ASSIGNMENT, notebook).breaches(_ASSIGNMENT.exercises[0])


def _extract(data: bytes) -> None:
    source = _text(data)
    for from_line in (1, 3):
        for group in grouped(extract(source, from_line=from_line)):
            joined(group)


# --- frames and replies ---------------------------------------------------------------------------

_LIMITS = codec.Limits(size=1 << 20)
_DESCRS = st.builds(
    lambda order, kind, size: f"{order}{kind}{size}",
    st.sampled_from(["<", ">", "|", "="]),
    st.sampled_from([*"biufcSUOMmV?"]),
    st.sampled_from([0, 1, 2, 3, 4, 8, 16, 32, 255, 10**8]),
)
_SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 7, 4096, 10**9, 10**18]), max_size=34).map(tuple)


@st.composite
def _npy(draw: st.DrawFn) -> bytes:
    descr, shape, fortran = draw(_DESCRS), draw(_SHAPES), draw(st.booleans())
    header = codec.npy_header(descr, fortran, shape)
    count = 1
    for axis in shape:
        count *= axis
    size = int(descr[2:]) * count
    body = draw(st.binary(max_size=64)) * 8
    exact = (body * (min(size, 1 << 16) // max(1, len(body)) + 1))[: min(size, 1 << 16)]
    return header + draw(st.sampled_from([exact, body, b""]))


_TAGS = st.sampled_from([*"tdciasblLAzhxfFnv"])
_TREE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([float("nan"), float("inf"), 1e308, 1 << 70, -0.0])
    | st.text(max_size=3)
    | st.sampled_from(["value", "raised", "missing", "too large", "calls", "passed on", "-0x1f"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_TAGS, inner, min_size=1, max_size=2)
        | st.builds(lambda tag, k: {tag: k}, _TAGS, st.integers(0, 3))
    ),
    max_leaves=14,
)


def _framed(tree: Any, buffers: list[bytes]) -> bytes:
    text = json.dumps(tree).encode()
    head = b"GRDF" + bytes([1, 0, 0, 0])
    head += len(buffers).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    table = b"".join(len(buffer).to_bytes(8, "little") for buffer in buffers)
    return head + table + text + b"".join(buffers)


_FRAMES = st.builds(_framed, _TREE, st.lists(_npy(), max_size=3))
_SEEN = {
    "value": np.arange(3.0), "error": None, "arguments": (1,), "warnings": ["x"], "seconds": 0.1,
    "steps": None, "operations": [1, 2, 3, 4], "memory": None, "printed": "",
}  # fmt: skip
_AXES = {
    "title": "t", "xlabel": "x", "ylabel": "y", "xscale": "linear", "yscale": "log",
    "legend": ["a"], "lines": [{"x": np.arange(2.0), "y": np.arange(2.0), "label": "a"}],
    "images": [np.zeros((2, 2))], "extents": [np.zeros(4)], "contours": [np.zeros((2, 2))],
    "bars": np.zeros((1, 3)), "points": [np.zeros((2, 2))],
}  # fmt: skip
_HONEST = [
    b"".join(codec.encode(value))
    for value in (
        [1, "value", _SEEN],
        [1, "value", [{"cell": 1, "axes": [_AXES]}]],
        [1, "raised", ["ValueError", "text", 4, 7, "return x", 0, "ValueError", [10]]],
        [1, "value", {"k": (2.5, [0.5] * 20, np.float32(1), b"x", 1 << 80, 1j, ["a"] * 3)}],
    )
]
_REPLIES = st.one_of(*map(_damaged, _HONEST)) | _FRAMES


def _decoded(data: bytes) -> Any:
    return codec.decode_bytes(data, handle=lambda handle: handle, limits=_LIMITS)


def _read_reply(data: bytes) -> None:
    value = _decoded(data)
    content = value[2] if type(value) is list and len(value) == 3 else value
    student_error("f(x)", content)
    # An OverflowError of numpy's, say, would be no answer of ours.
    with contextlib.suppress(TypeError):
        observation(content, "f(x)", 1)
    figures(content)
    with np.errstate(all="ignore"):
        as_array(content, called="f(x)")


# --- messages -------------------------------------------------------------------------------------

_SOUND = {
    "channel": "iopub",
    "header": {"msg_type": "stream"},
    "parent_header": {"msg_id": "1-x"},
    "metadata": {},
    "content": {"name": "stdout", "text": "x"},
}
_MESSAGES = st.lists(
    st.fixed_dictionaries({key: _JSON | st.just(value) for key, value in _SOUND.items()}),
    min_size=1,
    max_size=3,
).map(
    lambda found: b"".join(
        len(raw).to_bytes(4, "big") + raw for raw in (json.dumps(one).encode() for one in found)
    )
)


def _read_messages(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    client = Client(ours)
    client.begin_cell(0, 4096)
    theirs.setblocking(False)
    rest = memoryview(data)
    while rest and not client.broken:
        with contextlib.suppress(BlockingIOError):
            rest = rest[theirs.send(rest) :]
        client.receive(0.0)
    theirs.close()
    outputs = CellOutputs(4096)
    while not client.broken:
        if (message := client.receive(1.0)) is not None:
            with contextlib.suppress(Exception):  # the kernel is killed then
                outputs.take(message.kind, message.content)
    client.close()


TARGETS = {
    target.name: target
    for target in (
        Target("zips", st.lists(_ENTRY, min_size=1, max_size=5).map(_zipped)
               | st.lists(_ENTRY, min_size=1, max_size=3).map(_zipped).flatmap(_damaged),
               _read_zip, (SubmissionError,)),
        Target("notebooks", _NOTEBOOKS | _NOTEBOOKS.flatmap(_damaged),
               lambda data: parse_notebook(data, name="a.ipynb"), (SubmissionError,)),
        Target("scripts", _BYTES_OF_SOURCE | _LONG,
               lambda data: parse_notebook(data, name="a.py"), (SubmissionError,)),
        Target("markers", _BYTES_OF_SOURCE | _LONG, _read_markers, (SubmissionError,)),
        Target("rules", _BYTES_OF_SOURCE | _LONG, _search_rules, (SubmissionError,)),
        Target("extraction", _BYTES_OF_SOURCE | _LONG, _extract),
        Target("frames", _FRAMES | _FRAMES.flatmap(_damaged) | st.binary(max_size=200), _decoded,
               (codec.MalformedFrame,)),
        Target("replies", _REPLIES, _read_reply, (codec.MalformedFrame, CheckFailed)),
        Target("messages", _MESSAGES | _MESSAGES.flatmap(_damaged), _read_messages),
    )
}  # fmt: skip
