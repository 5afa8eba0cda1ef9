"""The description of the interface, and the pages around it."""

import re

import pytest

from rest.problems import STATUS_BY_CODE
from rest.queries import _QUERY, _QUERY_SCHEMA, _READING, _WRITING
from tests.support import openapi
from tests.support.product import http_client


@pytest.fixture(scope="module")
def document():
    return openapi.document()


def operations_of(document):
    return [(method, path, one) for path, methods in document["paths"].items() for method, one in methods.items()]


async def test_document_is_served_R000_38_R001_26(world, document):
    """The same as is kept in docs/reference."""
    async with http_client(world.app) as http:
        answer = await http.get("/openapi.json")

    assert (answer.status_code, answer.json()) == (200, document)
    assert document["openapi"].startswith("3.1")


def test_every_operation_is_told_whole(document):
    """A summary, an id, its errors, and an example of each body and answer that is JSON."""
    ids = [one["operationId"] for _, _, one in operations_of(document)]
    lacking = []
    for method, path, one in operations_of(document):
        for status, response in one["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if media_type.endswith("json") and not content.get("examples") and path != "/openapi.json":
                    lacking.append((method, path, status))
        for media_type, content in one.get("requestBody", {}).get("content", {}).items():
            if media_type == "application/json" and not content.get("examples"):
                lacking.append((method, path, "body"))

    assert len(set(ids)) == len(ids)
    assert lacking == []
    assert all(
        one["summary"] and any(status[0] == "2" for status in one["responses"]) for *_, one in operations_of(document)
    )


def test_every_code_is_an_error_of_ours(document):
    """The examples name codes that there are."""
    named = set(document["components"]["examples"])

    assert named - set(STATUS_BY_CODE) == {
        "bad_request",
        "head_too_long",
        "internal",
        "request_idle",
        "target_too_long",
    }


def test_query_is_described_as_it_is_read():
    """The schema by hand has the fields that are taken, and no others."""
    properties = _QUERY_SCHEMA["properties"]

    assert set(_QUERY) == set(properties)
    assert set(_READING) == set(properties["input"]["properties"])
    assert set(_WRITING) == set(properties["output"]["properties"])


async def test_wrong_method_is_told_the_right_ones_R001_27(world, anna):
    """405 with Allow, 404 for no address, both as problem documents."""
    async with anna.http as http:
        wrong = await http.request("PUT", "/api/v1/files")
        unknown = await http.get("/api/v1/nothing")
        slash = await http.get("/api/v1/files/")

    assert (wrong.status_code, set(re.split(r",\s*", wrong.headers["allow"]))) == (405, {"GET", "HEAD", "POST"})
    assert [404, 404] == [unknown.status_code, slash.status_code]
    assert {"application/problem+json"} == {one.headers["content-type"] for one in (wrong, unknown, slash)}


async def test_swagger_leads_where_it_should_R004_6(world):
    """/docs leads to it; where it was not built it says how to."""
    async with http_client(world.app) as http:
        docs, page = await http.get("/docs"), await http.get("/swagger")

    assert (docs.status_code, docs.headers["location"]) == (302, "/swagger")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.status_code in (200, 503)
