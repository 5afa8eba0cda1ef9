"""What is done with files beside keeping them: jobs, and queueing those that failed again."""

from datetime import datetime
from typing import Self, cast

import strawberry

from domain.job import Job
from schema.enums import JobStatus
from schema.errors import UserError
from schema.node import Node
from schema.scalars import JSON


@strawberry.type(description="One thing that is done with a file, by the server or by a system outside.")
class ProcessingJob(Node):
    kind: str = strawberry.field(description="What it does, as `scan`.")
    status: JobStatus = strawberry.field(description="Where it stands.")
    attempt: int = strawberry.field(description="How often it was begun.")
    progress: float | None = strawberry.field(description="How much of it is done, from 0 to 1, where that is told.")
    error: str | None = strawberry.field(description="Why it failed, the last time.")
    result: JSON | None = strawberry.field(description="What came of it.")
    queued_at: datetime = strawberry.field(description="Since when it waits, or waited.")
    started_at: datetime | None = strawberry.field(description="When it was begun, the last time.")
    finished_at: datetime | None = strawberry.field(description="When it was over.")

    @classmethod
    def from_domain(cls, job: Job) -> Self:
        return cls(
            id=strawberry.ID(job.id),
            kind=job.kind,
            status=JobStatus(job.status.value),
            attempt=job.attempt,
            progress=job.progress,
            error=job.error,
            # The scalar's name stands for any JSON value to Strawberry, and for a class of its own to mypy.
            result=cast("JSON", dict(job.result)) if job.result else None,
            queued_at=job.queued_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )


@strawberry.input(description="Which failed jobs are queued again.")
class RetryProcessingInput:
    file_id: strawberry.ID = strawberry.field(description="Of which file.")
    kind: str | None = strawberry.field(default=None, description="Only the one of this kind.")


@strawberry.type(description="Outcome of `retryProcessing`.")
class RetryProcessingPayload:
    jobs: list[ProcessingJob] = strawberry.field(default_factory=list, description="Those that wait again now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was queued.")
