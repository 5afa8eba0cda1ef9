"""
The use case of SQL over a file: who may, how the file is read, how much at once.

The dialect and its engine are `query`; what is here knows files and tenants.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from auth.policy import Action, require
from domain.blob import BlobKey, BlobStore, SelectCounts, SelectingBlobStore
from domain.clock import Clock
from domain.errors import LighterageError, NotFound, QueryLimitExceeded, RateLimited, SqlInvalid, StoreUnavailable
from domain.file import FILES, File, FileStatus
from domain.ids import FileId, TenantId, is_id
from domain.principal import Principal
from domain.records import Records
from domain.warehouse import WarehouseCounts
from query.dialect.parser import parse
from query.engine.facade import LocalFile, QueryEngine, QueryResult, Row, Statistics
from query.engine.sources import QuerySource
from query.errors import QueryError
from query.formats import InputFormat
from services.pushing import record_end, request_of
from services.reading import Format, OutputFormat, Reading, Select, format_of
from services.warehousing import Plan, Warehousing

BUSY_SECONDS = 2

# A JSON value: what a field of a record is to a client. A decimal is text, so that no digit is lost.
Cell = str | int | float | bool | list[object] | dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Stats:
    """
    What a query took.

    Attributes:
        bytes_scanned: Read of the file.
        bytes_processed: The same after decompression.
    """

    bytes_scanned: int
    bytes_processed: int
    bytes_returned: int
    rows_returned: int
    elapsed_ms: int


@dataclass(frozen=True, slots=True)
class SelectResult:
    """Rows up to a limit; `truncated` says that there are more."""

    columns: list[Column]
    rows: list[list[Cell]]
    truncated: bool
    stats: Stats


@dataclass(frozen=True, slots=True)
class Rows:
    columns: list[Column]
    rows: list[list[Cell]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a query has come, of the file's bytes."""

    stats: Stats
    bytes_total: int


@dataclass(frozen=True, slots=True)
class End:
    stats: Stats


@dataclass(frozen=True, slots=True)
class FileSchema:
    """What SQL sees in a file."""

    format: Format
    columns: list[Column]


@dataclass(frozen=True, slots=True)
class Profile:
    """What is in a table."""

    columns: list[Column]
    row_count: int


class QueryService:
    """
    Runs statements over files.

    Args:
        engine: None where SQL is switched off.
        path_of: Gives a finished blob's path where the store keeps files of this machine, else None.
        selecting: The store, where it may run queries itself (services.pushing says which).
        warehousing: A cluster that runs those over large files, where there is one.
        per_tenant_max: Queries of one tenant that run or wait at once; one more is told to try again.
    """

    def __init__(
        self,
        *,
        records: Records,
        blobs: BlobStore,
        engine: QueryEngine | None,
        path_of: Callable[[BlobKey], str] | None,
        clock: Clock,
        selecting: SelectingBlobStore | None = None,
        warehousing: Warehousing | None = None,
        per_tenant_max: int = 4,
    ) -> None:
        self._files = records.collection(FILES)
        self._blobs = blobs
        self._engine = engine
        self._path_of = path_of
        self._clock = clock
        self._selecting = selecting
        self._warehousing = warehousing
        self._per_tenant_max = per_tenant_max
        self._running: dict[TenantId, int] = defaultdict(int)

    async def select(self, principal: Principal, file_id: FileId, query: Select, *, limit: int) -> SelectResult:
        """
        Run a statement and give its first rows.

        Raises:
            SqlInvalid: The statement or the file is at fault; with S3 Select's code and the place in the SQL.
            QueryLimitExceeded, RateLimited: It took too much, or too many run at once.
        """
        async with self._open(await self._find(principal, file_id), query) as opened:
            result = opened.result
            rows: list[list[Cell]] = []
            async with aclosing(result.row_events()) as events:
                async for event in events:
                    rows += [] if isinstance(event, Statistics) else _cells(event)
                    if len(rows) > limit:
                        break
            kept = rows[:limit]
            stats = replace(_stats(result), rows_returned=len(kept))
            return SelectResult(_columns(result), kept, truncated=len(rows) > limit, stats=stats)

    async def select_rows(
        self, principal: Principal, file_id: FileId, query: Select
    ) -> AsyncGenerator[Rows | Progress | End, None]:
        """
        Run a statement and yield its rows as they are found, then the end; closing it ends the query.

        The first frame has the columns, if no rows yet.
        """
        async with self._open(await self._find(principal, file_id), query) as opened:
            columns = _columns(opened.result)
            yield Rows(columns, [])
            async with aclosing(opened.result.row_events()) as events:
                async for event in events:
                    if not isinstance(event, Statistics):
                        yield Rows(columns, _cells(event))
                    elif not opened.result.is_ended:
                        yield opened.progress()
            yield End(_stats(opened.result))

    async def select_text(
        self, principal: Principal, file_id: FileId, query: Select, output: OutputFormat, *, key: str | None = None
    ) -> AsyncGenerator[bytes | Progress | End, None]:
        """
        Run a statement and yield its records as text, whole ones, then the end; closing it ends the query.

        Args:
            key: The file was named by the key of its blob, so that it must be this one.
        """
        file = await self._find(principal, file_id)
        if key is not None and key != file.key:
            raise NotFound("file")
        request = self._pushed(file, query, output)
        if request is not None:
            async with self._counted(file), aclosing(self._select_there(file, request)) as there:
                async for answer in there:
                    yield answer
            return
        plan = await self._planned(file, query, output)
        if plan is not None:
            async with self._counted(file), aclosing(self._select_afar(file, plan)) as afar:
                async for found in afar:
                    yield found
            return
        async with self._open(file, query, output) as opened:
            async with aclosing(opened.result.events()) as events:
                async for event in events:
                    if not isinstance(event, Statistics):
                        yield event
                    elif not opened.result.is_ended:
                        yield opened.progress()
            yield End(_stats(opened.result))

    def _pushed(self, file: File, query: Select, output: OutputFormat) -> dict[str, object] | None:
        """Give what the store is to be asked; None where we answer ourselves."""
        if self._selecting is None or self._engine is None:
            return None
        try:
            parse(query.sql)  # a fault gets our words and its place
            output.check()
            return request_of(query.sql, _reading_of(file, query.reading), output)
        except QueryError as error:
            raise _fault(error) from error

    async def _select_there(
        self, file: File, request: dict[str, object]
    ) -> AsyncGenerator[bytes | Progress | End, None]:
        assert self._selecting is not None
        began, rows = self._clock.monotonic(), 0
        end = record_end(request)
        last = SelectCounts(0, 0, 0)

        def stats() -> Stats:
            elapsed_ms = int((self._clock.monotonic() - began) * 1000)
            return Stats(last.bytes_scanned, last.bytes_processed, last.bytes_returned, rows, elapsed_ms)

        async with aclosing(self._selecting.select(file.key, request)) as events:
            async for event in events:
                if isinstance(event, bytes):
                    # An estimate where a record delimiter stands in quotes: S3 does not count records.
                    rows += event.count(end)
                    yield event
                else:
                    last = event
                    yield Progress(stats(), file.size)
        yield End(stats())

    async def _planned(self, file: File, query: Select, output: OutputFormat) -> Plan | None:
        """Give what a cluster is to do; None where we answer ourselves."""
        if self._warehousing is None or self._engine is None:
            return None
        try:
            reading = _reading_of(file, query.reading)
            if not self._warehousing.wants(file, reading, self._engine.limits):
                return None
            columns = await self._engine.describe(self._source(file), reading)
            return self._warehousing.plan(file, query.sql, reading, output, [column.name for column in columns])
        except QueryError as error:
            raise _fault(error) from error

    async def _select_afar(self, file: File, plan: Plan) -> AsyncGenerator[bytes | Progress | End, None]:
        assert self._warehousing is not None
        assert self._engine is not None
        began, rows, returned, scanned = self._clock.monotonic(), 0, 0, 0

        def stats() -> Stats:
            elapsed_ms = int((self._clock.monotonic() - began) * 1000)
            return Stats(scanned, scanned, returned, rows, elapsed_ms)

        try:
            async with aclosing(self._warehousing.run(plan, self._engine.limits)) as events:
                async for event in events:
                    if isinstance(event, WarehouseCounts):
                        scanned = event.bytes_scanned
                        yield Progress(stats(), file.size)
                    else:
                        text, count = event
                        rows, returned = rows + count, returned + len(text)
                        yield text
        except QueryError as error:
            raise _fault(error) from error
        yield End(stats())

    async def schema_of(self, principal: Principal, file: File) -> FileSchema | None:
        """Give what SQL sees in a file, or None where it is none that can be queried."""
        require(principal, Action.QUERY_FILE, file)
        found = format_of(file)
        if found is None or self._engine is None:
            return None
        if file.status is not FileStatus.READY or file.is_gone(now=self._clock.now()):
            return None
        try:
            columns = await self._engine.describe(self._source(file), _reading_of(file, Reading()))
        except QueryError:
            return None  # what the file is called is one thing, what is in it another
        return FileSchema(found, [Column(column.name, column.type, nullable=True) for column in columns])

    async def profile_of(self, file: File) -> Profile:
        """
        Give the columns of a file with the types that their values have, and how many rows there are.

        For the job that is about a file which nobody may read yet: the caller has its lease.

        Raises:
            SqlInvalid: It cannot be read as what it says it is.
            QueryLimitExceeded: It took too much.
        """
        engine = self._engine
        if engine is None:
            raise SqlInvalid("SQL is switched off on this server", sql_code="UnsupportedFunction")
        reading = _reading_of(file, Reading())
        try:
            columns = await engine.describe(self._source(file), reading)
            async with engine.open("SELECT COUNT(*) FROM S3Object", self._source(file), input=reading) as result:
                rows = [row async for batch in result for row in batch]
        except QueryError as error:
            raise _fault(error) from error
        count = rows[0][0]
        assert isinstance(count, int | Decimal), "COUNT gives a number"
        return Profile([Column(column.name, column.type, nullable=True) for column in columns], int(count))

    @asynccontextmanager
    async def _open(
        self, file: File, query: Select, output: OutputFormat | None = None
    ) -> AsyncGenerator["_Opened", None]:
        engine = self._engine
        if engine is None:
            raise SqlInvalid("SQL is switched off on this server", sql_code="UnsupportedFunction")
        async with self._counted(file):
            try:
                reading = _reading_of(file, query.reading)
                async with engine.open(query.sql, self._source(file), input=reading, output=output) as result:
                    yield _Opened(result, file)
            except QueryError as error:
                raise _fault(error) from error

    @asynccontextmanager
    async def _counted(self, file: File) -> AsyncGenerator[None, None]:
        """Hold one of the tenant's places."""
        tenant_id = TenantId(file.tenant_id)
        if self._running[tenant_id] >= self._per_tenant_max:
            raise RateLimited(retry_after_seconds=BUSY_SECONDS)
        self._running[tenant_id] += 1
        try:
            yield
        finally:
            self._running[tenant_id] -= 1
            if self._running[tenant_id] == 0:
                del self._running[tenant_id]

    async def _find(self, principal: Principal, file_id: FileId) -> File:
        if principal.tenant_id is None:
            require(principal, Action.QUERY_FILE)
        if not is_id(file_id, "file") or principal.tenant_id is None:
            raise NotFound("file")
        file = await self._files.get(principal.tenant_id, file_id)
        require(principal, Action.QUERY_FILE, file)
        if file.is_gone(now=self._clock.now()):
            raise NotFound("file")
        file.require_ready()
        return file

    def _source(self, file: File) -> QuerySource:
        if self._path_of is not None:
            return LocalFile(Path(self._path_of(file.key)))
        return _StoredObject(self._blobs, file)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A query under way."""

    result: QueryResult
    file: File

    def progress(self) -> Progress:
        return Progress(_stats(self.result), self.file.size)


class _StoredObject:
    """A blob, read by ranges, so that a query of a few rows does not fetch the whole of it."""

    def __init__(self, blobs: BlobStore, file: File) -> None:
        self._blobs = blobs
        self._key = file.key
        self.size = file.size

    def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        return self._blobs.open(self._key, start=start, end=end)


def _reading_of(file: File, reading: Reading) -> InputFormat:
    return reading.of(name=file.name, content_type=file.content_type)


def _cells(rows: list[Row]) -> list[list[Cell]]:
    return [[_cell(value) for value in row] for row in rows]


def _cell(value: object) -> Cell:
    if isinstance(value, Decimal):
        return str(value)
    assert isinstance(value, str | int | float | bool | list | dict | None), "what the engine gives is JSON"
    return value


def _columns(result: QueryResult) -> list[Column]:
    return [Column(column.name, column.type, nullable=True) for column in result.columns]


def _stats(result: QueryResult) -> Stats:
    stats = result.stats
    return Stats(
        stats.scanned_bytes,
        stats.processed_bytes,
        stats.returned_bytes,
        stats.returned_rows,
        int(stats.elapsed_seconds * 1000),
    )


def _fault(error: QueryError) -> LighterageError:
    """Say in the product's words what went wrong in the engine."""
    if error.code == "Busy":
        return RateLimited(retry_after_seconds=BUSY_SECONDS)
    if error.code in _LIMIT_CODES:
        return QueryLimitExceeded(error.message)
    if error.code == "WorkerCrashed":
        return StoreUnavailable("query engine")
    at = error.position
    return SqlInvalid(error.message, sql_code=error.code, position=None if at is None else (at.line, at.column))


_LIMIT_CODES = frozenset({"QueryTimeout", "OverMaxScanSize", "OverMaxResultSize", "OverMaxMemory"})
