"""What a kernel's message becomes in a cell: an output as nbformat has it, or nothing."""

import pytest
from nbformat.v4 import output_from_msg

from grader.session.cell_runner import output_of

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
    assert output_of(message(kind, content)) == output_from_msg(message(kind, content))


@pytest.mark.parametrize(("kind", "content"), FORGED)
def test_what_is_no_output_is_refused(kind, content):
    with pytest.raises((KeyError, TypeError)):
        output_of(message(kind, content))
