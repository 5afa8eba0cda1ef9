"""Answers whose bytes are made while they are sent, and no longer than somebody listens."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

TRAILERS = "http.response.trailers"  # ASGI's extension for fields after the body


async def disconnected(receive: Receive) -> None:
    """Wait until the client is gone: what is sent to it then is taken by the server, which says nothing."""
    while (await receive())["type"] != "http.disconnect":
        pass


class StreamResponse(Response):
    """
    Sends chunks as they come, the fields that they end with after them, and stops making them when the client goes.

    A fault before the first chunk can still be answered as one; after it the connection is cut, so that nobody takes
    what came for the whole.

    Args:
        chunks: Bytes, and at the end perhaps a mapping: trailer fields. They are lost where the server sends none.
        trailers: The names of these fields.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes | Mapping[str, str], None],
        headers: Mapping[str, str],
        *,
        trailers: tuple[str, ...] = (),
    ) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._chunks = chunks
        self._trailers = trailers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sending = asyncio.ensure_future(self._send(scope, send))
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not sending.done():
                sending.cancel()
            await asyncio.wait({sending, gone})
        if not sending.cancelled():
            sending.result()

    async def _send(self, scope: Scope, send: Send) -> None:
        takes_trailers = bool(self._trailers) and TRAILERS in (scope.get("extensions") or {})
        if takes_trailers:
            self.headers["trailer"] = ", ".join(self._trailers)
        start = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
            "trailers": takes_trailers,
        }
        ending: Mapping[str, str] = {}
        async with aclosing(self._chunks) as chunks:
            chunk = await anext(chunks, None)
            await send(start)
            while chunk is not None:
                if isinstance(chunk, bytes):
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                else:
                    ending = chunk
                chunk = await anext(chunks, None)
        await send({"type": "http.response.body", "body": b""})
        if takes_trailers:
            fields = [(name.encode(), value.encode()) for name, value in ending.items()]
            await send({"type": TRAILERS, "headers": fields, "more_trailers": False})
