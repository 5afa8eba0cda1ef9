"""
What uvicorn's exchange of one request keeps from an ASGI application, and uploads need.

Two things: bytes that came before the client went away (uvicorn's `receive` forgets them when it tells of the end), and
interim answers (104 Upload Resumption Supported). Both are reached through uvicorn's own object for the exchange; where
`receive` is not its method, as under another server or in a test, the application gets the scope as it is.
"""

from typing import Any

from lighterage.authentication import App, Message, Receive, Scope, Send

INFORMATIONAL = "http.response.informational"
_NEEDED = ("body", "disconnected", "more_body", "response_complete", "transport")


class Exchange:
    """The outermost layer under uvicorn. It offers the extension `http.response.informational`."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        cycle = getattr(receive, "__self__", None)
        if scope["type"] != "http" or not all(hasattr(cycle, name) for name in _NEEDED):
            await self._app(scope, receive, send)
            return
        scope["extensions"] = {**(scope.get("extensions") or {}), INFORMATIONAL: {}}
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
    async def send_any(message: Message) -> None:
        if message["type"] != INFORMATIONAL:
            await send(message)
        elif not cycle.disconnected:
            fields = b"".join(name + b": " + value + b"\r\n" for name, value in message["headers"])
            cycle.transport.write(b"HTTP/1.1 %d \r\n%b\r\n" % (message["status"], fields))

    return send_any
