"""
Signed requests with bodies, written by the event loop straight onto kept connections.

A body may be sent while it is still coming: what is written is what the client's socket gave, uncopied. A thread for
each body cost a hand-over of the interpreter at every step. Nothing here retries, but on a connection that the server
had closed while it was idle.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

from adapters.blobs.parts import Part
from adapters.blobs.signing import EMPTY_SHA256, UNSIGNED, Credentials, encode, encode_query, sign
from domain.clock import Clock

CONNECT_SECONDS_MAX = 5.0
UNSENT_BYTES_MAX = 512 * 2**10  # handed to a connection and not yet taken by the kernel
ANSWER_BYTES_MAX = 64 * 2**10
STALE_TICKS = 4  # looks at the progress in one timeout


@dataclass(slots=True)
class Answer:
    """What S3 said. Header names are in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Starved(Exception):
    """The body did not come on for so long that S3 would have hung up; it can be sent when it is all there."""


class Link(asyncio.Protocol):
    """
    One connection, for one request at a time.

    Attributes:
        is_idle: It can take a request.
    """

    def __init__(self) -> None:
        self._answer = Answer()
        self._answered: asyncio.Future[Answer] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._part: Part | None = None
        self._moved = 0  # bytes in either direction
        self._is_kept = False
        self.is_idle = False

    # ---- a request

    async def exchange(self, head: bytes, part: Part | None, *, timeout_seconds: float) -> Answer:
        """
        Send a request, and give its answer, which may come before all of it was sent.

        Raises:
            OSError: No answer came; TimeoutError when nothing moved for so long.
            Starved: See there.
        """
        loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._answer, self._answered, self._part = Answer(), loop.create_future(), part
        self.is_idle = False
        tick_seconds = timeout_seconds / STALE_TICKS
        self._watching = loop.call_later(tick_seconds, self._watch, tick_seconds, -1, 0)
        try:
            self._transport.write(head)
            was_sent = part is None or await (self._send(part) if part.is_sealed else self._send_early(part))
            answer = await self._answered
            self.is_idle = was_sent and self._is_kept and not self._transport.is_closing()
            return answer
        finally:
            self._watching.cancel()
            if not self._answered.cancel():
                self._answered.exception()  # seen, also when something else ended the exchange
            self._answered = self._part = None

    async def _send_early(self, part: Part) -> bool:
        """Send what is still coming; who waits for a client's bytes must hear of the server all the same."""
        assert self._answered is not None
        sending = asyncio.create_task(self._send(part))
        try:
            await asyncio.wait((sending, self._answered), return_when=asyncio.FIRST_COMPLETED)
            return sending.done() and sending.result()
        finally:
            sending.cancel()
            await asyncio.wait([sending])

    async def _send(self, part: Part) -> bool:
        """Write the body; False where the answer, or the end, came before it was whole."""
        assert self._answered is not None
        async with contextlib.aclosing(part.follow()) as chunks:
            async for chunk in chunks:
                if self._answered.done():
                    return False
                self._transport.write(chunk)
                self._moved += len(chunk)
                if self._writable is not None:
                    await asyncio.wait((self._writable, self._answered), return_when=asyncio.FIRST_COMPLETED)
        return True

    def _watch(self, seconds: float, moved_before: int, ticks: int) -> None:
        """Look whether anything moved; when it did not for a whole timeout, give up."""
        unsent = self._transport.get_write_buffer_size()
        moved = self._moved - unsent
        ticks = ticks + 1 if moved == moved_before else 0
        if ticks == STALE_TICKS:
            waits_for_body = unsent == 0 and self._part is not None and not self._part.is_sealed
            self._fail(Starved() if waits_for_body else TimeoutError("the server does not go on"))
            self._transport.abort()
            return
        self._watching = asyncio.get_running_loop().call_later(seconds, self._watch, seconds, moved, ticks)

    def _fail(self, fault: Exception) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(fault)

    def close(self) -> None:
        self.is_idle = False
        self._transport.abort()

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_idle = False
        self._fail(exc if isinstance(exc, OSError) else ConnectionResetError("the server closed the connection"))
        self.resume_writing()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def data_received(self, data: bytes) -> None:
        if self._answered is None:  # nobody asked; what follows cannot be trusted
            self.close()
            return
        self._moved += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(ConnectionError("the server's answer is no HTTP"))
            self.close()

    # ---- httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        if len(self._answer.body) < ANSWER_BYTES_MAX:
            self._answer.body += body

    def on_message_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        if self._answer.status < 200:  # interim: the answer is still to come
            self._answer = Answer()
            return
        self._is_kept = self._parser.should_keep_alive()
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(self._answer)


class Wire:
    """
    Connections to one endpoint, kept open.

    Args:
        url: Scheme, host and, with path style, the bucket: what comes before the key.
        credentials: Asked before every request, since they may be short-lived.
        signs_payload: Whether the body's SHA-256 is signed; without TLS nothing else vouches for the bytes.
        connections_max: Requests at once; half of them at most wait for the bytes of clients.
    """

    def __init__(
        self,
        url: str,
        *,
        region: str,
        credentials: Callable[[], Credentials],
        clock: Clock,
        signs_payload: bool,
        timeout_seconds: float,
        connections_max: int,
    ) -> None:
        parts = urlsplit(url)
        self._context = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._netloc = parts.hostname or "", parts.netloc
        self._port = parts.port or (443 if self._context else 80)
        self._path = parts.path.rstrip("/")
        self._region, self._credentials, self._clock = region, credentials, clock
        self._signs_payload, self._timeout_seconds = signs_payload, timeout_seconds
        self._turns = asyncio.Semaphore(connections_max)
        self._early_left = 0 if signs_payload else connections_max // 2
        self._links: set[Link] = set()
        self._idle: list[Link] = []
        self._is_closed = False

    @property
    def takes_early(self) -> bool:
        """Tell whether a body may be sent before it is all there. A slow client's must not keep others from going."""
        return self._early_left > 0 and not self._turns.locked()

    async def put(self, key: str, part: Part | None, *, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """
        Send a part, sealed or, where `takes_early`, one that has its `length`. A cancellation ends the connection.

        Raises: as Link.exchange does.
        """
        if part is None or part.is_sealed:
            return await self._put(key, part, query, headers)
        self._early_left -= 1
        try:
            return await self._put(key, part, query, headers)
        finally:
            self._early_left += 1

    async def _put(self, key: str, part: Part | None, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        async with self._turns:
            head = await self._head(key, part, query, headers)
            while True:
                kept = self._take_idle()
                link = kept or await self._connect()
                try:
                    return await link.exchange(head, part, timeout_seconds=self._timeout_seconds)
                except ConnectionError:
                    # A server may close what is idle at the very moment we use it again.
                    if kept is None:
                        raise
                finally:
                    if link.is_idle:
                        self._idle.append(link)
                    else:
                        link.close()
                        self._links.discard(link)

    def _take_idle(self) -> Link | None:
        while self._idle:
            link = self._idle.pop()
            if link.is_idle:
                return link
            self._links.discard(link)
        return None

    async def _head(self, key: str, part: Part | None, query: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
        path, text = f"{self._path}/{encode(key, safe='/')}", encode_query(query)
        signed = sign(
            "PUT",
            path,
            text,
            {"host": self._netloc, **headers},
            payload_sha256=await self._digest(part),
            credentials=self._credentials(),
            region=self._region,
            now=self._clock.now(),
        )
        signed["content-length"] = str(part.length if part else 0)
        fields = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        return f"PUT {path}{'?' if text else ''}{text} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")

    async def _digest(self, part: Part | None) -> str:
        if part is None:
            return EMPTY_SHA256
        return await part.sha256() if self._signs_payload else UNSIGNED

    async def _connect(self) -> Link:
        if self._is_closed:
            raise ConnectionError("the store is closed")
        connecting = asyncio.get_running_loop().create_connection(Link, self._host, self._port, ssl=self._context)
        async with asyncio.timeout(min(self._timeout_seconds, CONNECT_SECONDS_MAX)):
            _, link = await connecting
        self._links.add(link)
        return link

    def close(self) -> None:
        """End all connections, busy ones too."""
        self._is_closed = True
        for link in self._links:
            link.close()
        self._links.clear()
        self._idle.clear()
