"""What only the store in a directory promises: names on the disk, locks, sweeping, memory."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.blobs import local
from adapters.blobs.local import STAGING, LocalBlobs
from domain.blob import BlobKey
from domain.errors import NotFound, StoreFull, StoreUnavailable, UploadLocked
from tests.support.blobs import KEY, MIB, Record, body, peak_resident_bytes, read, reset_peak, some_bytes

LONG_KEY = BlobKey(f"{'f' * 160}/0192f0c1-2d3e-7f40-8a5b-6c7d8e9f0a1b/{'n' * 160}")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "blobs"


@pytest.fixture
def blobs(root: Path, monkeypatch: pytest.MonkeyPatch) -> LocalBlobs:
    monkeypatch.setattr(local, "LOCK_WAIT_SECONDS", 0.03)
    return LocalBlobs(root, free_bytes_min=0)


def files_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_finished_blob_is_a_plain_file_under_its_key(blobs: LocalBlobs, root: Path) -> None:
    """So that a person finds it without us, and a web server in front can send it."""
    record = await Record.begin(blobs)
    await record.append(b"abc")
    assert {f"{STAGING}/{KEY.replace('/', ',')}"} == files_below(root)

    await record.complete()

    assert {KEY} == files_below(root)
    assert str(root / KEY) == blobs.path_of(KEY)
    assert Path(blobs.path_of(KEY)).read_bytes() == b"abc"


async def test_a_longest_key_fits_on_the_disk(blobs: LocalBlobs, root: Path) -> None:
    record = await Record.begin(blobs, LONG_KEY)
    await record.append(b"abc")
    await record.append(b"def")

    await record.complete()

    assert {LONG_KEY} == files_below(root)
    assert names_in(root / STAGING) == set()


async def test_deleting_removes_empty_folders_and_no_others(blobs: LocalBlobs, root: Path) -> None:
    for name in ("one/name", "two/name"):
        record = await Record.begin(blobs, BlobKey(f"anna/{name}"))
        await record.append(b"abc")
        await record.complete()

    await blobs.delete(BlobKey("anna/one/name"))
    assert names_in(root / "anna") == {"two"}
    await blobs.delete(BlobKey("anna/two/name"))
    assert names_in(root) == {STAGING}


@pytest.mark.parametrize("size", [0, 5])
async def test_aborting_removes_what_a_crash_in_complete_left(blobs: LocalBlobs, root: Path, size: int) -> None:
    record = await Record.begin(blobs)
    await record.append(some_bytes(size))
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).hardlink_to(root / STAGING / KEY.replace("/", ","))

    await blobs.abort(record.writer)

    assert set() == files_below(root)


async def test_completing_after_a_crash_in_complete(blobs: LocalBlobs, root: Path) -> None:
    record = await Record.begin(blobs)
    await record.append(b"abc")
    (root / KEY).parent.mkdir(parents=True)
    (root / KEY).hardlink_to(root / STAGING / KEY.replace("/", ","))

    blob = await record.complete()

    assert {KEY} == files_below(root)
    assert blob.size_bytes == 3


async def test_a_file_system_without_links_does_as_well(
    blobs: LocalBlobs, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    record = await Record.begin(blobs)
    await record.append(b"abc")

    assert await record.complete() == await record.complete()

    assert {KEY} == files_below(root)


async def test_deleting_beside_completing_loses_neither(blobs: LocalBlobs) -> None:
    """Both touch the uploader's folder: one removes it when it is empty, the other needs it."""
    for number in range(20):
        old, new = BlobKey(f"anna/old{number}"), BlobKey(f"anna/new{number}")
        for key in (old, new):
            record = await Record.begin(blobs, key)
            await record.append(b"abc")
            if key == old:
                await record.complete()

        await asyncio.gather(record.complete(), blobs.delete(old))

        assert await read(blobs, new) == b"abc"
        await blobs.delete(new)


# ---- one writer at a time


async def stalled(*pieces: bytes, reached: asyncio.Event) -> AsyncIterator[bytes]:
    async for chunk in body(*pieces):
        yield chunk
    reached.set()
    await asyncio.Event().wait()


async def test_a_second_writer_is_refused_until_the_first_is_gone(blobs: LocalBlobs) -> None:
    """An old request that lost its lease must not write over bytes that a newer one was told are stored."""
    record = await Record.begin(blobs)
    await record.append(b"abc")
    reached = asyncio.Event()
    old = asyncio.create_task(blobs.append(record.writer, stalled(b"OLD" * 1000, reached=reached)))
    await reached.wait()

    with pytest.raises(UploadLocked):
        await record.append(b"def")
    with pytest.raises(UploadLocked):
        await record.complete()

    old.cancel()
    await asyncio.wait([old])
    await record.append(b"def")
    await record.complete()
    assert await read(blobs, KEY) == b"abcdef"


async def test_an_old_writer_cannot_touch_a_finished_blob(blobs: LocalBlobs) -> None:
    record = await Record.begin(blobs)
    await record.append(b"abc")
    seen = record.writer
    await record.append(b"def")
    await record.complete()

    with pytest.raises(StoreUnavailable):
        await blobs.append(seen, body(b"OLD"))

    assert await read(blobs, KEY) == b"abcdef"


async def test_what_is_written_to_an_aborted_blob_is_gone(blobs: LocalBlobs, root: Path) -> None:
    record = await Record.begin(blobs)
    reached = asyncio.Event()
    old = asyncio.create_task(blobs.append(record.writer, stalled(b"OLD", reached=reached)))
    await reached.wait()

    await blobs.abort(record.writer)
    old.cancel()
    await asyncio.wait([old])

    assert set() == files_below(root)


# ---- sweeping


async def test_sweeping_removes_what_is_old_and_nobody_knows(blobs: LocalBlobs, root: Path) -> None:
    known, young, orphan = BlobKey("anna/known/x"), BlobKey("anna/young/x"), BlobKey("anna/orphan/x")
    for key in (known, young, orphan, LONG_KEY):
        await (await Record.begin(blobs, key)).append(b"abc")
    for path in (root / STAGING).rglob("*"):
        if path.is_file():
            age_seconds = 10 if "young" in path.name else 100
            os.utime(path, (NOW.timestamp() - age_seconds,) * 2)
    asked: set[BlobKey] = set()

    async def is_known(key: BlobKey) -> bool:
        asked.add(key)
        return key == known

    removed = await blobs.sweep(is_known, older_than_seconds=60, now=NOW)

    assert removed == 2
    assert {known, orphan, LONG_KEY} == asked
    assert {f"{STAGING}/anna,known,x", f"{STAGING}/anna,young,x"} == files_below(root)


async def test_sweeping_leaves_what_is_being_written(blobs: LocalBlobs, root: Path) -> None:
    record = await Record.begin(blobs)
    reached = asyncio.Event()
    writing = asyncio.create_task(blobs.append(record.writer, stalled(b"abc", reached=reached)))
    await reached.wait()

    async def nobody(key: BlobKey) -> bool:
        return False

    assert await blobs.sweep(nobody, older_than_seconds=-1e9, now=NOW) == 0

    writing.cancel()
    await asyncio.wait([writing])
    assert await blobs.sweep(nobody, older_than_seconds=-1e9, now=NOW) == 1
    assert set() == files_below(root)


async def test_sweeping_removes_the_probe_of_a_dead_process(blobs: LocalBlobs, root: Path) -> None:
    (root / STAGING / "~1").write_bytes(b"1")

    async def unasked(key: BlobKey) -> bool:
        raise AssertionError

    assert await blobs.sweep(unasked, older_than_seconds=-1e9, now=NOW) == 1


# ---- the store itself


async def test_a_ping_below_the_floor_says_full(root: Path) -> None:
    with pytest.raises(StoreFull):
        await LocalBlobs(root, free_bytes_min=2**62).ping()


async def test_append_leaves_the_room_that_others_need(root):
    """A database on the same disk must be able to record that the store is full."""
    record = await Record.begin(LocalBlobs(root, free_bytes_min=2**62))
    with pytest.raises(StoreFull):
        await record.append(b"abc")

    assert record.size_bytes == 0


async def test_a_mount_that_fell_off_is_unavailable_and_stays_empty(blobs: LocalBlobs, root: Path) -> None:
    """Else uploads would fill the disk below, and vanish when the mount comes back."""
    record = await Record.begin(blobs)
    (root / STAGING).rmdir()

    for act in (record.append(b"abc"), record.complete(), blobs.ping()):
        with pytest.raises(StoreUnavailable) as raised:
            await act
        assert str(root) not in str(raised.value)

    assert names_in(root) == set()


async def test_bytes_that_are_gone_are_not_made_up(blobs: LocalBlobs, root: Path) -> None:
    """A staging file shorter than its record must not become a blob with a hole."""
    record = await Record.begin(blobs)
    await record.append(b"abcdef")
    os.truncate(root / STAGING / KEY.replace("/", ","), 3)

    with pytest.raises(StoreUnavailable):
        await record.append(b"ghi")
    with pytest.raises(StoreUnavailable):
        await record.complete()
    with pytest.raises(NotFound):
        await blobs.stat(KEY)


async def test_a_link_in_the_staging_folder_is_not_followed(blobs: LocalBlobs, root: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"secret")
    (root / STAGING / KEY.replace("/", ",")).symlink_to(victim)
    record = await Record.begin(blobs)

    with pytest.raises(StoreUnavailable):
        await record.append(b"abc")

    assert victim.read_bytes() == b"secret"


@pytest.mark.slow
async def test_memory_does_not_grow_with_the_body(blobs: LocalBlobs) -> None:
    chunk = bytes(65_536)

    async def large() -> AsyncIterator[bytes]:
        for _ in range(256 * MIB // len(chunk)):
            yield chunk

    record = await Record.begin(blobs)
    before = reset_peak()

    await blobs.append(record.writer, large())

    assert peak_resident_bytes() - before < 8 * MIB
