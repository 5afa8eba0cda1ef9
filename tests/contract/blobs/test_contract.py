"""What every blob store promises, whatever it is made of."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from adapters.blobs import local
from adapters.blobs.local import LocalBlobs
from adapters.blobs.s3 import S3Blobs
from domain.blob import Blob, BlobKey, BlobStore, BlobWriter
from domain.errors import ChecksumMismatch, Conflict, NotFound
from tests.support.blobs import KEY, MIB, Record, body, read, sha256, some_bytes

AnyBlobs = LocalBlobs | S3Blobs
PART_BYTES = 5 * MIB  # of the S3 store under test; around it lie the edges
SIZES = [0, 1, 100_000, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 7]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "unknown"])
@pytest.mark.parametrize("size", SIZES)
async def test_what_was_appended_is_read_back(blobs: BlobStore, size: int, declared: bool) -> None:
    content = some_bytes(size)
    record = await Record.begin(blobs, length=size if declared else None)

    blob = await record.finish(content)

    assert Blob(KEY, size, blob.etag) == blob == await blobs.stat(KEY)
    assert sha256(content) == sha256(await read(blobs, KEY))


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "unknown"])
@pytest.mark.parametrize("expected", [None, 0, 1000, 6 * MIB, 12 * MIB, 2**40])
@pytest.mark.parametrize("came", [3, 5 * MIB + 5, 12 * MIB])
async def test_what_a_request_announced_is_not_relied_upon(
    blobs: BlobStore, came: int, expected: int | None, declared: bool
) -> None:
    """A body may be cut, and a store may have begun to send what never came."""
    content = some_bytes(13 * MIB)
    record = await Record.begin(blobs, length=len(content) if declared else None)

    record.save(await blobs.append(record.writer, body(content[:came]), expected_bytes=expected))

    assert came == record.size_bytes
    await record.finish(content)
    assert sha256(content) == sha256(await read(blobs, KEY))


@pytest.mark.parametrize("seed", range(3))
async def test_appends_of_any_length_make_one_blob(blobs: BlobStore, seed: int) -> None:
    """Where a client cuts its requests is its own affair."""
    dice = random.Random(seed)
    content = some_bytes(11 * MIB + seed, seed=seed)
    record = await Record.begin(blobs, length=len(content) if seed % 2 else None)

    while (start := record.size_bytes) < len(content):
        size = dice.choice([1, 1000, 65_536, MIB, 3 * MIB, 6 * MIB])
        reached = await record.append(content[start : start + size])
        assert min(start + size, len(content)) == reached

    await record.complete()
    assert sha256(content) == sha256(await read(blobs, KEY))


@pytest.mark.parametrize("size", [3, 6 * MIB])
async def test_every_character_of_a_key_comes_through(blobs: AnyBlobs, size: int) -> None:
    key = BlobKey("!\"#$%&'()*+-.0:;<=>?@A[]^_`a{|}/%2F+%20?x=y&z#f")
    record = await Record.begin(blobs, key)
    await record.append(some_bytes(size))
    await record.append(b"tail")
    await record.complete()

    joined = await Record.begin(blobs, BlobKey(f"copy/{key}"), length=size + 4)
    joined.save(await blobs.concatenate(joined.writer, [key]))
    await joined.complete()

    for stored in (key, joined.writer.key):
        assert some_bytes(size) + b"tail" == await read(blobs, stored)
        await blobs.delete(stored)


@pytest.mark.parametrize("content_type", ["a  b", "text/plain; charset=ü", "x\r\ny: z", "", " "])
@pytest.mark.parametrize("length", [3, None])
async def test_no_content_type_fails_an_upload(blobs: BlobStore, content_type: str, length: int | None) -> None:
    record = Record(blobs, await blobs.create(KEY, content_type=content_type, length=length))

    await record.append(b"abc")
    await record.complete()

    assert await read(blobs, KEY) == b"abc"


async def test_creating_stores_nothing_and_may_be_repeated(blobs: BlobStore) -> None:
    first = await blobs.create(KEY, content_type="text/plain", length=5)
    second = await blobs.create(KEY, content_type="text/plain", length=5)
    await blobs.append(first, body(b"first"))
    await blobs.abort(first)

    assert (second.size_bytes, second.length, second.content_type) == (0, 5, "text/plain")
    with pytest.raises(NotFound):
        await blobs.stat(KEY)


async def test_an_append_without_chunks_changes_nothing(blobs: BlobStore) -> None:
    record = await Record.begin(blobs)
    await record.append(b"abc")

    assert await record.append() == 3

    await record.complete()
    assert await read(blobs, KEY) == b"abc"


@pytest.mark.parametrize("kept", [0, 100, 6 * MIB])
@pytest.mark.parametrize("cut", [3, 7 * MIB])
async def test_after_a_fault_of_the_chunks_the_writer_is_valid(blobs: BlobStore, kept: int, cut: int) -> None:
    """Nothing of an append that failed its checksum is kept, though it was written."""
    content = some_bytes(kept + 4 * MIB)
    record = await Record.begin(blobs)
    await record.append(content[:kept])

    with pytest.raises(ChecksumMismatch):
        await blobs.append(record.writer, body(b"\xff" * cut, ends_with=ChecksumMismatch("sha1")))

    await record.finish(content)
    assert sha256(content) == sha256(await read(blobs, KEY))


async def test_an_append_that_was_not_recorded_is_written_over(blobs: BlobStore) -> None:
    """Between the bytes and the record a process may die; then the client sends from the recorded offset."""
    content = some_bytes(6 * MIB)
    record = await Record.begin(blobs)
    await record.append(content[:1000])
    await blobs.append(record.writer, body(b"\xff" * 12 * MIB))

    blob = await record.finish(content)

    assert len(content) == blob.size_bytes
    assert sha256(content) == sha256(await read(blobs, KEY))


@pytest.mark.parametrize("expected", [None, 50 * MIB])
@pytest.mark.parametrize("after", [0, MIB, 6 * MIB])
async def test_a_cancelled_append_leaves_the_writer_valid(blobs: BlobStore, after: int, expected: int | None) -> None:
    content = some_bytes(7 * MIB)
    record = await Record.begin(blobs)
    await record.append(content[:70_000])
    reached = asyncio.Event()

    async def stalling():
        async for chunk in body(b"\xff" * after):
            yield chunk
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(blobs.append(record.writer, stalling(), expected_bytes=expected))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await record.finish(content)
    assert sha256(content) == sha256(await read(blobs, KEY))


@pytest.mark.parametrize("expected", [None, 25 * MIB])
async def test_what_was_reported_outlives_the_append(
    blobs: AnyBlobs, monkeypatch: pytest.MonkeyPatch, expected: int | None
) -> None:
    """A process that dies in a long request loses only what came after its last report."""
    monkeypatch.setattr(local, "REPORT_BYTES", 4 * MIB)
    if isinstance(blobs, S3Blobs):  # one part at a time: how many have arrived is no matter of how fast S3 is
        monkeypatch.setattr(blobs._bucket, "settings", replace(blobs._bucket.settings, sendings_max=1))
    content = some_bytes(26 * MIB)
    record = await Record.begin(blobs, length=len(content))
    await record.append(content[:1000])
    reports: list[int] = []

    async def save(writer: BlobWriter) -> None:
        reports.append(writer.size_bytes)
        record.save(writer)

    chunks = body(content[1000 : 24 * MIB], ends_with=ConnectionError())
    with pytest.raises(ConnectionError):
        await blobs.append(record.writer, chunks, on_durable=save, expected_bytes=expected)

    assert reports
    assert sorted(set(reports)) == reports
    assert 5 * MIB <= record.size_bytes < 24 * MIB
    await record.finish(content)
    assert sha256(content) == sha256(await read(blobs, KEY))


@pytest.mark.parametrize("size", [0, 10, 6 * MIB])
async def test_completing_again_gives_the_same_blob(blobs: BlobStore, size: int) -> None:
    """The answer to the first may have been lost."""
    record = await Record.begin(blobs)
    await record.append(some_bytes(size))

    first = await record.complete()

    assert first == await record.complete()
    assert first == await blobs.stat(KEY)


@pytest.mark.parametrize("size", [10, 6 * MIB])
async def test_a_blob_never_replaces_another(blobs: BlobStore, size: int) -> None:
    first, second = await Record.begin(blobs), await Record.begin(blobs)
    await first.append(b"first")
    blob = await first.complete()
    await second.append(some_bytes(size))

    with pytest.raises(Conflict):
        await second.complete()

    assert blob == await blobs.stat(KEY)
    assert await read(blobs, KEY) == b"first"


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "unknown"])
@pytest.mark.parametrize("size", [10, 6 * MIB])
async def test_a_try_that_was_not_recorded_is_in_the_way(blobs: BlobStore, size: int, declared: bool) -> None:
    """Its blob may hold other bytes. Whoever made sure that nobody will record it any more deletes it, and repeats."""
    record = await Record.begin(blobs, length=size if declared else None)
    tried = await blobs.append(record.writer, body(b"\xff" * size))
    await blobs.complete(tried)
    await record.append(some_bytes(size))

    with pytest.raises(Conflict):
        await record.complete()

    assert b"\xff" * size == await read(blobs, KEY)
    await blobs.delete(KEY)
    await record.complete()
    assert sha256(some_bytes(size)) == sha256(await read(blobs, KEY))


@pytest.mark.parametrize("size", [0, 10, 6 * MIB])
async def test_an_aborted_blob_is_gone(blobs: BlobStore, size: int) -> None:
    record = await Record.begin(blobs)
    await record.append(some_bytes(size))

    await blobs.abort(record.writer)
    await blobs.abort(record.writer)

    with pytest.raises(NotFound):
        await blobs.stat(KEY)


@pytest.mark.parametrize("size", [10, 6 * MIB])
async def test_an_aborted_blob_of_known_length_is_gone(blobs: BlobStore, size: int) -> None:
    """All its bytes are there, so that a store may have put them where they belong already."""
    record = await Record.begin(blobs, length=size)
    await record.append(some_bytes(size))

    await blobs.abort(record.writer)

    with pytest.raises(NotFound):
        await blobs.stat(KEY)


@pytest.mark.parametrize("size", [10, 4 * MIB, 6 * MIB])
async def test_a_last_append_that_was_not_recorded_is_written_over(blobs: BlobStore, size: int) -> None:
    record = await Record.begin(blobs, length=size)
    await record.append(some_bytes(size)[:5])
    await blobs.append(record.writer, body(b"\xff" * (size - 5)))

    blob = await record.finish(some_bytes(size))

    assert blob == await blobs.stat(KEY)
    assert sha256(some_bytes(size)) == sha256(await read(blobs, KEY))


@pytest.mark.parametrize("size", [10, 6 * MIB])
async def test_a_blob_of_known_length_never_replaces_another(blobs: BlobStore, size: int) -> None:
    first, second = await Record.begin(blobs), await Record.begin(blobs, length=size)
    await first.append(b"first")
    blob = await first.complete()
    await second.append(some_bytes(size))

    with pytest.raises(Conflict):
        await second.complete()

    assert blob == await blobs.stat(KEY)
    assert await read(blobs, KEY) == b"first"


async def test_a_deleted_blob_is_gone_and_the_next_can_take_its_key(blobs: BlobStore) -> None:
    record = await Record.begin(blobs)
    await record.append(b"abc")
    await record.complete()

    await blobs.delete(KEY)
    await blobs.delete(KEY)

    with pytest.raises(NotFound):
        await read(blobs, KEY)
    again = await Record.begin(blobs)
    await again.append(b"other")
    await again.complete()
    assert await read(blobs, KEY) == b"other"


async def test_a_missing_blob_is_not_found(blobs: BlobStore) -> None:
    with pytest.raises(NotFound):
        await blobs.stat(KEY)
    with pytest.raises(NotFound):
        await read(blobs, KEY)
    await blobs.delete(KEY)


async def test_a_folder_of_keys_is_no_blob(blobs: BlobStore) -> None:
    record = await Record.begin(blobs)
    await record.append(b"abc")
    await record.complete()

    with pytest.raises(NotFound):
        await read(blobs, BlobKey(KEY.rpartition("/")[0]))


async def test_any_range_can_be_read(blobs: BlobStore) -> None:
    content = some_bytes(6 * MIB + 3)
    record = await Record.begin(blobs)
    await record.finish(content)

    for start, end in [(0, None), (0, 1), (1, 4), (MIB, 3 * MIB + 1), (len(content) - 1, None), (5, len(content) + 9)]:
        assert content[start:end] == await read(blobs, KEY, start=start, end=end), (start, end)
    for start, end in [(len(content), None), (7, 7), (len(content) + 5, None)]:
        assert await read(blobs, KEY, start=start, end=end) == b"", (start, end)


async def test_a_reader_may_stop_early(blobs: BlobStore) -> None:
    record = await Record.begin(blobs)
    await record.finish(some_bytes(3 * MIB))

    reader = blobs.open(KEY)
    first = await anext(reader)
    await reader.aclose()

    assert some_bytes(3 * MIB)[: len(first)] == first


async def test_many_blobs_grow_at_once(blobs: BlobStore) -> None:
    contents = {BlobKey(f"anna/{number}/name"): some_bytes(MIB + number, seed=number) for number in range(8)}

    async def upload(key: BlobKey, content: bytes) -> None:
        record = await Record.begin(blobs, key, length=len(content))
        await record.append(content[: len(content) // 2])
        await record.finish(content)

    await asyncio.gather(*(upload(key, content) for key, content in contents.items()))

    for key, content in contents.items():
        assert sha256(content) == sha256(await read(blobs, key))


async def test_a_store_that_can_store_answers_a_ping(blobs: BlobStore) -> None:
    await blobs.ping()


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../x", "a//b", "a/", ".staging/x", "a/.hidden", "a\0b", "a/b~"]
)
async def test_a_key_that_could_leave_the_store_is_refused(blobs: BlobStore, key: str) -> None:
    """The domain makes no such key; a mistake there must not become a way out."""
    with pytest.raises(ValueError, match="key"):
        await blobs.create(BlobKey(key), content_type="text/plain", length=None)
    with pytest.raises(ValueError, match="key"):
        await read(blobs, BlobKey(key))
    with pytest.raises(ValueError, match="key"):
        await blobs.delete(BlobKey(key))


# ---- copying, sweeping

CONCATENATED = [
    [],
    [0, 0],
    [3, 0, 4],
    [100_000, 6 * MIB],
    [6 * MIB, 100_000, 100_000],
    [2 * MIB, 2 * MIB, 2 * MIB, 11 * MIB, 5],
]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "unknown"])
@pytest.mark.parametrize("sizes", CONCATENATED, ids=str)
async def test_blobs_are_made_one(blobs: AnyBlobs, sizes: list[int], declared: bool) -> None:
    keys = [BlobKey(f"anna/part{number}/name") for number in range(len(sizes))]
    contents = [some_bytes(size, seed=number) for number, size in enumerate(sizes)]
    for key, content in zip(keys, contents, strict=True):
        await (await Record.begin(blobs, key, length=len(content))).finish(content)
    record = await Record.begin(blobs, length=sum(sizes) if declared else None)

    record.save(await blobs.concatenate(record.writer, keys))

    blob = await record.complete()
    assert sum(sizes) == blob.size_bytes
    assert sha256(b"".join(contents)) == sha256(await read(blobs, KEY))
    for key, content in zip(keys, contents, strict=True):
        assert len(content) == (await blobs.stat(key)).size_bytes


@pytest.mark.parametrize("first", [3, 6 * MIB])
async def test_making_one_of_a_missing_blob_leaves_the_writer_valid(blobs: AnyBlobs, first: int) -> None:
    key = BlobKey("anna/part/name")
    await (await Record.begin(blobs, key)).finish(some_bytes(first))
    record = await Record.begin(blobs, length=7 * MIB)

    with pytest.raises(NotFound):
        await blobs.concatenate(record.writer, [key, BlobKey("anna/missing/name")])

    await record.finish(some_bytes(7 * MIB))
    assert sha256(some_bytes(7 * MIB)) == sha256(await read(blobs, KEY))


async def test_sweeping_takes_only_what_is_old_and_unknown(blobs: AnyBlobs) -> None:
    """Tails and multipart uploads of dead requests cost money until somebody removes them."""
    known, orphan = await Record.begin(blobs), await Record.begin(blobs, BlobKey("anna/orphan/name"))
    for record in (known, orphan):
        await record.append(some_bytes(6 * MIB))
        await record.append(b"tail")
    asked: set[BlobKey] = set()

    async def is_known(key: BlobKey) -> bool:
        asked.add(key)
        return key == KEY

    now = datetime.now(UTC)
    assert await blobs.sweep(is_known, older_than_seconds=3600, now=now) == 0
    assert await blobs.sweep(is_known, older_than_seconds=3600, now=now + timedelta(hours=2)) > 0

    assert {KEY, orphan.writer.key} == asked
    assert await blobs.sweep(is_known, older_than_seconds=0, now=now + timedelta(hours=2)) == 0
    await known.complete()
    assert some_bytes(6 * MIB) + b"tail" == await read(blobs, KEY)
