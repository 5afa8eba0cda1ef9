"""
The process that runs queries: locked first, then given one query after the other over a pipe.

Started as `python -I -c ... main(...)` with two sockets: one for messages, one over which open files are handed. It
needs no network, no secrets and no file but those. When the server goes away, so does it.
"""

import contextlib
import json
import os
import resource
import socket
import threading
from dataclasses import dataclass
from typing import Final

import duckdb

from query.dialect.nodes import Type
from query.engine.connection import Interrupted, Limits, connect
from query.engine.execution import Execution, Job, Stopped
from query.engine.frames import Frame, receive, rows_head, send
from query.engine.opening import WHOLE, open_input
from query.engine.request import Request
from query.engine.sources import RemoteSource
from query.errors import QueryError
from query.readers import SLOT_BYTES, Slot
from query.records import header_text
from query.streams import ByteSource, LocalSource

_FILES_MAX: Final = 64
_STACK_BYTES: Final = 64 << 20  # of each thread: room for deep expressions in the engine's planner


@dataclass(slots=True)
class _Running:
    """The query at work."""

    thread: threading.Thread
    remote: RemoteSource | None
    execution: Execution | None = None
    is_cancelled: bool = False


class Worker:
    """Reads messages on the main thread; runs the query on another."""

    def __init__(
        self, sock: socket.socket, files: socket.socket, *, threads: int, memory_bytes: int, is_locked: bool = True
    ) -> None:
        self._sock = sock
        self._files = files
        self._sending = threading.Lock()
        self._slots = [Slot(f"part{number}") for number in range(threads)]
        connection = connect(Limits(memory_bytes, is_locked), [slot.path for slot in self._slots])
        self._cursors: list[duckdb.DuckDBPyConnection] = [connection.cursor() for _ in self._slots]
        for cursor in self._cursors:
            cursor.execute("SELECT s3_int('1', 0)").fetchall()  # the first query is the slow one
        self._running: _Running | None = None

    def serve(self) -> None:
        """Take messages until the server is gone."""
        self._send(Frame.READY)
        while True:
            kind, payload = receive(self._sock)
            if kind is Frame.QUERY:
                self._start(Request.from_json(payload))
            elif kind is Frame.BYTES and self._running is not None and self._running.remote is not None:
                self._running.remote.answer(payload)
            elif kind is Frame.CANCEL and self._running is not None:
                self._cancel(self._running)

    def _send(self, kind: Frame, *payload: bytes | memoryview) -> None:
        with self._sending:
            send(self._sock, kind, *payload)

    def _start(self, request: Request) -> None:
        remote = None
        source: ByteSource
        if request.size_bytes is None:
            _, fds, _, _ = socket.recv_fds(self._files, 1, 1)
            fd = fds[0]
            source = LocalSource(fd)
        else:
            fd = None
            source = remote = RemoteSource(self._sock, request.size_bytes, self._sending)
        thread = threading.Thread(target=self._run, args=(request, source, fd), daemon=True)
        self._running = _Running(thread, remote)
        thread.start()

    def _cancel(self, running: _Running) -> None:
        running.is_cancelled = True
        if running.remote is not None:
            running.remote.answer(None)
        if running.execution is not None:
            running.execution.stop()

    def _run(self, request: Request, source: ByteSource, fd: int | None) -> None:
        running = self._running
        assert running is not None
        try:
            self._query(request, source, running)
        except QueryError as error:
            position = None if error.position is None else [error.position.line, error.position.column]
            self._send(
                Frame.ERROR, json.dumps({"code": error.code, "message": error.message, "position": position}).encode()
            )
        except (Stopped, Interrupted, InterruptedError):
            self._send(Frame.ERROR, json.dumps({"code": "Cancelled", "message": "", "position": None}).encode())
        except Exception:  # the worker's error boundary: one failed query, not a lost worker
            self._send(Frame.ERROR, json.dumps({"code": "InternalError", "message": "", "position": None}).encode())
        finally:
            if fd is not None:
                os.close(fd)

    def _query(self, request: Request, source: ByteSource, running: _Running) -> None:
        opened = open_input(request, source, self._slots[0], self._cursors[0])
        columns = [{"name": one.name, "type": _TYPE_NAMES[one.expr.type]} for one in opened.columns]
        self._send(Frame.COLUMNS, json.dumps(columns).encode())
        returned = 0

        def sink(count: int, text: memoryview) -> None:
            nonlocal returned
            returned += len(text)
            if request.result_bytes_max is not None and returned > request.result_bytes_max:
                raise QueryError("OverMaxResultSize")
            self._send(Frame.ROWS, rows_head(count), text)

        def counts() -> bytes:
            statistics = {
                "scanned_bytes": opened.stream.scanned_bytes,
                "processed_bytes": opened.reader.processed_bytes,
                "returned_bytes": returned,
                "returned_rows": execution.returned_rows,
            }
            return json.dumps(statistics).encode()

        if request.output.header:
            if opened.columns is WHOLE:
                raise QueryError("InvalidRequestParameter", "name the columns: those of * over JSON are not known")
            sink(0, memoryview(header_text(opened.columns, request.output).encode()))
        job = Job(request.sql, opened.query, request.output, request.now)
        execution = Execution(job, opened.reader, self._cursors, sink, lambda: self._send(Frame.PROGRESS, counts()))
        running.execution = execution
        if running.is_cancelled:
            raise Stopped
        execution.run(self._slots if opened.is_parallel else self._slots[:1], opened.first)
        self._send(Frame.END, counts())


_TYPE_NAMES: Final = {
    Type.FIELD: "string",
    Type.STRING: "string",
    Type.INT: "int",
    Type.FLOAT: "float",
    Type.DECIMAL: "decimal",
    Type.BOOL: "bool",
    Type.TIMESTAMP: "timestamp",
    Type.JSON: "json",
    Type.UNKNOWN: "string",
}


def limit_process(memory_bytes: int, threads: int) -> None:
    """Bounds that the engine cannot lift: no core, few files, small files, no more memory than planned."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES_MAX, _FILES_MAX))
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 30, 64 << 30))
    resource.setrlimit(resource.RLIMIT_DATA, (4 * memory_bytes + threads * SLOT_BYTES + (1 << 30),) * 2)


def main(message_fd: int, file_fd: int, threads: int, memory_bytes: int, *, is_locked: bool = True) -> None:
    """The whole life of a worker process."""
    threading.stack_size(_STACK_BYTES)
    limit_process(memory_bytes, threads)
    sock, files = socket.socket(fileno=message_fd), socket.socket(fileno=file_fd)
    with contextlib.suppress(EOFError, OSError):
        Worker(sock, files, threads=threads, memory_bytes=memory_bytes, is_locked=is_locked).serve()
    # Threads may be inside the engine; nothing here is worth waiting for.
    os._exit(0)
