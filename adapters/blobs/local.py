# ruff: noqa: PTH102, PTH103, PTH104, PTH110, PTH116, PTH121
# Storing a small file takes 60 microseconds in all; with Path objects it was 93.
"""
Blobs as files of a local directory.

A finished blob is `root/<key>`. An unfinished one is a file in `root/.staging`, on the same file system, that a link
turns into the finished one. What the record of an upload calls durable is the truth: bytes of the staging file behind
it were never promised, and the next append writes over them. No path leaves this module but through `path_of`.
"""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import TracebackType

from adapters.blobs import files
from adapters.blobs.faults import fault_of
from adapters.blobs.keys import check_key
from domain.blob import Blob, BlobKey, BlobWriter, PipedBytes
from domain.errors import Conflict, NotFound, StoreUnavailable, UploadLocked

STAGING = ".staging"  # no key begins with a dot, so no blob can be in it
WRITE_OUT_BYTES = 4 * 2**20  # the disk takes these while the next come: 8 MiB appends 1,665 MB/s, without 1,221
REPORT_BYTES = 32 * 2**20  # between two reports, each of which costs somebody a record
READ_BYTES = 2**20  # of one read of a download
LOOK_BYTES = 4 * 2**20  # between two looks at how much room the disk has, microseconds each
FREE_BYTES_MIN = 256 * 2**20  # below this the store calls itself full, so that logs and databases keep room
LOCK_WAIT_SECONDS = 1.0
LOCK_POLL_SECONDS = 0.01
LINK_TRIES_MAX = 16  # a delete beside us may take the empty parent folder away again
FILE_MODE = 0o640

_FINISHED = {"finished": True}  # the notes of a writer whose blob has its final name already
_PROBE = "~"  # no name of a staged blob begins like a ping's
_STAGED_NAME_MAX = 240  # characters of one name on disk; file systems take 255
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class LocalBlobs:
    """
    The blob store in a directory. It holds nothing open between calls and needs no closing.

    Args:
        root: Made if it is missing. When the staging folder in it is gone later (a mount that fell off), the store
            is unavailable instead of filling the disk below, or calling every blob missing.
        fsync: Whether bytes are on the disk before they are called durable. Without it they are with the operating
            system: they outlive the process, but not a loss of power.
        free_bytes_min: Below this, appends and `ping` find the store full.
    """

    def __init__(self, root: Path, *, fsync: bool = True, free_bytes_min: int = FREE_BYTES_MIN) -> None:
        self._root = str(root.absolute())
        self._staging = f"{self._root}/{STAGING}"
        self._free_bytes_min = free_bytes_min
        with _translated:
            os.makedirs(self._staging, exist_ok=True)
            self._fsync = fsync and not files.is_in_memory(self._root)

    # ---- unfinished blobs

    async def create(self, key: BlobKey, *, content_type: str, length: int | None) -> BlobWriter:
        check_key(key)
        return BlobWriter(key, content_type, length=length)

    async def append(
        self,
        writer: BlobWriter,
        chunks: AsyncIterator[bytes | PipedBytes],
        *,
        on_durable: Callable[[BlobWriter], Awaitable[None]] | None = None,
        expected_bytes: int | None = None,
    ) -> BlobWriter:
        """
        Write behind the durable bytes, holding the file's lock all the while, so that a request which lost its upload
        to a newer one cannot write over what came later. A cancellation leaves the given writer valid.
        """
        with _translated:
            fd = await self._hold(writer)
        try:
            filled = await self._fill(fd, writer, chunks, on_durable)
            is_whole = not writer.size_bytes and filled.size_bytes == filled.length
            return self._finish_early(fd, filled) if is_whole and not self._fsync else filled
        finally:
            # A sync on its way shares the lock through its own descriptor; it need not keep a newcomer waiting.
            files.unlock(fd)
            os.close(fd)

    async def _fill(
        self,
        fd: int,
        writer: BlobWriter,
        chunks: AsyncIterator[bytes | PipedBytes],
        on_durable: Callable[[BlobWriter], Awaitable[None]] | None,
    ) -> BlobWriter:
        offset = reported = look_at = writer.size_bytes
        syncing = self._syncing(fd, writer)
        async for chunk in chunks:
            try:
                if offset >= look_at:
                    self._check_room()
                    look_at = offset + LOOK_BYTES
                if isinstance(chunk, PipedBytes):
                    offset = files.take(chunk.pipe, chunk.size, fd, offset)
                else:
                    offset = files.write(fd, chunk, offset)
            except OSError as error:
                raise fault_of(error, await self._keep(syncing, writer, offset)) from error
            with _translated:
                await syncing.follow(offset)
            if on_durable is not None and syncing.durable - reported >= REPORT_BYTES:
                reported = syncing.durable
                await on_durable(replace(writer, size_bytes=reported))
        with _translated:
            await syncing.reach(offset)
        return replace(writer, size_bytes=offset)

    async def _keep(self, syncing: "_Syncing", writer: BlobWriter, offset: int) -> BlobWriter | None:
        """Make durable what was written before a fault; None where that fails too, or nothing was."""
        try:
            await syncing.reach(offset)
        except OSError:
            return None
        return replace(writer, size_bytes=offset) if offset > writer.size_bytes else None

    def _syncing(self, fd: int, writer: BlobWriter) -> "_Syncing":
        if not self._fsync:
            return _Syncing(fd, writer.size_bytes)
        # With the first bytes comes the name; later it is on the disk already.
        folder = files.parent(self._staged(writer.key))
        folders = [] if writer.size_bytes else files.folders_from(folder, self._staging)
        return _ToDisk(fd, writer.size_bytes, folders)

    async def concatenate(self, writer: BlobWriter, sources: Sequence[BlobKey]) -> BlobWriter:
        """Let the file system copy; where it can share blocks nothing is copied at all."""
        with _translated:
            fd = await self._hold(writer)
        try:
            offset = writer.size_bytes
            for key in sources:
                offset = await self._copy(key, fd, offset)
            with _translated:
                await self._syncing(fd, writer).reach(offset)
        finally:
            # No unlocking here: after a cancellation a thread may still be copying, and its descriptor holds the lock.
            os.close(fd)
        return replace(writer, size_bytes=offset)

    async def _copy(self, key: BlobKey, target: int, offset: int) -> int:
        source = self._open(key)
        try:
            size = _blob(key, os.fstat(source)).size_bytes
            with _translated:
                end = await files.copy(source, size, target, offset)
        finally:
            os.close(source)
        if end != offset + size:
            raise StoreUnavailable("blob store")
        return end

    def _finish_early(self, fd: int, writer: BlobWriter) -> BlobWriter:
        """Finish a blob that came whole while it is open; `complete` does what cannot be done now."""
        with _translated, suppress(Conflict):
            self._name(fd, writer)
            return replace(writer, state=_FINISHED)
        return writer

    async def complete(self, writer: BlobWriter) -> Blob:
        if writer.state == _FINISHED:
            return await self._finished(writer)
        try:
            with _translated:
                fd = await self._hold(writer)
        except StoreUnavailable:
            # Nothing is left to finish: either it is finished, or the bytes are gone.
            return await self._finished(writer)
        with _translated:
            if self._fsync:
                return await files.in_thread(self._finish, fd, writer)
            return self._finish(fd, writer)

    def _finish(self, fd: int, writer: BlobWriter) -> Blob:
        """Give the staged file its final name and close it."""
        try:
            return self._name(fd, writer)
        finally:
            os.close(fd)

    def _name(self, fd: int, writer: BlobWriter) -> Blob:
        staged, final = self._staged(writer.key), self._final(writer.key)
        if os.fstat(fd).st_size > writer.size_bytes:
            os.ftruncate(fd, writer.size_bytes)
            if self._fsync:
                os.fsync(fd)
        blob = self._link(writer, fd, staged, final)
        if self._fsync:
            for folder in files.folders_from(files.parent(final), self._root):
                files.sync_folder(folder)
        # Only now: until the final name is on the disk the staged one is what holds the bytes.
        files.remove(staged)
        files.remove_folders(files.parent(staged), self._staging)
        return blob

    def _link(self, writer: BlobWriter, fd: int, staged: str, final: str) -> Blob:
        for _ in range(LINK_TRIES_MAX):
            files.make_folder(files.parent(final))
            try:
                os.link(staged, final)
            except FileNotFoundError:
                continue
            except FileExistsError:
                blob = _blob(writer.key, os.stat(final))
                # An empty blob that is finished again was staged anew.
                if not os.path.samefile(staged, final) and not blob.size_bytes == writer.size_bytes == 0:
                    raise Conflict("another blob is stored under this key") from None
                return blob
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                # The upload's lock keeps two of us apart, as far as a file system without links lets us.
                if os.path.exists(final):
                    raise Conflict("another blob is stored under this key") from None
                os.rename(staged, final)
            return _blob(writer.key, os.fstat(fd))
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
        if writer.state == _FINISHED:
            await self.delete(writer.key)
        with _translated:
            self._discard(self._staged(writer.key), self._final(writer.key))

    def _discard(self, staged: str, final: str) -> None:
        with suppress(FileNotFoundError):
            # A crash in `complete` may have left both names.
            if os.path.samefile(final, staged):
                files.remove(final)
                files.remove_folders(files.parent(final), self._root)
        if not files.remove(staged):
            self._check_mount()
        files.remove_folders(files.parent(staged), self._staging)

    async def _hold(self, writer: BlobWriter) -> int:
        """Open the staged file and lock it; the lock goes with the file descriptor, by death too."""
        staged = self._staged(writer.key)
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if writer.size_bytes == 0 else 0)
        if writer.size_bytes == 0:
            self._make_staging_folders(staged)
        for _ in range(int(LOCK_WAIT_SECONDS / LOCK_POLL_SECONDS)):
            fd = os.open(staged, flags, FILE_MODE)
            try:
                if files.lock(fd):
                    status = os.fstat(fd)
                    if files.is_named(status, staged):
                        if status.st_size < writer.size_bytes:
                            raise StoreUnavailable("blob store")
                        held, fd = fd, -1
                        return held
            finally:
                if fd >= 0:
                    os.close(fd)
            await asyncio.sleep(LOCK_POLL_SECONDS)
        raise UploadLocked

    def _make_staging_folders(self, staged: str) -> None:
        """Make the folders of a long name, but never the staging folder, which shows that the mount is there."""
        for folder in reversed(files.folders_from(files.parent(staged), self._staging)[:-1]):
            with suppress(FileExistsError):
                os.mkdir(folder)

    # ---- finished blobs

    async def open(self, key: BlobKey, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield chunks of 1 byte to 1 MiB; the caller closes the iterator."""
        fd = self._open(key)
        try:
            size = _blob(key, os.fstat(fd)).size_bytes
            end = size if end is None else min(end, size)
            while start < end:
                with _translated:
                    chunk = await files.read(fd, min(READ_BYTES, end - start), start)
                if not chunk:
                    raise StoreUnavailable("blob store")
                yield chunk
                start += len(chunk)
        finally:
            os.close(fd)

    def _open(self, key: BlobKey) -> int:
        final = self._final(key)
        with _translated:
            try:
                return os.open(final, os.O_RDONLY | os.O_CLOEXEC)
            except (FileNotFoundError, NotADirectoryError) as error:
                self._check_mount()
                raise NotFound("blob") from error

    async def stat(self, key: BlobKey) -> Blob:
        final = self._final(key)
        with _translated:
            try:
                return _blob(key, os.stat(final))
            except (FileNotFoundError, NotADirectoryError) as error:
                self._check_mount()
                raise NotFound("blob") from error

    async def delete(self, key: BlobKey) -> None:
        """Remove the file, and the folders that are empty then; a reader that has it open reads on."""
        final = self._final(key)
        with _translated:
            if not files.remove(final):
                self._check_mount()
            files.remove_folders(files.parent(final), self._root)

    def path_of(self, key: BlobKey) -> str:
        return self._final(key)

    # ---- the store itself

    def _check_mount(self) -> None:
        """Raise FileNotFoundError where not a blob is missing, but the whole store."""
        os.stat(self._staging)

    async def ping(self) -> None:
        with _translated:
            await files.in_thread(self._probe)

    def _check_room(self) -> None:
        """Raise what a full disk would, before it is full: the records, which may be on it too, need room to go on."""
        room = os.statvfs(self._staging)
        if room.f_bavail * room.f_frsize < self._free_bytes_min:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _probe(self) -> None:
        self._check_room()
        probe = f"{self._staging}/{_PROBE}{os.getpid()}"
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)
        try:
            os.write(fd, b"1")
        finally:
            os.close(fd)
            files.remove(probe)

    async def sweep(
        self, known: Callable[[BlobKey], Awaitable[bool]], *, older_than_seconds: float, now: datetime
    ) -> int:
        removed = 0
        with _translated:
            staged_files = await files.in_thread(files.files_below, self._staging)
        for staged in staged_files:
            name = staged.removeprefix(f"{self._staging}/")
            key = BlobKey(name.replace("~/", "").replace(",", "/"))
            with _translated, suppress(FileNotFoundError):
                is_old = now.timestamp() - os.stat(staged).st_mtime >= older_than_seconds
                if is_old and (name.startswith(_PROBE) or not await known(key)):
                    removed += self._remove_unless_held(staged)
        return removed

    def _remove_unless_held(self, staged: str) -> bool:
        fd = os.open(staged, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not files.lock(fd):
                return False
            files.remove(staged)
            files.remove_folders(files.parent(staged), self._staging)
            return True
        finally:
            os.close(fd)

    # ---- names

    def _final(self, key: BlobKey) -> str:
        check_key(key)
        return f"{self._root}/{key}"

    def _staged(self, key: BlobKey) -> str:
        """Name the staging file so that the key can be read off it; `~` ends a piece of a long name."""
        check_key(key)
        name = key.replace("/", ",")
        if len(name) <= _STAGED_NAME_MAX:
            return f"{self._staging}/{name}"
        cuts = range(0, len(name), _STAGED_NAME_MAX)
        return f"{self._staging}/" + "~/".join(name[cut : cut + _STAGED_NAME_MAX] for cut in cuts)


def _blob(key: BlobKey, status: os.stat_result) -> Blob:
    if not stat.S_ISREG(status.st_mode):
        raise NotFound("blob")
    return Blob(key, status.st_size, etag=f"{status.st_mtime_ns:x}-{status.st_size:x}")


class _Syncing:
    """How far an append is durable, where that is as far as it was written."""

    def __init__(self, fd: int, durable: int) -> None:
        self._fd = fd
        self.durable = durable

    async def follow(self, offset: int) -> None:
        """Take note that the file was written up to `offset`; waits where the disk is too far behind."""
        self.durable = offset

    async def reach(self, offset: int) -> None:
        """Return when everything up to `offset` is durable."""
        self.durable = offset


class _ToDisk(_Syncing):
    """
    The same where that is as far as the disk has it: one sync at a time, beside the writes.

    The kernel tells of a failed write-back only once: behind a sync that failed, one that succeeds says nothing, so
    the fault of one is that of all.
    """

    def __init__(self, fd: int, durable: int, folders: Sequence[str]) -> None:
        super().__init__(fd, durable)
        self._folders = folders
        self._begun = durable
        self._running: asyncio.Future[None] | None = None

    async def follow(self, offset: int) -> None:
        if offset - self._begun >= WRITE_OUT_BYTES:
            await self._settle()
            self._begin(offset)

    async def reach(self, offset: int) -> None:
        await self._settle()
        if offset > self.durable:
            self._begin(offset)
            await self._settle()

    def _begin(self, offset: int) -> None:
        folders, self._folders = self._folders, ()
        self._running = files.soon(files.sync_and_close, os.dup(self._fd), folders)
        self._begun = offset

    async def _settle(self) -> None:
        if self._running is not None:
            await asyncio.shield(self._running)
            self._running = None
            self.durable = self._begun


class _Translating:
    """Turns faults of the operating system into ours; it holds nothing, so that one is enough."""

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, OSError):
            raise fault_of(error) from error


_translated = _Translating()
