"""The stores that the contract of blobs is held against."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.blobs.local import LocalBlobs
from adapters.blobs.s3 import S3Blobs
from domain.clock import SystemClock
from tests.support.s3 import boto_session, s3_server, settings_for

__all__ = ["boto_session", "s3_server"]


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as the product runs; the adapters' own tests are on asyncio's loop


@pytest.fixture(params=["local", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LocalBlobs | S3Blobs]:
    if request.param == "local":
        yield LocalBlobs(tmp_path / "blobs", free_bytes_min=0)
        return
    settings = settings_for(request.getfixturevalue("s3_server"))
    session = request.getfixturevalue("boto_session")
    async with S3Blobs(settings, clock=SystemClock(), spool=tmp_path, session=session) as store:
        yield store
