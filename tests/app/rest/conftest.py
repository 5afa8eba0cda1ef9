"""What tests of the REST face share."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.product import Caller


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def post_file(
    caller: Caller, content: bytes = b"a,b\n1,2\n", *, name: str = "a.csv", path: str = "/api/v1/files", **fields: str
) -> Any:
    """Upload a form as curl does: the file first, then the fields."""
    async with caller.http as http:
        return await http.post(path, files=form(content, name, fields))


def form(content: bytes, name: str, fields: Mapping[str, str]) -> list[tuple[str, Any]]:
    return [("file", (name, content)), *((key, (None, value)) for key, value in fields.items())]
