"""Requests to the upload face over raw ASGI, with a body whose coming the test decides."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from domain.principal import Principal
from tests.support.upload_service import ANNA
from upload.body import Message
from upload.endpoint import UploadEndpoint

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}
DISCONNECT: Message = {"type": "http.disconnect"}


@dataclass(frozen=True)
class Response:
    """
    An answer.

    Attributes:
        headers: Names in lower case.
        read: Bytes of the request's body that were taken.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    read: int

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def tail(self) -> str:
        """The id of the upload that Location names."""
        return self.headers["location"].rpartition("/")[2]


@dataclass
class Wire:
    """
    One exchange: `push` gives the endpoint a message, and it waits where none is left.

    Attributes:
        lines: What the server holds of header lines; trailers are appended to it.
    """

    lines: list[tuple[bytes, bytes]]
    messages: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    sent: list[Message] = field(default_factory=list)
    read: int = 0

    def push(self, *messages: Message) -> None:
        for message in messages:
            self.messages.put_nowait(message)

    async def receive(self) -> Message:
        message = await self.messages.get()
        self.read += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def response(self) -> Response:
        start, *rest = self.sent
        assert not rest[-1].get("more_body", False), "the answer has an end"
        names = [name for name, _ in start["headers"]]
        assert len(names) == len(set(names)), "no field comes twice"
        headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Response(start["status"], headers, b"".join(m.get("body", b"") for m in rest), self.read)


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@dataclass
class UploadClient:
    """
    Sends requests to an endpoint.

    Attributes:
        scope: Laid over every request's scope.
    """

    endpoint: UploadEndpoint
    principal: Principal | None = ANNA
    scope: dict[str, Any] = field(default_factory=dict)

    def open(
        self, method: str, path: str, headers: dict[str, str] | Iterable[tuple[str, str]] = ()
    ) -> tuple[Wire, "asyncio.Task[None]"]:
        """Start a request whose body the test pushes; the task ends with the answer."""
        pairs = headers.items() if isinstance(headers, dict) else headers
        wire = Wire([(name.lower().encode(), value.encode()) for name, value in pairs])
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": path,
            "root_path": "",
            "headers": wire.lines,
            "lighterage.request_id": "req_1",
            **({} if self.principal is None else {"lighterage.principal": self.principal}),
            **self.scope,
        }
        return wire, asyncio.create_task(self.endpoint(scope, wire.receive, wire.send))  # type: ignore[arg-type]

    async def send(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        *,
        messages: Iterable[Message] | None = None,
    ) -> Response:
        """Send a whole request; Content-Length is added for a `body`, nothing for `messages`."""
        pairs = list(headers.items() if isinstance(headers, dict) else headers)
        if body is not None:
            pairs.append(("Content-Length", str(len(body))))
        wire, task = self.open(method, path, pairs)
        wire.push(*(messages if messages is not None else [part(body or b"")]))
        await task
        return wire.response

    async def create(self, length: int = 10, **headers: str) -> str:
        """Create an upload by tus and give its path."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.send("POST", "/files/", {**TUS, "Upload-Length": str(length), **names}, b"")
        assert answer.status == 201
        return answer.headers["location"]

    async def patch(self, path: str, offset: int, body: bytes, **headers: str) -> Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send("PATCH", path, {**TUS, **BYTES, "Upload-Offset": str(offset), **names}, body)

    async def offset(self, path: str) -> int:
        """Ask for the offset by tus."""
        answer = await self.send("HEAD", path, TUS)
        assert answer.status == 200
        return int(answer.headers["upload-offset"])
