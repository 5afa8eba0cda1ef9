"""The pool of workers: life, streaming, cancelling, crashes, the sandbox."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from query import EngineLimits, Header, InputFormat, OutputFormat, QueryEngine, QueryError
from query.engine.pool import WorkerOptions, WorkerProcess

pytestmark = pytest.mark.slow  # each test starts processes

ORDERS = b"id,city,amount\n1,Oslo,10.50\n2,Bergen,7\n3,Oslo,2.25\n"
WITH_HEADER = InputFormat(header=Header.USE)

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    path = tmp_path / "orders.csv"
    path.write_bytes(ORDERS)
    return path


@pytest.fixture
async def engine() -> AsyncIterator[QueryEngine]:
    async with QueryEngine(EngineLimits(workers=1, threads=2), now=lambda: NOW) as engine:
        yield engine


async def test_rows_come_in_the_order_of_the_file(engine: QueryEngine, orders: Path) -> None:
    """Columns are known first, then records in their order with their values unchanged."""
    async with engine.open("SELECT id, amount FROM S3Object WHERE city = 'Oslo'", orders, input=WITH_HEADER) as result:
        rows = [row async for batch in result for row in batch]

    assert [column.name for column in result.columns] == ["id", "amount"]
    assert rows == [["1", "10.50"], ["3", "2.25"]]
    assert len(ORDERS) == result.stats.scanned_bytes == result.stats.processed_bytes
    assert result.stats.returned_rows == 2


async def test_aggregates_keep_decimals(engine: QueryEngine, orders: Path) -> None:
    """A sum of decimals is a decimal with the widest scale that was read."""
    sql = "SELECT COUNT(*), SUM(CAST(amount AS DECIMAL)) FROM S3Object"
    async with engine.open(sql, orders, input=WITH_HEADER) as result:
        rows = [row async for batch in result for row in batch]

    assert [[3, Decimal("19.75")]] == rows


async def test_chunks_are_csv(engine: QueryEngine, orders: Path) -> None:
    """The written form goes from the worker to the caller without being parsed."""
    async with engine.open(
        "SELECT * FROM S3Object LIMIT 1", orders, output=OutputFormat(), input=WITH_HEADER
    ) as result:
        text = b"".join([chunk async for chunk in result.chunks()])

    assert text == b"1,Oslo,10.50\n"


async def test_wrong_query_fails_before_the_first_row(engine: QueryEngine, orders: Path) -> None:
    """A name that the header does not have is known when the header is."""
    with pytest.raises(QueryError) as caught:
        async with engine.open("SELECT colour FROM S3Object", orders, input=WITH_HEADER):
            pytest.fail("the body must not run")

    assert caught.value.code == "MissingHeaders"
    assert caught.value.position is not None
    assert (caught.value.position.line, caught.value.position.column) == (1, 8)


async def test_killed_worker_is_one_failed_query(engine: QueryEngine, orders: Path) -> None:
    """The pool replaces a worker that ends in the middle of a query."""
    worker = engine._idle.get_nowait()
    assert worker is not None
    engine._idle.put_nowait(worker)
    os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(QueryError, match="WorkerCrashed"):
        async with engine.open("SELECT * FROM S3Object", orders) as result:
            _ = [batch async for batch in result]
    async with engine.open("SELECT COUNT(*) FROM S3Object", orders) as result:
        rows = [row async for batch in result for row in batch]

    assert rows == [[4]]


async def test_result_that_is_left_early_stops_the_worker(engine: QueryEngine, tmp_path: Path) -> None:
    """Leaving the body ends the query; the same worker takes the next one."""
    path = tmp_path / "long.csv"
    path.write_bytes(b"a,b,c\n" * 4_000_000)
    async with engine.open("SELECT * FROM S3Object", path, output=OutputFormat()) as result:
        async for _ in result.chunks():
            break
    async with asyncio.timeout(2), engine.open("SELECT COUNT(*) FROM S3Object LIMIT 1", path) as result:
        rows = [row async for batch in result for row in batch]

    assert rows == [[4_000_000]]


async def test_range_reader_is_read_by_ranges(engine: QueryEngine) -> None:
    """An object of a store comes in ranges; LIMIT leaves the rest of it unread."""
    reader = _Ranges(b"0123456789\n" * 500_000)
    async with engine.open("SELECT * FROM S3Object LIMIT 2", reader) as result:
        rows = [row async for batch in result for row in batch]

    assert rows == [["0123456789"], ["0123456789"]]
    assert reader.read_bytes < reader.size


class _Ranges:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.read_bytes = 0

    @property
    def size(self) -> int:
        return len(self._data)

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        self.read_bytes += end - start
        for at in range(start, end, 65536):
            yield self._data[at : min(end, at + 65536)]


async def test_worker_ends_with_its_server() -> None:
    """A worker whose pipe closes goes away by itself."""
    worker = await WorkerProcess.start(WorkerOptions(threads=1, memory_bytes=64 << 20))

    worker._writer.close()
    async with asyncio.timeout(5):
        await worker._process.wait()

    await worker.kill()
