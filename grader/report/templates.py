"""The jinja2 environment of all HTML reports: every inserted text is escaped."""

from __future__ import annotations

from functools import cache

import jinja2


@cache
def environment() -> jinja2.Environment:
    """Return the environment of the templates beside this file."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("grader", "report"),
        # For all templates: ".html.j2" isn't among jinja2's own suffixes.
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # else each page looks whether a file has changed
    )
