"""nbclient's NotebookClient, for one cell at a time; outputs are bounded while they arrive."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

MAX_OUTPUTS = 500
CUT = "\n[the rest of this output was cut]\n"
_JSON_TYPE = re.compile(r"application/(.*\+)?json")


def node_of(parts: Mapping[str, Any]) -> Any:
    """Return a part of a notebook in nbformat's form.

    nbformat's own functions would validate it, which takes a third of a small notebook's session;
    to load the validator takes 0.15 s.
    """
    from nbformat.notebooknode import from_dict

    return from_dict(dict(parts))


def code_cell(source: str) -> Any:
    """Return a code cell for CellRunner."""
    return node_of({"id": "cell", "cell_type": "code", "metadata": {}, "execution_count": None,
                    "source": source, "outputs": []})  # fmt: skip


def cell_runner() -> Any:
    """Return a new CellRunner."""
    runner = _kind()(
        node_of({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}),
        timeout=None,
        allow_errors=True,
        record_timing=False,
        store_widget_state=False,
        iopub_timeout=2,
        log=_logger(),
    )
    runner.on_cell_executed = runner.keep_reply
    return runner


@cache
def _kind() -> Any:
    """Return the class. It is made when the first session begins: nbclient takes long to load."""
    from nbclient.client import NotebookClient
    from nbclient.exceptions import DeadKernelError

    class CellRunner(NotebookClient):
        dead_kernel_error = DeadKernelError

        def begin_cell(self, limit: int) -> None:
            self.used = 0
            self.limit = limit
            self.reply: dict[str, Any] = {}

        def keep_reply(self, execute_reply: dict[str, Any], **kwargs: Any) -> None:
            self.reply = execute_reply["content"]

        def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
            if msg["msg_type"] in ("status", "clear_output"):
                return super().process_message(msg, cell, cell_index)
            if msg["msg_type"] not in ("stream", "display_data", "execute_result", "error"):
                return None
            content = msg["content"]
            last = cell.outputs[-1] if cell.outputs else {}
            self.used += _size(content)
            if self.used > self.limit or len(cell.outputs) >= MAX_OUTPUTS:
                if last.get("text") == CUT:
                    return None
                msg = {**msg, "msg_type": "stream", "content": {"name": "stdout", "text": CUT}}
                msg["header"] = {**msg["header"], "msg_type": "stream"}
            elif msg["msg_type"] == "stream" and last.get("name") == content.get("name"):
                last["text"] += str(content.get("text", ""))
                return None
            return super().process_message(msg, cell, cell_index)

        def output(self, outs: list[Any], msg: dict[str, Any], display_id: Any, index: int) -> Any:
            """Put an output into the cell as nbclient does, but without validation."""
            if self.clear_before_next_output:
                outs.clear()
                self.clear_display_id_mapping(index)
                self.clear_before_next_output = False
            if display_id:
                places = self._display_id_map.setdefault(display_id, {})
                places.setdefault(index, []).append(len(outs))
            outs.append(output_of(msg))
            return outs[-1]

        def outputs_of(self, cell: Any) -> tuple[Mapping[str, object], ...]:
            return tuple(json.loads(json.dumps(output)) for output in cell.outputs)

    return CellRunner


def output_of(message: Mapping[str, Any]) -> Any:
    """Return a message's output in nbformat's form.

    nbformat's own function compiles a schema first, which takes 0.1 s in each grading process.
    Raises KeyError or TypeError if the message is not an output: student code may have forged it.
    """
    kind, content = message["msg_type"], message["content"]
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
    return node_of({"output_type": kind, **parts})


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
    if not logger.handlers:  # add it once, not for each notebook
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
