"""
What has to be done though nobody asks: uploads that ran out, files that expired, digests that nobody saw passing,
uploads cut off between their last byte and their file, events too old to keep.

Every method does a bounded piece, may be cut off anywhere, and may run in several processes at once.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from domain.audit import AUDIT_EVENTS
from domain.blob import BlobKey, BlobStore, SweepingBlobStore
from domain.clock import Clock
from domain.errors import ChecksumMismatch, Conflict, ContentTypeNotAllowed, FileDeleted, LighterageError, NotFound
from domain.event import FILE_EVENTS, EventBus, FileEventAction, FilesChanged
from domain.file import FILES, File, FileStatus
from domain.ids import SYSTEM, TenantId
from domain.lock import LEASES
from domain.page import Condition, Order, at_least, below, equals, one_of
from domain.records import Add, Collection, R, Records, Save
from domain.share import SHARE_LINKS
from domain.tenant import TENANTS
from domain.ticket import TICKETS
from domain.upload import UPLOADS, Concatenation, Upload, UploadStatus
from domain.user import SESSIONS
from services.batches import each
from services.changes import file_event
from services.digests import digest_of
from services.purging import Purger
from services.settling import UsageSettler
from services.uploads import UploadService

BATCH = 100
SWEEP_SECONDS = 3600  # listing a bucket costs money

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retention:
    """
    How long things are kept that are over.

    Attributes:
        tombstones: Ended uploads, so that their clients are told "gone" and not "never heard of".
        events: File events, for clients that were away.
        audit: What was done that touches security.
        links: Share links that ended; longer than an upload by one may take.
        orphans: Pieces of blobs that nobody names; longer than any request lasts that is about to name one.
        grace: How long an upload may be assembling before another process carries on with it.
    """

    tombstones: timedelta = timedelta(days=1)
    events: timedelta = timedelta(days=7)
    audit: timedelta = timedelta(days=365)
    links: timedelta = timedelta(days=90)
    orphans: timedelta = timedelta(days=1)
    grace: timedelta = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Rubbish:
    """How many things are over: unfinished uploads, files past their end, files in the trash, pieces of nothing."""

    uploads: int
    expired_files: int
    trash: int
    pieces: int


class MaintenanceService:
    def __init__(
        self,
        *,
        records: Records,
        blobs: BlobStore,
        sweeping: SweepingBlobStore,
        bus: EventBus,
        uploads: UploadService,
        clock: Clock,
        retention: Retention,
        purger: Purger,
        settler: UsageSettler | None = None,
        more: Sequence[Callable[[], Awaitable[int]]] = (),
    ) -> None:
        """
        Args:
            settler: For a database that does not write several records as one.
            more: Work of the same sort that is somebody else's.
        """
        self._records = records
        self._uploads = records.collection(UPLOADS)
        self._files = records.collection(FILES)
        self._events = records.collection(FILE_EVENTS)
        self._leases = records.collection(LEASES)
        self._blobs = blobs
        self._sweeping = sweeping
        self._bus = bus
        self._upload_service = uploads
        self._clock = clock
        self._retention = retention
        self._purger = purger
        self._settler = settler
        self._more = more
        self._swept_at: float | None = None
        self._trash_seen: datetime | None = None

    async def run_once(self) -> int:
        """
        Do a piece of everything; returns how many things were dealt with, 0 when all is in order.

        Raises:
            LighterageError: Something could not be done; everything else was.
        """
        done = 0
        faults: list[LighterageError] = []
        for work in (
            self.finish_assembling,
            self.join_uploads,
            self.expire_uploads,
            self.compute_digests,
            self.expire_files,
            self.purge_trash,
            self.forget_links,
            self.forget_uploads,
            self.forget_events,
            self.forget_sessions,
            self.forget_tickets,
            self.forget_audit_events,
            self.forget_leases,
            self.sweep_blobs,
            self.settle_usages,
            *self._more,
        ):
            try:
                done += await work()
            except LighterageError as error:
                # One file that a disk lost must not keep every other work from being done for ever.
                faults.append(error)
        if faults:
            raise faults[0]
        return done

    async def collect(self) -> "Rubbish":
        """Remove everything whose time is over, not only a piece of it, and say how much that was."""
        return Rubbish(
            uploads=await _until_none(self.expire_uploads),
            expired_files=await _until_none(self.expire_files),
            trash=await self._empty_trash(),
            pieces=await self._sweep(self.is_wanted),
        )

    async def _empty_trash(self) -> int:
        done = 0
        while True:
            piece = await self.purge_trash()
            done += piece
            if piece == 0 and self._trash_seen is None:
                return done

    async def expire(self) -> "Rubbish":
        """Remove what ran out: unfinished uploads and files with an end."""
        uploads, files = await _until_none(self.expire_uploads), await _until_none(self.expire_files)
        return Rubbish(uploads, files, trash=0, pieces=0)

    async def overdue(self) -> "Rubbish":
        """Say how much `collect` would remove, and remove nothing."""
        now = self._clock.now()
        open_statuses = (UploadStatus.CREATED, UploadStatus.IN_PROGRESS)
        uploads = [
            upload
            for status in open_statuses
            async for upload in _all(self._uploads, [equals("status", status), below("expires_at", now)], "expires_at")
        ]
        expired = [file async for file in _all(self._files, [below("expires_at", now)], "expires_at")]
        trash = [file async for file in _all(self._files, [below("deleted_at", now)], "deleted_at")]
        tenants = await self._records.collection(TENANTS).get_many(SYSTEM, list({file.tenant_id for file in trash}))
        days = {tenant.id: tenant.limits.trash_retention_days for tenant in tenants.values()}
        gone = {file.id for file in expired}
        over = [
            file
            for file in trash
            if file.id not in gone and file.is_trash_over(retention_days=days.get(file.tenant_id, 0), now=now)
        ]
        pieces = 0

        async def count(key: BlobKey) -> bool:
            nonlocal pieces
            pieces += not await self.is_wanted(key)
            return True

        await self._sweep(count)
        return Rubbish(len(uploads), len(expired), len(over), pieces)

    async def finish_assembling(self) -> int:
        """Carry on with uploads whose process went away after their last byte."""
        before = self._clock.now() - self._retention.grace
        where = [equals("status", UploadStatus.ASSEMBLING), below("updated_at", before)]
        found = await self._uploads.scan(where, order=Order("updated_at"), limit=BATCH)
        return await each(found, self._recover)

    async def _recover(self, upload: Upload) -> None:
        # That its bytes are not what was declared, or of a type that is not taken, or that the file they were for is
        # gone, is an end like any other.
        with suppress(ChecksumMismatch, ContentTypeNotAllowed, FileDeleted):
            await self._upload_service.recover(upload)

    async def join_uploads(self) -> int:
        """Carry on with final uploads whose process went away before their members were joined."""
        before = self._clock.now() - self._retention.grace
        where = [
            equals("status", UploadStatus.CREATED),
            equals("concatenation", Concatenation.FINAL),
            below("updated_at", before),
        ]
        found = await self._uploads.scan(where, order=Order("updated_at"), limit=BATCH)
        return await each(found, self._join)

    async def _join(self, final: Upload) -> None:
        with suppress(ChecksumMismatch, ContentTypeNotAllowed):
            if (await self._upload_service.join(final)).status.is_open:
                raise Conflict("its members are still coming")

    async def expire_uploads(self) -> int:
        """Drop unfinished uploads whose time is over."""
        done = 0
        for status in (UploadStatus.CREATED, UploadStatus.IN_PROGRESS):
            where = [equals("status", status), below("expires_at", self._clock.now())]
            found = await self._uploads.scan(where, order=Order("expires_at"), limit=BATCH)
            done += await each(found, self._upload_service.expire)
        return done

    async def compute_digests(self) -> int:
        """Read files whose digest is not known, and hold them to the one that was declared."""
        where = [equals("sha256", None), one_of("status", (FileStatus.READY, FileStatus.PROCESSING))]
        found = await self._files.scan(where, order=Order("created_at"), limit=BATCH)
        return await each(found, self._compute_digest)

    async def _compute_digest(self, file: File) -> None:
        try:
            sha256 = await digest_of(self._blobs, file.key)
        except NotFound:
            sha256 = None  # somebody removed the blob behind our back
        holds = sha256 is not None and file.sha256_declared in (None, sha256)
        changed = replace(
            file,
            sha256=sha256,
            status=_verified(file) if holds else FileStatus.FAILED,
            updated_at=self._clock.now(),
        )
        action = FileEventAction.UPDATED if changed.status is file.status else FileEventAction.STATUS_CHANGED
        event = file_event(replace(changed, revision=file.revision + 1), action, actor=None)
        await self._records.write(Save(FILES, changed, file.revision), Add(FILE_EVENTS, event, if_absent=True))
        self._bus.publish(FilesChanged(TenantId(file.tenant_id)))

    async def expire_files(self) -> int:
        """Remove files whose time is over, bytes and all."""
        found = await self._files.scan([below("expires_at", self._clock.now())], order=Order("expires_at"), limit=BATCH)
        return await each(found, self._purge)

    async def purge_trash(self) -> int:
        """Remove files that were long enough in the trash of their tenant."""
        done = 0
        now = self._clock.now()
        where = [below("deleted_at", now)]
        if self._trash_seen is not None:
            where.append(at_least("deleted_at", self._trash_seen))
        oldest = await self._files.scan(where, order=Order("deleted_at"), limit=BATCH)
        # Those that one tenant keeps for long must not hide another's behind them: the next round looks further on.
        last = oldest[-1].deleted_at if len(oldest) == BATCH else None
        self._trash_seen = last + timedelta(microseconds=1) if last is not None and last == self._trash_seen else last
        tenants = await self._records.collection(TENANTS).get_many(SYSTEM, list({file.tenant_id for file in oldest}))
        for file in oldest:
            tenant = tenants.get(file.tenant_id)
            days = tenant.limits.trash_retention_days if tenant else 0
            if file.is_trash_over(retention_days=days, now=now):
                done += await each([file], self._purge)
        return done

    async def _purge(self, file: File) -> None:
        await self._purger.purge(file, actor=None)

    async def sweep_blobs(self) -> int:
        """Remove, once in a while, pieces of blobs that no open upload names any more."""
        now = self._clock.monotonic()
        if self._swept_at is not None and now - self._swept_at < SWEEP_SECONDS:
            return 0
        self._swept_at = now

        return await self._sweep(self.is_wanted)

    async def _sweep(self, known: Callable[[BlobKey], Awaitable[bool]]) -> int:
        age = self._retention.orphans.total_seconds()
        return await self._sweeping.sweep(known, older_than_seconds=age, now=self._clock.now())

    async def is_wanted(self, key: BlobKey) -> bool:
        """Tell whether an upload that is not over names these pieces."""
        found = await self._uploads.scan([equals("key", key)], order=Order("created_at"), limit=BATCH)
        return any(upload.status.is_open or upload.status is UploadStatus.ASSEMBLING for upload in found)

    async def settle_usages(self) -> int:
        """Set right the counters of tenants that a process left wrong when it died between two records."""
        return await self._settler.run_once() if self._settler is not None else 0

    async def forget_uploads(self) -> int:
        """Remove the records of uploads that were over long ago."""
        before = self._clock.now() - self._retention.tombstones

        async def forget(upload: Upload) -> None:
            await self._uploads.delete(upload.tenant_id, upload.id)

        done = 0
        over = (UploadStatus.COMPLETED, UploadStatus.ABORTED, UploadStatus.EXPIRED, UploadStatus.FAILED)
        for status in over:
            where = [equals("status", status), below("updated_at", before)]
            found = await self._uploads.scan(where, order=Order("updated_at"), limit=BATCH)
            done += await each(found, forget)
        return done

    async def forget_events(self) -> int:
        """Remove events older than anyone may ask for."""
        before = self._clock.now() - self._retention.events
        return await _forget(self._events, "at", before)

    async def forget_sessions(self) -> int:
        """Remove log-ins that ran out; their refresh tokens are no good any more."""
        sessions = self._records.collection(SESSIONS)
        return await _forget(sessions, "expires_at", self._clock.now())

    async def forget_tickets(self) -> int:
        """Remove what was sent by mail and is too old to be used."""
        tickets = self._records.collection(TICKETS)
        return await _forget(tickets, "expires_at", self._clock.now())

    async def forget_audit_events(self) -> int:
        """Remove what was done longer ago than is kept."""
        events = self._records.collection(AUDIT_EVENTS)
        before = self._clock.now() - self._retention.audit
        return await _forget(events, "at", before)

    async def forget_links(self) -> int:
        """Remove share links that ended long ago, and with them the last hint at whoever used them."""
        links = self._records.collection(SHARE_LINKS)
        before = self._clock.now() - self._retention.links
        return await _forget(links, "over_at", before)

    async def forget_leases(self) -> int:
        """Remove leases that nobody has held for long."""
        before = self._clock.now() - self._retention.tombstones
        return await _forget(self._leases, "until", before)


async def _forget(collection: Collection[R], field: str, before: datetime) -> int:
    """Remove some of the records whose time is past."""
    found = await collection.scan([below(field, before)], order=Order(field), limit=BATCH)
    for record in found:
        await collection.delete(record.tenant_id, record.id)
    return len(found)


async def _until_none(work: Callable[[], Awaitable[int]]) -> int:
    """Do a piece of work until nothing of it is left."""
    done = 0
    while piece := await work():
        done += piece
    return done


async def _all(collection: Collection[R], where: Sequence[Condition], field: str) -> AsyncGenerator[R, None]:
    """Yield every record that meets this, batch by batch; several may have one time, so the last come twice."""
    seen: set[str] = set()
    conditions = list(where)
    while True:
        found = await collection.scan(conditions, order=Order(field), limit=BATCH)
        new = [one for one in found if one.id not in seen]
        for one in new:
            yield one
        if len(found) < BATCH or not new:
            return
        seen = {one.id for one in found}
        conditions = [*where, at_least(field, getattr(found[-1], field))]


def _verified(file: File) -> FileStatus:
    return FileStatus.PROCESSING if file.awaits else FileStatus.READY
