"""The product that tests of the app ask."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.product import Caller, World, open_world


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    async with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
def anna(world: World) -> Caller:
    return world.anna


@pytest.fixture
def bert(world: World) -> Caller:
    return world.bert
