"""
Jobs: what is to be done with a stored file beside keeping it, and the queue that hands them out.

A job's record is the truth. It is written in the commit that completes the file, so none is lost; whoever works on it
holds a lease that others can see, and what an old lease reports is refused. So every job takes effect once, however
often it is handed out.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Protocol

from domain.errors import InvalidValue, LeaseLost
from domain.file import File, FileStatus
from domain.ids import FileId, JobId, encode_id
from domain.records import Kind, Write

ATTEMPTS_MAX = 5  # then the job is dead until somebody asks for it again
RETRY_SECONDS_MIN = 5
RETRY_SECONDS_MAX = 15 * 60
ERROR_LENGTH_MAX = 500  # characters
EVERY_COLLECTION = "*"

_RULE_WORD = re.compile(r"[a-z][a-z0-9_-]{0,31}!?")
_COLLECTION = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

# Built-in handlers that make sense for some types of content only.
_TYPES_OF_KIND = {
    "thumbnail": re.compile(r"image/(png|jpeg|gif|webp|bmp|tiff)"),
    "profile": re.compile(r"text/(csv|plain|tab-separated-values)"),
}


class JobStatus(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self not in (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Job:
    """
    One thing to be done with one file; the rules of its state give the next one or raise LeaseLost.

    Attributes:
        is_required: The file may not be read before this has succeeded.
        due_at: When it may be handed out: while it waits from then on, while somebody works on it once their lease is
            over. None when it is over.
        attempt: How often it was handed out.
        attempts_left: How often it still may be.
        lease_id: Names the present lease; who reports with another is too late.
        quarantines: It found something that nobody may read.
        announced_at: When it was put into a queue outside; None in the one of the records.
    """

    id: JobId
    tenant_id: str
    file_id: FileId
    kind: str
    queued_at: datetime
    due_at: datetime | None
    is_required: bool = False
    status: JobStatus = JobStatus.QUEUED
    attempt: int = 0
    attempts_left: int = ATTEMPTS_MAX
    lease_id: str | None = None
    progress: float | None = None
    error: str | None = None
    result: Mapping[str, Any] = field(default_factory=dict)
    quarantines: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    announced_at: datetime | None = None
    revision: int = 0

    def is_due(self, *, now: datetime) -> bool:
        return self.due_at is not None and self.due_at <= now

    def lease(self, lease_id: str, *, now: datetime, until: datetime) -> "Job":
        """Hand it out; `attempts_left` below 0 says that it was handed out too often without an answer."""
        return replace(
            self,
            status=JobStatus.RUNNING,
            attempt=self.attempt + 1,
            attempts_left=self.attempts_left - 1,
            lease_id=lease_id,
            due_at=until,
            started_at=now,
            progress=None,
        )

    def require_lease(self, lease_id: str) -> None:
        """Raise LeaseLost unless this is the present lease."""
        if self.status is not JobStatus.RUNNING or self.lease_id != lease_id:
            raise LeaseLost

    def extend(self, *, until: datetime, progress: float | None) -> "Job":
        return replace(self, due_at=until, progress=self.progress if progress is None else progress)

    def succeed(self, result: Mapping[str, Any], *, quarantines: bool, now: datetime) -> "Job":
        over = self._over(JobStatus.SUCCEEDED, now=now)
        return replace(over, result=result, quarantines=quarantines, error=None, progress=1.0)

    def fail(self, error: str, *, may_retry: bool, now: datetime) -> "Job":
        """Put it back to be tried later, or into the dead letters."""
        told = error[:ERROR_LENGTH_MAX]
        if not may_retry or self.attempts_left <= 0:
            return replace(self._over(JobStatus.FAILED, now=now), error=told)
        due_at = now + timedelta(seconds=retry_seconds(self.attempt))
        return replace(self, status=JobStatus.QUEUED, due_at=due_at, lease_id=None, announced_at=None, error=told)

    def cancel(self, reason: str, *, now: datetime) -> "Job":
        return replace(self._over(JobStatus.CANCELLED, now=now), error=reason[:ERROR_LENGTH_MAX])

    def queue_again(self, *, now: datetime) -> "Job":
        """Take it out of the dead letters."""
        return replace(
            self,
            status=JobStatus.QUEUED,
            queued_at=now,
            due_at=now,
            attempts_left=ATTEMPTS_MAX,
            progress=None,
            finished_at=None,
            announced_at=None,
        )

    def _over(self, status: JobStatus, *, now: datetime) -> "Job":
        return replace(self, status=status, due_at=None, lease_id=None, finished_at=now)


JOBS = Kind(
    "jobs",
    Job,
    fields=("file_id", "kind", "status", "due_at", "queued_at", "announced_at", "finished_at"),
    indexes=(
        ("file_id", "queued_at"),
        ("kind", "due_at"),
        ("due_at",),
        ("status", "announced_at", "due_at"),
        ("status", "queued_at"),
    ),
)


def retry_seconds(attempt: int) -> int:
    """Say how long a job rests after its n-th failure: doubled each time."""
    return int(min(RETRY_SECONDS_MAX, RETRY_SECONDS_MIN * 2 ** (attempt - 1)))


def job_id(content_id: str, kind: str) -> JobId:
    """Name the job: a file, or a later version of one, has one of each kind, however often it is written."""
    digest = hashlib.sha256(f"{content_id} {kind}".encode()).digest()
    return JobId(encode_id("job", int.from_bytes(digest[:16])))


# ---- which files need which jobs


@dataclass(frozen=True, slots=True)
class ProcessingRules:
    """
    Which jobs a file gets, by its collection: `*` for every file, and what is named for its own.

    A kind with `!` behind it is required.
    """

    by_collection: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def kinds(self) -> frozenset[str]:
        return frozenset(word.rstrip("!") for words in self.by_collection.values() for word in words)

    def of(self, collection: str | None, *, also: "ProcessingRules | None" = None) -> tuple[str, ...]:
        """
        Give the kinds of jobs of a collection's files, those that are required with their `!`.

        Args:
            also: Rules that come on top of these; they take nothing away.
        """
        names = [EVERY_COLLECTION] if collection is None else [EVERY_COLLECTION, collection]
        tables = [self.by_collection] if also is None else [self.by_collection, also.by_collection]
        words = [word for table in tables for name in names for word in table.get(name, ())]
        required = {word for word in words if word.endswith("!")}
        return tuple(dict.fromkeys(word for word in words if f"{word}!" not in required))


NO_RULES = ProcessingRules()


def parse_rules(text: str) -> ProcessingRules:
    """
    Read `maps=process!; *=scan! thumbnail`: collections, each with the kinds of jobs its files get.

    Raises:
        InvalidValue: It has another form.
    """
    rules: dict[str, tuple[str, ...]] = {}
    for entry in filter(None, (part.strip() for part in text.split(";"))):
        name, equals_sign, words = (part.strip() for part in entry.partition("="))
        kinds = tuple(words.split())
        is_name = name == EVERY_COLLECTION or _COLLECTION.fullmatch(name)
        if not (equals_sign and is_name and kinds and all(map(_RULE_WORD.fullmatch, kinds))) or name in rules:
            raise InvalidValue(f"{entry!r} is no rule of processing; write 'maps=process!; *=scan! thumbnail'")
        rules[name] = kinds
    return ProcessingRules(rules)


def parse_collection(text: str) -> str:
    """Check the name of a collection."""
    if not _COLLECTION.fullmatch(text):
        message = "a collection's name has 1 to 64 lower-case letters, digits, '-' and '_'"
        raise InvalidValue(message, path=("collection",))
    return text


def jobs_of(
    words: Sequence[str],
    *,
    file_id: FileId,
    tenant_id: str,
    content_type: str,
    now: datetime,
    version_id: str | None = None,
) -> list[Job]:
    """
    Make the jobs of a file that was just completed; kinds that its type has no use for are left out.

    Args:
        version_id: Of a later version, whose jobs are not those of the file's first content.
    """
    made = []
    for word in words:
        kind, is_required = word.rstrip("!"), word.endswith("!")
        fitting = _TYPES_OF_KIND.get(kind)
        if is_required or fitting is None or fitting.fullmatch(content_type):
            made.append(Job(job_id(version_id or file_id, kind), tenant_id, file_id, kind, now, now, is_required))
    return made


def status_of(file: File, jobs: Sequence[Job]) -> tuple[FileStatus, tuple[str, ...]]:
    """Tell where a file stands after these, all of its jobs, and for which kinds it still waits."""
    status = {job.kind: job.status for job in jobs}
    awaits = tuple(kind for kind in file.awaits if status.get(kind) is not JobStatus.SUCCEEDED)
    is_other = file.sha256 is not None and file.sha256_declared not in (None, file.sha256)
    lost = {JobStatus.FAILED, JobStatus.CANCELLED}
    if any(job.quarantines for job in jobs):
        return FileStatus.QUARANTINED, awaits
    if is_other or any(status.get(kind) in lost for kind in awaits):
        return FileStatus.FAILED, awaits
    if file.status is FileStatus.FAILED and not file.awaits:
        return FileStatus.FAILED, awaits  # for a reason of its own: its bytes are gone
    unverified = file.sha256 is None and file.sha256_declared is not None
    return (FileStatus.PROCESSING if awaits or unverified else FileStatus.READY), awaits


# ---- the queue


class JobQueue(Protocol):
    """
    Hands out jobs, each to one at a time, and takes what came of them.

    A job that was recorded is handed out at least once; a lease that ran out is handed on. Everything that is reported
    names the lease and raises LeaseLost when it is not the present one: then nothing has happened.
    """

    async def announce(self) -> int:
        """Put what was recorded since into the queue where that is another place; says how many there were."""
        ...

    async def receive(
        self, *, kinds: Sequence[str] | None = None, tenant_id: str | None = None, seconds: float
    ) -> Job | None:
        """Take a lease of so many seconds on the job that is due for the longest time; None where none is."""
        ...

    async def take(self, job: Job, *, seconds: float) -> Job | None:
        """Take a lease on this very job; None where it is not due, or another was faster."""
        ...

    async def extend(self, job: Job, lease_id: str, *, seconds: float, progress: float | None = None) -> Job: ...

    async def acknowledge(self, job: Job, lease_id: str, after: Job, *also: Write) -> None:
        """
        Record `after`, what became of a job that is done or dead, and `also` with it.

        Raises:
            Conflict: Something of `also` was changed meanwhile; on a database without transactions, the job is over.
        """
        ...

    async def reject(self, job: Job, lease_id: str, after: Job) -> None:
        """Put a job back, to be handed out when `after` says."""
        ...
