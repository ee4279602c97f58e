"""The time limit of a student's process: for a cell, a notebook, a check or a submission.

The wall clock never decides alone. After `limit_s` on the wall clock, the time of a process is over
if it used that much processor time, or slept that long, or at PATIENCE times the limit. These times
don't count:

    a standstill       the grader did not run: Ctrl-Z, a paused container, a suspended cluster job
    the grader's time  while the grader works or waits for a processor, the process may have
                       answered already. A process can keep the grader busy, so this has a cap

A process that is stopped, as by SIGSTOP, is continued and gets its full time again, once: somebody
else may have stopped it.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from grader.session import processes

# A process that got less processor time than its limit may be starved by a busy machine. It may go
# on for this many times the limit, unless it is known to have slept for its limit.
PATIENCE = 4.0
# The interval at which a wait looks at the processor time, or whether the process lives.
LOOK_S = 0.05
# If the grader wakes later than planned by this much, it did not run meanwhile.
STANDSTILL_S = 1.0
# At most so much of the grader's own time does not count, in multiples of the limit: of its
# computing, which a student's messages can prolong; and of its computing and waiting together.
_OWN_WORK_MAX = 1.0
_OWN_MAX = 10.0


class Meter(Protocol):
    """Measures a process and all that it started. Times in seconds; None if unknown."""

    def cpu_s(self) -> float | None:
        """Return the processor time that they have used."""

    def waited_s(self) -> float | None:
        """Return how long they have waited for a processor."""

    def resume(self) -> bool:
        """Continue those that are stopped; return whether there were any."""


class Deadline:
    """A limit for all intervals between start() and stop() together.

    meter : measures the process; None if it can't be measured
    """

    def __init__(self, limit_s: float, meter: Meter | None = None) -> None:
        self.limit_s = limit_s
        self._meter = meter
        self._wall_s = 0.0  # of the intervals that are over
        self._since: float | None = None
        self._wait_ends = math.inf  # when the current wait should end
        self._work_before_wait_s = 0.0
        self._standstill_s = 0.0
        # The time used before the current process, and the counters at its start.
        self._past = _Used()
        self._begun = False
        self._resumed = False

    def start(self) -> None:
        """Start the clock: the process works."""
        self._since = time.monotonic()

    def stop(self) -> None:
        """Stop the clock: the grader works."""
        self._leave_out_standstill()
        self._wall_s = self.wall_s()
        self._since = None

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Count the grader's processor time in the block: a function of the check runs there."""
        before_s = time.thread_time()
        try:
            yield
        finally:
            self._wall_s += time.thread_time() - before_s

    def follow_new_process(self) -> None:
        """Measure another process from now on. Its time is added to the time used so far."""
        if self._begun:
            self._past = self._used()
            self._begun = False

    def wait_s(self, longest_s: float = math.inf) -> float:
        """Return how many seconds to wait before the next call of expired(); above 0."""
        rest_s = max(self.limit_s - self.wall_s(), LOOK_S) if self._begun else LOOK_S
        wait_s = min(rest_s, longest_s)
        self._wait_ends = time.monotonic() + wait_s
        self._work_before_wait_s = time.thread_time()
        return wait_s

    def expired(self) -> bool:
        """Return whether the process has had its time."""
        self._leave_out_standstill()
        wall_s = self.wall_s()
        if not self._begun and wall_s >= min(LOOK_S, self.limit_s):
            self._begin(wall_s)
        if wall_s < self.limit_s:
            return False
        used = self._used()
        own_s = self._own_s(used)
        if used.cpu_s >= self.limit_s:
            return True
        # Before the first measurement the process may have slept or not: that part counts as work.
        slept_s = wall_s - used.unseen_s - used.cpu_s - used.waited_s - own_s
        asleep = used.wait_known and slept_s >= self.limit_s
        patient = wall_s - own_s < PATIENCE * self.limit_s
        return (asleep or not patient) and not self._resume()

    def _resume(self) -> bool:
        """Continue a stopped process and give it its full time again; return whether it was so."""
        if self._resumed or self._meter is None or not self._meter.resume():
            return False
        self._resumed = True
        self._wall_s, self._past, self._begun = 0.0, _Used(), False
        if self._since is not None:
            self._since = time.monotonic()
        return True

    def used_s(self) -> float:
        """Return how many seconds the process has computed or slept.

        After its end, only the wall clock is known, less the grader's own time.
        """
        if not self._begun:
            return self.wall_s()
        used = self._used()
        own_s = self._own_s(used)
        if not used.wait_known:
            return max(used.cpu_s, used.wall_s - own_s)
        asleep_s = used.wall_s - used.unseen_s - used.cpu_s - used.waited_s - own_s
        return used.cpu_s + used.unseen_s + max(0.0, asleep_s)

    def _own_s(self, used: _Used) -> float:
        """Return how much of the grader's own time does not count."""
        own_s = min(used.own_work_s, _OWN_WORK_MAX * self.limit_s) + used.own_wait_s
        return min(own_s, _OWN_MAX * self.limit_s)

    def wall_s(self) -> float:
        """Return the length of the intervals so far in seconds, without standstills."""
        now_s = 0.0 if self._since is None else time.monotonic() - self._since
        return self._wall_s + now_s

    def _leave_out_standstill(self) -> None:
        late_s = time.monotonic() - self._wait_ends
        if late_s > STANDSTILL_S and self._since is not None:
            # A thread that is late because it computed did not stand still.
            late_s = max(0.0, late_s - (time.thread_time() - self._work_before_wait_s))
            self._since += late_s
            self._standstill_s += late_s
        self._wait_ends = math.inf

    def _begin(self, wall_s: float) -> None:
        """Read the counters of the process for the first time. Most answers come before."""
        self._begun = True
        self._begun_at = time.monotonic() - self._standstill_s
        self._wall_at_begin_s = wall_s
        self._cpu_before_s = (self._meter.cpu_s() if self._meter is not None else None) or 0.0
        self._waited_before_s = (self._meter.waited_s() if self._meter is not None else None) or 0.0
        self._own_before = processes.own_awake()

    def _used(self) -> _Used:
        past = self._past
        if not self._begun:
            return past
        cpu_s = self._meter.cpu_s() if self._meter is not None else None
        waited_s = self._meter.waited_s() if self._meter is not None and cpu_s is not None else None
        work_s, wait_s = (
            now - before
            for now, before in zip(processes.own_awake(), self._own_before, strict=True)
        )
        # While the clock is stopped, a check works: that time counts.
        seen_s = self.wall_s() - self._wall_at_begin_s
        gone_s = time.monotonic() - self._standstill_s - self._begun_at
        stopped_s = max(0.0, gone_s - seen_s)
        return _Used(
            cpu_s=past.cpu_s + max(0.0, (cpu_s or 0.0) - self._cpu_before_s),
            waited_s=past.waited_s + max(0.0, (waited_s or 0.0) - self._waited_before_s),
            own_work_s=past.own_work_s + max(0.0, work_s - stopped_s),
            own_wait_s=past.own_wait_s + max(0.0, wait_s),
            unseen_s=past.unseen_s + self._wall_at_begin_s - past.wall_s,
            wall_s=self.wall_s(),
            wait_known=waited_s is not None,
        )


@dataclass(frozen=True)
class _Used:
    """Times while the clock ran, in seconds.

    own_work_s, own_wait_s : the grader computed; the grader waited for a processor
    unseen_s : on the wall clock, before the counters were first read; wall_s : all of it
    wait_known : whether the system tells how long a process waits for a processor
    """

    cpu_s: float = 0.0
    waited_s: float = 0.0
    own_work_s: float = 0.0
    own_wait_s: float = 0.0
    unseen_s: float = 0.0
    wall_s: float = 0.0
    wait_known: bool = False
