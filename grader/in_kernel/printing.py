"""Replaces print(), input() and display() in a process that answers calls."""

from __future__ import annotations

import builtins
import io
import sys
from typing import Any, NoReturn

# Student code may replace builtins: see operations.py.
globals()["__builtins__"] = dict(vars(builtins))

_PRINTED_CHARS = 1 << 16


class Printed(io.TextIOBase):
    """Takes printed text: keeps the beginning until take(), drops the rest."""

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
        """Return the text that was printed since the last call."""
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
    raise EOFError("input() gets no answer while the grader calls a function")


def mute(printed: Printed) -> None:
    """Send printed text to `printed`; let input() raise EOFError, and display() do nothing."""
    for stream in (sys.stdout, sys.stderr):
        _redirect(stream, printed)
    sys.stdout = sys.stderr = printed
    sys.__stdout__ = sys.__stderr__ = printed  # type: ignore[misc, assignment]
    sys.stdin = sys.__stdin__ = io.StringIO()  # type: ignore[misc, assignment]
    builtins.input = _no_input
    if "IPython" in sys.modules:
        _mute_ipython()


def _redirect(stream: Any, printed: Printed) -> None:
    """Redirect an old stream, which a logging handler may hold, away from the kernel's sockets."""
    try:
        stream.write = printed.write
        stream.flush = printed.flush
    except Exception:  # a C stream has no such attributes; a fork's descriptors go to /dev/null
        return


def _do_nothing(*args: object, **kwargs: object) -> None: ...


def _mute_ipython() -> None:
    """Replace display(), plt.show() and input(), which use the kernel's closed sockets."""
    try:
        shell = sys.modules["IPython"].get_ipython()
        if shell is None:
            return
        for publisher in (shell.display_pub, type(shell.display_pub)):
            publisher.publish = publisher.clear_output = _do_nothing
        kernel = getattr(shell, "kernel", None)
        if kernel is not None:
            kernel.raw_input = kernel.getpass = _no_input
    except Exception:  # another version of IPython, or the student changed it
        return
