"""Versions of files: the contents that a file had before, and which of them are kept."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.blob import BlobKey
from domain.file import File, FileStatus
from domain.ids import FileId, FileVersionId, UserId
from domain.records import Increment, Kind
from domain.tenant import USAGES

VERSIONS_MAX = 99  # old ones of a file that may be kept; with the present one they are one page


@dataclass(frozen=True, slots=True)
class FileVersion:
    """
    A content of a file. Of the present one this is made when it is asked for; of those before there is a record each.

    A record whose key is the file's own is what a change that broke off left behind: it counts as none.

    Attributes:
        number: From 1, in the order in which they became the file's content.
        created_by: Who sent the bytes, or chose them again; None for a guest.
        status: What the file's was with it; only what was READY may be read or chosen again.
        touched_at: When it was put aside, or last chosen again.
        is_settled: Maintenance has looked at it since.
    """

    id: FileVersionId
    tenant_id: str
    file_id: FileId
    number: int
    key: BlobKey
    etag: str
    size: int
    content_type: str
    sha256: str | None
    sha256_declared: str | None
    status: FileStatus
    created_at: datetime
    created_by: UserId | None
    touched_at: datetime
    is_settled: bool = False
    revision: int = 0

    def is_of(self, file: File) -> bool:
        """Tell whether this is a content that the file had before, and not a leftover."""
        return self.file_id == file.id and self.key != file.key

    def release(self) -> Increment:
        """Make the write that gives its room back, once, whoever removes it."""
        return release_of(self.tenant_id, self.id, self.size)


FILE_VERSIONS = Kind(
    "file_versions",
    FileVersion,
    fields=("file_id", "number", "size", "is_settled", "touched_at"),
    indexes=(("file_id", "number"), ("is_settled", "touched_at")),
)


def release_of(tenant_id: str, version_id: FileVersionId, size: int) -> Increment:
    """Make the write that gives back the room of a content."""
    return Increment(USAGES, tenant_id, tenant_id, {"bytes_total": -size}, once=f"{version_id}.gone")


def present_version(file: File, *, now: datetime) -> FileVersion:
    """Describe the content that a file has; also what is kept of it when another takes its place."""
    is_first = file.content_id is None
    return FileVersion(
        id=file.version_id,
        tenant_id=file.tenant_id,
        file_id=file.id,
        number=file.version_number,
        key=file.key,
        etag=file.etag,
        size=file.size,
        content_type=file.content_type,
        sha256=file.sha256,
        sha256_declared=file.sha256_declared,
        status=file.status,
        created_at=file.content_at or file.created_at,
        created_by=file.uploader if is_first else file.content_by,
        touched_at=now,
    )


def with_content(file: File, version: FileVersion, *, now: datetime) -> File:
    """Give the file with this as its content, as its next version."""
    return replace(
        file,
        key=version.key,
        etag=version.etag,
        size=version.size,
        content_type=version.content_type,
        sha256=version.sha256,
        sha256_declared=version.sha256_declared,
        status=version.status,
        awaits=(),
        version_number=file.version_number + 1,
        content_id=version.id,
        content_at=version.created_at,
        content_by=version.created_by,
        updated_at=now,
    )
