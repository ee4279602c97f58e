"""Packs an assignment, its checks and this grader into one file, for another grading system."""

from grader.packing.bundle import SYSTEMS, pack

__all__ = ["SYSTEMS", "pack"]
