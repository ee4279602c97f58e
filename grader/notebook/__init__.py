"""Notebooks as documents: cells, definitions, the regions that students fill, what they changed.

reading       bytes -> Notebook
definitions   what a cell defines, even if it doesn't parse
calls         which functions call which
regions       the gaps between START and END markers
comparison    compares a notebook with its stub
imports       the modules that they import
answers       what a student wrote for an exercise in words
"""

from grader.notebook.answers import answer_cells, drawing_cells
from grader.notebook.calls import names_called
from grader.notebook.comparison import compare_with_stub, gaps_that_set, region_of, regions_that_set
from grader.notebook.definitions import parseable, what_breaks, why_not_defined
from grader.notebook.imports import imports_of
from grader.notebook.reading import assembled, parse_notebook, read_notebook
from grader.notebook.regions import replace_definition, replace_region

__all__ = [
    "answer_cells",
    "assembled",
    "compare_with_stub",
    "drawing_cells",
    "gaps_that_set",
    "imports_of",
    "names_called",
    "parse_notebook",
    "parseable",
    "read_notebook",
    "region_of",
    "regions_that_set",
    "replace_definition",
    "replace_region",
    "what_breaks",
    "why_not_defined",
]
