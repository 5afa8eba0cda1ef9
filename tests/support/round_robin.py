"""A balancer of our own: each connection goes to the next server, and past one that takes none."""

import asyncio
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

PIECE_BYTES = 256 * 1024


class RoundRobin:
    """
    Hands connections on, in a thread of its own.

    Attributes:
        servers: Their addresses, in turn; may be changed at any time.
        taken: How many connections each address was given.
    """

    def __init__(self, servers: list[str]) -> None:
        self.servers = servers
        self.taken: dict[str, int] = {}
        self._next = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def _open(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0, family=socket.AF_INET)

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._hand_on(reader, writer)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(len(self.servers)):
            server = self.servers[self._next % len(self.servers)]
            self._next += 1
            address = urlsplit(server)
            try:
                from_server, to_server = await asyncio.open_connection(address.hostname, address.port)
            except OSError:
                continue
            self.taken[server] = self.taken.get(server, 0) + 1
            try:
                async with asyncio.TaskGroup() as both:
                    there = both.create_task(_pass(reader, to_server))
                    await _pass(from_server, writer)
                    there.cancel()
            finally:
                to_server.close()
            return


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await source.read(PIECE_BYTES):
            target.write(piece)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
