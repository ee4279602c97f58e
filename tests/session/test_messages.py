"""What comes over a kernel's stream is a message, or its end."""

import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.session.messages import MAX_MESSAGES, Allowance, Client, TooMuch

OUTPUT_BYTES = 4096

ENDS = (
    "it closed its connection",
    "it sent something that is not a message",
    "it sent more than 1 MiB of messages",
)
SOUND = {
    "channel": "iopub",
    "header": {"msg_type": "stream"},
    "parent_header": {"msg_id": "1-x"},
    "metadata": {},
    "content": {"name": "stdout", "text": "x"},
}


def framed(document):
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return len(raw).to_bytes(4, "big") + raw


def heard(raw):
    """Return why a client stopped reading these bytes, and the messages that it took."""
    ours, theirs = socket.socketpair()
    theirs.sendall(raw)
    theirs.close()
    client = Client(ours)
    client.begin_cell(0, OUTPUT_BYTES)
    messages = []
    while not client.broken:
        if (message := client.receive(1.0)) is not None:
            messages.append(message)
    assert client.receive(1.0) is None
    client.close()
    return client.broken, messages


def test_a_sound_message_arrives():
    assert heard(framed(SOUND)) == (
        "it closed its connection",
        [("iopub", "stream", "1-x", {"name": "stdout", "text": "x"})],
    )


def test_a_message_arrives_whole_in_however_many_pieces_it_comes():
    ours, theirs = socket.socketpair()
    client = Client(ours)
    client.begin_cell(0, OUTPUT_BYTES)
    raw = framed(SOUND) * 2
    for end in range(len(raw) - 1):
        theirs.sendall(raw[end : end + 1])
        if end == len(framed(SOUND)) - 1:
            assert client.receive(1.0) is not None
        else:
            assert client.receive(0.0) is None
    theirs.sendall(raw[-1:])
    assert client.receive(1.0) is not None
    client.close()
    theirs.close()


def test_a_request_larger_than_the_sockets_buffers_is_sent_while_the_client_receives():
    ours, theirs = socket.socketpair()
    client = Client(ours)
    number = client.send("execute_request", {"code": "x" * 3_000_000})
    taken = bytearray()
    while len(taken) < 3_000_000:
        assert client.receive(0.0) is None
        taken += theirs.recv(1 << 20)
    assert json.loads(taken[4:])["header"]["msg_id"] == number
    client.close()
    theirs.close()


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{",
        b"[" * 4000,
        b"9" * 4090,
        b'"\xff"',
        {**SOUND, "channel": "shell2"},
        {**SOUND, "channel": ["shell"]},
        {**SOUND, "header": {"msg_type": None}},
        {**SOUND, "header": None},
        {**SOUND, "content": "text"},
        {**SOUND, "parent_header": {"msg_id": 1}},
        {key: SOUND[key] for key in SOUND if key != "metadata"},
        [SOUND],
    ],
)
def test_what_is_no_message_ends_the_reading(document):
    assert (
        heard(framed(SOUND) + framed(document) + framed(SOUND))[0]
        == "it sent something that is not a message"
    )
    assert len(heard(framed(SOUND) + framed(document) + framed(SOUND))[1]) == 1


def test_a_message_that_is_too_long_is_not_read():
    assert heard((2**32 - 1).to_bytes(4, "big") + b"x" * 100) == (ENDS[2], [])


def flood(*frames):
    """Return what is said of these frames when they are counted; "" where it is not too much."""
    allowance = Allowance.of_a_cell(OUTPUT_BYTES)
    try:
        for frame in frames:
            allowance.take_bytes(len(frame))
            allowance.take_nodes(frame)
    except TooMuch as limit:
        return str(limit)
    return ""


def test_messages_are_counted_whatever_they_say():
    many = (b"{}" for _ in range(MAX_MESSAGES + 1))
    assert flood(*many) == f"it sent more than {MAX_MESSAGES} messages"


def test_values_are_counted_before_a_message_is_parsed():
    assert flood(b"[" + b"[]," * 20_000 + b"0]") == "it sent messages of more than 12048 values"


def test_the_commas_of_a_long_text_are_no_values():
    assert flood(json.dumps({"text": 'a "quoted", text\\ [' * 20_000}).encode()) == ""


def test_a_text_that_never_ends_hides_no_values():
    assert flood(b'"' + b"[]," * 20_000) == "it sent messages of more than 12048 values"


@pytest.mark.parametrize("kind", ["stream", "status", "comm_msg", "grade_serve_request", ""])
@pytest.mark.parametrize("parent", ["", "1-x", "another cell's"])
def test_a_flood_ends_the_reading_whatever_its_kind_and_parent(kind, parent):
    message = SOUND | {"header": {"msg_type": kind}, "parent_header": {"msg_id": parent}}
    message["content"] = {"x": [[]] * 1000}
    ended, _ = heard(framed(message) * 20)
    assert ended == "it sent messages of more than 12048 values"


def test_each_cell_has_its_own_allowance():
    ours, theirs = socket.socketpair()
    client = Client(ours)
    for cell in range(3):
        client.begin_cell(cell, OUTPUT_BYTES)
        theirs.sendall(framed(SOUND | {"content": {"x": [[]] * 5000}}))
        assert client.receive(20.0) is not None
    assert client.broken == ""
    client.close()
    theirs.close()


def hold(raw):
    ended, messages = heard(raw)
    assert ended in ENDS
    for message in messages:
        assert type(message.kind) is type(message.request) is str
        assert message.channel in ("shell", "iopub")
        assert type(message.content) is dict


@given(st.binary(max_size=200))
def test_arbitrary_bytes_end_the_reading(raw):
    hold(raw)
    hold(framed(raw))


@given(st.lists(st.tuples(st.integers(0, len(framed(SOUND)) - 1), st.integers(0, 255)), max_size=6))
def test_a_damaged_message_is_read_or_ends_the_reading(changes):
    raw = bytearray(framed(SOUND))
    for place, byte in changes:
        raw[place] = byte
    hold(bytes(raw))


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*SOUND, "msg_type", "msg_id"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.fixed_dictionaries({key: _JSON | st.just(value) for key, value in SOUND.items()}))
def test_any_json_is_a_message_or_ends_the_reading(document):
    hold(framed(document))
