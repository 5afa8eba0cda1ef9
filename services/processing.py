"""
What happens to a file beside being stored: jobs are handed out, their outcome is taken, and the file follows.

`Processor` is for who works on every tenant's jobs: our own worker and the command line. It has no caller to authorise;
no face hands it out. `ProcessingService` is for users and for the workers of one tenant.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from auth.policy import Action, can_see, require
from domain.blob import BlobStore
from domain.clock import Clock
from domain.errors import Conflict, InvalidValue, LeaseLost, NotFound
from domain.event import FILE_EVENTS, EventBus, FileEventAction, FilesChanged
from domain.file import FILES, File, FileStatus
from domain.ids import FileId, JobId, TenantId, is_id
from domain.job import JOBS, Job, JobQueue, JobStatus, status_of
from domain.page import PAGE_SIZE_MAX, Order, PageRequest, Position, below, equals, one_of
from domain.principal import Principal
from domain.records import Add, Records, Save, Write
from services.changes import file_event

LEASE_SECONDS = 60.0
LEASE_SECONDS_MAX = 12 * 3600  # SQS hides a message for no longer
JOBS_OF_FILE_MAX = 50
RETRIES_MAX = 10  # of a write that another's change of the same file came before
SETTLE_GRACE = timedelta(minutes=1)
GONE = "the file is not there any more"
UNANSWERED = "handed out again and again, and never an answer"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job that was done; `quarantines`: nobody may read the file from now on."""

    result: Mapping[str, Any]
    quarantines: bool = False


class Processor:
    def __init__(self, *, records: Records, blobs: BlobStore, queue: JobQueue, bus: EventBus, clock: Clock) -> None:
        self._records = records
        self._jobs = records.collection(JOBS)
        self._files = records.collection(FILES)
        self._blobs = blobs
        self._queue = queue
        self._bus = bus
        self._clock = clock

    async def announce(self) -> int:
        """Put new jobs into the queue outside, where there is one."""
        return await self._queue.announce()

    async def receive(
        self,
        *,
        kinds: Sequence[str] | None = None,
        tenant_id: TenantId | None = None,
        seconds: float = LEASE_SECONDS,
    ) -> tuple[Job, File] | None:
        """
        Hand out the job that is due for the longest time, with its file.

        Jobs of files that are gone, and those that nobody ever answered, end here.
        """
        while (job := await self._queue.receive(kinds=kinds, tenant_id=tenant_id, seconds=seconds)) is not None:
            file = await self._file_of(job)
            if file is not None and file.is_gone(now=self._clock.now()):
                file = None
            if file is not None and job.attempts_left >= 0:
                return job, file
            await self._bury(job, is_there=file is not None)
        return None

    async def take(self, job: Job, *, seconds: float = LEASE_SECONDS) -> tuple[Job, File] | None:
        """Hand out this very job; None where it is not due, or its file is gone."""
        taken = await self._queue.take(job, seconds=seconds)
        if taken is None:
            return None
        file = await self._file_of(taken)
        if file is not None and not file.is_gone(now=self._clock.now()) and taken.attempts_left >= 0:
            return taken, file
        await self._bury(taken, is_there=file is not None)
        return None

    async def _bury(self, job: Job, *, is_there: bool) -> None:
        assert job.lease_id is not None
        now = self._clock.now()

        def step(found: Job) -> Job:
            return found.fail(UNANSWERED, may_retry=False, now=now) if is_there else found.cancel(GONE, now=now)

        await self._end(job, job.lease_id, step)

    async def extend(
        self, job: Job, lease_id: str, *, seconds: float = LEASE_SECONDS, progress: float | None = None
    ) -> Job:
        """Keep a lease for so long from now on."""
        return await self._queue.extend(job, lease_id, seconds=seconds, progress=progress)

    async def acknowledge(self, job: Job, lease_id: str, outcome: Outcome) -> Job:
        """
        Take what came of a job, and let its file follow in the same write.

        Raises:
            LeaseLost: Another has the job now, or it is over. Nothing happened.
        """
        now = self._clock.now()
        return await self._end(
            job, lease_id, lambda found: found.succeed(outcome.result, quarantines=outcome.quarantines, now=now)
        )

    async def reject(self, job: Job, lease_id: str, error: str, *, may_retry: bool) -> Job:
        """Take that it failed: it is tried later, or dead; then the file of a required one is FAILED."""
        now = self._clock.now()
        return await self._end(job, lease_id, lambda found: found.fail(error, may_retry=may_retry, now=now))

    def open(self, file: File) -> AsyncGenerator[bytes, None]:
        """Yield the bytes of a file that is worked on; the caller closes."""
        return self._blobs.open(file.key)

    async def settle(self) -> int:
        """Let files follow whose jobs ended in a process that was cut off before it could record so."""
        before = self._clock.now() - SETTLE_GRACE
        where = [equals("status", FileStatus.PROCESSING), below("updated_at", before)]
        waiting = await self._files.scan(where, order=Order("updated_at"), limit=100)
        return sum([await self._settle(file) for file in waiting if file.awaits])

    async def _settle(self, file: File) -> int:
        writes = await self._following(file, None)
        if writes:
            await self._records.write(*writes)
            self._tell(file.tenant_id)
        return bool(writes)

    async def _end(self, job: Job, lease_id: str, step: Callable[[Job], Job]) -> Job:
        for _ in range(RETRIES_MAX):
            known = await self._jobs.get_many(job.tenant_id, [job.id])
            if job.id not in known:
                raise LeaseLost  # its file went away, or has other content now
            found = known[job.id]
            found.require_lease(lease_id)
            after = step(found)
            if not after.status.is_over:
                await self._queue.reject(found, lease_id, after)
                return after
            file = await self._file_of(job)
            writes = await self._following(file, after) if file is not None else []
            try:
                await self._queue.acknowledge(found, lease_id, after, *writes)
            except Conflict:
                ended = await self._jobs.get(job.tenant_id, job.id)
                if ended.status.is_over and ended.attempt == found.attempt and file is not None:
                    # A database without transactions recorded the job alone; the file follows now, or by `settle`.
                    await self._settle(await self._files.get(file.tenant_id, file.id))
                    return ended
                continue
            self._tell(job.tenant_id)
            return after
        raise Conflict("the file is changed again and again")

    async def _following(self, file: File, changed: Job | None) -> list[Write]:
        """Give the writes that bring a file to where its jobs say; none where it is there."""
        jobs = {job.id: job for job in await jobs_of_file(self._records, file)}
        if changed is not None:
            jobs[changed.id] = changed
        return moving(file, list(jobs.values()), clock=self._clock)

    async def _file_of(self, job: Job) -> File | None:
        return (await self._files.get_many(job.tenant_id, [job.file_id])).get(job.file_id)

    def _tell(self, tenant_id: str) -> None:
        self._bus.publish(FilesChanged(TenantId(tenant_id)))


async def jobs_of_file(records: Records, file: File) -> list[Job]:
    """Give the jobs of a file, the oldest first."""
    where = [equals("file_id", file.id)]
    page = PageRequest(limit=JOBS_OF_FILE_MAX)
    return (await records.collection(JOBS).list(file.tenant_id, where, order=Order("queued_at"), page=page)).items


def moving(file: File, jobs: Sequence[Job], *, clock: Clock) -> list[Write]:
    status, awaits = status_of(file, jobs)
    if (status, awaits) == (file.status, file.awaits):
        return []
    changed = replace(file, status=status, awaits=awaits, updated_at=clock.now())
    if status is file.status:
        return [Save(FILES, changed, file.revision)]
    event = file_event(replace(changed, revision=file.revision + 1), FileEventAction.STATUS_CHANGED, actor=None)
    return [Save(FILES, changed, file.revision), Add(FILE_EVENTS, event, if_absent=True)]


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How many jobs of a tenant stand where, and since when the oldest of those that are due waits."""

    waiting: int
    running: int
    dead: int
    oldest_seconds: float | None


class ProcessingService:
    """The jobs of one tenant, for its users and for workers that come over HTTP."""

    def __init__(self, *, records: Records, processor: Processor, bus: EventBus, clock: Clock) -> None:
        self._records = records
        self._jobs = records.collection(JOBS)
        self._files = records.collection(FILES)
        self._processor = processor
        self._bus = bus
        self._clock = clock

    async def get(self, principal: Principal, job_id: JobId) -> Job:
        """Give one job of a file that the caller may see."""
        tenant_id = require(principal, Action.LIST_FILES)
        if not is_id(job_id, "job"):
            raise NotFound("job")
        job = await self._jobs.get(tenant_id, job_id)
        file = (await self._files.get_many(tenant_id, [job.file_id])).get(job.file_id)
        if file is None or not can_see(principal, file):
            raise NotFound("job")
        require(principal, Action.READ_FILE, file)
        return job

    async def of_files(self, principal: Principal, file_ids: Sequence[FileId]) -> dict[FileId, list[Job]]:
        """Give the jobs of those of these files that the caller may see, the oldest first; at most 100 files."""
        tenant_id = require(principal, Action.LIST_FILES)
        files = await self._files.get_many(tenant_id, list(file_ids))
        found: dict[FileId, list[Job]] = {file.id: [] for file in files.values() if can_see(principal, file)}
        where = [one_of("file_id", tuple(found))]
        after: Position | None = None
        while found:
            request = PageRequest(limit=PAGE_SIZE_MAX, after=after)
            page = await self._jobs.list(tenant_id, where, order=Order("queued_at"), page=request)
            for job in page.items:
                found[job.file_id].append(job)
            if not page.has_next:
                break
            after = Position(page.items[-1].queued_at, page.items[-1].id)
        return found

    async def of_file(self, principal: Principal, file: File) -> list[Job]:
        """Give the jobs of a file that the caller may see, the oldest first."""
        require(principal, Action.READ_FILE, file)
        return await jobs_of_file(self._records, file)

    async def retry(self, principal: Principal, file_id: FileId, *, kind: str | None = None) -> list[Job]:
        """
        Queue the jobs of a file that failed, or that of one kind, again.

        Raises:
            NotFound: There is no such file, or it never had a job of that kind.
        """
        tenant_id = require(principal, Action.CHANGE_FILE)
        file = (await self._files.get_many(tenant_id, [file_id])).get(file_id) if is_id(file_id, "file") else None
        if file is None or not can_see(principal, file):
            raise NotFound("file")
        require(principal, Action.CHANGE_FILE, file)
        jobs = await jobs_of_file(self._records, file)
        if kind is not None and kind not in {job.kind for job in jobs}:
            raise NotFound("job")
        lost = (JobStatus.FAILED, JobStatus.CANCELLED)
        dead = [job for job in jobs if job.status in lost and kind in (None, job.kind)]
        if not dead:
            return []
        now = self._clock.now()
        again = [job.queue_again(now=now) for job in dead]
        others = [job for job in jobs if job not in dead]
        queueing = [Save(JOBS, job, job.revision) for job in again]
        # The file goes first, so that what breaks off behind it leaves it waiting, and `settle` looks at it again.
        await self._records.write(*[*moving(file, [*others, *again], clock=self._clock), *queueing])
        self._bus.publish(FilesChanged(tenant_id))
        await self._processor.announce()
        return again

    async def stats(self, principal: Principal) -> QueueStats:
        tenant_id = require(principal, Action.PROCESS_FILES)
        counts = {
            status: await self._jobs.count(tenant_id, [equals("status", status)])
            for status in (JobStatus.QUEUED, JobStatus.RUNNING, JobStatus.FAILED)
        }
        where = [equals("status", JobStatus.QUEUED)]
        first = await self._jobs.list(tenant_id, where, order=Order("queued_at"), page=PageRequest(limit=1))
        oldest = (self._clock.now() - first.items[0].queued_at).total_seconds() if first.items else None
        return QueueStats(counts[JobStatus.QUEUED], counts[JobStatus.RUNNING], counts[JobStatus.FAILED], oldest)

    # ---- workers of others

    async def lease(
        self, principal: Principal, *, kinds: Sequence[str] | None, seconds: float
    ) -> tuple[Job, File] | None:
        """Hand out the job of the caller's tenant that is due for the longest time."""
        tenant_id = require(principal, Action.PROCESS_FILES)
        return await self._processor.receive(kinds=kinds, tenant_id=tenant_id, seconds=_checked(seconds))

    async def lease_one(self, principal: Principal, job_id: JobId, *, seconds: float) -> tuple[Job, File]:
        """
        Hand out one job of the caller's tenant, for a system that was told of it by another queue.

        Raises:
            LeaseLost: It is over, not due, or another has it.
        """
        found = await self._processor.take(await self._get(principal, job_id), seconds=_checked(seconds))
        if found is None:
            raise LeaseLost
        return found

    async def extend(
        self, principal: Principal, job_id: JobId, lease_id: str, *, seconds: float, progress: float | None
    ) -> Job:
        """Keep a lease for so long from now on."""
        job = await self._get(principal, job_id)
        return await self._processor.extend(job, lease_id, seconds=_checked(seconds), progress=progress)

    async def acknowledge(self, principal: Principal, job_id: JobId, lease_id: str, outcome: Outcome) -> Job:
        """Report that it is done."""
        return await self._processor.acknowledge(await self._get(principal, job_id), lease_id, outcome)

    async def reject(self, principal: Principal, job_id: JobId, lease_id: str, *, error: str, may_retry: bool) -> Job:
        """Report that it failed."""
        return await self._processor.reject(await self._get(principal, job_id), lease_id, error, may_retry=may_retry)

    async def content(
        self, principal: Principal, job_id: JobId, lease_id: str
    ) -> tuple[File, AsyncGenerator[bytes, None]]:
        """Give the bytes of the file that a lease is for, which nobody else may read yet."""
        job = await self._get(principal, job_id)
        job.require_lease(lease_id)
        file = (await self._files.get_many(job.tenant_id, [job.file_id])).get(job.file_id)
        if file is None or file.is_gone(now=self._clock.now()):
            raise NotFound("file")
        return file, self._processor.open(file)

    async def _get(self, principal: Principal, job_id: JobId) -> Job:
        tenant_id = require(principal, Action.PROCESS_FILES)
        if not is_id(job_id, "job"):
            raise NotFound("job")
        return await self._jobs.get(tenant_id, job_id)


def _checked(seconds: float) -> float:
    if not 1 <= seconds <= LEASE_SECONDS_MAX:
        raise InvalidValue(f"a lease has 1 to {LEASE_SECONDS_MAX} seconds", path=("seconds",), reason="out_of_range")
    return seconds
