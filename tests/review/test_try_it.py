"""Code tried in a student's closed process, with a real kernel."""

import html
import re
from dataclasses import replace

import pytest

from grader.errors import ReviewError
from grader.records import Limits
from grader.review.try_it import MAX_CODE, Tryout

from .conftest import assignment_of, result_of


@pytest.fixture(scope="module")
def tryout(tmp_path_factory):
    assignment = assignment_of(tmp_path_factory.mktemp("assignment"))
    made = Tryout(replace(assignment, limits=Limits(cell_s=5, notebook_s=30)))
    yield made
    made.close()


def run(tryout, box, **options):
    return tryout.run(result_of(0, **options), "toy.ipynb", box)


def test_what_the_notebook_left_is_there(tryout):
    tried = run(tryout, "print('twice', double(21))")
    assert (tried.status, tried.text.strip()) == ("ok", "twice 42")


def test_the_value_of_the_last_line_is_shown(tryout):
    assert run(tryout, "double(4)").text.strip() == "8"


def test_a_figure_is_shown(tryout):
    tried = run(tryout, "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()")
    (figure,) = tried.figures
    assert figure.uri.startswith("data:image/png;base64,")


def test_an_error_is_told_in_a_line(tryout):
    tried = run(tryout, "double()")
    assert tried.status == "error"
    assert "TypeError" in tried.error


def test_each_try_begins_where_the_notebook_ended(tryout):
    run(tryout, "left = 1")
    assert "NameError" in run(tryout, "left").error


def test_a_notebook_that_breaks_is_tried_as_far_as_it_came(tryout):
    tried = run(tryout, "double(2)", code="return 2 * x\nraise SystemError('x')")
    assert tried.text.strip() == "4"
    assert any("did not run to their end" in note for note in tried.notes)


@pytest.mark.parametrize("code", ["", "  \n", "x" * (MAX_CODE + 1)])
def test_nothing_and_too_much_are_told(tryout, code):
    with pytest.raises(ReviewError, match=r"write some code|can be tried"):
        run(tryout, code)


def test_a_submission_without_that_notebook_is_told(tryout):
    with pytest.raises(ReviewError, match=r"there is no other\.ipynb"):
        tryout.run(result_of(0), "other.ipynb", "1")


def test_the_page_shows_what_came_and_keeps_the_code(klass, visit):
    klass = klass(1)
    visitor = visit(klass)
    status, _, body = visitor.ask("/q/0/0/try", {"code": "print('<b>', double(5))"})
    assert status == 200
    shown = html.unescape(re.search(r'id="tried".*?<pre[^>]*>(.*?)</pre>', body, re.DOTALL)[1])
    assert shown.strip() == "<b> 10"
    assert "print(&#39;&lt;b&gt;&#39;, double(5))</textarea>" in body
    assert "Nothing yet." in visitor.page("/history")


def test_where_the_assignment_is_not_at_hand_that_is_told(klass, visit):
    visitor = visit(klass(1), assignment=None)
    status, _, body = visitor.ask("/q/0/0/try", {"code": "1"})
    assert (status, "to run" in body) == (400, True)
