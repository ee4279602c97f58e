"""The outputs of a cell: nbclient puts them together, and they are bounded while they arrive.

They have the form that a notebook's file gives them. Student code may have forged any message. The
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
_JSON_TYPE = re.compile(r"application/(.*\+)?json")


class CellOutputs:
    """The outputs of one cell.

    limit : how many bytes all messages together may have; the rest is cut
    used : how many bytes they had
    """

    def __init__(self, limit: int) -> None:
        self.used = 0
        self._limit = limit
        self._cell = node_of({"id": "cell", "cell_type": "code", "metadata": {},
                              "execution_count": None, "source": "", "outputs": []})  # fmt: skip
        self._client = _client_kind()(
            node_of({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}),
            record_timing=False,
            store_widget_state=False,
            log=_logger(),
        )
        self._client.nb["cells"].append(self._cell)
        self._client.clear_before_next_output = False

    def all(self) -> tuple[Mapping[str, object], ...]:
        return tuple(json.loads(json.dumps(output)) for output in self._cell.outputs)

    def take(self, kind: str, content: dict[str, Any]) -> None:
        """Add what a message shows. Raises an Exception if the message is not valid."""
        if kind not in (*_KINDS, "clear_output"):
            return
        outputs = self._cell.outputs
        last = outputs[-1] if outputs else {}
        if kind != "clear_output":
            self.used += _size(content)
            if self.used > self._limit or len(outputs) >= MAX_OUTPUTS:
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


@cache
def _client_kind() -> Any:
    """Return the class. It is made when the first cell runs: nbclient takes long to load."""
    from nbclient.client import NotebookClient

    class Client(NotebookClient):
        def output(self, outs: list[Any], msg: dict[str, Any], display_id: Any, index: int) -> Any:
            """Put an output into the cell as nbclient does, but without validation."""
            output = node_of(output_of(msg["msg_type"], msg["content"]))
            if self.clear_before_next_output:
                outs.clear()
                self.clear_display_id_mapping(index)
                self.clear_before_next_output = False
            if display_id:
                places = self._display_id_map.setdefault(display_id, {})
                places.setdefault(index, []).append(len(outs))
            outs.append(output)
            return output

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
