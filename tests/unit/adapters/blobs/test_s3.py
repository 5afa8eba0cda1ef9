"""What only the S3 store promises: few requests, bounded memory, and nothing that dies late does harm."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from domain.blob import BlobKey
from domain.errors import LengthExceeded, StoreUnavailable
from tests.support.blobs import KEY, MIB, Record, body, peak_resident_bytes, read, reset_peak, sha256, some_bytes
from tests.support.s3_bench import LONG_AGO, Bench
from tests.support.s3_proxy import Fault

STAGED = f"blobs/.staging/{KEY}/"
OTHER = BlobKey("anna/other/name")


async def test_a_small_file_costs_one_request(bench: Bench) -> None:
    async with bench.failing() as blobs:
        record = await Record.begin(blobs, length=16_384)
        await record.append(some_bytes(16_384))
        await record.complete()

    assert len(bench.proxy.requests) == 1
    assert {f"blobs/{KEY}"} == bench.objects


@pytest.mark.parametrize("fault", [Fault.LOSE, Fault.NO_ETAG, Fault.SLOW_DOWN])
@pytest.mark.parametrize("before", [0, 5])
async def test_a_small_file_whose_answer_was_lost_is_stored_once(bench: Bench, fault: Fault, before: int) -> None:
    """The second try finds what the first has stored, and must know it."""
    async with bench.failing() as blobs:
        content = some_bytes(16_384)
        record = await Record.begin(blobs, length=len(content))
        await record.append(content[:before])
        bench.proxy.fail(fault, at=2 if before else 1)
        await record.append(content[before:])
        blob = await record.complete()

    assert blob == await bench.healthy.stat(KEY)
    assert content == await read(bench.healthy, KEY)
    await bench.check_nothing_stayed(KEY)


async def test_a_multipart_upload_begins_with_the_first_part(bench: Bench) -> None:
    async with bench.failing() as blobs:
        record = await Record.begin(blobs, length=20 * MIB)
        await record.append(b"abc")
        assert [request.partition("?")[0].split("/")[3] for request in bench.proxy.requests] == [".staging"]

        await record.append(some_bytes(5 * MIB))

    assert sum(request.endswith("?uploads") for request in bench.proxy.requests) == 1


async def test_every_object_gets_what_the_settings_say(bench: Bench) -> None:
    async with bench.failing(
        sse="aws:kms", sse_kms_key_id="key-1", storage_class="STANDARD_IA", attempts_max=1
    ) as blobs:
        bench.proxy.fail(Fault.ERROR, at=1, lasts=True)
        for length, content in ((5, b"whole"), (None, b"tail"), (None, some_bytes(6 * MIB))):
            with pytest.raises(StoreUnavailable):
                await (await Record.begin(blobs, length=length)).append(content)

    whole, tail, multipart = bench.proxy.heads
    for head in (whole, tail, multipart):
        assert "x-amz-server-side-encryption: aws:kms" in head
        assert "x-amz-server-side-encryption-aws-kms-key-id: key-1" in head
    for head in (whole, multipart):
        assert "x-amz-storage-class: standard_ia" in head
        assert "content-type: video/quicktime" in head
    assert "x-amz-storage-class" not in tail  # Amazon bills at least 30 days of STANDARD_IA; a tail lives for seconds


async def test_a_part_goes_up_while_the_next_bytes_come(bench: Bench) -> None:
    async with bench.failing() as blobs:
        record = await Record.begin(blobs, length=20 * MIB)
        bench.proxy.fail(None, at=2)  # the first creates the multipart upload

        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in body(some_bytes(5 * MIB)):
                yield chunk
            await bench.proxy.arrived.wait()
            yield b"more"

        assert (await blobs.append(record.writer, chunks())).size_bytes == 5 * MIB + 4


async def test_an_old_tail_lives_until_the_next_was_recorded(bench: Bench) -> None:
    blobs = bench.healthy
    record = await Record.begin(blobs)
    await record.append(b"one")
    first = record.writer
    (tail,) = bench.objects

    await record.append(b"two")
    assert tail in bench.objects
    assert await read_after(bench, replace(first)) == b"one!"

    await record.append(b"three")
    assert tail not in bench.objects
    await record.complete()
    await bench.check_nothing_stayed(KEY)


async def read_after(bench: Bench, writer: object) -> bytes:
    """Append to an older writer and give the bytes of the tail that this makes."""
    grown = await bench.healthy.append(writer, body(b"!"))  # type: ignore[arg-type]
    return (bench.server.root / bench.settings.bucket / grown.state["tail"][0]).read_bytes()


# ---- late and old requests


@pytest.mark.slow
async def test_a_part_that_arrives_late_replaces_none(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead request's part may be finished by S3 when a newer request's was acknowledged already."""
    skipped = iter([5, 9, 11])
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(skipped))
    content = some_bytes(12 * MIB)
    record = await Record.begin(bench.healthy, length=len(content))
    async with bench.failing() as old:
        bench.proxy.fail(Fault.DELAY, at=2)
        appending = asyncio.create_task(old.append(record.writer, body(b"\xff" * 5 * MIB)))
        await bench.proxy.arrived.wait()
        # The old process hangs. Its lease is over, and a newer one has the upload.
        writer = replace(record.writer, state={**record.writer.state, "upload": upload_id_of(bench)})
        record.save(await bench.healthy.append(writer, body(content[: 6 * MIB])))

        bench.proxy.released.set()
        await bench.proxy.arrived.wait()
        appending.cancel()
        await asyncio.wait([appending])

    await record.finish(content)
    assert sha256(content) == sha256(await read(bench.healthy, KEY))


def upload_id_of(bench: Bench) -> str:
    """Give the id of the multipart upload that the last request through the proxy belongs to."""
    return bench.proxy.requests[-1].rpartition("uploadId=")[2]


@pytest.mark.slow
async def test_cancelling_a_stalled_append_takes_no_time(bench: Bench) -> None:
    async with bench.failing() as blobs:
        record = await Record.begin(bench.healthy, length=20 * MIB)
        bench.proxy.fail(Fault.STALL, at=2)
        appending = asyncio.create_task(blobs.append(record.writer, body(some_bytes(20 * MIB))))
        await bench.proxy.arrived.wait()

        appending.cancel()
        async with asyncio.timeout(1):
            await asyncio.wait([appending])

        assert appending.cancelled()
        assert blobs.memory_free_bytes == 8 * 5 * MIB
    await record.finish(some_bytes(20 * MIB))


async def test_a_wrong_etag_makes_no_blob(bench: Bench) -> None:
    """S3 compares the ETags of parts at completion; rather none than another file."""
    async with bench.failing() as blobs:
        record = await Record.begin(blobs, length=6 * MIB)
        bench.proxy.fail(Fault.WRONG_ETAG, at=2)
        await record.append(some_bytes(6 * MIB))

        with pytest.raises(StoreUnavailable):
            await record.complete()

    assert set() == bench.objects


@pytest.mark.parametrize("fault", [Fault.CUT_ANSWER, Fault.REFUSE, Fault.SLOW_DOWN])
async def test_a_download_that_breaks_off_is_gone_on_with(bench: Bench, fault: Fault) -> None:
    content = some_bytes(3 * MIB)
    await (await Record.begin(bench.healthy)).finish(content)
    async with bench.failing() as blobs:
        bench.proxy.fail(fault, at=1)

        assert content[5:] == await read(blobs, KEY, start=5)

    assert len(bench.proxy.requests) == 2


# ---- memory


@pytest.mark.slow
async def test_what_finds_no_memory_waits_in_files(bench: Bench, tmp_path: Path) -> None:
    async with bench.make(replace(bench.settings, part_slots_max=1)) as blobs:
        contents = {BlobKey(f"anna/{number}/name"): some_bytes(6 * MIB, seed=number) for number in range(4)}

        async def upload(key: BlobKey, content: bytes) -> None:
            await (await Record.begin(blobs, key, length=len(content))).finish(content)

        await asyncio.gather(*(upload(key, content) for key, content in contents.items()))

        for key, content in contents.items():
            assert sha256(content) == sha256(await read(blobs, key))
        assert blobs.memory_free_bytes == 5 * MIB
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
async def test_many_slow_clients_hold_no_more_memory_than_is_allowed(bench: Bench) -> None:
    """And a fast one beside them is not held up by them."""
    slow = 150
    async with bench.make(replace(bench.settings, part_slots_max=1)) as blobs:
        begun, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def dripping(content: bytes) -> AsyncIterator[bytes]:
            for start in range(0, len(content), 20_000):
                yield content[start : start + 20_000]
                if start == 60_000:
                    begun.release()
                    await go_on.wait()

        async def upload(number: int) -> None:
            record = await Record.begin(blobs, BlobKey(f"slow/{number}"), length=100_000)
            record.save(await blobs.append(record.writer, dripping(some_bytes(100_000, seed=number))))
            await record.complete()

        tasks = [asyncio.create_task(upload(number)) for number in range(slow)]
        for _ in tasks:
            await begun.acquire()
        assert 0 <= blobs.memory_free_bytes < 100_000
        await (await Record.begin(blobs, length=6 * MIB)).finish(some_bytes(6 * MIB))
        go_on.set()
        await asyncio.gather(*tasks)

        assert blobs.memory_free_bytes == 5 * MIB
    assert sha256(some_bytes(6 * MIB)) == sha256(await read(bench.healthy, KEY))
    for number in range(0, slow, 10):
        assert some_bytes(100_000, seed=number) == await read(bench.healthy, BlobKey(f"slow/{number}"))


@pytest.mark.slow
async def test_memory_does_not_grow_with_the_body(bench: Bench) -> None:
    chunk = bytes(65_536)

    async def large() -> AsyncIterator[bytes]:
        for _ in range(160 * MIB // len(chunk)):
            yield chunk

    await (await Record.begin(bench.healthy, BlobKey("warm/up"), length=6 * MIB)).finish(some_bytes(6 * MIB))
    record = await Record.begin(bench.healthy, length=160 * MIB)
    before = reset_peak()

    await bench.healthy.append(record.writer, large())

    assert peak_resident_bytes() - before < 24 * MIB


# ---- plans and rights


@pytest.mark.slow
async def test_equal_parts_are_equal_but_for_the_last(bench: Bench) -> None:
    async with bench.make(replace(bench.settings, parts_equal=True)) as blobs:
        content = some_bytes(12 * MIB)
        record = await Record.begin(blobs, length=len(content))
        for cut in (6 * MIB, 8 * MIB, 11 * MIB):
            await record.append(content[record.size_bytes : cut])
        await record.finish(content)

        assert [size for _, size, _ in record.writer.state["parts"]] == [5 * MIB, 5 * MIB, 2 * MIB]
        assert sha256(content) == sha256(await read(blobs, KEY))


async def test_a_length_that_no_plan_holds_is_refused_at_once(bench: Bench) -> None:
    async with bench.make(replace(bench.settings, part_size_bytes_max=5 * MIB)) as blobs:
        with pytest.raises(LengthExceeded):
            await blobs.create(KEY, content_type="text/plain", length=2**40)


@pytest.mark.parametrize(
    "change", [{"secret_key": "wrong"}, {"bucket": "no-such-bucket"}, {"endpoint": "http://127.0.0.1:1"}]
)
async def test_a_store_that_cannot_be_used_is_unavailable(bench: Bench, change: dict[str, str]) -> None:
    async with bench.make(replace(bench.settings, attempts_max=1, **change)) as blobs:  # type: ignore[arg-type]
        with pytest.raises(StoreUnavailable):
            await blobs.ping()
        with pytest.raises(StoreUnavailable):
            await (await Record.begin(blobs)).append(b"abc")
        with pytest.raises(StoreUnavailable):
            await blobs.delete(KEY)


# ---- while it fills


async def test_a_part_is_sent_before_it_is_full(bench: Bench) -> None:
    async with bench.failing() as blobs:
        record = await Record.begin(blobs, length=20 * MIB)
        bench.proxy.fail(None, at=2)  # the first creates the multipart upload

        async def chunks() -> AsyncIterator[bytes]:
            yield b"first"
            await bench.proxy.arrived.wait()
            async for chunk in body(some_bytes(5 * MIB - 5)):
                yield chunk

        record.save(await blobs.append(record.writer, chunks(), expected_bytes=5 * MIB))

    assert [5 * MIB] == [size for _, size, _ in record.writer.state["parts"]]
    assert len(bench.proxy.requests) == 2


@pytest.mark.parametrize("slots", [8, 0], ids=["memory", "files"])
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.LOSE, Fault.SLOW_DOWN_EARLY, Fault.ERROR, Fault.REFUSE])
async def test_a_part_that_fails_while_it_fills_is_sent_again_when_it_is_full(
    bench: Bench, fault: Fault, slots: int
) -> None:
    content = some_bytes(12 * MIB)
    async with bench.failing(part_slots_max=slots) as blobs:
        record = await Record.begin(blobs, length=len(content))
        bench.proxy.fail(fault, at=2)
        await record.append(content[: 11 * MIB])
        await record.finish(content)

    assert sha256(content) == sha256(await read(bench.healthy, KEY))


@pytest.mark.slow
@pytest.mark.parametrize("slots", [8, 0], ids=["memory", "files"])
async def test_wherever_bodies_are_cut_the_bytes_are_right(bench: Bench, slots: int) -> None:
    """Of a part that was sent while it filled, what the cut left goes up anew, from memory or from a file."""
    content, cuts = some_bytes(24 * MIB), random.Random(slots)
    async with bench.make(replace(bench.settings, part_slots_max=slots)) as blobs:
        for number in range(6):
            record = await Record.begin(blobs, BlobKey(f"cut/{number}"), length=len(content))
            while record.size_bytes < len(content):
                rest = content[record.size_bytes :]
                came = min(len(rest), cuts.randrange(1, 12 * MIB))
                record.save(await blobs.append(record.writer, body(rest[:came]), expected_bytes=len(rest)))
            await record.complete()

            assert sha256(content) == sha256(await read(blobs, BlobKey(f"cut/{number}")))


@pytest.mark.slow
async def test_a_silent_client_keeps_no_connection_from_others(bench: Bench) -> None:
    """It holds the only connection that takes bodies early, and then loses it."""
    content = some_bytes(7 * MIB)
    async with bench.failing(connections_max=2, timeout_seconds=0.4) as blobs:
        silent, other = await Record.begin(blobs, length=20 * MIB), await Record.begin(blobs, OTHER, length=7 * MIB)
        bench.proxy.fail(None, at=2)
        go_on = asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"a"
            await go_on.wait()
            yield b"b"

        appending = asyncio.create_task(blobs.append(silent.writer, chunks(), expected_bytes=6 * MIB))
        await bench.proxy.arrived.wait()
        async with asyncio.timeout(20):
            await other.finish(content)
        go_on.set()
        silent.save(await appending)

    assert silent.size_bytes == 2
    assert sha256(content) == sha256(await read(bench.healthy, OTHER))


async def test_a_multipart_upload_that_came_to_nothing_does_not_stay(bench: Bench) -> None:
    """It was begun for a part that the client then cut short, and the file is no longer than that."""
    record = await Record.begin(bench.healthy)
    record.save(await bench.healthy.append(record.writer, body(b"abc"), expected_bytes=6 * MIB))

    await record.complete()

    async def nobody(_: BlobKey) -> bool:
        return False

    assert await bench.healthy.sweep(nobody, older_than_seconds=0, now=LONG_AGO) == 0
    assert await read(bench.healthy, KEY) == b"abc"


# ---- S3 gone for a while


@pytest.mark.slow
async def test_while_s3_is_gone_appends_fail_and_what_they_kept_goes_on_afterwards(bench: Bench) -> None:
    """No acknowledged byte is lost, and no memory is held by the requests that failed."""
    content = some_bytes(17 * MIB)
    async with bench.failing(attempts_max=2) as blobs:
        record = Record(blobs, (await Record.begin(bench.healthy, length=len(content))).writer)
        bench.proxy.fail(Fault.REFUSE, at=4, lasts=True)  # a part is up, the next ones are on their way
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                await record.append(content[record.size_bytes :])
        kept = record.size_bytes
        assert blobs.memory_free_bytes == bench.settings.part_slots_max * 5 * MIB

        bench.proxy.fail(None, at=0)
        await record.finish(content)

    assert kept >= 5 * MIB
    assert sha256(content) == sha256(await read(bench.healthy, KEY))
    await bench.check_nothing_stayed(KEY)
