"""The pool of workers: life, streaming, cancelling, crashes, the sandbox."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from query import EngineLimits, Header, InputFormat, Kind, OutputFormat, QueryEngine, QueryError, Row, Statistics
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


async def test_columns_of_a_file_are_described(engine: QueryEngine, orders: Path, tmp_path: Path) -> None:
    """Names from a header, numbers without one, the types of Parquet."""
    parquet = tmp_path / "orders.parquet"
    parquet.write_bytes(parquet_file(rows=3, row_group=3))

    lines = tmp_path / "orders.jsonl"
    lines.write_bytes(b'{"id": 1, "city": "Oslo", "paid": null}\n{"id": 2.5, "paid": true, "parts": [1]}\n')

    named = await engine.describe(orders, WITH_HEADER)
    keys = await engine.describe(lines, InputFormat(kind=Kind.JSON))
    numbered = await engine.describe(orders)
    typed = await engine.describe(parquet, InputFormat(kind=Kind.PARQUET))

    assert [column.name for column in named] == ["id", "city", "amount"]
    assert [(key.name, key.type) for key in keys] == [
        ("id", "json"),
        ("city", "string"),
        ("paid", "bool"),
        ("parts", "json"),
    ]
    assert [column.name for column in numbered] == ["_1", "_2", "_3"]
    assert [(column.name, column.type) for column in typed] == [("i", "int"), ("s", "string")]


async def test_parquet_is_read_by_the_columns_and_row_groups_that_are_asked_for(engine: QueryEngine) -> None:
    """An object is not fetched whole: one column, and no row group past the limit."""
    reader = _Ranges(parquet_file(rows=400_000, row_group=40_960))
    async with engine.open("SELECT i FROM S3Object LIMIT 3", reader, input=InputFormat(kind=Kind.PARQUET)) as result:
        rows = [row async for batch in result for row in batch]

    assert rows == [[0], [1], [2]]
    assert reader.read_bytes < reader.size / 2


async def test_parquet_filter_is_asked_of_bloom_filters_too(engine: QueryEngine, tmp_path: Path) -> None:
    """A column of few values has a dictionary and a Bloom filter beside its pages."""
    path = tmp_path / "cities.parquet"
    source = "SELECT i, ['Oslo', 'Bergen', 'Porto'][1 + i % 3] AS city FROM range(300000) t(i)"
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({source}) TO '{path}'")
    sql = "SELECT COUNT(*) FROM S3Object WHERE city = 'Oslo' AND i > 299990"
    async with engine.open(sql, path, input=InputFormat(kind=Kind.PARQUET)) as result:
        rows = [row async for batch in result for row in batch]

    assert rows == [[3]]


async def test_progress_comes_between_the_records(engine: QueryEngine, tmp_path: Path) -> None:
    """An aggregate over a long file says how far it is before its one record comes."""
    path = tmp_path / "long.csv"
    path.write_bytes(b"0123456789\n" * 2_000_000)
    async with engine.open("SELECT COUNT(*) FROM S3Object", path, output=OutputFormat()) as result:
        events = [event async for event in result.events()]

    scanned = [event.scanned_bytes for event in events if isinstance(event, Statistics)]
    assert len(scanned) > 2
    assert sorted(scanned) == scanned
    assert path.stat().st_size == scanned[-1]
    assert [event for event in events if isinstance(event, bytes)] == [b"2000000\n"]


async def test_result_limit_ends_the_query(tmp_path: Path, orders: Path) -> None:
    """A result that grows too large fails; so does a source that is too large to be read."""
    path = tmp_path / "large.csv"
    path.write_bytes(b"0123456789\n" * 200_000)
    async with QueryEngine(
        EngineLimits(workers=1, result_bytes_max=100_000, scan_bytes_max=3_000_000), now=lambda: NOW
    ) as engine:
        with pytest.raises(QueryError, match="OverMaxResultSize"):
            async with engine.open("SELECT * FROM S3Object", path) as result:
                _ = [batch async for batch in result]
        path.write_bytes(b"0123456789\n" * 300_000)
        with pytest.raises(QueryError, match="OverMaxScanSize"):
            async with engine.open("SELECT * FROM S3Object", path):
                pytest.fail("the body must not run")
        async with engine.open("SELECT COUNT(*) FROM S3Object", orders) as result:
            rows = [row async for batch in result for row in batch]

    assert rows == [[4]]


async def test_time_limit_ends_the_query(tmp_path: Path) -> None:
    """A query that takes too long fails and its worker is free again."""
    path = tmp_path / "long.csv"
    path.write_bytes(b"0123456789,0123456789\n" * 3_000_000)
    async with QueryEngine(EngineLimits(workers=1, timeout_seconds=0.05), now=lambda: NOW) as engine:
        with pytest.raises(QueryError, match="QueryTimeout"):
            async with engine.open("SELECT UPPER(_1) FROM S3Object WHERE _2 LIKE '%x%y%z%'", path) as result:
                _ = [batch async for batch in result]


async def test_more_queries_than_may_wait_are_refused(orders: Path) -> None:
    """The queue is bounded: the next one hears at once that every place is taken."""
    async with (
        QueryEngine(EngineLimits(workers=1, waiting_max=0), now=lambda: NOW) as engine,
        engine.open("SELECT * FROM S3Object", orders),
    ):
        with pytest.raises(QueryError, match="Busy"):
            async with engine.open("SELECT * FROM S3Object", orders):
                pytest.fail("the body must not run")


async def test_client_that_goes_leaves_the_worker_idle(engine: QueryEngine, tmp_path: Path) -> None:
    """After a cancelled reader a query uses no more CPU than its end takes, and the worker takes the next one."""
    path = tmp_path / "long.csv"
    path.write_bytes(b"0123456789,0123456789\n" * 3_000_000)
    (worker,) = _idle(engine)
    async with engine.open("SELECT UPPER(_1), LOWER(_2) FROM S3Object", path, output=OutputFormat()) as result:
        await anext(result.chunks())

    await asyncio.gather(*engine._tasks)
    (again,) = _idle(engine)
    before = _cpu_ticks(again.pid)
    spent = await _ticks_until_idle(again.pid) - before
    async with engine.open("SELECT COUNT(*) FROM S3Object LIMIT 0", path) as result:
        assert [batch async for batch in result] == []

    assert spent < 30  # hundredths of a second; the whole query takes hundreds
    assert worker.pid == again.pid


def _idle(engine: QueryEngine) -> list[WorkerProcess]:
    workers = []
    while not engine._idle.empty():
        workers.append(engine._idle.get_nowait())
    for worker in workers:
        engine._idle.put_nowait(worker)
    return [worker for worker in workers if worker is not None]


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


async def _ticks_until_idle(pid: int) -> int:
    """Wait until a process uses no more CPU, and give how much it used in its life."""
    before, now = -1, _cpu_ticks(pid)
    while now != before:
        await asyncio.sleep(0.2)
        before, now = now, _cpu_ticks(pid)
    return now


async def test_stuck_worker_is_killed(engine: QueryEngine, orders: Path) -> None:
    """A worker that does not answer the interrupt is ended and replaced."""
    (worker,) = _idle(engine)
    async with engine.open("SELECT * FROM S3Object", orders):
        os.kill(worker.pid, signal.SIGSTOP)
    async with engine.open("SELECT COUNT(*) FROM S3Object", orders) as result:
        rows = [row async for batch in result for row in batch]

    assert rows == [[4]]
    assert not Path(f"/proc/{worker.pid}").exists()


async def test_reader_that_fails_is_the_callers_error(engine: QueryEngine, orders: Path) -> None:
    """What the store raises comes through, and the worker takes the next query."""

    class Broken(_Ranges):
        async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
            raise ConnectionError("the store is gone")
            yield b""

    with pytest.raises(ConnectionError):
        async with engine.open("SELECT * FROM S3Object", Broken(b"a\n")):
            pytest.fail("the body must not run")
    async with engine.open("SELECT COUNT(*) FROM S3Object", orders) as result:
        rows = [row async for batch in result for row in batch]

    assert rows == [[4]]


async def test_now_is_one_moment_of_the_callers_clock(engine: QueryEngine, orders: Path) -> None:
    """UTCNOW() does not move while the query runs."""
    async with engine.open("SELECT UTCNOW() FROM S3Object LIMIT 2", orders) as result:
        rows = [row async for batch in result for row in batch]

    assert rows == [["2026-01-31T12:00:00.000Z"]] * 2


async def test_many_queries_share_the_workers(orders: Path) -> None:
    """Sixteen at once on two workers: each gets its own result."""
    async with QueryEngine(EngineLimits(workers=2, threads=1), now=lambda: NOW) as engine:

        async def ask(number: int) -> list[Row]:
            sql = f"SELECT id, {number} FROM S3Object LIMIT 1"
            async with engine.open(sql, orders, input=WITH_HEADER) as result:
                return [row async for batch in result for row in batch]

        results = await asyncio.gather(*(ask(number) for number in range(16)))

    assert [[["1", number]] for number in range(16)] == results


@pytest.mark.parametrize("size", [1 << 18, (1 << 18) + 1, 3 << 20, 20 << 20])
async def test_records_are_whole_across_parts(engine: QueryEngine, tmp_path: Path, size: int) -> None:
    """Quoted line feeds, long and short records, whatever place the parts are cut at."""
    block = b'1,"two\nlines ""x""",3\n4,5\n' + b'6,"' + b"y\n" * 40 + b'",7\n'
    count = size // len(block) + 1
    path = tmp_path / "parts.csv"
    path.write_bytes(block * count)
    sql = "SELECT COUNT(*), COUNT(_3), SUM(CAST(_1 AS INT)), SUM(CHAR_LENGTH(_2)) FROM S3Object"
    async with engine.open(sql, path) as result:
        rows = [row async for batch in result for row in batch]

    assert [[3 * count, 2 * count, 11 * count, (13 + 1 + 80) * count]] == rows


def parquet_file(*, rows: int, row_group: int) -> bytes:
    """Two columns of numbers and texts."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.parquet"
        source = f"SELECT i, md5(i::VARCHAR) AS s FROM range({rows}) t(i)"
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({source}) TO '{path}' (ROW_GROUP_SIZE {row_group})")
        return path.read_bytes()
