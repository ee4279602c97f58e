"""The grader's side of the student's process: where it listens, and one connection to it.

What comes over a stream is an untrusted claim. Whatever breaks the protocol is a BadReply, the
end of the stream a StudentDied, and nothing waits longer than its Budget.
"""

from __future__ import annotations

import contextlib
import hmac
import math
import os
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.errors import BadReply, StudentDied, StudentTimeout
from grader.in_kernel import codec
from grader.session import processes
from grader.session.peer import Peer

# protocol.VERSION, which is not imported: the grader runs nothing of the kernel's side.
PROTOCOL_VERSION = 1
# How often a wait looks at the processor time, or at whether the kernel lives.
_LOOK_S = 0.05
# A process that got less processor time than its limit may be starved by a busy machine; it is
# let off up to this many times the limit, unless it is known to have slept for its limit.
_PATIENCE = 4.0
# Whoever wakes so much later than he wanted to has been stopped: by Ctrl-Z, by a cluster that
# suspends its jobs, by a container that is paused.
STANDSTILL_S = 1.0
# sun_path of sockaddr_un holds 104 bytes on macOS, 108 on Linux, with a final zero.
_PATH_BYTES = 100
# What connects to us says hello at once; what does not must not keep the others waiting.
_HELLO_S = 2.0
_HELLO = codec.Limits(size=1 << 16, items=64, nodes=64, depth=4)
_REQUEST = codec.Limits(size=1 << 34, items=1 << 27, nodes=1 << 24)


class Budget:
    """The time that a process may take to answer, all its answers together.

    The clock alone convicts nobody: past `limit_s`, the process is given up once it has used
    that much processor time as well, or slept that long, or at 4 times `limit_s`. While the grader
    itself is at work, or waits for a processor, no time of the process's goes by.
    """

    def __init__(self, limit_s: float, peer: Peer | None = None) -> None:
        self.limit_s = limit_s
        self._peer = peer
        self._used_s = 0.0
        self._begun = False
        self._since: float | None = None
        self._due = math.inf  # when the wait that is under way is over

    def start(self) -> None:
        """Let the clock run: a call is on its way."""
        self._since = time.monotonic()

    def stop(self) -> None:
        """Stop the clock: the check itself is at work."""
        self._leave_out_standstill()
        self._used_s = self._wall_s()
        self._since = None

    def wait_s(self) -> float:
        """How long to wait before `is_spent` is worth asking; above 0."""
        wait_s = max(self.limit_s - self._wall_s(), _LOOK_S) if self._begun else _LOOK_S
        self._due = time.monotonic() + wait_s
        return wait_s

    def is_spent(self) -> bool:
        """Whether the process has had its time."""
        self._leave_out_standstill()
        wall_s = self._wall_s()
        if not self._begun and wall_s >= min(_LOOK_S, self.limit_s):
            self._begin(wall_s)
        if wall_s < self.limit_s:
            return False
        own_s = processes.own_awake_s() - self._own_before_s
        if wall_s - own_s >= _PATIENCE * self.limit_s:
            return True
        cpu_s = self._peer.cpu_s() if self._peer is not None else None
        if self._peer is None or cpu_s is None:
            return False
        used_s = cpu_s - self._cpu_before_s
        waited_s = self._peer.waited_s()
        if used_s >= self.limit_s or waited_s is None:
            return used_s >= self.limit_s
        awake_s = used_s + waited_s - self._waited_before_s + own_s
        return wall_s - self._wall_before_s - awake_s >= self.limit_s

    def _leave_out_standstill(self) -> None:
        """Count no time for which the grader did not wake: it was stopped, or the whole machine."""
        late_s = time.monotonic() - self._due
        if late_s > STANDSTILL_S and self._since is not None:
            self._since += late_s
        self._due = math.inf

    def _begin(self, wall_s: float) -> None:
        """Look at what the process has used so far. Most answers come before it is worth it."""
        self._begun = True
        self._wall_before_s = wall_s
        self._cpu_before_s = (self._peer.cpu_s() if self._peer is not None else None) or 0.0
        self._own_before_s = processes.own_awake_s()
        self._waited_before_s = (self._peer.waited_s() if self._peer is not None else None) or 0.0

    def _wall_s(self) -> float:
        return self._used_s + (0.0 if self._since is None else time.monotonic() - self._since)


class Stream:
    """One connection from the student's process.

    peer : the process at its other end; limits : of what it may reply
    Every method raises StudentTimeout, StudentDied or BadReply, and is of no use afterwards.
    """

    def __init__(self, connection: socket.socket, *, reply_limits: codec.Limits) -> None:
        self.peer = Peer(connection)
        self._socket = connection
        self.limits = reply_limits
        self._number = 0

    def close(self) -> None:
        """Hang up. The process may live on."""
        self._socket.close()
        self.peer.close()

    def detach(self) -> socket.socket:
        """Return the bare connection; the stream is of no use afterwards."""
        self.peer.close()
        return self._socket

    def request(
        self,
        operation: str,
        *arguments: Any,
        budget: Budget,
        keep: Callable[[Any], codec.Handle] | None = None,
    ) -> int:
        """Send a request; return the number that its reply will bear."""
        self._number += 1
        number = self._number
        message = [number, operation, *arguments]
        if keep is None:
            pieces = codec.encode(message, limits=_REQUEST)
        else:
            pieces = codec.encode(message, keep=keep, limits=_REQUEST)
        for piece in pieces:
            self.send(piece, budget)
        return number

    def send(self, frame: codec.Buffer, budget: Budget) -> None:
        """Send bytes as they are: a frame, or a piece of one."""
        budget.start()
        try:
            self._send(memoryview(frame), budget)
        finally:
            budget.stop()

    def reply(
        self,
        number: int,
        *,
        budget: Budget,
        handle: Callable[[codec.Handle], Any] | None = None,
    ) -> tuple[str, Any]:
        """Return the status and the content of the reply with that number."""
        message = self.receive(budget, self.limits, handle)
        if type(message) is not list or len(message) != 3 or message[0] != number:
            raise BadReply("no reply to what was asked")
        status, content = message[1:]
        if type(status) is not str:
            raise BadReply("a reply without a status")
        return status, content

    def receive(
        self,
        budget: Budget,
        limits: codec.Limits,
        handle: Callable[[codec.Handle], Any] | None = None,
    ) -> Any:
        """Return the next frame's value."""

        def fill(target: memoryview) -> None:
            self._fill(target, budget)

        budget.start()
        try:
            if handle is None:
                return codec.decode(fill, limits=limits)
            return codec.decode(fill, handle=handle, limits=limits)
        except codec.MalformedFrame as error:
            raise BadReply(f"no legal reply: {error}") from error
        finally:
            budget.stop()

    def _send(self, rest: memoryview, budget: Budget) -> None:
        while rest:
            self._socket.settimeout(budget.wait_s())
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                pass
            except OSError as error:
                raise StudentDied("the process ended") from error
            if budget.is_spent():
                raise StudentTimeout(f"no answer within {budget.limit_s:g} s")

    def _fill(self, target: memoryview, budget: Budget) -> None:
        while target:
            self._socket.settimeout(budget.wait_s())
            try:
                count = self._socket.recv_into(target)
                if not count:
                    raise StudentDied("the process ended")
                target = target[count:]
            except TimeoutError:
                pass
            except OSError as error:
                raise StudentDied("the process ended") from error
            # After a byte as well: a trickle must not hold the grader up.
            if target and budget.is_spent():
                raise StudentTimeout(f"no answer within {budget.limit_s:g} s")


class Listener:
    """Where the student's process connects: a Unix socket in a private directory, or loopback.

    address : "unix:PATH" or "tcp:127.0.0.1:PORT", for agent.serve
    folder : where the socket is to be, and who may reach it; a private one where None
    name : of the socket in it
    """

    def __init__(
        self,
        *,
        loopback: bool = not hasattr(socket, "AF_UNIX"),
        folder: Path | None = None,
        name: str = "calls",
    ) -> None:
        # A new one has 0700: it is this user's alone.
        self._made = Path(tempfile.mkdtemp(prefix="grade-calls-")) if folder is None else None
        self._path = path = (folder or self._made or Path()) / name
        if loopback or len(os.fsencode(path)) > _PATH_BYTES:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._socket.bind(("127.0.0.1", 0))
            self.address = f"tcp:127.0.0.1:{self._socket.getsockname()[1]}"
        else:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.bind(str(path))
            if folder is not None:
                # As root, the grader closes the student's process in as another user.
                path.chmod(0o666)
            self.address = f"unix:{path}"
        self._socket.listen(16)

    def accept(
        self,
        token: str,
        *,
        timeout_s: float,
        reply_limits: codec.Limits,
        alive: Callable[[], bool] = lambda: True,
    ) -> Stream:
        """Return the stream that opens with this token; others are turned away.

        alive : asked now and then; False means that nobody will connect any more
        Raises StudentTimeout, StudentDied.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            # Also where somebody connects without end.
            if time.monotonic() > deadline:
                raise StudentTimeout(f"the process did not answer within {timeout_s:g} s")
            self._socket.settimeout(_LOOK_S)
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                if not alive():
                    raise StudentDied("the process ended before it answered") from None
                continue
            if connection.family == socket.AF_INET:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            else:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, codec.SEND_BYTES)
            stream = Stream(connection, reply_limits=reply_limits)
            if self._says_hello(stream, token):
                return stream
            stream.close()
            if not alive():
                raise StudentDied("the process connected, and said nothing that is expected")

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)
        if self._made is not None:
            shutil.rmtree(self._made, ignore_errors=True)

    def _says_hello(self, stream: Stream, token: str) -> bool:
        with contextlib.suppress(StudentTimeout, StudentDied, BadReply):
            hello = stream.receive(Budget(_HELLO_S, stream.peer), _HELLO)
            return (
                type(hello) is list
                and len(hello) == 4
                and hello[:2] == ["hello", PROTOCOL_VERSION]
                and type(hello[2]) is str
                and hmac.compare_digest(hello[2].encode("utf-8", "replace"), token.encode())
            )
        return False


def new_token() -> str:
    """A word that only the process we mean is told."""
    return secrets.token_hex(16)
