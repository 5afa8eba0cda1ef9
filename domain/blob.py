"""
Blobs: the bytes of files, and the port through which they are stored.

A store takes bytes in order at the end of an unfinished blob and says how many became durable. How it cuts them
into parts, and what it keeps for that, is its own affair: an opaque state that the caller records for it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
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

    At most one call that takes a writer of a blob runs at a time: the caller holds the upload's lock. The writer that
    is handed in is the one that was last recorded, for a store removes what only earlier ones need. A store that can
    see another writer at work raises UploadLocked.
    """

    async def create(self, key: BlobKey, *, content_type: str, length: int | None) -> BlobWriter:
        """
        Begin a blob. Costs nothing lasting until bytes come; repeating it is harmless.

        LengthExceeded where the store can hold no blob of that length.
        """
        ...

    async def append(
        self,
        writer: BlobWriter,
        chunks: AsyncIterator[bytes],
        *,
        on_durable: Callable[[BlobWriter], Awaitable[None]] | None = None,
        expected_bytes: int | None = None,
    ) -> BlobWriter:
        """
        Store chunks (1 to 262,144 bytes each) behind what is durable, and say how far that now reaches.

        Returns when the chunks end, when they were all made durable. A fault that `chunks` raises is raised on after
        nothing is promised of this call; the given `writer` stays valid, and its next append writes over what was
        left. On a store's own fault (full, away) it is the same, but that the fault's `kept` names what became durable:
        record it as if it had been returned, or drop it. A cancellation promises nothing either; what it stops may
        take a moment to end, but can no longer touch bytes that a later append is told are durable.

        The chunks are no more than `length` allows; nobody changes them later. They are not closed here.

        Args:
            on_durable: Awaited between two chunks, now and then, with a writer that reaches further, so that a process
                that dies loses less than the request. What it raises ends the append; what it recorded stays valid, as
                `writer` does. Not for bytes that a checksum at the end may still refuse.
            expected_bytes: How many there will be if nothing cuts them short; what to expect, not to rely upon.
        """
        ...

    async def complete(self, writer: BlobWriter) -> Blob:
        """
        Make the blob readable under its key, whole or not at all. Repeating it gives the same blob.

        Conflict where another blob has the key; it stays as it is. It may be one that an earlier append of this upload
        became, and nobody recorded: who makes sure that nobody will may delete it, and complete again. A blob whose
        last byte was appended may be readable before this call, but never one that lacks a byte.
        """
        ...

    async def abort(self, writer: BlobWriter) -> None:
        """
        Remove what an unfinished blob left; no fault where nothing is.

        Not for one that was completed, which `delete` removes: a store need not be able to tell.
        """
        ...

    def open(self, key: BlobKey, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """
        Yield the bytes from `start` up to `end` (exclusive), in chunks of 1 byte to 1 MiB; none behind the blob's end.

        NotFound, at the first step of the iteration, where there is no such blob. Whoever stops early closes it.
        """
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


@dataclass(frozen=True, slots=True)
class PipedBytes:
    """A chunk that never came into this process's memory: `size` bytes, 1 or more, to be taken out of a pipe."""

    pipe: int
    size: int

    def __len__(self) -> int:
        return self.size


class PipingBlobStore(Protocol):
    """A store whose append also takes chunks that wait in a pipe, of up to 1 MiB each, and empties it."""

    async def append(
        self,
        writer: BlobWriter,
        chunks: AsyncIterator[bytes | PipedBytes],
        *,
        on_durable: Callable[[BlobWriter], Awaitable[None]] | None = None,
        expected_bytes: int | None = None,
    ) -> BlobWriter:
        """Do as BlobStore.append does."""
        ...


class CopyingBlobStore(Protocol):
    """A store that makes one blob of others by itself, so that their bytes need not come out and go in again."""

    async def concatenate(self, writer: BlobWriter, sources: Sequence[BlobKey]) -> BlobWriter:
        """
        Store the bytes of finished blobs, in order, behind what is durable; the sources stay.

        NotFound where a source is missing. On any fault nothing is promised, and the given `writer` stays valid.
        """
        ...


@dataclass(frozen=True, slots=True)
class SelectCounts:
    """How far a query by the store is; the last are the totals."""

    bytes_scanned: int
    bytes_processed: int
    bytes_returned: int


class SelectingBlobStore(Protocol):
    """A store that runs SQL over a blob by itself, so that the blob's bytes need not come here."""

    def select(self, key: BlobKey, request: Mapping[str, object]) -> AsyncGenerator[bytes | SelectCounts, None]:
        """
        Yield records as text, cut anywhere, and counts between them; whoever stops early closes it.

        SqlInvalid where the store finds fault with the query, StoreUnavailable where the answer was cut off.

        Args:
            request: In the words of S3's SelectObjectContent: Expression, InputSerialization and so on.
        """
        ...


class LinkingBlobStore(Protocol):
    """A store that others may read a blob from without us, by an address that is good for a short time."""

    async def link(self, key: BlobKey, *, seconds: int, content_type: str, disposition: str) -> str:
        """Make an address under which the store answers with these two header fields."""
        ...


class SweepingBlobStore(Protocol):
    """A store in which a crash may leave unfinished blobs that no record names."""

    async def sweep(
        self, known: Callable[[BlobKey], Awaitable[bool]], *, older_than_seconds: float, now: datetime
    ) -> int:
        """
        Remove unfinished blobs last written to `older_than_seconds` ago that nobody knows; give how many.

        Args:
            known: Whether a record of an upload that is not complete names the key: also one that is being completed.
        """
        ...
