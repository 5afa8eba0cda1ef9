"""
Large bodies past the HTTP parser: read straight from the socket, or moved by the kernel from there into a pipe.

A byte that goes the usual way is copied five times between the socket and a file, four of them in this process. Read
straight it is copied twice, in a pipe once. Only for bodies of a known length on plain connections under Linux;
everything else goes the usual way.
"""

import asyncio
import contextlib
import fcntl
import os
import socket
from collections.abc import Callable
from typing import Any, TypeVar

import httptools

from domain.blob import PipedBytes

PIPE_BYTES = 2**20  # wanted; the kernel gives users with many pipes less, which only makes the steps smaller
DRAIN_BYTES = 2**16
BATCH_BYTES = 2**18  # a fast client is waited for until so many came: a step for each segment costs three times the CPU
BATCH_SECONDS_MAX = 0.02  # whoever takes longer for them is no fast client
T = TypeVar("T", bytes, int)

_SET_SIZE = getattr(fcntl, "F_SETPIPE_SZ", 1031)


def open_pipe(cycle: Any) -> "SocketPipe | None":
    """Give the way past the parser of an exchange of uvicorn; None where the socket's bytes are not the body's own."""
    protocol = getattr(getattr(cycle, "on_response", None), "__self__", None)
    has_body = (
        hasattr(os, "splice")
        and isinstance(getattr(protocol, "parser", None), httptools.HttpRequestParser)
        and cycle.scope["scheme"] == "http"
        and cycle.transport.get_extra_info("socket") is not None
    )
    return SocketPipe(cycle) if has_body else None


class SocketPipe:
    """
    Implements upload.body.BodyPipe for one request of uvicorn's protocol over httptools.

    Nothing is taken from the server before `begin`.
    """

    def __init__(self, cycle: Any) -> None:
        self._cycle = cycle
        self._protocol = cycle.on_response.__self__
        self._socket = self._out = self._in = -1
        self._is_waiting = False
        self._has_more = False  # the last step found bytes without waiting
        self._is_fast = True
        self._low_water = 1

    def begin(self) -> bytes:
        """Take the connection over from the parser, and give the bytes that it had read already."""
        cycle = self._cycle
        self._protocol.flow.pause_reading()
        if cycle.waiting_for_100_continue:
            cycle.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            cycle.waiting_for_100_continue = False
        # A descriptor of our own: the event loop guards that of the transport.
        self._socket = os.dup(cycle.transport.get_extra_info("socket").fileno())
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    async def read(self, size_max: int) -> bytes | None:
        """Wait for bytes and give up to `size_max` of them; None when the client has gone. Cancelled, it takes none."""
        return await self._next(self._read, size_max) or None

    async def fill(self, size_max: int) -> PipedBytes | None:
        """
        Wait for bytes and move up to `size_max` of them into the empty pipe; None when the client has gone.

        A cancellation moves nothing.
        """
        moved = await self._next(self._move, size_max)
        return PipedBytes(self._out, moved) if moved else None

    async def _next(self, take: Callable[[int], T], size_max: int) -> T | None:
        """Take bytes as soon as there are some; None, or nothing, when the client has gone."""
        if self._has_more:
            await asyncio.sleep(0)  # a client that is faster than we are must not keep all others out
        while True:
            taken: T | None = None
            try:
                taken = take(size_max)
            except BlockingIOError:
                self._has_more = False
                await self._readable(size_max)
                continue
            except ConnectionError:
                pass
            self._has_more = True
            if not taken:
                self._cycle.disconnected = True
                self._cycle.transport.close()
            return taken

    def _read(self, size_max: int) -> bytes:
        came = os.read(self._socket, size_max)
        self._is_fast = self._is_fast or len(came) >= size_max
        return came

    def _move(self, size_max: int) -> int:
        if self._out < 0:
            self._out, self._in = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._in, _SET_SIZE, PIPE_BYTES)
        moved = os.splice(self._socket, self._in, size_max, flags=os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE)
        self._is_fast = self._is_fast or moved >= BATCH_BYTES
        return moved

    async def _readable(self, size_max: int) -> None:
        """Wait for bytes: of a fast client for a batch of them, or for all that are missing."""
        loop = asyncio.get_running_loop()
        readable: asyncio.Future[bool] = loop.create_future()
        self._wake_at(min(size_max, BATCH_BYTES) if self._is_fast else 1)
        timer = loop.call_later(BATCH_SECONDS_MAX, _wake, readable, False) if self._is_fast else None
        loop.add_reader(self._socket, _wake, readable, True)
        self._is_waiting = True
        try:
            self._is_fast = await readable and self._is_fast
        finally:
            self._stop_waiting()
            if timer is not None:
                timer.cancel()

    def _wake_at(self, size: int) -> None:
        # socket(7), SO_RCVLOWAT: poll "will indicate a socket as readable only when at least SO_RCVLOWAT bytes are
        # available"; the end of the stream and faults are told at once all the same.
        if size != self._low_water:
            self._cycle.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
            self._low_water = size

    def _stop_waiting(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            asyncio.get_running_loop().remove_reader(self._socket)

    def empty(self) -> None:
        """Throw away what is in the pipe and was not taken out."""
        if self._out >= 0:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._out, DRAIN_BYTES):
                    pass

    def end(self) -> None:
        """Give the connection back: the body is whole, and what comes next is another request."""
        self._wake_at(1)
        protocol = self._protocol
        # The old one would take the next request for the rest of this body, which it has not seen.
        protocol.parser = httptools.HttpRequestParser(protocol)
        protocol.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn makes it
        self._cycle.more_body = False

    def close(self) -> None:
        """Let go of the pipe; more than once, at any time."""
        if self._socket < 0:
            return
        self._stop_waiting()
        for descriptor in (self._socket, self._out, self._in):
            if descriptor >= 0:
                os.close(descriptor)
        self._socket = self._out = self._in = -1


def _wake(readable: "asyncio.Future[bool]", by_bytes: bool) -> None:
    if not readable.done():
        readable.set_result(by_bytes)
