"""
The REST face over loopback: files in one request beside tus, a list of 50 beside GraphQL, a download beside nginx.

    .venv/bin/python -m benchmarks.rest                       # 1 GiB, 5 rounds, what is acknowledged waits for the disk
    .venv/bin/python -m benchmarks.rest --size 4G --rounds 1  # memory stays flat

A round starts a server over an empty directory for each work, and turns the order. Figures are medians.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.client import Connection, WrongAnswer, create, send
from benchmarks.machine import free_port, is_listening
from benchmarks.servers import Running, graphql, running
from benchmarks.upload import GIB, MIB, Source, keep, machine, make_source

BOUNDARY = "----benchmark"
LIST_FILES = 50
LIST_SECONDS = 2.0
_HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n\r\n'.encode()
_TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
_QUERY = """{ files(first: 50) { nodes { id name size contentType status visibility sha256 createdAt updatedAt
  expiresAt resource { type id } metadata { key value } } } }"""


def tus(server: Running, source: Source, _form: Path) -> float:
    """One PATCH that carries everything."""
    with server.connection() as connection, source.path.open("rb") as file:
        begin = time.perf_counter()
        address = create(connection, server.uploads, source.size)
        send(connection, address, file, start=0, length=source.size, patch_bytes=source.size)
        return time.perf_counter() - begin


def raw(server: Running, source: Source, _form: Path) -> float:
    """The bytes as the body of a POST."""
    with server.connection() as connection, source.path.open("rb") as file:
        begin = time.perf_counter()
        fields = {"content-type": "application/octet-stream"}
        answer = connection.request(
            "POST", "/api/v1/files?name=big.bin", fields, file=file, count=source.size, expect=201
        )
        seconds = time.perf_counter() - begin
    _check(answer.body, source)
    return seconds


def form(server: Running, source: Source, form: Path) -> float:
    """The same as multipart/form-data."""
    with server.connection() as connection, form.open("rb") as file:
        begin = time.perf_counter()
        fields = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}
        size = form.stat().st_size
        answer = connection.request("POST", "/api/v1/files", fields, file=file, count=size, expect=201)
        seconds = time.perf_counter() - begin
    _check(answer.body, source)
    return seconds


def _check(body: bytes, source: Source) -> None:
    size = json.loads(body)["size"]
    if size != source.size:
        raise WrongAnswer(f"{size} bytes were stored, not {source.size}")


WORKS: dict[str, Callable[[Running, Source, Path], float]] = {"tus": tus, "raw": raw, "form": form}


def measure_upload(work: str, name: str, source: Source, form_file: Path, directory: Path) -> dict[str, float]:
    with running(name, directory / "server") as server:
        server.forget_rss_peak()
        before = server.cpu_seconds()
        seconds = WORKS[work](server, source, form_file)
        return {
            "mib_per_second": source.size / MIB / seconds,
            "cpu_seconds_per_gib": (server.cpu_seconds() - before) / (source.size / GIB),
            "rss_peak_mib": server.rss_peaks_mib()[0],
        }


def measure_lists(directory: Path) -> dict[str, float]:
    """Rows a second of a list of 50, asked one after the other on one connection."""
    with running("lighterage-nofsync", directory / "server") as server, server.connection() as connection:
        for number in range(LIST_FILES):
            connection.request("POST", f"/api/v1/files?name={number}.txt", body=b"x", expect=201)

        def over_rest() -> None:
            connection.request("GET", "/api/v1/files?limit=50", expect=200)

        def over_graphql() -> None:
            graphql(server.base, _QUERY, {}, server.headers)

        return {"rest_rows_per_second": _rows(over_rest), "graphql_rows_per_second": _rows(over_graphql)}


def _rows(ask: Callable[[], None]) -> float:
    ask()
    begin, times = time.perf_counter(), 0
    while (taken := time.perf_counter() - begin) < LIST_SECONDS:
        ask()
        times += 1
    return times * LIST_FILES / taken


def measure_downloads(source: Source, directory: Path) -> dict[str, float]:
    """MiB a second of one download, from us and from nginx without sendfile."""
    sink = memoryview(bytearray(MIB))
    figures = {}
    with running("lighterage-nofsync", directory / "server") as server, server.connection() as connection:
        with source.path.open("rb") as file:
            made = connection.request("POST", "/api/v1/files?name=b", file=file, count=source.size, expect=201)
        address = json.loads(made.body)["content"]
        connection.download(address, sink)
        figures["lighterage_mib_per_second"] = _speed(connection, address, sink, source)
    if shutil.which("nginx") is not None:
        with _nginx(source, directory) as base, Connection(base) as connection:
            connection.download(f"/{source.path.name}", sink)
            figures["nginx_mib_per_second"] = _speed(connection, f"/{source.path.name}", sink, source)
    return figures


def _speed(connection: Connection, address: str, sink: memoryview, source: Source) -> float:
    begin = time.perf_counter()
    connection.download(address, sink)
    return source.size / MIB / (time.perf_counter() - begin)


@contextmanager
def _nginx(source: Source, directory: Path) -> Iterator[str]:
    port = free_port()
    settings = directory / "nginx.conf"
    settings.write_text(
        f"daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;\n"
        "events { worker_connections 64; }\n"
        f"http {{ access_log off; sendfile off; client_body_temp_path {directory}/body;\n"
        f"server {{ listen 127.0.0.1:{port}; root {source.path.parent}; }} }}\n"
    )
    process = subprocess.Popen(["nginx", "-c", str(settings), "-p", str(directory)], stderr=subprocess.DEVNULL)
    try:
        while not is_listening(port):
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1G", help="bytes of the file, as 256M")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--server", default="lighterage", choices=["lighterage", "lighterage-nofsync"])
    parser.add_argument("--output", type=Path, help="keep the figures in this file")
    given = parser.parse_args()
    size = int(given.size[:-1]) * {"M": MIB, "G": GIB}[given.size[-1]]
    figures: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        directory = Path(folder)
        source = make_source(directory / "big.bin", size)
        form_file = directory / "form"
        with form_file.open("wb") as file, source.path.open("rb") as content:
            file.write(_HEAD)
            shutil.copyfileobj(content, file, MIB)
            file.write(_TAIL)
        for turn in range(given.rounds):
            names = list(WORKS)
            for work in names[turn % len(names) :] + names[: turn % len(names)]:
                row = measure_upload(work, given.server, source, form_file, directory)
                figures.setdefault(work, []).append(row)
            figures.setdefault("list", []).append(measure_lists(directory))
            figures.setdefault("download", []).append(measure_downloads(source, directory))
        facts: dict[str, Any] = {"machine": machine(directory), "size": size, "server": given.server}
    for work, rows in figures.items():
        medians = {column: statistics.median(row[column] for row in rows) for column in rows[0]}
        print(f"{work:9}", "  ".join(f"{column} {value:,.1f}" for column, value in medians.items()))
    if given.output is not None:
        keep(given.output, {**facts, "figures": figures})


if __name__ == "__main__":
    main()
