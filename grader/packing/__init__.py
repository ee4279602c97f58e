"""What another system grades with: an assignment, its checks and this grader, in one file."""

from grader.packing.bundle import SYSTEMS, pack

__all__ = ["SYSTEMS", "pack"]
