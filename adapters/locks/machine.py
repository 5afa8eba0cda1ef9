"""
Locks among processes of one machine that share a directory: ranges of one file, which the kernel keeps.

Within a process the newcomer and the holder meet in memory first. To another process a newcomer shows its wish by a
lock as well, on a byte of its own, for which the holder looks now and then; when a process dies, however it dies, its
locks are gone, and its wishes with them.
"""

import asyncio
import fcntl
import hashlib
import os
import struct
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from adapters.locks.local import Check, LocalLocks
from domain.errors import UploadLocked
from domain.lock import Hold

POLL_SECONDS = 0.01  # how soon a newcomer of another process notices that the holder let go
WATCH_SECONDS = 0.2  # how soon a holder notices that another process wants what it holds

# Linux keeps these by open file and not by process, so that two products in one process are kept apart as well.
_SET_LOCK = getattr(fcntl, "F_OFD_SETLK", None) if sys.platform == "linux" and sys.maxsize > 2**32 else None
_GET_LOCK = getattr(fcntl, "F_OFD_GETLK", None) if _SET_LOCK is not None else None
_WISHES = 2**62  # where the bytes of wishes begin, behind those of locks
_FLOCK = "@hhqqi4x"  # fcntl(2), struct flock: type, whence, start, length, process


class MachineLocks:
    """At most one holder a key, among all processes that opened the same file."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._local = LocalLocks()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        # Requests that are still about let go of nothing: the kernel has done that already.
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)

    @asynccontextmanager
    async def hold(
        self, key: str, *, on_contention: Callable[[], None], patience_seconds: float, check: Check | None = None
    ) -> AsyncGenerator[Hold, None]:
        place = _place_of(key)
        local = self._local.hold(key, on_contention=on_contention, patience_seconds=patience_seconds, check=check)
        async with local as hold:
            await self._take(place, patience_seconds, check)
            watch = _Watch(lambda: self._is_wanted(place), on_contention)
            try:
                yield hold
            finally:
                watch.end()
                self._set(fcntl.F_UNLCK, place)

    async def _take(self, place: int, patience_seconds: float, check: Check | None) -> None:
        if self._set(fcntl.F_WRLCK, place):
            return
        if check is not None:
            await check()
        # Where a third process has the wish's byte, the holder is asked all the same.
        self._set(fcntl.F_WRLCK, _WISHES + place)
        try:
            async with asyncio.timeout(patience_seconds):
                while not self._set(fcntl.F_WRLCK, place):  # noqa: ASYNC110 (the kernel wakes no event)
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise UploadLocked from error
        finally:
            self._set(fcntl.F_UNLCK, _WISHES + place)

    def _is_wanted(self, place: int) -> bool:
        """Tell whether another process waits; where the kernel cannot tell, it has to wait until we are done."""
        if self._descriptor < 0 or _GET_LOCK is None:
            return False
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _WISHES + place, 1, 0)
        answer = fcntl.fcntl(self._descriptor, _GET_LOCK, asked)
        return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)

    def _set(self, kind: int, place: int) -> bool:
        """Lock or unlock one byte; False where another process has it."""
        if self._descriptor < 0:
            return False
        try:
            if _SET_LOCK is not None:
                fcntl.fcntl(self._descriptor, _SET_LOCK, struct.pack(_FLOCK, kind, os.SEEK_SET, place, 1, 0))
            else:
                flags = fcntl.LOCK_UN if kind == fcntl.F_UNLCK else fcntl.LOCK_EX | fcntl.LOCK_NB
                fcntl.lockf(self._descriptor, flags, 1, place)
        except (BlockingIOError, PermissionError):
            return False
        return True


class _Watch:
    """Looks now and then whether what is held is wanted; a timer, since most are held for much less than one look."""

    def __init__(self, is_wanted: Callable[[], bool], on_contention: Callable[[], None]) -> None:
        self._is_wanted, self._on_contention = is_wanted, on_contention
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(WATCH_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = self._loop.call_later(WATCH_SECONDS, self._look)
        if self._is_wanted():
            self._on_contention()

    def end(self) -> None:
        self._timer.cancel()


def _place_of(key: str) -> int:
    """Give the byte that stands for a key: one of 2^62, so that two keys hardly ever share it."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 2
