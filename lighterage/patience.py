"""
How long is waited for the bodies of requests that are no uploads.

uvicorn waits for ever, and a framework with it. Uploads have bounds of their own (`upload.body`), which keep what came;
here nothing is kept.
"""

import asyncio
import time
from collections.abc import Callable

import orjson

from domain.problem import CONTENT_TYPE
from lighterage.authentication import App, Message, Receive, Scope, Send


class Patience:
    """
    A layer over an application: a body that stops coming, or comes too slowly, is ended and answered with 408.

    To the application it looks as if the client had gone.
    """

    def __init__(
        self,
        app: App,
        *,
        idle_seconds: float,
        rate_min_bytes_per_second: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._now = now
        self._app = app
        self._idle_seconds = idle_seconds
        self._rate = rate_min_bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        waiting = _Waiting(receive, send, self._idle_seconds, self._rate, self._now)
        await self._app(scope, waiting.receive, waiting.send)
        if waiting.has_given_up and not waiting.has_started:
            await _tell(scope, send)


class _Waiting:
    def __init__(self, receive: Receive, send: Send, idle_seconds: float, rate: int, now: Callable[[], float]) -> None:
        self._now = now
        self._receive = receive
        self._send = send
        self._idle_seconds = idle_seconds
        self._rate = rate
        self._received = 0
        self._began_at = now()
        self._is_whole = False
        self.has_given_up = False
        self.has_started = False

    async def receive(self) -> Message:
        if self.has_given_up:
            return {"type": "http.disconnect"}
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._receive()
        except TimeoutError:
            self.has_given_up = True
            return {"type": "http.disconnect"}
        self._received += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        taken = self._now() - self._began_at
        if not self._is_whole and taken > self._idle_seconds and self._received < self._rate * taken:
            self.has_given_up = True
            return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        self.has_started = True
        await self._send(message)


def _has_body(scope: Scope) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") and value != b"0" for name, value in scope["headers"])


async def _tell(scope: Scope, send: Send) -> None:
    problem = {
        "type": "/problems/request_idle",
        "title": "Request idle",
        "status": 408,
        "detail": "no byte of the body came for too long, or too few",
        "code": "request_idle",
        "hint": "Send the request again, in one go.",
        "request_id": scope.get("lighterage.request_id"),
    }
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": 408, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(problem)})
