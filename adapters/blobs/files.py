# ruff: noqa: PTH102, PTH103, PTH106, PTH108, PTH116, PTH123
# Storing a small file takes 60 microseconds in all; with Path objects it was 93.
"""What a local store does to files and folders. Everything here may block, and raises OSError."""

import asyncio
import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

SLICE_BYTES = 64 * 2**10  # of one write; larger ones took 2.7 times as long (uploads.md, "Speed")
COPY_BYTES = 64 * 2**20  # of one call of the file system, which cannot be stopped
FALLBACK_COPY_BYTES = 2**20

_NO_COPIES = frozenset({errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
_IN_USE = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY})


def write(fd: int, chunk: bytes, offset: int) -> int:
    """Write all of `chunk` at `offset` and give where it ends."""
    if len(chunk) <= SLICE_BYTES and (written := os.pwrite(fd, chunk, offset)) == len(chunk):
        return offset + written
    rest = memoryview(chunk)
    while rest:
        written = os.pwrite(fd, rest[:SLICE_BYTES], offset)
        offset += written
        rest = rest[written:]
    return offset


def take(pipe: int, size: int, fd: int, offset: int) -> int:
    """Move `size` bytes out of a pipe to `offset` of a file, by the kernel alone, and give where they end."""
    end = offset + size
    while offset < end:
        offset += os.splice(pipe, fd, end - offset, offset_dst=offset)
    return offset


async def read(fd: int, size: int, offset: int) -> bytes:
    """Read from the page cache at once, and from the disk in a thread, so that a slow one stops nobody else."""
    probe = bytearray(1)
    try:
        os.preadv(fd, [probe], offset + size - 1, os.RWF_NOWAIT)
    except OSError:  # not in the cache (EAGAIN), or a file system that cannot tell
        return await in_thread(_read_and_close, os.dup(fd), size, offset)
    return os.pread(fd, size, offset)


def _read_and_close(fd: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


async def copy(source: int, size: int, target: int, offset: int) -> int:
    """Copy a whole file to `offset` of another, and give where it ends; short when `source` is."""
    position = 0
    while position < size:
        # The threads get descriptors of their own: they go on when nobody waits any more.
        wanted = min(COPY_BYTES, size - position)
        copied = await in_thread(_copy_and_close, os.dup(source), os.dup(target), wanted, position, offset)
        if not copied:
            break
        position += copied
        offset += copied
    return offset


def _copy_and_close(source: int, target: int, size: int, position: int, offset: int) -> int:
    try:
        return os.copy_file_range(source, target, size, position, offset)
    except OSError as error:
        if error.errno not in _NO_COPIES:
            raise
        chunk = os.pread(source, min(size, FALLBACK_COPY_BYTES), position)
        return write(target, chunk, offset) - offset
    finally:
        os.close(source)
        os.close(target)


def sync_and_close(fd: int, folders: Iterable[str] = ()) -> None:
    """Bring a file's bytes, and its name in these folders, to the disk."""
    try:
        os.fdatasync(fd)
        for folder in folders:
            sync_folder(folder)
    finally:
        os.close(fd)


def sync_folder(folder: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock(fd: int) -> bool:
    """Take the file for this descriptor alone, unless another has it; given back with the last copy of it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def unlock(fd: int) -> None:
    fcntl.flock(fd, fcntl.LOCK_UN)


def is_named(status: os.stat_result, path: str) -> bool:
    """Tell whether an open file is still the one under this name; while one waited it may have been removed."""
    try:
        return os.path.samestat(status, os.stat(path))
    except FileNotFoundError:
        return False


def parent(path: str) -> str:
    return path.rpartition("/")[0]


def make_folder(folder: str) -> None:
    try:
        os.mkdir(folder)
    except FileExistsError:
        return
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)


def remove(path: str) -> bool:
    """Remove a file; False where there is none."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def remove_folders(folder: str, top: str) -> None:
    """Remove empty folders from `folder` upwards, but not `top`."""
    while folder != top:
        try:
            os.rmdir(folder)
        except OSError as error:
            if error.errno in _IN_USE:
                return
            raise
        folder = parent(folder)


def folders_from(folder: str, top: str) -> list[str]:
    """Give `folder` and the ones above it, up to `top` and with it."""
    folders = [folder]
    while folder != top:
        folder = parent(folder)
        folders.append(folder)
    return folders


def files_below(folder: str) -> list[str]:
    return [entry.path for entry in _walk(folder) if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)]


def _walk(folder: str) -> Iterable[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                with suppress(FileNotFoundError):  # somebody else's upload went on meanwhile
                    yield from _walk(entry.path)
            else:
                yield entry


def is_in_memory(folder: str) -> bool:
    """Tell whether the file system forgets all at a loss of power anyhow, so that syncing it is idle."""
    device = os.stat(folder).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo") as mounts:
            fields = [line.split(" ") for line in mounts]
    except OSError:
        return False
    # Source: proc_pid_mountinfo(5): "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw"
    return any(field[2] == wanted and field[field.index("-") + 1] in {"tmpfs", "ramfs"} for field in fields)


# ---- threads


def soon(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> asyncio.Future[T]:
    """Start work in a thread. It runs to its end, also when nobody waits any more."""
    future = asyncio.get_running_loop().run_in_executor(None, lambda: work(*args, **kwargs))
    # Whoever waited may have been cancelled; then nobody else would look at the fault.
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.shield(soon(work, *args, **kwargs))
