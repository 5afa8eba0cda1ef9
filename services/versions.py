"""The use cases of a file's versions: list them, choose one again; and what is kept of those put aside."""

from dataclasses import replace
from datetime import timedelta

from auth.policy import Action, require
from domain.blob import BlobStore
from domain.clock import Clock
from domain.errors import FileDeleted, FileNotReady, NotFound
from domain.event import EventBus, FilesChanged
from domain.file import FILES, File, FileStatus
from domain.ids import FileId, FileVersionId, TenantId, is_id, new_version_id
from domain.page import Order, below, equals
from domain.principal import Principal
from domain.records import Delete, Records, Save
from domain.version import FILE_VERSIONS, FileVersion, present_version, with_content
from services.batches import each
from services.changes import old_versions, taking_over
from services.digests import digest_of
from services.purging import Purger

BATCH = 100
GRACE = timedelta(minutes=1)  # longer than a change lasts that may be about to use what it put aside


class VersionService:
    def __init__(
        self, *, records: Records, blobs: BlobStore, bus: EventBus, purger: Purger, clock: Clock, kept_max: int
    ) -> None:
        """
        Args:
            kept_max: How many old versions of a file are kept.
        """
        self._records = records
        self._versions = records.collection(FILE_VERSIONS)
        self._files = records.collection(FILES)
        self._blobs = blobs
        self._bus = bus
        self._purger = purger
        self._clock = clock
        self._kept_max = kept_max

    async def list_of_file(self, principal: Principal, file: File) -> list[FileVersion]:
        """Give the present content and those before it, the newest first."""
        require(principal, Action.READ_FILE, file)
        old = [one for one in await old_versions(self._records, file) if one.is_of(file)]
        return [present_version(file, now=self._clock.now()), *old]

    async def get(self, principal: Principal, version_id: FileVersionId) -> tuple[File, FileVersion]:
        """Give a version that is put aside, with its file; NotFound where it is not there or not for the caller."""
        tenant_id = require(principal, Action.LIST_FILES)
        if not is_id(version_id, "version"):
            raise NotFound("version")
        version = await self._versions.get(tenant_id, version_id)
        file = await self._file(tenant_id, version.file_id)
        if file is None or not version.is_of(file):
            raise NotFound("version")
        require(principal, Action.READ_FILE, file)
        return file, version

    async def restore(self, principal: Principal, file_id: FileId, version_id: FileVersionId) -> File:
        """
        Make an old content the present one again, as a new version; the present one is put aside.

        Raises:
            NotFound: The file has no such version. The present one is none to go back to, and stays.
            FileDeleted: The file is in the trash.
            FileNotReady: The content was never good to be read.
            Conflict: The file was changed meanwhile.
        """
        file = None
        if principal.tenant_id is not None and is_id(file_id, "file"):
            file = await self._file(principal.tenant_id, file_id)
        if file is None:
            require(principal, Action.CHANGE_FILE)
            raise NotFound("file")
        require(principal, Action.CHANGE_FILE, file)
        now = self._clock.now()
        if file.is_gone(now=now):
            raise FileDeleted
        versions = await old_versions(self._records, file)
        version = next((one for one in versions if one.id == version_id and one.is_of(file)), None)
        if version is None:
            raise NotFound("version")
        if version.status is not FileStatus.READY:
            raise FileNotReady(f"this version is {version.status.value}")
        chosen = replace(version, id=new_version_id(now), created_at=now, created_by=principal.user_id)
        changed = with_content(file, chosen, now=now)
        await self._records.write(
            # Touched, it is out of reach of maintenance, which may be about to remove it as one too many.
            Save(FILE_VERSIONS, replace(version, touched_at=now, is_settled=False), version.revision),
            *taking_over(file, changed, versions, actor_id=principal.user_id),
            Delete(FILE_VERSIONS, version.tenant_id, version.id),
        )
        self._bus.publish(FilesChanged(TenantId(file.tenant_id)))
        return replace(changed, revision=file.revision + 1)

    # ---- maintenance

    async def settle(self) -> int:
        """Look once at each content that was put aside: what is one too many goes, what is a leftover too."""
        before = self._clock.now() - GRACE
        where = [equals("is_settled", False), below("touched_at", before)]
        found = await self._versions.scan(where, order=Order("touched_at"), limit=BATCH)
        return await each(found, self._settle)

    async def _settle(self, version: FileVersion) -> None:
        file = await self._file(version.tenant_id, version.file_id)
        if file is None:
            await self._purger.remove_version(version)
            return
        if not version.is_of(file):
            await self._records.write(
                Save(FILE_VERSIONS, version, version.revision), Delete(FILE_VERSIONS, version.tenant_id, version.id)
            )
            return
        kept = [one for one in await old_versions(self._records, file) if one.is_of(file)]
        before = self._clock.now() - GRACE
        for spare in kept[self._kept_max :]:
            # One that was touched just now may be about to become the present one; its own turn comes.
            if spare.touched_at < before:
                await self._purger.remove_version(spare)
        if version.id in {one.id for one in kept[: self._kept_max]}:
            settled = replace(await self._verified(version), is_settled=True)
            await self._versions.save(settled, expected_revision=version.revision)

    async def _verified(self, version: FileVersion) -> FileVersion:
        """Compute a digest that nobody had seen passing when the content was put aside."""
        if version.sha256 is not None:
            return version
        try:
            sha256 = await digest_of(self._blobs, version.key)
        except NotFound:  # somebody removed the blob behind our back
            return replace(version, status=FileStatus.FAILED)
        if version.sha256_declared not in (None, sha256):
            return replace(version, sha256=sha256, status=FileStatus.FAILED)
        return replace(version, sha256=sha256)

    async def _file(self, tenant_id: str, file_id: FileId) -> File | None:
        return (await self._files.get_many(tenant_id, [file_id])).get(file_id)
