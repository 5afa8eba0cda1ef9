"""
From the last byte to the file: exactly once, whatever breaks off in between.

Every step can be repeated: the blob is completed under a key of its own, the file has an id chosen at creation, and
the upload is marked completed last. Who finds an upload that is assembling calls `finish` again.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from domain.blob import Blob, BlobStore
from domain.clock import Clock
from domain.content import SNIFF_BYTES, is_allowed, sniff
from domain.errors import ChecksumMismatch, Conflict, ContentTypeNotAllowed, FileDeleted
from domain.event import FILE_EVENTS, EventBus, FileEventAction, FilesChanged, UploadMoved
from domain.file import FILES, File, FileStatus
from domain.ids import SYSTEM, FileId, TenantId
from domain.job import JOBS, Job, jobs_of
from domain.principal import Principal
from domain.records import Add, Delete, Increment, Records, Save, Write
from domain.tenant import TENANTS, USAGES
from domain.upload import UPLOADS, Upload, UploadStatus
from domain.version import FileVersion, with_content
from services.changes import file_event, old_versions, taking_over
from services.guests import Guests
from services.opening import opening
from services.processing import jobs_of_file

VERSION_TRIES = 10  # of a write that another's change of the same file came before


class Finisher:
    """Turns an upload that has all its bytes into a file."""

    def __init__(self, *, records: Records, blobs: BlobStore, bus: EventBus, guests: Guests, clock: Clock) -> None:
        self._records = records
        self._uploads = records.collection(UPLOADS)
        self._blobs = blobs
        self._bus = bus
        self._guests = guests
        self._clock = clock

    async def finish(self, upload: Upload, *, sha256: str | None, unsaved: bool = False) -> Upload:
        """
        Complete the blob and record the file.

        Args:
            upload: Assembling.
            sha256: Of all its bytes, where they were seen in one go.
            unsaved: That it is assembling is not recorded yet; then it is recorded together with the file. Only
                for uploads of which nothing was acknowledged before: cut off half-way, all their bytes come again.

        Raises:
            ChecksumMismatch: The bytes are not those that the client declared. They are dropped.
            ContentTypeNotAllowed: They are of a type that the tenant does not take. They are dropped.
        """
        if sha256 is not None and upload.sha256 is not None and sha256 != upload.sha256:
            await self.end(upload, UploadStatus.FAILED, has_blob=True)
            raise ChecksumMismatch("sha256")
        upload, blob = await self._complete(upload, unsaved=unsaved)
        if not upload.is_sniffed:
            upload = await self._inspect(upload, blob)
        record = self._record if upload.version_id is None else self._record_version
        completed = await record(upload, blob, sha256, unsaved=unsaved)
        self._bus.publish(FilesChanged(TenantId(upload.tenant_id)))
        self._bus.publish(UploadMoved(TenantId(upload.tenant_id), upload.id))
        return completed

    async def discard(self, upload: Upload, *, actor: Principal) -> None:
        """Put the file of a completed upload into the trash, and end the upload."""
        now = self._clock.now()
        writes: list[Write] = [Save(UPLOADS, upload.close(UploadStatus.ABORTED, now=now), upload.revision)]
        file = (await self._records.collection(FILES).get_many(upload.tenant_id, [upload.file_id])).get(upload.file_id)
        # Of an upload that became a version the file is older than it, and stays.
        if file is not None and file.deleted_at is None and upload.version_id is None:
            deleted = replace(file, deleted_at=now, updated_at=now)
            event = file_event(replace(deleted, revision=file.revision + 1), FileEventAction.DELETED, actor=actor)
            writes = [Save(FILES, deleted, file.revision), Add(FILE_EVENTS, event, if_absent=True), *writes]
        await self._records.write(*writes)
        self._bus.publish(FilesChanged(TenantId(upload.tenant_id)))

    async def _complete(self, upload: Upload, *, unsaved: bool) -> tuple[Upload, Blob]:
        with suppress(Conflict):
            return upload, await self._blobs.complete(upload.writer)
        # An earlier try, in one request, came as far as its blob but not to its record, so its bytes had to come again.
        # Raising the revision makes sure that nobody records that blob any more, before it goes; where this upload is
        # recorded as assembling already, that was done then.
        if unsaved:
            recorded = await self._uploads.get(upload.tenant_id, upload.id)
            fenced = await self._uploads.save(recorded, expected_revision=upload.revision)
            upload = replace(upload, revision=fenced.revision)
        await self._blobs.delete(upload.writer.key)
        return upload, await self._blobs.complete(upload.writer)

    async def _inspect(self, upload: Upload, blob: Blob) -> Upload:
        """Tell the type of a file whose beginning came in pieces, and hold it to those that the tenant takes."""
        found = sniff(await self._beginning(blob), name=upload.name, declared=upload.content_type)
        tenant = await self._records.collection(TENANTS).get(SYSTEM, upload.tenant_id)
        if not is_allowed(found, tenant.limits.content_types):
            await self.end(upload, UploadStatus.FAILED, has_blob=True)
            raise ContentTypeNotAllowed(f"files of type {found} are not taken here")
        return replace(upload, content_type=found, is_sniffed=True)

    async def _beginning(self, blob: Blob) -> bytes:
        end = min(SNIFF_BYTES, blob.size_bytes)
        return b"".join([chunk async for chunk in self._blobs.open(blob.key, end=end)]) if end else b""

    async def _record(self, upload: Upload, blob: Blob, sha256: str | None, *, unsaved: bool) -> Upload:
        now = self._clock.now()
        jobs, awaits = self._jobs_of(upload, now=now)
        file = self._file_of(upload, blob, sha256, awaits, now=now)
        recorded = upload.revision + 1 if unsaved else upload.revision
        completed = replace(upload, status=UploadStatus.COMPLETED, updated_at=now, revision=recorded + 1)
        writes: list[Write] = [
            Add(FILES, file, if_absent=True),
            Add(FILE_EVENTS, file_event(file, FileEventAction.CREATED, actor=None), if_absent=True),
            *(Add(JOBS, job, if_absent=True) for job in jobs),
            _settle(upload, blob, files=1),
            *opening(file),
            Save(UPLOADS, completed, recorded),
        ]
        if unsaved:
            writes.insert(0, Save(UPLOADS, upload, upload.revision))
        try:
            await self._records.write(*writes)
        except Conflict:
            # Another process found it assembling and was faster: what it recorded is the same.
            found = await self._uploads.get(upload.tenant_id, upload.id)
            if found.status is not UploadStatus.COMPLETED:
                raise
            return found
        return completed

    async def _record_version(self, upload: Upload, blob: Blob, sha256: str | None, *, unsaved: bool) -> Upload:
        """Record the blob as the new content of the file that is there; what it had before is kept."""
        if unsaved:
            upload = await self._uploads.save(upload, expected_revision=upload.revision)
        for _ in range(VERSION_TRIES):
            found = await self._records.collection(FILES).get_many(upload.tenant_id, [upload.file_id])
            if upload.file_id not in found:
                await self.end(upload, UploadStatus.FAILED, has_blob=True)
                raise FileDeleted
            try:
                return await self._write_version(upload, found[upload.file_id], blob, sha256)
            except Conflict:
                # The file was changed meanwhile, or another process found the upload and was faster.
                recorded = await self._uploads.get(upload.tenant_id, upload.id)
                if recorded.status is UploadStatus.COMPLETED:
                    return recorded
        raise Conflict("the file changes all the time; ask for the upload again")

    async def _write_version(self, upload: Upload, file: File, blob: Blob, sha256: str | None) -> Upload:
        now = self._clock.now()
        completed = replace(upload.close(UploadStatus.COMPLETED, now=now), revision=upload.revision + 1)
        writes: list[Write] = []
        # Else an earlier try came as far as the file, on a database without transactions.
        if file.version_id != upload.version_id:
            jobs, awaits = self._jobs_of(upload, now=now)
            content = self._content_of(upload, file, blob, sha256, now=now)
            changed = with_content(file, content, now=now)
            if awaits:
                changed = replace(changed, awaits=awaits, status=FileStatus.PROCESSING)
            old = await jobs_of_file(self._records, file)
            versions = await old_versions(self._records, file)
            taken = taking_over(file, changed, versions, actor_id=upload.user_id)
            writes = [*taken, *(Add(JOBS, job, if_absent=True) for job in jobs)]
            # What was found in the old content says nothing of the new one.
            writes += [Delete(JOBS, job.tenant_id, job.id) for job in old]
        await self._records.write(*writes, _settle(upload, blob, files=0), Save(UPLOADS, completed, upload.revision))
        return completed

    def _content_of(self, upload: Upload, file: File, blob: Blob, sha256: str | None, *, now: datetime) -> FileVersion:
        assert upload.version_id is not None
        unverified = upload.sha256 is not None and sha256 is None
        return FileVersion(
            id=upload.version_id,
            tenant_id=file.tenant_id,
            file_id=FileId(file.id),
            number=file.version_number + 1,
            key=blob.key,
            etag=blob.etag,
            size=blob.size_bytes,
            content_type=upload.content_type,
            sha256=sha256,
            sha256_declared=upload.sha256,
            status=FileStatus.PROCESSING if unverified else FileStatus.READY,
            created_at=now,
            created_by=upload.user_id,
            touched_at=now,
        )

    def _jobs_of(self, upload: Upload, *, now: datetime) -> tuple[list[Job], tuple[str, ...]]:
        """Give what is to be done with the file, and the kinds that must succeed before it may be read."""
        jobs = jobs_of(
            upload.processing,
            file_id=upload.file_id,
            version_id=upload.version_id,
            tenant_id=upload.tenant_id,
            content_type=upload.content_type,
            now=now,
        )
        return jobs, tuple(job.kind for job in jobs if job.is_required)

    def _file_of(
        self, upload: Upload, blob: Blob, sha256: str | None, awaits: tuple[str, ...], *, now: datetime
    ) -> File:
        # A declared digest that was not seen passing is checked first, by services/maintenance.py.
        unverified = upload.sha256 is not None and sha256 is None
        return File(
            id=upload.file_id,
            tenant_id=upload.tenant_id,
            name=upload.name,
            content_type=upload.content_type,
            size=blob.size_bytes,
            key=blob.key,
            etag=blob.etag,
            uploaded_by=upload.user_id,
            created_at=now,
            updated_at=now,
            sha256=sha256,
            sha256_declared=upload.sha256,
            status=FileStatus.PROCESSING if unverified or awaits else FileStatus.READY,
            visibility=upload.visibility,
            resource=upload.resource,
            metadata=upload.metadata,
            expires_at=upload.file_expires_at,
            link_id=upload.link_id,
            collection=upload.collection,
            awaits=awaits,
        )

    async def end(self, upload: Upload, status: UploadStatus, *, has_blob: bool) -> None:
        """
        Record that nothing becomes of an upload, give its room back, then remove its bytes.

        Args:
            has_blob: Its blob may have been completed, and is to be removed too.
        """
        closed = upload.close(status, now=self._clock.now())
        release = Increment(
            USAGES,
            upload.tenant_id,
            upload.tenant_id,
            {"bytes_in_flight": -upload.reserved_bytes, "bytes_total": -upload.reserved_bytes},
            once=f"{upload.id}.release",
        )
        unused = await self._guests.give_back(upload)
        await self._records.write(Save(UPLOADS, closed, upload.revision), release, *unused)
        await self._blobs.abort(upload.writer)
        if has_blob:
            await self._blobs.delete(upload.writer.key)
        self._bus.publish(UploadMoved(TenantId(upload.tenant_id), upload.id))


def _settle(upload: Upload, blob: Blob, *, files: int) -> Increment:
    """Make the write by which room that was promised becomes room that is used."""
    return Increment(
        USAGES,
        upload.tenant_id,
        upload.tenant_id,
        {
            "file_count": files,
            "bytes_in_flight": -upload.reserved_bytes,
            # Where others held the room for it, they give theirs back when they go.
            "bytes_total": blob.size_bytes - upload.reserved_bytes,
        },
        once=f"{upload.id}.finish",
    )
