"""The databases and stores that a real server may stand on, as settings, and what a test gets of each."""

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import mongo_server
from tests.support.product_server import new_token
from tests.support.s3 import ACCESS_KEY, SECRET_KEY, S3Server, s3_server

__all__ = ["s3_server"]


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    with mongo_server.running() as url:
        yield url


@pytest.fixture(params=["sqlite", "mongo"])
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    url = request.getfixturevalue("mongo_url")
    return {"LIGHTERAGE_MONGO_URL": url, "LIGHTERAGE_MONGO_DATABASE": mongo_server.fresh_name()}


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    if request.param == "directory":
        yield {}
        return
    server: S3Server = request.getfixturevalue("s3_server")
    bucket = server.make_bucket(f"bucket-{secrets.token_hex(6)}")
    yield {
        "LIGHTERAGE_S3_ENDPOINT": server.endpoint,
        "AWS_STORAGE_BUCKET_NAME": bucket,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "LIGHTERAGE_S3_PART_MIB": "5",
    }
    shutil.rmtree(server.root / bucket, ignore_errors=True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A server's data directory, not made yet."""
    return tmp_path / "data"


@pytest.fixture
def token(data_dir: Path) -> str:
    """A token of the administrator, good for as long as a test; the directory is made for it."""
    return asyncio.run(new_token(data_dir))
