"""`grade review` in a real browser: two graders, the keyboard alone, from the first open answer to
the filled worksheet, along docs/reviewing.md; and pages that everyone can read.
"""

import csv
import io
import re
from importlib import resources
from pathlib import Path

import pytest

import grader
from grader.cli.commands import run as run_command
from grader.records import Derivation, DerivationReached, DerivationStep, ExerciseScore, Origin
from grader.review import marking, rubric
from grader.review.history import changes
from grader.review.rights import Grader

from .conftest import PROMPT, result_of

pytestmark = pytest.mark.slow
GUIDE = Path(grader.__file__).parents[1] / "docs" / "reviewing.md"
COUNT = 30
WIDTHS = {"wide": 1280, "phone": 390}


@pytest.fixture
def come_in(browser):
    """come_in(review, grader, theme, width) -> that grader's page, the class open."""
    contexts = []

    def enter(review, grader=None, theme="light", width="wide", **options):
        context = browser.new_context(
            color_scheme=theme, viewport={"width": WIDTHS[width], "height": 900}, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(review.address(grader or review.graders[0]))
        page.wait_for_selector("#students")
        return page

    yield enter
    for context in contexts:
        context.close()


def moodle(number):
    return Origin("moodle", f"Student {number:03}", {"participant": str(1000 + number)})


@pytest.fixture
def thirty(empty):
    """A class that handed in by Moodle; one of them left the prompt as it was."""
    empty.grade(*(
        result_of(n, PROMPT if n == 7 else None, name=f"Student {n:03}", origin=moodle(n))
        for n in range(COUNT)
    ))  # fmt: skip
    return empty


# --- an afternoon -------------------------------------------------------------------------------


def keys_of_the_guide():
    return re.findall(r"^\| `(.)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)


class Keyboard:
    """A grader who has no mouse."""

    def __init__(self, page):
        self.page = page
        self.wrong = []
        page.on("pageerror", lambda error: self.wrong.append(str(error)))

    def press(self, key):
        self.page.keyboard.press(key)

    def goes_on(self, key="n"):
        """Press it, and wait for another page."""
        before = self.page.url
        self.press(key)
        self.page.wait_for_url(lambda url: url != before)
        self.page.wait_for_selector("h1")

    def add_item(self, words, points):
        # As the guide has it, whether the form is open already or not.
        self.press("+")
        self.page.wait_for_selector("#new-words:focus")
        self.page.keyboard.type(words)
        self.press("Tab")
        self.page.keyboard.type(points)
        self.press("Enter")
        self.page.wait_for_selector(f".item:has-text('{words}')")
        self.page.evaluate("document.activeElement.blur()")

    def pressed(self, place):
        return self.page.get_attribute(f"[data-key='{place}']", "aria-pressed") == "true"

    def mark(self, place):
        """Press a digit, and wait until the item applies; or until somebody else was quicker."""
        self.press(str(place))
        there = f"[data-key='{place}'][aria-pressed='true'], #merge"
        self.page.wait_for_selector(there, state="attached")

    def nothing_waits(self):
        return (
            "Nothing waits for you" in (self.page.text_content("#said") or "")
            if (self.page.query_selector("#said"))
            else False
        )


def test_two_graders_with_keyboards_alone_fill_the_worksheet(
    thirty, serve, come_in, monkeypatch, tmp_path
):
    assert keys_of_the_guide() == ["n", "+", "1", "c", "s", "n"]
    review = serve(thirty, Grader("ann"), Grader("ben"))
    ann, ben = (Keyboard(come_in(review, grader)) for grader in review.graders)

    # Ann begins as the guide has it.
    ann.goes_on("n")
    ann.add_item("says why", "3")
    ann.add_item("gives an example", "2")
    ann.mark(1)
    assert ann.page.text_content("#score strong") == "3"
    ann.press("c")
    ann.page.keyboard.type("Where does 1 come from? n")  # keys write in a field
    ann.press("Control+Enter")
    ann.page.wait_for_selector("#said:has-text('The comment is kept.')")
    ann.press("s")
    ann.page.wait_for_selector("#compared[open] >> text=The solution.")
    # Who listens hears the points.
    ann.page.wait_for_selector("#live:has-text('3 of 5')", state="attached")
    ann.page.evaluate("document.activeElement.blur()")

    # Ben sees her rubric, and both go through the rest side by side, each in an own order.
    ben.goes_on("n")
    graders, rounds = [ann, ben], 0
    while not all(one.nothing_waits() for one in graders):
        for one in graders:
            if one.nothing_waits():
                continue
            if not one.pressed(1) and not one.pressed(2):
                one.mark(1 + rounds % 2)
            one.goes_on("n")
        rounds += 1
        assert rounds <= COUNT
    assert ann.wrong == ben.wrong == []
    shares = {c.grader for c in changes(thirty.store, "toy", limit=500) if c.what == "marked"}
    assert shares == {"ann", "ben"}

    # The end: the worksheet and the students' pages.
    sheet = 'Identifier,"Full name",Grade,"Maximum grade","Feedback comments"\r\n' + "".join(
        f'"Participant {1000 + n}","Student {n:03}",,9.00,\r\n' for n in range(COUNT)
    )
    (tmp_path / "Grades-regression.csv").write_text(sheet, newline="")
    monkeypatch.setenv("GRADE_RESULTS", str(thirty.file))
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"^\$ grade (results latest --fill .*)$", GUIDE.read_text(), re.M)
    assert run_command(command.split()) == 0
    filled = (tmp_path / "Grades-regression-graded.csv").read_text()
    marks = [float(row["Grade"]) for row in csv.DictReader(io.StringIO(filled))]
    expected = [thirty.judged(n).score for n in range(COUNT)]
    assert marks == expected
    assert marks[7] == 4.0  # not answered
    assert {6.0, 7.0} == set(marks) - {4.0}
    assert (tmp_path / "feedback-toy.zip").is_file()


def test_keys_that_are_switched_off_do_nothing(thirty, serve, come_in):
    page = come_in(serve(thirty))
    page.click("#keys-switch button")
    page.wait_for_selector("body[data-keys='off']")
    before = page.url
    page.keyboard.press("n")
    page.keyboard.press("?")
    page.wait_for_timeout(300)
    assert page.url == before


def test_digits_pressed_faster_than_the_server_answers_are_all_kept(thirty, serve, come_in, until):
    item = [rubric.add_item(thirty.store, "toy", "2-words", f"item {n}", 0.5, grader="ann")
            for n in range(5)]  # fmt: skip
    page = come_in(serve(thirty))
    page.goto(f"{page.url.rstrip('/')}/q/1/0")
    for key in "1234513":
        page.keyboard.press(key)
    left = {item[1], item[3], item[4]}
    until(lambda: marking.grading_of(thirty.store, thirty.answer(0)).version == 7)
    assert marking.grading_of(thirty.store, thirty.answer(0)).items == left


def test_two_on_one_answer_see_both_and_choose(thirty, serve, come_in):
    rubric.add_item(thirty.store, "toy", "2-words", "says why", 2.0, grader="ann")
    review = serve(thirty, Grader("ann"), Grader("ben"))
    pages = [come_in(review, grader) for grader in review.graders]
    for page in pages:
        page.goto(f"{review.base}/q/1/0")
    pages[0].keyboard.press("1")
    pages[0].wait_for_selector("[aria-pressed='true']")
    pages[1].keyboard.press("c")
    pages[1].keyboard.type("Mine.")
    pages[1].keyboard.press("Control+Enter")
    pages[1].wait_for_selector("text=Somebody else has changed this answer")
    pages[1].click("text=Do it, on top of theirs")
    pages[1].wait_for_selector("#said:has-text('The comment is kept.')")
    assert thirty.exercise(0).judgement.comment == "Mine."
    assert thirty.exercise(0).points == 2.0


def test_without_scripts_all_of_it_works_by_links_and_buttons(thirty, serve, come_in):
    page = come_in(serve(thirty), java_script_enabled=False)
    page.click("#todo-1")
    page.fill("#new-words", "says why")
    page.fill("#new-points", "2")
    page.click("#add button")
    page.click(".item")
    assert page.text_content("#score strong") == "2"
    page.click("#next")
    assert "28 of 30" in page.text_content("nav.steps")  # one is done, one was not answered


# --- for everyone -------------------------------------------------------------------------------

PATHS = {"class": "/", "words": "/q/1/0", "code": "/q/0/0", "derivation": "/q/2/0",
         "alike": "/q/0/alike?by=trace", "insight": "/insight", "likeness": "/likeness?pair=0",
         "history": "/history", "graders": "/graders", "keys": "/keys"}  # fmt: skip


@pytest.fixture
def full(empty):
    """A class in which every page has all that it can have."""
    step = DerivationStep(4, 1, "a", "=", "b", "differs", remark="at b = 2 the sides differ",
                          left_value="1", right_value="2")  # fmt: skip
    derived = ExerciseScore("3-derive", "Derive", 0.0, 4.0, "manual", derivation=Derivation(
        (step,), (DerivationReached("s(1-s)", 4.0, True, line=4, steps=2),)))  # fmt: skip
    odd = "# no idea why this minus works here\nscaled_residual = -x\nreturn 9"
    results = []
    for n in range(6):
        one = result_of(n, passed=n > 2, trace="t" if n < 3 else "", code=odd if n < 2 else None)
        late = Origin(late=n == 1)
        results.append(one.__class__(**{
            **{f: getattr(one, f) for f in one.__dataclass_fields__},
            "exercises": (*one.exercises, derived), "origin": late, "manual_points": 9.0,
        }))  # fmt: skip
    refused = results[0].__class__("broken.zip", (), "refused", "the zip is cut off")
    empty.grade(*results, refused)
    offered = {"says why": 2.0, "an example": 1.5, "a sign is lost": -1.0}
    items = [rubric.add_item(empty.store, "toy", "2-words", words, points, grader="ann")
             for words, points in offered.items()]  # fmt: skip
    marking.change(empty.store, empty.answer(0), grader="ann", items=items[:2],
                   comment="Good.", done=True)  # fmt: skip
    return empty


def look(page, review, name, *, axe=True):
    page.goto(f"{review.base}{PATHS[name]}")
    for fold in page.query_selector_all("details:not([open])"):
        fold.evaluate("one => { one.open = true }")


@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page_and_nothing_runs_over_the_side(
    full, serve, come_in, theme, width
):
    review = serve(full)
    # The pages forbid scripts of others; axe is one.
    page = come_in(review, theme=theme, width=width, bypass_csp=True)
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
    wrong = []
    for name in PATHS:
        look(page, review, name)
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        wrong += [(name, one["id"], node["html"][:150], node["failureSummary"][:200])
                  for one in found["violations"] for node in one["nodes"]]  # fmt: skip
        assert len(found["passes"]) > 10  # it did look
        if page.evaluate("document.documentElement.scrollWidth") > WIDTHS[width]:
            wrong.append((name, "runs over the side", "", ""))
    assert wrong == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(full, serve, come_in):
    review = serve(full)
    page = come_in(review)
    page.goto(f"{review.base}{PATHS['words']}")
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        where, outline = page.evaluate(
            "() => { const e = document.activeElement;"
            " return [e.id || e.tagName, getComputedStyle(e).outlineStyle] }"
        )
        seen.add(where)
        assert where == "BODY" or outline != "none", where
    assert {"next", "code", "comment-text"} <= seen
    assert any(where.startswith("item-") for where in seen)
