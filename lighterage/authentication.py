"""
The outermost layer: gives each request an id, tells who is asking before any face reads a body, counts the request
when it has ended, and is the last to catch what nobody caught.
"""

import base64
import binascii
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal, Protocol

import orjson

from domain.errors import InvalidCredentials, LighterageError, TokenInvalid
from domain.principal import GUEST, Principal
from lighterage.observability import REQUEST

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Logged = Literal["off", "errors", "all"]

SECRET_PATHS = ("/s/",)  # what follows is a share link's secret

logger = logging.getLogger(__name__)


class Counter(Protocol):
    def request(self, path: str, *, is_upload: bool, status: int | None, seconds: float) -> None:
        """Take note of a request that ended; a status of None: there was no answer."""
        ...


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
        counter: Counter | None = None,
        logged: Logged = "errors",
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        """
        Args:
            logged: Which requests are written into the log when they have ended.
        """
        self._counter = counter
        self._logged = logged
        self._now = now
        self._app = app
        self._uploads = uploads
        self._uploads_path = uploads_path
        self._accounts = accounts
        self._basic = basic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = self._now()
        request_id = secrets.token_hex(8)
        scope["lighterage.request_id"] = request_id
        scope["lighterage.principal"] = GUEST
        REQUEST.set(scope)
        path = scope["path"]
        is_upload = path.startswith(self._uploads_path) or path == self._uploads_path[:-1]
        started = ended = False
        status: int | None = None

        async def send_with_id(message: Message) -> None:
            nonlocal started, ended, status
            if message["type"] == "http.response.body":
                ended = not message.get("more_body", False)
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            if scope["type"] == "http":
                await self._recognise(scope)
            await (self._uploads if is_upload else self._app)(scope, receive, send_with_id)
        except Exception:
            logger.exception("a request failed")
            if scope["type"] != "http" or (started and not ended):
                raise  # the server closes the connection, so that nobody takes what came for the whole answer
            if not started:
                await _apologise(send_with_id, request_id)
        finally:
            if scope["type"] == "http":
                self._note(scope, is_upload=is_upload, status=status, seconds=self._now() - began)

    def _note(self, scope: Scope, *, is_upload: bool, status: int | None, seconds: float) -> None:
        if self._counter is not None:
            self._counter.request(scope["path"], is_upload=is_upload, status=status, seconds=seconds)
        is_fault = status is not None and status >= 500
        if self._logged == "all" or (is_fault and self._logged == "errors"):
            what = {"method": scope["method"], "path": _shown(scope["path"]), "status": status}
            level = logging.WARNING if is_fault else logging.INFO
            logger.log(level, "request", extra={**what, "seconds": round(seconds, 6)})

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


def _shown(path: str) -> str:
    """Give a path without what would let a reader of the log in."""
    secret = next((begin for begin in SECRET_PATHS if path.startswith(begin)), None)
    return path if secret is None else f"{secret}…"


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
