"""The HTML pages: read back with a parser, since what a browser would build is what counts."""

import base64
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from grader.records import Cell, CellRun, Evidence, ExerciseScore, Note, Place, Report, Run
from grader.report import html_page
from grader.report.page_names import page_names

HARMLESS = {
    "html", "head", "meta", "title", "style", "body", "main", "header", "div", "p", "strong", "h1",
    "h2", "h3", "bdi", "svg", "circle", "text", "ul", "li", "table", "tr", "th", "td", "a", "span",
    "section", "details", "summary", "code", "pre", "dl", "dt", "dd", "figure", "img",
    "figcaption", "footer", "br", "thead", "tbody",
    # What a student's Markdown may become.
    "em", "s", "ol", "blockquote", "hr", "h4", "h5", "h6",
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
    assert all(re.match("#(exercise|figure)-", link["href"]) for link in page.of("a"))
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


# --- what a person grades -----------------------------------------------------------------------


def section_of(report, exercise):
    """Return the HTML of one exercise's section."""
    text = html_page.render_page(report, report.results[0])
    (section,) = [s for s in text.split("<section")[1:] if f'<span class="id">{exercise}<' in s]
    return section.partition("</section>")[0]


@pytest.fixture
def answered(result, png):
    """answered(answers, drawn) -> a report: two manual exercises, a figure in cells 3 and 5."""

    def figure(width):
        data = {"image/png": base64.b64encode(png(width)).decode()}
        return ({"output_type": "display_data", "data": data},)

    def made(answers, drawn):
        runs = {"a.ipynb": Run(tuple(CellRun(n, "ok", outputs=figure(n)) for n in (3, 5)))}
        manual = [ExerciseScore(e, "Words", 0.0, 4.0, "manual") for e in ("4-why", "5-how")]
        evidence = Evidence(runs=runs, answers=answers, drawn=drawn)
        changed = replace(result, exercises=tuple(manual), evidence=evidence)
        return Report("pw02", "", 0, (changed,))

    return made


def test_text_and_figures_of_an_answer_stand_beside_its_open_points(answered):
    words = Cell(2, "markdown", "It *falls*.")
    report = answered({"4-why": (words,)}, {"4-why": (Place("a.ipynb", 3),)})
    section = section_of(report, "4-why")
    assert "4 points are open: a person grades them" in section
    assert "It *falls*." in section
    assert 'alt="Figure 1, of cell 3"' in section
    assert 'alt="Figure 2' not in section
    assert "<img" not in section_of(report, "5-how")
    # What belongs to no answer stands at the end.
    text = html_page.render_page(report, report.results[0])
    assert 'alt="Figure 2, of cell 5"' in text.partition("<h2>Figures</h2>")[2]


def test_a_figure_of_two_answers_is_shown_once_and_pointed_at(answered):
    place = (Place("a.ipynb", 3),)
    report = answered({}, {"4-why": place, "5-how": place})
    assert "<img" in section_of(report, "4-why")
    assert 'Shown above: <a href="#figure-1">figure 1</a>' in section_of(report, "5-how")
    assert len(page_of(report).of("img")) == 2


def test_a_picture_pasted_into_an_answer_is_shown_beside_it(answered, png):
    encoded = base64.b64encode(png(7)).decode()
    pasted = Cell(2, "markdown", "![scan](attachment:a)", attachments={"a": {"image/png": encoded}})
    inline = Cell(4, "markdown", f"So: ![my scan](data:image/png;base64,{encoded}) it is.")
    section = section_of(answered({"4-why": (pasted, inline)}, {}), "4-why")
    assert section.count(f'src="data:image/png;base64,{encoded}"') == 2
    assert "So: ![my scan](below) it is." in section


JPEG = (
    bytes.fromhex("ffd8ffe000104a46494600010100000100010000")  # JFIF, 16 bytes
    + bytes.fromhex("ffc0000b080010002001011100")  # a frame 16 high, 32 wide
    + bytes.fromhex("ffd9")
)


def test_a_photograph_is_shown_with_the_size_in_its_header(answered):
    encoded = base64.b64encode(JPEG).decode()
    cell = Cell(2, "markdown", "", attachments={"a.jpg": {"image/jpeg": encoded}})
    (image,) = [
        i
        for i in page_of(answered({"4-why": (cell,)}, {})).of("img")
        if i["src"].startswith("data:image/jpeg;base64,")
    ]
    assert (image["width"], image["height"]) == ("32", "16")


@pytest.mark.parametrize(
    "content",
    [
        JPEG[:25],
        JPEG[:20],
        JPEG[:2] + b"\xff\xe0\x00\x00" * 9,
        JPEG.replace(bytes.fromhex("00100020"), bytes.fromhex("ffffffff")),
        JPEG.replace(bytes.fromhex("00100020"), bytes(4)),
        b"\xff\xd8\xff<script>",
    ],
)
def test_what_is_no_jpeg_of_a_sane_size_is_left_out_and_counted(answered, content):
    encoded = base64.b64encode(content).decode()
    cell = Cell(2, "markdown", "", attachments={"a.jpg": {"image/jpeg": encoded}})
    page = page_of(answered({"4-why": (cell,)}, {}))
    assert len(page.of("img")) == 2
    assert "Not shown: 1 figure" in page.text


def test_outputs_of_any_shape_do_not_break_the_page(result):
    outputs = ({}, {"data": None}, {"data": ["image/png"]}, {"data": {"image/png": 7}})
    evidence = Evidence(runs={"a.ipynb": Run((CellRun(1, "ok", outputs=outputs),))})
    page = page_of(Report("a", "", 0, (replace(result, evidence=evidence),)))
    assert "Not shown: 1 figure," in page.text


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
        (["in/Zoé Ng - O'Neil #2.zip"], ["Zoé-Ng-O-Neil-2.html"]),
        (["in/Ελένη_Παπαδοπούλου.zip"], ["Ελένη_Παπαδοπούλου.html"]),
        (
            ["सुनीता शर्मा.ipynb", "นิดา.zip", "Łukasz.py"],
            ["सुनीता-शर्मा.html", "นิดา.html", "Łukasz.html"],
        ),
        # One name, composed and not; and with case ignored, ß is ss.
        (["Zoe\u0301.zip", "b/Zo\u00e9.zip"], ["Zo\u00e9.html", "Zo\u00e9-2.html"]),
        (["Groß.zip", "GROSS.zip"], ["Groß.html", "GROSS-2.html"]),
        (["con.zip", "LPT1.ipynb"], ["submission-con.html", "submission-LPT1.html"]),
        (["Ann\u202egnp.zip", "a\u200bb.zip"], ["Ann_gnp.html", "a_b.html"]),
        (["a/x.zip", "b/x.zip", "c/X.ipynb"], ["x.html", "x-2.html", "X-3.html"]),
        (["index.zip"], ["index-2.html"]),
        (["../../etc/passwd"], ["passwd.html"]),
        (["..", "...zip", "/"], ["submission.html", "submission-2.html", "submission-3.html"]),
        (["C:\\work\\a.zip"], ["a.html"]),
        (["x\0\n\u202e.zip"], ["x.html"]),
        (["王.zip"], ["王.html"]),
        (["王" * 300 + ".zip"], ["王" * 66 + ".html"]),
        (["a" * 300 + ".zip"], ["a" * 80 + ".html"]),
        (["folder/"], ["folder.html"]),
    ],
)
def test_a_page_is_named_after_its_submission_and_nothing_else(paths, names):
    assert page_names(paths) == names


def test_on_a_system_with_an_old_encoding_a_page_s_name_is_ascii(monkeypatch):
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso-8859-1")
    assert page_names(["Zoé.zip", "Ελένη.zip"]) == ["Zoé.html", "submission.html"]


def written(report, folder):
    """The files of all its pages, written one by one as a batch does."""
    pages = html_page.Pages(folder, report, [result.path for result in report.results])
    files = [pages.write(number, result) for number, result in enumerate(report.results)]
    return files + pages.write_index(report)


def test_several_submissions_get_an_index_that_leads_to_their_pages(several, tmp_path):
    files = written(several, tmp_path / "new" / "pages")
    assert [file.name for file in files] == [
        "Dupont_Anne-Meier_Jean-Luc.html", "broken.html", "odd.html", "index.html",
    ]  # fmt: skip
    index = Page(files[-1].read_text(encoding="utf-8"))
    assert [link["href"] for link in index.of("a")] == [file.name for file in files[:-1]]
    assert "1 of 3 submissions graded, 1 open" in index.text
    assert "the zip is cut off: hand it in again" in index.text


def test_one_submission_needs_no_index(report, tmp_path):
    assert len(written(report, tmp_path)) == 1


def test_the_index_escapes_what_students_wrote(hostile):
    page = Page(html_page.render_index(hostile, ["a.html"]))
    assert {tag for tag, _ in page.elements} <= HARMLESS
    assert "<script>alert(1)</script>" in page.text


def test_bars_get_numbers_alone(report):
    html = html_page.render_page(report, report.results[0])
    assert all(
        re.fullmatch(r"width: [0-9.]+%", style) for style in re.findall(r' style="([^"]*)"', html)
    )


def test_whose_checks_ran_and_from_where_stands_on_every_page(report):
    assert "checks of" not in page_of(report).text
    seen = replace(report, checks_from="/home/<b>me</b>/reference/pw02")
    assert "checks of /home/<b>me</b>/reference/pw02" in page_of(seen).text
    index = Page(html_page.render_index(seen, ["a.html"]))
    assert "checks of /home/<b>me</b>/reference/pw02" in index.text
