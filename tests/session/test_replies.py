"""What comes back from a check's process is a value of the expected form, or that check's fault."""

import contextlib
import socket

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from grader.errors import Missing, StudentError, StudentFault
from grader.in_kernel import codec
from grader.session.deadline import Deadline
from grader.session.proxies import Remote
from grader.session.replies import Observation
from grader.session.stream import Stream
from grader.session.student import Student
from grader.session.wire import Wire

# What a check asks for, and what may come of it.
QUESTIONS = {
    "call": (lambda student: student.f(1.0), object),
    "map": (lambda student: student.f.map([1.0, (2.0, 3.0)]), list),
    "observe": (lambda student: student.f.observe(np.zeros(2)), Observation),
    "has": (lambda student: student.has("f"), bool),
    "names": (lambda student: student.names(), list),
    "figures": (lambda student: student.figures, list),
    "set": (lambda student: setattr(student, "f", 1), type(None)),
}


def answered(question, raw):
    """Ask a process that sends these bytes, whatever it is asked, and ends."""
    ours, theirs = socket.socketpair()
    theirs.sendall(raw)
    theirs.shutdown(socket.SHUT_WR)
    stream = Stream(ours, reply_limits=codec.Limits(size=1 << 16))
    ended = []
    wire = Wire(stream, Deadline(20.0, stream.peer), represent=Remote, end=ended.append)
    ask, kind = QUESTIONS[question]
    try:
        got = ask(Student(wire, None, on_close=lambda student: None))
    except StudentFault as fault:
        assert str(fault).isprintable() or "\n" in str(fault)
        # A call that raised is nobody's end; whoever sent rubbish is asked no more.
        told = isinstance(fault, StudentError) or "too large" in raw.decode("latin-1")
        assert ended == [True] or told
    except Missing:
        pass
    else:
        assert isinstance(got, kind)
        if isinstance(got, Remote):
            assert len(got.type_name) <= 100
    finally:
        wire.close()
        stream.close()
        theirs.close()


def framed(reply):
    return b"".join(bytes(piece) for piece in codec.encode(reply))


SEEN = {
    "value": 1.0,
    "error": None,
    "arguments": (np.zeros(2),),
    "warnings": ["RuntimeWarning: x"],
    "seconds": 0.1,
    "steps": None,
    "operations": None,
    "memory": None,
    "printed": "",
}
FAILURE = ["ValueError", "no", 3, 1, "raise ValueError", 0, "ValueError", [10]]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([1 << 80, -1, "x" * 3000, "\x1b[2J", b"x", np.zeros(3), np.zeros((2, 0))])
    | st.builds(SEEN.copy)
    | st.just(FAILURE)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(
            st.sampled_from([*SEEN, "cell", "axes", "title", "x", "y", "label"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
STATUS = st.sampled_from(["value", "raised", "missing", "too large", "x"]) | LEAVES
ASKED = st.sampled_from([*QUESTIONS])


@given(ASKED, STATUS, TREES)
@example("figures", "missing", None)
@example("call", np.zeros(3), None)
def test_any_content_of_a_reply_is_taken_for_what_it_is(question, status, content):
    answered(question, framed([1, status, content]))


@given(ASKED, LEAVES)
@example("call", np.zeros(3))
def test_any_number_of_a_reply_is_taken_for_what_it_is(question, number):
    answered(question, framed([number, "value", 1.0]))


@given(st.fixed_dictionaries({key: TREES | st.just(value) for key, value in SEEN.items()}))
def test_any_observation_is_one_or_is_refused(seen):
    answered("observe", framed([1, "value", seen]))


@given(st.lists(LEAVES, min_size=7, max_size=9))
@example(FAILURE)
@example([*FAILURE[:-1], [1 << 80]])
@example([*FAILURE[:-1], ["10"]])
def test_any_failure_is_one_or_is_refused(failure):
    for question in ("call", "map", "observe"):
        answered(question, framed([1, "raised", failure]))


FIGURE = {
    "cell": 1,
    "axes": [
        {
            **dict.fromkeys(("title", "xlabel", "ylabel"), "text"),
            **dict.fromkeys(("xscale", "yscale"), "linear"),
            "legend": ["a"],
            "lines": [{"x": np.zeros(2), "y": np.zeros(2), "label": "a"}],
            "images": [np.zeros((2, 2, 3))],
            "extents": [np.zeros(4)],
            "contours": [np.zeros((5, 2))],
            "bars": np.zeros((0, 3)),
            "points": [np.zeros((4, 2))],
        },
    ],
}


@given(st.dictionaries(st.sampled_from([*FIGURE["axes"][0]]), TREES, max_size=3), TREES)
@example({"lines": np.zeros(3)}, None)
def test_any_figures_are_some_or_are_refused(axes, cell):
    answered("figures", framed([1, "value", [FIGURE | {"axes": [FIGURE["axes"][0] | axes]}]]))
    answered("figures", framed([1, "value", [FIGURE | {"cell": cell}]]))


@given(ASKED, st.binary(max_size=200))
def test_arbitrary_bytes_for_a_reply_end_the_check(question, raw):
    answered(question, raw)


@given(
    ASKED,
    st.lists(
        st.tuples(st.integers(0, len(framed([1, "value", SEEN])) - 1), st.integers(0, 255)),
        max_size=6,
    ),
)
def test_a_damaged_reply_is_taken_for_what_it_is(question, changes):
    raw = bytearray(framed([1, "value", SEEN]))
    for place, byte in changes:
        raw[place] = byte
    answered(question, bytes(raw))


def test_an_honest_reply_is_taken():
    """The sound ones pass: else the tests above would look at refusals alone."""
    for question, content in {
        "call": 1.0,
        "map": [1.0, 2.0],
        "observe": SEEN,
        "has": True,
        "names": ["model", "gradD"],
        "figures": [FIGURE],
        "set": None,
    }.items():
        with contextlib.ExitStack() as stack:
            ours, theirs = map(stack.enter_context, socket.socketpair())
            theirs.sendall(framed([1, "value", content]))
            stream = Stream(ours, reply_limits=codec.Limits(size=1 << 16))
            wire = Wire(
                stream, Deadline(20.0, stream.peer), represent=Remote, end=lambda stuck: None
            )
            ask, kind = QUESTIONS[question]
            assert isinstance(ask(Student(wire, None, on_close=lambda student: None)), kind)
            wire.close()
