"""
Throughput of one server and of several, on one MongoDB-compatible server and one S3 server, all on this machine:

    .venv/bin/python -m benchmarks.scale_out --servers 1 --servers 2

Each client is a process and takes another server with each connection. On a machine with few cores the store and the
database take most of them: read the CPU seconds beside the MB/s.
"""

import argparse
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.support import mongo_server, s3
from tests.support.product_server import Connection, ServerProcess, log_in, serving

MIB = 2**20
CLIENTS = 4
PATCH_BYTES = 8 * MIB
SMALL_BYTES = 16 * 1024


def large(urls: list[str], token: str, number: int, size: int) -> None:
    """Send one file, each piece to another server."""
    body = os.urandom(PATCH_BYTES)
    with Connection(urls[number % len(urls)], token) as connection:
        path = connection.create(size)
    for offset in range(0, size, PATCH_BYTES):
        with Connection(urls[(number + offset // PATCH_BYTES) % len(urls)], token) as connection:
            connection.start_patch(path, offset, PATCH_BYTES)
            connection.send(body)
            status, _, content = connection.answer()
            assert status == 204, content


def small(urls: list[str], token: str, number: int, count: int) -> None:
    """Send small files, in two requests each, over one connection."""
    body = os.urandom(SMALL_BYTES)
    with Connection(urls[number % len(urls)], token) as connection:
        for _ in range(count):
            path = connection.create(SMALL_BYTES)
            connection.start_patch(path, 0, SMALL_BYTES)
            connection.send(body)
            status, _, content = connection.answer()
            assert status == 204, content


def cpu_seconds(server: ServerProcess) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(servers: int, *, size_mib: int, count: int, folder: Path) -> tuple[float, float, float, float]:
    """Give MB/s and CPU seconds a GiB of large files, and uploads/s and CPU milliseconds an upload of small ones."""
    with ExitStack() as stack:
        url = stack.enter_context(mongo_server.running())
        store = stack.enter_context(s3.serve(folder / "s3"))
        environ = {
            "LIGHTERAGE_MONGO_URL": url,
            "LIGHTERAGE_MONGO_DATABASE": mongo_server.fresh_name(),
            "LIGHTERAGE_S3_ENDPOINT": store.endpoint,
            "AWS_STORAGE_BUCKET_NAME": store.make_bucket("bench"),
            "AWS_ACCESS_KEY_ID": s3.ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": s3.SECRET_KEY,
            "LIGHTERAGE_CREATION_RATE": "off",
        }
        running = [stack.enter_context(serving(folder / f"{n}" / "data", **environ)) for n in range(servers)]
        token = log_in(running[0].url)
        urls = [server.url for server in running]
        pool = stack.enter_context(ProcessPoolExecutor(CLIENTS))
        figures = []
        for work, amount in ((large, size_mib * MIB), (small, count)):
            list(pool.map(small, [urls] * CLIENTS, [token] * CLIENTS, range(CLIENTS), [5] * CLIENTS))  # warm
            before, began = sum(map(cpu_seconds, running)), time.perf_counter()
            list(pool.map(work, [urls] * CLIENTS, [token] * CLIENTS, range(CLIENTS), [amount] * CLIENTS))
            seconds, cpu = time.perf_counter() - began, sum(map(cpu_seconds, running)) - before
            total = CLIENTS * amount
            figures += [total / seconds, cpu / total]
        return figures[0] / 1e6, figures[1] * 2**30, figures[2], figures[3] * 1e3


def main() -> None:
    """Run the rounds, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size-mib", type=int, default=64, help="of each client's file")
    parser.add_argument("--small", type=int, default=100, help="small files of each client")
    parser.add_argument("--directory", default=None)
    args = parser.parse_args()
    print("| servers | MB/s | CPU s/GiB of servers | 16 KiB uploads/s | CPU ms each |\n| --- | --- | --- | --- | --- |")
    for servers in args.servers or [1, 2]:
        rounds = []
        for _ in range(args.rounds):
            with tempfile.TemporaryDirectory(dir=args.directory) as folder:
                rounds.append(measure(servers, size_mib=args.size_mib, count=args.small, folder=Path(folder)))
        medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
        print("| {} | {:.0f} | {:.2f} | {:.0f} | {:.2f} |".format(servers, *medians), flush=True)


if __name__ == "__main__":
    main()
