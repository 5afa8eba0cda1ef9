"""Runs a query in this process: the same reader, tree and engine as a worker, without the pipe."""

import contextlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from query import InputFormat, OutputFormat, QueryError
from query.engine.connection import Limits, connect
from query.engine.execution import Execution, Job
from query.engine.opening import open_input
from query.engine.request import Request
from query.readers import Slot
from query.streams import LocalSource

NOW = "2017-10-13T16:02:11.123Z"


class Bench:
    """A locked connection with its slots; queries run one after the other."""

    def __init__(self, threads: int = 1) -> None:
        self._slots = [Slot(f"part{number}") for number in range(threads)]
        connection = connect(Limits(128 << 20), [slot.path for slot in self._slots])
        self._cursors: list[duckdb.DuckDBPyConnection] = [connection.cursor() for _ in self._slots]

    def close(self) -> None:
        for cursor in self._cursors:
            cursor.close()
        for slot in self._slots:
            # A failed query's traceback, which a test may still hold, keeps its view of the bytes; they go with it.
            with contextlib.suppress(BufferError):
                slot.close()

    def run(self, sql: str, data: bytes, given: InputFormat, wanted: OutputFormat) -> bytes:
        """The whole result as text."""
        written = io.BytesIO()
        with memory_file(data) as fd:
            self._run(Request(sql, given, wanted, now=NOW), fd, written)
        return written.getvalue()

    def _run(self, request: Request, fd: int, written: io.BytesIO) -> None:
        opened = open_input(request, LocalSource(fd), self._slots[0], self._cursors[0])
        job = Job(request.sql, opened.query, request.output, request.now)

        def sink(_count: int, text: memoryview) -> None:
            written.write(text)

        Execution(job, opened.reader, self._cursors, sink).run(self._slots, opened.first)


def outcome(bench: Bench, sql: str, data: bytes, given: InputFormat) -> str:
    """What a query gives as CSV without its last line end, or `!` and the code of its error."""
    try:
        return bench.run(sql, data, given, OutputFormat()).decode().removesuffix("\n")
    except QueryError as error:
        return f"!{error.code}"


@contextmanager
def memory_file(data: bytes) -> Iterator[int]:
    fd = os.memfd_create("data")
    try:
        os.write(fd, data) if len(data) < 1 << 20 else _write_all(fd, data)
        yield fd
    finally:
        os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
