"""
Uploads and downloads over loopback: MB/s, server CPU seconds per GiB, peak memory, and the SHA-256 of what was stored.

    make bench                                    # every server that is there, 7 interleaved rounds
    .venv/bin/python -m benchmarks.upload --rounds 3 --work one-8m --server lighterage --server tusd

A round starts each server anew over an empty directory, for each work. The order turns from round to round, so that
what the machine does beside hits all alike. Figures are medians; the file of results has every single one.
"""

import argparse
import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.bucket import PROGRAM
from benchmarks.client import Connection, WrongAnswer, create, create_with_bytes, send
from benchmarks.servers import ROOT, Running, available, running

MIB, GIB = 2**20, 2**30
SMALL_BYTES = 16 * 1024
SMALL_CONCURRENCY = 16
STREAMS = 32
HEAD_PAUSE_SECONDS = 0.02
S3_WORKS = ("one-64m", "one-8m", "32x", "small", "small-with-upload")


@dataclass(frozen=True, slots=True)
class Source:
    """What is sent: one file, sent whole or in pieces, with the digests of all that is looked for afterwards."""

    path: Path
    size: int

    def digest(self, start: int, length: int) -> str:
        with self.path.open("rb") as file:
            file.seek(start)
            return hashlib.sha256(file.read(length)).hexdigest()


@dataclass(slots=True)
class Outcome:
    """
    What one work came to.

    Attributes:
        stored: Gives size and SHA-256 of each file that must now be in the server's directory. Called when the figures
            are taken: hashing takes time, in which the server goes on with what it does when nobody asks.
        cpu_before: Where the server's CPU time stood when the timed part began, if that was not at once.
    """

    seconds: float
    size: int
    stored: Callable[[], list[tuple[int, str]]]
    latencies_ms: list[float] = field(default_factory=list)
    cpu_before: float | None = None


Work = Callable[[Running, Source], Outcome]


def one_stream(patch_bytes: int) -> Work:
    """Make the work: the whole source in PATCHes of this size."""

    def work(server: Running, source: Source) -> Outcome:
        with server.connection() as connection, source.path.open("rb") as file:
            begin = time.perf_counter()
            address = create(connection, server.uploads, source.size)
            send(connection, address, file, start=0, length=source.size, patch_bytes=patch_bytes)
            seconds = time.perf_counter() - begin
        return Outcome(seconds, source.size, lambda: [(source.size, source.digest(0, source.size))])

    return work


def many_streams(server: Running, source: Source) -> Outcome:
    """32 streams at once, each one body; meanwhile HEADs to another upload, whose latencies are told."""
    length = source.size // STREAMS
    stop = threading.Event()
    latencies: list[float] = []

    def stream(number: int) -> None:
        with server.connection() as connection, source.path.open("rb") as file:
            address = create(connection, server.uploads, length)
            send(connection, address, file, start=number * length, length=length, patch_bytes=length)

    def ask() -> None:
        with server.connection() as connection:
            address = create(connection, server.uploads, length)
            while not stop.is_set():
                begin = time.perf_counter()
                connection.request("HEAD", address, {"tus-resumable": "1.0.0"}, expect=200)
                latencies.append((time.perf_counter() - begin) * 1000)
                time.sleep(HEAD_PAUSE_SECONDS)

    asker = threading.Thread(target=ask)
    asker.start()
    begin = time.perf_counter()
    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(stream, range(STREAMS)))
    seconds = time.perf_counter() - begin
    stop.set()
    asker.join()

    def stored() -> list[tuple[int, str]]:
        return [(length, source.digest(number * length, length)) for number in range(STREAMS)]

    return Outcome(seconds, source.size, stored, latencies)


def small_files(count: int, *, with_upload: bool) -> Work:
    """Make the work: many small files, created and sent in two requests or in one."""

    def work(server: Running, source: Source) -> Outcome:
        latencies: list[float] = []

        def share(first: int) -> None:
            with server.connection() as connection, source.path.open("rb") as file:
                for number in range(first, count, SMALL_CONCURRENCY):
                    begin = time.perf_counter()
                    start = number * SMALL_BYTES % (source.size - SMALL_BYTES)
                    if with_upload:
                        create_with_bytes(connection, server.uploads, os.pread(file.fileno(), SMALL_BYTES, start))
                    else:
                        address = create(connection, server.uploads, SMALL_BYTES)
                        send(connection, address, file, start=start, length=SMALL_BYTES, patch_bytes=SMALL_BYTES)
                    latencies.append((time.perf_counter() - begin) * 1000)

        begin = time.perf_counter()
        with ThreadPoolExecutor(SMALL_CONCURRENCY) as pool:
            list(pool.map(share, range(SMALL_CONCURRENCY)))
        seconds = time.perf_counter() - begin

        def stored() -> list[tuple[int, str]]:
            starts = [number * SMALL_BYTES % (source.size - SMALL_BYTES) for number in range(count)]
            return [(SMALL_BYTES, source.digest(start, SMALL_BYTES)) for start in starts]

        return Outcome(seconds, count * SMALL_BYTES, stored, latencies)

    return work


def download(server: Running, source: Source) -> Outcome:
    """Fetch the whole source back; the upload before it is not timed."""
    with server.connection() as connection, source.path.open("rb") as file:
        address = create(connection, server.uploads, source.size)
        send(connection, address, file, start=0, length=source.size, patch_bytes=source.size)
        bytes_address = server.download_address(address, address.rpartition("/")[2])
    sink = memoryview(bytearray(MIB))
    with Connection(server.base, dict(server.headers)) as connection:
        cpu = server.cpu_seconds()
        begin = time.perf_counter()
        came = connection.download(bytes_address, sink)
        seconds = time.perf_counter() - begin
    if came != source.size:
        raise WrongAnswer(f"{server.name}: {came} of {source.size} bytes came back")
    return Outcome(seconds, source.size, lambda: [(source.size, source.digest(0, source.size))], cpu_before=cpu)


def works(size: int, small: int) -> dict[str, Work]:
    """Give the works by name."""
    return {
        "one-64m": one_stream(64 * MIB),
        "one-8m": one_stream(8 * MIB),
        "one-body": one_stream(size),
        "32x": many_streams,
        "small": small_files(small, with_upload=False),
        "small-with-upload": small_files(small, with_upload=True),
        "download": download,
    }


def check_stored(server: Running, stored: list[tuple[int, str]]) -> None:
    """Find every file that must be there, by its digest, in the server's directory."""
    sizes = {size for size, _ in stored}
    found: dict[str, int] = {}
    for folder, _, names in os.walk(server.files):
        for name in names:
            path = Path(folder, name)
            if path.stat().st_size in sizes:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                found[digest] = found.get(digest, 0) + 1
    for _, digest in stored:
        if found.get(digest, 0) < 1:
            raise WrongAnswer(f"{server.name} stored other bytes than were sent: nothing has the digest {digest}")
        found[digest] -= 1


def measure(name: str, work: Work, source: Source, directory: Path) -> dict[str, float]:
    """Do one work on a fresh server and give its figures."""
    with running(name, directory) as server:
        server.forget_rss_peak()
        rss_idle = server.rss_peaks_mib()[0]
        cpu = server.cpu_seconds()
        s3_cpu = server.bucket.cpu_seconds() if server.bucket else 0.0
        outcome = work(server, source)
        cpu_after = server.cpu_seconds()
        if outcome.cpu_before is not None:
            cpu = outcome.cpu_before
        figures = {
            "seconds": outcome.seconds,
            "mb_per_second": outcome.size / 1e6 / outcome.seconds,
            "cpu_seconds_per_gib": (cpu_after - cpu) / (outcome.size / GIB),
            "rss_idle_mib": rss_idle,
        }
        if server.bucket:
            figures["s3_cpu_seconds_per_gib"] = (server.bucket.cpu_seconds() - s3_cpu) / (outcome.size / GIB)
        if server.process.poll() is None:  # a peer dies of a client that goes right after the last byte
            peaks = server.rss_peaks_mib()
            figures |= {"rss_peak_mib": peaks[0], "rss_peak_of_helpers_mib": sum(peaks[1:])}
        if outcome.latencies_ms:
            ordered = sorted(outcome.latencies_ms)
            figures["p50_ms"] = statistics.median(ordered)
            figures["p99_ms"] = ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]
        stored = outcome.stored()
        if outcome.size // len(stored) == SMALL_BYTES:
            figures["uploads_per_second"] = len(stored) / outcome.seconds
        check_stored(server, stored)
    return figures


def machine(directory: Path) -> dict[str, Any]:
    """Say where the figures come from."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if line.startswith("model name")), "unknown")
    kind = subprocess.run(["stat", "-f", "-c", "%T", directory], capture_output=True, text=True, check=True).stdout
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision.stdout.strip(),
        "cpu": f"{os.cpu_count()} x {model}",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),  # well above the servers' own: measure again
        "kernel": platform.release(),
        "python": platform.python_version(),
        "file_system": kind.strip(),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upload", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", action="append", help="one of: " + ", ".join(works(1, 1)))
    names = [*available(), *available(into_s3=True)]
    parser.add_argument("--server", action="append", help="one of: " + ", ".join(names))
    parser.add_argument("--s3", action="store_true", help="the servers over buckets, and the works that write")
    parser.add_argument("--size-mib", type=int, default=1024, help="bytes in the large file")
    parser.add_argument("--small", type=int, default=2000, help="how many small files")
    parser.add_argument("--directory", type=Path, help="where servers keep their files; default: the temporary folder")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "upload.json")
    return parser.parse_args()


def main() -> None:
    """Run the rounds, print the medians, write every figure."""
    args = arguments()
    chosen = {
        name: work
        for name, work in works(args.size_mib * MIB, args.small).items()
        if name in (args.work or (S3_WORKS if args.s3 else [name]))
    }
    servers = args.server or available(into_s3=args.s3)
    if not servers:
        sys.exit(f"needs {PROGRAM.relative_to(ROOT)}: make .tools/bin/versitygw")
    with tempfile.TemporaryDirectory(prefix="lighterage-bench-", dir=args.directory) as folder:
        source = make_source(Path(folder) / "source", args.size_mib * MIB)
        figures: dict[str, dict[str, list[dict[str, float]]]] = {
            work: {server: [] for server in servers} for work in chosen
        }
        for number in range(args.rounds):
            for name, work in chosen.items():
                turned = servers[number % len(servers) :] + servers[: number % len(servers)]
                for server in turned:
                    figures[name][server].append(measure(server, work, source, Path(folder) / "server"))
            print(f"round {number + 1} of {args.rounds}", file=sys.stderr, flush=True)
        described = machine(Path(folder)) | {"size_mib": args.size_mib}
    print(table(figures))
    keep(args.output, {work: {"machine": described, "figures": servers} for work, servers in figures.items()})


def keep(path: Path, results: dict[str, Any]) -> None:
    """Write every figure down, in the place of what was there for the same works: each can be measured by itself."""
    path.parent.mkdir(exist_ok=True)
    known = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(known | results, indent=1) + "\n")


def make_source(path: Path, size: int) -> Source:
    """Write a file of noise, and read it once so that the disk is out of the measurement."""
    with path.open("wb") as file:
        for _ in range(size // MIB):
            file.write(os.urandom(MIB))
    return Source(path, size)


def table(figures: dict[str, dict[str, list[dict[str, float]]]]) -> str:
    """Lay the medians out, a row for each work and server."""
    columns = (
        "mb_per_second",
        "cpu_seconds_per_gib",
        "s3_cpu_seconds_per_gib",
        "rss_idle_mib",
        "rss_peak_mib",
        "rss_peak_of_helpers_mib",
        "uploads_per_second",
        "p50_ms",
        "p99_ms",
    )
    lines = [
        "| work | server | MB/s | CPU s/GiB | of S3 | RSS idle MiB | peak | of helpers | uploads/s | p50 ms | p99 ms |"
    ]
    lines.append("| --- " * (len(columns) + 2) + "|")
    for work, servers in figures.items():
        for server, rounds in servers.items():
            cells = [_median(rounds, column) for column in columns]
            lines.append(f"| {work} | {server} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _median(rounds: list[dict[str, float]], column: str) -> str:
    values = [figures[column] for figures in rounds if column in figures]
    if not values:
        return ""
    value = statistics.median(values)
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


if __name__ == "__main__":
    main()
