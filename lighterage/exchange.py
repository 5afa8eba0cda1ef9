"""
What uvicorn's exchange of one request keeps from an ASGI application, and uploads need.

Four things: bytes that came before the client went away (uvicorn's `receive` forgets them when it tells of the end),
interim answers (104 Upload Resumption Supported), fields after a body, and a way past the parser for large bodies
(pipe.py). All are reached through uvicorn's own object for the exchange; where `receive` is not its method, as under
another server or in a test, the application gets the scope as it is.
"""

from functools import partial
from typing import Any

from lighterage.authentication import App, Message, Receive, Scope, Send
from lighterage.pipe import open_pipe

INFORMATIONAL = "http.response.informational"
TRAILERS = "http.response.trailers"
_NEEDED = (
    "body",
    "chunked_encoding",
    "disconnected",
    "expected_content_length",
    "more_body",
    "response_complete",
    "transport",
)


class Exchange:
    """The outermost layer under uvicorn. It offers ASGI's extension for trailers, and one for interim answers."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = getattr(receive, "__self__", None)
        if scope["type"] != "http" or not all(hasattr(cycle, name) for name in _NEEDED):
            await self._app(scope, receive, send)
            return
        scope["extensions"] = {**(scope.get("extensions") or {}), INFORMATIONAL: {}, TRAILERS: {}}
        scope["lighterage.pipe"] = partial(open_pipe, cycle)
        await self._app(scope, _receiver(cycle, receive), _sender(cycle, send))


def _receiver(cycle: Any, receive: Receive) -> Receive:
    async def receive_all() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect" and cycle.body and not cycle.response_complete:
            # They were received, and a client that asks for the offset expects to find them. The end comes next.
            body, cycle.body = bytes(cycle.body), b""
            return {"type": "http.request", "body": body, "more_body": cycle.more_body}
        return message

    return receive_all


def _sender(cycle: Any, send: Send) -> Send:
    awaits_trailers = False

    async def send_any(message: Message) -> None:
        nonlocal awaits_trailers
        if message["type"] == INFORMATIONAL:
            if not cycle.disconnected:
                cycle.transport.write(b"HTTP/1.1 %d \r\n%b\r\n" % (message["status"], _fields(message)))
            return
        if message["type"] == TRAILERS:
            if not awaits_trailers:
                return
            if not cycle.disconnected:
                cycle.transport.write(b"0\r\n%b\r\n" % _fields(message))
            # RFC 9112, 7.1: the last chunk is written now; uvicorn must not write one of its own.
            cycle.chunked_encoding, cycle.expected_content_length = False, 0
            await send({"type": "http.response.body", "body": b""})
            return
        if message["type"] == "http.response.start":
            await send(message)
            awaits_trailers = message.get("trailers", False) and cycle.chunked_encoding
            return
        if awaits_trailers and not message.get("more_body", False):
            message = {**message, "more_body": True}
        await send(message)

    return send_any


def _fields(message: Message) -> bytes:
    return b"".join(name + b": " + value + b"\r\n" for name, value in message["headers"])
