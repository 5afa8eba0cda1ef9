"""
The way of a body's bytes to the store: segment by segment, hashed and looked at as they pass.

A segment is what is stored and recorded together. A body without a checksum is cut into segments, so that a long
PATCH is recorded while it runs; one with a checksum is a single segment, since nothing of it may be recorded before
the checksum was verified.
"""

from collections.abc import AsyncIterator, Callable

from domain.content import SNIFF_BYTES
from domain.upload import Body, Checksum
from services.digests import LiveDigest

SEGMENT_BYTES = 64 * 2**20  # recorded at least this often; a kill in mid-request loses no more than this


class Receiver:
    """
    Cuts one body into segments.

    Attributes:
        beginning: The body's first `SNIFF_BYTES` at most, kept only from byte 0 of an upload.
        is_inspected: The beginning was long enough to tell the type by, and was let through.
        digest: What the passing bytes are added to; None where there is no use in it.
        is_done: The body has ended; no segment follows.
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

    def expected(self, body_length: int | None) -> int | None:
        """Give how many bytes the next segment will have if nothing cuts it short; None where nobody knows."""
        return None if body_length is None else min(SEGMENT_BYTES, body_length - self.received)

    async def segment(self) -> AsyncIterator[bytes]:
        """Yield the chunks of the next segment; `is_done` tells afterwards whether it was the last."""
        chunks = self._body.chunks(limit=self._limit - self.received, checksum=self._checksum)
        taken = 0
        async for chunk in chunks:
            if self._sees_beginning and not self.is_inspected:
                self.beginning += chunk[: SNIFF_BYTES - len(self.beginning)]
                self._look(enough=len(self.beginning) == SNIFF_BYTES)
            if self.digest is not None:
                await self.digest.update(chunk)
            taken += len(chunk)
            self.received += len(chunk)
            if taken >= SEGMENT_BYTES and self._checksum is None:
                self._body.pause()
            yield chunk
        self.is_done = self._body.ended_by is not None
        # A beginning that was cut tells nothing: the rest of a signature may come with the next request.
        self._look(enough=self.is_done and 0 < self.received == self._limit)

    def _look(self, *, enough: bool) -> None:
        if enough and self._inspect is not None and self._sees_beginning and not self.is_inspected:
            self._inspect(self.beginning)
            self.is_inspected = True
