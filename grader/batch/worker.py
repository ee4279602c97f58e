"""A grading process: the pipeline at the end of a pipe, for one submission after the other.

    python -m grader.batch.worker DESCRIPTOR [WARM]       started by grader/batch/workers.py

At WARM, where it is given, is a process to fork kernels from (session/fork_server.py).

Messages are JSON lists. To the worker:

    ["order", {...}]            records.Order, once, first
    ["grade", {...}]            an Item, when the answer to the one before is there
    ["end"]

From the worker, each about the submission that it was given last:

    ["doing", text]
    ["done", unchanged, isolation]   then two messages of bytes: packed verdict, packed evidence
    ["broken"]                       the same two; the checks don't load, whatever is handed in

When the parent is gone, or asks by SIGTERM, the worker ends its kernels and itself.
"""

from __future__ import annotations

import gc
import json
import queue
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from grader.batch.collector import Item
from grader.batch.serialization import Packed, record_of
from grader.records import Order


def main(descriptor: int, *warm: int) -> None:
    signal.signal(signal.SIGTERM, _stop)
    gc.set_threshold(50_000)  # as in cli.main
    pipe = _Pipe(Connection(descriptor))
    try:
        pipe.serve(*(socket.socket(fileno=end) for end in warm))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(1)


def _stop(number: int, frame: object) -> NoReturn:
    # As Ctrl-C does, so that every `with` on the way out ends what it began; once is enough.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


class _Pipe:
    """The worker's end of the pipe: gives the items, receives what becomes of them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.inbox: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self.lock = threading.Lock()  # cells report from threads of their own

    def serve(self, *warm: socket.socket) -> None:
        threading.Thread(target=self._listen, daemon=True, name="pipe").start()
        kind, order = self.inbox.get()
        assert kind == "order"
        # Only now: that the parent is gone is noticed while this loads.
        from grader import pipeline
        from grader.session import ForkServer

        pipeline.grade_stream(
            record_of(Order, order),
            self._items(),
            self,
            warm=ForkServer(warm[0]) if warm else None,
        )

    def _items(self) -> Iterator[Item]:
        while (message := self.inbox.get())[0] == "grade":
            yield record_of(Item, message[1])

    def _listen(self) -> None:
        try:
            while True:
                message = json.loads(self.connection.recv_bytes())
                self.inbox.put(message)
                if message[0] == "end":
                    return
        except (EOFError, OSError):
            # To the main thread itself: a signal that another one gets wakes it up too late.
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)

    def doing(self, number: int, text: str, worker: int = 0) -> None:
        self.send("doing", text)

    def done(self, number: int, packed: Packed, *, unchanged: bool, isolation: str) -> None:
        self.send("done", unchanged, isolation, packed=packed)

    def broken(self, packed: Packed) -> None:
        self.send("broken", packed=packed)

    def send(self, *message: Any, packed: Packed | None = None) -> None:
        with self.lock:
            self.connection.send_bytes(json.dumps(message).encode())
            if packed is not None:
                self.connection.send_bytes(packed.verdict)
                self.connection.send_bytes(packed.evidence)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
