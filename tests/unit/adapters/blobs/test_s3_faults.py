"""The S3 store when requests fail: no acknowledged byte is lost, and nothing stays behind."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest

from adapters.blobs.bucket import S3Settings
from adapters.blobs.s3 import S3Blobs
from domain.blob import BlobKey
from domain.clock import SystemClock
from domain.errors import StoreFull, StoreUnavailable
from tests.support.blobs import KEY, MIB, Record, read, sha256, some_bytes
from tests.support.s3 import S3Server, settings_for
from tests.support.s3_proxy import Fault, FaultProxy

LONG_AGO = datetime(2100, 1, 1, tzinfo=UTC)
CONTENT = some_bytes(5 * MIB + 400_000)
CUTS = (100_000, 200_000, 5 * MIB + 300_000, len(CONTENT))  # a tail, another, a part with a tail behind it, the end


@dataclass
class Bench:
    """One bucket, reached through a proxy that fails and directly."""

    server: S3Server
    settings: S3Settings
    proxy: FaultProxy
    healthy: S3Blobs
    make: Callable[[S3Settings], S3Blobs]

    def failing(self, *, attempts_max: int, **changes: float) -> S3Blobs:
        return self.make(
            replace(self.settings, endpoint=self.proxy.endpoint, attempts_max=attempts_max, **changes)  # type: ignore[arg-type]
        )

    async def check_nothing_stayed(self, *keys: BlobKey) -> None:
        async def nobody(_: BlobKey) -> bool:
            return False

        await self.healthy.sweep(nobody, older_than_seconds=0, now=LONG_AGO)
        assert {f"blobs/{key}" for key in keys} == self.server.objects_in(self.settings.bucket)


@pytest.fixture
async def bench(s3_server: S3Server, boto_session: boto3.Session, tmp_path: Path) -> AsyncIterator[Bench]:
    settings = settings_for(s3_server)

    def make(changed: S3Settings) -> S3Blobs:
        return S3Blobs(changed, clock=SystemClock(), spool=tmp_path, session=boto_session)

    async with FaultProxy(s3_server.endpoint) as proxy, make(settings) as healthy:
        yield Bench(s3_server, settings, proxy, healthy, make)


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


SURFACING = [Fault.REFUSE, Fault.CUT, Fault.LOSE, Fault.SLOW_DOWN_EARLY, Fault.FULL, Fault.NO_ETAG]

RETRIED = [Fault.REFUSE, Fault.CUT, Fault.LOSE, Fault.SLOW_DOWN, Fault.ERROR, Fault.NO_ETAG, Fault.STALL]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "length"),
    [*((fault, len(CONTENT)) for fault in SURFACING), (Fault.CUT, None), (Fault.LOSE, None)],
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
