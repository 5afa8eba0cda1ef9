"""The GraphQL endpoint over services in memory."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.support.graphql_client import Client, build_app, serve
from tests.support.graphql_fakes import Fakes
from tests.support.graphql_people import Everyone, open_everyone


class Server:
    """A real server that stays while the application behind it changes from test to test: it stops slowly."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.address = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def server() -> AsyncGenerator[Server, None]:
    server = Server()
    async with serve(server) as server.address:
        yield server


@pytest.fixture
def services() -> Fakes:
    return Fakes()


@pytest.fixture
def client(services: Fakes) -> Client:
    return Client(build_app(services))


@pytest.fixture
def serve_with(server: Server, services: Fakes) -> Callable[..., str]:
    """Put the endpoint, configured for one test, behind the server; gives the server's address."""

    def put(**config: Any) -> str:
        server.app = build_app(services, **config)
        return server.address

    return put


@pytest.fixture
async def address(serve_with: Callable[..., str]) -> str:
    return serve_with()


@pytest.fixture(scope="session")
async def everyone(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Everyone, None]:
    """The product on a real socket, a tenant with all roles in it, a stranger; for all tests: it starts a process."""
    async with open_everyone(tmp_path_factory.mktemp("everyone")) as opened:
        yield opened
