"""Read a solved notebook that an instructor gives to `grade new`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from grader.errors import AssignmentError, SubmissionError
from grader.notebook import read_notebook
from grader.records import Notebook

_JUPYTEXT = (".md", ".rmd", ".qmd")
_LIGHT = re.compile(r"(?m)^#\s+format_name: (light|bare|sphinx|nomarker|spin)")
"""A script of Jupytext's whose cells have no # %%."""


def read_source(path: Path) -> Notebook:
    """Return the notebook in a file, named as an .ipynb.

    Raises AssignmentError, which says what to do, for a file of another form.
    """
    form = path.suffix.lower()
    is_script = form == ".py"
    if form in _JUPYTEXT or (is_script and _LIGHT.search(path.read_text("utf-8", "replace")[:999])):
        raise AssignmentError(
            f"{path} is in a form of Jupytext's that is not read: make a notebook of it, with "
            f"`jupytext --to ipynb {path.name}`, and begin with that"
        )
    if form != ".ipynb" and not is_script:
        raise AssignmentError(f"{path}: a solved notebook is an .ipynb, or a .py with # %% cells")
    try:
        return replace(read_notebook(path), name=f"{path.stem}.ipynb")
    except SubmissionError as error:
        raise AssignmentError(str(error).replace("hand it in again", "begin again")) from error
