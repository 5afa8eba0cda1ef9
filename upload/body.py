"""The body of a request over ASGI, as the port that services read from: counted, limited, checked, and endable."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

from domain.blob import PipedBytes
from domain.errors import ChecksumMismatch, LengthExceeded
from domain.upload import BodyEnd, Checksum
from upload.protocol import headers
from upload.protocol.checksums import Verifier
from upload.protocol.message import Field

Message = MutableMapping[str, Any]  # ASGI's own shape
Receive = Callable[[], Awaitable[Message]]
CallLater = Callable[..., asyncio.TimerHandle]

CHUNK_BYTES_MAX = 256 * 1024  # what stores are promised; uvicorn's messages are no longer either
PIPE_BYTES_MAX = 2**20  # of one chunk in a pipe: what Linux lets anybody's pipe hold
PIPED_BYTES_MIN = 256 * 1024  # bodies of less than this are not worth it
_IDLE_TICKS = 4  # looks at the progress in one idle timeout; one more is waited, so a body never ends too early


class BodyPipe(Protocol):
    """The way of a body past the server's parser: from the connection, as bytes or, by the kernel alone, in a pipe."""

    def begin(self) -> bytes:
        """Take the connection over from the parser, and give the bytes that it had read already."""
        ...

    async def read(self, size_max: int) -> bytes | None:
        """Wait for bytes and give up to `size_max` of them; None when the client has gone."""
        ...

    async def fill(self, size_max: int) -> PipedBytes | None:
        """Wait for bytes and move up to `size_max` of them into the empty pipe; None when the client has gone."""
        ...

    def empty(self) -> None:
        """Throw away what is in the pipe and was not taken out."""
        ...

    def end(self) -> None:
        """Give the connection back: the body is whole, and what comes next is another request."""
        ...

    def close(self) -> None:
        """Let go of the pipe; more than once, at any time."""
        ...


class BodyReader:
    """
    Reads a body once; implements domain.upload.Body.

    Whoever waits for bytes is woken by cancelling and un-cancelling its task, as asyncio.timeout does: a task or a
    timer for every chunk would cost more than all the rest of the way. One lazy timer watches for idleness.

    Attributes:
        length: Bytes there should be; None where only the end will tell.
        received: Bytes taken so far.
        ended_by: How it ended; None before that.
        is_connected: False once the client is known to be gone, so that nobody reads an answer.
    """

    __slots__ = (
        "_algorithms",
        "_call_later",
        "_ending",
        "_has_begun",
        "_header_count",
        "_header_lines",
        "_idle_ticks",
        "_idle_timeout_seconds",
        "_is_piping",
        "_pausing",
        "_pipe",
        "_progress_bytes_min",
        "_receive",
        "_received_at_tick",
        "_task",
        "_timer",
        "ended_by",
        "is_connected",
        "length",
        "received",
    )

    def __init__(
        self,
        receive: Receive,
        *,
        length: int | None,
        idle_timeout_seconds: float,
        header_lines: Sequence[Field] = (),
        algorithms: tuple[str, ...] = (),
        rate_min_bytes_per_second: int = 0,
        call_later: CallLater | None = None,
        pipe: BodyPipe | None = None,
    ) -> None:
        """
        Args:
            pipe: Where the server has one for this body, whose length must be known then.
            header_lines: The server's own list of header lines. uvicorn with httptools appends trailers to it when the
                body has come; what is in it now is no trailer.
            algorithms: Those a checksum in the trailer may name.
            rate_min_bytes_per_second: A body that stays slower than this for an idle timeout is as good as idle.
            call_later: As of the event loop, which it is if None.
        """
        self.length = length
        self.received = 0
        self.ended_by: BodyEnd | None = BodyEnd.COMPLETE if length == 0 else None
        self.is_connected = True
        self._receive = receive
        self._header_lines = header_lines
        self._header_count = len(header_lines)
        self._algorithms = algorithms
        self._idle_timeout_seconds = idle_timeout_seconds
        self._progress_bytes_min = max(1, rate_min_bytes_per_second * idle_timeout_seconds / _IDLE_TICKS)
        self._call_later = call_later
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[Any] | None = None  # who is waiting for bytes right now
        self._ending: BodyEnd | None = None
        self._pausing = False
        self._pipe = pipe
        self._has_begun = False  # the connection is ours, and no longer the parser's
        self._is_piping = False
        self._idle_ticks = 0
        self._received_at_tick = 0

    async def chunks(self, *, limit: int, checksum: Checksum | None = None) -> AsyncIterator[bytes | PipedBytes]:
        """
        Yield chunks of 1 to 262,144 bytes; a cut, stopped or idle body just ends, and `ended_by` says so.

        Once it was allowed, chunks in a pipe, of up to `PIPE_BYTES_MAX`, which are gone with the next step.

        A cancellation of the reading task leaves the body where it is.

        Raises (from the iteration):
            LengthExceeded: More than `limit` bytes came, or were announced (then none is read).
            ChecksumMismatch: The body is whole and its digest another; or it ended early, so nothing can be said of it.
            InvalidValue, ChecksumAlgorithmUnsupported: The trailer does not hold a checksum that could be compared.
        """
        if self.length is not None and self.length - self.received > limit:
            raise _exceeded(limit)
        taken = 0
        self._pausing = False
        verifier = None if checksum is None else Verifier(checksum, announced=self._algorithms)
        while self.ended_by is None:
            body = await self._next()
            if not body:
                if self._pausing:
                    return
                continue
            taken += len(body)
            self.received += len(body)
            if taken > limit:
                raise _exceeded(limit)
            if isinstance(body, PipedBytes):
                yield body
                continue
            if len(body) <= CHUNK_BYTES_MAX:
                if verifier is not None:
                    verifier.update(body)
                yield body
                continue
            for start in range(0, len(body), CHUNK_BYTES_MAX):
                chunk = body[start : start + CHUNK_BYTES_MAX]
                if verifier is not None:
                    verifier.update(chunk)
                yield chunk
        if checksum is not None and verifier is not None:
            self._verify(checksum, verifier)

    def allow_pipe(self) -> None:
        """Let the bytes that are still to come pass by the kernel alone, where the server can do that."""
        self._is_piping = True

    def pause(self) -> None:
        """End the present `chunks` where it is; the next call of it continues there. Not for a body with a checksum."""
        if self.ended_by is None and not self._pausing:
            self._pausing = True
            self._wake()

    def stop(self) -> None:
        """End the body where it is; from any task of this loop, more than once, also after it ended."""
        self._end(BodyEnd.STOPPED)

    def close(self) -> None:
        """Let go of timer and pipe. The body must not be read any more."""
        self._disarm()
        if self._pipe is not None:
            self._pipe.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def drain(self, limit: int, *, timeout_seconds: float) -> None:
        """Read on and throw away, until the body ends, `limit` more bytes came or the time is over."""
        self._disarm()
        call_later = self._call_later or asyncio.get_running_loop().call_later
        self._timer = call_later(timeout_seconds, self._end, BodyEnd.IDLE)
        received = self.received
        while self.ended_by is None and self.received - received < limit:
            self._pausing = False  # there is nobody left to pause for, and a paused body gives nothing
            if self._pipe is not None:
                self._pipe.empty()
            self.received += len(await self._next())

    async def _next(self) -> bytes | PipedBytes:
        """Wait for the next bytes; none may come, and `ended_by` may be set by then."""
        if self._note_ending() or self._pausing:
            return b""
        if self._timer is None:
            self._arm()
        task = asyncio.current_task()
        assert task is not None
        cancelling = task.cancelling()
        self._task = task
        try:
            if self._pipe is not None:
                return await self._next_past_parser(self._pipe)
            return self._take(await self._receive())
        except asyncio.CancelledError:
            # Ours only if nobody else wants this task to end.
            woken = self._note_ending() or self._pausing
            if not woken or task.uncancel() > cancelling:
                raise
            return b""
        finally:
            self._task = None

    async def _next_past_parser(self, pipe: BodyPipe) -> bytes | PipedBytes:
        assert self.length is not None
        left = self.length - self.received
        if not self._has_begun:
            self._has_begun = True
            if begun := pipe.begin():
                return self._take({"type": "http.request", "body": begun, "more_body": True})
        chunk: bytes | PipedBytes | None
        if self._is_piping:
            chunk = await pipe.fill(min(left, PIPE_BYTES_MAX))
        else:
            chunk = await pipe.read(min(left, CHUNK_BYTES_MAX))
        if chunk is None:
            return self._take({"type": "http.disconnect"})
        if len(chunk) == left:
            self.ended_by = BodyEnd.COMPLETE
            pipe.end()
        return chunk

    def _note_ending(self) -> bool:
        if self._ending is None:
            return False
        self.ended_by = self._ending
        return True

    def _take(self, message: Message) -> bytes:
        if message["type"] == "http.disconnect":
            self.is_connected = False
            self.ended_by = BodyEnd.CUT
            return b""
        body: bytes = message.get("body", b"")
        reached = self.received + len(body)
        if self.length is not None and reached >= self.length:
            self.ended_by = BodyEnd.COMPLETE
        elif not message.get("more_body", False):
            self.ended_by = BodyEnd.COMPLETE if self.length is None else BodyEnd.CUT
        return body

    def _end(self, how: BodyEnd) -> None:
        if self.ended_by is not None or self._ending is not None:
            return
        self._ending = how
        self._wake()

    def _wake(self) -> None:
        """Let whoever waits for bytes look up; once, so that it has one cancellation to take back."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    def _arm(self) -> None:
        call_later = self._call_later or asyncio.get_running_loop().call_later
        self._timer = call_later(self._idle_timeout_seconds / _IDLE_TICKS, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._task is None:
            # The store is the slow one, not the client; the next wait arms the timer anew.
            self._idle_ticks = 0
            return
        progress, self._received_at_tick = self.received - self._received_at_tick, self.received
        self._idle_ticks = 1 if progress >= self._progress_bytes_min else self._idle_ticks + 1
        if self._idle_ticks > _IDLE_TICKS:
            self._end(BodyEnd.IDLE)
        else:
            self._arm()

    def _verify(self, checksum: Checksum, verifier: Verifier) -> None:
        if self.ended_by is not BodyEnd.COMPLETE:
            raise ChecksumMismatch(checksum.algorithm)
        if checksum.digest is None:
            trailer = next((v for n, v in self._header_lines[self._header_count :] if n == b"upload-checksum"), None)
            if trailer is None:
                raise ChecksumMismatch(checksum.algorithm)
            checksum = headers.parse_checksum(trailer.decode("latin-1"), algorithms=self._algorithms)
        if not verifier.matches(checksum):
            raise ChecksumMismatch(checksum.algorithm)


def _exceeded(limit: int) -> LengthExceeded:
    return LengthExceeded(f"the body holds more than the {limit} bytes that may still come")
