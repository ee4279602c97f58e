"""How Sphinx builds the documentation: `nox -s docs`. Nothing is fetched."""

import grader

project = "grade"
author = "The grade maintainers"
copyright = "The grade maintainers"
version = release = grader.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = f"grade {release}"
exclude_patterns = ["_build"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
# Files of the examples and console sessions, which no lexer knows.
suppress_warnings = ["misc.highlighting_failure"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Docstrings state shapes and errors in columns: they are shown as they are written.
nitpicky = False


def show_as_written(app, what, name, obj, options, lines):
    """Keep a docstring's first sentence as prose, and its columns as they stand in the source."""
    if "" not in lines:
        return
    first = lines.index("")
    columns = "\n".join(lines[first:]).strip("\n")
    if columns:
        lines[first:] = ["", "::", "", *(f"    {line}" for line in columns.split("\n")), ""]


def setup(app):
    app.connect("autodoc-process-docstring", show_as_written)
