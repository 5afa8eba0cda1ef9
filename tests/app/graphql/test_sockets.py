"""graphql-transport-ws over a real server: the protocol's rules, and ours beside them."""

from collections.abc import Callable

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from domain.tenant import TenantRole
from resolvers.execution import Engine
from resolvers.sockets import SocketRules
from tests.support.graphql_client import open_socket
from tests.support.graphql_fakes import Fakes, event, file, role

EVENTS = (
    "subscription ($after: String) { fileEvents(after: $after) { cursor action file { name } actor { username } } }"
)


async def test_a_query_is_answered_and_completed(address: str) -> None:
    """Queries and mutations may come over the socket as well."""
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.subscribe("{ viewer { username } }")

        assert await socket.receive() == {
            "id": "1",
            "type": "next",
            "payload": {"data": {"viewer": {"username": "anna"}}},
        }
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_events_arrive_as_they_happen(address: str, services: Fakes) -> None:
    """With their cursor, and who did it."""
    one = file()
    async with open_socket(address) as socket:
        await socket.log_in("ben")
        await socket.subscribe(EVENTS)
        await services.files.wait_for_listeners(1)
        await services.files.push(event(one), one)

        message = await socket.receive()

    told = {"cursor": "1", "action": "UPDATED", "file": {"name": "report.csv"}, "actor": {"username": "anna"}}
    assert message == {"id": "1", "type": "next", "payload": {"data": {"fileEvents": told}}}


async def test_a_cursor_brings_what_was_missed(address: str, services: Fakes) -> None:
    """Neither protocol replays, so the client names the last event it saw."""
    one = file()
    for _ in range(3):
        await services.files.push(event(one), one)

    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.subscribe(EVENTS, after="1")

        assert (await socket.receive())["payload"]["data"]["fileEvents"]["cursor"] == "2"
        assert (await socket.receive())["payload"]["data"]["fileEvents"]["cursor"] == "3"


async def test_a_cursor_that_is_too_old_is_said_so(address: str) -> None:
    """The client then reads the list anew; the operation has ended."""
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.subscribe(EVENTS, after="too old")

        message = await socket.receive()

    assert (message["type"], message["id"]) == ("error", "1")
    assert message["payload"][0]["extensions"]["reason"] == "cursor_too_old"


async def test_complete_ends_the_subscription_and_frees_its_id(address: str, services: Fakes) -> None:
    """The source is closed at once, not when the next event comes."""
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.subscribe(EVENTS)
        await services.files.wait_for_listeners(1)
        await socket.send(type="complete", id="1")
        await socket.subscribe("{ __typename }")

        assert (await socket.receive())["payload"] == {"data": {"__typename": "Query"}}
        assert (await socket.receive())["type"] == "complete"
        assert services.files.listening == 0


async def test_a_lost_socket_ends_its_subscriptions(address: str, services: Fakes) -> None:
    """Nothing is left listening."""
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.subscribe(EVENTS)
        await services.files.wait_for_listeners(1)
        socket.raw.transport.abort()

        await services.files.wait_for_silence()

    assert services.files.listening == 0


async def test_guests_may_ask_what_is_public(address: str) -> None:
    """A subscription of theirs is refused by the service, in words."""
    async with open_socket(address) as socket:
        await socket.log_in(None)
        await socket.subscribe("{ serverInfo { version } }", id="a")
        await socket.subscribe(EVENTS, id="b")
        messages = {(one["id"], one["type"]): one for one in [await socket.receive() for _ in range(3)]}

    assert messages["a", "next"]["payload"] == {"data": {"serverInfo": {"version": "1.2.3"}}}
    assert messages["b", "error"]["payload"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nonsense }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: ID!) { node(id: $id) { id } }", "BAD_REQUEST"),
        ("query A { __typename } query B { __typename }", "BAD_REQUEST"),
    ],
)
async def test_a_refused_operation_leaves_the_socket_open(address: str, query: str, code: str) -> None:
    """One `error`, and the id is free again."""
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.subscribe(query)
        message = await socket.receive()
        await socket.subscribe("{ __typename }")

        assert (message["id"], message["type"]) == ("1", "error")
        assert message["payload"][0]["extensions"]["code"] == code
        assert (await socket.receive())["type"] == "next"


async def test_ping_is_answered_with_its_payload(address: str) -> None:
    """Before and after the connection is acknowledged."""
    async with open_socket(address) as socket:
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        await socket.log_in()
        await socket.send(type="ping", payload={"a": 1})
        assert await socket.receive() == {"type": "pong", "payload": {"a": 1}}
        await socket.send(type="pong")
        await socket.send(type="complete", id="unknown")
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "1",
        "[]",
        "{}",
        '{"type": 1}',
        '{"type": null}',
        '{"type": []}',
        '{"type": "start"}',
        '{"type": "subscribe"}',
        '{"type": "subscribe", "id": ""}',
        '{"type": "subscribe", "id": 1, "payload": {"query": "{ __typename }"}}',
        '{"type": "subscribe", "id": "1"}',
        '{"type": "subscribe", "id": "1", "payload": []}',
        '{"type": "subscribe", "id": "1", "payload": {}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": 1}}',
        '{"type": "subscribe", "id": "1", "payload": {"query": "{ __typename }", "variables": 1}}',
        '{"type": "complete"}',
        '{"type": "complete", "id": {}}',
        '{"type": "ping", "payload": 1}',
        "[" * 100_000,
        '{"type": "ping", "payload": ' + '{"a":' * 1000 + "1" + "}" * 1001,
        b"\x00\x01",
    ],
    ids=lambda text: str(text[:60]),
)
async def test_a_malformed_message_closes_with_4400(address: str, text: str | bytes) -> None:
    """Never an abrupt end, whatever comes."""
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.raw.send(text)

        code, reason = await socket.closed_with()

    assert code == 4400
    assert reason


async def test_nothing_may_be_asked_before_the_init(address: str) -> None:
    """4401, as the protocol says."""
    async with open_socket(address) as socket:
        await socket.subscribe("{ __typename }")

        assert await socket.closed_with() == (4401, "Unauthorized")


@pytest.mark.parametrize(
    "authorization",
    ["Bearer forged", "Bearer expired", "Bearer for-one-upload", "Bearer ", "Basic YTpi", "", 1, None, ["Bearer anna"]],
)
async def test_a_bad_token_closes_with_4403(address: str, authorization: object) -> None:
    """Rather than going on as a guest without saying so."""
    async with open_socket(address) as socket:
        await socket.send(type="connection_init", payload={"authorization": authorization})

        assert await socket.closed_with() == (4403, "Forbidden")


@pytest.mark.parametrize("payload", [1, "x", [], True])
async def test_an_odd_init_payload_closes_with_4400(address: str, payload: object) -> None:
    """It must be an object, or nothing."""
    async with open_socket(address) as socket:
        await socket.send(type="connection_init", payload=payload)

        assert (await socket.closed_with())[0] == 4400


async def test_a_second_init_closes_with_4429(address: str) -> None:
    """As the protocol says."""
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.send(type="connection_init")

        assert await socket.closed_with() == (4429, "Too many initialisation requests")


async def test_an_id_in_use_closes_with_4409(address: str, services: Fakes) -> None:
    """As the protocol says; and everything on the socket ends with it."""
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.subscribe(EVENTS)
        await services.files.wait_for_listeners(1)
        await socket.subscribe(EVENTS)

        assert await socket.closed_with() == (4409, "Subscriber for 1 already exists")


async def test_silence_closes_with_4408(serve_with: Callable[..., str], services: Fakes) -> None:
    """A socket that says nothing is not kept."""
    async with open_socket(serve_with(sockets=SocketRules(init_timeout_seconds=0.01))) as socket:
        assert await socket.closed_with() == (4408, "Connection initialisation timeout")


async def test_a_token_that_stops_being_good_closes_with_4403(serve_with: Callable[..., str], services: Fakes) -> None:
    """A log-out, an expiry or a switched-off user ends what is being watched, too."""
    async with open_socket(serve_with(sockets=SocketRules(recheck_seconds=0.01))) as socket:
        await socket.log_in("ben")
        await socket.subscribe(EVENTS)
        services.accounts.ended.add("ben")

        assert await socket.closed_with() == (4403, "Forbidden")


async def test_other_rights_need_a_new_connection(serve_with: Callable[..., str]) -> None:
    """What is running would go on under the old ones. 1012 lets clients come back by themselves."""
    async with open_socket(serve_with(sockets=SocketRules(recheck_seconds=0.01))) as socket:
        await socket.log_in("ben")
        with role("ben", TenantRole.VIEWER):
            code, _ = await socket.closed_with()

    assert code == 1012


async def test_an_outage_ends_nothing(serve_with: Callable[..., str], services: Fakes) -> None:
    """That the records do not answer for a moment says nothing against a token."""
    async with open_socket(serve_with(sockets=SocketRules(recheck_seconds=0.001))) as socket:
        await socket.log_in("ben")
        services.accounts.outages = 3
        await services.accounts.back.wait()
        await socket.subscribe("{ viewer { username } }")

        assert (await socket.receive())["payload"] == {"data": {"viewer": {"username": "ben"}}}


async def test_an_outage_at_the_log_in_is_not_the_tokens_fault(address: str, services: Fakes) -> None:
    """4403 would make a client throw a good token away."""
    services.accounts.outages = 1
    async with open_socket(address) as socket:
        await socket.send(type="connection_init", payload={"Authorization": "Bearer ben"})

        assert (await socket.closed_with())[0] == 4500


async def test_a_socket_runs_so_many_operations(serve_with: Callable[..., str], services: Fakes) -> None:
    """The one too many is refused; the others go on."""
    async with open_socket(serve_with(sockets=SocketRules(operations_max=2))) as socket:
        await socket.log_in()
        for number in ("1", "2", "3"):
            await socket.subscribe(EVENTS, id=number)
        message = await socket.receive()

        assert (message["id"], message["type"]) == ("3", "error")
        assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_user_has_so_many_sockets(serve_with: Callable[..., str]) -> None:
    """Another user's are not counted, and a closed one makes room."""
    address = serve_with(sockets=SocketRules(sockets_max=1))
    async with open_socket(address) as one:
        await one.log_in("anna")
        async with open_socket(address) as two:
            await two.log_in("ben")
        async with open_socket(address) as three:
            await three.send(type="connection_init", payload={"Authorization": "Bearer anna"})
            assert await three.receive() == {"type": "connection_ack"}
            assert await three.closed_with() == (4429, "Too many connections")
    async with open_socket(address) as four:
        await four.log_in("anna")


async def test_another_sub_protocol_closes_with_4406(address: str) -> None:
    """The legacy one among them."""
    async with open_socket(address, subprotocol="graphql-ws") as socket:
        assert await socket.closed_with() == (4406, "Subprotocol not acceptable")


async def test_pages_of_other_origins_are_kept_out(serve_with: Callable[..., str]) -> None:
    """But for those that the operator named."""
    address = serve_with(origins=frozenset({"https://app.example"}))

    async with open_socket(address, origin="https://app.example") as socket:
        await socket.log_in()
    for origin in ("https://evil.example", "null", f"https://{address}.evil.example"):
        with pytest.raises(InvalidStatus) as refusal:
            async with open_socket(address, origin=origin):
                pass
        assert refusal.value.response.status_code == 403


async def test_our_own_page_may_open_a_socket(address: str) -> None:
    """Whatever host it was reached by."""
    async with open_socket(address, origin=f"http://{address}") as socket:
        await socket.log_in()


async def test_a_closed_tab_ends_its_event_stream(address: str, services: Fakes) -> None:
    """Over a real connection: the server notices, and nothing is left listening."""
    request = {"query": "subscription { fileEvents { cursor } }"}
    headers = {"Accept": "text/event-stream", "Authorization": "Bearer ben"}
    async with httpx2.AsyncClient() as client:
        async with client.stream("POST", f"http://{address}/graphql", json=request, headers=headers) as response:
            assert response.status_code == 200
            await services.files.wait_for_listeners(1)

        await services.files.wait_for_silence()


async def test_a_fault_in_one_operation_leaves_the_others(
    address: str, services: Fakes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is masked, and logged under the request's id."""

    def fail(*_: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(Engine, "execute", fail)
    async with open_socket(address) as socket:
        await socket.log_in()
        await socket.subscribe(EVENTS, id="events")
        await services.files.wait_for_listeners(1)
        await socket.subscribe("{ __typename }", id="fault")
        message = await socket.receive()
        await services.files.push(event(file()), None)

        assert (message["id"], message["type"]) == ("fault", "error")
        assert message["payload"][0]["extensions"]["code"] == "INTERNAL"
        assert (await socket.receive())["id"] == "events"
    assert "hunter2" not in str(message)
    assert "hunter2" in caplog.text
