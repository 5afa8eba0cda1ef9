"""A way to a server that can be cut, stopped and opened again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Proxy:
    """Passes bytes on between a port of its own and a server, until told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._server_address = host, port
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0

    async def open(self) -> None:
        """Let clients in, on the same port as before."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Break off every connection and take no new one."""
        assert self._listener is not None
        self._listener.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stall(self) -> None:
        """Keep the connections, but let nothing through."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        there, back = await asyncio.open_connection(*self._server_address)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await asyncio.gather(self._pass(reader, back), self._pass(there, writer))
        finally:
            self._tasks.discard(task)
            for stream in (back, writer):
                stream.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while some := await source.read(65536):
            await self._flows.wait()
            target.write(some)
            await target.drain()
        target.transport.abort()


@asynccontextmanager
async def proxy_of(url: str) -> AsyncIterator[Proxy]:
    """Give an open proxy of the server at a URL."""
    address = urlsplit(url)
    proxy = Proxy(address.hostname or "127.0.0.1", address.port or 27017)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.cut()
