"""
The server's side of one worker process: start, talk, cancel, kill.
"""

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from query.engine.frames import FRAME_BYTES_MAX, HEAD, Frame

_START_SECONDS: Final = 30.0  # a loaded machine starts a process slowly
_ROOT: Final = str(Path(__file__).resolve().parents[2])
# -I: no environment, no user site, no current directory; the one folder it needs is named.
_PROGRAM: Final = (
    "import sys; sys.path.insert(0, {root!r}); from query.engine.worker import main; "
    "main({message}, {files}, {threads}, {memory}, is_locked={locked})"
)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    threads: int
    memory_bytes: int
    is_locked: bool = True


class WorkerGone(Exception):
    """The process ended."""


class WorkerProcess:
    """A started worker. One query at a time; the caller sees to that."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        files: socket.socket,
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._files = files
        self._head: tuple[int, int] | None = None

    @staticmethod
    async def start(options: WorkerOptions) -> "WorkerProcess":
        """Start a process and wait until it is locked and ready."""
        ours, theirs = socket.socketpair()
        our_files, their_files = socket.socketpair()
        program = _PROGRAM.format(
            root=_ROOT,
            message=theirs.fileno(),
            files=their_files.fileno(),
            threads=options.threads,
            memory=options.memory_bytes,
            locked=options.is_locked,
        )
        with theirs, their_files:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-c",
                program,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), their_files.fileno()),
                env={"LC_ALL": "C.UTF-8"},
                cwd="/",
            )
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        worker = WorkerProcess(process, reader, writer, our_files)
        try:
            async with asyncio.timeout(_START_SECONDS):
                kind, _ = await worker.receive()
        except (WorkerGone, TimeoutError):
            await worker.kill()
            raise
        assert kind is Frame.READY
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    async def send(self, kind: Frame, payload: bytes = b"") -> None:
        try:
            self._writer.write(HEAD.pack(kind, len(payload)) + payload)
            await self._writer.drain()
        except (ConnectionError, OSError) as error:
            raise WorkerGone from error

    def send_file(self, fd: int) -> None:
        """Hand over an open file. One byte over a local socket with nothing in it: this does not block."""
        try:
            socket.send_fds(self._files, [b"f"], [fd])
        except OSError as error:
            raise WorkerGone from error

    async def receive(self) -> tuple[Frame, bytes]:
        """
        Wait for one frame.

        Raises:
            WorkerGone: The process ended or sent what no worker sends.
        """
        try:
            # A caller that is cancelled between head and payload must not lose the head.
            if self._head is None:
                self._head = HEAD.unpack(await self._reader.readexactly(HEAD.size))
            kind, size = self._head
            if size > FRAME_BYTES_MAX:
                raise WorkerGone
            payload = await self._reader.readexactly(size)
            self._head = None
            return Frame(kind), payload
        except (asyncio.IncompleteReadError, ConnectionError, OSError, ValueError) as error:
            raise WorkerGone from error

    async def kill(self) -> None:
        """End the process at once and reap it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
        self._files.close()
        await self._process.wait()


def open_read_only(path: Path) -> int:
    """Open a file for a worker; links are followed, devices are not read."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
