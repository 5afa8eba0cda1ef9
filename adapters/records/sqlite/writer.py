"""
The one connection of a process that writes, and the grouping of writes into transactions.

Statements run on the event loop, since a thread would fight it for the interpreter at each of them; only what waits
for the disk or for another process (COMMIT, the gate) runs in a thread. Whatever comes meanwhile is the next group;
where COMMIT waits for nothing, a group is what the requests of one turn of the event loop ask for.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from adapters.records.sqlite.draft import Draft
from domain.errors import Conflict, LighterageError, StoreFull, StoreUnavailable

T = TypeVar("T")

GROUP_MAX = 256  # writes in a transaction: some 5 ms of the event loop at most
GATHERING_TURNS = 2  # of the event loop that a group waits for company: microseconds, and a third fewer commits
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


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What somebody waits for: steps that happen together or not at all, the first of which gives the answer."""

    steps: tuple[Callable[[], Any], ...]
    future: asyncio.Future[Any]


class _HalfDone(Exception):
    """A step was refused behind one that changed something."""


class Writer:
    """
    Runs writes in the order they come, many to a transaction, and answers when that is durable.

    A group is run in good faith first: a write of several steps that is refused behind the first of them is rare, and
    a savepoint before each would be paid by all. Where it happens the group is undone, and run again with savepoints.

    Args:
        connection: In autocommit mode and with no busy timeout; used by nobody else, from two threads in turn.
        draft: What steps leave for the end of the transaction.
        on_commit: Called on the event loop after each group.
        waits_for_disk: Whether COMMIT does.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        gate: Gate,
        draft: Draft,
        *,
        on_commit: Callable[[], None],
        waits_for_disk: bool = True,
    ) -> None:
        self._connection = connection
        self._gate = gate
        self._draft = draft
        self._on_commit = on_commit
        self._waits_for_disk = waits_for_disk
        self._waiting: deque[_Wanted] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_idle = True
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite-writer")

    @property
    def idle_connection(self) -> sqlite3.Connection | None:
        """
        Give the connection for one read on the event loop, while no transaction is open and no thread has it.

        Its cache outlives its own commits; that of any other connection is void after each.
        """
        return self._connection if self._is_idle else None

    async def do(self, first: Callable[[], T], *rest: Callable[[], object]) -> T:
        """
        Run a write: all of its steps or none, each of which raises a LighterageError or sqlite3.IntegrityError having
        changed nothing, or returns. Gives what the first returned. Steps may be run more than once.

        A cancellation leaves open whether it happens.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Wanted((first, *rest), future))
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
        for _ in range(GATHERING_TURNS):
            await asyncio.sleep(0)
        self._is_idle = False
        group: list[_Wanted] = []
        try:
            await self._begin()
            group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_MAX))]
            await self._do(group)
        except sqlite3.Error as error:
            self._refuse_waiting(error)
        finally:
            self._is_idle = True
            self._refuse(group)  # only an unforeseen fault or a cancellation leaves any

    async def _do(self, group: list[_Wanted]) -> None:
        answers: list[Any] = []
        fault: sqlite3.Error | None = None
        try:
            answers = self._run(group)
            await self._off_loop(self._commit)
        except sqlite3.Error as error:
            fault = error
            await self._off_loop(self._rollback)

        for number, wanted in enumerate(group):
            if not wanted.future.done():
                _settle(wanted.future, answers[number] if fault is None else store_error(fault))
        if fault is None:
            self._on_commit()

    def _run(self, group: list[_Wanted]) -> list[Any]:
        """Give an answer or a refusal for each; a fault of the database (not of one write) is raised."""
        try:
            answers = [self._outcome(wanted) for wanted in group]
        except _HalfDone:
            self._draft.forget()
            self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            answers = [self._outcome_behind_savepoint(wanted) for wanted in group]
        self._draft.flush()
        return answers

    def _outcome(self, wanted: _Wanted) -> Any:
        if wanted.future.done():  # cancelled before it began
            return None
        before = self._connection.total_changes, self._draft.edits
        answer = _answer(wanted.steps)
        if isinstance(answer, Exception) and before != (self._connection.total_changes, self._draft.edits):
            raise _HalfDone
        return answer

    def _outcome_behind_savepoint(self, wanted: _Wanted) -> Any:
        if wanted.future.done():
            return None
        self._draft.flush()
        self._connection.execute("SAVEPOINT one")
        answer = _answer(wanted.steps)
        if isinstance(answer, Exception):
            self._draft.forget()
            self._connection.execute("ROLLBACK TO one")
        self._connection.execute("RELEASE one")
        return answer

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
        self._refuse(self._waiting, error)
        self._waiting.clear()

    def _refuse(self, group: Iterable[_Wanted], error: sqlite3.Error | None = None) -> None:
        for wanted in group:
            if not wanted.future.done():
                wanted.future.set_exception(StoreUnavailable("database") if error is None else store_error(error))

    async def _off_loop(self, function: Callable[[], None]) -> None:
        """Call what may wait for the disk."""
        if self._waits_for_disk:
            await self._in_thread(function)
        else:
            function()

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
        self._draft.forget()
        self._gate.leave()

    def _rollback(self) -> None:
        self._draft.forget()
        # After some faults SQLite has ended the transaction by itself; and what cannot be rolled back is not committed.
        with contextlib.suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        self._gate.leave()


def _answer(steps: tuple[Callable[[], Any], ...]) -> Any:
    """Run the steps of a write, whose own refusal is its answer and leaves the others be."""
    try:
        answer = steps[0]()
        for step in steps[1:]:
            step()
    except sqlite3.IntegrityError as error:
        return store_error(error)
    except sqlite3.Error:
        raise
    except Exception as error:  # handed to whoever asked for the write
        return error
    return answer


def _settle(future: asyncio.Future[Any], answer: object) -> None:
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(answer)
