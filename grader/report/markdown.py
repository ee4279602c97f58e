"""A student's Markdown as inert HTML: no raw HTML, no links, nothing is loaded.

markdown-it-py parses it with HTML switched off. Then the tokens are changed: links and pictures
become text, with their words and addresses. Headings stay below those of the page, and no level is
left out. Attributes that the student wrote are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererProtocol
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from grader.text import printable

# A page's own headings go down to h3.
_LOWEST_OF_PAGE = 3
# A longer text is shown as typed. The lines are limited, too: a long table with many columns takes
# much time.
LIMIT = 20_000
_MAX_LINES = 1000


def rendered(text: str, *, formula: Callable[[str], str] | None = None) -> Markup:
    """Return the text as HTML; as typed if it is longer than LIMIT or nested too deep.

    formula : returns safe HTML of a formula's LaTeX; None to show the LaTeX itself
    """
    shown = printable(text, LIMIT)
    if len(text) > LIMIT or shown.count("\n") > _MAX_LINES:
        return _as_typed(shown)
    try:
        tokens = _reader().parse(shown)
        return Markup(
            _reader().renderer.render(_inert(tokens), _reader().options, {"formula": formula})
        )
    except RecursionError:
        return _as_typed(shown)


def _as_typed(text: str) -> Markup:
    return Markup('<pre class="text" tabindex="0">{}</pre>').format(text)


@cache
def _reader() -> MarkdownIt:
    # typographer and linkify are off: they guess.
    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    reader.use(dollarmath_plugin, double_inline=True, allow_labels=False)
    for kind in ("math_inline", "math_inline_double", "math_block"):
        reader.add_render_rule(kind, _formula)
    return reader


def _formula(
    renderer: RendererProtocol,
    tokens: Sequence[Token],
    number: int,
    options: OptionsDict,
    env: EnvType,
) -> str:
    """Return a formula as its source, which can't mislead a grader as a wrong rendering could.

    A page that wants it rendered shows the source as well.
    """
    block, latex = tokens[number].type == "math_block", tokens[number].content.strip()
    if (made := env.get("formula")) is not None:
        tag = "div" if block else "span"
        return f'<{tag} class="math">{made(latex)}</{tag}>'
    tag = "pre" if block else "span"
    source = Markup("<code>{}</code>").format(latex)
    return f'<{tag} class="math">{source}</{tag}>'


def _inert(tokens: list[Token]) -> list[Token]:
    """Return the tokens without links, pictures and the student's attributes."""
    inert: list[Token] = []
    addresses: list[str] = []  # of the links that are open
    headings: list[str] = []  # the headings above the current one, and itself
    for token in tokens:
        address = str(token.attrs.get("href") or token.attrs.get("src") or "")
        start = token.attrs.get("start") if token.type == "ordered_list_open" else None
        token.attrs = {} if not isinstance(start, int) else {"start": min(start, 10**6)}
        token.info = ""  # the language of a code block would become a class
        if token.type == "heading_open":
            while headings and headings[-1] >= token.tag:
                headings.pop()
            headings.append(token.tag)
        if token.type in ("heading_open", "heading_close"):
            # No level is left out, for screen readers, even if the student's text leaves one out.
            token.tag = f"h{min(6, _LOWEST_OF_PAGE + len(headings))}"
        if token.children is not None:
            token.children = _inert(token.children)
        if token.type == "link_open":
            addresses.append(address)
        elif token.type == "link_close":
            inert.append(_text(f" ({addresses.pop()})"))
        elif token.type == "image":
            words = "".join(child.content for child in token.children or ())
            inert.append(_text(f"[picture: {words}]"))
        else:
            inert.append(token)
    return inert


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
