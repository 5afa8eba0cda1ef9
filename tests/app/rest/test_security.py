"""What holds for every answer of the REST face, and who else hears of a file."""

import asyncio
import json
from dataclasses import replace

import pytest

from domain.tenant import MEMBERSHIPS, Membership, TenantRole, membership_id
from tests.app.rest.conftest import post_file
from tests.app.rest.test_files import read_events
from tests.support.product import Caller, http_client


async def ask(caller, method, path, **options):
    async with caller.http as http:
        return await http.request(method, path, **options)


async def test_every_answer_is_for_the_asker_alone_R000_35(world, anna):
    """No cookie, nothing kept by caches, nothing that a browser guesses, and no other origin let in."""
    made = await post_file(anna)
    for path in (
        "/api/v1/files",
        "/api/files",
        "/api/v1/limits",
        "/users",
        made.headers["location"],
        made.json()["content"],
    ):
        answer = await ask(anna, "GET", path, headers={"Origin": "https://elsewhere.example"})

        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert "no-store" in answer.headers["cache-control"] or "private" in answer.headers["cache-control"], path
        assert "set-cookie" not in answer.headers, path
        assert "access-control-allow-origin" not in answer.headers, path


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer nonsense", "Basic YTpi", "Token x"])
async def test_token_goes_in_the_authorization_header_R001_8_R003_6(world, anna, header):
    """And nowhere else: not in the query string, not in another scheme."""
    async with http_client(world.app) as http:
        fields = {} if header is None else {"Authorization": header}
        refused = await http.get("/api/files", headers=fields)
        in_query = await http.get("/api/files", params={"access_token": anna.session.access_token})
    given = await ask(anna, "GET", "/api/files")

    assert [401, 401, 200] == [refused.status_code, in_query.status_code, given.status_code]
    assert refused.headers["www-authenticate"].startswith("Bearer")


async def test_every_fault_is_a_problem_document_R000_33(world, anna):
    """With what is wrong, a code, what to do next, and the name of the request in the log."""
    calls = [
        ("GET", "/api/v1/files/nothing", {}),
        ("GET", "/api/v1/nothing", {}),
        ("PUT", "/api/v1/files", {}),
        ("POST", "/api/v1/login", {"content": b"{"}),
        ("POST", "/api/v1/files", {"content": b"x", "headers": {"content-type": "multipart/form-data"}}),
        ("GET", "/api/v1/files?page=0", {}),
        ("POST", "/api/v1/files/nothing/query", {"json": {"sql": "SELECT"}}),
        ("POST", "/user", {"content": b"x"}),
    ]
    for method, path, options in calls:
        answer = await ask(anna, method, path, **options)
        problem = answer.json()

        assert 400 <= answer.status_code < 500, path
        assert answer.headers["content-type"] == "application/problem+json", path
        assert {"type", "title", "status", "detail", "code", "hint", "request_id"} <= problem.keys(), path
        assert problem["status"] == answer.status_code
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert problem["hint"], path


async def test_other_members_hear_of_a_file_R002_52(world, anna, bert):
    """Who is in the same tenant, and only of files that are for them."""
    member = Membership(
        membership_id(bert.principal.user_id, anna.tenant_id),
        bert.principal.user_id,
        anna.tenant_id,
        TenantRole.MEMBER,
        world.clock.now(),
    )
    await world.product.records.collection(MEMBERSHIPS).add(member)
    accounts = world.product.services.accounts
    session = await accounts.refresh(bert.session.refresh_token, client="test", tenant_id=anna.tenant_id)
    colleague = replace(bert, session=session)
    assert isinstance(colleague, Caller)
    watching = asyncio.ensure_future(read_events(world, colleague, 1))
    await asyncio.sleep(0.1)
    await post_file(anna, name="private")
    await post_file(anna, name="for all", visibility="tenant")
    (event,) = await watching

    assert json.loads(event["data"])["file"]["name"] == "for all"
