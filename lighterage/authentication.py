"""
The outermost layer: gives each request an id, tells who is asking before any face reads a body, and is the last to
catch what nobody caught.
"""

import base64
import binascii
import logging
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import orjson

from domain.errors import InvalidCredentials, LighterageError, TokenInvalid
from domain.principal import GUEST, Principal

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

logger = logging.getLogger(__name__)


class Authenticator(Protocol):
    async def authenticate(self, token: str) -> Principal: ...


class BasicAuthenticator(Protocol):
    async def authenticate(self, identifier: str, password: str, *, client: str) -> Principal: ...


class Door:
    """
    Leaves in the scope what every face needs.

    `lighterage.request_id` is also sent as `X-Request-Id`. `lighterage.principal` is a guest where no token came or it
    was bad; in the latter case `lighterage.authentication_error` says why, and the face answers in its own form.
    """

    def __init__(
        self,
        app: App,
        *,
        uploads: App,
        uploads_path: str,
        accounts: Authenticator,
        basic: BasicAuthenticator | None = None,
    ) -> None:
        self._app = app
        self._uploads = uploads
        self._uploads_path = uploads_path
        self._accounts = accounts
        self._basic = basic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope["lighterage.request_id"] = request_id
        scope["lighterage.principal"] = GUEST
        path = scope["path"]
        is_upload = path.startswith(self._uploads_path) or path == self._uploads_path[:-1]
        started = ended = False

        async def send_with_id(message: Message) -> None:
            nonlocal started, ended
            if message["type"] == "http.response.body":
                ended = not message.get("more_body", False)
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            if scope["type"] == "http":
                await self._recognise(scope)
            await (self._uploads if is_upload else self._app)(scope, receive, send_with_id)
        except Exception:
            logger.exception("a request failed", extra={"request_id": request_id})
            if scope["type"] != "http" or (started and not ended):
                raise  # the server closes the connection, so that nobody takes what came for the whole answer
            if not started:
                await _apologise(send_with_id, request_id)

    async def _recognise(self, scope: Scope) -> None:
        authorization = next((value for name, value in scope["headers"] if name == b"authorization"), None)
        if authorization is None:
            return
        kind, _, token = authorization.partition(b" ")
        try:
            if kind.lower() == b"basic" and self._basic is not None:
                name, password = _pair(token)
                client = scope.get("client") or ("unknown", 0)
                scope["lighterage.principal"] = await self._basic.authenticate(name, password, client=client[0])
                return
            if kind.lower() != b"bearer":
                raise TokenInvalid("only 'Authorization: Bearer …' is taken here")
            scope["lighterage.principal"] = await self._accounts.authenticate(token.strip().decode("ascii", "replace"))
        except LighterageError as error:
            scope["lighterage.authentication_error"] = error


def _pair(credentials: bytes) -> tuple[str, str]:
    """Read what HTTP Basic sends (RFC 7617); a name holds no colon, a password may."""
    try:
        name, colon, password = base64.b64decode(credentials.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidCredentials from error
    if not colon:
        raise InvalidCredentials
    return name, password


async def _apologise(send: Send, request_id: str) -> None:
    problem = {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "something went wrong on the server",
        "code": "internal",
        "request_id": request_id,
        "hint": "Try again; if it stays so, give the request id to the server's operator.",
    }
    headers = [(b"content-type", b"application/problem+json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(problem)})
