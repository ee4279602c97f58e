"""What cells may not leave in their process, if others are to be forked from it."""

import datetime
import sys
import time

import pytest

if sys.platform != "linux":
    pytest.skip("kernels are forked on Linux alone", allow_module_level=True)

from grader.in_kernel.left_behind import Clocks, Unfit, require_nothing_kept


class OfTheNotebook:
    def __init__(self, value):
        self.value = value


OfTheNotebook.__module__ = "__main__"
FOLDER = "/a/folder/of/one/kernel"
TIMES = {
    "a time": time.time,
    "whole seconds": lambda: int(time.time()),
    "nanoseconds": time.time_ns,
    "a counter": time.perf_counter,
    "a date": datetime.datetime.now,
    "a date of UTC": lambda: datetime.datetime.now(datetime.UTC).replace(tzinfo=None),
    "in a list": lambda: [1, (time.monotonic(),)],
    "in a dict": lambda: {"began": time.time()},
    "in an object": lambda: OfTheNotebook(time.time()),
}


def require(value, source="t = time.time()", folder=FOLDER, since=None):
    require_nothing_kept({"kept": value}, source, folder=folder, since=since or Clocks.now())


@pytest.mark.parametrize("what", TIMES)
def test_a_time_that_a_clock_showed_is_found(what):
    began = Clocks.now()
    with pytest.raises(Unfit, match="keeps a time in `kept`"):
        require(TIMES[what](), since=began)


@pytest.mark.parametrize(
    "value", [True, 0, 3.5, 1_000_000, float("nan"), datetime.datetime(2020, 1, 1), "2020", None]
)
def test_numbers_and_dates_of_another_time_are_not(value):
    require(value)


def test_numbers_are_not_looked_at_where_no_clock_is_asked():
    began = Clocks.now()
    require(time.time(), source="t = 1.0", since=began)


@pytest.mark.parametrize("value", [f"{FOLDER}/a.csv", [{"place": f"{FOLDER}/home"}]])
def test_the_name_of_a_folder_that_others_have_not_is_found(value):
    with pytest.raises(Unfit, match="keeps the name of a folder in `kept`"):
        require(value, source="")


def test_values_that_hold_each_other_are_looked_at_once():
    ring = [1]
    ring.append(ring)
    require(ring)
