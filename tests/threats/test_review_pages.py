"""What a student made, on every page of `grade review`: text, or a verified picture."""

import base64
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from grader.records import (
    Cell,
    CellRun,
    Derivation,
    DerivationReached,
    DerivationStep,
    ExerciseScore,
    Note,
    Notebook,
    Origin,
    Outcome,
    Place,
    Region,
    Run,
)
from grader.review import marking, rubric

from ..report.conftest import _png
from ..review.conftest import (  # noqa: F401  (fixtures)
    Visitor,
    empty,
    klass,
    result_of,
    serve,
    visit,
)

pytestmark = pytest.mark.any_user

NASTY = (
    "<script>window.hit=1</script><img src=x onerror='window.hit=1'><svg onload=window.hit=1>"
    "<iframe src=//evil.example></iframe><style>*{display:none}</style></textarea></title>"
    "<a href=javascript:window.hit=1>x</a><math href=javascript:window.hit=1>"
    "<form action=//evil.example><input name=do></form> \x1b[31m \u202e {{ 7*7 }} \" ' ` \ud800"
)
MARKDOWN = (
    f"# Review\n\n{NASTY}\n\n[x](javascript:window.hit=1) ![x](http://evil.example/p.png) "
    "<http://evil.example> $\\href{javascript:window.hit=1}{x}$ $\\style{background:url(//e)}{x}$ "
    "$\\class{said}{x}$ $\\text{<script>window.hit=1</script>}$\n\n"
    "$$\\require{a}\\unicode{60}$$\n\n"
    "| a | b |\n|---|---|\n| <b onmouseover=window.hit=1>x</b> | y |\n"
)
SVG = base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg' onload='hit()'/>").decode()
PAGES = ("/", "/q/0/0", "/q/1/0", "/q/2/0", "/q/0/alike?by=diagnosis", "/q/1/alike?by=text",
         "/insight", "/likeness", "/likeness?pair=0", "/history", "/graders", "/keys",
         "/?find=%3Cscript%3E", "/q/1/0?find=%3Cscript%3E&said=%3Cscript%3E",
         "/q/99/0")  # fmt: skip


def nasty_result(number):
    """A student who writes markup wherever one may write."""
    path = NASTY.replace("\ud800", "\udcff") + f"/{number}.zip"
    result = result_of(number, MARKDOWN, passed=False, trace=NASTY, message=NASTY, name=NASTY,
                       path=path, code=f"# {NASTY}\nx = 1")  # fmt: skip
    exercises = [
        replace(e, id=f"{e.id}{NAMED}", title=NAMED, checks=tuple(
            replace(c, exercise=f"{e.id}{NAMED}", name=NAMED, known=NASTY) for c in e.checks))
        for e in result.exercises
    ]  # fmt: skip
    step = DerivationStep(1, 1, NASTY, "=", NASTY, "differs", remark=NASTY, left_value=NASTY,
                          left_mathml=f"<math onclick='hit()'><mi>{'x'}</mi><script>hit()</script>"
                                      "<mi href='javascript:hit()'>y</mi></math>")  # fmt: skip
    derived = ExerciseScore(f"3{NAMED}", NAMED, 0.0, 2.0, "manual", derivation=Derivation(
        (step,), (DerivationReached(NASTY, 2.0, True, line=1, steps=2),), note=NASTY))  # fmt: skip
    first, second = exercises
    outputs = (
        {"output_type": "display_data", "data": {"text/html": NASTY, "image/svg+xml": NASTY,
                                                 "text/plain": NASTY}},
        {"output_type": "display_data", "data": {"image/png": SVG}},
        {"output_type": "display_data", "data": {"image/png": base64.b64encode(_png()).decode()}},
        {"output_type": "stream", "text": NASTY},
        {"output_type": "display_data", "data": {"application/javascript": "window.hit=1"}},
    )  # fmt: skip
    file = f"{NASTY}.ipynb"
    cell = Cell(5, "markdown", MARKDOWN, attachments={NASTY: {"image/png": SVG}})
    evidence = replace(
        result.evidence,
        notebooks={"toy.ipynb": Notebook(file, (Cell(0, "code", NASTY), cell))},
        runs={file: Run((CellRun(0, "error", error=NASTY, outputs=outputs),))},
        regions={first.id: (Region(NASTY, 0, f"# {NASTY} one two three four", "filled"),)},
        answers={second.id: (cell,), derived.id: (cell,)},
        drawn={second.id: (Place(file, 0),)},
    )
    origin = Origin(NASTY, NASTY, {"user": f"{number}{NASTY}"})
    return replace(result, exercises=(first, second, derived), notes=(Note(NASTY, NASTY),),
                   evidence=evidence, origin=origin)  # fmt: skip


@pytest.fixture
def hostile(empty):  # noqa: F811
    """A class of two who are hostile, and marks that quote them."""
    empty.grade(nasty_result(0), nasty_result(1))
    exercise = empty.judged(0).exercises[1].id
    item = rubric.add_item(empty.store, "toy", exercise, NASTY, 1.0, grader=NAMED)
    marking.change(empty.store, empty.answer(0, exercise), grader=NAMED, items=[item],
                   comment=NASTY, adjustment=0.5, reason=NASTY, done=True)  # fmt: skip
    return empty


# What an instructor names is in a file, which holds no half characters.
NAMED = NASTY.replace("\ud800", "")
PICTURES = ("data:image/png;base64,", "data:image/jpeg;base64,")


class Inert(HTMLParser):
    """Fails at whatever on a page could act, load or lead away."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.tags = set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        given = dict(attributes)
        assert tag not in ("iframe", "frame", "object", "embed", "base", "template", "animate",
                           "set", "foreignobject", "use", "video", "audio"), tag  # fmt: skip
        assert tag != "style", "no style but our own file"
        if tag == "script":
            assert given == {"src": f"{self.base}/static/review.js", "defer": None}
        for name, value in attributes:
            assert not name.startswith("on"), (tag, name)
            assert name not in ("style", "srcset", "srcdoc", "xlink:href", "formaction"), (
                tag,
                name,
            )
            if name in ("href", "action"):
                # A link within the page, or one of ours.
                assert value.startswith((f"{self.base}/", "#", "data:,")), (tag, value)
                assert "//" not in value.partition("?")[0] or value == "data:,"
            if name == "src" and tag != "script":
                assert value.startswith(PICTURES), value[:80]


@pytest.mark.parametrize("path", PAGES)
def test_nothing_that_a_student_made_acts_loads_or_leads_away(hostile, visit, path):  # noqa: F811
    visitor = visit(hostile)
    _, _, body = visitor.ask(path)
    parser = Inert(visitor.review.keys.prefix)
    parser.feed(body)
    parser.close()
    assert {"h1", "nav", "main"} <= parser.tags
    assert "\x1b" not in body and "\u202e" not in body
    assert "<script>window" not in body
    assert ">49<" not in body and " 49 " not in body  # what jinja would make of {{ 7*7 }}


@pytest.mark.slow
def test_in_a_browser_nothing_runs_and_nothing_is_asked_of_others(hostile, serve, browser):  # noqa: F811
    review = serve(hostile)
    context = browser.new_context()
    try:
        page = context.new_page()
        asked, dialogs = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.goto(review.address(review.graders[0]))
        page.wait_for_selector("#students")
        for path in PAGES:
            page.goto(f"{review.base}{path}")
            page.wait_for_load_state("load")
            for fold in page.query_selector_all("details:not([open]) > summary"):
                fold.click()
            assert page.evaluate("window.hit") is None, path
            # A page that a style of theirs would empty has its words.
            assert page.inner_text("h1")
        outside = [u for u in asked if not u.startswith((f"{review.base}/", "data:"))]
        assert outside == [] and dialogs == []
    finally:
        context.close()


def test_a_browser_would_notice_what_these_tests_look_for():
    for bad in ("<img src='http://x/'>", "<a href='javascript:1'>", "<b onclick=x>", "<iframe>",
                "<p style='x'>", "<script>x</script>"):  # fmt: skip
        with pytest.raises(AssertionError):
            Inert("/x").feed(bad)


# --- who looks like another -------------------------------------------------------------------

LOOK_ALIKES = ("Anna Meier", "Anna\u00a0Meier", "Аnna Meier", "Anna Meier\u200d", "anna meier")


def test_each_of_several_who_look_alike_has_a_row_and_marks_of_the_own(empty, visit):  # noqa: F811
    empty.grade(*(
        result_of(0, "# Review\n\nThe same.", name=name, path=f"in/{n}/toy.zip",
                  origin=Origin("moodle", name, {"participant": f"100{n}"}) if n < 3 else None)
        for n, name in enumerate(LOOK_ALIKES)
    ))  # fmt: skip
    subjects = {empty.answer(n).subject for n in range(5)}
    assert len(subjects) == 5
    item = rubric.add_item(empty.store, "toy", "2-words", "x", 2.0, grader="ann")
    marking.toggle(empty.store, empty.answer(1), item, grader="ann")
    assert [empty.exercise(n).points for n in range(5)] == [0.0, 2.0, 0.0, 0.0, 0.0]
    rows = visit(empty).page("/").partition("<tbody>")[2]
    assert len(re.findall(r'<th scope="row">', rows)) == 5


def test_a_key_that_is_written_like_json_is_another_key(empty):  # noqa: F811
    ids = ({"user": '1", "email": "a'}, {"user": "1", "email": "a"})
    empty.grade(*(result_of(0, "# Review\n\nThe same.", origin=Origin("canvas", "A", i))
                  for i in ids))  # fmt: skip
    first, second = (empty.answer(n).subject for n in (0, 1))
    assert first != second
    assert json.loads(first)["user"] == ids[0]["user"]


def test_an_outcome_of_a_look_alike_name_is_overruled_for_its_own_student_alone(empty):  # noqa: F811
    from grader.review import overrides

    empty.grade(*(result_of(0, passed=False, name=name, path=f"in/{n}.zip")
                  for n, name in enumerate(LOOK_ALIKES)))  # fmt: skip
    overrides.overrule(empty.store, "toy", "1-code", "doubles", grader="ann", credit=1.0,
                       reason="x", subject=empty.answer(2).subject)  # fmt: skip
    assert [empty.exercise(n, "1-code").points for n in range(5)] == [0, 0, 4, 0, 0]
    assert isinstance(empty.exercise(2, "1-code").checks[0], Outcome)
