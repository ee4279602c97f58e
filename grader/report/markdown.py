"""A student's Markdown as HTML that does nothing: no raw HTML, no link, nothing loaded.

markdown-it-py reads it, with HTML switched off. What it gives is walked token by token: links and
pictures become their words and addresses as text, headings stay below those of the page,
without a level left out, and no
attribute of the student's remains.
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
# A longer text is not an answer to read: it is shown as it was typed. A table of many lines takes
# its time, since each of them has every column.
LIMIT = 20_000
_MAX_LINES = 1000


def rendered(text: str, *, formula: Callable[[str], str] | None = None) -> Markup:
    """Return the text as HTML; longer than LIMIT, or nested too deep, as the text that it is.

    formula : makes harmless HTML of a formula's LaTeX; None to show the LaTeX itself
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
    """Return a formula as its source: rendered wrongly it would mislead who grades it.

    Who asks for it rendered shows the source as well.
    """
    block, latex = tokens[number].type == "math_block", tokens[number].content.strip()
    if (made := env.get("formula")) is not None:
        tag = "div" if block else "span"
        return f'<{tag} class="math">{made(latex)}</{tag}>'
    tag = "pre" if block else "span"
    source = Markup("<code>{}</code>").format(latex)
    return f'<{tag} class="math">{source}</{tag}>'


def _inert(tokens: list[Token]) -> list[Token]:
    """Return the tokens without anything that leads away, loads, or has a student's attribute."""
    kept: list[Token] = []
    leads_to: list[str] = []
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
            # No level is left out, whichever the student began with: screen readers tell levels.
            token.tag = f"h{min(6, _LOWEST_OF_PAGE + len(headings))}"
        if token.children is not None:
            token.children = _inert(token.children)
        if token.type == "link_open":
            leads_to.append(address)
        elif token.type == "link_close":
            kept.append(_text(f" ({leads_to.pop()})"))
        elif token.type == "image":
            words = "".join(child.content for child in token.children or ())
            kept.append(_text(f"[picture: {words}]"))
        else:
            kept.append(token)
    return kept


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
