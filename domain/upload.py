"""
Uploads: transfers that are not finished yet, the rules of their state, and the commands that both protocols speak.

Every rule takes values and gives a new value or raises; nothing here reads a byte or a clock.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Protocol

from domain.blob import BlobWriter, PipedBytes
from domain.errors import (
    LengthExceeded,
    LengthMismatch,
    OffsetMismatch,
    PermissionDenied,
    UploadComplete,
    UploadExpired,
)
from domain.file import MetadataEntry, Resource, Visibility
from domain.ids import FileId, FileVersionId, ShareLinkId, UploadId, UserId
from domain.records import Kind

LENGTH_MAX = 2**63 - 1  # what every database, store and language keeps as a number


class UploadStatus(Enum):
    """
    Where a transfer stands: created → in_progress → assembling → completed; or aborted, or expired.

    ASSEMBLING: every byte is durable, the file's record is not yet there. Whoever finds it so carries on.
    """

    CREATED = "created"
    IN_PROGRESS = "in_progress"
    ASSEMBLING = "assembling"
    COMPLETED = "completed"
    ABORTED = "aborted"
    EXPIRED = "expired"
    FAILED = "failed"

    @property
    def is_open(self) -> bool:
        return self is UploadStatus.CREATED or self is UploadStatus.IN_PROGRESS

    @property
    def is_gone(self) -> bool:
        return self in _GONE


_GONE = frozenset({UploadStatus.ABORTED, UploadStatus.EXPIRED, UploadStatus.FAILED})


class Concatenation(Enum):
    """tus 1.0, concatenation: an upload may be a part of another, or be made of parts."""

    NONE = "none"
    PARTIAL = "partial"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class Upload:
    """
    One transfer. The record is the only truth about it: what it calls its offset is durable.

    Attributes:
        file_id: Chosen at creation, so that finishing it twice makes one file.
        user_id: Whose file it becomes.
        link_id: The file request that a guest uploads it by.
        version_id: Names the new content of a file that is there already; None: the upload becomes a file.
        content_type: As declared; once `is_sniffed`, as found in the first bytes.
        length: Bytes there will be; None while the client has not said.
        writer: The blob so far; its size is the offset.
        metadata_header: `Upload-Metadata` exactly as it came, for the answer to HEAD.
        sha256: Digest that the client declared for the whole file, lower-case hex.
        concatenation_header: `Upload-Concat` exactly as it came, likewise.
        expires_at: When an unfinished upload is dropped.
        file_expires_at: When the finished file is.
        members: The partial uploads that a final one is made of.
        processing: The jobs that its file will get, as `ProcessingRules` words them.
    """

    id: UploadId
    tenant_id: str
    file_id: FileId
    user_id: UserId | None
    name: str
    content_type: str
    length: int | None
    writer: BlobWriter
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    status: UploadStatus = UploadStatus.CREATED
    metadata_header: str | None = None
    metadata: tuple[MetadataEntry, ...] = ()
    visibility: Visibility = Visibility.PRIVATE
    resource: Resource | None = None
    sha256: str | None = None
    file_expires_at: datetime | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    is_sniffed: bool = False
    concatenation: Concatenation = Concatenation.NONE
    concatenation_header: str | None = None
    members: tuple[UploadId, ...] = ()
    link_id: ShareLinkId | None = None
    version_id: FileVersionId | None = None
    collection: str | None = None
    processing: tuple[str, ...] = ()
    revision: int = 0

    @property
    def offset(self) -> int:
        return self.writer.size_bytes

    @property
    def key(self) -> str:
        return self.writer.key

    @property
    def reserved_bytes(self) -> int:
        """What it holds of the tenant's quota: its length, or what came while that is unknown."""
        if self.concatenation is Concatenation.FINAL:
            return 0  # its members hold it
        return self.length if self.length is not None else self.offset

    @property
    def is_whole(self) -> bool:
        """Every byte is durable; on a completed upload too."""
        return self.length is not None and self.offset == self.length

    def accept(self, offset: int, *, now: datetime) -> None:
        """
        Decide whether bytes may be added at `offset`, before any is read.

        Raises:
            UploadExpired: It is over, by time or by the client's will.
            OffsetMismatch: The durable bytes end elsewhere.
            UploadComplete: Nothing is missing any more.
        """
        if self.status.is_gone or (self.status.is_open and now >= self.expires_at):
            raise UploadExpired
        if self.concatenation is Concatenation.FINAL:
            # tus 1.0: "The Server MUST respond with the 403 Forbidden status to PATCH requests against a final upload"
            raise PermissionDenied("a final upload takes its bytes from its partial uploads alone")
        if offset != self.offset:
            raise OffsetMismatch(stored=self.offset, requested=offset)
        if not self.status.is_open:
            raise UploadComplete

    def room(self, *, length_max: int) -> int:
        """Give how many bytes may still come: to the declared length, or to the limit while none is declared."""
        return (self.length if self.length is not None else length_max) - self.offset

    def declare_length(self, length: int, *, length_max: int) -> "Upload":
        """
        Fix the length of an upload that was created without one.

        Raises:
            LengthMismatch: Another one is declared, or more bytes than this are stored.
            LengthExceeded: It is past `length_max`.
        """
        if self.length is not None and self.length != length:
            raise LengthMismatch(f"the upload's length is {self.length}, not {length}")
        if length < self.offset:
            raise LengthMismatch(f"{self.offset} bytes are stored already; the length cannot be {length}")
        check_length(length, length_max=length_max)
        return replace(self, length=length, writer=replace(self.writer, length=length))

    def advance(self, writer: BlobWriter, *, now: datetime, expires_at: datetime) -> "Upload":
        """
        Record that the blob reaches further; with the last byte the upload starts assembling.

        A partial one does not: it waits for the final upload that it belongs to.
        """
        assert writer.size_bytes >= self.offset, "an acknowledged offset never decreases"
        is_whole = writer.size_bytes == self.length and self.concatenation is not Concatenation.PARTIAL
        status = UploadStatus.ASSEMBLING if is_whole else UploadStatus.IN_PROGRESS
        return replace(self, writer=writer, updated_at=now, expires_at=expires_at, status=status)

    def close(self, status: UploadStatus, *, now: datetime) -> "Upload":
        """End it: COMPLETED, ABORTED, EXPIRED or FAILED."""
        return replace(self, status=status, updated_at=now)


UPLOADS = Kind(
    "uploads",
    Upload,
    fields=(
        "user_id",
        "status",
        "created_at",
        "updated_at",
        "expires_at",
        "idempotency_key",
        "fingerprint",
        "key",
        "concatenation",
        "link_id",
    ),
    unique=(("idempotency_key",),),
    indexes=(("user_id", "created_at"), ("status", "expires_at"), ("status", "updated_at"), ("key",)),
)


def check_length(length: int, *, length_max: int) -> None:
    """Raise LengthExceeded for a file longer than is taken."""
    if length > length_max:
        raise LengthExceeded(f"a file of {length} bytes is larger than the {length_max} bytes that are taken")


# ---- the body of a request


class BodyEnd(Enum):
    """How a request's body came to its end."""

    COMPLETE = "complete"
    CUT = "cut"  # the client went away: close, reset, half close
    STOPPED = "stopped"  # by us, since a newer request wants the upload
    IDLE = "idle"  # nothing came for too long


class Body(Protocol):
    """
    The bytes of one request, read once.

    Attributes:
        received: Bytes taken so far.
        ended_by: How it ended; None before that.
    """

    received: int
    ended_by: BodyEnd | None

    def chunks(self, *, limit: int, checksum: "Checksum | None" = None) -> AsyncIterator[bytes | PipedBytes]:
        """
        Yield chunks of 1 to 262,144 bytes; a cut, stopped or idle body just ends, and `ended_by` says so.

        PipedBytes come only after `allow_pipe`, and are to be taken before the next step.

        After a pause `ended_by` is still None and `chunks` continues where it was; never pause one with a checksum.

        Raises (from the iteration):
            LengthExceeded: More than `limit` bytes came.
            ChecksumMismatch: The body is whole and its digest another; or it ended early, so nothing can be said of it.
        """
        ...

    def allow_pipe(self) -> None:
        """Say that nobody needs to see the bytes that are still to come: they may pass by the kernel alone."""
        ...

    def pause(self) -> None:
        """End the present `chunks` where it is, so that what came can be stored; `chunks` may be called again."""
        ...

    def stop(self) -> None:
        """End the body where it is, for good; from any task, more than once, also after it ended."""
        ...


# ---- commands


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must hash to. `digest` None: it comes in the trailer, after the body."""

    algorithm: str
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class CreateUpload:
    """
    Begin an upload.

    Attributes:
        length: None where it is to be declared later.
        metadata: Decoded, in the order sent; `metadata_header` is the same as it came.
        concatenation_header: `concatenation` and `members` as they came.
        has_body: The request carries the first bytes.
        body_length: Bytes of this request's body, None where it does not say (chunked).
        is_last: The body reaches the file's end (IETF draft: `Upload-Complete: ?1`); None: the length tells (tus 1.0).
        digest: SHA-256 of the whole file, where the client declared it.
    """

    length: int | None
    metadata: tuple[tuple[str, bytes], ...] = ()
    metadata_header: str | None = None
    has_body: bool = False
    body_length: int | None = None
    content_type: str | None = None
    is_last: bool | None = None
    checksum: Checksum | None = None
    digest: bytes | None = None
    concatenation: Concatenation = Concatenation.NONE
    concatenation_header: str | None = None
    members: tuple[UploadId, ...] = ()


@dataclass(frozen=True, slots=True)
class AppendBytes:
    """
    Continue an upload at `offset`.

    Attributes:
        body_length: Bytes of this request's body, None where it does not say.
        length: Declared with this request, for an upload created without.
        is_last: As in CreateUpload.
    """

    upload_id: UploadId
    offset: int  # >= 0, parsed and checked
    body_length: int | None = None
    length: int | None = None
    is_last: bool | None = None
    checksum: Checksum | None = None


@dataclass(frozen=True, slots=True)
class GetStatus:
    """
    Ask how far an upload is.

    Attributes:
        settles: End a request that still adds bytes, so that what is told is where to go on (IETF draft).
    """

    upload_id: UploadId
    settles: bool = False


@dataclass(frozen=True, slots=True)
class TerminateUpload:
    upload_id: UploadId


@dataclass(frozen=True, slots=True)
class GetOptions:
    """What the server can do, for anyone who asks."""


Command = CreateUpload | AppendBytes | GetStatus | TerminateUpload | GetOptions


@dataclass(frozen=True, slots=True)
class NewUpload:
    """
    What a service needs to begin an upload, whichever face it came through; checked values only.

    Attributes:
        length: None: declared later.
        file_id: The file that gets a new version; what else is said of a file here is not for it.
    """

    name: str
    length: int | None = None
    file_id: FileId | None = None
    content_type: str = "application/octet-stream"
    metadata: tuple[MetadataEntry, ...] = ()
    metadata_header: str | None = None
    visibility: Visibility = Visibility.PRIVATE
    resource: Resource | None = None
    sha256: str | None = None
    file_expires_at: datetime | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    concatenation: Concatenation = Concatenation.NONE
    concatenation_header: str | None = None
    members: tuple[UploadId, ...] = field(default=())
    collection: str | None = None
