"""The GraphQL endpoint over services in memory."""

from collections.abc import AsyncGenerator

import pytest

from tests.support.graphql_client import Client, build_app, serve
from tests.support.graphql_fakes import Fakes


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def services() -> Fakes:
    return Fakes()


@pytest.fixture
def client(services: Fakes) -> Client:
    return Client(build_app(services))


@pytest.fixture
async def address(services: Fakes) -> AsyncGenerator[str, None]:
    async with serve(build_app(services)) as address:
        yield address
