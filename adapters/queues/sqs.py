"""
Jobs handed out through SQS: a message for each job that is due, for our workers and for systems that read SQS.

The job's record stays the truth. A message only says where to look: one that comes twice, late, or never does no harm,
since a job is taken in its record, and what is due and has no message gets one. So a message is deleted as soon as its
job is taken; if that worker dies, the job gets another when the lease has run out.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from adapters.queues.embedded import EmbeddedQueue
from domain.clock import Clock
from domain.errors import Conflict, NotFound, StoreUnavailable
from domain.file import FILES, File
from domain.ids import uuid_of
from domain.job import JOBS, Job, JobStatus
from domain.page import Order, below, equals
from domain.records import Records, Write

EVERY_KIND = "*"
ANNOUNCED_MAX = 100  # in one round
MESSAGES_MAX = 10  # looked at for one job
PUT_BACK_SECONDS = 1  # a message of another kind is hidden from us for so long, so that we see those behind it


@dataclass(frozen=True, slots=True)
class SqsSettings:
    """`queues`: from a kind of jobs to the URL of its queue; `*` for every other. A kind without one has none."""

    queues: Mapping[str, str]
    region: str
    endpoint: str | None = None
    access_key: str | None = None
    secret_key: str | None = None
    session_token: str | None = None


class SqsQueue:
    def __init__(self, settings: SqsSettings, *, records: Records, clock: Clock) -> None:
        self._queues = settings.queues
        self._client: Any = boto3.client(
            "sqs",
            region_name=settings.region,
            endpoint_url=settings.endpoint,
            aws_access_key_id=settings.access_key,
            aws_secret_access_key=settings.secret_key,
            aws_session_token=settings.session_token,
            config=Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard", "max_attempts": 3}),
        )
        self._records = records
        self._jobs = records.collection(JOBS)
        self._files = records.collection(FILES)
        self._taken = EmbeddedQueue(records=records, clock=clock)
        self._clock = clock

    def close(self) -> None:
        self._client.close()

    async def announce(self) -> int:
        """Send a message for each job that is due and has none; for one whose lease ran out, another."""
        due = below("due_at", self._clock.now() + timedelta(milliseconds=1))
        order = Order("due_at")
        lost = await self._jobs.scan([equals("status", JobStatus.RUNNING), due], order=order, limit=ANNOUNCED_MAX)
        waiting = [equals("status", JobStatus.QUEUED), equals("announced_at", None), due]
        found = [*lost, *await self._jobs.scan(waiting, order=order, limit=ANNOUNCED_MAX)]
        return sum([await self._announce(job) for job in found])

    async def _announce(self, job: Job) -> bool:
        url = self._url_of(job.kind)
        if url is None:
            return False
        file = (await self._files.get_many(job.tenant_id, [job.file_id])).get(job.file_id)
        # Sent first: killed in between, it is sent twice, which does no harm.
        await self._call("send_message", QueueUrl=url, MessageBody=json.dumps(_message(job, file)))
        try:
            told = replace(job, status=JobStatus.QUEUED, lease_id=None, announced_at=self._clock.now())
            await self._jobs.save(told, expected_revision=job.revision)
        except (Conflict, NotFound):
            return False
        return True

    async def receive(
        self, *, kinds: Sequence[str] | None = None, tenant_id: str | None = None, seconds: float
    ) -> Job | None:
        if tenant_id is not None:
            # A queue holds the jobs of all tenants; the records find those of one.
            return await self._taken.receive(kinds=kinds, tenant_id=tenant_id, seconds=seconds)
        await self.announce()
        for url in self._urls_of(kinds):
            job = await self._receive_from(url, kinds, seconds)
            if job is not None:
                return job
        return None

    async def _receive_from(self, url: str, kinds: Sequence[str] | None, seconds: float) -> Job | None:
        for _ in range(MESSAGES_MAX):
            answer = await self._call("receive_message", QueueUrl=url, MaxNumberOfMessages=1)
            messages = answer.get("Messages", [])
            if not messages:
                return None
            named = {"QueueUrl": url, "ReceiptHandle": messages[0]["ReceiptHandle"]}
            job = await self._job_of(messages[0]["Body"])
            if job is not None and kinds is not None and job.kind not in kinds:
                await self._call("change_message_visibility", VisibilityTimeout=PUT_BACK_SECONDS, **named)
                continue
            taken = await self._taken.take(job, seconds=seconds) if job is not None else None
            await self._call("delete_message", **named)
            if taken is not None:
                return taken
        return None

    async def _job_of(self, body: str) -> Job | None:
        """Find the job that a message names; None where it is no message of ours, or the job is gone."""
        try:
            content = json.loads(body)
            return await self._jobs.get(str(content["tenant"]), str(content["job"]))
        except (ValueError, KeyError, TypeError, RecursionError, NotFound):
            return None

    async def extend(self, job: Job, lease_id: str, *, seconds: float, progress: float | None = None) -> Job:
        return await self._taken.extend(job, lease_id, seconds=seconds, progress=progress)

    async def take(self, job: Job, *, seconds: float) -> Job | None:
        return await self._taken.take(job, seconds=seconds)

    async def acknowledge(self, job: Job, lease_id: str, after: Job, *also: Write) -> None:
        await self._taken.acknowledge(job, lease_id, after, *also)

    async def reject(self, job: Job, lease_id: str, after: Job) -> None:
        await self._taken.reject(job, lease_id, after)

    def _url_of(self, kind: str) -> str | None:
        return self._queues.get(kind, self._queues.get(EVERY_KIND))

    def _urls_of(self, kinds: Sequence[str] | None) -> list[str]:
        urls = self._queues.values() if kinds is None else [self._url_of(kind) for kind in kinds]
        return list(dict.fromkeys(url for url in urls if url is not None))

    async def _call(self, name: str, **arguments: object) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = await asyncio.to_thread(getattr(self._client, name), **arguments)
        except (BotoCoreError, ClientError) as error:
            raise StoreUnavailable("queue") from error
        return answer


def _message(job: Job, file: File | None) -> dict[str, object]:
    """Say what a system that reads SQS needs; the bytes and the lease it asks us for."""
    known: dict[str, object] = {} if file is None else {"name": file.name, "size": file.size, "type": file.content_type}
    return {
        "job": job.id,
        "tenant": job.tenant_id,
        "kind": job.kind,
        "file": job.file_id,
        "uuid": str(uuid_of(job.file_id)),
        "lease": f"/api/v1/queue/jobs/{job.id}/lease",
        **known,
    }
