"""The result of a query as a file of its own: it lands like any upload, with quota, digest and event."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from auth.policy import Action, require
from domain.errors import LengthExceeded, StoreUnavailable
from domain.file import File
from domain.ids import FileId
from domain.principal import Principal
from domain.upload import BodyEnd, Checksum, NewUpload
from services.posting import PostingService
from services.queries import End, Progress, QueryService, Stats
from services.reading import OutputFormat, OutputKind, Select

CHUNK_BYTES_MAX = 256 * 1024  # what stores are promised

_TYPES = {OutputKind.CSV: "text/csv", OutputKind.JSON: "application/x-ndjson"}


@dataclass(frozen=True, slots=True)
class SavedResult:
    file: File
    stats: Stats


class SavingService:
    """Saves results."""

    def __init__(self, *, queries: QueryService, posting: PostingService) -> None:
        self._queries = queries
        self._posting = posting

    async def save(
        self, principal: Principal, file_id: FileId, query: Select, output: OutputFormat, new: NewUpload
    ) -> SavedResult:
        """
        Run a statement and store its records as a new file.

        Args:
            new: What the file is called and whose it is; its type is that of the output.

        Raises:
            LighterageError: As QueryService and UploadService do; then there is no new file.
        """
        # Before the query: who may not keep a result need not wait for it.
        require(principal, Action.CREATE_UPLOAD)
        async with aclosing(self._queries.select_text(principal, file_id, query, output)) as events:
            # A statement that fails at once leaves nothing to be dropped.
            result = _ResultBody(await anext(events), events)
            file = await self._posting.post(principal, replace(new, content_type=_TYPES[output.kind]), result)
        if file is None:
            raise StoreUnavailable("server")  # it stops, and took no more of the result
        assert result.stats is not None, "a result ends with what it took"
        return SavedResult(file, result.stats)


class _ResultBody:
    """A result as the body of an upload. What fails in the query fails in `chunks`."""

    def __init__(self, first: bytes | Progress | End, events: AsyncGenerator[bytes | Progress | End, None]) -> None:
        self.received = 0
        self.ended_by: BodyEnd | None = None
        self.stats: Stats | None = None
        self._first = first
        self._events = events
        self._stopped = asyncio.Event()

    async def chunks(self, *, limit: int, checksum: Checksum | None = None) -> AsyncIterator[bytes]:
        assert checksum is None, "nobody declared what a result will hash to"
        taken = 0
        event: bytes | Progress | End | None = self._first
        while event is not None and not self._stopped.is_set():
            if isinstance(event, bytes):
                taken += len(event)
                if taken > limit:
                    raise LengthExceeded(f"the result is longer than the {limit} bytes that a file may have")
                for start in range(0, len(event), CHUNK_BYTES_MAX):
                    chunk = event[start : start + CHUNK_BYTES_MAX]
                    self.received += len(chunk)
                    yield chunk
            elif isinstance(event, End):
                self.stats = event.stats
            event = await self._next()
        self.ended_by = BodyEnd.STOPPED if self._stopped.is_set() else BodyEnd.COMPLETE

    async def _next(self) -> bytes | Progress | End | None:
        """Wait for what comes, or for being stopped."""
        coming = asyncio.ensure_future(anext(self._events, None))
        stopping = asyncio.ensure_future(self._stopped.wait())
        try:
            await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not coming.done():
                coming.cancel()
            stopping.cancel()
            await asyncio.wait({coming, stopping})
        return None if coming.cancelled() else coming.result()

    def allow_pipe(self) -> None:
        """There is none."""

    def pause(self) -> None:
        """Nobody resumes a result: it is recorded as the store makes it durable."""

    def stop(self) -> None:
        self._stopped.set()
