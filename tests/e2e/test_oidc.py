"""A token of somebody else's OpenID provider, from its token endpoint to our files."""

import httpx2
import pytest

from domain.clock import SystemClock
from tests.support import oidc_server
from tests.support.product import http_client, open_world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not oidc_server.is_there(), reason=oidc_server.MISSING),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def token(issuer: str, *, audience: str) -> str:
    form = {"grant_type": "client_credentials", "resource": audience}
    async with httpx2.AsyncClient() as http:
        answer = await http.post(f"{issuer}/token", data=form, auth=("robot", "a%20secret%20of%20the%20tests"))
    return str(answer.json()["access_token"])


async def test_token_of_a_real_provider_is_taken(tmp_path):
    """Found by discovery, checked by its published key; one that it made for somebody else is not."""
    with oidc_server.running() as issuer:
        settings = {"oidc_issuer": issuer, "oidc_audience": "urn:lighterage"}
        async with open_world(tmp_path, clock=SystemClock(), **settings) as world:
            statuses = []
            for audience in ("urn:lighterage", "urn:another"):
                async with http_client(world.app, await token(issuer, audience=audience)) as http:
                    answer = await http.get(f"/api/v1/files/file_{'0' * 26}/content")
                    statuses.append(answer.status_code)

    assert [404, 401] == statuses
