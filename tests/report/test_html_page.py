"""The HTML pages: read back with a parser, since what a browser would build is what counts."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from grader.records import CellRun, Evidence, Note, Report, Run
from grader.report import html_page

HARMLESS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "div", "p", "strong", "h1",
    "h2", "h3", "bdi", "svg", "circle", "text", "ul", "li", "table", "tr", "th", "td", "a", "span",
    "section", "details", "summary", "code", "pre", "dl", "dt", "dd", "figure", "img",
    "figcaption", "footer", "br",
}  # fmt: skip


class Page(HTMLParser):
    """Every element with its attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(report):
    return Page(html_page.render_page(report, report.results[0]))


def with_images(result, *images):
    outputs = tuple({"output_type": "display_data", "data": {"image/png": i}} for i in images)
    evidence = Evidence(runs={"a.ipynb": Run((CellRun(1, "ok", outputs=outputs),))})
    return Report("pw02", "", 0, (replace(result, evidence=evidence),))


def test_the_page_tells_the_score_every_check_the_code_the_answers_and_the_seed(report):
    text = page_of(report).text
    for told in (
        "Anne Dupont, Jean-Luc Meier",
        "7.5 / 24",
        "cross entropy matches the definition",
        "is the minus sign missing?",
        "return 1 / (1 + np.exp(-z))",
        "NameError: name 'x' is not defined",
        "10 points are open: a person grades them",
        "Momentum *averages* gradients.",
        "seed 0",
        "Changed outside the gaps",
    ):
        assert told in text


def test_a_cell_error_is_told_once_though_a_note_repeats_it(report):
    assert page_of(report).text.count("NameError") == 1


def test_the_page_forbids_scripts_and_loads_nothing(report):
    page = page_of(report)
    policy = page.of("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    assert policy["content"].startswith(
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    )
    assert not page.of("script") and not page.of("link")
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.of("img"))
    assert all(link["href"].startswith("#exercise-") for link in page.of("a"))
    assert "url(" not in html_page.render_page(report, report.results[0])


def test_nothing_that_a_student_writes_becomes_an_element_or_an_attribute(hostile):
    page = page_of(hostile)
    assert {tag for tag, _ in page.elements} <= HARMLESS
    assert not [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert "<script>alert(1)</script>" in page.text
    assert all(
        c.isprintable() or c == "\n" for c in html_page.render_page(hostile, hostile.results[0])
    )


@pytest.mark.parametrize(
    "written",
    [
        '"><meta http-equiv=refresh content="0;url=http://evil.example">',
        "</style><style>tr{display:none}</style>",
        "</pre></details><svg onload=alert(1)>",
        "{{ 7 * 7 }}{% raw %}",
        "<!--",
        "javascript:alert(1)",
    ],
)
def test_markup_in_code_names_and_answers_stays_text(written_everywhere, written):
    page = page_of(written_everywhere(written))
    assert {tag for tag, _ in page.elements} <= HARMLESS
    assert len(page.of("meta")) == 4
    assert len(page.of("style")) == 1
    assert written in page.text


def test_a_png_is_shown_whether_base64_is_one_string_or_many_lines(result, png):
    text = base64.b64encode(png()).decode()
    page = page_of(with_images(result, text, [text[:20] + "\n", text[20:]]))
    assert [base64.b64decode(i["src"].partition(",")[2]) for i in page.of("img")] == [png()] * 2


def test_what_is_no_png_of_a_sane_size_is_left_out_and_counted(result, png):
    def encoded(data):
        return base64.b64encode(data).decode()

    lying = png()[:16] + (50_000).to_bytes(4, "big") * 2 + png()[24:]
    page = page_of(
        with_images(
            result,
            encoded(b"<svg onload=alert(1)>"),
            encoded(png()[:20]),
            encoded(lying),
            encoded(png() + b"\0" * html_page.MAX_FIGURE_BYTES),
            "not base64 !",
            'x" onerror="alert(1)',
            {"deep": "er"},
            None,
        )
    )
    assert not page.of("img")
    assert "Not shown: 8 figures" in page.text


def test_a_page_carries_only_so_many_figures(result, png):
    text = base64.b64encode(png()).decode()
    page = page_of(with_images(result, *[text] * (html_page.MAX_FIGURES + 5)))
    assert len(page.of("img")) == html_page.MAX_FIGURES
    assert "Not shown: 5 figures" in page.text


def test_outputs_of_any_shape_do_not_break_the_page(result):
    outputs = ({}, {"data": None}, {"data": ["image/png"]}, {"data": {"image/png": 7}})
    evidence = Evidence(runs={"a.ipynb": Run((CellRun(1, "ok", outputs=outputs),))})
    page = page_of(Report("a", "", 0, (replace(result, evidence=evidence),)))
    assert "Not shown: 1 figure," in page.text


def test_code_that_does_not_parse_is_shown_all_the_same():
    assert "def (:" in Page(html_page.highlighted("def (:\n  'never closed\n\x00")).text


def test_code_of_any_length_is_cut():
    assert len(html_page.highlighted("x = 1\n" * 1_000_000)) < 1_000_000


def test_a_refused_submission_has_a_page_that_says_why(refused):
    page = page_of(Report("pw02", "", 0, (refused,)))
    assert "refused: the zip is cut off: hand it in again" in page.text
    assert not page.of("table")


def test_a_fault_of_ours_keeps_its_traceback_on_the_page(refused):
    note = Note("traceback", "Traceback\n  KeyError: 3")
    fault = replace(refused, status="grader_fault", notes=(note,))
    assert "Traceback\n  KeyError: 3" in page_of(Report("pw02", "", 0, (fault,))).text


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["Dupont_Anne.zip"], ["Dupont_Anne.html"]),
        (["in/Zoé Ng - O'Neil #2.zip"], ["Zoe-Ng-O-Neil-2.html"]),
        (["a/x.zip", "b/x.zip", "c/X.ipynb"], ["x.html", "x-2.html", "X-3.html"]),
        (["index.zip"], ["index-2.html"]),
        (["../../etc/passwd"], ["passwd.html"]),
        (["..", "...zip", "/"], ["submission.html", "submission-2.html", "submission-3.html"]),
        (["C:\\work\\a.zip"], ["a.html"]),
        (["x\0\n\u202e.zip"], ["x.html"]),
        (["王.zip"], ["submission.html"]),
        (["a" * 300 + ".zip"], ["a" * 80 + ".html"]),
        (["folder/"], ["folder.html"]),
    ],
)
def test_a_page_is_named_after_its_submission_and_nothing_else(paths, names):
    assert html_page.page_names(paths) == names


def test_several_submissions_get_an_index_that_leads_to_their_pages(several, tmp_path):
    files = html_page.write_pages(several, tmp_path / "new" / "pages")
    assert [file.name for file in files] == [
        "Dupont_Anne-Meier_Jean-Luc.html", "broken.html", "odd.html", "index.html",
    ]  # fmt: skip
    index = Page(files[-1].read_text(encoding="utf-8"))
    assert [link["href"] for link in index.of("a")] == [file.name for file in files[:-1]]
    assert "1 of 3 graded" in index.text


def test_one_submission_needs_no_index(report, tmp_path):
    assert len(html_page.write_pages(report, tmp_path)) == 1


def test_the_index_escapes_what_students_wrote(hostile):
    page = Page(html_page.render_index(hostile, ["a.html"]))
    assert {tag for tag, _ in page.elements} <= HARMLESS
    assert "<script>alert(1)</script>" in page.text


def test_bars_get_numbers_alone(report):
    html = html_page.render_page(report, report.results[0])
    assert all(
        re.fullmatch(r"width: [0-9.]+%", style) for style in re.findall(r' style="([^"]*)"', html)
    )
