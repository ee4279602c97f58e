"""The Python environment of an assignment's notebooks, if the assignment requests one.

[environment]                    in assignment.toml
python = "3.12"
requirements = ["numpy<2.4"]     or  lock = "pylock.toml"

recipe      the fingerprint of the requested environment
store       the folder of all environments
building    builds one, by uv or by venv and pip

Only packages from the instructor's file are ever installed; nothing in a submission is read here.
"""

from grader.environments.building import build
from grader.environments.recipe import digest_of
from grader.environments.store import (
    Built,
    all_built,
    find,
    fingerprint,
    python_of,
    remove,
)

__all__ = ["Built", "all_built", "build", "digest_of", "find", "fingerprint", "python_of", "remove"]
