"""
The use case of SQL over a file: who may, how the file is read, how much at once.

The dialect and its engine are `query`; what is here knows files and tenants.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from pathlib import Path

from auth.policy import Action, require
from domain.blob import BlobKey, BlobStore
from domain.clock import Clock
from domain.errors import LighterageError, NotFound, QueryLimitExceeded, RateLimited, SqlInvalid, StoreUnavailable
from domain.file import FILES, File, FileStatus
from domain.ids import FileId, TenantId, is_id
from domain.principal import Principal
from domain.records import Records
from query.engine.facade import LocalFile, QueryEngine, QueryResult
from query.engine.sources import QuerySource
from query.errors import QueryError
from query.formats import Compression, Header, InputFormat, JsonType, Kind, ScanRange

QUERIES_PER_TENANT_MAX = 4  # running or waiting at once
BUSY_SECONDS = 2

# A JSON value: what a field of a record is to a client. A decimal is text, so that no digit is lost.
Cell = str | int | float | bool | list[object] | dict[str, object] | None

_KINDS = {
    "text/csv": "CSV",
    "application/x-ndjson": "JSON_LINES",
    "application/json": "JSON_DOCUMENT",
    "application/vnd.apache.parquet": "PARQUET",
}
_SUFFIXES = {
    "csv": "CSV",
    "tsv": "CSV",
    "jsonl": "JSON_LINES",
    "ndjson": "JSON_LINES",
    "json": "JSON_DOCUMENT",
    "parquet": "PARQUET",
}
_COMPRESSIONS = {
    "application/gzip": Compression.GZIP,
    "application/x-bzip2": Compression.BZIP2,
    "application/zstd": Compression.ZSTD,
}
_COMPRESSION_SUFFIXES = ("gz", "bz2", "zst")


class Format(Enum):
    CSV = "CSV"
    JSON_LINES = "JSON_LINES"
    JSON_DOCUMENT = "JSON_DOCUMENT"
    PARQUET = "PARQUET"


@dataclass(frozen=True, slots=True)
class Select:
    """A statement, and how the file is to be read. `format` None: as the file's type and name tell."""

    sql: str
    format: Format | None = None
    csv_header: bool = True
    csv_delimiter: str = ","
    start_byte: int | None = None
    end_byte: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str
    nullable: bool


@dataclass(frozen=True, slots=True)
class Stats:
    bytes_scanned: int
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
    bytes_scanned: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class End:
    stats: Stats


@dataclass(frozen=True, slots=True)
class FileSchema:
    """What SQL sees in a file."""

    format: Format
    columns: list[Column]


class QueryService:
    """
    Runs statements over files.

    Args:
        engine: None where SQL is switched off.
        path_of: Gives a finished blob's path where the store keeps files of this machine, else None.
    """

    def __init__(
        self,
        *,
        records: Records,
        blobs: BlobStore,
        engine: QueryEngine | None,
        path_of: Callable[[BlobKey], str] | None,
        clock: Clock,
    ) -> None:
        self._files = records.collection(FILES)
        self._blobs = blobs
        self._engine = engine
        self._path_of = path_of
        self._clock = clock
        self._running: dict[TenantId, int] = defaultdict(int)

    async def select(self, principal: Principal, file_id: FileId, query: Select, *, limit: int) -> SelectResult:
        """
        Run a statement and give its first rows.

        Raises:
            SqlInvalid: The statement or the file is at fault; with S3 Select's code and the place in the SQL.
            QueryLimitExceeded, RateLimited: It took too much, or too many run at once.
        """
        async with self._open(principal, file_id, query) as result:
            rows: list[list[Cell]] = []
            async with aclosing(_batches(result)) as batches:
                async for batch in batches:
                    rows += batch
                    if len(rows) > limit:
                        break
            kept = rows[:limit]
            stats = replace(_stats(result), rows_returned=len(kept))
            return SelectResult(_columns(result), kept, truncated=len(rows) > limit, stats=stats)

    async def select_rows(
        self, principal: Principal, file_id: FileId, query: Select
    ) -> AsyncGenerator[Rows | Progress | End, None]:
        """Run a statement and yield its rows as they are found, then the end; closing it ends the query."""
        async with self._open(principal, file_id, query) as result:
            columns = _columns(result)
            async with aclosing(_batches(result)) as batches:
                async for batch in batches:
                    yield Rows(columns, batch)
            yield End(_stats(result))

    async def schema_of(self, principal: Principal, file: File) -> FileSchema | None:
        """Give what SQL sees in a file, or None where it is none that can be queried."""
        require(principal, Action.QUERY_FILE, file)
        found = format_of(file)
        if found is None or self._engine is None:
            return None
        if file.status is not FileStatus.READY or file.is_gone(now=self._clock.now()):
            return None
        try:
            columns = await self._engine.describe(self._source(file), _input_format(file, Select(sql="")))
        except QueryError:
            return None  # what the file is called is one thing, what is in it another
        return FileSchema(found, [Column(column.name, column.type, nullable=True) for column in columns])

    @asynccontextmanager
    async def _open(self, principal: Principal, file_id: FileId, query: Select) -> AsyncGenerator[QueryResult, None]:
        file = await self._find(principal, file_id)
        engine = self._engine
        if engine is None:
            raise SqlInvalid("SQL is switched off on this server", sql_code="UnsupportedFunction")
        tenant_id = TenantId(file.tenant_id)
        if self._running[tenant_id] >= QUERIES_PER_TENANT_MAX:
            raise RateLimited(retry_after_seconds=BUSY_SECONDS)
        self._running[tenant_id] += 1
        try:
            input_format = _input_format(file, query)
            async with engine.open(query.sql, self._source(file), input=input_format) as result:
                yield result
        except QueryError as error:
            raise _fault(error) from error
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


class _StoredObject:
    """A blob, read by ranges, so that a query of a few rows does not fetch the whole of it."""

    def __init__(self, blobs: BlobStore, file: File) -> None:
        self._blobs = blobs
        self._key = file.key
        self.size = file.size

    def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        return self._blobs.open(self._key, start=start, end=end)


def format_of(file: File) -> Format | None:
    """Tell how a file can be queried, by its type and then its name; None: not at all."""
    *_, suffix = _suffixes(file.name)
    name = _KINDS.get(file.content_type) or _SUFFIXES.get(suffix)
    if name is None and file.content_type == "text/plain":
        return Format.CSV
    return Format(name) if name is not None else None


def _suffixes(name: str) -> list[str]:
    """Give the suffixes that say what is in a file, without the one that says how it is packed."""
    suffixes = name.lower().split(".")[1:]
    if suffixes and suffixes[-1] in _COMPRESSION_SUFFIXES:
        suffixes.pop()
    return suffixes or [""]


def _input_format(file: File, query: Select) -> InputFormat:
    found = query.format or format_of(file) or Format.CSV
    scan_range = None
    if query.start_byte is not None or query.end_byte is not None:
        scan_range = ScanRange(query.start_byte or 0, query.end_byte)
    delimiter = query.csv_delimiter
    if delimiter == "," and _suffixes(file.name)[-1] == "tsv":
        delimiter = "\t"
    return InputFormat(
        kind={Format.CSV: Kind.CSV, Format.PARQUET: Kind.PARQUET}.get(found, Kind.JSON),
        compression=_COMPRESSIONS.get(file.content_type, Compression.NONE),
        header=Header.USE if query.csv_header else Header.NONE,
        delimiter=delimiter,
        json_type=JsonType.DOCUMENT if found is Format.JSON_DOCUMENT else JsonType.LINES,
        scan_range=scan_range,
    )


async def _batches(result: QueryResult) -> AsyncGenerator[list[list[Cell]], None]:
    async for batch in result:
        yield [[_cell(value) for value in row] for row in batch]


def _cell(value: object) -> Cell:
    if isinstance(value, Decimal):
        return str(value)
    assert isinstance(value, str | int | float | bool | list | dict | None), "what the engine gives is JSON"
    return value


def _columns(result: QueryResult) -> list[Column]:
    return [Column(column.name, column.type, nullable=True) for column in result.columns]


def _stats(result: QueryResult) -> Stats:
    stats = result.stats
    return Stats(stats.scanned_bytes, stats.returned_bytes, stats.returned_rows, int(stats.elapsed_seconds * 1000))


def _fault(error: QueryError) -> LighterageError:
    """Say in the product's words what went wrong in the engine."""
    if error.code == "Busy":
        return RateLimited(retry_after_seconds=BUSY_SECONDS)
    if error.code in _LIMIT_CODES:
        return QueryLimitExceeded(error.message)
    if error.code == "WorkerCrashed":
        return StoreUnavailable("query engine")
    return SqlInvalid(error.message, sql_code=error.code)


_LIMIT_CODES = frozenset({"QueryTimeout", "OverMaxScanSize", "OverMaxResultSize", "OverMaxMemory"})
