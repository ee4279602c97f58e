"""Tests keep no results. Hypothesis draws the same examples in every run: a failure comes again.

HYPOTHESIS_PROFILE=search pytest ...    draws other ones each time, and remembers what failed
HYPOTHESIS_PROFILE=long pytest ...      the same, 20000 for each of what reads untrusted bytes

until(condition)    waits for what has to come, and fails where it does not
alive(pid)          whether a process runs
browser             a Chromium, driven by playwright
"""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from hypothesis import settings

# deadline: a busy machine is no failure.
settings.register_profile("fixed", derandomize=True, deadline=None, max_examples=200)
# Of each mutant of the grader itself the tests are run once more.
settings.register_profile("quick", settings.get_profile("fixed"), max_examples=20)
settings.register_profile("search", deadline=None, print_blob=True, max_examples=200)
settings.register_profile("long", settings.get_profile("search"), max_examples=20_000)
# A shell starts what runs in the background deaf to Ctrl-C; what tests start is to hear it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Tests leave nothing in their user's home, and take up no result of an earlier run.
os.environ["GRADE_RESULTS"] = "none"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture
def until():
    def wait(condition, patience_s=60.0):
        """What the condition gives, once it gives something."""
        end = time.monotonic() + patience_s
        while not (value := condition()):
            assert time.monotonic() < end, "it never came"
            time.sleep(0.01)
        return value

    return wait


@pytest.fixture
def alive():
    def is_alive(pid):
        """False for a process that is gone, or ended and not reaped yet."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        except OSError:
            return False
        return stat.rpartition(")")[2].split()[0] not in "ZX"

    return is_alive


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and os.environ.get("GRADE_BROWSER") == "required":
        pytest.fail(f"GRADE_BROWSER=required, and none of {', '.join(BROWSERS)} is on the PATH")
    playwright = pytest.importorskip("playwright.sync_api")
    if found is None:
        pytest.skip("no Chromium is installed")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield opened
        opened.close()
