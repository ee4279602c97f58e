"""The outputs of a cell: nbclient puts them together, and they are bounded while they arrive.

They have the form that a notebook's file gives them. A display that a later cell changes is changed
where it stands, as Jupyter does it. Student code may have forged any message. The
messages come over a connection of the grader's own (messages.py), so that a session needs no event
loop; of nbclient's NotebookClient, the part works that turns messages into a cell's outputs.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

MAX_OUTPUTS = 500
CUT = "\n[the rest of this output was cut]\n"
_KINDS = ("stream", "display_data", "execute_result", "error")
_UPDATE = "update_display_data"
_JSON_TYPE = re.compile(r"application/(.*\+)?json")


class Displays:
    """Which cells of a notebook show which display, by the id that the notebook gave it."""

    def __init__(self) -> None:
        self._cells: dict[str, dict[CellOutputs, None]] = {}

    def note(self, display_id: str, cell: CellOutputs) -> None:
        self._cells.setdefault(display_id, {})[cell] = None

    def places(self, display_id: str) -> list[tuple[CellOutputs, Any]]:
        """Return each output that shows it, with its cell."""
        return [
            (cell, output)
            for cell in self._cells.get(display_id, ())
            for output in cell.displays.get(display_id, ())
        ]


class CellOutputs:
    """The outputs of one cell.

    limit : how many bytes all messages together may have; the rest is cut
    known : the displays of the notebook's cells so far; None if this cell stands alone
    used : how many bytes the messages had; what one changes in several places counts in each
    displays : the outputs that still show a display, by its id
    changed : the earlier cells whose displays this cell has changed
    """

    def __init__(self, limit: int, known: Displays | None = None) -> None:
        self.used = 0
        self.displays: dict[str, list[Any]] = {}
        self.changed: dict[CellOutputs, None] = {}
        self._known = known if known is not None else Displays()
        self._limit = limit
        self._cell = node_of({"id": "cell", "cell_type": "code", "metadata": {},
                              "execution_count": None, "source": "", "outputs": []})  # fmt: skip
        self._client = _client_kind()(
            node_of({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}),
            record_timing=False,
            store_widget_state=False,
            log=_logger(),
        )
        self._client.shows = self
        self._client.nb["cells"].append(self._cell)
        self._client.clear_before_next_output = False

    def all(self) -> tuple[Mapping[str, object], ...]:
        return tuple(json.loads(json.dumps(output)) for output in self._cell.outputs)

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """Add what a message shows. Raises an Exception if the message is not valid."""
        if kind not in (*_KINDS, "clear_output", _UPDATE):
            return
        outputs = self._cell.outputs
        last = outputs[-1] if outputs else {}
        if kind != "clear_output":
            new = kind != _UPDATE
            # One message may change any number of outputs, each of which is written and kept.
            self.used += _size(content) * (new + len(self._known.places(_display_of(content))))
            if self.used > self._limit or (new and len(outputs) >= MAX_OUTPUTS):
                if last.get("text") == CUT:
                    return
                kind, content = "stream", {"name": "stdout", "text": CUT}
            elif (
                kind == "stream"
                and not self._client.clear_before_next_output
                and last.get("name") == content.get("name")
            ):
                last["text"] += str(content.get("text", ""))
                return
        message = {"header": {"msg_type": kind}, "msg_type": kind, "parent_header": {}}
        self._client.process_message({**message, "content": content}, self._cell, 0)

    def show(self, display_id: str, output: Any) -> None:
        """Note that an output of this cell shows a display."""
        self.displays.setdefault(display_id, []).append(output)
        self._known.note(display_id, self)

    def change(self, display_id: str, content: Mapping[str, Any]) -> None:
        """Show new content wherever a display stands. Raises as output_of() does."""
        new = node_of(output_of("display_data", content))
        for cell, output in self._known.places(display_id):
            output["data"], output["metadata"] = new["data"], new["metadata"]
            if cell is not self:
                self.changed[cell] = None


def _display_of(content: Mapping[str, Any]) -> str:
    """Return the id of the display that a message shows, "" for none, as nbclient finds it."""
    transient = content.get("transient")
    named = transient.get("display_id") if transient else None
    return named if isinstance(named, str) else ""


@cache
def _client_kind() -> Any:
    """Return the class. It is made when the first cell runs: nbclient takes long to load."""
    from nbclient.client import NotebookClient

    class Client(NotebookClient):
        """Keeps the displays of all cells in one place, where nbclient has them by cell."""

        shows: CellOutputs

        def output(self, outs: list[Any], msg: dict[str, Any], display_id: Any, index: int) -> Any:
            """Put an output into the cell as nbclient does, but without validation."""
            output = node_of(output_of(msg["msg_type"], msg["content"]))
            if self.clear_before_next_output:
                outs.clear()
                self.clear_display_id_mapping(index)
                self.clear_before_next_output = False
            if display_id:
                self.shows.show(display_id, output)
            outs.append(output)
            return output

        def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
            self.shows.change(display_id, msg["content"])

        def clear_display_id_mapping(self, cell_index: int) -> None:
            self.shows.displays.clear()

    return Client


def load() -> None:
    """Load nbclient, once for all processes that are forked afterwards."""
    _client_kind()


def node_of(parts: Mapping[str, Any]) -> Any:
    """Return a part of a notebook in nbformat's form.

    nbformat's own functions would validate it, which takes a third of a small notebook's session;
    to load the validator takes 0.15 s.
    """
    from nbformat.notebooknode import from_dict

    return from_dict(dict(parts))


def output_of(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a message's output.

    nbformat's own function compiles a schema first, which takes 0.1 s in each grading process.
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


def _logger() -> logging.Logger:
    logger = logging.getLogger("grade.nbclient")
    if not logger.handlers:  # add it once, not for each cell
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def _size(content: Any) -> int:
    """Return roughly how many bytes a message's content has."""
    if isinstance(content, str | bytes):
        return len(content)
    if isinstance(content, dict):
        return sum(len(str(key)) + _size(value) for key, value in content.items())
    if isinstance(content, list):
        return sum(map(_size, content))
    return 8
