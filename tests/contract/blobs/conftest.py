"""The stores that the contract of blobs is held against."""

import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import boto3
import pytest

from adapters.blobs.bucket import S3Settings
from adapters.blobs.local import LocalBlobs
from adapters.blobs.s3 import S3Blobs
from domain.blob import BlobStore
from domain.clock import SystemClock
from tests.support.blobs import MIB
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server, serve


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with serve(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def boto_session() -> boto3.Session:
    """It keeps what it read of boto's service models: the second client costs a tenth of the first."""
    return boto3.Session()


@pytest.fixture(params=["local", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BlobStore]:
    if request.param == "local":
        yield LocalBlobs(tmp_path / "blobs", free_bytes_min=0)
        return
    server: S3Server = request.getfixturevalue("s3_server")
    settings = S3Settings(
        bucket=server.make_bucket(uuid.uuid4().hex),
        endpoint=server.endpoint,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        prefix="blobs/",
        part_size_bytes=5 * MIB,
        back_off_seconds=0.001,
    )
    session = request.getfixturevalue("boto_session")
    async with S3Blobs(settings, clock=SystemClock(), spool=tmp_path, session=session) as store:
        yield store
