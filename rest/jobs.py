"""The queue over HTTP, for workers that are systems of their own: lease, read, extend, acknowledge or reject."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Annotated, Any, Protocol

import orjson
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict  # pydantic cannot read that of Python 3.11

from domain.errors import InvalidValue
from domain.file import File
from domain.ids import JobId, uuid_of
from domain.job import Job
from domain.principal import Principal
from rest.callers import principal_of
from rest.documents import EXAMPLE_UUID, NO_STORE, json_response
from rest.operations import Answer, Content, Endpoint, Given, GivenJson, Operation, json_answer, json_body
from rest.parsing import read_model, read_query
from rest.streaming import StreamResponse
from services.processing import LEASE_SECONDS, LEASE_SECONDS_MAX, Outcome, QueueStats

KINDS_MAX = 32
RESULT_BYTES_MAX = 64 * 1024

Seconds = Annotated[float, Field(ge=1, le=LEASE_SECONDS_MAX, description="How long the lease is, from now on.")]
LeaseId = Annotated[str, Field(max_length=64, description="The present lease: it came with the job.")]


class LeaseGiven(GivenJson):
    kinds: Annotated[
        list[Annotated[str, Field(max_length=33)]] | None,
        Field(min_length=1, max_length=KINDS_MAX, description="Only jobs of these kinds. Not given: of any."),
    ] = None
    seconds: Seconds = LEASE_SECONDS


class LeaseOneGiven(GivenJson):
    seconds: Seconds = LEASE_SECONDS


class ExtendGiven(GivenJson):
    lease: LeaseId
    seconds: Seconds = LEASE_SECONDS
    progress: Annotated[float | None, Field(ge=0, le=1, description="How much of it is done.")] = None


class AcknowledgeGiven(GivenJson):
    lease: LeaseId
    result: Annotated[dict[str, Any], Field(description="What came of it: 64 KiB of JSON at most.")] = {}
    quarantine: Annotated[bool, Field(description="Nobody may read the file from now on.")] = False


class RejectGiven(GivenJson):
    lease: LeaseId
    error: Annotated[str, Field(max_length=500, description="Why; shown to the file's owner.")] = "rejected by a worker"
    retry: Annotated[bool, Field(description="Trying it again may help; else it is dead at once.")] = True


class ContentQuery(Given):
    lease: LeaseId


class JobDocument(TypedDict):
    id: str
    kind: str
    status: str
    attempt: int
    lease_until: datetime | None
    error: str | None


class FileOfJob(TypedDict):
    id: str
    uuid: str
    name: str
    size: int
    content_type: str
    sha256: str | None
    collection: str | None


class LeasedJob(JobDocument):
    """`content`: where its file's bytes are, which nobody else may read yet."""

    lease: str | None
    content: str
    file: FileOfJob


class StatsDocument(TypedDict):
    waiting: int
    running: int
    dead: int
    oldest_seconds: float | None


_JOB: Any = {
    "id": "job_5fs1mkq2v9x7w3b8n4c6d0hjre",
    "kind": "process",
    "status": "running",
    "attempt": 1,
    "lease_until": "2026-11-21T12:01:00Z",
    "error": None,
}
_LEASE = "wT0uVQ3S6m1yXc9KpLz7ag"
_LEASED: Any = {
    **_JOB,
    "lease": _LEASE,
    "content": f"/api/v1/queue/jobs/{_JOB['id']}/content?lease={_LEASE}",
    "file": {
        "id": "file_01kakc0f8sfxv8q7c3s3b2v4mn",
        "uuid": EXAMPLE_UUID,
        "name": "map.txt",
        "size": 15,
        "content_type": "text/plain",
        "sha256": None,
        "collection": "maps",
    },
}


class Queue(Protocol):
    async def lease(
        self, principal: Principal, *, kinds: Sequence[str] | None, seconds: float
    ) -> tuple[Job, File] | None: ...
    async def lease_one(self, principal: Principal, job_id: JobId, *, seconds: float) -> tuple[Job, File]: ...
    async def extend(
        self, principal: Principal, job_id: JobId, lease_id: str, *, seconds: float, progress: float | None
    ) -> Job: ...
    async def acknowledge(self, principal: Principal, job_id: JobId, lease_id: str, outcome: Outcome) -> Job: ...
    async def reject(
        self, principal: Principal, job_id: JobId, lease_id: str, *, error: str, may_retry: bool
    ) -> Job: ...
    async def content(
        self, principal: Principal, job_id: JobId, lease_id: str
    ) -> tuple[File, AsyncGenerator[bytes, None]]: ...
    async def stats(self, principal: Principal) -> QueueStats: ...


def job_operations(queue: Queue) -> list[Operation]:
    """Make the operations; they are for admins of the tenant whose jobs they are, an API key of one for instance."""

    async def lease(request: Request) -> Response:
        principal, given = principal_of(request), await read_model(request, LeaseGiven)
        found = await queue.lease(principal, kinds=given.kinds, seconds=given.seconds)
        return Response(status_code=204, headers=NO_STORE) if found is None else json_response(_leased(*found))

    async def lease_one(request: Request) -> Response:
        principal, given = principal_of(request), await read_model(request, LeaseOneGiven)
        return json_response(_leased(*await queue.lease_one(principal, _job_id(request), seconds=given.seconds)))

    async def extend(request: Request) -> Response:
        principal, given = principal_of(request), await read_model(request, ExtendGiven)
        seconds, progress = given.seconds, given.progress
        job = await queue.extend(principal, _job_id(request), given.lease, seconds=seconds, progress=progress)
        return json_response(_facts(job))

    async def acknowledge(request: Request) -> Response:
        principal, given = principal_of(request), await read_model(request, AcknowledgeGiven)
        _check(given.result)
        outcome = Outcome(given.result, quarantines=given.quarantine)
        return json_response(_facts(await queue.acknowledge(principal, _job_id(request), given.lease, outcome)))

    async def reject(request: Request) -> Response:
        principal, given = principal_of(request), await read_model(request, RejectGiven)
        error, may_retry = given.error, given.retry
        job = await queue.reject(principal, _job_id(request), given.lease, error=error, may_retry=may_retry)
        return json_response(_facts(job))

    async def content(request: Request) -> Response:
        principal, given = principal_of(request), read_query(request, ContentQuery)
        file, chunks = await queue.content(principal, _job_id(request), given.lease)
        headers = {**NO_STORE, "content-type": "application/octet-stream"}
        if request.method == "HEAD" or file.size == 0:
            await chunks.aclose()
            return Response(headers=headers)
        return StreamResponse(_bytes(chunks), headers)

    async def stats(request: Request) -> Response:
        found = await queue.stats(principal_of(request))
        answer: StatsDocument = {
            "waiting": found.waiting,
            "running": found.running,
            "dead": found.dead,
            "oldest_seconds": found.oldest_seconds,
        }
        return json_response(answer)

    leased = json_answer(200, "The job, with its lease and its file.", LeasedJob, _LEASED)
    raw = Content("application/octet-stream", {"type": "string", "format": "binary"})
    return [
        Operation(
            "POST",
            "/api/v1/queue/lease",
            "leaseJob",
            "Take the job that waits for the longest time",
            "Queue",
            lease,
            (leased, Answer(204, "No job waits.")),
            body=json_body(LeaseGiven, usual={"kinds": ["process"], "seconds": 60}),
            faults=("permission_denied",),
        ),
        Operation(
            "GET",
            "/api/v1/queue/stats",
            "getQueueStats",
            "How many jobs of the tenant wait, run and are dead",
            "Queue",
            stats,
            (
                json_answer(
                    200,
                    "So many.",
                    StatsDocument,
                    {"waiting": 1, "running": 0, "dead": 0, "oldest_seconds": 2.5},
                ),
            ),
            faults=("permission_denied",),
        ),
        Operation(
            "POST",
            "/api/v1/queue/jobs/{id}/lease",
            "leaseOneJob",
            "Take this job",
            "Queue",
            lease_one,
            (leased,),
            notes="For a system that was told of the job by SQS.",
            body=json_body(LeaseOneGiven, usual={"seconds": 60}),
            faults=("lease_lost", "not_found", "permission_denied"),
        ),
        _of_lease("extend", "extendLease", "Keep a lease for longer", extend, ExtendGiven, {"lease": _LEASE}),
        _of_lease(
            "acknowledge",
            "acknowledgeJob",
            "Say that a job is done",
            acknowledge,
            AcknowledgeGiven,
            {"lease": _LEASE, "result": {"tiles": 4}},
        ),
        _of_lease(
            "reject",
            "rejectJob",
            "Say that a job failed",
            reject,
            RejectGiven,
            {"lease": _LEASE, "error": "no such projection", "retry": False},
        ),
        Operation(
            "GET",
            "/api/v1/queue/jobs/{id}/content",
            "getJobContent",
            "The bytes of the file that a lease is for",
            "Queue",
            content,
            (Answer(200, "All of them.", (raw,)),),
            query=ContentQuery,
            faults=("lease_lost", "not_found", "permission_denied"),
        ),
    ]


def _of_lease(
    word: str, id: str, summary: str, endpoint: Endpoint, shape: type[GivenJson], example: Mapping[str, Any]
) -> Operation:
    return Operation(
        "POST",
        f"/api/v1/queue/jobs/{{id}}/{word}",
        id,
        summary,
        "Queue",
        endpoint,
        (json_answer(200, "The job as it is after.", JobDocument, _JOB),),
        body=json_body(shape, usual=example),
        faults=("conflict", "lease_lost", "not_found", "permission_denied"),
    )


async def _bytes(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes | Mapping[str, str], None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            yield chunk


def _job_id(request: Request) -> JobId:
    return JobId(request.path_params["id"])


def _check(result: Mapping[str, Any]) -> None:
    try:
        size = len(orjson.dumps(result))
    except orjson.JSONEncodeError as error:
        raise InvalidValue("result holds what cannot be kept", path=("result",)) from error
    if size > RESULT_BYTES_MAX:
        message = f"a result has at most {RESULT_BYTES_MAX} bytes of JSON"
        raise InvalidValue(message, path=("result",), reason="too_long")


def _facts(job: Job) -> JobDocument:
    return {
        "id": job.id,
        "kind": job.kind,
        "status": job.status.value,
        "attempt": job.attempt,
        "lease_until": job.due_at if job.lease_id is not None else None,
        "error": job.error,
    }


def _leased(job: Job, file: File) -> LeasedJob:
    return {
        **_facts(job),
        "lease": job.lease_id,
        "content": f"/api/v1/queue/jobs/{job.id}/content?lease={job.lease_id}",
        "file": {
            "id": file.id,
            "uuid": str(uuid_of(file.id)),
            "name": file.name,
            "size": file.size,
            "content_type": file.content_type,
            "sha256": file.sha256,
            "collection": file.collection,
        },
    }
