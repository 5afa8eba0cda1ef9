"""The worker and what it does with files, in the product."""

import asyncio
import base64

import pytest

from domain.errors import ScannerUnavailable
from domain.file import FileStatus
from domain.job import JobStatus
from domain.picture import Picture, PictureRefused
from domain.scan import Finding, Verdict
from jobs.handlers import handlers
from jobs.worker import Worker
from tests.support.product import open_world


class FakeScanner:
    """Says what it is told to; None: it is down."""

    def __init__(self, verdict: Verdict | None) -> None:
        self.verdict = verdict
        self.seen = b""

    async def scan(self, chunks, *, size):
        self.seen = b"".join([chunk async for chunk in chunks])
        assert size == len(self.seen)
        if self.verdict is None:
            raise ScannerUnavailable
        return self.verdict


class FakePictures:
    async def shrink(self, chunks, *, edge):
        content = b"".join([chunk async for chunk in chunks])
        if content.startswith(b"\x89PNG\r\n\x1a\nbad"):
            raise PictureRefused("it is no picture")
        return Picture(b"small", "image/webp", edge, 10, 2000, 80)


def worker(world, *, scanner=None, **changes) -> Worker:
    able = handlers(scanner=scanner, pictures=FakePictures(), profiler=world.product.services.queries)
    return Worker(world.product.processing.processor, able, **changes)


async def jobs_of(world, file):
    jobs = await world.product.services.processing.of_file(world.anna.principal, file)
    return {job.kind: job for job in jobs}


async def scanned(tmp_path, verdict, rounds=1):
    async with open_world(tmp_path, processing="*=scan!") as world:
        await world.anna.upload(b"some bytes")
        scanner = FakeScanner(verdict)
        for _ in range(rounds):
            await worker(world, scanner=scanner).work_once()
            world.clock.advance(seconds=3600)
        file = await world.file_of(world.anna)
        assert b"some bytes" == scanner.seen
        return file.status, (await jobs_of(world, file))["scan"]


async def test_clean_file_may_be_read(tmp_path):
    status, job = await scanned(tmp_path, Verdict(Finding.CLEAN))

    assert (FileStatus.READY, JobStatus.SUCCEEDED) == (status, job.status)
    assert {"verdict": "clean", "signature": None} == dict(job.result)


async def test_infected_file_is_quarantined(tmp_path):
    status, job = await scanned(tmp_path, Verdict(Finding.INFECTED, "Eicar"))

    assert (FileStatus.QUARANTINED, JobStatus.SUCCEEDED) == (status, job.status)
    assert "Eicar" == job.result["signature"]


async def test_too_large_to_be_scanned_is_no_clean(tmp_path):
    """An explicit state: the job failed for that reason, and the file may not be read."""
    status, job = await scanned(tmp_path, Verdict(Finding.TOO_LARGE))

    assert (FileStatus.FAILED, JobStatus.FAILED) == (status, job.status)
    assert "too large to be scanned" in job.error


async def test_scanner_that_is_down_holds_files_back_and_is_told(tmp_path):
    """Tried again with growing rests; nothing slips through meanwhile."""
    status, job = await scanned(tmp_path / "once", None)
    dead_status, dead = await scanned(tmp_path / "often", None, rounds=5)

    assert (FileStatus.PROCESSING, JobStatus.QUEUED) == (status, job.status)
    assert "scanner does not answer" in job.error
    assert (FileStatus.FAILED, JobStatus.FAILED, 5) == (dead_status, dead.status, dead.attempt)


async def test_digest_job_finds_bytes_that_changed(tmp_path):
    """What a disk made of them."""
    async with open_world(tmp_path, processing="*=digest!") as world:
        await world.anna.upload(b"some bytes")
        file = await world.file_of(world.anna)
        (tmp_path / "files" / file.key).write_bytes(b"same bytes")
        job = await worker(world).work_once()

        assert JobStatus.FAILED is job.status
        assert "SHA-256 is another" in job.error
        assert FileStatus.FAILED is (await world.file_of(world.anna)).status


async def test_digest_job_says_what_it_read(tmp_path):
    async with open_world(tmp_path, processing="*=digest") as world:
        await world.anna.upload(b"some bytes")
        job = await worker(world).work_once()

        assert {"sha256": (await world.file_of(world.anna)).sha256, "size": 10} == dict(job.result)


async def test_thumbnail_is_made_of_pictures_only(tmp_path):
    async with open_world(tmp_path, processing="*=thumbnail") as world:
        await world.anna.upload(b"a,b\n1,2\n", name="a.csv")
        assert await worker(world).work_once() is None
        await world.anna.upload(b"\x89PNG\r\n\x1a\n...", name="a.png")
        job = await worker(world).work_once()

        assert b"small" == base64.b64decode(job.result["base64"])
        assert [2000, 80] == job.result["of"]
        await world.anna.upload(b"\x89PNG\r\n\x1a\nbad", name="b.png")
        job = await worker(world).work_once()
        assert (JobStatus.FAILED, "it is no picture") == (job.status, job.error)


@pytest.mark.slow
async def test_profile_of_a_csv_file(tmp_path):
    """Columns, their types, and how many rows, by the engine that answers SQL; also before the file may be read."""
    async with open_world(tmp_path, processing="*=profile!", query_workers=1) as world:
        await world.anna.upload(b"name,age\nanna,31\nbert,42\ncarla,\n", name="a.csv")
        job = await worker(world).work_once()
        file = await world.file_of(world.anna)

    assert JobStatus.SUCCEEDED is job.status, job.error
    assert ["name", "age"] == [column["name"] for column in job.result["columns"]]
    assert 3 == job.result["rows"]
    assert FileStatus.READY is file.status


async def test_fault_of_a_handler_is_told_without_its_words(tmp_path, caplog):
    """What a library says may hold a path; the log has it."""

    async def broken(work):
        raise RuntimeError("/secret/path")

    async with open_world(tmp_path, processing="*=scan") as world:
        await world.anna.upload(b"some bytes")
        job = await Worker(world.product.processing.processor, {"scan": broken}).work_once()

    assert JobStatus.QUEUED is job.status
    assert "secret" not in job.error
    assert "/secret/path" in caplog.text


async def test_stopped_worker_gives_its_job_back(tmp_path):
    """Another takes it without waiting for the lease to run out."""
    async with open_world(tmp_path, processing="*=scan!") as world:
        await world.anna.upload(b"some bytes")
        begun = asyncio.Event()

        async def endless(work):
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(Worker(world.product.processing.processor, {"scan": endless}).run())
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        world.clock.advance(seconds=6)
        job = await worker(world, scanner=FakeScanner(Verdict(Finding.CLEAN))).work_once()

        assert (JobStatus.SUCCEEDED, 2) == (job.status, job.attempt)


async def test_worker_that_lost_its_lease_lets_go(tmp_path):
    """The handler is ended, and what it would have said has no effect."""
    async with open_world(tmp_path, processing="*=scan!") as world:
        await world.anna.upload(b"some bytes")
        ended = asyncio.Event()

        async def endless(work):
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        processor = world.product.processing.processor
        received = await processor.receive(seconds=60)
        world.clock.advance(seconds=61)
        taken = await processor.receive(seconds=60)
        assert await Worker(processor, {"scan": endless}, extend_seconds=0.001).do(*received) is None

        assert ended.is_set()
        assert taken[0].lease_id == (await jobs_of(world, await world.file_of(world.anna)))["scan"].lease_id


async def test_file_that_was_purged_meanwhile_is_let_go(tmp_path):
    """While it was scanned: the worker reports to nobody, and nothing comes back."""
    async with open_world(tmp_path, processing="*=scan!") as world:
        await world.anna.upload(b"some bytes")
        received = await world.product.processing.processor.receive()
        await world.product.services.files.delete(world.anna.principal, [(await world.file_of(world.anna)).id])
        world.clock.advance(seconds=400 * 86400)
        while await world.product.maintenance.run_once():
            pass
        scanner = FakeScanner(Verdict(Finding.CLEAN))

        assert await worker(world, scanner=scanner).do(*received) is None
        assert [] == await world.files_of(world.anna)
        assert await world.product.processing.processor.receive() is None


async def test_long_job_keeps_its_lease_and_tells_its_progress(tmp_path):
    async with open_world(tmp_path, processing="*=scan!") as world:
        await world.anna.upload(b"some bytes")
        file = await world.file_of(world.anna)

        async def slow(work):
            work.progress(0.25)
            while (await jobs_of(world, file))["scan"].progress != 0.25:
                await asyncio.sleep(0)
            raise ScannerUnavailable

        job = await Worker(world.product.processing.processor, {"scan": slow}, extend_seconds=0.001).work_once()

        assert (JobStatus.QUEUED, 1) == (job.status, job.attempt)
