"""Services over stores that fail."""

from collections.abc import AsyncGenerator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.product import World, open_world
from tests.support.product_faults import Rig, open_rig


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Rig, None]:
    # What a loss of power does is no matter here, and in memory the loops take half as long.
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as top:
        async with open_rig(Path(top)) as opened:
            yield opened


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    async with open_world(tmp_path) as opened:
        yield opened
