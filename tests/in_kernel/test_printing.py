"""What cells print, on two streams, as it goes to the grader."""

import sys

import pytest

if sys.platform == "win32":
    pytest.skip("kernels use other streams there", allow_module_level=True)

from grader.in_kernel import messages


@pytest.fixture
def outlet(monkeypatch):
    monkeypatch.setattr(messages, "_now", lambda: 1000.0)  # no text waits until it is sent
    outlet = messages.Outlet()
    outlet.record(1 << 20)
    return outlet


def texts(outlet):
    outlet.flush()
    return [(content["name"], content["text"]) for _, _, content, _ in outlet.recorded()]


def test_two_streams_are_sent_in_the_order_in_which_they_were_written(outlet):
    out, err = outlet.printer("stdout"), outlet.printer("stderr")
    for stream, text in [(out, "a"), (out, "b"), (err, "c"), (out, "d"), (err, "e"), (err, "f")]:
        stream.write(text)
    joined = []
    for name, text in texts(outlet):
        if joined and joined[-1][0] == name:
            text = joined.pop()[1] + text
        joined.append((name, text))
    assert joined == [("stdout", "ab"), ("stderr", "c"), ("stdout", "d"), ("stderr", "ef")]


def test_a_loop_that_writes_to_both_does_not_send_a_message_for_each_line(outlet):
    out, err = outlet.printer("stdout"), outlet.printer("stderr")
    for n in range(1000):
        out.write(f"{n}\n")
        err.write(f"{n}\n")
    sent = texts(outlet)
    assert len(sent) < 250
    for stream in ("stdout", "stderr"):
        text = "".join(text for name, text in sent if name == stream)
        assert text == "".join(f"{n}\n" for n in range(1000))
