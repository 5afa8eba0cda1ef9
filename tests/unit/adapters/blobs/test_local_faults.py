"""The store in a directory when the disk fails, is full, or the process dies."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from adapters.blobs import files, local
from adapters.blobs.local import STAGING, LocalBlobs
from domain.errors import StoreFull, StoreUnavailable, UploadLocked
from tests.support.blobs import KEY, MIB, FailingDisk, KilledUpload, Record, body, read, sha256, some_bytes


@pytest.fixture
def blobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalBlobs:
    monkeypatch.setattr(files, "is_in_memory", lambda _: False)
    monkeypatch.setattr(local, "WRITE_OUT_BYTES", 300_000)
    return LocalBlobs(tmp_path / "blobs", free_bytes_min=0)


@pytest.mark.slow
@pytest.mark.parametrize("lasts", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
async def test_no_failing_call_loses_an_acknowledged_byte(
    blobs: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, lasts: bool
) -> None:
    content = some_bytes(800_000)
    expected = {errno.EIO: StoreUnavailable, errno.ENOSPC: StoreFull}[code]
    for fail_at in range(1, 200):
        disk = FailingDisk(tmp_path, fail_at=fail_at, errno=code, lasts=lasts)
        record = await Record.begin(blobs)

        with disk(monkeypatch):
            try:
                for cut in (100_000, 700_000):
                    await record.append(content[record.size_bytes : cut])
                await record.finish(content)
                await blobs.stat(KEY)
            except (StoreFull, StoreUnavailable) as fault:
                assert type(fault) is expected  # noqa: PT017
                assert str(tmp_path) not in str(fault)  # noqa: PT017

        acknowledged = record.size_bytes
        blob = await record.finish(content)
        assert acknowledged <= len(content) == blob.size_bytes
        assert sha256(content) == sha256(await read(blobs, KEY))
        await blobs.delete(KEY)
        assert [path.name for path in (tmp_path / "blobs").iterdir()] == [STAGING]
        if not disk.has_failed:
            assert fail_at > 15, "the loop went through every call"
            return
    pytest.fail("the loop did not come to its end")


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
async def test_a_sync_that_failed_vouches_for_nothing(
    blobs: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The kernel reports a lost page once; a second sync would succeed and lie."""
    record = await Record.begin(blobs)
    await record.append(b"abc")
    disk = FailingDisk(tmp_path, fail_at=1, errno=code)
    monkeypatch.setattr(FailingDisk, "NAMES", ("fdatasync",))

    with disk(monkeypatch), pytest.raises((StoreFull, StoreUnavailable)) as raised:
        await blobs.append(record.writer, body(b"def"))

    assert raised.value.kept is None
    assert disk.calls == ["fdatasync"]


async def test_bytes_and_names_are_synced_before_they_count(
    blobs: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss of power between any two of these calls leaves what was acknowledged."""
    record = await Record.begin(blobs)
    disk = FailingDisk(tmp_path, fail_at=10**9, errno=errno.EIO)
    with disk(monkeypatch):
        await record.append(b"abc")
        appended = list(disk.calls)
        await record.append(b"def")
        again = disk.calls[len(appended) :]
        await record.complete()
        completed = disk.calls[len(appended + again) :]

    assert appended == ["open", "pwrite", "fdatasync", "open", "fsync"]
    assert again == ["open", "pwrite", "fdatasync"]
    calls = [call for call in completed if call in {"fsync", "link", "unlink"}]
    assert calls == ["link", *["fsync"] * 3, "unlink"]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_when_the_disk_fills_what_fitted_is_kept(blobs: LocalBlobs) -> None:
    """The kernel writes up to the limit and fails then, as a full disk does."""
    content = some_bytes(MIB)
    record = await Record.begin(blobs)
    await record.append(content[:1000])

    with file_size_limit(700_000):
        with pytest.raises(StoreFull) as raised:
            await record.append(content[1000:])
        with pytest.raises(StoreFull) as again:
            await record.append(content[record.size_bytes :])

    assert raised.value.kept is not None
    assert record.size_bytes == 1000 + 2 * 262_144
    assert again.value.kept is None
    await record.finish(content)
    assert sha256(content) == sha256(await read(blobs, KEY))


# ---- other processes


@pytest.mark.slow
async def test_kill_9_in_mid_append_loses_no_acknowledged_byte(blobs: LocalBlobs, tmp_path: Path) -> None:
    size = 6 * MIB
    begun = await Record.begin(blobs, length=size)
    killed = KilledUpload(asdict(begun.writer), store={"root": str(tmp_path / "blobs")}, folder=tmp_path)

    for chunks in (3, 20, 37, 5):
        killed.run(size=size, append=MIB, chunks=chunks)

    assert killed.writer.size_bytes > 0
    content = some_bytes(size)
    await Record(blobs, killed.writer).finish(content)
    assert sha256(content) == sha256(await read(blobs, KEY))


@pytest.mark.slow
async def test_of_two_processes_on_one_blob_one_writes(
    blobs: LocalBlobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of the first holds across processes, and goes with its death."""
    monkeypatch.setattr(local, "LOCK_WAIT_SECONDS", 0.03)
    begun = await Record.begin(blobs)
    killed = KilledUpload(asdict(begun.writer), store={"root": str(tmp_path / "blobs")}, folder=tmp_path)

    with killed.start(size=MIB, append=MIB, step_by_step=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(UploadLocked):
            await begun.append(b"abc")

    await begun.append(b"abc")
    await begun.complete()
    assert await read(blobs, KEY) == b"abc"
