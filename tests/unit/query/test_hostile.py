"""Hostile files and statements at a real worker: it answers, stays the same process, and stays small."""

import gzip
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from query import Compression, EngineLimits, InputFormat, JsonType, Kind, OutputFormat, QueryEngine, QueryError

pytestmark = pytest.mark.slow

MIB = 1 << 20
PEAK_MIB_MAX = 320
CSV = InputFormat()
GZIP = InputFormat(compression=Compression.GZIP)
JSON = InputFormat(kind=Kind.JSON)
DOCUMENT = InputFormat(kind=Kind.JSON, json_type=JsonType.DOCUMENT)
PARQUET = InputFormat(kind=Kind.PARQUET)
STAR = "SELECT * FROM S3Object"


def parquet() -> bytes:
    """A good file: the engine must find fault with what is done to it, and not with how it was made."""
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        path = Path(folder, "good.parquet")
        connection.execute("CREATE TABLE t AS SELECT i, 'name ' || i AS name FROM range(200000) t(i)")
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
        return path.read_bytes()


def corrupt_parquet() -> bytes:
    whole = parquet()
    return whole[:1000] + b"\xff" * (len(whole) // 2) + whole[1000 + len(whole) // 2 :]


FILES = {
    "record of 100 MB": ("OverMaxRecordSize", lambda: b"a,b\n" + b"x" * (100 * MIB) + b"\n", CSV, STAR),
    "quoted record of 100 MB": ("OverMaxRecordSize", lambda: b'"' + b"x" * (100 * MIB) + b'"\n', CSV, STAR),
    "quote that is never closed": (
        "OverMaxRecordSize",
        lambda: b'a,"b\n' + b"c\n" * (4 * MIB),
        CSV,
        STAR,
    ),
    "JSON record of 100 MB": ("OverMaxRecordSize", lambda: b'{"a":"' + b"x" * (100 * MIB) + b'"}\n', JSON, STAR),
    "brackets without end": ("JSONParsingError", lambda: b"[" * (40 * MIB), DOCUMENT, STAR),
    "gzip of zeros": ("OverMaxRecordSize", lambda: gzip.compress(bytes(256 * MIB), 1), GZIP, STAR),
    "cut gzip": ("TruncatedInput", lambda: gzip.compress(b"a,b\n" * 9 * MIB, 1)[:-9], GZIP, STAR),
    "corrupt Parquet": ("ParquetParsingError", corrupt_parquet, PARQUET, STAR),
    "invalid UTF-8": ("InvalidTextEncoding", lambda: b"a,b\n" * MIB + b"\xff,b\n", CSV, STAR),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def engine() -> AsyncIterator[QueryEngine]:
    # As a server has it that nobody set up.
    limits = EngineLimits(workers=1, threads=2, memory_bytes=256 * MIB)
    async with QueryEngine(limits, now=lambda: datetime(2026, 1, 31, tzinfo=UTC)) as engine:
        yield engine


def pid_of(engine: QueryEngine) -> int:
    worker = engine._idle.get_nowait()
    assert worker is not None
    engine._idle.put_nowait(worker)
    return worker.pid


def peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


async def answer(engine: QueryEngine, sql: str, path: Path, given: InputFormat = CSV) -> bytes | str:
    """The last of the result, or the code of the error."""
    last = b""
    try:
        async with engine.open(sql, path, input=given, output=OutputFormat()) as result:
            async for chunk in result.chunks():
                last = chunk
    except QueryError as error:
        return error.code
    return last


async def settled(engine: QueryEngine, small: Path) -> int:
    """The worker's process, once it takes the next query."""
    assert await answer(engine, "SELECT COUNT(*) FROM S3Object", small) == b"1\n"
    while engine._busy:
        worker = await engine._idle.get()
        engine._idle.put_nowait(worker)
    return pid_of(engine)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.csv"
    path.write_bytes(b"a,b\n")
    return path


@pytest.mark.parametrize("name", FILES)
async def test_file_that_means_harm_is_one_failed_query(engine: QueryEngine, tmp_path: Path, small: Path, name: str):
    """AWS's code; the worker is the same as before, and no larger than it may be."""
    code, make, given, sql = FILES[name]
    before = await settled(engine, small)
    path = tmp_path / "file"
    path.write_bytes(make())

    assert await answer(engine, sql, path, given) == code
    assert await settled(engine, small) == before
    assert peak_mib(before) <= PEAK_MIB_MAX


STATEMENTS = {
    "ten thousand items": f"SELECT COUNT(*) FROM S3Object WHERE _1 IN ({','.join(map(str, range(10_000)))})",
    "deep nesting": "SELECT COUNT(*) FROM S3Object WHERE " + "(" * 100_000 + "1 = 1" + ")" * 100_000,
    "LIKE of many wildcards": "SELECT COUNT(*) FROM S3Object WHERE _1 LIKE '" + "%a" * 60 + "b'",
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_statement_that_means_harm_ends(engine: QueryEngine, tmp_path: Path, small: Path, name: str):
    """With a result or a code; the worker is the same as before."""
    before = await settled(engine, small)
    path = tmp_path / "file.csv"
    path.write_bytes(b"a" * 500_000 + b",b\n")
    found = await answer(engine, STATEMENTS[name], path)

    assert found in (b"0\n", "MaxOperatorsExceeded", "CastFailed")
    assert await settled(engine, small) == before
    assert peak_mib(before) <= PEAK_MIB_MAX
