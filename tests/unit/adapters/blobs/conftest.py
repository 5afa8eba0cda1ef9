import pytest

from tests.support.s3 import boto_session, s3_server

__all__ = ["boto_session", "s3_server"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
