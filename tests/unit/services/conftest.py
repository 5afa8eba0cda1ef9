"""Services over real adapters on a directory of their own: they are quick, and no fake is as strict."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.support.product import World, open_world


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    async with open_world(tmp_path) as opened:
        yield opened
