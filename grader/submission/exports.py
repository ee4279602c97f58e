"""Splits the exports of learning platforms: one part a student, none lost and none joined.

A zip or a folder is an export where most of the work in it bears a platform's name (platforms.py),
or where the platform's own file lies in it. What bears no such name then is a part of its own, and
is named. Ask this of what the instructor names alone: a student may make such a zip.
"""

from __future__ import annotations

from grader.submission.export_folders import split_folder
from grader.submission.export_parts import Part, Split
from grader.submission.export_zips import split_zip

__all__ = ["Part", "Split", "split_folder", "split_zip"]
