"""
The messages between the server and a worker: one byte of kind, four of length, then the payload.

JSON where there is structure, bytes where there is data. Neither side trusts the other with more than that.
"""

import socket
import struct
from enum import IntEnum
from typing import Final

HEAD: Final = struct.Struct(">BI")
FRAME_BYTES_MAX: Final = 16 << 20  # more than any frame needs; a larger one is a fault
ROWS_BYTES: Final = 1 << 18  # rows go out in frames of about this size
_COUNT: Final = struct.Struct(">I")


class Frame(IntEnum):
    # to the worker
    QUERY = 1
    CANCEL = 2
    BYTES = 3
    # from the worker
    READY = 10
    COLUMNS = 11
    ROWS = 12
    PROGRESS = 13
    END = 14
    ERROR = 15
    READ = 16


def send(sock: socket.socket, kind: Frame, *payload: bytes | memoryview) -> None:
    """Send one frame whole; blocks while the other side is slow, which is the back-pressure."""
    pieces: list[bytes | memoryview] = [HEAD.pack(kind, sum(map(len, payload))), *payload]
    sent = sock.sendmsg(pieces)
    for piece in pieces:
        if sent >= len(piece):
            sent -= len(piece)
            continue
        sock.sendall(piece[sent:])
        sent = 0


def receive(sock: socket.socket) -> tuple[Frame, bytes]:
    """
    Wait for one frame.

    Raises:
        EOFError: The other side is gone.
    """
    kind, size = HEAD.unpack(_exactly(sock, HEAD.size))
    if size > FRAME_BYTES_MAX:
        raise EOFError("frame too large")
    return Frame(kind), _exactly(sock, size)


def _exactly(sock: socket.socket, size: int) -> bytes:
    buffer = bytearray(size)
    view = memoryview(buffer)
    while view:
        count = sock.recv_into(view)
        if count == 0:
            raise EOFError
        view = view[count:]
    return bytes(buffer)


def rows_head(count: int) -> bytes:
    return _COUNT.pack(count)


def split_rows(payload: bytes) -> tuple[int, memoryview]:
    """The number of records and their text."""
    return _COUNT.unpack_from(payload)[0], memoryview(payload)[_COUNT.size :]
