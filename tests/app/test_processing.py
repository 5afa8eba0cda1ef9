"""Files that are processed: not readable before, and what comes of the jobs reaches them once."""

from typing import Any

import pytest

from domain.errors import LeaseLost, NotFound
from domain.event import FILE_EVENTS
from domain.file import FileStatus
from domain.job import ATTEMPTS_MAX, JobStatus
from domain.page import Order, PageRequest
from services.processing import Outcome
from tests.support.product import Caller, World, open_world

CONTENT = b"here be dragons"


async def map_of(world: World, caller: Caller) -> Any:
    await caller.upload(CONTENT, name="map.txt", collection="maps")
    return await world.file_of(caller)


async def content(caller: Caller, file: Any) -> Any:
    async with caller.http as http:
        return await http.get(f"/api/v1/files/{file.id}/content")


async def received(world: World) -> Any:
    found = await world.product.processing.processor.receive()
    assert found is not None
    return found[0]


async def test_map_is_not_downloadable_until_processed_R001_13_R001_17_R001_18(world, anna):
    """Never bytes before; and the answer says when to come again."""
    file = await map_of(world, anna)
    refused = await content(anna, file)
    job = await received(world)
    still = await content(anna, file)
    await world.product.processing.processor.acknowledge(job, job.lease_id, Outcome({}))
    given = await content(anna, file)

    assert (409, "not_processed", "5") == (refused.status_code, refused.json()["code"], refused.headers["retry-after"])
    assert 409 == still.status_code
    assert (200, CONTENT) == (given.status_code, given.content)


async def test_file_of_no_collection_is_there_at_once(world, anna):
    """Only who asks for processing waits for it."""
    await anna.upload(CONTENT)
    file = await world.file_of(anna)

    assert (FileStatus.READY, ()) == (file.status, file.awaits)
    assert await world.product.processing.processor.receive() is None


async def test_download_url_and_sql_wait_too(world, anna):
    """There is no way around."""
    file = await map_of(world, anna)
    files = world.product.services.files

    assert await files.download_url(anna.principal, file, ttl_seconds=60, inline=False) is None
    async with anna.http as http:
        asked = await http.post(f"/api/v1/files/{file.id}/query", json={"sql": "SELECT * FROM S3Object"})
    assert 409 == asked.status_code


async def test_digest_that_comes_later_does_not_open_the_file(tmp_path):
    """Being verified is one thing, being processed another."""
    async with open_world(tmp_path) as world:
        large = b"x" * (2**20 + 1)
        await world.anna.upload(large, collection="maps")
        await world.product.maintenance.run_once()
        file = await world.file_of(world.anna)

        assert file.sha256 is not None
        assert (FileStatus.PROCESSING, ("process",)) == (file.status, file.awaits)


async def test_change_of_status_is_an_event(world, anna):
    """Whoever watches files need not ask again and again."""
    await map_of(world, anna)
    job = await received(world)
    await world.product.processing.processor.acknowledge(job, job.lease_id, Outcome({}))
    events = world.product.records.collection(FILE_EVENTS)
    page = await events.list(anna.tenant_id, order=Order("number"), page=PageRequest(10))

    assert ["created", "status_changed"] == [event.action.value for event in page.items]


async def test_file_of_a_job_that_fails_for_good_is_failed_and_can_be_tried_again(world, anna):
    """It is neither given out nor lost."""
    file = await map_of(world, anna)
    processor, service = world.product.processing.processor, world.product.services.processing
    for _ in range(ATTEMPTS_MAX):
        job = await received(world)
        await processor.reject(job, job.lease_id, "no such projection", may_retry=True)
        world.clock.advance(seconds=3600)
    failed = await world.file_of(anna)
    (again,) = await service.retry(anna.principal, file.id)
    waiting = await world.file_of(anna)
    job = await received(world)
    await processor.acknowledge(job, job.lease_id, Outcome({}))

    assert (FileStatus.FAILED, ("process",)) == (failed.status, failed.awaits)
    assert (JobStatus.QUEUED, FileStatus.PROCESSING) == (again.status, waiting.status)
    assert (FileStatus.READY, ()) == ((done := await world.file_of(anna)).status, done.awaits)


async def test_worker_that_never_answers_does_not_get_a_job_for_ever(world, anna):
    """After so many leases the job is dead, and says why."""
    await map_of(world, anna)
    processor = world.product.processing.processor
    for _ in range(ATTEMPTS_MAX):
        assert await processor.receive(seconds=30) is not None
        world.clock.advance(seconds=31)

    assert await processor.receive(seconds=30) is None
    file = await world.file_of(anna)
    (job,) = await world.product.services.processing.of_file(anna.principal, file)
    assert (JobStatus.FAILED, FileStatus.FAILED) == (job.status, file.status)
    assert "never an answer" in job.error


async def test_what_is_found_bad_is_quarantined(world, anna):
    """Also where the job was not required."""
    await map_of(world, anna)
    job = await received(world)
    await world.product.processing.processor.acknowledge(job, job.lease_id, Outcome({"found": "x"}, quarantines=True))
    file = await world.file_of(anna)

    assert FileStatus.QUARANTINED is file.status
    assert (409, "file_not_ready") == ((answer := await content(anna, file)).status_code, answer.json()["code"])


async def test_late_acknowledgement_has_no_effect_on_the_file(world, anna):
    """Exactly once, and by who holds the lease."""
    await map_of(world, anna)
    processor = world.product.processing.processor
    old = await received(world)
    world.clock.advance(seconds=61)
    new = await received(world)
    with pytest.raises(LeaseLost):
        await processor.acknowledge(old, old.lease_id, Outcome({}, quarantines=True))
    await processor.acknowledge(new, new.lease_id, Outcome({}))

    assert FileStatus.READY is (await world.file_of(anna)).status


async def test_job_of_a_file_in_the_trash_is_cancelled(world, anna):
    """Nobody works for the bin."""
    file = await map_of(world, anna)
    await world.product.services.files.delete(anna.principal, [file.id])

    assert await world.product.processing.processor.receive() is None
    (job,) = await world.product.services.processing.of_file(anna.principal, file)
    assert JobStatus.CANCELLED is job.status


async def test_jobs_are_seen_and_retried_by_who_may(world, anna, bert):
    """A thing of another tenant and a missing thing look the same."""
    file = await map_of(world, anna)
    service = world.product.services.processing
    with pytest.raises(NotFound):
        await service.of_file(bert.principal, file)
    with pytest.raises(NotFound):
        await service.retry(bert.principal, file.id)
    with pytest.raises(NotFound):
        await service.retry(anna.principal, file.id, kind="scan")

    assert [] == await service.retry(anna.principal, file.id)
    assert await service.lease(bert.principal, kinds=None, seconds=30) is None


async def test_rules_of_a_collection_come_on_top_of_those_for_all(tmp_path):
    """What holds for every file cannot be escaped by naming a collection; an optional job holds up nobody."""
    async with open_world(tmp_path, processing="*=digest scan!; maps=process!; photos=scan") as world:
        await world.anna.upload(CONTENT, name="a.txt", collection="photos")
        (file,) = await world.files_of(world.anna)
        jobs = await world.product.services.processing.of_file(world.anna.principal, file)

    assert ("photos", ("scan",)) == (file.collection, file.awaits)
    assert {("digest", False), ("scan", True)} == {(job.kind, job.is_required) for job in jobs}


async def test_rules_of_a_tenant_come_on_top_of_those_for_all(world, anna, bert):
    """They take nothing away, and hold for no other tenant."""
    await world.limit(anna, processing="maps=process; *=scan!")
    await anna.upload(CONTENT, collection="maps")
    await bert.upload(CONTENT)

    assert {"process", "scan"} == set((await world.file_of(anna)).awaits)
    assert () == (await world.file_of(bert)).awaits


async def test_killed_between_job_and_file_is_set_right(world, anna, monkeypatch):
    """A database without transactions may be cut off there; the next round lets the file follow."""
    await map_of(world, anna)
    processor = world.product.processing.processor
    job = await received(world)
    following = processor._following

    async def nothing(*_: Any) -> list[Any]:
        return []

    monkeypatch.setattr(processor, "_following", nothing)
    await processor.acknowledge(job, job.lease_id, Outcome({}))
    monkeypatch.setattr(processor, "_following", following)
    before = (await world.file_of(anna)).status
    world.clock.advance(seconds=61)
    await world.product.maintenance.run_once()

    assert (FileStatus.PROCESSING, FileStatus.READY) == (before, (await world.file_of(anna)).status)
