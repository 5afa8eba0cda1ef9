"""Runs every test here on each queue of jobs, and the embedded one on each database."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from adapters.queues.embedded import EmbeddedQueue
from adapters.queues.sqs import SqsQueue, SqsSettings
from domain.file import FILES
from domain.ids import FileId
from domain.job import JOBS, Job, JobQueue, jobs_of
from domain.records import Add, Records
from tests.support import mongo_server
from tests.support.product import FakeClock
from tests.support.records import KINDS
from tests.support.records_open import Database, open_records

FILE = FileId("file_01kakc0f8sfxv8q7c3s3b2v4mn")
OTHER_FILE = FileId("file_01kakc0f8sfxv8q7c3s3b2v4mp")


@dataclass
class Rig:
    """A queue, and its records and clock."""

    records: Records
    queue: JobQueue
    clock: FakeClock

    async def record(self, *words: str, file_id: FileId = FILE, tenant_id: str = "tenant_a") -> list[Job]:
        """Record jobs as the completion of a file does, and let the queue know."""
        jobs = jobs_of(words, file_id=file_id, tenant_id=tenant_id, content_type="text/csv", now=self.clock.now())
        await self.records.write(*[Add(JOBS, job, if_absent=True) for job in jobs])
        await self.queue.announce()
        return jobs

    async def stored(self, job: Job) -> Job:
        return await self.records.collection(JOBS).get(job.tenant_id, job.id)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    with mongo_server.running() as url:
        yield url


@pytest.fixture(params=["embedded on sqlite", "embedded on mongo", "sqs"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    database = Database("sqlite", str(tmp_path / "records.db"))
    if request.param.endswith("mongo"):
        database = Database("mongo", request.getfixturevalue("mongo_url"), mongo_server.fresh_name())
    clock = FakeClock()
    async with open_records(database, (JOBS, FILES, *KINDS)) as records:
        if request.param == "sqs":
            with sqs_queue(records, clock) as queue:
                yield Rig(records, queue, clock)
        else:
            yield Rig(records, EmbeddedQueue(records=records, clock=clock), clock)


@contextmanager
def sqs_queue(records: Records, clock: FakeClock) -> Iterator[SqsQueue]:
    """A queue for `process` and one for all others, as moto keeps them."""
    with mock_aws():
        keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        client = boto3.client("sqs", region_name="eu-central-1", **keys)
        urls = [client.create_queue(QueueName=name)["QueueUrl"] for name in ("maps", "others")]
        client.close()
        queues = dict(zip(("process", "*"), urls, strict=True))
        settings = SqsSettings(queues, "eu-central-1", access_key="testing", secret_key="testing")
        queue = SqsQueue(settings, records=records, clock=clock)
        yield queue
        queue.close()


def over(job: Job, **result: Any) -> Job:
    return job.succeed(result, quarantines=False, now=job.queued_at)
