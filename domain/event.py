"""
What happened: file events, which are kept for a time so that nobody misses one, and progress, which is not.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from domain.ids import FileId, TenantId, UploadId, UserId
from domain.records import Kind


class FileEventAction(Enum):
    CREATED = "created"
    UPDATED = "updated"
    VERSION_ADDED = "version_added"
    STATUS_CHANGED = "status_changed"
    DELETED = "deleted"
    RESTORED = "restored"
    PURGED = "purged"


@dataclass(frozen=True, slots=True)
class FileEvent:
    """
    One change of one file. Its id is made of what caused it, so that writing it twice keeps one.

    Attributes:
        number: Counts up within the tenant; the cursor that clients hand back.
        audience: Of the file at that moment (`File.audience`): who may hear of this.
    """

    id: str
    tenant_id: str
    at: datetime
    action: FileEventAction
    file_id: FileId
    actor_id: UserId | None
    audience: str
    resource_type: str | None = None
    resource_id: str | None = None
    number: int = 0
    revision: int = 0


FILE_EVENTS = Kind(
    "file_events", FileEvent, fields=("number", "at", "file_id"), indexes=(("number",), ("at",)), sequence="number"
)


@dataclass(frozen=True, slots=True)
class UploadMoved:
    """An upload has more bytes, or another state."""

    tenant_id: TenantId
    upload_id: UploadId


@dataclass(frozen=True, slots=True)
class FilesChanged:
    """There are new file events of this tenant to be read."""

    tenant_id: TenantId


Signal = UploadMoved | FilesChanged


class EventBus(Protocol):
    """
    Wakes those who wait. It carries no facts: these are in the records, where a woken reader finds them.

    Signals may be merged or, between processes, come late; they come at least once after a change was recorded.
    """

    def publish(self, signal: Signal) -> None:
        """Wake the listeners; never waits, never fails."""
        ...

    def listen(self, tenant_id: TenantId, *, upload_id: UploadId | None = None) -> AsyncGenerator[Signal, None]:
        """Yield signals of a tenant, of one upload if given, from the first step on; the caller closes."""
        ...
