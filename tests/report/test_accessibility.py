"""The pages for everyone: contrast, headings, tables, keyboard; in light and dark, wide and narrow.

The browser is a Chromium on the PATH (GRADE_BROWSER=required fails without one); axe-core comes
with a Python package, so nothing is fetched.
"""

import itertools
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from grader.records import Cell, Derivation, DerivationStep, ExerciseScore
from grader.report import html_page

WIDTHS = {"wide": 1200, "phone": 360}
STYLE = Path(html_page.__file__).with_name("style.css.j2").read_text(encoding="utf-8")


# --- contrast, computed from the style sheet ----------------------------------------------------


def palettes():
    """Return the colours of the light, the dark and the printed page, {"light": {name: hex}}."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    found = [dict(re.findall(r"--([\w-]+): (#\w+)", block)) for block in blocks]
    return dict(zip(("light", "dark", "print"), found, strict=True))


def luminance(colour):
    """Return the relative luminance as WCAG 2.2 defines it."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_computed_as_wcag_has_it():
    assert contrast("#000", "#fff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#1f8a4c", "#ffffff") < 4.5


PAIRS = [
    *itertools.product(("ink", "soft", "link"), ("paper", "card", "code", "track")),
    *itertools.product(("good", "part", "bad", "open"), ("paper", "card")),
    *((tone, f"{tone}-wash") for tone in ("good", "part", "bad", "open")),
    *itertools.product(("ink", "soft"), ("good-wash", "part-wash", "bad-wash", "open-wash")),
    *itertools.product(("keyword", "string", "number", "comment", "name"), ("code",)),
]


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_every_text_stands_out_from_its_ground(theme, text, ground):
    colours = palettes()[theme]
    assert contrast(colours[text], colours[ground]) >= 4.5


# --- the pages in a browser ---------------------------------------------------------------------


@pytest.fixture
def look(browser, tmp_path):
    """look(html, theme, width) -> the page, opened in the browser."""
    contexts = []

    def open_page(html, theme="light", width="wide"):
        file = tmp_path / f"{len(contexts)}.html"
        file.write_text(html, encoding="utf-8")
        # The pages forbid scripts; axe is one.
        context = browser.new_context(
            color_scheme=theme,
            viewport={"width": WIDTHS[width], "height": 900},
            bypass_csp=True,
            offline=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


ANSWER = """\
# Momentum

It *averages* gradients, see [a page](https://example.org):

1. `v = b * v + g`
2. the step is $-a v$

| step | cost |
|---|---|
| 1 | 0.5 |

> quoted
"""


@pytest.fixture
def whole(result, report):
    """A report with an answer in Markdown and a derivation: everything that a page can hold."""
    steps = (
        DerivationStep(4, 1, "a", "=", "b + 1", "follows"),
        DerivationStep(4, 2, "b + 1", "=", "c", "differs", remark="at b = 2 the sides differ"),
    )
    derived = ExerciseScore(
        "5-derive", "Derive it", 0.0, 4.0, "manual", derivation=Derivation(steps=steps)
    )
    evidence = replace(result.evidence, answers={"4-review": (Cell(9, "markdown", ANSWER),)})
    full = replace(result, evidence=evidence, exercises=(*result.exercises, derived))
    return replace(report, results=(full,))


def pages_of(whole, several):
    return {
        "page": html_page.render_page(whole, whole.results[0]),
        "refused": html_page.render_page(several, several.results[1]),
        "index": html_page.render_index(several, ["a.html", "b.html", "c.html"]),
    }


@pytest.mark.slow
@pytest.mark.parametrize("width", list(WIDTHS))
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ["page", "refused", "index"])
def test_axe_finds_nothing(look, whole, several, name, theme, width):
    page = look(pages_of(whole, several)[name], theme, width)
    axe = resources.files("axe_playwright_python") / "axe.min.js"
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")
    wrong = [
        (one["id"], node["html"][:200]) for one in found["violations"] for node in one["nodes"]
    ]
    assert wrong == []
    assert len(found["passes"]) > 10  # it did look


@pytest.mark.slow
def test_axe_would_find_a_table_without_a_header_and_a_pale_text(look):
    page = look(
        "<!doctype html><html><title>x</title><p style='color: #aaa; background: #fff'>pale"
    )
    axe = resources.files("axe_playwright_python") / "axe.min.js"
    page.evaluate(axe.read_text(encoding="utf-8"))
    found = {one["id"] for one in page.evaluate("axe.run()")["violations"]}
    assert {"color-contrast", "html-has-lang"} <= found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["page", "refused", "index"])
def test_on_a_phone_nothing_runs_over_the_side(look, whole, several, name):
    page = look(pages_of(whole, several)[name], "light", "phone")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= WIDTHS["phone"]


@pytest.mark.slow
def test_a_page_is_read_by_keyboard_alone(look, whole, several):
    """Each press of Tab moves on, shows where it is, and reaches the last fold of the page."""
    page = look(pages_of(whole, several)["page"])
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                "() => { const e = document.activeElement;"
                " return [e.tagName, getComputedStyle(e).outlineStyle] }"
            )
        )
    focused = [tag for tag, _ in reached if tag != "BODY"]
    assert {"A", "SUMMARY", "DIV"} <= set(focused)
    assert all(outline != "none" for tag, outline in reached if tag != "BODY")


# --- what holds without a browser ---------------------------------------------------------------


def test_every_column_has_a_header_with_words(whole, several):
    for html in pages_of(whole, several).values():
        for table in re.findall(r"<table>.*?</table>", html, re.DOTALL):
            head = re.search(r"<thead>(.*?)</thead>", table, re.DOTALL)
            assert head, table[:200]
            headers = re.findall(r"<th\b([^>]*)>(.*?)</th>", head[1], re.DOTALL)
            assert headers
            assert all(re.sub(r"<[^>]*>", "", words).strip() for _, words in headers)


def test_each_check_says_how_it_ended_in_words_and_by_a_mark_in_the_page(whole):
    html = html_page.render_page(whole, whole.results[0])
    assert '<span class="mark" aria-hidden="true">✓</span>' in html
    assert '<span class="mark" aria-hidden="true">✗</span>' in html
    assert '<span class="unseen">failed: </span>' in html
    assert "::before" not in STYLE


def test_links_look_like_links():
    assert "text-decoration: none" not in STYLE
