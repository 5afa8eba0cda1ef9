"""The stores that the contract of blobs is held against."""

from pathlib import Path

import pytest

from adapters.blobs.local import LocalBlobs
from domain.blob import BlobStore


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["local"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    return LocalBlobs(tmp_path / "blobs", free_bytes_min=0)
