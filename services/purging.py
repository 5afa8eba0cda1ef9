"""Removing a file for good: its record, what was known of it, the contents it has and had, and their bytes."""

from dataclasses import replace

from domain.blob import BlobStore
from domain.clock import Clock
from domain.event import FILE_EVENTS, EventBus, FileEventAction, FilesChanged
from domain.file import FILES, OPEN_FILES, File
from domain.ids import SYSTEM, TenantId
from domain.job import JOBS
from domain.manifest import MANIFESTS
from domain.page import PAGE_SIZE_MAX, Order, PageRequest, equals
from domain.principal import Principal
from domain.records import Add, Delete, Increment, Records, Save
from domain.share import SHARE_LINKS
from domain.tenant import USAGES
from domain.version import FILE_VERSIONS, FileVersion, release_of
from services.changes import file_event, old_versions
from services.processing import jobs_of_file


class Purger:
    def __init__(self, *, records: Records, blobs: BlobStore, bus: EventBus, clock: Clock) -> None:
        self._records = records
        self._blobs = blobs
        self._bus = bus
        self._clock = clock

    async def purge(self, file: File, *, actor: Principal | None) -> None:
        """
        Remove a file.

        Raises:
            Conflict, NotFound: Somebody changed or removed it meanwhile. Nothing happened.
        """
        # The records go first: a file in a list whose bytes are gone would be a broken promise, while bytes without
        # a record only cost room. Saving the file as it was found makes sure that nobody took it out of the trash, or
        # gave it another content, meanwhile.
        versions = await old_versions(self._records, file)
        former = [one for one in versions if one.is_of(file)]
        now = self._clock.now()
        event = replace(file_event(file, FileEventAction.PURGED, actor=actor), id=f"{file.id}.purged", at=now)
        if actor is None:
            event = replace(event, actor_id=None)
        count = Increment(USAGES, file.tenant_id, file.tenant_id, {"file_count": -1}, once=f"{file.id}.purge")
        await self._records.write(
            Save(FILES, file, file.revision),
            Add(FILE_EVENTS, event, if_absent=True),
            count,
            release_of(file.tenant_id, file.version_id, file.size),
            *(one.release() for one in former),
            *[Delete(JOBS, job.tenant_id, job.id) for job in await jobs_of_file(self._records, file)],
            Delete(OPEN_FILES, SYSTEM, file.id),
            Delete(MANIFESTS, file.tenant_id, file.id),
            *[Delete(FILE_VERSIONS, one.tenant_id, one.id) for one in versions],
            *[Delete(SHARE_LINKS, SYSTEM, link_id) for link_id in await self._links_of(file)],
            Delete(FILES, file.tenant_id, file.id),
        )
        for key in (file.key, *(one.key for one in former)):
            await self._blobs.delete(key)
        self._bus.publish(FilesChanged(TenantId(file.tenant_id)))

    async def remove_version(self, version: FileVersion) -> None:
        """Remove a content that a file had before, or what is left of it where the file is gone."""
        await self._records.write(
            Save(FILE_VERSIONS, version, version.revision),
            version.release(),
            Delete(FILE_VERSIONS, version.tenant_id, version.id),
        )
        await self._blobs.delete(version.key)

    async def _links_of(self, file: File) -> list[str]:
        where, page = [equals("file_id", file.id)], PageRequest(PAGE_SIZE_MAX)
        links = await self._records.collection(SHARE_LINKS).list(SYSTEM, where, order=Order("created_at"), page=page)
        return [link.id for link in links.items]
