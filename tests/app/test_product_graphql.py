"""GraphQL over the real services: that what one face begins the others carry on."""

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from services.files import FileQuery
from tests.support.product import ADDRESS, PASSWORD, World, http_client, open_world, tus_client
from tests.support.upload_client import BYTES, TUS

LOG_IN = """mutation ($input: LogInInput!) {
  logIn(input: $input) { session { accessToken refreshToken } userErrors { message } } }"""
CREATE = """mutation ($input: CreateUploadInput!) { createUpload(input: $input) {
  upload { id url status offset headers { name value } file { id size } } userErrors { message code } } }"""
FILES = "{ files(first: 5) { nodes { id name size sha256 downloadUrl } } }"
VIEWER = "{ viewer { email } }"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    async with open_world(tmp_path, graphql=True) as opened:
        yield opened


async def ask(world: World, query: str, token: str | None = None, **variables: Any) -> Any:
    async with http_client(world.app, token) as http:
        content = json.dumps({"query": query, "variables": variables})  # escaped, so that any text can be sent
        answer = await http.post("/graphql", content=content, headers={"Content-Type": "application/json"})
    return answer.json()


async def test_upload_begun_over_graphql_is_carried_out_over_tus(world):
    """Log in, begin, send with the headers that came, find the file, fetch it by its address: issue 3's path."""
    answer = await ask(world, LOG_IN, input={"email": "anna@example.org", "password": PASSWORD})
    token = answer["data"]["logIn"]["session"]["accessToken"]
    begun = await ask(world, CREATE, token, input={"name": "größe.csv", "size": 5})
    upload = begun["data"]["createUpload"]["upload"]
    headers = {header["name"]: header["value"] for header in upload["headers"]}
    path = upload["url"].removeprefix(ADDRESS)
    sent = await tus_client(world.app).send("PATCH", path, TUS | BYTES | headers | {"Upload-Offset": "0"}, b"hello")
    (file,) = (await ask(world, FILES, token))["data"]["files"]["nodes"]
    async with http_client(world.app) as http:
        content = await http.get(file["downloadUrl"])

    assert 204 == sent.status
    assert ("größe.csv", 5) == (file["name"], int(file["size"]))
    assert b"hello" == content.content


async def test_upload_of_no_bytes_is_done_when_it_is_begun(world, anna):
    """A client has nothing to send, so nothing else would ever finish it."""
    begun = await ask(world, CREATE, anna.session.access_token, input={"name": "empty", "size": 0})
    upload = begun["data"]["createUpload"]["upload"]

    assert ("COMPLETED", 0) == (upload["status"], int(upload["file"]["size"]))


async def test_token_of_one_upload_opens_nothing_here(world, anna):
    """Not even who its user is."""
    begun = await ask(world, CREATE, anna.session.access_token, input={"name": "a", "size": 5})
    headers = begun["data"]["createUpload"]["upload"]["headers"]
    token = next(one["value"] for one in headers if one["name"] == "Authorization").removeprefix("Bearer ")
    for query in (VIEWER, FILES):
        answer = await ask(world, query, token)
        assert "anna" not in str(answer)
        assert answer["errors"]


async def test_tenants_see_nothing_of_each_other(world, anna, bert):
    """By list, by id, by upload."""
    await anna.upload(b"secret")
    begun = await ask(world, CREATE, anna.session.access_token, input={"name": "a", "size": 5})
    (file,) = (await ask(world, FILES, anna.session.access_token))["data"]["files"]["nodes"]
    upload_id = begun["data"]["createUpload"]["upload"]["id"]
    token = bert.session.access_token
    listed = await ask(world, FILES, token)
    by_id = await ask(world, "query ($id: ID!) { file(id: $id) { name } }", token, id=file["id"])
    by_upload = await ask(world, "query ($id: ID!) { upload(id: $id) { offset } }", token, id=upload_id)

    assert [] == listed["data"]["files"]["nodes"]
    for answer in (by_id, by_upload):
        assert not any((answer.get("data") or {}).values())
    assert [] == (await world.product.services.files.list_files(bert.principal, FileQuery())).page.items


async def test_jobs_of_files_are_seen_and_tried_again(world, anna, bert):
    """A map waits; its job fails, which its list says; then it is queued again. All jobs of a list are one look."""
    jobs = "{ files(first: 5) { nodes { id status jobs { id kind status attempt error result queuedAt } } } }"
    retry = """mutation ($input: RetryProcessingInput!) {
      retryProcessing(input: $input) { jobs { kind status } userErrors { code path } } }"""
    await anna.upload(b"dragons", collection="maps")
    await anna.upload(b"no dragons")
    processor = world.product.processing.processor
    job, file = await processor.receive()
    await processor.reject(job, job.lease_id, "no tiles", may_retry=False)
    plain, failed = (await ask(world, jobs, anna.session.access_token))["data"]["files"]["nodes"]
    node = await ask(world, "query ($id: ID!) { node(id: $id) { id } }", anna.session.access_token, id=job.id)
    foreign = await ask(world, "query ($id: ID!) { node(id: $id) { id } }", bert.session.access_token, id=job.id)
    strange = await ask(world, retry, bert.session.access_token, input={"fileId": file.id})
    queued = await ask(world, retry, anna.session.access_token, input={"fileId": file.id, "kind": "process"})

    if plain["id"] == file.id:
        plain, failed = failed, plain
    assert [] == plain["jobs"]
    (one,) = failed["jobs"]
    assert ("FAILED", "process", "FAILED", 1, "no tiles", None) == (
        failed["status"],
        *(one[name] for name in ("kind", "status", "attempt", "error", "result")),
    )
    assert (job.id, None) == (node["data"]["node"]["id"], foreign["data"]["node"])
    assert [{"code": "NOT_FOUND", "path": ["fileId"]}] == strange["data"]["retryProcessing"]["userErrors"]
    assert [{"kind": "process", "status": "QUEUED"}] == queued["data"]["retryProcessing"]["jobs"]


async def test_wrong_log_in_is_a_user_error(world):
    """And no stack trace; half a surrogate pair is only a wrong password."""
    for password in ("wrong password", "\ud800"):
        answer = await ask(world, LOG_IN, input={"email": "anna@example.org", "password": password})
        assert "Traceback" not in str(answer)
        assert "accessToken" not in str(answer)
