"""A submission that answers otherwise when it is asked again: to be told another mistake, to stand
in a group with better students. What was judged stays judged."""

import pytest

pytestmark = pytest.mark.any_user

ONCE = """
import os
first = not os.path.exists("asked before")
open("asked before", "w").close()
if first:
    return 0 * z - 3
"""
AGAIN = {
    "a known mistake's answers": "return 1 / (1 + np.exp(z))",
    "an error": "raise KeyError('a group of its own')",
    "no end": "while True: pass",
    "texts": "return 'x' * 10**6",
    "deep lists": "deep = []\nfor _ in range(200): deep = [deep]\nreturn deep",
    "the end of the process": "os._exit(0)",
}


@pytest.fixture(scope="module")
def forged(toy):
    zips = {
        title: toy.half(name=title.replace(" ", "_"), sigmoid=ONCE + again)
        for title, again in AGAIN.items()
    }
    graded = toy.grade(*zips.values())
    return {title: graded[path.stem] for title, path in zips.items()}


@pytest.mark.parametrize("title", AGAIN)
def test_other_answers_to_a_second_question_earn_nothing(forged, title):
    submission = forged[title]
    assert submission["status"] == "graded"
    (sigmoid,) = [e for e in submission["exercises"] if e["id"] == "sigmoid"]
    assert sigmoid["points"] == 0
    # The message is of the values that were judged.
    assert "-3" in sigmoid["checks"][0]["message"]
