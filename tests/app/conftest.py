"""The product that tests of the app ask."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.product import Caller, World, open_world


@pytest.fixture(autouse=True)
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where built pages would be: whether somebody built them here must not decide how a test ends."""
    monkeypatch.setattr("lighterage.assembly.WEB_DIST", tmp_path / "pages")
    return tmp_path / "pages"


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
