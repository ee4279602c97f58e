"""What a figure shows, read from its data and not from its pixels; see records.py."""

from grader.checks.plots.curves import assert_curve, assert_series, find_curve, find_series
from grader.checks.plots.images import assert_histogram, assert_image, find_histogram, find_image
from grader.checks.plots.labels import assert_figure_count, assert_labelled
from grader.checks.plots.records import Curve, curves, images
from grader.checks.plots.regions import assert_regions, find_regions

__all__ = [
    "Curve",
    "assert_curve",
    "assert_figure_count",
    "assert_histogram",
    "assert_image",
    "assert_labelled",
    "assert_regions",
    "assert_series",
    "curves",
    "find_curve",
    "find_histogram",
    "find_image",
    "find_regions",
    "find_series",
    "images",
]
