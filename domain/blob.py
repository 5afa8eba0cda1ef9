"""
Blobs: the bytes of files, and the port through which they are stored.

A store takes bytes in order at the end of an unfinished blob and says how many became durable. How it cuts them
into parts, and what it keeps for that, is its own affair: an opaque state that the caller records for it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NewType, Protocol

BlobKey = NewType("BlobKey", str)
"""Names a blob in its store: relative, `/` between segments, safe on every store (domain.file.blob_key makes it)."""


@dataclass(frozen=True, slots=True)
class BlobWriter:
    """
    An unfinished blob, as a value to be recorded.

    Attributes:
        size_bytes: Durable bytes so far; the next append continues here.
        length: All the bytes there will be, or None while nobody knows.
        state: The store's own notes, JSON values only.
    """

    key: BlobKey
    content_type: str
    size_bytes: int = 0
    length: int | None = None
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Blob:
    """A finished blob. It never changes; `etag` is strong and without quotes."""

    key: BlobKey
    size_bytes: int
    etag: str


class BlobStore(Protocol):
    """
    Raises StoreFull when there is no room and StoreUnavailable when the store does not answer.

    At most one `append` of a blob runs at a time: the caller holds the upload's lock.
    """

    async def create(self, key: BlobKey, *, content_type: str, length: int | None) -> BlobWriter:
        """Begin a blob. Costs nothing lasting until bytes come; repeating it is harmless."""
        ...

    async def append(self, writer: BlobWriter, chunks: AsyncIterator[bytes]) -> BlobWriter:
        """
        Store chunks (1 to 262,144 bytes each) behind what is durable, and say how far that now reaches.

        Returns when the chunks end, when they were all made durable. A fault that `chunks` raises is raised on after
        nothing is promised of this call; the given `writer` stays valid, and its next append writes over what was
        left. On a store's own fault (full, away) it is the same, but that the fault's `kept` names what became durable.
        """
        ...

    async def complete(self, writer: BlobWriter) -> Blob:
        """Make the blob readable under its key, whole or not at all. Repeating it gives the same blob."""
        ...

    async def abort(self, writer: BlobWriter) -> None:
        """Remove what an unfinished blob left; no fault where nothing is."""
        ...

    def open(self, key: BlobKey, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the bytes from `start` up to `end` (exclusive), or raise NotFound; the caller closes."""
        ...

    async def stat(self, key: BlobKey) -> Blob:
        """Give a finished blob, or raise NotFound."""
        ...

    async def delete(self, key: BlobKey) -> None:
        """Remove a finished blob; no fault where there is none."""
        ...

    async def ping(self) -> None:
        """Raise StoreFull or StoreUnavailable unless bytes could be stored now."""
        ...


class SweepingBlobStore(BlobStore, Protocol):
    """A store that finds what broken-off requests left behind."""

    async def sweep(
        self, known: Callable[[BlobKey], Awaitable[bool]], *, older_than_seconds: float, now: datetime
    ) -> int:
        """
        Remove pieces of unfinished blobs that are old enough and that nobody knows; give how many.

        Args:
            known: Whether an upload of this key is not over yet; one that is being completed is not.
        """
        ...
