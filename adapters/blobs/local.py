"""
Blobs as files of a local directory.

A finished blob is `root/<key>`. An unfinished one is a file in `root/.staging`, on the same file system, that a link
turns into the finished one. What the record of an upload calls durable is the truth: bytes of the staging file behind
it were never promised, and the next append writes over them. No path leaves this module but through `path_of`.
"""

import asyncio
import errno
import fcntl
import os
import re
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from domain.blob import Blob, BlobKey, BlobWriter
from domain.errors import Conflict, NotFound, StoreFull, StoreUnavailable, UploadLocked

P = ParamSpec("P")
T = TypeVar("T")

STAGING = ".staging"  # no key begins with a dot, so no blob can be in it
PROBE = "~"  # and no name of a staged blob begins like a ping's
SLICE_BYTES = 64 * 2**10  # of one write; larger ones took 2.7 times as long (uploads.md, "Speed")
WRITE_OUT_BYTES = 4 * 2**20  # the disk takes these while the next come: 8 MiB appends 1,665 MB/s, without 1,221
COPY_BYTES = 64 * 2**20  # of one call of the file system, which cannot be stopped
READ_BYTES = 2**20  # of one read of a download
FREE_BYTES_MIN = 256 * 2**20  # below this the store calls itself full, so that logs and databases keep room
LOCK_WAIT_SECONDS = 1.0
LOCK_POLL_SECONDS = 0.01
LINK_TRIES_MAX = 16  # a delete beside us may take the empty parent folder away again
FILE_MODE = 0o640

_SEGMENT = re.compile(r"(?![.])[!-+\-.0-9:-\[\]-}]+")  # printable ASCII without blank, comma, slash, backslash, tilde
_STAGED_NAME_MAX = 240  # characters of one name on disk; file systems take 255
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_COPIES = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_IN_USE = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY})


class LocalBlobs:
    """
    The blob store in a directory. It holds nothing open between calls and needs no closing.

    Args:
        root: Made if it is missing. When the staging folder in it is gone later (a mount that fell off), the store
            is unavailable instead of filling the disk below.
        fsync: Whether bytes are on the disk before they are called durable. Without it they are with the operating
            system: they outlive the process, but not a loss of power.
        free_bytes_min: What `ping` wants to be free.
    """

    def __init__(self, root: Path, *, fsync: bool = True, free_bytes_min: int = FREE_BYTES_MIN) -> None:
        self._root = root.absolute()
        self._staging = self._root / STAGING
        self._free_bytes_min = free_bytes_min
        with _translated():
            self._staging.mkdir(parents=True, exist_ok=True)
            self._fsync = fsync and not _is_in_memory(self._root)

    # ---- unfinished blobs

    async def create(self, key: BlobKey, *, content_type: str, length: int | None) -> BlobWriter:
        _check(key)
        return BlobWriter(key, content_type, length=length)

    async def append(self, writer: BlobWriter, chunks: AsyncIterator[bytes]) -> BlobWriter:
        """
        Write behind the durable bytes, holding the file's lock all the while, so that a request which lost its upload
        to a newer one cannot write over what came later. A cancellation leaves the given writer valid.
        """
        with _translated():
            fd = await self._hold(writer)
        try:
            return await self._fill(fd, writer, chunks)
        finally:
            # A sync on its way shares the lock through its own descriptor; it need not keep a newcomer waiting.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    async def _fill(self, fd: int, writer: BlobWriter, chunks: AsyncIterator[bytes]) -> BlobWriter:
        offset = written_out = writer.size_bytes
        write_out: asyncio.Future[None] | None = None
        async for chunk in chunks:
            try:
                offset = _write(fd, chunk, offset)
            except OSError as error:
                raise _fault(error, await self._keep(fd, writer, offset, write_out)) from error
            if self._fsync and offset - written_out >= WRITE_OUT_BYTES:
                with _translated():
                    if write_out is not None:
                        await asyncio.shield(write_out)
                write_out, written_out = _soon(_sync, os.dup(fd)), offset
        with _translated():
            if write_out is not None:
                await asyncio.shield(write_out)
            if offset > writer.size_bytes:
                await self._make_durable(fd, writer)
        return replace(writer, size_bytes=offset)

    async def _keep(
        self, fd: int, writer: BlobWriter, offset: int, write_out: asyncio.Future[None] | None
    ) -> BlobWriter | None:
        """Make durable what was written before a fault; None where that fails too, or nothing was."""
        # The kernel tells of a failed write-back only once: behind a sync that failed, one that succeeds says nothing.
        try:
            if write_out is not None:
                await asyncio.shield(write_out)
            await self._make_durable(fd, writer)
        except OSError:
            return None
        return replace(writer, size_bytes=offset) if offset > writer.size_bytes else None

    async def _make_durable(self, fd: int, writer: BlobWriter) -> None:
        if self._fsync:
            folder = self._staged(writer.key).parent
            # With the first bytes comes the name; later it is on the disk already.
            folders = () if writer.size_bytes else (folder, *_folders_between(folder, self._staging))
            await _in_thread(_sync, os.dup(fd), folders)

    async def concatenate(self, writer: BlobWriter, sources: Sequence[BlobKey]) -> BlobWriter:
        """Let the file system copy; where it can share blocks nothing is copied at all."""
        with _translated():
            fd = await self._hold(writer)
        try:
            offset = writer.size_bytes
            for key in sources:
                with _translated(missing=True):
                    source = os.open(self._final(key), os.O_RDONLY | os.O_CLOEXEC)
                try:
                    offset = await _copy(source, _blob(key, os.fstat(source)).size_bytes, fd, offset)
                finally:
                    os.close(source)
            with _translated():
                await self._make_durable(fd, writer)
        finally:
            # No unlocking here: after a cancellation a thread may still be copying, and its descriptor holds the lock.
            os.close(fd)
        return replace(writer, size_bytes=offset)

    async def complete(self, writer: BlobWriter) -> Blob:
        try:
            with _translated():
                fd = await self._hold(writer)
        except StoreUnavailable:
            # Nothing is left to finish: either it is finished, or the bytes are gone.
            return await self._finished(writer)
        with _translated():
            if self._fsync:
                return await _in_thread(self._finish, fd, writer)
            return self._finish(fd, writer)

    def _finish(self, fd: int, writer: BlobWriter) -> Blob:
        """Give the staged file its final name and close it."""
        staged, final = self._staged(writer.key), self._final(writer.key)
        try:
            if os.fstat(fd).st_size > writer.size_bytes:
                os.ftruncate(fd, writer.size_bytes)
            if self._fsync:
                os.fsync(fd)
            self._link(staged, final, is_empty=writer.size_bytes == 0)
            if self._fsync:
                for folder in (final.parent, *_folders_between(final.parent, self._root)):
                    _sync_folder(folder)
            # Only now: until the final name is on the disk the staged one is what holds the bytes.
            staged.unlink(missing_ok=True)
            self._remove_folders(staged.parent, self._staging)
            return _blob(writer.key, final.stat())
        finally:
            os.close(fd)

    def _link(self, staged: Path, final: Path, *, is_empty: bool) -> None:
        for _ in range(LINK_TRIES_MAX):
            final.parent.mkdir(parents=True, exist_ok=True)
            try:
                final.hardlink_to(staged)
            except FileNotFoundError:
                continue
            except FileExistsError:
                # An empty blob that is finished again was staged anew.
                if not final.samefile(staged) and not (is_empty and final.stat().st_size == 0):
                    raise Conflict("another blob is stored under this key") from None
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                _rename(staged, final)
            return
        raise StoreUnavailable("blob store")

    async def _finished(self, writer: BlobWriter) -> Blob:
        try:
            blob = await self.stat(writer.key)
        except NotFound:
            blob = None
        if blob is None or blob.size_bytes != writer.size_bytes:
            raise StoreUnavailable("blob store")
        return blob

    async def abort(self, writer: BlobWriter) -> None:
        """Remove the staged file; a request that still writes to it writes into nothing."""
        staged, final = self._staged(writer.key), self._final(writer.key)
        with _translated():
            with suppress(FileNotFoundError):
                # A crash in `complete` may have left both names.
                if final.samefile(staged):
                    final.unlink()
                    self._remove_folders(final.parent, self._root)
            staged.unlink(missing_ok=True)
            self._remove_folders(staged.parent, self._staging)

    async def _hold(self, writer: BlobWriter) -> int:
        """Open the staged file and lock it; the lock goes with the file descriptor, by death too."""
        staged = self._staged(writer.key)
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if writer.size_bytes == 0 else 0)
        if staged.parent != self._staging and writer.size_bytes == 0:
            for folder in reversed((staged.parent, *_folders_between(staged.parent, self._staging)[:-1])):
                folder.mkdir(exist_ok=True)
        for _ in range(int(LOCK_WAIT_SECONDS / LOCK_POLL_SECONDS)):
            fd = os.open(staged, flags, FILE_MODE)
            try:
                if _lock(fd) and _is_named(fd, staged):
                    if os.fstat(fd).st_size < writer.size_bytes:
                        raise StoreUnavailable("blob store")
                    held, fd = fd, -1
                    return held
            finally:
                if fd >= 0:
                    os.close(fd)
            await asyncio.sleep(LOCK_POLL_SECONDS)
        raise UploadLocked

    # ---- finished blobs

    async def open(self, key: BlobKey, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield chunks of 1 byte to 1 MiB; the caller closes the iterator."""
        with _translated(missing=True):
            fd = os.open(self._final(key), os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = _blob(key, os.fstat(fd)).size_bytes
            end = size if end is None else min(end, size)
            while start < end:
                with _translated():
                    chunk = await _read(fd, min(READ_BYTES, end - start), start)
                if not chunk:
                    raise StoreUnavailable("blob store")
                yield chunk
                start += len(chunk)
        finally:
            os.close(fd)

    async def stat(self, key: BlobKey) -> Blob:
        with _translated(missing=True):
            return _blob(key, self._final(key).stat())

    async def delete(self, key: BlobKey) -> None:
        final = self._final(key)
        with _translated():
            final.unlink(missing_ok=True)
            self._remove_folders(final.parent, self._root)

    def path_of(self, key: BlobKey) -> str:
        return str(self._final(key))

    # ---- the store itself

    async def ping(self) -> None:
        with _translated():
            await _in_thread(self._probe)

    def _probe(self) -> None:
        room = os.statvfs(self._staging)
        if room.f_bavail * room.f_frsize < self._free_bytes_min:
            raise StoreFull
        probe = self._staging / f"{PROBE}{os.getpid()}"
        try:
            probe.write_bytes(b"1")
        finally:
            probe.unlink(missing_ok=True)

    async def sweep(
        self, known: Callable[[BlobKey], Awaitable[bool]], *, older_than_seconds: float, now: datetime
    ) -> int:
        """Remove unfinished blobs that are old enough and that nobody knows; give how many."""
        removed = 0
        with _translated():
            staged_files = await _in_thread(self._list_staged)
        for staged in staged_files:
            key = BlobKey(staged.relative_to(self._staging).as_posix().replace("~/", "").replace(",", "/"))
            with _translated(), suppress(FileNotFoundError):
                is_old = now.timestamp() - staged.stat().st_mtime >= older_than_seconds
                if is_old and (staged.name.startswith(PROBE) or not await known(key)):
                    removed += self._remove_unless_held(staged)
        return removed

    def _list_staged(self) -> list[Path]:
        return [path for path in self._staging.rglob("*") if path.is_file()]

    def _remove_unless_held(self, staged: Path) -> bool:
        fd = os.open(staged, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not _lock(fd):
                return False
            staged.unlink()
            self._remove_folders(staged.parent, self._staging)
            return True
        finally:
            os.close(fd)

    # ---- names

    def _final(self, key: BlobKey) -> Path:
        _check(key)
        return self._root / key

    def _staged(self, key: BlobKey) -> Path:
        """Name the staging file so that the key can be read off it; `~` ends a piece of a long name."""
        _check(key)
        name = key.replace("/", ",")
        cuts = range(0, len(name), _STAGED_NAME_MAX)
        return self._staging / "~/".join(name[cut : cut + _STAGED_NAME_MAX] for cut in cuts)

    def _remove_folders(self, folder: Path, top: Path) -> None:
        """Remove empty folders from `folder` upwards, but not `top`."""
        while folder != top:
            try:
                folder.rmdir()
            except OSError as error:
                if error.errno in _IN_USE:
                    return
                raise
            folder = folder.parent


# ---- files


def _write(fd: int, chunk: bytes, offset: int) -> int:
    """Write all of `chunk` at `offset` and give where it ends."""
    if len(chunk) <= SLICE_BYTES and (written := os.pwrite(fd, chunk, offset)) == len(chunk):
        return offset + written
    rest = memoryview(chunk)
    while rest:
        written = os.pwrite(fd, rest[:SLICE_BYTES], offset)
        offset += written
        rest = rest[written:]
    return offset


async def _copy(source: int, size: int, target: int, offset: int) -> int:
    """Copy a whole file to `offset` of another and give where it ends."""
    position = 0
    while position < size:
        with _translated():
            copied = await _in_thread(
                _copy_and_close, os.dup(source), os.dup(target), min(COPY_BYTES, size - position), position, offset
            )
        if not copied:
            raise StoreUnavailable("blob store")
        position += copied
        offset += copied
    return offset


def _copy_and_close(source: int, target: int, size: int, position: int, offset: int) -> int:
    try:
        return os.copy_file_range(source, target, size, position, offset)
    except OSError as error:
        if error.errno not in _NO_COPIES:
            raise
        return _write(target, os.pread(source, min(size, READ_BYTES), position), offset) - offset
    finally:
        os.close(source)
        os.close(target)


async def _read(fd: int, size: int, offset: int) -> bytes:
    return os.pread(fd, size, offset)


def _sync(fd: int, folders: Iterable[Path] = ()) -> None:
    """Bring a file's bytes and its name to the disk, and close it."""
    try:
        os.fdatasync(fd)
        for folder in folders:
            _sync_folder(folder)
    finally:
        os.close(fd)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _folders_between(folder: Path, top: Path) -> tuple[Path, ...]:
    """Give the folders above `folder`, up to `top` and with it."""
    return tuple(parent for parent in folder.parents if parent.is_relative_to(top))


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_named(fd: int, path: Path) -> bool:
    """Tell whether the file is still the one under this name; while we waited it may have been finished or removed."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False


def _rename(staged: Path, final: Path) -> None:
    """Stand in for a link where the file system has none; the upload's lock keeps two of us apart."""
    if final.exists():
        raise Conflict("another blob is stored under this key")
    staged.rename(final)


def _blob(key: BlobKey, status: os.stat_result) -> Blob:
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("blob")
    return Blob(key, status.st_size, etag=f"{status.st_mtime_ns:x}-{status.st_size:x}")


def _is_in_memory(path: Path) -> bool:
    """Tell whether the file system forgets all at a loss of power anyhow, so that syncing it is idle."""
    device = path.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
    except OSError:
        return False
    # Source: proc_pid_mountinfo(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw"
    fields = [line.split(" ") for line in mounts.splitlines()]
    return any(field[2] == wanted and field[field.index("-") + 1] in {"tmpfs", "ramfs"} for field in fields)


def _check(key: BlobKey) -> None:
    """Hold that a key stays inside the root; the domain makes only such keys."""
    if not all(_SEGMENT.fullmatch(segment) for segment in key.split("/")):
        raise ValueError("a blob's key is made of segments of printable ASCII that begin with no dot")


# ---- faults and threads


def _fault(error: OSError, kept: BlobWriter | None = None) -> StoreFull | StoreUnavailable:
    if error.errno in _FULL:
        return StoreFull(kept=kept)
    return StoreUnavailable("blob store", kept=kept)


@contextmanager
def _translated(*, missing: bool = False) -> Iterator[None]:
    """Turn faults of the operating system into ours; `missing`: no such file means no such blob."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise (NotFound("blob") if missing else StoreUnavailable("blob store")) from error
    except OSError as error:
        raise _fault(error) from error


def _soon(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Start work in a thread. It runs to its end, also when nobody waits any more."""
    future = asyncio.get_running_loop().run_in_executor(None, lambda: work(*args, **kwargs))
    # Whoever waited may have been cancelled; then nobody else would look at the fault.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.shield(_soon(work, *args, **kwargs))
