"""Files: what is stored whole, and how its blob is named."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from domain.blob import BlobKey
from domain.errors import FileNotReady, InvalidValue, NotProcessed
from domain.ids import SYSTEM, FileId, FileVersionId, ShareLinkId, TenantId, UserId, first_version_id, uuid_of
from domain.records import Kind

NAME_LENGTH_MAX = 1024  # characters; longer names are refused, not cut
METADATA_ENTRIES_MAX = 64
METADATA_KEY_LENGTH_MAX = 128
METADATA_VALUE_LENGTH_MAX = 4096
RESOURCE_LENGTH_MAX = 128
EVERYONE = "*"
MARK_LENGTH = 16  # hexadecimal digits: 64 bits, for the 64 entries of a file

# What S3's user guide lists as safe in object keys everywhere. '@' and '+' need an escape in URLs only.
_KEY_UNSAFE = re.compile(r"[^A-Za-z0-9!_.*'()@+-]")
_KEY_NAME_BYTES_MAX = 160  # a key has 1,024 bytes, a file name on disk 255


class FileStatus(Enum):
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"
    QUARANTINED = "quarantined"


class Visibility(Enum):
    """Who may read a file besides its uploader and the tenant's admins."""

    PRIVATE = "private"
    TENANT = "tenant"
    LINK = "link"
    PUBLIC = "public"

    @property
    def is_open(self) -> bool:
        """Whoever knows the id may read the bytes, of whatever tenant and logged in or not."""
        return self in (Visibility.LINK, Visibility.PUBLIC)


@dataclass(frozen=True, slots=True)
class MetadataEntry:
    key: str
    value: str

    @property
    def mark(self) -> str:
        """What stands for it where files are searched: short, and the same for this key and value alone."""
        content = f"{len(self.key)} {self.key}{self.value}"
        return hashlib.sha256(content.encode(errors="surrogatepass")).hexdigest()[:MARK_LENGTH]


@dataclass(frozen=True, slots=True)
class Resource:
    """The thing in the customer's own system that a file belongs to, as `product` 1."""

    type: str
    id: str


@dataclass(frozen=True, slots=True)
class File:
    """
    A finished file.

    Attributes:
        number: Counts up within the tenant: the integer id of the REST face.
        content_type: Found in the first bytes where they tell, else as declared.
        sha256: Of the whole content, lower-case hex; None until it was computed.
        sha256_declared: What the client said it would be.
        etag: Of the blob, strong, without quotes.
        uploaded_by: Whose it is: who uploaded it, or who asked guests for files.
        link_id: The file request that a guest uploaded it by.
        collection: Which kind of files it came in with; rules of processing go by it.
        awaits: Kinds of jobs that must succeed before it may be read.
        version_number: Which content this is, from 1.
        content_id: Names this content; None for the first.
        content_at, content_by: When this content came and from whom; None for the first.
        revision: The version that optimistic updates name.
    """

    id: FileId
    tenant_id: str
    name: str
    content_type: str
    size: int
    key: BlobKey
    etag: str
    uploaded_by: UserId | None
    created_at: datetime
    updated_at: datetime
    sha256: str | None = None
    sha256_declared: str | None = None
    status: FileStatus = FileStatus.READY
    visibility: Visibility = Visibility.PRIVATE
    resource: Resource | None = None
    metadata: tuple[MetadataEntry, ...] = ()
    expires_at: datetime | None = None
    deleted_at: datetime | None = None
    collection: str | None = None
    awaits: tuple[str, ...] = ()
    number: int = 0
    link_id: ShareLinkId | None = None
    version_number: int = 1
    content_id: FileVersionId | None = None
    content_at: datetime | None = None
    content_by: UserId | None = None
    revision: int = 0

    @property
    def uploader(self) -> UserId | None:
        """Who sent its bytes; None for a guest."""
        return None if self.link_id is not None else self.uploaded_by

    @property
    def version_id(self) -> FileVersionId:
        """Names the present content."""
        return self.content_id or first_version_id(self.id)

    @property
    def name_folded(self) -> str:
        return fold(self.name)

    @property
    def audience(self) -> str:
        """Who finds this file in lists: one user, or `EVERYONE` in the tenant."""
        if self.visibility in (Visibility.TENANT, Visibility.PUBLIC) or self.uploaded_by is None:
            return EVERYONE
        return self.uploaded_by

    @property
    def metadata_marks(self) -> str | None:
        """What a search for entries looks through; None where there are none."""
        return f" {' '.join(entry.mark for entry in self.metadata)} " if self.metadata else None

    @property
    def resource_type(self) -> str | None:
        return self.resource.type if self.resource else None

    @property
    def resource_id(self) -> str | None:
        return self.resource.id if self.resource else None

    def is_gone(self, *, now: datetime) -> bool:
        """In the trash, or past its time: its bytes are nobody's to read, though they may still be there."""
        return self.deleted_at is not None or (self.expires_at is not None and self.expires_at <= now)

    def is_trash_over(self, *, retention_days: int, now: datetime) -> bool:
        """In the trash for as long as its tenant keeps things there."""
        return self.deleted_at is not None and self.deleted_at <= now - timedelta(days=retention_days)

    def require_ready(self) -> None:
        """
        Raise unless the bytes may be read.

        Raises:
            NotProcessed: They may be later, when it was processed.
            FileNotReady: They may not.
        """
        if self.status is FileStatus.PROCESSING and self.awaits:
            raise NotProcessed("the file waits to be processed")
        if self.status is not FileStatus.READY:
            raise FileNotReady(f"the file is {self.status.value}")


FILES = Kind(
    "files",
    File,
    fields=(
        "number",
        "name",
        "name_folded",
        "content_type",
        "size",
        "sha256",
        "status",
        "visibility",
        "audience",
        "uploaded_by",
        "resource_type",
        "resource_id",
        "metadata_marks",
        "collection",
        "created_at",
        "updated_at",
        "expires_at",
        "deleted_at",
    ),
    indexes=(
        ("deleted_at", "created_at"),
        ("deleted_at", "updated_at"),
        ("deleted_at", "name_folded"),
        ("deleted_at", "name"),
        ("deleted_at", "size"),
        ("deleted_at", "expires_at"),
        ("deleted_at", "content_type", "created_at"),
        ("deleted_at", "status", "created_at"),
        ("deleted_at", "resource_type", "created_at"),
        ("deleted_at", "resource_type", "resource_id", "created_at"),
        ("deleted_at", "collection", "created_at"),
        ("deleted_at", "uploaded_by", "created_at"),
        ("number",),
        ("expires_at",),
        ("sha256",),
    ),
    sequence="number",
)


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Says of which tenant a file is that whoever knows its id may read; its id is the file's."""

    id: str
    of_tenant: TenantId
    tenant_id: str = SYSTEM
    revision: int = 0


OPEN_FILES = Kind("open_files", OpenFile)


def fold(text: str) -> str:
    """Bring text to the form in which letter case and composition make no difference."""
    return unicodedata.normalize("NFC", text).casefold()


def parse_name(text: str) -> str:
    """
    Check a file's name: any name is good that a person could want back, but not an empty or endless one.

    Raises:
        InvalidValue: Empty, too long, with a NUL or with half a surrogate pair.
    """
    if not text.strip():
        raise InvalidValue("a file needs a name", path=("name",), reason="required")
    if len(text) > NAME_LENGTH_MAX:
        raise InvalidValue(f"a name has at most {NAME_LENGTH_MAX} characters", path=("name",), reason="too_long")
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidValue("a name cannot hold NUL or lone surrogates", path=("name",))
    return text


def parse_metadata(entries: list[tuple[str, str]]) -> tuple[MetadataEntry, ...]:
    """
    Check metadata entries: few enough, short enough, no key twice.

    Raises:
        InvalidValue: One of these does not hold; the path names the entry.
    """
    if len(entries) > METADATA_ENTRIES_MAX:
        raise InvalidValue(f"at most {METADATA_ENTRIES_MAX} metadata entries", path=("metadata",), reason="too_long")
    seen: set[str] = set()
    for index, (key, value) in enumerate(entries):
        path = ("metadata", str(index))
        if not 0 < len(key) <= METADATA_KEY_LENGTH_MAX:
            raise InvalidValue(f"a metadata key has 1 to {METADATA_KEY_LENGTH_MAX} characters", path=path)
        if len(value) > METADATA_VALUE_LENGTH_MAX:
            message = f"a metadata value has at most {METADATA_VALUE_LENGTH_MAX} characters"
            raise InvalidValue(message, path=path, reason="too_long")
        if key in seen:
            raise InvalidValue(f"the metadata key {key!r} comes twice", path=path, reason="taken")
        seen.add(key)
    return tuple(MetadataEntry(key, value) for key, value in entries)


def parse_resource(type: str, id: str) -> Resource:
    """
    Check the name of a thing in the customer's system.

    Raises:
        InvalidValue: A part is empty, too long, or holds a slash or control characters.
    """
    for name, text in (("type", type), ("id", id)):
        if not 0 < len(text) <= RESOURCE_LENGTH_MAX or not text.isprintable() or "/" in text:
            message = f"a resource {name} has 1 to {RESOURCE_LENGTH_MAX} printable characters, no '/'"
            raise InvalidValue(message, path=("resource", name))
    return Resource(type, id)


def _safe_segment(text: str) -> str:
    """Make one segment of a key: readable where it can be, never empty, `.` or `..`."""
    segment = _KEY_UNSAFE.sub("_", unicodedata.normalize("NFC", text)).lstrip(".")
    return segment or "_"


def blob_key(file_id: FileId | FileVersionId, *, folder: str, name: str) -> BlobKey:
    """
    Name the blob of a file, or of a later version: `folder/uuid/name`, of characters that are safe in every store.

    The UUID keeps two names apart that become the same safe name; the original name stays in the record.

    Args:
        folder: Whose it is: the uploader's e-mail address, or user name.
    """
    safe = _safe_segment(name)
    stem, dot, suffix = safe.rpartition(".")
    if len(safe) > _KEY_NAME_BYTES_MAX:
        kept = suffix[:16] if dot else ""
        safe = (stem or safe)[: _KEY_NAME_BYTES_MAX - len(kept) - 1] + (f".{kept}" if kept else "")
    return BlobKey(f"{_safe_segment(folder)[:_KEY_NAME_BYTES_MAX]}/{uuid_of(file_id)}/{safe}")
