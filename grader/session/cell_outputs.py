"""The outputs of a cell, put together from the kernel's messages and bounded while they arrive.

They have the form that a notebook's file gives them. Student code may have forged any message.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

MAX_OUTPUTS = 500
CUT = "\n[the rest of this output was cut]\n"
_KINDS = ("stream", "display_data", "execute_result", "error")
_JSON_TYPE = re.compile(r"application/(.*\+)?json")


class CellOutputs:
    """The outputs of one cell.

    limit : how many bytes all messages together may have; the rest is cut
    used : how many bytes they had
    """

    def __init__(self, limit: int) -> None:
        self.used = 0
        self._limit = limit
        self._outputs: list[dict[str, Any]] = []
        self._places: dict[str, list[int]] = {}  # of the outputs with a display id
        self._clears = False  # whether the next output replaces all earlier ones

    def all(self) -> tuple[Mapping[str, object], ...]:
        return tuple(self._outputs)

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """Add what a message shows. Raises an Exception if the message is not valid."""
        if kind == "clear_output":
            self._clears = bool(content.get("wait"))
            if not self._clears:
                self._clear()
        if kind not in _KINDS:
            return
        last = self._outputs[-1] if self._outputs else {}
        self.used += _size(content)
        if self.used > self._limit or len(self._outputs) >= MAX_OUTPUTS:
            if last.get("text") == CUT:
                return
            kind, content = "stream", {"name": "stdout", "text": CUT}
        elif kind == "stream" and not self._clears and last.get("name") == content.get("name"):
            last["text"] += str(content.get("text", ""))
            return
        output = output_of(kind, content)
        if self._clears:
            self._clear()
        if "data" in output and (display_id := (content.get("transient") or {}).get("display_id")):
            self._show_again(display_id, output)
        self._outputs.append(output)

    def _clear(self) -> None:
        self._clears = False
        self._outputs.clear()
        self._places.clear()

    def _show_again(self, display_id: str, output: dict[str, Any]) -> None:
        """Put a new output's data into the earlier ones with the same display id."""
        places = self._places.setdefault(display_id, [])
        for place in places:
            self._outputs[place]["data"] = output["data"]
            self._outputs[place]["metadata"] = output["metadata"]
        places.append(len(self._outputs))


def output_of(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message's output.

    Raises KeyError or TypeError if the message is not an output.
    """
    parts: dict[str, Any]
    if kind == "stream":
        parts = {"name": content["name"], "text": content["text"]}
        fits = _are_texts(parts.values())
    elif kind == "error":
        parts = {name: content[name] for name in ("ename", "evalue", "traceback")}
        lines = parts["traceback"]
        fits = _are_texts((parts["ename"], parts["evalue"])) and _is_lines(lines)
    else:
        parts = {"metadata": content["metadata"], "data": content["data"]}
        fits = type(parts["metadata"]) is dict and _is_bundle(parts["data"])
        if kind == "execute_result":
            count = parts["execution_count"] = content["execution_count"]
            fits = fits and (count is None or (type(count) is int and count >= 0))
    if not fits:
        raise TypeError(f"not a valid {kind} message")
    return {"output_type": kind, **parts}


def _is_bundle(data: Any) -> bool:
    """Return whether `data` maps MIME types to text, or to JSON if the type says so."""
    return type(data) is dict and all(
        type(value) is str or _is_lines(value) or _JSON_TYPE.fullmatch(name)
        for name, value in data.items()
    )


def _is_lines(value: Any) -> bool:
    return type(value) is list and _are_texts(value)


def _are_texts(values: Iterable[Any]) -> bool:
    return all(type(value) is str for value in values)


def _size(content: Any) -> int:
    """Return roughly how many bytes a message's content has."""
    if isinstance(content, str | bytes):
        return len(content)
    if isinstance(content, dict):
        return sum(len(str(key)) + _size(value) for key, value in content.items())
    if isinstance(content, list):
        return sum(map(_size, content))
    return 8
