"""POST and server-sent events: statuses, media types and headers, and what comes of bad requests."""

import asyncio
import gzip
import json

import pytest

from domain.tenant import TenantRole
from resolvers.execution import Engine
from resolvers.sockets import SocketRules
from tests.support.graphql_client import Client, Stream, build_app, events_of
from tests.support.graphql_fakes import Fakes, file, role

RESPONSE_JSON = "application/graphql-response+json"
UPLOAD = 'mutation { createUpload(input: {name: "a", size: 100}) { upload { id } } }'


async def test_the_answer_is_json_that_nobody_keeps(client: Client) -> None:
    """What one caller may see must not be served to the next."""
    response = await client.send(json={"query": "{ __typename }"})

    assert (response.status_code, response.json()) == (200, {"data": {"__typename": "Query"}})
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        (RESPONSE_JSON, RESPONSE_JSON),
        (f"{RESPONSE_JSON}, application/json;q=0.9", RESPONSE_JSON),
        (f"application/json;q=0.5, {RESPONSE_JSON}", RESPONSE_JSON),
        ("application/*", "application/json"),
        ("text/html, */*;q=0.1", "application/json"),
    ],
)
async def test_the_client_chooses_the_media_type(client: Client, accept: str, media: str) -> None:
    """The newer type where it is asked for, JSON where it does not matter."""
    response = await client.send(json={"query": "{ __typename }"}, headers={"Accept": accept})

    assert (response.status_code, response.headers["content-type"]) == (200, f"{media}; charset=utf-8")


async def test_a_media_type_that_is_not_given_is_406(client: Client) -> None:
    """Rather than an answer that the client cannot read."""
    response = await client.send(json={"query": "{ __typename }"}, headers={"Accept": "text/html"})

    assert response.status_code == 406


@pytest.mark.parametrize(
    ("request_json", "code"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nonsense }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query ($id: ID!) { node(id: $id) { id } }"}, "BAD_REQUEST"),
        ({"query": "query A { __typename } query B { __typename }"}, "BAD_REQUEST"),
        ({"query": "query A { __typename }", "operationName": "B"}, "BAD_REQUEST"),
        ({"query": "fragment A on Query { __typename }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "subscription { fileEvents { cursor } }"}, "BAD_REQUEST"),
        ({"query": "{ __schema { types { name } } }"}, "UNAUTHENTICATED"),
    ],
)
async def test_what_cannot_be_executed_has_no_data(client: Client, request_json: object, code: str) -> None:
    """400 where the client knows the newer media type, 200 where it does not; the code says which it was."""
    new = await client.send(json=request_json, headers={"Accept": RESPONSE_JSON})
    old = await client.send(json=request_json, headers={"Accept": "application/json"})

    assert new.status_code == 400
    assert old.status_code == (400 if "subscription" in str(request_json) else 200)
    for answer in (new.json(), old.json()):
        assert "data" not in answer
        assert answer["errors"][0]["extensions"]["code"] == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"1",
        b'"text"',
        b'[{"query": "{ __typename }"}]',
        b"{}",
        b'{"query": null}',
        b'{"query": 1}',
        b'{"query": ""}',
        b'{"query": "{ __typename }", "variables": []}',
        b'{"query": "{ __typename }", "variables": "{}"}',
        b'{"query": "{ __typename }", "operationName": 1}',
        b'{"query": "{ __typename }", "extensions": 1}',
        b'{"query": "\xff"}',
        b"[" * 100_000,
        b'{"query": "{ __typename }", "variables": ' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}",
        b'{"query": "\\ud800"}',
    ],
    ids=lambda body: body[:24].decode(errors="replace"),
)
async def test_a_malformed_request_is_400(client: Client, body: bytes) -> None:
    """Never 500, whatever comes."""
    response = await client.send(content=body, headers={"Content-Type": "application/json"})

    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


@pytest.mark.parametrize("number", ["9" * 30, "9" * 5000, "1e999", "-" + "9" * 400])
async def test_huge_numbers_do_no_harm(client: Client, number: str) -> None:
    """In variables and as literals: an error of the request, not of ours."""
    query = "query ($first: Int) { files(first: $first) { nodes { id } } }"
    variables = f'{{"query": "{query}", "variables": {{"first": {number}}}}}'
    literal = json.dumps({"query": f"{{ files(first: {number}) {{ nodes {{ id }} }} }}"})
    size = json.dumps({"query": f"{{ files(filter: {{size: {{gte: {number}}}}}) {{ nodes {{ id }} }} }}"})

    for body in (variables, literal, size):
        response = await client.send(content=body, headers={"Content-Type": "application/json"}, who="anna")
        assert response.status_code in (200, 400)
        [error] = response.json()["errors"]
        assert error["extensions"]["code"] in {"BAD_REQUEST", "GRAPHQL_VALIDATION_FAILED", "QUERY_TOO_COMPLEX"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/json+x"},
        {"Content-Type": "application/jsonp"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
    ids=str,
)
async def test_only_plain_json_is_taken(client: Client, headers: dict[str, str]) -> None:
    """What a form of another page could send is not read at all."""
    body = (
        gzip.compress(b'{"query": "{ __typename }"}')
        if "Content-Encoding" in headers
        else b'{"query": "{ __typename }"}'
    )

    response = await client.send(content=body, headers=headers)

    assert response.status_code == 415


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"']
)
async def test_json_may_name_its_encoding(client: Client, content_type: str) -> None:
    """UTF-8 is the only one there is."""
    response = await client.send(content=b'{"query": "{ __typename }"}', headers={"Content-Type": content_type})

    assert response.status_code == 200


async def test_a_body_has_a_limit(services: Fakes) -> None:
    """It is not read to its end."""
    client = Client(build_app(services, body_bytes_max=1000))

    response = await client.send(json={"query": "{ __typename }", "variables": {"a": "x" * 1000}})

    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_other_methods_are_told_what_is_allowed(client: Client, method: str) -> None:
    """A plain GET too: there is no query by GET but an event stream."""
    response = await client.send(method, params={"query": "{ __typename }"})

    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
@pytest.mark.parametrize("token", ["forged", "expired"])
async def test_a_bad_token_is_401(client: Client, token: str, accept: str) -> None:
    """Before the body is looked at; a client that has a refresh token knows what to do."""
    response = await client.send(who=token, json={"query": "{ __typename }"}, headers={"Accept": accept})

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    [error] = response.json()["errors"]
    assert (error["extensions"]["code"], error["extensions"]["reason"]) == (
        "UNAUTHENTICATED",
        "token_expired" if token == "expired" else "token_invalid",
    )


async def test_an_outage_is_not_the_tokens_fault(client: Client, services: Fakes) -> None:
    """401 would make a client throw a good token away."""
    services.accounts.outages = 1

    response = await client.send(who="ben", json={"query": "{ __typename }"})

    assert (response.status_code, response.headers["retry-after"]) == (503, "2")
    assert response.json()["errors"][0]["extensions"]["reason"] == "store_unavailable"


async def test_a_persisted_query_is_not_found(client: Client) -> None:
    """The code that Apollo's clients wait for, to send the text instead."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}

    response = await client.send(json={"extensions": extensions})

    assert response.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"


# ---- server-sent events


async def stream(
    client: Client, query: str, *, who: str | None = "ben", method: str = "POST", **variables: object
) -> str:
    request: dict[str, object] = {"query": query, "variables": variables}
    if method == "GET":
        response = await client.send(
            "GET",
            who=who,
            params={"query": query, "variables": json.dumps(variables)},
            headers={"Accept": "text/event-stream"},
        )
    else:
        response = await client.send(who=who, json=request, headers={"Accept": "text/event-stream"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    return str(response.text)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_stream_of_progress_ends_with_the_upload(client: Client, method: str) -> None:
    """Distinct connections: each frame is a `next`, the end is a `complete`."""
    made = await client.data(UPLOAD, who="ben")
    query = "subscription ($id: ID!) { uploadProgress(uploadId: $id) { offset size status bytesPerSecond at } }"

    text = await stream(client, query, method=method, id=made["createUpload"]["upload"]["id"])

    *frames, end = events_of(text)
    progress = [content["data"]["uploadProgress"] for kind, content in frames if kind == "next"]
    assert [(frame["offset"], frame["status"]) for frame in progress] == [
        (0, "IN_PROGRESS"),
        (50, "IN_PROGRESS"),
        (100, "COMPLETED"),
    ]
    assert end == ("complete", None)


async def test_a_query_may_come_as_a_stream(client: Client) -> None:
    """One `next`, then the end."""
    text = await stream(client, "{ viewer { username } }")

    assert events_of(text) == [("next", {"data": {"viewer": {"username": "ben"}}}), ("complete", None)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nonsense }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { nonsense }", "GRAPHQL_VALIDATION_FAILED"),
        ('subscription { uploadProgress(uploadId: "x") { offset } }', "NOT_FOUND"),
        ('subscription { fileEvents(after: "too old") { cursor } }', "BAD_REQUEST"),
        ("subscription ($id: ID!) { uploadProgress(uploadId: $id) { offset } }", "BAD_REQUEST"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_refused_stream_says_why(client: Client, query: str, code: str, method: str) -> None:
    """As an event: an EventSource cannot read the body of an error."""
    text = await stream(client, query, method=method)

    (kind, content), end = events_of(text)
    assert (kind, end) == ("next", ("complete", None))
    assert content["errors"][0]["extensions"]["code"] == code


async def test_a_get_changes_nothing(client: Client, services: Fakes) -> None:
    """Any page can make a browser send one."""
    text = await stream(client, UPLOAD, method="GET")

    assert events_of(text)[0][1]["errors"][0]["extensions"]["code"] == "BAD_REQUEST"
    assert services.uploads.begun == []


async def test_rows_come_in_frames(client: Client, services: Fakes) -> None:
    """Rows, progress, the end; a fault in between is told after what came before it."""
    one = file()
    services.files.add(one)
    query = (
        "subscription ($input: SelectInput!) { selectRows(input: $input) { __typename ... on SqlRows { rows "
        "} ... on SqlEnd { stats { rowsReturned } } } }"
    )

    good = events_of(await stream(client, query, input={"fileId": one.id, "sql": "SELECT *"}))
    bad = events_of(await stream(client, query, input={"fileId": one.id, "sql": "SELECT WRONG"}))

    names = [content["data"]["selectRows"]["__typename"] for kind, content in good if kind == "next"]
    assert names == ["SqlRows", "SqlProgress", "SqlRows", "SqlEnd"]
    assert len(bad) == 4
    assert bad[2][1]["errors"][0]["extensions"]["sqlCode"] == "InvalidColumn"


async def test_a_quiet_stream_shows_that_it_lives(services: Fakes) -> None:
    """A comment now and then, so that no proxy takes it for dead; and it ends when the server does."""
    stopping = asyncio.Event()
    app = build_app(services, stopping=stopping, keep_alive_seconds=0.001)
    async with Stream(app, "subscription { fileEvents { cursor } }") as events:
        assert [await events.next() for _ in range(3)] == [":", ":", ":"]
        stopping.set()

        assert await events.rest() == ""
    assert services.files.listening == 0


async def test_a_stream_ends_with_its_token(services: Fakes) -> None:
    """A log-out, an expiry or a switched-off user ends what is being watched, and says so."""
    app = build_app(services, sockets=SocketRules(recheck_seconds=0.001))
    async with Stream(app, "subscription { fileEvents { cursor } }") as events:
        services.accounts.ended.add("ben")

        [_, (kind, content), end] = [(None, None), *events_of(await events.rest())]
    assert (kind, content["errors"][0]["extensions"]["reason"], end) == ("next", "token_invalid", ("complete", None))


async def test_other_rights_need_a_new_stream(services: Fakes) -> None:
    """It just ends, and the client comes back."""
    app = build_app(services, sockets=SocketRules(recheck_seconds=0.001))
    with role("ben", TenantRole.OWNER):
        async with Stream(app, "subscription { fileEvents { cursor } }") as events:
            with role("ben", TenantRole.VIEWER):
                assert await events.rest() == ""


async def test_a_client_that_goes_away_ends_its_stream(services: Fakes) -> None:
    """The source is closed, not left listening."""
    async with Stream(build_app(services), "subscription { fileEvents { cursor } }") as events:
        await services.files.wait_for_listeners(1)
        events.leave()

        await services.files.wait_for_silence()


async def test_pages_of_known_origins_may_call(services: Fakes) -> None:
    """Others get no leave from us, and the browser keeps the answer from them."""
    client = Client(build_app(services, origins=frozenset({"https://app.example"})))
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}

    known = await client.send("OPTIONS", headers={"Origin": "https://app.example", **preflight})
    strange = await client.send("OPTIONS", headers={"Origin": "https://evil.example", **preflight})
    answer = await client.send(json={"query": "{ __typename }"}, headers={"Origin": "https://app.example"})

    assert (known.status_code, known.headers["access-control-allow-origin"]) == (204, "https://app.example")
    assert "Authorization" in known.headers["access-control-allow-headers"]
    assert "access-control-allow-origin" not in strange.headers
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_token_for_one_upload_opens_nothing_else(client: Client) -> None:
    """Such tokens are handed to browsers and kept by them; they must not tell who is who."""
    response = await client.send(who="for-one-upload", json={"query": "{ viewer { id } }"})

    assert response.status_code == 403
    assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_user_has_so_many_event_streams(services: Fakes) -> None:
    """As many as sockets; one that ends makes room."""
    app = build_app(services, sockets=SocketRules(sockets_max=1))
    query = "subscription { fileEvents { cursor } }"

    async with Stream(app, query):
        await services.files.wait_for_listeners(1)
        async with Stream(app, query) as second:
            (kind, content), end = events_of(await second.rest())
    async with Stream(app, query):
        await services.files.wait_for_listeners(1)

    assert (kind, content["errors"][0]["extensions"]["code"], end) == ("next", "RATE_LIMITED", ("complete", None))


async def test_a_fault_outside_of_any_field_is_masked(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client has a request id to name, the log the fault."""

    def fail(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(Engine, "execute", fail)

    plain = await client.send(json={"query": "{ __typename }"})
    events = await client.send(json={"query": "{ __typename }"}, headers={"Accept": "text/event-stream"})

    assert plain.status_code == 500
    for answer in (plain.json(), events_of(events.text)[0][1]):
        assert answer["errors"][0]["extensions"] == {"code": "INTERNAL", "requestId": "request-1"}
    assert "hunter2" not in plain.text + events.text
    assert "hunter2" in caplog.text
