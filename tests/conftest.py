"""Hypothesis draws the same examples in every run: a test that failed once fails again.

HYPOTHESIS_PROFILE=search pytest ...    draws other ones each time, and remembers what failed
"""

import os

from hypothesis import settings

# deadline: a busy machine is no failure.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
