"""
SQL over files: our engine beside hand-written SQL on the raw engine, on the same machine and files.

    python -m benchmarks.query --megabytes 1024 --rounds 3

Makes a file of realistic orders as CSV, gzip, JSON lines and Parquet, runs filter (about 1 %), aggregate, LIMIT 10 and
projection in interleaved rounds, and writes medians to benchmarks/results/query.json. DataFusion is measured too where
it is installed. MinIO is not started: it is no longer maintained.
"""

import argparse
import asyncio
import gzip
import json
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from query import Compression, EngineLimits, Header, InputFormat, Kind, OutputFormat, QueryEngine

CITIES = ["Hamburg", "Rotterdam", "Oslo", "Bergen", "Gdansk", "Antwerp", "Aarhus", "Porto"]
COLUMNS = ["order_id", "customer", "city", "amount", "quantity", "placed_at", "status", "note"]
FORMATS = {
    "csv": InputFormat(header=Header.USE),
    "csv.gz": InputFormat(header=Header.USE, compression=Compression.GZIP),
    "jsonl": InputFormat(kind=Kind.JSON),
    "parquet": InputFormat(kind=Kind.PARQUET),
}
QUERIES = {
    "filter": "SELECT s.order_id, s.customer, s.city FROM S3Object s WHERE s.city = 'Oslo' AND s.quantity > 45",
    "aggregate": "SELECT COUNT(*), SUM(CAST(s.quantity AS INT)), AVG(CAST(s.amount AS FLOAT)) FROM S3Object s",
    "limit 10": "SELECT s.order_id, s.customer, s.city FROM S3Object s LIMIT 10",
    "projection": "SELECT s.order_id, s.customer, s.city, s.amount, s.status FROM S3Object s",
}
RAW = {
    "filter": "SELECT order_id, customer, city FROM {source} WHERE city = 'Oslo' AND CAST(quantity AS INT) > 45",
    "aggregate": "SELECT COUNT(*), SUM(CAST(quantity AS INT)), AVG(CAST(amount AS DOUBLE)) FROM {source}",
    "limit 10": "SELECT order_id, customer, city FROM {source} LIMIT 10",
    "projection": "SELECT order_id, customer, city, amount, status FROM {source}",
}


@dataclass
class Measured:
    """Medians of the rounds; CPU is that of the process which does the work."""

    wall_seconds: float
    cpu_seconds: float
    first_bytes_seconds: float
    result_bytes: int


def orders(megabytes: int) -> Iterator[list[str]]:
    draw = random.Random(7)
    for number in range(megabytes * 2**20 // 84):
        yield [
            str(number),
            f"C{draw.randrange(99_999):05d}",
            draw.choice(CITIES),
            f"{draw.randrange(1, 99_999) / 100:.2f}",
            str(draw.randrange(1, 50)),
            f"2024-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}T{draw.randrange(24):02d}:00:00Z",
            draw.choice(["open", "paid", "shipped", "lost"]),
            f"lorem ipsum dolor {draw.randrange(10**6)}",
        ]


def make(folder: Path, megabytes: int) -> None:
    """The same orders in every format."""
    path = folder / "orders.csv"
    with path.open("w") as file:
        file.write(",".join(COLUMNS) + "\n")
        for row in orders(megabytes):
            file.write(",".join(row) + "\n")
    with path.open("rb") as file, gzip.open(folder / "orders.csv.gz", "wb", compresslevel=5) as packed:
        shutil.copyfileobj(file, packed, 1 << 20)
    typed = "* REPLACE (order_id::BIGINT AS order_id, amount::DOUBLE AS amount, quantity::INT AS quantity)"
    with duckdb.connect() as connection:
        source = f"(SELECT {typed} FROM {raw_source('csv', path)})"
        connection.execute(f"COPY {source} TO '{folder / 'orders.parquet'}' (FORMAT parquet)")
        connection.execute(f"COPY {source} TO '{folder / 'orders.jsonl'}' (FORMAT json)")


def raw_source(kind: str, path: Path) -> str:
    texts = ", ".join(f"'{name}': 'VARCHAR'" for name in COLUMNS)
    if kind.startswith("csv"):
        return f"read_csv('{path}', header = true, auto_detect = false, columns = {{{texts}}})"
    if kind == "jsonl":
        typed = texts.replace("'amount': 'VARCHAR'", "'amount': 'DOUBLE'").replace(
            "'quantity': 'VARCHAR'", "'quantity': 'BIGINT'"
        )
        return f"read_json('{path}', format = 'newline_delimited', columns = {{{typed}}})"
    return f"read_parquet('{path}')"


async def ours(engine: QueryEngine, pid: int, sql: str, path: Path, given: InputFormat) -> Measured:
    cpu, start, first, size = cpu_seconds(pid), time.perf_counter(), 0.0, 0
    async with engine.open(sql, path, input=given, output=OutputFormat()) as result:
        async for chunk in result.chunks():
            first = first or time.perf_counter() - start
            size += len(chunk)
    return Measured(time.perf_counter() - start, cpu_seconds(pid) - cpu, first, size)


def raw(connection: duckdb.DuckDBPyConnection, sql: str, out: Path) -> Measured:
    cpu, start = time.process_time(), time.perf_counter()
    connection.execute(f"COPY ({sql}) TO '{out}' (HEADER false)")
    wall = time.perf_counter() - start
    return Measured(wall, time.process_time() - cpu, wall, out.stat().st_size)


def datafusion_runner(folder: Path) -> Callable[[str, str], Measured] | None:
    try:
        import datafusion  # type: ignore[import-not-found]
    except ImportError:
        return None
    context = datafusion.SessionContext()
    context.register_csv("csv", str(folder / "orders.csv"))
    context.register_parquet("parquet", str(folder / "orders.parquet"))

    def run(kind: str, sql: str) -> Measured:
        cpu, start = time.process_time(), time.perf_counter()
        rows = context.sql(sql.format(source=kind)).collect()
        wall = time.perf_counter() - start
        return Measured(wall, time.process_time() - cpu, wall, len(rows))

    return run


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def median(runs: list[Measured]) -> Measured:
    return Measured(
        round(statistics.median(run.wall_seconds for run in runs), 4),
        round(statistics.median(run.cpu_seconds for run in runs), 4),
        round(statistics.median(run.first_bytes_seconds for run in runs), 4),
        runs[0].result_bytes,
    )


async def compare(folder: Path, rounds: int) -> dict[str, dict[str, object]]:
    results: dict[str, dict[str, object]] = {}
    fusion = datafusion_runner(folder)
    async with QueryEngine(
        EngineLimits(workers=1, threads=2, timeout_seconds=600), now=lambda: datetime.now(UTC)
    ) as engine:
        worker = engine._idle.get_nowait()
        assert worker is not None
        engine._idle.put_nowait(worker)
        connection = duckdb.connect(config={"threads": 2, "memory_limit": "256MB"})
        for kind, given in FORMATS.items():
            path = folder / f"orders.{kind}"
            for name, sql in QUERIES.items():
                statement = RAW[name].format(source=raw_source(kind, path))
                runs: dict[str, list[Measured]] = {"ours": [], "raw": [], "datafusion": []}
                for _ in range(rounds):
                    runs["ours"].append(await ours(engine, worker.pid, sql, path, given))
                    runs["raw"].append(raw(connection, statement, folder / "out.csv"))
                    if fusion is not None and kind in ("csv", "parquet"):
                        runs["datafusion"].append(fusion(kind, RAW[name]))
                results[f"{kind} {name}"] = report(
                    f"{kind} {name}", {key: median(value) for key, value in runs.items() if value}
                )
        print(f"worker's peak memory: {peak_megabytes(worker.pid)} MiB")
        results["worker"] = {"peak_mebibytes": peak_megabytes(worker.pid)}
    return results


def report(name: str, medians: dict[str, Measured]) -> dict[str, object]:
    us, them = medians["ours"], medians["raw"]
    ratio = us.wall_seconds / them.wall_seconds
    first = us.first_bytes_seconds * 1000
    print(f"{name:20} ours {us.wall_seconds:8.3f} s (cpu {us.cpu_seconds:6.2f}, first {first:6.0f} ms)", end="   ")
    print(f"raw {them.wall_seconds:8.3f} s (cpu {them.cpu_seconds:6.2f})   {ratio:5.2f}x")
    return {key: asdict(value) for key, value in medians.items()} | {"ratio": round(ratio, 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3, help="0: only make the files")
    parser.add_argument("--files", type=Path, help="a folder for the files, that are made once for many runs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "query.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.files or Path(name)
        if not (folder / "orders.jsonl").exists():
            make(folder, options.megabytes)
        if options.rounds == 0:
            return
        results = asyncio.run(compare(folder, options.rounds))
    options.out.parent.mkdir(exist_ok=True)
    machine = {
        "machine": platform.platform(),
        "cores": os.cpu_count(),
        "duckdb": duckdb.__version__,
        "megabytes": options.megabytes,
    }
    options.out.write_text(json.dumps(machine | {"load": os.getloadavg(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
