"""
Backup and restore of a data directory, while the server runs.

The records are copied first, at one moment, and the files after: files never change, so each that the records name is
there with all its bytes, and of an unfinished upload at least as many as they say. The copy of the records takes its
place last: a backup that is broken off leaves the one before as it was.
"""

import errno
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from adapters.records.sqlite.snapshot import snapshot
from domain.blob import BlobStore
from domain.errors import Conflict, NotFound, StoreFull, StoreUnavailable
from domain.file import FILES, File
from domain.ids import SYSTEM
from domain.page import Order, PageRequest, Position
from domain.records import Records
from domain.tenant import TENANTS

DATABASE = "lighterage.db"
FILES_FOLDER = "files"
STAGING = ".staging"
PAGE_SIZE = 100
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Copied:
    """How many files a backup copied, and how many it had already."""

    files: int
    bytes: int
    kept: int


def back_up(data_dir: Path, to: Path) -> Copied:
    """
    Copy records and files into a folder, which may hold an earlier backup; what is there already is not copied again.

    Raises:
        NotFound: There is nothing to be backed up.
        StoreFull, StoreUnavailable: It could not be read or written.
    """
    if not (data_dir / DATABASE).is_file():
        raise NotFound("database")
    fresh = to / f"{DATABASE}.new"
    try:
        to.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.unlink(missing_ok=True)
        snapshot(data_dir / DATABASE, fresh)
        copied = _copy_tree(data_dir / FILES_FOLDER, to / FILES_FOLDER)
        fresh.replace(to / DATABASE)
        _sync(to)
    except OSError as error:
        raise _fault(error) from error
    return copied


def restore(backup: Path, data_dir: Path) -> Copied:
    """
    Copy a backup into a data directory that holds nothing yet.

    Raises:
        NotFound: It is no backup.
        Conflict: Something is there.
        StoreFull, StoreUnavailable: It could not be read or written.
    """
    if not (backup / DATABASE).is_file():
        raise NotFound("backup")
    if (data_dir / DATABASE).exists() or (data_dir / FILES_FOLDER).exists():
        raise Conflict("the data directory is not empty: name another one, or move it away")
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        copied = _copy_tree(backup / FILES_FOLDER, data_dir / FILES_FOLDER)
        # The records come last: a server that is started too early finds an empty directory, not half of one.
        _copy_file(backup / DATABASE, data_dir / DATABASE)
        _sync(data_dir)
    except OSError as error:
        raise _fault(error) from error
    return copied


async def missing_files(records: Records, blobs: BlobStore) -> list[File]:
    """Give the files, of all tenants, whose bytes are not there, or not all of them."""
    missing = []
    tenants = records.collection(TENANTS)
    after: Position | None = None
    while True:
        page = await tenants.list(SYSTEM, order=Order("created_at"), page=PageRequest(PAGE_SIZE, after=after))
        for tenant in page.items:
            after = Position(tenant.created_at, tenant.id)
            missing += [file async for file in _files_of(records, tenant.id) if not await _is_whole(file, blobs)]
        if not page.has_next:
            return missing


async def _files_of(records: Records, tenant_id: str) -> AsyncIterator[File]:
    after: Position | None = None
    while True:
        request = PageRequest(PAGE_SIZE, after=after)
        page = await records.collection(FILES).list(tenant_id, order=Order("number"), page=request)
        for file in page.items:
            after = Position(file.number, file.id)
            yield file
        if not page.has_next:
            return


async def _is_whole(file: File, blobs: BlobStore) -> bool:
    try:
        return (await blobs.stat(file.key)).size_bytes == file.size
    except NotFound:
        return False


def _copy_tree(source: Path, target: Path) -> Copied:
    files = size = kept = 0
    target.mkdir(exist_ok=True)
    for path in _files_in(source):
        copy = target / path.relative_to(source)
        is_finished = path.relative_to(source).parts[0] != STAGING
        try:
            if is_finished and _is_same(path, copy):
                kept += 1
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            size += _copy_file(path, copy)
        except FileNotFoundError:
            continue  # finished, or taken away, since it was listed; in the first case it is copied under its own name
        files += 1
    return Copied(files, size, kept)


def _files_in(folder: Path) -> Iterator[Path]:
    # Unfinished ones first: what is finished meanwhile moves to a name that is still to come.
    staging = folder / STAGING
    yield from (path for path in staging.rglob("*") if path.is_file())
    yield from (path for path in folder.rglob("*") if path.is_file() and staging not in path.parents)


def _is_same(path: Path, copy: Path) -> bool:
    """Finished files never change: their size and time say that a copy is whole, for it gets its name last."""
    try:
        there, here = path.stat(), copy.stat()
    except FileNotFoundError:
        return False
    return (there.st_size, there.st_mtime_ns) == (here.st_size, here.st_mtime_ns)


def _copy_file(path: Path, copy: Path) -> int:
    fresh = copy.with_name(f".{copy.name}.new"[-255:])
    shutil.copy2(path, fresh)
    descriptor = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        size = os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)
    fresh.replace(copy)
    return size


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(error: OSError) -> StoreFull | StoreUnavailable:
    return StoreFull() if error.errno in _FULL else StoreUnavailable("backup")
