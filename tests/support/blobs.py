"""What tests of blob stores share: bodies, a record that remembers writers as a service would, and a failing disk."""

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from domain.blob import Blob, BlobKey, BlobStore, BlobWriter
from domain.errors import StoreFull, StoreUnavailable

KEY = BlobKey("anna@example.org/0192f0c1-2d3e-7f40-8a5b-6c7d8e9f0a1b/holiday.mov")
CHUNK_BYTES_MAX = 262_144
MIB = 2**20


def some_bytes(size: int, *, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


async def body(*pieces: bytes, ends_with: BaseException | None = None) -> AsyncIterator[bytes]:
    """Yield the pieces in chunks as large as the port allows; then raise, if so asked."""
    for piece in pieces:
        for start in range(0, len(piece), CHUNK_BYTES_MAX):
            yield piece[start : start + CHUNK_BYTES_MAX]
    if ends_with is not None:
        raise ends_with


async def read(blobs: BlobStore, key: BlobKey, *, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in blobs.open(key, start=start, end=end)])


def reset_peak() -> int:
    """Forget the process's peak of resident memory, and give what it is now."""
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): "reset the peak resident set size"
    return peak_resident_bytes()


def peak_resident_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


class Record:
    """An upload's record, the only truth: it keeps a writer as JSON, as a database does."""

    def __init__(self, blobs: BlobStore, writer: BlobWriter) -> None:
        self._blobs = blobs
        self._json = json.dumps(asdict(writer))

    @classmethod
    async def begin(cls, blobs: BlobStore, key: BlobKey = KEY, *, length: int | None = None) -> "Record":
        return cls(blobs, await blobs.create(key, content_type="video/quicktime", length=length))

    @property
    def writer(self) -> BlobWriter:
        return BlobWriter(**json.loads(self._json))

    @property
    def size_bytes(self) -> int:
        return self.writer.size_bytes

    def save(self, writer: BlobWriter) -> None:
        assert writer.size_bytes >= self.size_bytes, "an acknowledged offset never decreases"
        self._json = json.dumps(asdict(writer))

    async def append(self, *pieces: bytes) -> int:
        """Append and save, and give the new size; on a store's fault save what it kept and raise on."""
        try:
            size = sum(map(len, pieces))
            self.save(await self._blobs.append(self.writer, body(*pieces), expected_bytes=size))
        except (StoreFull, StoreUnavailable) as fault:
            self.save(fault.kept or self.writer)
            raise
        return self.size_bytes

    async def complete(self) -> Blob:
        return await self._blobs.complete(self.writer)

    async def finish(self, content: bytes) -> Blob:
        """Send what is missing of `content` and complete, however often the store fails."""
        while self.size_bytes < len(content):
            await self.append(content[self.size_bytes :])
        return await self.complete()


class KilledUpload:
    """
    An upload by another process (blobs_worker) that is killed with SIGKILL.

    Args:
        writer: Where it begins, as JSON values.
        store: What blobs_worker makes its store of.
        folder: For the record, which alone survives.
    """

    def __init__(self, writer: dict[str, Any], *, store: dict[str, Any], folder: Path) -> None:
        self._store, self._record = store, folder / "record.json"
        self._record.write_text(json.dumps(writer))

    @property
    def writer(self) -> BlobWriter:
        return BlobWriter(**json.loads(self._record.read_text()))

    @contextmanager
    def start(self, *, size: int, append: int, step_by_step: bool = False) -> Iterator["subprocess.Popen[str]"]:
        arguments = [json.dumps(self._store), str(self._record), str(size), str(append), *["step"] * step_by_step]
        command = [sys.executable, "-m", "tests.support.blobs_worker", *arguments]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.kill()
                process.wait()

    def run(self, *, size: int, append: int, chunks: int) -> None:
        """Kill it when it has handed over so many chunks of 64 KiB; what it had acknowledged must not shrink."""
        before = self.writer.size_bytes
        with self.start(size=size, append=append) as process:
            assert process.stdout is not None
            for _ in range(chunks):
                process.stdout.readline()
        assert self.writer.size_bytes >= before


class FailingDisk:
    """
    The calls of the operating system that a local store makes, of which one fails.

    Args:
        top: Only calls made on files below this folder count; on file descriptors all do.
        fail_at: Number of the call that fails, from 1.
        errno: What it fails with.
        lasts: Whether all calls behind it fail too.
    """

    NAMES = ("open", "pwrite", "fdatasync", "fsync", "ftruncate", "link", "unlink", "mkdir", "rmdir")

    def __init__(self, top: Path, *, fail_at: int, errno: int, lasts: bool = False) -> None:
        self._top, self._fail_at, self._errno, self._lasts = str(top), fail_at, errno, lasts
        self._lock = threading.Lock()
        self.calls: list[str] = []

    @property
    def has_failed(self) -> bool:
        return len(self.calls) >= self._fail_at

    @contextmanager
    def __call__(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        with monkeypatch.context() as patch:
            for name in self.NAMES:
                patch.setattr(os, name, self._wrapped(name, getattr(os, name)))
            yield

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *args: Any, **kwargs: Any) -> Any:
            if isinstance(first, int) or os.fspath(first).startswith(self._top):
                with self._lock:
                    self.calls.append(name)
                    number = len(self.calls)
                if number == self._fail_at or (self._lasts and number > self._fail_at):
                    raise OSError(self._errno, os.strerror(self._errno))
            return real(first, *args, **kwargs)

        return call
