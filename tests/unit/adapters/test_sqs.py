"""What SQS alone may do to a queue of jobs: give a message twice, late, never, or one that is not ours."""

import json

import boto3
import pytest
from moto import mock_aws

from adapters.queues.sqs import SqsQueue, SqsSettings
from domain.errors import StoreUnavailable
from domain.job import JobStatus
from tests.support.product import open_world

REGION = "eu-central-1"


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def sqs(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        client = boto3.client("sqs", region_name=REGION)
        client.url = client.create_queue(QueueName="jobs")["QueueUrl"]
        yield client
        client.close()


def waiting(sqs) -> int:
    names = ["ApproximateNumberOfMessages"]
    found = sqs.get_queue_attributes(QueueUrl=sqs.url, AttributeNames=names)
    return int(found["Attributes"][names[0]])


async def test_finished_upload_is_a_message_that_a_system_outside_can_act_on_R001_14_R001_15(tmp_path, sqs):
    """Read it by plain SQS, take the job it names over HTTP, read the raw bytes, acknowledge, delete the message."""
    async with open_world(tmp_path, sqs_queues=sqs.url, s3_region=REGION) as world:
        await world.anna.upload(b"dragons", name="map.txt", collection="maps")
        await world.product.maintenance.run_once()
        (message,) = sqs.receive_message(QueueUrl=sqs.url)["Messages"]
        told = json.loads(message["Body"])
        async with world.anna.http as http:
            job = (await http.post(told["lease"], json={})).json()
            raw = await http.get(job["content"])
            done = await http.post(f"/api/v1/queue/jobs/{job['id']}/acknowledge", json={"lease": job["lease"]})
            given = await http.get(f"/api/v1/files/{told['uuid']}/content")
        sqs.delete_message(QueueUrl=sqs.url, ReceiptHandle=message["ReceiptHandle"])

    assert ("process", "map.txt", 7) == (told["kind"], told["name"], told["size"])
    assert (b"dragons", 200, b"dragons") == (raw.content, done.status_code, given.content)


async def test_message_that_comes_twice_does_no_harm(tmp_path, sqs):
    """The second finds the job taken, and later over, and goes."""
    async with open_world(tmp_path, sqs_queues=sqs.url, s3_region=REGION) as world:
        await world.anna.upload(b"dragons", collection="maps")
        processor = world.product.processing.processor
        await processor.announce()
        (message,) = sqs.receive_message(QueueUrl=sqs.url, VisibilityTimeout=0)["Messages"]
        sqs.send_message(QueueUrl=sqs.url, MessageBody=message["Body"])
        first = await processor.receive()
        second = await processor.receive()

        assert (JobStatus.RUNNING, None) == (first[0].status, second)
        assert 0 == waiting(sqs)


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"tenant": "t", "job": "job_x"}', "null", "[" * 10_000])
async def test_message_that_is_not_ours_is_dropped(tmp_path, sqs, body):
    """It must not stand in the way of those behind it."""
    async with open_world(tmp_path, sqs_queues=sqs.url, s3_region=REGION) as world:
        sqs.send_message(QueueUrl=sqs.url, MessageBody=body or " ")
        await world.anna.upload(b"dragons", collection="maps")
        assert await world.product.processing.processor.receive() is not None
        assert 0 == waiting(sqs)


async def test_job_is_announced_once(tmp_path, sqs):
    async with open_world(tmp_path, sqs_queues=sqs.url, s3_region=REGION) as world:
        await world.anna.upload(b"dragons", collection="maps")
        processor = world.product.processing.processor

        assert (1, 0) == (await processor.announce(), await processor.announce())
        assert 1 == waiting(sqs)


async def test_kind_without_a_queue_is_left_to_who_asks_by_http(tmp_path, sqs):
    async with open_world(tmp_path, sqs_queues=f"scan={sqs.url}", s3_region=REGION) as world:
        await world.anna.upload(b"dragons", collection="maps")
        processor = world.product.processing.processor

        assert 0 == await processor.announce()
        assert await processor.receive() is None
        assert await processor.receive(tenant_id=world.anna.tenant_id) is not None


async def test_queue_that_is_away_is_told_and_nothing_is_lost(tmp_path, sqs):
    """The record is there; the message follows when the queue is back."""
    async with open_world(tmp_path, sqs_queues=sqs.url, s3_region=REGION) as world:
        await world.anna.upload(b"dragons", collection="maps")
        broken = SqsSettings({"*": sqs.url + "x"}, REGION)
        away = SqsQueue(broken, records=world.product.records, clock=world.clock)
        with pytest.raises(StoreUnavailable):
            await away.announce()
        away.close()

        assert 1 == await world.product.processing.processor.announce()
