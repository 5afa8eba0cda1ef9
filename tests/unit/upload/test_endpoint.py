"""The upload face over ASGI: who may ask, where it lives, what it reads, and when it lets go of a connection."""

import asyncio

import pytest

from domain.errors import StoreUnavailable, TokenExpired
from tests.support.upload_client import BYTES, DISCONNECT, TUS, UploadClient, part
from tests.support.upload_service import BERT, FakeUploadService
from upload.endpoint import DRAIN_BYTES_MAX, UploadEndpoint
from upload.protocol.config import Config

CREATE = {**TUS, "Upload-Length": "5"}
WITH_BYTES = {**CREATE, **BYTES}
UNKNOWN = "/files/upload_00000000000000000000000000"


@pytest.fixture
def service() -> FakeUploadService:
    return FakeUploadService()


@pytest.fixture
def client(service) -> UploadClient:
    return UploadClient(UploadEndpoint(service, Config(linger_seconds=0.01)))


async def test_upload_arrives_in_two_pieces(client, service):
    """The main way through: create, append, ask, append, done."""
    path = await client.create(10)
    first = await client.patch(path, 0, b"hello")
    second = await client.patch(path, await client.offset(path), b"world")

    assert (first.status, first.headers["upload-offset"]) == (204, "5")
    assert (second.status, second.headers["upload-offset"]) == (204, "10")
    assert service.stored[service.only.id] == b"helloworld"


# ---- who may ask


@pytest.mark.parametrize("method", ["POST", "HEAD", "PATCH", "DELETE"])
async def test_guest_is_refused_before_the_body_is_read(client, service, method):
    """A stranger's bytes are never touched; row 000.35."""
    client.principal = None
    answer = await client.send(method, "/files/" if method == "POST" else UNKNOWN, WITH_BYTES, b"hello")

    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.read == 0
    assert service.uploads == {}


async def test_fault_found_at_the_door_is_told_in_the_protocols_form(client):
    """The middleware authenticates, but only the face knows how its clients want to hear of it."""
    client.scope["lighterage.authentication_error"] = TokenExpired("the token has expired")
    answer = await client.send("POST", "/files/", WITH_BYTES, b"hello")

    assert (answer.status, answer.problem["code"], answer.problem["request_id"]) == (401, "token_expired", "req_1")
    assert answer.headers["www-authenticate"] == 'Bearer realm="lighterage", error="invalid_token"'
    assert answer.read == 0


async def test_anyone_may_ask_what_the_server_can_do(client):
    """A browser's preflight carries no token."""
    client.principal = None

    assert (await client.send("OPTIONS", "/files/")).status == 204


async def test_other_tenants_upload_looks_like_none(client, service):
    """Not yours and not there are the same answer."""
    path = await client.create()
    client.principal = BERT
    theirs, missing = await client.send("HEAD", path, TUS), await client.send("HEAD", UNKNOWN, TUS)

    assert theirs.status == 404
    assert (theirs.status, theirs.headers, theirs.body) == (missing.status, missing.headers, missing.body)


# ---- addresses


@pytest.mark.parametrize(
    ("config", "scope", "path", "location"),
    [
        (Config(), {}, "/files/", "/files/"),
        (Config(), {}, "/files", "/files/"),
        (Config(), {"root_path": "/api"}, "/api/files/", "/api/files/"),
        (Config(), {"root_path": "/files"}, "/files/", "/files/"),
        (Config(), {"root_path": "/api/files"}, "/api/files/", "/api/files/"),
        (Config(base_path="/up/load/"), {}, "/up/load/", "/up/load/"),
        (Config(public_url="https://example.org/"), {}, "/files/", "https://example.org/files/"),
        (Config(public_url="https://example.org/x"), {"root_path": "/y"}, "/y/files/", "https://example.org/x/files/"),
    ],
)
async def test_location_is_a_path_or_under_the_public_address(service, config, scope, path, location):
    """A wrong Location behind a proxy is the most repeated fault of tus servers."""
    client = UploadClient(UploadEndpoint(service, config), scope=scope)
    answer = await client.send("POST", path, {**CREATE, "Host": "evil.example", "X-Forwarded-Host": "evil.example"})

    assert (201, location + service.only.id) == (answer.status, answer.headers["location"])
    assert (await client.send("HEAD", path.rstrip("/") + "/" + service.only.id, TUS)).status == 200


@pytest.mark.parametrize("tail", ["..", "a", "upload_x", "x/y", "%2e%2e", "upload_00000000000000000000000000/", "\x00"])
async def test_path_that_is_no_id_is_not_found(client, tail):
    """Nothing but an id's form may reach a store."""
    assert (await client.send("HEAD", "/files/" + tail, TUS)).status == 404


# ---- faults


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("POST", {**CREATE, "Content-Type": "text/plain"}, 415),
        ("POST", {**WITH_BYTES, "Upload-Metadata": "a !"}, 400),
        ("POST", {**WITH_BYTES, "Upload-Checksum": "sha3 AAAA"}, 400),
        ("POST", {**WITH_BYTES, "Upload-Length": "4"}, 413),
        ("PATCH", {**TUS, **BYTES, "Upload-Offset": "1"}, 409),
        ("PATCH", {**TUS, **BYTES, "Upload-Offset": "-0"}, 400),
        ("PATCH", {**TUS, "Upload-Offset": "0"}, 415),
        ("PATCH", {**BYTES, "Upload-Offset": "0"}, 412),
        ("PATCH", {"Upload-Complete": "?1", "Upload-Offset": "0"}, 415),
        ("PATCH", {"Upload-Complete": "?1", "Content-Type": "application/partial-upload", "Upload-Offset": "1"}, 409),
    ],
)
async def test_refusal_costs_no_byte(client, service, method, headers, status):
    """tuspyserver writes such bodies to disk before it says no."""
    path = await client.create(5)
    answer = await client.send(method, path if method == "PATCH" else "/files/", headers, b"hello")

    assert (answer.status, answer.read) == (status, 0)
    assert list(service.stored.values()) == [b""]


async def test_refused_body_is_drained_when_small_and_its_connection_lives(client):
    """The server throws a small rest away by itself."""
    answer = await client.send("PATCH", UNKNOWN, {**TUS, **BYTES, "Upload-Offset": "x"}, b"hello")

    assert (answer.status, answer.read) == (400, 0)
    assert "connection" not in answer.headers


async def test_refused_body_that_is_large_closes_its_connection(client):
    """The client may finish what is on its way, and not more."""
    large = {**TUS, "Content-Length": str(2**40)}
    wire, task = client.open("PATCH", UNKNOWN, large)
    wire.push(*[part(bytes(65536), more=True)] * 8)
    await task

    assert (wire.response.status, wire.response.headers["connection"]) == (415, "close")
    assert wire.read == DRAIN_BYTES_MAX
    assert [m.get("more_body", False) for m in wire.sent] == [False, True, False], "the answer leaves before the drain"


async def test_refused_client_that_sends_nothing_is_not_waited_for_long(client):
    """A silent client would hold the connection open."""
    wire, task = client.open("PATCH", UNKNOWN, {**TUS, "Transfer-Encoding": "chunked"})
    await task

    assert (wire.response.status, wire.response.headers["connection"]) == (415, "close")


@pytest.mark.parametrize("length", [5, 2**40])
async def test_refused_expectation_reads_nothing(client, length):
    """A client that waits for 100 Continue sends no body then; its next request must not be taken for one."""
    headers = {**TUS, "Content-Length": str(length), "Expect": "100-continue"}
    wire, task = client.open("PATCH", UNKNOWN, headers)
    wire.push(part(b"hello", more=True))
    await task

    assert (wire.response.status, wire.response.headers["connection"], wire.read) == (415, "close", 0)


async def test_stores_fault_says_when_to_come_back(client, service):
    service.fault = StoreUnavailable("blob store")
    answer = await client.send("POST", "/files/", CREATE)

    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert answer.problem["code"] == "store_unavailable"


async def test_mistake_of_ours_shows_nothing_of_itself(client, service, caplog):
    """The log has the trace, the client the request's id."""
    service.fault = RuntimeError("/secret/path")
    answer = await client.send("POST", "/files/", CREATE)

    assert (answer.status, answer.problem["code"], answer.problem["request_id"]) == (500, "internal", "req_1")
    assert b"secret" not in answer.body
    assert "/secret/path" in caplog.text


# ---- bodies that end early


async def test_cut_body_is_kept_and_nobody_is_answered(client, service):
    """Bytes of a request whose client went away count."""
    path = await client.create(10)
    wire, task = client.open("PATCH", path, {**TUS, **BYTES, "Upload-Offset": "0", "Content-Length": "10"})
    wire.push(part(b"hell", more=True), DISCONNECT)
    await task

    assert wire.sent == []
    assert await client.offset(path) == 4


async def test_cut_chunked_body_is_kept(client):
    path = await client.create(10)
    wire, task = client.open("PATCH", path, {**TUS, **BYTES, "Upload-Offset": "0", "Transfer-Encoding": "chunked"})
    wire.push(part(b"hell", more=True), DISCONNECT)
    await task

    assert await client.offset(path) == 4


async def test_newcomer_takes_over_from_a_silent_request(client, service):
    """The old request hangs; its bytes stay, its connection closes, the new one goes on at once."""
    path = await client.create(10)
    wire, old = client.open("PATCH", path, {**TUS, **BYTES, "Upload-Offset": "0", "Content-Length": "10"})
    wire.push(part(b"hell", more=True))
    await service.reading.wait()
    await asyncio.sleep(0)
    new = await client.patch(path, 4, b"oworld")
    await old

    assert (new.status, new.headers["upload-offset"]) == (204, "10")
    assert (wire.response.status, wire.response.problem["code"]) == (423, "request_stopped")
    assert (wire.response.headers["connection"], wire.response.headers["upload-offset"]) == ("close", "4")
    assert service.stored[service.only.id] == b"helloworld"


async def test_head_leaves_a_running_request_alone(client, service):
    """Asking how far an upload is must not stop it."""
    path = await client.create(10)
    wire, task = client.open("PATCH", path, {**TUS, **BYTES, "Upload-Offset": "0", "Content-Length": "10"})
    wire.push(part(b"hello", more=True))
    await service.reading.wait()
    await client.send("HEAD", path, TUS)
    wire.push(part(b"world"))
    await task

    assert wire.response.status == 204


async def test_idle_body_is_kept_and_its_connection_closed(service):
    """tus 1.0: "A timeout SHOULD be handled by closing the underlying connection." """
    client = UploadClient(UploadEndpoint(service, Config(idle_timeout_seconds=0.01)))
    path = await client.create(10)
    wire, task = client.open("PATCH", path, {**TUS, **BYTES, "Upload-Offset": "0", "Content-Length": "10"})
    wire.push(part(b"hell", more=True))
    await task

    assert (
        wire.response.status,
        wire.response.headers["connection"],
        wire.response.headers["upload-offset"],
    ) == (408, "close", "4")
    assert await client.offset(path) == 4


async def test_idle_creation_still_tells_where_the_upload_is(service):
    """Nobody else knows the address of what was stored."""
    client = UploadClient(UploadEndpoint(service, Config(idle_timeout_seconds=0.01)))
    wire, task = client.open("POST", "/files/", {**WITH_BYTES, "Content-Length": "5"})
    wire.push(part(b"he", more=True))
    await task

    assert (wire.response.status, wire.response.headers["upload-offset"]) == (201, "2")
    assert ("close", service.only.id) == (wire.response.headers["connection"], wire.response.tail)


async def test_websocket_is_refused(client):
    """A handshake at this address is nobody's."""
    sent = []

    async def send(message):
        sent.append(message)

    await client.endpoint({"type": "websocket"}, None, send)

    assert sent == [{"type": "websocket.close"}]
