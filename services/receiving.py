"""
The way of a body's bytes to the store: hashed and looked at as they pass, where anybody needs to.

A segment is what is stored by one call of the store: the whole body, or up to where somebody asks how far it is.
"""

from collections.abc import AsyncIterator, Callable

from domain.blob import PipedBytes
from domain.content import SNIFF_BYTES
from domain.upload import Body, Checksum
from services.digests import LiveDigest


class Receiver:
    """
    Cuts one body into segments.

    Attributes:
        beginning: The body's first `SNIFF_BYTES` at most, kept only from byte 0 of an upload.
        is_inspected: The beginning was long enough to tell the type by, and was let through.
        digest: What the passing bytes are added to; None where there is no use in it.
        is_done: The body has ended; no segment follows.

    Args:
        can_pipe: The store takes bytes that nobody here has seen.
    """

    def __init__(
        self,
        body: Body,
        *,
        offset: int,
        limit: int,
        checksum: Checksum | None,
        digest: LiveDigest | None,
        inspect: Callable[[bytes], None] | None,
        can_pipe: bool = False,
    ) -> None:
        self._body = body
        self._limit = limit
        self._checksum = checksum
        self.digest = digest
        self._inspect = inspect
        self._sees_beginning = offset == 0 and inspect is not None
        self.beginning = b""
        self.is_inspected = False
        self.received = 0
        self.is_done = False
        self._can_pipe = can_pipe and checksum is None
        self._allow_pipe()

    def expected(self, body_length: int | None) -> int | None:
        """Give how many bytes the next segment will have if nothing cuts it short; None where nobody knows."""
        return None if body_length is None else body_length - self.received

    async def segment(self) -> AsyncIterator[bytes | PipedBytes]:
        """Yield the chunks of the next segment; `is_done` tells afterwards whether it was the last."""
        async for chunk in self._body.chunks(limit=self._limit - self.received, checksum=self._checksum):
            if isinstance(chunk, bytes):
                await self._see(chunk)
            self.received += len(chunk)
            yield chunk
        self.is_done = self._body.ended_by is not None
        # A beginning that was cut tells nothing: the rest of a signature may come with the next request.
        self._look(enough=self.is_done and 0 < self.received == self._limit)

    async def _see(self, chunk: bytes) -> None:
        if self._sees_beginning and not self.is_inspected:
            self.beginning += chunk[: SNIFF_BYTES - len(self.beginning)]
            self._look(enough=len(self.beginning) == SNIFF_BYTES)
            self._allow_pipe()
        if self.digest is not None:
            await self.digest.update(chunk)
            if not self.digest.is_needed:
                self.digest = None
                self._allow_pipe()

    def _allow_pipe(self) -> None:
        if self._can_pipe and self.digest is None and (self.is_inspected or not self._sees_beginning):
            self._body.allow_pipe()

    def _look(self, *, enough: bool) -> None:
        if enough and self._inspect is not None and self._sees_beginning and not self.is_inspected:
            self._inspect(self.beginning)
            self.is_inspected = True
