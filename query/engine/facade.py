"""
Queries for the rest of the product: an engine with a life, results that stream.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from query.dialect.parser import parse
from query.engine.frames import Frame, split_rows
from query.engine.pool import WorkerGone, WorkerOptions, WorkerProcess, open_read_only
from query.engine.request import Request
from query.engine.sources import READ, LocalFile, QuerySource, RangeReader
from query.errors import Position, QueryError
from query.formats import InputFormat, OutputFormat, OutputKind

_CANCEL_SECONDS: Final = 0.2  # the engine answers an interrupt in under 0.1 s; after this the process is killed

Cell = str | int | float | bool | Decimal | None | list[object] | dict[str, object]
Row = list[Cell]


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """
    Bounds of every query.

    Attributes:
        workers: Processes, and so queries at once; more wait.
        threads: Threads of each.
        timeout_seconds: How long a query may keep its reader waiting in all, and how long it may wait for a worker.
        memory_bytes: The engine's memory in each process, without the interpreter (about 60 MiB).
        scan_bytes_max: Largest source that may be read; None for no bound.
        result_bytes_max: Largest result; None for no bound.
        waiting_max: Queries that may wait for a worker; one more is refused as Busy.
    """

    workers: int = 2
    threads: int = 2
    memory_bytes: int = 128 << 20
    timeout_seconds: float = 60.0
    scan_bytes_max: int | None = None
    result_bytes_max: int | None = None
    waiting_max: int = 64


@dataclass(frozen=True, slots=True)
class ResultColumn:
    name: str
    type: str


@dataclass(slots=True)
class Statistics:
    """What S3 Select reports, and the time. Complete when the result has ended."""

    scanned_bytes: int = 0
    processed_bytes: int = 0
    returned_bytes: int = 0
    returned_rows: int = 0
    elapsed_seconds: float = 0.0


class QueryEngine:
    """
    A pool of locked worker processes.

    Use it as `async with`; it belongs to one event loop. `now` gives the moment of UTCNOW(); `is_locked` is False only
    in a test that proves the lock.
    """

    def __init__(
        self, limits: EngineLimits | None = None, *, now: Callable[[], datetime], is_locked: bool = True
    ) -> None:
        self.limits = limits or EngineLimits()
        self._now = now
        self._options = WorkerOptions(self.limits.threads, self.limits.memory_bytes, is_locked)
        self._idle: asyncio.Queue[WorkerProcess | None] = asyncio.Queue()
        self._waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: set[WorkerProcess] = set()

    async def __aenter__(self) -> Self:
        for worker in await asyncio.gather(*(WorkerProcess.start(self._options) for _ in range(self.limits.workers))):
            self._idle.put_nowait(worker)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        workers = list(self._busy)
        while not self._idle.empty():
            worker = self._idle.get_nowait()
            if worker is not None:
                workers.append(worker)
        await asyncio.gather(*(worker.kill() for worker in workers))

    @contextlib.asynccontextmanager
    async def open(
        self,
        sql: str,
        source: QuerySource | Path,
        *,
        input: InputFormat | None = None,  # the word of the field
        output: OutputFormat | None = None,
    ) -> AsyncIterator["QueryResult"]:
        """
        Run a query; the body of the `async with` reads the result.

        Args:
            sql: The query.
            source: A local file or an object that is read by ranges.
            input: How the file is to be read; CSV without a header if not said.
            output: How `chunks()` writes records; lists of values for `async for` if not said.

        Raises:
            QueryError: Before the body when the query is wrong, from the iteration when a record is.
        """
        parse(sql)  # a wrong query takes no worker
        chosen = output or OutputFormat(kind=OutputKind.ROWS, record_delimiter="\n")
        chosen.check()
        request = Request(
            sql,
            input or InputFormat(),
            chosen,
            now=_stamp(self._now()),
            scan_bytes_max=self.limits.scan_bytes_max,
            result_bytes_max=self.limits.result_bytes_max,
        )
        async with self._query(request, LocalFile(source) if isinstance(source, Path) else source) as result:
            yield result

    @contextlib.asynccontextmanager
    async def _query(self, request: Request, source: QuerySource) -> AsyncIterator["QueryResult"]:
        worker = await self._take()
        result = QueryResult(worker, source, request.output, self.limits.timeout_seconds)
        try:
            await result.begin(request)
            yield result
        finally:
            # Whatever comes now, the worker goes back or is replaced; the caller need not wait for it.
            task = asyncio.create_task(self._give_back(worker, result))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _take(self) -> WorkerProcess:
        if self._idle.empty():
            if self._waiting >= self.limits.waiting_max:
                raise QueryError("Busy")
            self._waiting += 1
            try:
                async with asyncio.timeout(self.limits.timeout_seconds):
                    worker = await self._idle.get()
            except TimeoutError as error:
                raise QueryError("Busy") from error
            finally:
                self._waiting -= 1
        else:
            worker = self._idle.get_nowait()
        if worker is None:
            worker = await self._start()
        self._busy.add(worker)
        return worker

    async def _start(self) -> WorkerProcess:
        try:
            return await WorkerProcess.start(self._options)
        except BaseException as error:
            self._idle.put_nowait(None)
            if isinstance(error, (WorkerGone, TimeoutError, OSError)):
                raise QueryError("WorkerCrashed") from error
            raise

    async def _give_back(self, worker: WorkerProcess, result: "QueryResult") -> None:
        is_usable = await result.finish()
        if not is_usable:
            await worker.kill()
        self._busy.discard(worker)
        if is_usable:
            self._idle.put_nowait(worker)
            return
        try:
            self._idle.put_nowait(await WorkerProcess.start(self._options))
        except (WorkerGone, TimeoutError, OSError):
            self._idle.put_nowait(None)  # the next query tries again

    async def describe(self, source: QuerySource | Path, input: InputFormat | None = None) -> list[ResultColumn]:
        """Names and types of the columns of a file."""
        request = Request(
            "SELECT * FROM S3Object LIMIT 0",
            input or InputFormat(),
            OutputFormat(kind=OutputKind.ROWS),
            now="",
            is_describe=True,
        )
        async with self._query(request, LocalFile(source) if isinstance(source, Path) else source) as result:
            return result.columns


@dataclass(slots=True)
class QueryResult:
    """A running query: read it once, by `async for` or by `chunks()`."""

    _worker: WorkerProcess
    _source: QuerySource
    _output: OutputFormat
    _timeout_seconds: float
    columns: list[ResultColumn] = field(default_factory=list)
    stats: Statistics = field(default_factory=Statistics)
    _is_ended: bool = False
    _is_broken: bool = False
    _is_begun: bool = False
    _started: float = 0.0
    _waited_seconds: float = 0.0

    @property
    def is_ended(self) -> bool:
        """Whether everything was read, so that `stats` are the totals."""
        return self._is_ended

    async def begin(self, request: Request) -> None:
        """Hand the query over and wait for its columns."""
        self._started = asyncio.get_running_loop().time()
        try:
            if isinstance(self._source, LocalFile):
                await self._send_file(request, self._source.path)
            else:
                self._is_begun = True
                await self._worker.send(Frame.QUERY, _with_size(request, self._source.size))
            kind, payload = await self._frame()
        except WorkerGone as error:
            raise self._crashed() from error
        assert kind is Frame.COLUMNS
        self.columns = [ResultColumn(one["name"], one["type"]) for one in json.loads(payload)]

    async def _send_file(self, request: Request, path: Path) -> None:
        try:
            fd = await asyncio.to_thread(open_read_only, path)
        except OSError as error:
            raise QueryError("InternalError", "the file cannot be opened") from error
        try:
            self._is_begun = True
            self._worker.send_file(fd)
        finally:
            os.close(fd)
        await self._worker.send(Frame.QUERY, request.to_json())

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the written records, whole ones, in chunks of up to about 256 KiB."""
        async for event in self.events():
            if not isinstance(event, Statistics):
                yield event

    async def events(self) -> AsyncGenerator[bytes | Statistics, None]:
        """Yields chunks as `chunks()` does, and between them how far the query is, the totals last."""
        async for kind, text in self._frames():
            yield bytes(text) if kind is Frame.ROWS else self.stats

    async def __aiter__(self) -> AsyncIterator[list[Row]]:
        """Yields batches of records in the order of the file; a missing or NULL value is None."""
        async for event in self.row_events():
            if not isinstance(event, Statistics):
                yield event

    async def row_events(self) -> AsyncGenerator[list[Row] | Statistics, None]:
        """Yields batches of records, and between them how far the query is, the totals last."""
        assert self._output.kind is OutputKind.ROWS, "this result is written as text: read chunks()"
        width = len(self.columns)
        decode = json.JSONDecoder(parse_float=_number_reader(self.columns)).decode
        async for kind, text in self._frames():
            if kind is not Frame.ROWS:
                yield self.stats
                continue
            rows = [decode(line) for line in bytes(text).decode().split("\n")[:-1]]
            yield [row if len(row) >= width else row + [None] * (width - len(row)) for row in rows]

    async def _frames(self) -> AsyncIterator[tuple[Frame, memoryview]]:
        while not self._is_ended:
            try:
                kind, payload = await self._frame()
            except WorkerGone as error:
                raise self._crashed() from error
            yield kind, split_rows(payload)[1] if kind is Frame.ROWS else memoryview(payload)

    async def _frame(self) -> tuple[Frame, bytes]:
        """The next frame that is for the reader; serves the worker's reads on the way."""
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            async with asyncio.timeout(self._timeout_seconds - self._waited_seconds):
                return await self._next_frame()
        except TimeoutError as error:
            raise QueryError("QueryTimeout") from error
        finally:
            # A slow client does not use up the time of its query: only the waiting for the worker counts.
            self._waited_seconds += clock() - begun

    async def _next_frame(self) -> tuple[Frame, bytes]:
        while True:
            kind, payload = await self._worker.receive()
            match kind:
                case Frame.READ:
                    await self._read(payload)
                case Frame.ERROR:
                    self._is_ended = True
                    raise _error(payload)
                case Frame.END | Frame.PROGRESS:
                    self._is_ended = kind is Frame.END
                    elapsed = asyncio.get_running_loop().time() - self._started
                    self.stats = Statistics(**json.loads(payload), elapsed_seconds=elapsed)
                    return kind, payload
                case _:
                    return kind, payload

    async def _read(self, payload: bytes) -> None:
        assert not isinstance(self._source, LocalFile)
        offset, wanted = READ.unpack(payload)
        end = min(offset + wanted, self._source.size)
        pieces = [piece async for piece in self._source.read(offset, end)] if end > offset else []
        await self._worker.send(Frame.BYTES, b"".join(pieces)[:wanted])

    def _crashed(self) -> QueryError:
        self._is_ended = self._is_broken = True
        return QueryError("WorkerCrashed")

    async def finish(self) -> bool:
        """
        End the query if it still runs.

        Returns:
            Whether the worker can take the next one.
        """
        if self._is_broken:
            return False
        if self._is_ended or not self._is_begun:
            return True
        try:
            async with asyncio.timeout(_CANCEL_SECONDS):
                await self._worker.send(Frame.CANCEL)
                while True:
                    kind, _ = await self._worker.receive()
                    if kind in (Frame.END, Frame.ERROR):
                        return True
        except (WorkerGone, TimeoutError):
            return False


def _with_size(request: Request, size: int) -> bytes:
    return replace(request, size_bytes=size).to_json()


def _error(payload: bytes) -> QueryError:
    values = json.loads(payload)
    error = QueryError(values["code"] if values["code"] != "Cancelled" else "InternalError", values["message"])
    if values["position"] is not None:
        error.position = Position(*values["position"])
    return error


def _number_reader(columns: list[ResultColumn]) -> Callable[[str], float | Decimal]:
    # A decimal must not become a double on the way; a double written as text comes back the same.
    return Decimal if any(column.type == "decimal" for column in columns) else float


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


__all__ = [
    "Cell",
    "EngineLimits",
    "LocalFile",
    "QueryEngine",
    "QueryResult",
    "QuerySource",
    "RangeReader",
    "ResultColumn",
    "Row",
    "Statistics",
]
