"""The grader's side of the connection to a student's process: a listener, and a stream.

What comes over a stream is an untrusted claim. Bytes that break the protocol raise BadReply, the
end of the stream raises StudentDied, and nothing waits longer than its Deadline.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from grader.errors import BadReply, StudentDied, StudentTimeout
from grader.in_kernel import codec
from grader.session.deadline import LOOK_S, Deadline
from grader.session.peer import Peer
from grader.temporary import TemporaryFolder

# The same as protocol.VERSION, which is not imported: it is code for the kernel.
PROTOCOL_VERSION = 1
# sun_path of sockaddr_un holds 104 bytes on macOS, 108 on Linux, with a final zero.
_PATH_BYTES = 100
# A process that connects says hello at once; one that does not must not delay the others.
_HELLO_S = 2.0
_HELLO = codec.Limits(size=1 << 16, items=64, nodes=64, depth=4)
_REQUEST = codec.Limits(size=1 << 34, items=1 << 27, nodes=1 << 24)


class Stream:
    """One connection from the student's process.

    peer : the process at the other end
    limits : the largest reply that it may send
    last_bytes : the size of the last frame that came
    Every method raises StudentTimeout, StudentDied or BadReply; close the stream then.
    """

    def __init__(self, connection: socket.socket, *, reply_limits: codec.Limits) -> None:
        self.peer = Peer(connection)
        self._socket = connection
        self.limits = reply_limits
        self._number = 0
        self._timeout_s = -1.0  # of the socket
        # The buffer for bytes that were read early; None while the socket may be detached.
        self._ahead: memoryview | None = None
        self._ahead_start = self._ahead_end = 0

    def read_ahead(self) -> None:
        """Read all available bytes at once: a small message then takes one system call."""
        self._ahead = memoryview(bytearray(codec.READ_AHEAD))

    last_bytes = 0

    def close(self) -> None:
        """Close the connection. The process may live on."""
        self._socket.close()
        self.peer.close()

    def detach(self) -> socket.socket:
        """Return the socket; don't use the stream afterwards."""
        self.peer.close()
        return self._socket

    def request(
        self,
        operation: str,
        *arguments: Any,
        deadline: Deadline,
        keep: codec.Keep = codec.no_handles,
    ) -> int:
        """Send a request; return the number that its reply will carry.

        keep : returns the record that stands for an argument which is not a plain value
        """
        self._number += 1
        number = self._number  # `keep` may send requests of its own
        self.answer(number, operation, *arguments, deadline=deadline, keep=keep)
        return number

    def answer(
        self,
        number: int,
        operation: str,
        *arguments: Any,
        deadline: Deadline,
        keep: codec.Keep = codec.no_handles,
    ) -> None:
        """Send the answer to a call of the check's function, within the request `number`."""
        for piece in codec.encode([number, operation, *arguments], keep=keep, limits=_REQUEST):
            self.send(piece, deadline)

    def send(self, frame: codec.Buffer, deadline: Deadline) -> None:
        """Send bytes: a frame, or a piece of a frame."""
        deadline.start()
        try:
            self._send(memoryview(frame), deadline)
        finally:
            deadline.stop()

    def reply(
        self,
        number: int,
        *,
        deadline: Deadline,
        handle: codec.Resolve = codec.refuse_handle,
    ) -> tuple[str, Any]:
        """Return the status and the content of the reply with that number.

        For the status "calls", the content is a list of all parts that follow.
        handle : returns the object for a handle or function in the reply
        """
        message = self.receive(deadline, self.limits, handle)
        if type(message) is not list or len(message) < 3:
            raise BadReply("not a reply to the request")
        # The types come first: an array here would raise when it is compared.
        if type(message[0]) is not int or message[0] != number:
            raise BadReply("not a reply to the request")
        status = message[1]
        if type(status) is not str:
            raise BadReply("a reply without a status")
        if status == "calls":
            return status, message[2:]
        if len(message) != 3:
            raise BadReply("not a reply to the request")
        return status, message[2]

    def receive(
        self,
        deadline: Deadline,
        limits: codec.Limits,
        handle: codec.Resolve = codec.refuse_handle,
    ) -> Any:
        """Return the next frame's value."""

        def fill(target: memoryview) -> None:
            self.last_bytes += len(target)
            self._fill(target, deadline)

        self.last_bytes = 0
        deadline.start()
        try:
            return codec.decode(fill, handle=handle, limits=limits)
        except codec.MalformedFrame as error:
            raise BadReply(f"not a valid reply: {error}") from error
        finally:
            deadline.stop()

    def _set_timeout(self, wait_s: float) -> None:
        """Set the socket's timeout, unless it is close to that: each change is a system call."""
        if not wait_s / 2 <= self._timeout_s <= wait_s:
            self._timeout_s = 0.8 * wait_s
            self._socket.settimeout(self._timeout_s)

    def _send(self, rest: memoryview, deadline: Deadline) -> None:
        while rest:
            self._set_timeout(deadline.wait_s())
            try:
                rest = rest[self._socket.send(rest) :]
            except TimeoutError:
                pass
            except OSError as error:
                raise StudentDied("the process ended") from error
            if deadline.expired():
                raise StudentTimeout(f"no answer within {deadline.limit_s:g} s")

    def _fill(self, target: memoryview, deadline: Deadline) -> None:
        ahead = self._ahead
        while target:
            if self._ahead_start < self._ahead_end:
                assert ahead is not None
                start = self._ahead_start
                end = self._ahead_start = min(start + len(target), self._ahead_end)
                target[: end - start] = ahead[start:end]
                target = target[end - start :]
                continue
            self._set_timeout(deadline.wait_s())
            try:
                if ahead is None or len(target) >= len(ahead):
                    count = self._socket.recv_into(target)
                    target = target[count:]
                else:
                    count = self._socket.recv_into(ahead)
                    self._ahead_start, self._ahead_end = 0, count
                if not count:
                    raise StudentDied("the process ended")
            except TimeoutError:
                pass
            except OSError as error:
                raise StudentDied("the process ended") from error
            # Checked after each byte as well: a slow trickle must not delay the grader.
            if target and deadline.expired():
                raise StudentTimeout(f"no answer within {deadline.limit_s:g} s")


class Listener:
    """Accepts the student's process, on a Unix socket in a private folder or on loopback.

    address : "unix:PATH" or "tcp:127.0.0.1:PORT", for agent.serve
    folder : of the socket; its permissions limit who can connect; None for a new private folder
    name : the socket's file name
    """

    def __init__(
        self,
        *,
        loopback: bool = not hasattr(socket, "AF_UNIX"),
        folder: Path | None = None,
        name: str = "calls",
    ) -> None:
        # A new folder has mode 0700: only this user can reach the socket.
        self._made: TemporaryFolder | None = None
        place = folder
        if place is None:
            self._made = TemporaryFolder()
            place = self._made.path
        self._path = path = place / name
        if loopback or len(os.fsencode(path)) > _PATH_BYTES:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self._socket.bind(("127.0.0.1", 0))
            self.address = f"tcp:127.0.0.1:{self._socket.getsockname()[1]}"
        else:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.bind(str(path))
            if folder is not None:
                # When root grades, the student's process runs as another user.
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
        """Return the stream whose hello has this token; close all other connections.

        alive : called repeatedly; False means that no process will connect any more
        Raises StudentTimeout, StudentDied.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            # Checked here as well, since somebody may connect again and again.
            if time.monotonic() > deadline:
                raise StudentTimeout(f"the process did not answer within {timeout_s:g} s")
            self._socket.settimeout(LOOK_S)
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
                raise StudentDied("the process connected but did not say hello")

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._socket.close()
        self._path.unlink(missing_ok=True)
        if self._made is not None:
            self._made.remove()

    def _says_hello(self, stream: Stream, token: str) -> bool:
        with contextlib.suppress(StudentTimeout, StudentDied, BadReply):
            hello = stream.receive(Deadline(_HELLO_S, stream.peer), _HELLO)
            return (
                type(hello) is list
                and len(hello) == 4
                and hello[:2] == ["hello", PROTOCOL_VERSION]
                and type(hello[2]) is str
                and hmac.compare_digest(hello[2].encode("utf-8", "replace"), token.encode())
            )
        return False


def new_token() -> str:
    """Return a new secret, which only the process that should connect gets."""
    return secrets.token_hex(16)
