"""The whole product behind a real server, with a worker that runs SQL; one for all tests, for it starts slowly."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from domain.file import File
from lighterage.exchange import Exchange
from tests.support.graphql_client import serve
from tests.support.product import Caller, FakeClock, World, open_world

PEOPLE = b"name,age,city\nAnna,31,Oslo\nBo,5,Bergen\nCleo,62,Oslo\n"


@dataclass
class Server:
    """Who uses it, where it is, and a file of Anna's."""

    world: World
    url: str
    people: File

    def http(self, caller: Caller | None = None) -> httpx2.AsyncClient:
        token = (caller or self.world.anna).session.access_token
        return httpx2.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {token}"})

    async def upload(self, content: bytes, name: str, caller: Caller | None = None) -> File:
        """Give the new file."""
        who = caller or self.world.anna
        await who.upload(content, name=name)
        return (await self.world.files_of(who))[-1]

    async def ask(self, sql: str, file: File | None = None, **body: Any) -> httpx2.Response:
        """Ask as Anna, of the people if not said."""
        async with self.http() as http:
            return await http.post(path_of(file or self.people), json={"sql": sql, **body})


def path_of(file: File) -> str:
    return f"/api/v1/files/{file.id}/query"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Server, None]:
    # boto3 signs with the time that it is.
    clock = FakeClock(datetime.now(UTC))
    settings = {"graphql": True, "query_workers": 1, "query_threads": 1}
    async with open_world(tmp_path_factory.mktemp("sql"), clock=clock, **settings) as world:
        await world.anna.upload(PEOPLE, name="people.csv")
        async with serve(Exchange(world.app)) as address:  # type: ignore[arg-type]
            yield Server(world, f"http://{address}", await world.file_of(world.anna))
