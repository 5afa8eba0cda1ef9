"""The writes that a change of a file consists of, in an order that can be broken off anywhere."""

from collections.abc import Sequence

from domain.event import FILE_EVENTS, FileEvent, FileEventAction
from domain.file import FILES, File
from domain.ids import EventId, UserId
from domain.manifest import MANIFESTS
from domain.page import PAGE_SIZE_MAX, Order, PageRequest, equals
from domain.principal import Principal
from domain.records import Add, Delete, Records, Save, Write
from domain.version import FILE_VERSIONS, FileVersion, present_version


def file_event(file: File, action: FileEventAction, *, actor: Principal | None) -> FileEvent:
    """Make the event that a change of this file leaves; the same change gives the same id."""
    actor_id = actor.user_id if actor else file.uploader
    return _event(file, action, f"{file.id}.{action.value}.{file.revision}", actor_id)


async def old_versions(records: Records, file: File) -> list[FileVersion]:
    """Give what is recorded of the contents that a file had before, the newest first; leftovers too."""
    where, newest_first = [equals("file_id", file.id)], Order("number", descending=True)
    versions = records.collection(FILE_VERSIONS)
    return (await versions.list(file.tenant_id, where, order=newest_first, page=PageRequest(PAGE_SIZE_MAX))).items


def taking_over(file: File, changed: File, versions: Sequence[FileVersion], *, actor_id: UserId | None) -> list[Write]:
    """
    Make the writes by which a file gets another content, and what it has is kept as a version.

    Args:
        file: As it is recorded.
        changed: The same with its new content.
        versions: What is recorded of those before.
    """
    leftovers = [one for one in versions if not one.is_of(file) and one.id != file.version_id]
    event = _event(changed, FileEventAction.VERSION_ADDED, f"{file.id}.{changed.version_id}", actor_id)
    return [
        # First the way back, then the change: what breaks off between leaves a record of the present content, which
        # counts as none and is removed by maintenance.
        Add(FILE_VERSIONS, present_version(file, now=changed.updated_at), if_absent=True),
        Save(FILES, changed, file.revision),
        Add(FILE_EVENTS, event, if_absent=True),
        Delete(MANIFESTS, file.tenant_id, file.id),
        # Of an earlier change that broke off: it would pass for a version as soon as the file has another content.
        *(Delete(FILE_VERSIONS, one.tenant_id, one.id) for one in leftovers),
    ]


def _event(file: File, action: FileEventAction, event_id: str, actor_id: UserId | None) -> FileEvent:
    return FileEvent(
        id=EventId(event_id),
        tenant_id=file.tenant_id,
        at=file.updated_at,
        action=action,
        file_id=file.id,
        actor_id=actor_id,
        audience=file.audience,
        resource_type=file.resource_type,
        resource_id=file.resource_id,
    )
