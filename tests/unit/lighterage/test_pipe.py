"""Bodies past the parser: every byte in its place, whatever the client does, and the connection good for the next."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import uvicorn

from domain.blob import PipedBytes
from domain.upload import BodyEnd
from lighterage.exchange import Exchange
from lighterage.heads import HeadBounds, bounded_by
from tests.support.blobs import some_bytes
from upload.body import PIPED_BYTES_MIN, BodyReader

MIB = 2**20
HEAD = "PATCH / HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n{more}\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class App:
    """Reads bodies by pipe as the upload face and the local store do together, and answers how many bytes came."""

    bodies: list[BodyReader] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    piped: int = 0
    can_pipe: bool = True
    stop_after: int | None = None
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope, receive, send):
        length = int(dict(scope["headers"])[b"content-length"])
        make = scope.get("lighterage.pipe")
        body = BodyReader(receive, length=length, idle_timeout_seconds=5.0, pipe=make() if make else None)
        self.bodies.append(body)
        self.received.append(b"")
        if self.can_pipe:
            body.allow_pipe()
        try:
            while body.ended_by is None:
                await self._take(body, length)
                if self.stop_after is not None and body.received >= self.stop_after:
                    await body.drain(2 * MIB, timeout_seconds=1.0)
                    break
            if body.is_connected:
                await _answer(send, str(len(self.received[-1])).encode(), closes=body.ended_by is not BodyEnd.COMPLETE)
        finally:
            body.close()

    async def _take(self, body: BodyReader, length: int) -> None:
        async for chunk in body.chunks(limit=length - body.received):
            if isinstance(chunk, PipedBytes):
                self.piped += chunk.size
                self.received[-1] += os.read(chunk.pipe, chunk.size)
            else:
                self.received[-1] += chunk
            self.began.set()
            if self.stop_after is not None and body.received >= self.stop_after:
                return


async def _answer(send, content: bytes, *, closes: bool) -> None:
    fields = [(b"content-length", str(len(content)).encode())] + ([(b"connection", b"close")] if closes else [])
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": content})


@dataclass
class Wire:
    app: App
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def answer(self) -> bytes:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return await self.reader.readexactly(length)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    app = App()
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Exchange(app), http=bounded_by(HeadBounds()), ws="none", lifespan="off", log_config=None, proxy_headers=False
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment]  # pytest's own stay
    task = asyncio.create_task(server.serve(sockets=[listening]))
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    yield Wire(app, reader, writer)
    writer.close()
    server.should_exit = True
    await task
    listening.close()


def head(length: int, more: str = "") -> bytes:
    return HEAD.format(length=length, more=more).encode()


async def test_every_byte_comes_in_its_order_and_the_connection_stays(wire: Wire):
    """A second request comes in one piece with the end of the first body; a small one goes the usual way."""
    first, second = some_bytes(5 * MIB + 17), some_bytes(PIPED_BYTES_MIN - 1, seed=1)

    wire.writer.write(head(len(first)) + first + head(len(second)) + second)

    assert [str(len(first)).encode(), str(len(second)).encode()] == [await wire.answer(), await wire.answer()]
    assert [first, second] == wire.app.received
    assert wire.app.piped > MIB


async def test_every_body_of_a_connection_goes_by_pipe(wire: Wire):
    content = some_bytes(MIB)
    for _ in range(3):
        wire.writer.write(head(MIB))
        await wire.writer.drain()
        await asyncio.sleep(0.01)
        wire.writer.write(content)
        assert str(MIB).encode() == await wire.answer()

    assert [content] * 3 == wire.app.received
    assert 3 * MIB == wire.app.piped


async def test_bytes_that_somebody_must_see_come_straight_from_the_socket(wire: Wire):
    """They are hashed, or sent on to S3; half-way somebody may have seen enough."""
    wire.app.can_pipe = False
    first, second = some_bytes(3 * MIB + 1), some_bytes(MIB, seed=1)

    wire.writer.write(head(len(first)) + first + head(len(second)) + second)

    assert [str(len(first)).encode(), str(len(second)).encode()] == [await wire.answer(), await wire.answer()]
    assert [first, second] == wire.app.received
    assert 0 == wire.app.piped


@pytest.mark.parametrize("can_pipe", [True, False])
async def test_slow_bytes_come_as_they_are(wire: Wire, can_pipe: bool):
    """A batch is waited for only where it comes at once: whoever asks how far an upload is must not wait for it."""
    wire.app.can_pipe = can_pipe
    wire.writer.write(head(MIB))
    for number in range(4):
        wire.writer.write(b"x" * 10)
        await asyncio.wait_for(
            _until(lambda n=number: wire.app.bodies and wire.app.bodies[0].received == 10 * (n + 1)), 1
        )

    assert wire.app.bodies[0].ended_by is None


@pytest.mark.parametrize("can_pipe", [True, False])
@pytest.mark.parametrize("reset", [False, True])
async def test_bytes_before_a_cut_are_kept(wire: Wire, reset: bool, can_pipe: bool):
    wire.app.can_pipe = can_pipe
    wire.writer.write(head(2 * MIB) + b"x" * MIB)
    await asyncio.wait_for(_until(lambda: wire.app.bodies and wire.app.bodies[0].received == MIB), 5)

    if reset:
        wire.writer.transport.abort()
    else:
        wire.writer.close()
    await asyncio.wait_for(_until(lambda: wire.app.bodies[0].ended_by is not None), 5)

    assert BodyEnd.CUT is wire.app.bodies[0].ended_by
    assert b"x" * MIB == wire.app.received[0]
    assert not wire.app.bodies[0].is_connected


async def test_pause_and_stop_reach_a_waiting_body(wire: Wire):
    """Neither loses a byte: a pause ends one round of chunks, a stop the body."""
    wire.writer.write(head(MIB) + b"x" * 100)
    await wire.app.began.wait()
    body = wire.app.bodies[0]

    body.pause()
    wire.writer.write(b"y" * 100)
    await asyncio.wait_for(_until(lambda: body.received == 200), 5)
    body.stop()

    assert b"200" == await wire.answer()
    assert BodyEnd.STOPPED is body.ended_by
    assert b"x" * 100 + b"y" * 100 == wire.app.received[0]


async def test_rest_of_a_refused_body_is_thrown_away(wire: Wire):
    """So that a client that is still sending sees the answer; nothing of it is taken for a request."""
    wire.app.stop_after = 1
    for _ in range(2):
        wire.writer.write(head(2 * MIB) + b"x" * (2 * MIB))
        assert 0 < int(await wire.answer()) < 2 * MIB

    assert [BodyEnd.COMPLETE] * 2 == [body.ended_by for body in wire.app.bodies]


async def test_client_that_waits_is_told_to_continue(wire: Wire):
    wire.writer.write(head(MIB, "Expect: 100-continue\r\n"))
    assert b"HTTP/1.1 100 Continue\r\n\r\n" == await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 5)
    wire.writer.write(some_bytes(MIB))

    assert str(MIB).encode() == await wire.answer()
    assert some_bytes(MIB) == wire.app.received[0]


async def _until(holds) -> None:
    while not holds():
        await asyncio.sleep(0.001)
