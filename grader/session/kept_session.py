"""A session that answers checks with kept replies, without a process.

    session = KeptSession(notebook, run, answers, open_session, limits=limits)
    with session.student(limit_s=20) as student:
        student.sigmoid(0.0)              the earlier reply to the same requests
    session.missed                        whether a request was new: then run the check again

At the first request without a kept reply, the process counts as ended, `missed` is set, and the
verdict of that check is invalid. The next student() runs the notebook, if it has not run yet, and
returns a real process. If the check used the process of earlier checks, the kept replies of a fresh
copy come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from grader.errors import StudentDied
from grader.in_kernel import codec
from grader.records import Isolation, Limits, Notebook, Run
from grader.session.deadline import Deadline
from grader.session.kept_answers import KeptAnswers, key_after, root_of
from grader.session.opened import Session
from grader.session.proxies import Remote
from grader.session.replay_cache import ReplayingStream
from grader.session.student import Student
from grader.session.wire import Wire


class KeptSession(Session):
    """A notebook with kept replies, which runs only if a reply is missing.

    run : the earlier run; the new one after the notebook has run again
    earlier : the kept replies
    open_session : runs the notebook
    limits : of the assignment
    """

    def __init__(
        self,
        notebook: Notebook,
        run: Run,
        earlier: KeptAnswers,
        open_session: Callable[[], Session],
        *,
        limits: Limits,
    ) -> None:
        self.notebook = notebook
        self.run = run
        self.isolation = Isolation()
        self._earlier = earlier
        self._open_session = open_session
        self._limits = limits
        self._session: Session | None = None
        self._inherited: set[str] = set()
        self._in_used_copy = False

    @property
    def has_run(self) -> bool:
        """Whether the notebook had to run again."""
        return self._session is not None

    def student(self, limit_s: float = 20.0, *, reply_mib: int | None = None) -> Student:
        """Return a Student with a fresh copy's kept replies; after one was missing, a real copy."""
        if not self.missed or self._in_used_copy:
            self.missed = self._in_used_copy = False
            return self._answering(root_of(self.notebook.name, reply_mib), limit_s, reply_mib)
        self.missed = False
        if self._session is None:
            self._session = self._open_session()
        student = self._session.student(limit_s, reply_mib=reply_mib)
        self.run, self.isolation = self._session.run, self._session.isolation
        return student

    def inherited(
        self, check: str, limit_s: float, *, reply_mib: int | None = None
    ) -> Student | None:
        """Return a Student with the kept replies of a process that the check shared with others.

        None if the check had a process of its own. At a second call None as well: then the verdict
        with a fresh copy counted.
        """
        root = root_of(self.notebook.name, reply_mib, check)
        if self.missed or check in self._inherited or root not in self._earlier.began:
            return None
        self._inherited.add(check)
        self._in_used_copy = True
        return self._answering(root, limit_s, reply_mib)

    def _answering(self, root: bytes, limit_s: float, reply_mib: int | None) -> Student:
        replies = _Replies(self._earlier, root)
        stream = ReplayingStream(self._miss, replies)
        mib = self._limits.reply_mib if reply_mib is None else reply_mib
        stream.limits = codec.Limits(size=mib << 20)
        wire = Wire(
            stream,
            _EarlierTime(limit_s, replies),
            represent=Remote,
            end=lambda stuck: stream.close(),
        )
        return Student(wire, self.notebook)

    def _miss(self) -> Student:
        self.missed = True
        raise StudentDied("this was not asked before")

    def close(self) -> None:
        if self._session is not None:
            self._session.close()


class _Replies:
    """The kept replies to one check's requests, while these equal the earlier requests.

    root : the hash of its process's initial state
    """

    def __init__(self, answers: KeptAnswers, root: bytes) -> None:
        self._answers = answers
        self._key = root

    def reply(self, step: int, request: bytes) -> bytes | None:
        self._key = key_after(self._key, request)
        return self._answers.replies.get(self._key)

    def before(self, step: int) -> Iterable[bytes]:
        raise AssertionError("no process continues after kept replies")

    def add(self, step: int, request: bytes, reply: bytes) -> None:
        raise AssertionError("no process continues after kept replies")

    @property
    def used_s(self) -> float:
        return self._answers.used_s.get(self._key, 0.0)


class _EarlierTime(Deadline):
    """A time limit that reports how long the process computed or slept in the earlier run."""

    def __init__(self, limit_s: float, replies: _Replies) -> None:
        super().__init__(limit_s)
        self._replies = replies

    def used_s(self) -> float:
        return self._replies.used_s
