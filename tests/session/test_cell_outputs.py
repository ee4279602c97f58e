"""What a kernel's message becomes in a cell: an output as nbformat has it, or nothing."""

import pytest
from nbformat.v4 import output_from_msg

from grader.session.cell_outputs import CUT, CellOutputs, output_of

SOUND = [
    ("stream", {"name": "stdout", "text": "x"}),
    ("error", {"ename": "E", "evalue": "", "traceback": ["a", "b"]}),
    ("display_data", {"metadata": {}, "data": {"text/plain": "x", "image/png": "aGk="}}),
    ("display_data", {"metadata": {"a": 1}, "data": {"text/html": ["a", "b"]}}),
    ("display_data", {"metadata": {}, "data": {"application/vnd.x+json": {"a": [1]}}}),
    ("execute_result", {"metadata": {}, "data": {"text/plain": "x"}, "execution_count": 3}),
    ("execute_result", {"metadata": {}, "data": {}, "execution_count": None}),
]
FORGED = [
    ("stream", {"name": "stdout", "text": {"a": 1}}),
    ("stream", {"name": 3, "text": "x"}),
    ("stream", {"text": "x"}),
    ("error", {"ename": "E", "evalue": "", "traceback": "a"}),
    ("error", {"ename": "E", "evalue": None, "traceback": []}),
    ("error", {"ename": "E", "evalue": "", "traceback": [1]}),
    ("display_data", {"metadata": [], "data": {}}),
    ("display_data", {"metadata": {}, "data": []}),
    ("display_data", {"metadata": {}, "data": {"text/plain": 3}}),
    ("display_data", {"metadata": {}, "data": {"text/json": {"a": 1}}}),
    ("execute_result", {"metadata": {}, "data": {}, "execution_count": "1"}),
    ("execute_result", {"metadata": {}, "data": {}, "execution_count": -1}),
    ("execute_result", {"metadata": {}, "data": {}}),
]


def message(kind, content):
    return {"msg_type": kind, "header": {"msg_type": kind}, "content": content}


@pytest.mark.parametrize(("kind", "content"), SOUND)
def test_a_message_becomes_the_output_that_nbformat_makes_of_it(kind, content):
    assert output_of(kind, content) == output_from_msg(message(kind, content))


@pytest.mark.parametrize(("kind", "content"), FORGED)
def test_what_is_no_output_is_refused(kind, content):
    with pytest.raises((KeyError, TypeError)):
        output_of(kind, content)


def shown(*messages, limit=10_000):
    """Return the outputs after these messages, each as its text."""
    outputs = CellOutputs(limit)
    for kind, content in messages:
        outputs.take(kind, content)
    return [one.get("text") or one["data"]["text/plain"] for one in outputs.all()]


def printed(text, name="stdout"):
    return "stream", {"name": name, "text": text}


def displayed(text, display_id=None):
    return "display_data", {
        "metadata": {},
        "data": {"text/plain": text},
        "transient": {"display_id": display_id},
    }


def test_what_one_stream_prints_in_a_row_is_one_output():
    messages = [printed("a"), printed("b"), printed("c", "stderr"), printed("d")]
    assert shown(*messages) == ["ab", "c", "d"]


def test_a_cleared_output_is_gone_at_once_or_when_the_next_one_comes():
    assert shown(printed("a"), ("clear_output", {"wait": False})) == []
    assert shown(printed("a"), ("clear_output", {"wait": True})) == ["a"]
    assert shown(printed("a"), ("clear_output", {"wait": True}), printed("b")) == ["b"]
    assert shown(displayed("a"), ("clear_output", {"wait": True}), displayed("b")) == ["b"]


def test_an_output_that_is_displayed_again_shows_the_new_data_in_both_places():
    first, other, again = displayed("1", "x"), displayed("2", "y"), displayed("3", "x")
    assert shown(first, other, again) == ["3", "2", "3"]
    assert shown(first, ("clear_output", {}), other, again) == ["2", "3"]


def changed(text, display_id="x"):
    return "update_display_data", displayed(text, display_id)[1]


def test_a_display_that_is_changed_shows_the_last_content_in_its_place():
    messages = [displayed("1", "x"), printed("a"), changed("2"), changed("3"), changed("4", "y")]
    assert shown(*messages) == ["3", "a"]
    assert shown(displayed("1", "x"), ("clear_output", {}), printed("a"), changed("2")) == ["a"]


@pytest.mark.parametrize("content", [{}, {"data": 7, "metadata": {}}, {"data": {}, "metadata": 1}])
def test_a_change_that_is_no_output_is_refused(content):
    with pytest.raises((KeyError, TypeError)):
        message = "update_display_data", content | {"transient": {"display_id": "x"}}
        shown(displayed("1", "x"), message)


def test_a_change_counts_for_each_place_that_shows_it():
    many = [displayed("1", "x")] * 20
    assert CUT not in shown(*many, limit=20_000)
    outputs = shown(*many, changed("z" * 1000), limit=20_000)
    assert outputs == ["1"] * 20 + [CUT]
    assert shown(displayed("1", "x"), changed("z" * 1000), limit=20_000) == ["z" * 1000]


def test_outputs_beyond_the_limit_are_cut_once():
    messages = [printed("x" * 60), displayed("y" * 60), displayed("z" * 60), printed("w" * 60)]
    assert shown(*messages, limit=100) == ["x" * 60, CUT]


def test_a_message_that_shows_nothing_is_no_output():
    assert shown(("comm_open", {"data": {}}), ("execute_input", {"code": "1"})) == []
