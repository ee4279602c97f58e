"""nbclient's NotebookClient, one cell at a time, with its outputs bounded while they arrive."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

MAX_OUTPUTS = 500
CUT = "\n[the rest of this output was cut]\n"


def node_of(parts: Mapping[str, Any]) -> Any:
    """Return a part of a notebook in nbformat's form.

    It is made here, so that it is not validated: a third of what a small notebook's session took,
    and to load what validates takes 0.15 s.
    """
    from nbformat.notebooknode import from_dict

    return from_dict(dict(parts))


def code_cell(source: str) -> Any:
    """Return a code cell for CellRunner."""
    return node_of({"id": "cell", "cell_type": "code", "metadata": {}, "execution_count": None,
                    "source": source, "outputs": []})  # fmt: skip


def cell_runner() -> Any:
    """Return nbclient's NotebookClient, with its outputs bounded while they arrive."""
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
    """Return the class, made when the first session begins: nbclient takes long to load."""
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

        def outputs_of(self, cell: Any) -> tuple[Mapping[str, object], ...]:
            return tuple(json.loads(json.dumps(output)) for output in cell.outputs)

    return CellRunner


def _logger() -> logging.Logger:
    logger = logging.getLogger("grade.nbclient")
    if not logger.handlers:  # one for a class of thousands
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def _size(content: Any) -> int:
    """Return about how many bytes a message's content holds."""
    if isinstance(content, str | bytes):
        return len(content)
    if isinstance(content, dict):
        return sum(len(str(key)) + _size(value) for key, value in content.items())
    if isinstance(content, list):
        return sum(map(_size, content))
    return 8
