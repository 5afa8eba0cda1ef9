"""The connections of a process: how they are set up, and those that only read."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from adapters.records.codec import Stored, unkeepable
from adapters.records.sqlite.schema import fit
from adapters.records.sqlite.writer import store_error
from domain.errors import StoreUnavailable
from domain.records import Kind

T = TypeVar("T")

READ_THREADS = 2
_READ_TIMEOUT_MS = 250  # a reader waits only while a database that was left by a crash is being put in order
_CACHE_KIB = 4096
_THREAD_CACHE_KIB = 1024  # what runs there goes through more than any cache holds
_WAL_PAGES = 16_000  # 64 MiB: a page that is written again and again is copied back once
_WAL_BYTES_KEPT = 64 * 2**20  # what the file is cut back to after a long reader made it grow


# Runs a SELECT with parameters and gives its rows.
Rows = Callable[[str, Sequence[Stored]], list[tuple[Any, ...]]]


class Reader:
    """
    Connections that only read: one for the event loop, and one for each thread.

    Args:
        idle_connection: Gives the writing connection where it can be read by at once: what it wrote it has at hand.
    """

    def __init__(self, path: Path, idle_connection: Callable[[], sqlite3.Connection | None]) -> None:
        self._idle_connection = idle_connection
        self._inline = _connect_to_read(path, cache_kib=_CACHE_KIB)
        self._all = [_connect_to_read(path, cache_kib=_THREAD_CACHE_KIB) for _ in range(READ_THREADS)]
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for connection in self._all:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="sqlite-reader")

    def rows(self, sql: str, parameters: Sequence[Stored]) -> list[tuple[Any, ...]]:
        """Read at once, on the event loop."""
        idle = self._idle_connection()
        if idle is not None:
            with suppress(StoreUnavailable):  # the file is being put in order, for which the other one waits
                return _rows(idle, sql, parameters)
        return _rows(self._inline, sql, parameters)

    async def in_thread(self, function: Callable[[Rows], T]) -> T:
        """Call a function in a thread, with what it reads by."""

        def call() -> T:
            connection = self._idle.get()
            try:
                return function(partial(_rows, connection))
            finally:
                self._idle.put(connection)

        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def version(self) -> int:
        """Give a number that is another one after any other connection has written."""
        number: int = self.rows("PRAGMA data_version", ())[0][0]
        return number

    def close(self) -> None:
        self._threads.shutdown()
        for connection in (self._inline, *self._all):
            connection.close()


def _rows(connection: sqlite3.Connection, sql: str, parameters: Sequence[Stored]) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(sql, parameters).fetchall()
    except (UnicodeEncodeError, OverflowError) as error:
        raise unkeepable(error) from error
    except sqlite3.Error as error:
        raise store_error(error) from error


def connect(path: Path, *, cache_kib: int = _CACHE_KIB, timeout_ms: int = 0) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=timeout_ms / 1000, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    return connection


def _connect_to_read(path: Path, *, cache_kib: int) -> sqlite3.Connection:
    connection = connect(path, cache_kib=cache_kib, timeout_ms=_READ_TIMEOUT_MS)
    connection.execute("PRAGMA query_only = ON")
    return connection


def prepare(connection: sqlite3.Connection, kinds: Sequence[Kind[Any]], *, syncs: bool) -> None:
    """Set up a connection that writes, and the file; `syncs` says whether a commit is to outlive a loss of power."""
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_mode = WAL")
    # Without the sync a loss of power takes the last transactions, and leaves those before them whole.
    connection.execute(f"PRAGMA synchronous = {'FULL' if syncs else 'NORMAL'}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
    connection.execute("BEGIN IMMEDIATE")
    fit(connection, kinds)
    connection.execute("COMMIT")
    connection.execute("PRAGMA busy_timeout = 0")
