"""Split the exports of learning platforms: one part for each student, none lost, none joined.

A zip or a folder is an export if most of its work has a platform's name (platforms.py), or if the
platform's own file is in it. Work without such a name is a part of its own, and is reported. Use it
only for paths that the instructor names: a student may make such a zip.
"""

from __future__ import annotations

from grader.submission.export_folders import split_folder
from grader.submission.export_parts import Part, Split
from grader.submission.export_zips import owners_in, split_zip

__all__ = ["Part", "Split", "owners_in", "split_folder", "split_zip"]
