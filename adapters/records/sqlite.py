"""
Records in one SQLite file: the default, with no server to run.

Several processes may use the file at once. Reads that an index answers run on the event loop, where they are done
before a thread would have started; the others run in threads.
"""

import asyncio
import contextlib
import errno
import json
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Generic, Self, TypeVar

from adapters.records.codec import GET_MANY_MAX, ONCE_KEYS_KEPT, Codec, Stored, unkeepable
from adapters.records.paging import Steps, Stretch, steps
from adapters.records.sqlite_query import quoted, stretch_sql, where_sql
from adapters.records.sqlite_schema import fit, next_number
from adapters.records.sqlite_writer import Gate, Writer, store_error
from domain.errors import Conflict, NotFound, StoreFull, StoreUnavailable
from domain.page import Comparison, Condition, Order, Page, PageRequest, Value
from domain.records import Add, Delete, Increment, Kind, R, Save, Write

T = TypeVar("T")

READ_THREADS = 2
CHANGES_POLL_SECONDS = 0.05
_READ_TIMEOUT_MS = 250  # a reader waits only while a database that was left by a crash is being put in order
_CACHE_KIB = 8192
_WAL_PAGES = 4000  # 16 MiB: fewer, larger checkpoints than SQLite's own 1,000
_RANGES = {Comparison.AT_LEAST, Comparison.BELOW, Comparison.STARTS_WITH}


class SqliteRecords:
    """
    The records port on one file. `open` makes one.

    Beside the file `path` stand `path-wal`, `path-shm` and `path-gate`; a backup is made with SQLite's own means.
    """

    def __init__(self, path: Path, kinds: Sequence[Kind[Any]]) -> None:
        with contextlib.ExitStack() as opening:
            self._gate = opening.enter_context(contextlib.closing(Gate(path.with_name(path.name + "-gate"))))
            self._gate.enter()  # putting a file in order is for one process alone
            self._writing = opening.enter_context(contextlib.closing(_connect(path)))
            _prepare(self._writing, kinds)
            self._gate.leave()
            self._reader = opening.enter_context(contextlib.closing(_Reader(path)))
            self._opened = opening.pop_all()
        self._listeners: set[asyncio.Event] = set()
        self._writer = Writer(self._writing, self._gate, on_commit=self._wake)
        self._collections = {
            kind.name: SqliteCollection(kind, _Table(kind, self._writing), self._reader, self._writer) for kind in kinds
        }

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, kinds: Sequence[Kind[Any]]) -> AsyncIterator[Self]:
        """
        Open a database for the time of an `async with`, and make its tables fit the kinds.

        Args:
            path: Made where it is missing; its directory has to be there.
            kinds: All that will be asked for.

        Raises:
            StoreUnavailable, StoreFull: The file cannot be opened, is no database, or has no room.
            Conflict: Records that are there break a unique group that was declared since.
        """
        try:
            records = await asyncio.to_thread(cls, path, kinds)
        except sqlite3.Error as error:
            raise store_error(error) from error
        except OSError as error:
            raise (StoreFull() if error.errno == errno.ENOSPC else StoreUnavailable("database")) from error
        try:
            yield records
        finally:
            await records._close()

    def collection(self, kind: Kind[R]) -> "SqliteCollection[R]":
        found: SqliteCollection[R] = self._collections[kind.name]
        return found

    async def write(self, first: Write, /, *rest: Write) -> None:
        """Do them all or none."""
        writes = [self._collections[one.kind.name].prepare(one) for one in (first, *rest)]
        await self._writer.do(writes[0] if not rest else partial(self._all_or_none, writes))

    async def ping(self) -> None:
        beat = 'INSERT INTO "_state" VALUES (\'beat\', 1) ON CONFLICT ("name") DO UPDATE SET "value" = "value" + 1'
        await self._writer.do(partial(self._writing.execute, beat))

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

    def _all_or_none(self, writes: Iterable[Callable[[], object]]) -> None:
        self._writing.execute("SAVEPOINT several")
        try:
            for write in writes:
                write()
        except BaseException:
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK TO several")
                self._writing.execute("RELEASE several")
            raise
        self._writing.execute("RELEASE several")

    async def _close(self) -> None:
        await self._writer.close()
        await asyncio.to_thread(self._opened.close)


class SqliteCollection(Generic[R]):
    """The collection port on one table."""

    def __init__(self, kind: Kind[R], table: "_Table[R]", reader: "_Reader", writer: Writer) -> None:
        self._kind = kind
        self._table = table
        self._codec = table.codec
        self._reader = reader
        self._writer = writer
        self._select = f'SELECT "_document" FROM {quoted(kind.name)} WHERE "tenant_id" = ?'  # noqa: S608
        self._indexed = {(frozenset(group[:-1]), group[-1]) for group in kind.indexes}
        self._indexed |= {(frozenset(group), "id") for group in ((), *kind.indexes)}
        if kind.sequence is not None:
            self._indexed.add((frozenset(), kind.sequence))
        self._get = self._select + ' AND "id" = ?'
        self._get_many = self._select + ' AND "id" IN (SELECT "value" FROM json_each(?))'  # noqa: S608

    # ---- reads

    async def get(self, tenant_id: str, id: str, /) -> R:
        rows = self._reader.rows(self._get, (tenant_id, id))
        if not rows:
            raise NotFound(self._codec.noun)
        return self._codec.decode(rows[0][0])

    async def find(self, tenant_id: str, /, **unique: Value) -> R | None:
        assert any(set(group) == unique.keys() for group in self._kind.unique), "find goes by a unique group"
        if None in unique.values():
            return None
        where, parameters = where_sql([Condition(name, Comparison.EQUALS, value) for name, value in unique.items()])
        rows = self._reader.rows(self._select + where, [tenant_id, *parameters])
        return self._codec.decode(rows[0][0]) if rows else None

    async def get_many(self, tenant_id: str, ids: Sequence[str], /) -> dict[str, R]:
        assert len(ids) <= GET_MANY_MAX
        rows = self._reader.rows(self._get_many, (tenant_id, json.dumps(ids)))
        return {record.id: record for (document,) in rows for record in (self._codec.decode(document),)}

    async def list(
        self, tenant_id: str, /, where: Sequence[Condition] = (), *, order: Order, page: PageRequest
    ) -> Page[R]:
        if self._is_indexed(where, order):
            return self._page(self._reader.rows, tenant_id, where, order, page)
        return await self._reader.in_thread(lambda rows: self._page(rows, tenant_id, where, order, page))

    async def count(self, tenant_id: str, /, where: Sequence[Condition] = ()) -> int:
        return await self._number("count(*)", tenant_id, where)

    async def sum(self, tenant_id: str, field: str, /, where: Sequence[Condition] = ()) -> int:
        return await self._number(f"coalesce(sum({quoted(field)}), 0)", tenant_id, where)

    async def scan(self, where: Sequence[Condition], *, order: Order, limit: int) -> Sequence[R]:
        table, (conditions, parameters) = quoted(self._kind.name), where_sql(where)
        direction = "DESC" if order.descending else "ASC"
        by = ", ".join(f"{quoted(name)} {direction}" for name in dict.fromkeys([order.field, "id", "tenant_id"]))
        # Indexes begin with the tenant: going from tenant to tenant finds few among many without reading all.
        sql = (
            f'WITH RECURSIVE "tenants"("tenant") AS (SELECT min("tenant_id") FROM {table} UNION ALL'  # noqa: S608
            f' SELECT (SELECT min("tenant_id") FROM {table} WHERE "tenant_id" > "tenant") FROM "tenants"'
            ' WHERE "tenant" IS NOT NULL)'
            f' SELECT "_document" FROM "tenants" CROSS JOIN {table} WHERE "tenant_id" = "tenant"{conditions}'
            f" ORDER BY {by} LIMIT ?"
        )
        rows = await self._reader.in_thread(lambda rows: rows(sql, [*parameters, limit]))
        return [self._codec.decode(document) for (document,) in rows]

    # ---- writes

    async def add(self, record: R) -> R:
        return await self._writer.do(self._table.add(record))

    async def save(self, record: R, *, expected_revision: int) -> R:
        return await self._writer.do(self._table.save(record, expected_revision))

    async def increment(
        self,
        tenant_id: str,
        id: str,
        /,
        amounts: Mapping[str, int],
        *,
        at_most: Mapping[str, int] | None = None,
        once: str | None = None,
    ) -> R:
        increment = Increment(self._kind, tenant_id, id, amounts, at_most or {}, once)
        return await self._writer.do(partial(self._table.increment, increment))

    async def delete(self, tenant_id: str, id: str, /) -> None:
        await self._writer.do(partial(self._table.delete, tenant_id, id))

    def prepare(self, write: Write) -> Callable[[], object]:
        """Give what does this write, to be called in a transaction of the writer."""
        if isinstance(write, Add):
            return self._table.add(write.record, if_absent=write.if_absent)
        if isinstance(write, Save):
            return self._table.save(write.record, write.expected_revision)
        if isinstance(write, Delete):
            return partial(self._table.delete, write.tenant_id, write.id)
        return partial(self._table.increment, write)

    # ---- how

    def _is_indexed(self, where: Sequence[Condition], order: Order) -> bool:
        """Tell whether one index serves all the conditions and the order, so that a page is a few dozen rows."""
        fixed = frozenset(one.field for one in where if one.comparison is Comparison.EQUALS)
        ranged = {one.field for one in where if one.comparison in _RANGES}
        return (
            all(one.field in (fixed if one.comparison is Comparison.EQUALS else ranged) for one in where)
            and ranged <= {order.field}
            and (fixed, order.field) in self._indexed
        )

    def _page(
        self, rows: "Rows", tenant_id: str, where: Sequence[Condition], order: Order, request: PageRequest
    ) -> Page[R]:
        conditions, parameters = where_sql(where)
        select = self._select + conditions

        def read(stretch: Stretch, limit: int) -> list[R]:
            place, more = stretch_sql(stretch)
            found = rows(f"{select}{place} LIMIT ?", [tenant_id, *parameters, *more, limit])
            return [self._codec.decode(document) for (document,) in found]

        reading: Steps[R] = steps(order, request, is_nullable=self._codec.is_nullable(order.field))
        try:
            step = next(reading)
            while True:
                step = reading.send(read(*step))
        except StopIteration as done:
            page: Page[R] = done.value
            return page

    async def _number(self, expression: str, tenant_id: str, where: Sequence[Condition]) -> int:
        conditions, parameters = where_sql(where)
        sql = f'SELECT {expression} FROM {quoted(self._kind.name)} WHERE "tenant_id" = ?{conditions}'  # noqa: S608
        rows = await self._reader.in_thread(lambda rows: rows(sql, [tenant_id, *parameters]))
        number: int = rows[0][0]
        return number


class _Table(Generic[R]):
    """The writes of one table. What these methods return or do runs in a transaction of the writer, and there alone."""

    def __init__(self, kind: Kind[R], connection: sqlite3.Connection) -> None:
        self.codec = Codec(kind)
        self._kind = kind
        self._connection = connection
        table, fields = quoted(kind.name), [quoted(field) for field in self.codec.fields]
        columns = ['"tenant_id"', '"id"', '"revision"', '"_document"', *fields]
        key = '"tenant_id" = ? AND "id" = ?'
        self._fields = fields
        self._insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        self._insert_if_absent = self._insert + ' ON CONFLICT ("tenant_id", "id") DO NOTHING'
        self._compare = f"SELECT {', '.join(columns[2:3] + fields)} FROM {table} WHERE {key}"  # noqa: S608
        self._updates: dict[tuple[int, ...], str] = {}
        self._get = f'SELECT "_document" FROM {table} WHERE {key}'  # noqa: S608
        self._delete = f"DELETE FROM {table} WHERE {key}"  # noqa: S608

    def add(self, record: R, *, if_absent: bool = False) -> Callable[[], R]:
        insert = self._insert_if_absent if if_absent else self._insert
        sequence = self._kind.sequence
        if sequence is None:
            new = self.codec.change(record, {"revision": 1})
            row = self._row(new)

            def do() -> R:
                self._run(insert, [new.tenant_id, new.id, *row])
                return new

        else:

            def do() -> R:
                number = next_number(self._connection, self._kind, record.tenant_id)
                new = self.codec.change(record, {"revision": 1, sequence: number})
                self._run(insert, [new.tenant_id, new.id, *self._row(new)])
                return new

        return do

    def save(self, record: R, expected_revision: int) -> Callable[[], R]:
        new = self.codec.change(record, {"revision": expected_revision + 1})
        document, values = self.codec.encode(new), self.codec.values(new)

        def do() -> R:
            rows = self._run(self._compare, (new.tenant_id, new.id)).fetchall()
            if not rows:
                raise NotFound(self.codec.noun)
            revision, *old = rows[0]
            if revision != expected_revision:
                raise Conflict(f"the {self.codec.noun} was changed by another")
            self._replace(new, document, values, old)
            return new

        return do

    def increment(self, increment: Increment) -> R:
        tenant_id, identifier, once = increment.tenant_id, increment.id, increment.once
        rows = self._run(self._get, (tenant_id, identifier)).fetchall()
        if not rows:
            raise NotFound(self.codec.noun)
        record = self.codec.decode(rows[0][0])
        if once is not None and self._run(_HAD_ONCE, (self._kind.name, tenant_id, identifier, once)).fetchall():
            return record
        new = self.codec.add_to(record, increment.amounts)
        for field, most in increment.at_most.items():
            if getattr(new, field) > most:
                raise Conflict(f"{field} of the {self.codec.noun} would be more than {most}")
        self._replace(new, self.codec.encode(new), self.codec.values(new), self.codec.values(record))
        if once is not None:
            self._remember(new, once)
        return new

    def delete(self, tenant_id: str, identifier: str) -> None:
        self._run(self._delete, [tenant_id, identifier])
        self._run(_FORGET, [self._kind.name, tenant_id, identifier])

    def _replace(self, new: R, document: bytes, values: Sequence[Stored], old: Sequence[Stored]) -> None:
        """Write over a record. Columns that stay are left out, since SQLite writes every index that is mentioned."""
        changed = tuple(index for index, (one, other) in enumerate(zip(values, old, strict=True)) if one != other)
        update = self._updates.get(changed) or self._update(changed)
        fresh = [values[index] for index in changed]
        self._run(update, [new.revision, document, *fresh, new.tenant_id, new.id])

    def _update(self, changed: tuple[int, ...]) -> str:
        columns = ['"revision"', '"_document"', *(self._fields[index] for index in changed)]
        assignments = ", ".join(f"{column} = ?" for column in columns)
        update = f'UPDATE {quoted(self._kind.name)} SET {assignments} WHERE "tenant_id" = ? AND "id" = ?'  # noqa: S608
        self._updates[changed] = update
        return update

    def _remember(self, record: R, once: str) -> None:
        self._run(_REMEMBER, [self._kind.name, record.tenant_id, record.id, once, record.revision])
        if record.revision % ONCE_KEYS_KEPT == 0:
            oldest = record.revision - ONCE_KEYS_KEPT
            self._run(_FORGET + ' AND "revision" <= ?', [self._kind.name, record.tenant_id, record.id, oldest])

    def _row(self, record: R) -> list[Stored | bytes]:
        return [record.revision, self.codec.encode(record), *self.codec.values(record)]

    def _run(self, sql: str, parameters: Sequence[Stored | bytes]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, parameters)
        except (UnicodeEncodeError, OverflowError) as error:
            raise unkeepable(error) from error


_HAD_ONCE = 'SELECT 1 FROM "_once" WHERE "kind" = ? AND "tenant_id" = ? AND "id" = ? AND "key" = ?'
_REMEMBER = 'INSERT INTO "_once" ("kind", "tenant_id", "id", "key", "revision") VALUES (?, ?, ?, ?, ?)'
_FORGET = 'DELETE FROM "_once" WHERE "kind" = ? AND "tenant_id" = ? AND "id" = ?'


# ---- reading


Rows = Callable[[str, Sequence[Stored]], list[tuple[Any, ...]]]


class _Reader:
    """Connections that only read: one for the event loop, and one for each thread."""

    def __init__(self, path: Path) -> None:
        self._inline = _connect(path, timeout_ms=_READ_TIMEOUT_MS, is_reader=True)
        self._all = [_connect(path, timeout_ms=_READ_TIMEOUT_MS, is_reader=True) for _ in range(READ_THREADS)]
        self._idle: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        for connection in self._all:
            self._idle.put(connection)
        self._threads = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="sqlite-reader")

    def rows(self, sql: str, parameters: Sequence[Stored]) -> list[tuple[Any, ...]]:
        """Read at once, on the event loop."""
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


def _connect(path: Path, *, timeout_ms: int = 0, is_reader: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=timeout_ms / 1000, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    if is_reader:
        connection.execute("PRAGMA query_only = ON")
    return connection


def _prepare(connection: sqlite3.Connection, kinds: Sequence[Kind[Any]]) -> None:
    """Set up a connection that writes, and the file."""
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute("BEGIN IMMEDIATE")
    fit(connection, kinds)
    connection.execute("COMMIT")
    connection.execute("PRAGMA busy_timeout = 0")
