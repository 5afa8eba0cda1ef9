"""
The one connection of a process that writes, and the grouping of writes into transactions.

Statements run on the event loop, since a thread would fight it for the interpreter at each of them; only what waits
for the disk or for another process (COMMIT, the gate) runs in a thread. Whatever comes meanwhile is the next group.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from domain.errors import Conflict, LighterageError, StoreFull, StoreUnavailable

T = TypeVar("T")

GROUP_MAX = 256  # writes in a transaction: some 5 ms of the event loop at most
GATE_TIMEOUT_SECONDS = 10.0  # other processes hold the gate for milliseconds; past this, one of them hangs
_FOREIGN_TIMEOUT_MS = 5000  # for a program that locks the file without our gate, such as the sqlite3 shell
_FULL = {sqlite3.SQLITE_FULL}


def store_error(error: sqlite3.Error) -> LighterageError:
    """Say what went wrong in the port's words."""
    if isinstance(error, sqlite3.IntegrityError):
        return Conflict("another record has this id or one of its unique values")
    return StoreFull() if getattr(error, "sqlite_errorcode", 0) & 0xFF in _FULL else StoreUnavailable("database")


class Gate:
    """
    Lets the processes that write to one database in one at a time.

    SQLite's own lock is polled and starves some; waiting for a file lock wakes up when it is free. A killed process
    leaves it open.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def enter(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def try_enter(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def leave(self) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)


class Writer:
    """
    Runs writes in the order they come, many to a transaction, and answers when that is durable.

    Args:
        connection: In autocommit mode and with no busy timeout; used by nobody else, from two threads in turn.
        on_commit: Called on the event loop after each group.
    """

    def __init__(self, connection: sqlite3.Connection, gate: Gate, *, on_commit: Callable[[], None]) -> None:
        self._connection = connection
        self._gate = gate
        self._on_commit = on_commit
        self._waiting: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")

    async def do(self, write: Callable[[], T]) -> T:
        """
        Run a write, which raises a LighterageError or sqlite3.IntegrityError having changed nothing, or returns.

        A cancellation leaves open whether it happens.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, future))
        if self._task is None:
            self._task = asyncio.create_task(self._work_off())
        return await future

    async def close(self) -> None:
        """Finish what was asked for, then give back the threads. The connection stays open."""
        if self._task is not None:
            await asyncio.wait({self._task})
        self._thread.shutdown()

    # ---- groups

    async def _work_off(self) -> None:
        try:
            while self._waiting:
                await self._do_group()
        finally:
            self._task = None
            self._refuse_waiting()  # only an unforeseen fault or a cancellation leaves any

    async def _do_group(self) -> None:
        try:
            await self._begin()
        except sqlite3.Error as error:
            self._refuse_waiting(error)
            return

        answers: list[tuple[asyncio.Future[Any], Any]] = []
        fault: sqlite3.Error | None = None
        try:
            while self._waiting and len(answers) < GROUP_MAX:
                write, future = self._waiting.popleft()
                if future.done():
                    continue
                answers.append((future, None))
                answers[-1] = (future, _outcome(write))
        except sqlite3.Error as error:
            fault = error
        try:
            await self._in_thread(self._commit if fault is None else self._rollback)
        except sqlite3.Error as error:
            fault = error
            await self._in_thread(self._rollback)

        for future, answer in answers:
            if not future.done():
                _settle(future, answer if fault is None else store_error(fault))
        if fault is None:
            self._on_commit()

    async def _begin(self) -> None:
        """Open a transaction; while that takes too long, refuse what waits for it."""
        if self._gate.try_enter():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.Error:
                self._gate.leave()
            else:
                return
        begun = asyncio.ensure_future(self._in_thread(self._begin_patiently))
        while not (await asyncio.wait({begun}, timeout=GATE_TIMEOUT_SECONDS))[0]:
            self._refuse_waiting()
        await begun

    def _refuse_waiting(self, error: sqlite3.Error | None = None) -> None:
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(StoreUnavailable("database") if error is None else store_error(error))

    # ---- in the thread

    def _in_thread(self, function: Callable[[], None]) -> Awaitable[None]:
        return asyncio.get_running_loop().run_in_executor(self._thread, function)

    def _begin_patiently(self) -> None:
        self._gate.enter()
        try:
            self._connection.execute(f"PRAGMA busy_timeout = {_FOREIGN_TIMEOUT_MS}")
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            self._gate.leave()
            raise
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")

    def _commit(self) -> None:
        self._connection.execute("COMMIT")
        self._gate.leave()

    def _rollback(self) -> None:
        # After some faults SQLite has ended the transaction by itself; and what cannot be rolled back is not committed.
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._gate.leave()


def _outcome(write: Callable[[], Any]) -> Any:
    """
    Run one write of a group; its own refusal is its answer and leaves the others be.

    A fault of the database (not of this write) is raised, and undoes the group.
    """
    try:
        return write()
    except sqlite3.IntegrityError as error:
        return store_error(error)
    except sqlite3.Error:
        raise
    except Exception as error:  # handed to whoever asked for the write
        return error


def _settle(future: asyncio.Future[Any], answer: object) -> None:
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
