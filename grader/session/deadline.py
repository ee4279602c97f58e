"""One time limit of a student's process: a cell's, a notebook's, a check's, a submission's.

The wall clock never decides alone. Past `limit_s` the process has had its time once it used that
much processor time, or slept that long, or at PATIENCE times the limit. Left out of it are

    a standstill      the grader did not wake: Ctrl-Z, a paused container, a suspended cluster job
    the grader's own  while it works, or waits for a processor, the process may have answered
                      already. A process can keep the grader at work, so this has a cap

A process that is stopped, as by SIGSTOP, is continued and gets its full time again, once: it may
have been stopped by somebody else.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from grader.session import processes

# A process that got less processor time than its limit may be starved by a busy machine; it is
# let off up to this many times the limit, unless it is known to have slept for its limit.
PATIENCE = 4.0
# How often a wait looks at the processor time, or at whether the process lives.
LOOK_S = 0.05
# Whoever wakes so much later than intended did not run at all.
STANDSTILL_S = 1.0
# Of the grader's own time this many limits are left out: of the time that it computes, which a
# student's messages can prolong, and of the time that it computes or waits for a processor.
_OWN_WORK_MAX = 1.0
_OWN_MAX = 10.0


class Meter(Protocol):
    """What a process and all that it started have used so far, in seconds; None if unknown."""

    def cpu_s(self) -> float | None: ...

    def waited_s(self) -> float | None:
        """For how long they waited for a processor."""

    def go_on(self) -> bool:
        """Make those go on that are stopped; whether there were any."""


class Deadline:
    """A limit for all the intervals between start() and stop() together.

    meter : of the process; None where it can't be looked at
    """

    def __init__(self, limit_s: float, meter: Meter | None = None) -> None:
        self.limit_s = limit_s
        self._meter = meter
        self._wall_s = 0.0  # of the intervals that are over
        self._since: float | None = None
        self._due = math.inf  # when the wait that is under way is over
        self._work_before_wait_s = 0.0
        self._standstill_s = 0.0
        # The time used before the current process, and the counters at its start.
        self._past = _Used()
        self._begun = False
        self._went_on = False

    def start(self) -> None:
        """Let the clock run: the process is at work."""
        self._since = time.monotonic()

    def stop(self) -> None:
        """Stop the clock: the grader itself is at work."""
        self._leave_out_standstill()
        self._wall_s = self.wall_s()
        self._since = None

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Count what the grader computes in the block, where a function of the check's runs."""
        before_s = time.thread_time()
        try:
            yield
        finally:
            self._wall_s += time.thread_time() - before_s

    def follow_new_process(self) -> None:
        """Measure another process from now on. Its time is added to the used time."""
        if self._begun:
            self._past = self._used()
            self._begun = False

    def wait_s(self, longest_s: float = math.inf) -> float:
        """Return how long to wait before `expired` is worth asking; above 0."""
        rest_s = max(self.limit_s - self.wall_s(), LOOK_S) if self._begun else LOOK_S
        wait_s = min(rest_s, longest_s)
        self._due = time.monotonic() + wait_s
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
        # Before it was looked at, the process may have slept or not: that part counts as work.
        slept_s = wall_s - used.unseen_s - used.cpu_s - used.waited_s - own_s
        asleep = used.wait_known and slept_s >= self.limit_s
        patient = wall_s - own_s < PATIENCE * self.limit_s
        return (asleep or not patient) and not self._goes_on()

    def _goes_on(self) -> bool:
        """Return whether the process was stopped, and now goes on, with all of its time."""
        if self._went_on or self._meter is None or not self._meter.go_on():
            return False
        self._went_on = True
        self._wall_s, self._past, self._begun = 0.0, _Used(), False
        if self._since is not None:
            self._since = time.monotonic()
        return True

    def used_s(self) -> float:
        """Return for how many seconds the process has computed or slept.

        Of one that is gone only the wall clock is known, less the grader's own time.
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
        """Return how much of the grader's own time is left out."""
        own_s = min(used.own_work_s, _OWN_WORK_MAX * self.limit_s) + used.own_wait_s
        return min(own_s, _OWN_MAX * self.limit_s)

    def wall_s(self) -> float:
        """Return the seconds of the intervals so far, standstills left out."""
        now_s = 0.0 if self._since is None else time.monotonic() - self._since
        return self._wall_s + now_s

    def _leave_out_standstill(self) -> None:
        late_s = time.monotonic() - self._due
        if late_s > STANDSTILL_S and self._since is not None:
            # A thread that is late because it had much to do did not stand still.
            late_s = max(0.0, late_s - (time.thread_time() - self._work_before_wait_s))
            self._since += late_s
            self._standstill_s += late_s
        self._due = math.inf

    def _begin(self, wall_s: float) -> None:
        """Look at the counters of the process. Most answers come before that is worth it."""
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
        # While the clock is stopped a check is at work: that time counts.
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
    """What was used while the clock ran, in seconds.

    unseen_s : of the wall clock, before the counters were read; wall_s : all of it
    wait_known : whether the system tells how long a process waits for a processor
    """

    cpu_s: float = 0.0
    waited_s: float = 0.0
    own_work_s: float = 0.0
    own_wait_s: float = 0.0
    unseen_s: float = 0.0
    wall_s: float = 0.0
    wait_known: bool = False
