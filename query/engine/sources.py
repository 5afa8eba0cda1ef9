"""
Where a worker's bytes come from: a file that it was handed open, or ranges that the server reads for it.
"""

import queue
import socket
import struct
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from query.engine.frames import Frame, send

RANGE_BYTES_MAX: Final = 4 << 20  # of one answer; larger reads take several
READ: Final = struct.Struct(">QI")


class RangeReader(Protocol):
    """
    An object of a store, as the caller brings it.

    `read` yields the bytes from `start` to before `end`, in chunks of any size.
    """

    @property
    def size(self) -> int: ...
    def read(self, start: int, end: int) -> AsyncIterator[bytes]: ...


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine."""

    path: Path


QuerySource = LocalFile | RangeReader


class RemoteSource:
    """In the worker: asks the server for ranges. One thread at a time."""

    def __init__(self, sock: socket.socket, size: int, sending: threading.Lock) -> None:
        self.size = size
        self._sock = sock
        self._sending = sending
        self._answers: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def read_into(self, offset: int, view: memoryview) -> int:
        wanted = min(len(view), RANGE_BYTES_MAX)
        with self._sending:
            send(self._sock, Frame.READ, READ.pack(offset, wanted))
        answer = self._answers.get()
        if answer is None:
            raise InterruptedError
        view[: len(answer)] = answer
        return len(answer)

    def answer(self, data: bytes | None) -> None:
        """Bytes that came, or None when the query is over."""
        self._answers.put(data)
