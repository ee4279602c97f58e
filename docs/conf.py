"""How Sphinx builds the documentation: `nox -s docs`. Nothing is fetched."""

import click
from docutils import nodes
from docutils.parsers.rst import Directive

import grader
from grader.cli.commands import COMMANDS, _group
from grader.cli.options import SETTINGS

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


class Commands(Directive):
    """A section for each command, with its help as it is when the page is built."""

    def run(self):
        return [self.section("grade", _group), *self.commands()]

    def commands(self):
        context = click.Context(_group)
        for name in COMMANDS:
            command = _group.get_command(context, name)
            yield self.section(f"grade {name}", command)
            if isinstance(command, click.Group):
                for inner, own in command.commands.items():
                    yield self.section(f"grade {name} {inner}", own)

    def section(self, name, command):
        *above, own = name.split()
        parent = click.Context(click.Group(), info_name=" ".join(above)) if above else None
        width = {"max_content_width": SETTINGS["max_content_width"], "terminal_width": 88}
        with command.make_context(
            own, [], parent=parent, resilient_parsing=True, **width
        ) as context:
            text = command.get_help(context)
        section = nodes.section(ids=[nodes.make_id(name)], names=[name])
        section += nodes.title(text=name)
        section += nodes.literal_block(text, text, language="text")
        return section


def setup(app):
    app.add_directive("commands", Commands)
    app.connect("autodoc-process-docstring", show_as_written)
