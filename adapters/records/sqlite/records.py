"""
The records port on one file, and its life: opening, writing several at once, telling of changes, closing.

Several processes may use the file at once.
"""

import asyncio
import contextlib
import errno
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from adapters.records.sqlite.collection import SqliteCollection
from adapters.records.sqlite.draft import Draft
from adapters.records.sqlite.reader import Reader, connect, prepare
from adapters.records.sqlite.table import Table
from adapters.records.sqlite.writer import Gate, Writer, store_error
from domain.errors import StoreFull, StoreUnavailable
from domain.records import Add, Kind, R, Save, Write

CHANGES_POLL_SECONDS = 0.05


class SqliteRecords:
    """
    The records port on one file. `open` makes one.

    Beside the file `path` stand `path-wal`, `path-shm` and `path-gate`; a backup is made with SQLite's own means.
    """

    def __init__(
        self, path: Path, kinds: Sequence[Kind[Any]], *, syncs: bool = True, waits_for_disk: bool = True
    ) -> None:
        with contextlib.ExitStack() as opening:
            self._gate = opening.enter_context(contextlib.closing(Gate(path.with_name(path.name + "-gate"))))
            self._gate.enter()  # putting a file in order is for one process alone
            self._writing = opening.enter_context(contextlib.closing(connect(path)))
            prepare(self._writing, kinds, syncs=syncs)
            self._gate.leave()
            self._reader = opening.enter_context(contextlib.closing(Reader(path, lambda: self._writer.idle_connection)))
            self._opened = opening.pop_all()
        self._listeners: set[asyncio.Event] = set()
        draft = Draft()
        self._writer = Writer(self._writing, self._gate, draft, on_commit=self._wake, waits_for_disk=waits_for_disk)
        self._collections = {
            kind.name: SqliteCollection(kind, Table(kind, self._writing, draft), self._reader, self._writer)
            for kind in kinds
        }

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path, kinds: Sequence[Kind[Any]], *, syncs: bool = True, waits_for_disk: bool = True
    ) -> AsyncIterator[Self]:
        """
        Open a database for the time of an `async with`, and make its tables fit the kinds.

        Args:
            path: Made where it is missing; its directory has to be there.
            kinds: All that will be asked for.
            syncs: Whether what is written outlives a loss of power, and not only of the process.
            waits_for_disk: Whether writing to the file may take its time; not so where it is in memory.

        Raises:
            StoreUnavailable, StoreFull: The file cannot be opened, is no database, or has no room.
            Conflict: Records that are there break a unique group that was declared since.
        """
        try:
            records = await asyncio.to_thread(cls, path, kinds, syncs=syncs, waits_for_disk=waits_for_disk)
        except sqlite3.Error as error:
            raise store_error(error) from error
        except OSError as error:
            raise (StoreFull() if error.errno == errno.ENOSPC else StoreUnavailable("database")) from error
        try:
            yield records
        finally:
            await records._close()

    def collection(self, kind: Kind[R]) -> SqliteCollection[R]:
        found: SqliteCollection[R] = self._collections[kind.name]
        return found

    async def write(self, first: Write, /, *rest: Write) -> None:
        """Do them all or none."""
        await self._writer.do(*self._steps((first, *rest)))

    async def ping(self) -> None:
        beat = 'INSERT INTO "_state" VALUES (\'beat\', 1) ON CONFLICT ("name") DO UPDATE SET "value" = "value" + 1'
        await self._writer.do(lambda: self._writing.execute(beat))

    async def changes(self) -> AsyncGenerator[None, None]:
        """
        Yield once, and then soon after anything was written: at once by this process, within 50 ms by another.

        Several writes may make one step, and a step may come with nothing new; but what is written after a step began
        brings another. It costs a look at the file each 50 ms while someone listens, so let one listen for all.
        """
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            while True:
                event.clear()
                version = self._reader.version()
                yield
                while not event.is_set() and self._reader.version() == version:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(CHANGES_POLL_SECONDS):
                            await event.wait()
        finally:
            self._listeners.discard(event)

    def _wake(self) -> None:
        for event in self._listeners:
            event.set()

    def _steps(self, writes: Sequence[Write]) -> list[Callable[[], object]]:
        """Give the steps of a write; what it saves more than once in a row is saved once, as nobody sees the others."""
        merged: list[tuple[Write, int]] = []  # with the revision that a Save expects to find
        saves: dict[tuple[str, ...], tuple[int, int]] = {}  # by record: place of the last Save, and what that leaves
        for one in writes:
            place, left = saves.pop(_key_of(one), (-1, -1))
            if not isinstance(one, Save):
                merged.append((one, 0))
                continue
            if one.expected_revision == left:
                merged[place] = one, merged[place][1]
            else:
                place = len(merged)
                merged.append((one, one.expected_revision))
            saves[_key_of(one)] = place, one.expected_revision + 1
        return [self._collections[one.kind.name].prepare(one, finds_revision=found) for one, found in merged]

    async def _close(self) -> None:
        await self._writer.close()
        await asyncio.to_thread(self._opened.close)


def _key_of(write: Write) -> tuple[str, ...]:
    if isinstance(write, Add | Save):
        return write.kind.name, write.record.tenant_id, write.record.id
    return write.kind.name, write.tenant_id, write.id
