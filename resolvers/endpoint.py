"""
GraphQL at one path: POST, server-sent events (distinct connections) and graphql-transport-ws.

Only this module knows Starlette and ASGI. The roof puts the principal into the scope before a body is read.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from graphql import GraphQLError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from domain.errors import EmailNotVerified, LighterageError, RateLimited, Unauthenticated
from domain.principal import GUEST, Principal
from resolvers.context import Facts, RequestContext
from resolvers.execution import Engine, Operation
from resolvers.limits import DocumentLimits
from resolvers.masking import Refused, refused, refused_by, refused_by_fault
from resolvers.root import build_schema
from resolvers.sockets import (
    SUBPROTOCOL,
    SUBPROTOCOL_NOT_ACCEPTABLE,
    Closed,
    SocketCount,
    SocketRules,
    SocketSession,
)
from resolvers.streams import EventStreams, StreamRules, refusal_events
from resolvers.wire import (
    EVENT_STREAM,
    JSON,
    RESPONSE_JSON,
    decode,
    encode,
    is_json,
    negotiate,
    parse_operation,
    parse_query_string,
)
from schema.errors import ErrorCode
from services import Services

RETRY_SECONDS = 2
PREFLIGHT_SECONDS = "7200"  # as long as browsers keep one at most
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


@dataclass(frozen=True, slots=True)
class GraphQLConfig:
    """
    What the roof decides.

    Attributes:
        origins: Whose pages may open a WebSocket besides our own: `https://app.example`; `*` for any.
        body_bytes_max: Of a POST; documents have their own limit, the rest is variables.
        keep_alive_seconds: How often an event stream that has nothing to say sends a comment, so that proxies keep it.
    """

    facts: Facts
    path: str = "/graphql"
    origins: frozenset[str] = frozenset()
    body_bytes_max: int = 1_000_000
    keep_alive_seconds: float = 15.0
    documents: DocumentLimits = field(default_factory=DocumentLimits)
    sockets: SocketRules = field(default_factory=SocketRules)


def build_graphql(
    services: Services, config: GraphQLConfig, *, stopping: asyncio.Event | None = None
) -> list[BaseRoute]:
    """
    Make the two routes, HTTP and WebSocket, of the one path.

    Args:
        stopping: Set by the roof when the server is to stop: event streams end then, which else would not.
    """
    endpoint = GraphQLEndpoint(services, config, stopping or asyncio.Event())
    # An ASGI application as a route gets every method, so that the endpoint's own 405 says what is allowed.
    return [Route(config.path, HTTPDoor(endpoint)), WebSocketRoute(config.path, SocketDoor(endpoint))]


class HTTPDoor:
    """The endpoint as an ASGI application for HTTP."""

    def __init__(self, endpoint: "GraphQLEndpoint") -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with suppress(ClientDisconnect):
            response = await self._endpoint.answer(request)
            await response(scope, receive, send)


class SocketDoor:
    """The endpoint as an ASGI application for WebSockets."""

    def __init__(self, endpoint: "GraphQLEndpoint") -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint.serve(WebSocket(scope, receive, send))


class GraphQLEndpoint:
    def __init__(self, services: Services, config: GraphQLConfig, stopping: asyncio.Event) -> None:
        self._services = services
        self._config = config
        self._engine = Engine(build_schema(), config.documents)
        self._sockets = SocketCount(each_max=config.sockets.sockets_max)
        self._streams = EventStreams(
            self._engine,
            authenticate=services.accounts.authenticate,
            stopping=stopping,
            rules=StreamRules(
                keep_alive_seconds=config.keep_alive_seconds,
                streams_max=config.sockets.sockets_max,
                recheck_seconds=config.sockets.recheck_seconds,
            ),
        )

    # ---- HTTP

    async def answer(self, request: Request) -> Response:
        origin = request.headers.get("origin")
        response = self._preflight() if _is_preflight(request) else await self._answer(request)
        if origin is not None and self._is_known(origin):
            # There is no cookie that such a page could abuse: whoever calls must bring a token.
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = "X-Request-Id"
        response.headers["Vary"] = "Origin, Accept"
        return response

    def _preflight(self) -> Response:
        allowed = {
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type",
            "Access-Control-Max-Age": PREFLIGHT_SECONDS,
        }
        return Response(status_code=204, headers=allowed)

    async def _answer(self, request: Request) -> Response:
        media = negotiate(request.headers.get("accept"))
        try:
            if request.method == "POST":
                return await self._post(request, media)
            if request.method == "GET" and media == EVENT_STREAM:
                return self._get(request)
        except Refused as error:
            return _refusal(error, media, status=413 if isinstance(error, _TooLarge) else 400)
        message = "send POST with application/json, GET with Accept: text/event-stream, or open a WebSocket"
        refusal = refused(ErrorCode.BAD_REQUEST, message)
        return _refusal(refusal, media, status=405, headers={"Allow": "GET, POST"})

    async def _post(self, request: Request, media: str | None) -> Response:
        denied = _denial(request.scope)
        if denied is not None:
            return denied
        if media is None:
            message = f"the answer is {JSON}, {RESPONSE_JSON} or {EVENT_STREAM}"
            return _refusal(refused(ErrorCode.BAD_REQUEST, message), JSON, status=406)
        if not is_json(request.headers.get("content-type")) or "content-encoding" in request.headers:
            message = "the body must be application/json in UTF-8, not compressed"
            return _refusal(refused(ErrorCode.BAD_REQUEST, message), media, status=415)
        operation = parse_operation(decode(await self._body(request)))
        if media == EVENT_STREAM:
            return self._stream(request, operation, may_change=True)
        return await self._execute(request, operation, media)

    async def _body(self, request: Request) -> bytes:
        limit, body = self._config.body_bytes_max, bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _TooLarge([GraphQLError(f"a request has at most {limit} bytes")], ErrorCode.QUERY_TOO_COMPLEX)
        return bytes(body)

    def _get(self, request: Request) -> Response:
        denied = _denial(request.scope)
        if denied is not None:
            return denied
        # A GET may be made by any page that shows an image, so it changes nothing.
        return self._stream(request, parse_query_string(dict(request.query_params)), may_change=False)

    async def _execute(self, request: Request, operation: Operation, media: str) -> Response:
        context = self._context(request.scope)
        try:
            prepared = self._engine.prepare(operation, is_guest=context.principal.is_guest)
            if prepared.is_subscription:
                message = f"a subscription needs a WebSocket, or Accept: {EVENT_STREAM}"
                return _refusal(refused(ErrorCode.BAD_REQUEST, message), media, status=400)
            answer = await self._engine.execute(prepared, context)
            seconds = _seconds_to_wait(answer)
            if seconds is None:
                return _response(answer, media)
            # RFC 6585, 4: "The response representations SHOULD include details explaining the condition, and MAY
            # include a Retry-After header": proxies and clients that know no GraphQL slow down by these.
            return _response(answer, media, status=429, headers={"Retry-After": str(seconds)})
        except Refused as error:
            # GraphQL over HTTP, 6.4.1: with application/json "the server SHOULD use the 200 status code" for a request
            # that is well-formed; with application/graphql-response+json it says what happened.
            return _refusal(error, media, status=200 if media == JSON else 400)
        except Exception as fault:
            # The boundary of this face for requests.
            return _refusal(refused_by_fault(fault, request_id=context.request_id), media, status=500)

    # ---- server-sent events

    def _stream(self, request: Request, operation: Operation, *, may_change: bool) -> Response:
        context = self._context(request.scope)
        try:
            prepared = self._engine.prepare(operation, is_guest=context.principal.is_guest)
            if prepared.is_mutation and not may_change:
                raise refused(ErrorCode.BAD_REQUEST, "a mutation needs POST")
        except Refused as error:
            # An EventSource cannot read the body of an error, so a refusal is an event like any other.
            return _event_stream(refusal_events(error))
        return _event_stream(self._streams.events(prepared, context, token=_bearer(request)))

    # ---- WebSocket

    async def serve(self, websocket: WebSocket) -> None:
        if not self._is_own_origin(websocket):
            await websocket.close(1008)  # before accepting it, which answers the handshake with 403
            return
        if SUBPROTOCOL not in websocket.scope.get("subprotocols", ()):
            await websocket.accept()
            await websocket.close(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
            return
        await websocket.accept(subprotocol=SUBPROTOCOL)
        scope = websocket.scope
        await SocketSession(
            _StarletteSocket(websocket),
            self._engine,
            authenticate=self._services.accounts.authenticate,
            context_for=lambda principal: self._context(scope, principal),
            count=self._sockets,
            rules=self._config.sockets,
            principal=_principal(scope),
            client=_client(scope),
        ).run()

    def _is_own_origin(self, websocket: WebSocket) -> bool:
        origin = websocket.headers.get("origin")
        # Only browsers send one, and only they carry somebody else's page.
        return origin is None or self._is_known(origin) or urlsplit(origin).netloc == websocket.headers.get("host")

    def _is_known(self, origin: str) -> bool:
        return "*" in self._config.origins or origin in self._config.origins

    # ---- both

    def _context(self, scope: Scope, principal: Principal | None = None) -> RequestContext:
        return RequestContext(
            services=self._services,
            facts=self._config.facts,
            principal=principal or _principal(scope),
            client=_client(scope),
            request_id=scope.get("lighterage.request_id") or secrets.token_hex(8),
            public_url=scope.get("lighterage.public_url"),
        )


class _StarletteSocket:
    """A WebSocket of Starlette as the protocol wants it."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> str | bytes:
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            raise Closed
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            raise Closed
        text: str | bytes | None = message.get("text")
        return text if text is not None else message["bytes"]

    async def send(self, message: bytes) -> None:
        if self._websocket.application_state is not WebSocketState.CONNECTED:
            raise Closed
        try:
            await self._websocket.send({"type": "websocket.send", "text": message.decode()})
        except (WebSocketDisconnect, RuntimeError) as error:
            # Starlette tells of a send after the close, which the other side may cause at any moment, by RuntimeError.
            raise Closed from error

    async def close(self, code: int, reason: str) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with suppress(WebSocketDisconnect, RuntimeError):
                await self._websocket.close(code, reason)


# ---- answers


class _TooLarge(Refused):
    """A body longer than is read."""


def _response(
    content: Mapping[str, Any], media: str, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    media_type = f"{media}; charset=utf-8"
    return Response(encode(content), status, headers={**_HEADERS, **(headers or {}), "Content-Type": media_type})


def _seconds_to_wait(answer: Mapping[str, Any]) -> int | None:
    """Give for how long to wait where nothing of the request was done because it came too often."""
    if any(value is not None for value in (answer["data"] or {}).values()):
        return None
    codes = [error["extensions"] for error in answer.get("errors", ())]
    waits = [one.get("retryAfterSeconds", 1) for one in codes if one["code"] == ErrorCode.RATE_LIMITED.value]
    return max(waits, default=None)


def _refusal(error: Refused, media: str | None, *, status: int, headers: Mapping[str, str] | None = None) -> Response:
    media = RESPONSE_JSON if media == RESPONSE_JSON else JSON
    return _response({"errors": error.formatted()}, media, status=status, headers=headers)


def _denial(scope: Scope) -> Response | None:
    """Give the answer to a token that is no good, or good for something else only."""
    error = scope.get("lighterage.authentication_error")
    if isinstance(error, Unauthenticated):
        # RFC 6750, 3.1: "invalid_token ... SHOULD respond with the HTTP 401 (Unauthorized) status code"
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return _refusal(refused_by(error), JSON, status=401, headers=challenge)
    if isinstance(error, RateLimited):
        return _refusal(refused_by(error), JSON, status=429, headers={"Retry-After": str(error.retry_after_seconds)})
    if isinstance(error, EmailNotVerified):
        return _refusal(refused_by(error), JSON, status=403)
    if isinstance(error, LighterageError):
        # Who it is could not be found out, which says nothing against the token.
        return _refusal(refused_by(error), JSON, status=503, headers={"Retry-After": str(RETRY_SECONDS)})
    if _principal(scope).upload_id is not None:
        return _refusal(refused(ErrorCode.FORBIDDEN, "this token is good for one upload only"), JSON, status=403)
    return None


def _principal(scope: Scope) -> Principal:
    principal: Principal = scope.get("lighterage.principal", GUEST)
    return principal


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and "access-control-request-method" in request.headers


def _event_stream(events: AsyncIterator[bytes]) -> Response:
    headers = {**_HEADERS, "Content-Type": f"{EVENT_STREAM}; charset=utf-8", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, headers=headers)


def _client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "unknown"
