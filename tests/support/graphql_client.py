"""A client of the GraphQL endpoint, over ASGI or over a real socket, and the small roof that tests put over it."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from domain.errors import LighterageError
from domain.principal import GUEST
from resolvers.context import Facts
from resolvers.endpoint import GraphQLConfig, build_graphql

FACTS = Facts(version="1.2.3", tus_url="http://localhost/files/")


class Roof:
    """Puts the principal of a bearer token into the scope, as the product's middleware does."""

    def __init__(self, app: ASGIApp, services: Any) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            scheme, _, token = headers.get(b"authorization", b"").decode().partition(" ")
            scope["lighterage.request_id"] = "request-1"
            scope["lighterage.principal"] = GUEST
            if scheme == "Bearer":
                try:
                    scope["lighterage.principal"] = await self._services.accounts.authenticate(token)
                except LighterageError as error:
                    scope["lighterage.authentication_error"] = error
        await self._app(scope, receive, send)


def build_app(services: Any, *, stopping: asyncio.Event | None = None, **config: Any) -> ASGIApp:
    routes = build_graphql(services, GraphQLConfig(FACTS, **config), stopping=stopping)
    return Roof(Starlette(routes=routes), services)


class Client:
    """Sends GraphQL requests to an ASGI application as one of the known users, or as a guest."""

    def __init__(self, app: ASGIApp) -> None:
        self._http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://localhost")

    async def send(self, method: str = "POST", *, who: str | None = None, **request: Any) -> httpx2.Response:
        headers = {**({"Authorization": f"Bearer {who}"} if who else {}), **request.pop("headers", {})}
        return await self._http.request(method, "/graphql", headers=headers, **request)

    async def ask(self, query: str, *, who: str | None = None, **variables: Any) -> dict[str, Any]:
        """Give the whole answer of a query or mutation, which must have come with 200."""
        response = await self.send(who=who, json={"query": query, "variables": variables})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    async def data(self, query: str, *, who: str | None = None, **variables: Any) -> dict[str, Any]:
        """Give the data of an answer that must be without errors."""
        answer = await self.ask(query, who=who, **variables)
        assert "errors" not in answer, answer
        data: dict[str, Any] = answer["data"]
        return data

    async def code(self, query: str, *, who: str | None = None, **variables: Any) -> str:
        """Give the code of the one error that an answer must have."""
        answer = await self.ask(query, who=who, **variables)
        [error] = answer["errors"]
        return str(error["extensions"]["code"])


def events_of(text: str) -> list[tuple[str, Any]]:
    """Read an event stream: each event's kind and content."""
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            fields = dict(line.split(":", 1) for line in lines)
            content = fields["data"].strip()
            found.append((fields["event"].strip(), json.loads(content) if content else None))
    return found


class Stream:
    """An event stream over raw ASGI, read while it runs; as Ben."""

    def __init__(self, app: ASGIApp, query: str) -> None:
        self._app = app
        self._body = json.dumps({"query": query}).encode()
        self._is_sent = False
        self._left = asyncio.Event()
        self._blocks: asyncio.Queue[str | None] = asyncio.Queue()

    async def __aenter__(self) -> "Stream":
        self._task = asyncio.create_task(self._run())
        assert await self.next() == ":"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.leave()
        await self._task

    def leave(self) -> None:
        """Go away, as a closed tab does."""
        self._left.set()

    async def next(self) -> str | None:
        """Give the next block of the stream, None after the last."""
        async with asyncio.timeout(5):
            return await self._blocks.get()

    async def rest(self) -> str:
        """Give everything up to the end, without the comments."""
        blocks = []
        while (block := await self.next()) is not None:
            blocks += [] if block == ":" else [block]
        return "\n\n".join(blocks)

    async def _run(self) -> None:
        headers = {"authorization": "Bearer ben", "content-type": "application/json", "accept": "text/event-stream"}
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/graphql",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        await self._app(scope, self._receive, self._send)
        self._blocks.put_nowait(None)

    async def _receive(self) -> dict[str, Any]:
        if not self._is_sent:
            self._is_sent = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        for block in message.get("body", b"").decode().split("\n\n"):
            if block:
                self._blocks.put_nowait(block)


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncGenerator[str, None]:
    """Run a real server on a free port; gives `host:port`."""
    config = uvicorn.Config(
        app,
        log_config=None,
        lifespan="off",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=1_000_000,
    )
    server = uvicorn.Server(config)
    # asyncio sends at once only on sockets that say they are TCP; else each answer's body waits 40 ms for its head.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield f"127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listening.close()


@asynccontextmanager
async def open_socket(
    address: str, *, subprotocol: str = "graphql-transport-ws", **options: Any
) -> AsyncGenerator["SocketClient", None]:
    async with connect(f"ws://{address}/graphql", subprotocols=[Subprotocol(subprotocol)], **options) as connection:
        yield SocketClient(connection)


class SocketClient:
    """Speaks the protocol in messages; what is no message of it goes through `raw`."""

    def __init__(self, connection: ClientConnection) -> None:
        self.raw = connection

    async def send(self, **message: Any) -> None:
        await self.raw.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            message: dict[str, Any] = json.loads(await self.raw.recv())
        return message

    async def log_in(self, who: str | None = "anna") -> None:
        payload = {"Authorization": f"Bearer {who}"} if who else {}
        await self.send(type="connection_init", payload=payload)
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, *, id: str = "1", **variables: Any) -> None:
        await self.send(type="subscribe", id=id, payload={"query": query, "variables": variables})

    async def closed_with(self) -> tuple[int, str]:
        """Wait for the server's close; gives its code and reason."""
        async with asyncio.timeout(5):
            await self.raw.wait_closed()
        return self.raw.close_code or 0, self.raw.close_reason or ""
