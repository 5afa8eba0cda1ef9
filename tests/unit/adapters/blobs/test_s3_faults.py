"""The S3 store when requests fail: no acknowledged byte is lost, and nothing stays behind."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from adapters.blobs.s3 import S3Blobs
from domain.blob import BlobKey
from domain.clock import SystemClock
from domain.errors import StoreFull, StoreUnavailable
from tests.support.blobs import KEY, MIB, KilledUpload, Record, read, sha256, some_bytes
from tests.support.s3_bench import Bench
from tests.support.s3_proxy import Fault

CONTENT = some_bytes(5 * MIB + 400_000)
CUTS = (100_000, 200_000, 5 * MIB + 300_000, len(CONTENT))  # a tail, another, a part with a tail behind it, the end


async def upload(blobs: S3Blobs, record: Record) -> None:
    """Send CONTENT in several requests, as far as it goes, and complete it."""
    through = Record(blobs, record.writer)
    try:
        for cut in CUTS:
            await through.append(CONTENT[through.size_bytes : cut])
            record.save(through.writer)
        await through.complete()
    finally:
        record.save(through.writer)


SURFACING = [Fault.CUT, Fault.LOSE, Fault.SLOW_DOWN_EARLY, Fault.FULL]

RETRIED = [Fault.REFUSE, Fault.LOSE, Fault.ERROR, Fault.NO_ETAG, Fault.STALL]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "length"),
    [*((fault, len(CONTENT)) for fault in SURFACING), (Fault.LOSE, None)],
    ids=lambda value: getattr(value, "name", None) or ("declared" if value else "unknown"),
)
async def test_no_failing_request_loses_an_acknowledged_byte(bench: Bench, fault: Fault, length: int | None) -> None:
    """Every request of an upload fails once, with no second try, and the client resumes."""
    async with bench.failing(attempts_max=1) as failing:
        for fail_at in range(1, 40):
            record = await Record.begin(bench.healthy, length=length)
            bench.proxy.fail(fault, at=fail_at)

            try:
                await upload(failing, record)
            except (StoreFull, StoreUnavailable) as error:
                assert bench.proxy.has_failed
                assert "127.0.0.1" not in str(error)  # noqa: PT017

            blob = await record.finish(CONTENT)
            assert len(CONTENT) == blob.size_bytes
            assert sha256(CONTENT) == sha256(await read(bench.healthy, KEY))
            await bench.check_nothing_stayed(KEY)
            await bench.healthy.delete(KEY)
            if not bench.proxy.has_failed:
                assert fail_at > 8, "the loop went through every request"
                return
    pytest.fail("the loop did not come to its end")


@pytest.mark.slow
@pytest.mark.parametrize("fault", RETRIED, ids=lambda fault: fault.name)
async def test_one_failing_request_is_nothing_that_a_client_sees(bench: Bench, fault: Fault) -> None:
    """It is sent again; also when S3 had done it, and only the answer was lost."""
    async with bench.failing(attempts_max=3, timeout_seconds=0.3) as failing:
        for fail_at in range(1, 3 if fault is Fault.STALL else 40):
            record = await Record.begin(bench.healthy, length=len(CONTENT))
            bench.proxy.fail(fault, at=fail_at)

            await upload(failing, record)

            assert sha256(CONTENT) == sha256(await read(bench.healthy, KEY))
            await bench.check_nothing_stayed(KEY)
            await bench.healthy.delete(KEY)
            if not bench.proxy.has_failed:
                return
    assert fault is Fault.STALL


@pytest.mark.slow
async def test_kill_9_in_mid_append_loses_no_acknowledged_byte(bench: Bench, tmp_path: Path) -> None:
    """A tail that was stored, recorded, and then sent again with more bytes is where others lose it."""
    content = some_bytes(20 * MIB)
    begun = await Record.begin(bench.healthy, length=len(content))
    killed = KilledUpload(asdict(begun.writer), store=asdict(bench.settings), folder=tmp_path)

    for append, chunks in ((100_000, 9), (7 * MIB, 160), (7 * MIB, 100)):
        killed.run(size=len(content), append=append, chunks=chunks)

    assert killed.writer.size_bytes > 0
    await Record(bench.healthy, killed.writer).finish(content)
    assert sha256(content) == sha256(await read(bench.healthy, KEY))
    await bench.check_nothing_stayed(KEY)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.LOSE], ids=lambda fault: fault.name)
async def test_copying_that_fails_promises_nothing(bench: Bench, fault: Fault) -> None:
    keys, content = [BlobKey(f"anna/part{number}/name") for number in range(3)], b""
    for key, size in zip(keys, (6 * MIB, 100_000, 5 * MIB), strict=True):
        content += (piece := some_bytes(size, seed=size))
        await (await Record.begin(bench.healthy, key)).finish(piece)
    async with bench.failing(attempts_max=1) as failing:
        for fail_at in range(1, 40):
            record = await Record.begin(bench.healthy, length=len(content))
            bench.proxy.fail(fault, at=fail_at)

            try:
                record.save(await failing.concatenate(record.writer, keys))
            except StoreUnavailable:
                record.save(await bench.healthy.concatenate(record.writer, keys))

            await record.complete()
            assert sha256(content) == sha256(await read(bench.healthy, KEY))
            await bench.healthy.delete(KEY)
            await bench.check_nothing_stayed(*keys)
            if not bench.proxy.has_failed:
                assert fail_at > 6, "the loop went through every request"
                return
    pytest.fail("the loop did not come to its end")


class Observer:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.retries = 0

    def part_sent(self, seconds: float) -> None:
        self.seconds.append(seconds)

    def retried(self) -> None:
        self.retries += 1


@pytest.mark.slow
async def test_an_observer_hears_what_the_store_makes_us_wait_for(bench: Bench, tmp_path: Path) -> None:
    """Parts are timed from when they were whole, so that a slow client does not look like a slow store."""
    observer = Observer()
    pause = 0.25
    settings = replace(bench.settings, endpoint=bench.proxy.endpoint)
    async with S3Blobs(settings, clock=SystemClock(), spool=tmp_path, observer=observer) as blobs:
        record = await Record.begin(blobs, length=6 * MIB)
        bench.proxy.fail(Fault.ERROR, at=2)

        async def slowly() -> AsyncIterator[bytes]:
            for start in range(0, 6 * MIB, MIB):
                await asyncio.sleep(pause / 5 if start else 0)
                yield bytes(MIB)

        record.save(await blobs.append(record.writer, slowly(), expected_bytes=6 * MIB))
        await record.complete()

    assert observer.retries >= 1
    assert len(observer.seconds) >= 1
    assert max(observer.seconds) < 1
