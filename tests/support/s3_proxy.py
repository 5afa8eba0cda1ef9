"""A proxy between a store and its S3 server that fails a request of choice, each in its own way."""

import asyncio
import contextlib
from enum import Enum
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class Fault(Enum):
    REFUSE = "closes without an answer"
    CUT = "closes in the midst of the body"
    LOSE = "does the work and closes without an answer"
    SLOW_DOWN = "answers 503 SlowDown"
    SLOW_DOWN_EARLY = "answers 503 before it has read the body, and closes"
    ERROR = "answers 500"
    STALL = "never answers"
    FULL = "answers 507"
    NO_ETAG = "does the work and leaves the ETag out"
    WRONG_ETAG = "does the work and gives another ETag"
    CUT_ANSWER = "closes in the midst of the answer"
    DELAY = "takes the body, and hands it on only when `released` is set"


_ANSWERS = {
    Fault.SLOW_DOWN: (b"503 Slow Down", b"SlowDown"),
    Fault.SLOW_DOWN_EARLY: (b"503 Slow Down", b"SlowDown"),
    Fault.ERROR: (b"500 Internal Server Error", b"InternalError"),
    Fault.FULL: (b"507 Insufficient Storage", b"InsufficientStorage"),
}


class FaultProxy:
    """
    Between `async with` and its end it hands requests on and counts them.

    Attributes:
        fault: What happens to request number `fail_at`.
        lasts: Whether it happens to all behind it as well.
        requests: Method and target of every request so far.
        heads: Their heads, in lower case.
        arrived: Set when the request that is to fail has come, with its body where that is read.
    """

    def __init__(self, upstream: str) -> None:
        self._upstream = urlsplit(upstream)
        self.fault: Fault | None = None
        self.fail_at = 0
        self.lasts = False
        self.requests: list[str] = []
        self.heads: list[str] = []
        self.arrived, self.released = asyncio.Event(), asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.endpoint = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def fail(self, fault: Fault | None, *, at: int, lasts: bool = False) -> None:
        """Let the request with this number fail, counted from now on, from 1."""
        self.fault, self.fail_at, self.lasts = fault, at, lasts
        self.requests, self.heads = [], []
        self.arrived, self.released = asyncio.Event(), asyncio.Event()

    @property
    def has_failed(self) -> bool:
        return len(self.requests) >= self.fail_at

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        line, _, _ = head.partition(b"\r\n")
        self.requests.append(b" ".join(line.split(b" ")[:2]).decode())
        self.heads.append(head.decode().lower())
        number = len(self.requests)
        fault = self.fault if number == self.fail_at or (self.lasts and number > self.fail_at) else None
        length = _content_length(head)
        if number == self.fail_at and fault is not Fault.DELAY:
            self.arrived.set()
        if fault is Fault.REFUSE:
            return
        if fault is Fault.DELAY:
            await self._delay(head, await reader.readexactly(length))
            return
        if fault is Fault.STALL:
            await asyncio.Event().wait()
        if fault is Fault.SLOW_DOWN_EARLY:
            await self._answer(writer, fault)
            return
        if fault in _ANSWERS:
            await reader.readexactly(length)
            await self._answer(writer, fault)
            return
        answer = await self._forward(head, reader, length // 2 if fault is Fault.CUT else length, length)
        if fault is Fault.CUT or fault is Fault.LOSE:
            return
        writer.write(answer[: -len(answer) // 2] if fault is Fault.CUT_ANSWER else _spoiled(answer, fault))
        await writer.drain()
        writer.write_eof()
        await reader.read()

    async def _delay(self, head: bytes, body: bytes) -> None:
        released = self.released
        self.arrived.set()
        await released.wait()
        self.arrived.clear()
        late = asyncio.StreamReader()
        late.feed_data(body)
        await self._forward(head, late, len(body), len(body))
        self.arrived.set()

    async def _answer(self, writer: asyncio.StreamWriter, fault: Fault) -> None:
        status, code = _ANSWERS[fault]
        body = b"<Error><Code>" + code + b"</Code></Error>"
        writer.write(b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.write_eof()

    async def _forward(self, head: bytes, reader: asyncio.StreamReader, size: int, length: int) -> bytes:
        """Hand `size` bytes of the body on and give the whole answer; nothing when the body is cut."""
        upstream, up = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        try:
            up.write(head[:-2] + b"Connection: close\r\n\r\n")
            while size:
                piece = await reader.read(min(size, 262_144))
                if not piece:
                    return b""
                up.write(piece)
                await up.drain()
                size -= len(piece)
                length -= len(piece)
            return await upstream.read() if length == 0 else b""
        finally:
            up.transport.abort()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def _spoiled(answer: bytes, fault: Fault | None) -> bytes:
    if fault not in {Fault.NO_ETAG, Fault.WRONG_ETAG}:
        return answer
    head, blank, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    kept = [line for line in lines if not line.lower().startswith(b"etag:")]
    if fault is Fault.WRONG_ETAG and len(kept) < len(lines):
        kept.append(b'ETag: "00000000000000000000000000000000"')
    return b"\r\n".join(kept) + blank + body
