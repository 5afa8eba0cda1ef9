"""
A network of our own between a client and a server: it cuts, resets, stalls, slows, where and when a test says.

It runs in a thread of its own, so that tests and clients of any kind may use it and wait.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

PIECE_BYTES = 256 * 1024
ACT_SECONDS_MAX = 60

T = TypeVar("T")


class Break(Enum):
    """What happens to a connection."""

    CLOSE = "both ends are closed in order"
    RESET = "both ends are told that the connection is gone"
    SILENCE = "nothing passes any more, and nobody is told"
    HALF_CLOSE = "the server is told that the client has no more to send; its answer still passes"


Act = Break | Callable[[], None]


class Network:
    """
    Hands on what comes to its port, in both directions.

    Attributes:
        url: Where clients find the server.
        server_url: Where it was at first.
        passed: Bytes that were handed on to the server, over all connections.
        rate: Bytes a second towards the server at most, a connection; None: as fast as it goes.
    """

    def __init__(self, server_url: str) -> None:
        self.server_url = server_url
        self._server: tuple[str, int] | None = _address(server_url)
        self.passed = 0
        self.rate: int | None = None
        self._plan: list[tuple[int, Act]] = []
        self._flows = asyncio.Event()
        self._flows.set()
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
        self._listener.setblocking(False)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._accepting = asyncio.run_coroutine_threadsafe(self._accept(), self._loop)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._accepting.cancel()
        self._run(self._break_all(Break.CLOSE))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._listener.close()

    # ---- told by tests

    def lead_to(self, server_url: str | None) -> None:
        """Lead new connections to a server's new address; None: nowhere, they are reset."""
        self._server = None if server_url is None else _address(server_url)

    def plan(self, *acts: tuple[int, Act]) -> None:
        """
        Do each act as soon as exactly so many bytes have passed towards the server, counted over all connections.

        A break is of the connection whose byte it was. What else can be called is called in a thread, and that
        connection's bytes wait until it returns.
        """
        self._plan = sorted(acts, key=lambda one: one[0])

    @property
    def is_done(self) -> bool:
        """Tell whether all that was planned has happened."""
        return not self._plan

    def break_all(self, how: Break) -> None:
        """Break every connection there is; new ones are let in."""
        self._run(self._break_all(how))

    def stall(self) -> None:
        """Take bytes and connections, but let nothing through, in either direction."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def flow(self) -> None:
        self._loop.call_soon_threadsafe(self._flows.set)

    # ---- in the loop

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ACT_SECONDS_MAX)

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            task = self._loop.create_task(self._serve(_Connection(client)))
            task.add_done_callback(lambda task: self._connections.pop(task, None))

    async def _serve(self, connection: "_Connection") -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = connection
        try:
            if self._server is None:
                connection.ends_by = Break.RESET
                return
            await connection.open(self._server)
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(self._hand_on(connection))
                pumps.create_task(self._hand_back(connection))
        except* (OSError, _Ended):
            pass
        finally:
            connection.end()

    async def _hand_on(self, connection: "_Connection") -> None:
        buffer = memoryview(bytearray(PIECE_BYTES))
        while True:
            room = min(PIECE_BYTES, self._plan[0][0] - self.passed) if self._plan else PIECE_BYTES
            count = await self._loop.sock_recv_into(connection.client, buffer[: max(1, room)])
            await self._flows.wait()
            await connection.be_heard()
            if count == 0:
                connection.server.shutdown(socket.SHUT_WR)
                return
            await self._loop.sock_sendall(connection.server, buffer[:count])
            self.passed += count
            if self.rate is not None:
                await asyncio.sleep(count / self.rate)
            while self._plan and self.passed >= self._plan[0][0]:
                await self._act(connection, self._plan.pop(0)[1])

    async def _hand_back(self, connection: "_Connection") -> None:
        buffer = memoryview(bytearray(PIECE_BYTES))
        while True:
            count = await self._loop.sock_recv_into(connection.server, buffer)
            await self._flows.wait()
            await connection.be_heard()
            if count == 0:
                raise _Ended
            await self._loop.sock_sendall(connection.client, buffer[:count])

    async def _act(self, connection: "_Connection", act: Act) -> None:
        if not isinstance(act, Break):
            await self._loop.run_in_executor(None, act)
        elif connection.suffer(act):
            raise _Ended
        else:
            await connection.be_heard()
            await asyncio.Event().wait()

    async def _break_all(self, how: Break) -> None:
        ended = [task for task, connection in self._connections.items() if connection.suffer(how)]
        for task in ended:
            task.cancel()
        if ended:
            await asyncio.wait(ended)


class _Ended(Exception):
    """One end of the connection is gone, so the other goes too."""


class _Connection:
    """A client's socket and the server's behind it."""

    def __init__(self, client: socket.socket) -> None:
        self.client = client
        self.server = socket.socket()
        self.ends_by = Break.CLOSE
        self._is_silent = False
        for one in (self.client, self.server):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def open(self, server: tuple[str, int]) -> None:
        await asyncio.get_running_loop().sock_connect(self.server, server)

    def suffer(self, how: Break) -> bool:
        """Break it; tell whether that ends it, which is for the caller to do."""
        if how is Break.SILENCE:
            self._is_silent = True
        elif how is Break.HALF_CLOSE:
            self.server.shutdown(socket.SHUT_WR)
        else:
            self.ends_by = how
        return how in (Break.CLOSE, Break.RESET)

    async def be_heard(self) -> None:
        """Wait for ever where nothing passes any more."""
        if self._is_silent:
            await asyncio.Event().wait()

    def end(self) -> None:
        """Close both sockets. Nobody may be waiting for them: their numbers are used again at once."""
        for one in (self.client, self.server):
            with suppress(OSError):
                if self.ends_by is Break.RESET:  # close then resets instead of taking leave
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.close()


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
