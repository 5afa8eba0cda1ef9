import pytest

from tests.support.s3 import boto_session, s3_server
from tests.support.s3_bench import bench

__all__ = ["bench", "boto_session", "s3_server"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
