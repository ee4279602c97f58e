"""A student's Markdown: rendered, and it does nothing."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.report.markdown import LIMIT, rendered

TAGS = {
    "p", "em", "strong", "s", "code", "pre", "span", "h4", "h5", "h6", "ul", "ol", "li", "hr", "br",
    "blockquote", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {("class", "math"), ("class", "text"), ("tabindex", "0")}


class Read(HTMLParser):
    """Every element, every attribute but the first number of a list, and the text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.text = set(), set(), ""
        self.feed(str(html))  # text added to a Markup would be escaped

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {(k, v) for k, v in attrs if (tag, k) != ("ol", "start")}

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize(
    ("written", "html"),
    [
        ("It *falls* **fast**.", "<p>It <em>falls</em> <strong>fast</strong>.</p>\n"),
        ("# Why", "<h4>Why</h4>\n"),
        ("### Why", "<h4>Why</h4>\n"),
        (
            "## A\n#### B\n##### C\n### D\n# E",
            "<h4>A</h4>\n<h5>B</h5>\n<h6>C</h6>\n<h5>D</h5>\n<h4>E</h4>\n",
        ),
        ("# A\n## B\n### C\n#### D", "<h4>A</h4>\n<h5>B</h5>\n<h6>C</h6>\n<h6>D</h6>\n"),
        ("3. c\n4. d", '<ol start="3">\n<li>c</li>\n<li>d</li>\n</ol>\n'),
        ("`w_1 < 2`", "<p><code>w_1 &lt; 2</code></p>\n"),
        ("so $a_1 b_1 < c$", '<p>so <span class="math"><code>a_1 b_1 &lt; c</code></span></p>\n'),
        ("a < b and b > a", "<p>a &lt; b and b &gt; a</p>\n"),
    ],
)
def test_markdown_is_rendered(written, html):
    assert str(rendered(written)) == html


def test_a_table_has_its_rows_and_no_style_of_its_own():
    html = rendered("| a | b |\n|:--|--:|\n| 1 | 2 |")
    assert "<td>2</td>" in html
    assert "style" not in html


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("[here](http://evil.example/x)", "here (http://evil.example/x)"),
        ("<http://evil.example>", "http://evil.example (http://evil.example)"),
        ("![scan](http://evil.example/i.png)", "[picture: scan]"),
        ("[j](javascript:alert(1))", "[j](javascript:alert(1))"),
        ("[j](data:text/html;base64,AAAA)", "[j](data:text/html;base64,AAAA)"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("<!-- hidden -->", "<!-- hidden -->"),
        ("a **<b onclick=x>** c", "a <b onclick=x> c"),
    ],
)
def test_what_leads_away_or_runs_is_text(written, text):
    read = Read(rendered(written))
    assert read.text.strip() == text
    assert read.tags <= {"p", "strong"}


def test_the_language_of_a_code_block_becomes_no_attribute():
    read = Read(rendered('```python" onload="x\nx = 1\n```'))
    assert read.attributes == set()
    assert read.text.strip() == "x = 1"


PIECES = st.sampled_from(
    ["[", "]", "(", ")", "!", "<", ">", "*", "_", "`", "#", "|", "-", "$", "\\", "&lt;", '"', "'",
     "\n", "\n\n", "    ", "a", "http://e.example", "javascript:", "<script>", "onclick=x",
     "^", "~~", "1. ", "> ", "- ", "{", "}", "%", "\u202e", "\x1b[31m", "&#x6a;"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=60).map("".join))
def test_whatever_is_written_nothing_but_plain_elements_comes_out(written):
    read = Read(rendered(written))
    assert read.tags <= TAGS
    assert read.attributes <= ATTRIBUTES


@pytest.mark.parametrize(
    "written",
    [
        "[" * 19_000,
        "![" * 9_000,
        "> " * 9_000,
        "|x\n" * 6_000,
        "x" * (LIMIT + 1),
        "*a **b " * 2_500,
    ],
    ids=["brackets", "pictures", "quotes", "rows", "long", "stars"],
)
def test_what_is_made_to_take_long_is_shown_all_the_same(written):
    html = rendered(written)
    assert len(html) < 40 * LIMIT
    assert Read(html).tags <= TAGS


def test_a_text_too_long_to_render_is_shown_as_it_was_typed():
    assert rendered("*x*" * LIMIT).startswith('<pre class="text" tabindex="0">*x**x*')
