"""The Python that an assignment's notebooks run in, where it asks for one of its own.

[environment]                    in assignment.toml
python = "3.12"
requirements = ["numpy<2.4"]     or  lock = "pylock.toml"

recipe      the requested environment, as one fingerprint
store       where environments are kept, which there are
building    makes one, by uv or by venv and pip

Only what the instructor's file asks for is ever installed; nothing of a submission is read here.
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
