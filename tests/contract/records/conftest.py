"""Runs every test here on each database that the records port is made of."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from domain.records import Kind, Records
from tests.support import mongo_server
from tests.support.records import KINDS, PARCELS, TALLIES
from tests.support.records_open import Database, open_records

ADAPTERS = ("sqlite", "mongo")

OpenRecords = Callable[..., AbstractAsyncContextManager[Records]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def mongo_url() -> Iterator[str]:
    with mongo_server.running() as url:
        yield url


@pytest.fixture(params=ADAPTERS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """An empty database, as plain values that another process can be given."""
    if request.param == "sqlite":
        return Database("sqlite", str(tmp_path / "records.db"))
    url = request.getfixturevalue("mongo_url")
    return Database("mongo", url, mongo_server.fresh_name())


@pytest.fixture
def open_database(database: Database) -> OpenRecords:
    def open_it(*kinds: Kind[Any]) -> AbstractAsyncContextManager[Records]:
        return open_records(database, kinds or KINDS)

    return open_it


@pytest.fixture
async def records(open_database: OpenRecords) -> AsyncIterator[Records]:
    async with open_database() as records:
        yield records


@pytest.fixture
def parcels(records: Records) -> Any:
    return records.collection(PARCELS)


@pytest.fixture
def tallies(records: Records) -> Any:
    return records.collection(TALLIES)
