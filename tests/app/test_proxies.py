"""The product behind a proxy: addresses as the client reaches it, and who counts for the limits."""

import pytest

from tests.support.product import open_world
from tests.support.upload_client import TUS

BEHIND = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "files.example"}
CREATE = {**TUS, "Upload-Length": "10"}
QUERY = {"query": "{ serverInfo { tusUrl } files(first: 1) { nodes { downloadUrl } } }"}


@pytest.mark.parametrize(
    ("trusted", "public_url", "location"),
    [
        ("127.0.0.1", None, "https://files.example/up/files/"),
        ("127.0.0.0/8", "https://fixed.example/x", "https://fixed.example/x/files/"),
        ("", None, "/files/"),
        ("10.0.0.0/8", None, "/files/"),
    ],
)
async def test_location_is_right_behind_a_proxy(tmp_path, trusted, public_url, location):
    """A path by default; absolute where the operator, or a proxy that the operator trusts, says so."""
    async with open_world(tmp_path, trusted_proxies=trusted, public_url=public_url) as world:
        answer = await world.anna.tus.send("POST", "/files/", {**CREATE, **BEHIND, "X-Forwarded-Prefix": "/up"}, b"")

        assert location == answer.headers["location"].removesuffix(answer.tail)


async def test_parts_are_named_as_the_client_knows_them(tmp_path):
    """tus 1.0: "The partial uploads URLs MAY be absolute or relative"; behind a prefix both must be found."""
    behind = {**BEHIND, "X-Forwarded-Prefix": "/up"}
    async with open_world(tmp_path, trusted_proxies="127.0.0.1") as world:
        part = {**TUS, **behind, "Upload-Length": "0", "Upload-Concat": "partial"}
        first, second = [
            (await world.anna.tus.send("POST", "/files/", part, b"")).headers["location"] for _ in range(2)
        ]
        relative = second.removeprefix("https://files.example")
        final = {**TUS, **behind, "Upload-Concat": f"final;{first} {relative}"}

        assert 201 == (await world.anna.tus.send("POST", "/files/", final, b"")).status


async def test_download_url_is_right_behind_a_proxy(tmp_path):
    """An address in an answer must be one that the client can use."""
    async with open_world(tmp_path, trusted_proxies="127.0.0.1", graphql=True) as world:
        await world.anna.upload(b"hello")
        async with world.anna.http as http:
            direct = (await http.post("/graphql", json=QUERY)).json()["data"]
            behind = (await http.post("/graphql", json=QUERY, headers=BEHIND)).json()["data"]

    assert direct["serverInfo"]["tusUrl"] == "http://test/files/"
    assert behind["serverInfo"]["tusUrl"] == "https://files.example/files/"
    assert direct["files"]["nodes"][0]["downloadUrl"].startswith("http://test/api/v1/files/")
    assert behind["files"]["nodes"][0]["downloadUrl"].startswith("https://files.example/api/v1/files/")


async def test_creations_are_limited_to_each_user(tmp_path):
    """Row 000.21: limits are defined; ten thousand creations a minute end in 429, another user's go on."""
    async with open_world(tmp_path, creation_rate="3/m") as world:
        answers = [await world.anna.tus.send("POST", "/files/", CREATE, b"") for _ in range(4)]
        before = len(await world.uploads_of(world.anna))
        refused = answers[-1]
        others = await world.bert.tus.send("POST", "/files/", CREATE, b"")
        world.clock.advance(seconds=20)
        later = await world.anna.tus.send("POST", "/files/", CREATE, b"")

    assert [201, 201, 201, 429] == [answer.status for answer in answers]
    assert ("20", "rate_limited") == (refused.headers["retry-after"], refused.problem["code"])
    assert refused.problem["retry_after_seconds"] == 20
    assert refused.headers["tus-resumable"] == "1.0.0"
    assert "Retry-After" in refused.headers["access-control-expose-headers"]
    assert before == 3
    assert (201, 201) == (others.status, later.status)


async def test_limit_of_creations_holds_in_graphql_too(tmp_path):
    """One door must not be a way around another."""
    mutation = {"query": 'mutation { createUpload(input: {name: "a", size: 1}) { upload { id } userErrors { code } } }'}
    async with open_world(tmp_path, creation_rate="1/m", graphql=True) as world, world.anna.http as http:
        answers = [await http.post("/graphql", json=mutation) for _ in range(2)]

    assert "RATE_LIMITED" in answers[1].text
    assert "RATE_LIMITED" not in answers[0].text
