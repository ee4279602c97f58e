"""The watchdog's own reckoning; what it stops is in test_closed_notebooks.py and tests/threats."""

import threading

from grader.records import Limits
from grader.session.watchdog import Watchdog


def test_a_process_is_measured_before_its_children(monkeypatch):
    """Half of what a check shares is its parent's; all of it, once the check has ended."""
    trees = {10: [11, 12], 9: [13]}
    measured = []
    looked = threading.Event()

    def memory_mib(pids, *, enough):
        measured.append(pids)
        looked.set()
        return 0.0

    monkeypatch.setattr("grader.session.processes.descendants", trees.__getitem__)
    monkeypatch.setattr("grader.session.processes.memory_mib", memory_mib)
    watchdog = Watchdog(10, Limits(), first=9, disk=[])
    assert looked.wait(10)
    watchdog.stop()
    assert measured[0] == [10, 11, 12, 13]
