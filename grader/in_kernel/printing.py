"""Where print(), input() and display() lead in a process that answers calls: to no terminal."""

from __future__ import annotations

import builtins
import io
import sys
from typing import Any, NoReturn

# Student code may replace builtins: see operations.py.
globals()["__builtins__"] = dict(vars(builtins))

_PRINTED_CHARS = 1 << 16


class Printed(io.TextIOBase):
    """Where print() goes: the beginning is kept until it is taken, the rest dropped."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._room = _PRINTED_CHARS
        self.buffer = _Dropped()

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if self._room > 0 and text:
            part = str.__str__(text)[: self._room]
            self._parts.append(part)
            self._room -= len(part)
        return len(text)

    def take(self) -> str:
        """What was printed since the last time."""
        parts, self._parts, self._room = self._parts, [], _PRINTED_CHARS
        return "".join(parts)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 1

    def close(self) -> None:
        """Stay open: later prints must not fail."""


class _Dropped(io.RawIOBase):
    """Takes all bytes, keeps none."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(data)


def _no_input(*prompt: object) -> NoReturn:
    raise EOFError("input(): nobody types while the grader calls")


def mute(printed: Printed) -> None:
    """Let print() end in `printed`, input() in EOFError, and display() nowhere."""
    for stream in (sys.stdout, sys.stderr):
        _redirect(stream, printed)
    sys.stdout = sys.stderr = printed
    sys.__stdout__ = sys.__stderr__ = printed  # type: ignore[misc, assignment]
    sys.stdin = sys.__stdin__ = io.StringIO()  # type: ignore[misc, assignment]
    builtins.input = _no_input
    if "IPython" in sys.modules:
        _mute_ipython()


def _redirect(stream: Any, printed: Printed) -> None:
    """A logging handler may hold the old stream, which would speak to the kernel's sockets."""
    try:
        stream.write = printed.write
        stream.flush = printed.flush
    except Exception:  # a C stream takes no attributes; its descriptor leads nowhere in a fork
        return


def _nowhere(*args: object, **kwargs: object) -> None:
    """Takes anything, does nothing."""


def _mute_ipython() -> None:
    """display(), plt.show() and input() would speak to the kernel's sockets, which a fork lacks."""
    try:
        shell = sys.modules["IPython"].get_ipython()
        if shell is None:
            return
        for publisher in (shell.display_pub, type(shell.display_pub)):
            publisher.publish = publisher.clear_output = _nowhere
        kernel = getattr(shell, "kernel", None)
        if kernel is not None:
            kernel.raw_input = kernel.getpass = _no_input
    except Exception:  # another IPython than the one we know, or the student changed it
        return
