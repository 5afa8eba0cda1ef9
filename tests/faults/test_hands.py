"""One upload, many hands: requests that meet, in one process and in two, and work that meets a request."""

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from adapters.locks.machine import MachineLocks
from domain.errors import Conflict, LighterageError, OffsetMismatch, QuotaExceeded
from domain.tenant import TENANTS, Limits
from domain.upload import UPLOADS, AppendBytes, NewUpload, Upload, UploadStatus
from services.uploads import UploadService
from tests.support.product import World, body, open_world, sha256
from tests.support.product_faults import Crash, Mode, Plan, Rig, Sender
from tests.support.upload_client import BYTES, TUS, Wire, part

SENDING = {**TUS, **BYTES, "Transfer-Encoding": "chunked"}


async def hanging(world: World, path: str, offset: int, content: bytes) -> tuple[Wire, "asyncio.Task[None]"]:
    """Start a PATCH whose client falls silent after these bytes; returns once they were taken."""
    wire, task = world.anna.tus.open("PATCH", path, {**SENDING, "Upload-Offset": str(offset)})
    wire.push(part(content, more=True))
    while wire.read < len(content):
        await asyncio.sleep(0)
    return wire, task


# ---- in one process


async def test_newcomer_takes_over_and_old_bytes_stay(world):
    """A dead connection must not lock an upload; what came by it is acknowledged by the answer to the newcomer."""
    path = await world.anna.tus.create(10)
    old_wire, old = await hanging(world, path, 0, b"hello")
    stale = await world.anna.tus.patch(path, 0, b"other")
    await old
    fresh = await world.anna.tus.patch(path, 5, b"world")

    assert (stale.status, stale.headers["upload-offset"]) == (409, "5")
    assert (old_wire.response.status, old_wire.response.headers["upload-offset"]) == (423, "5")
    assert fresh.status == 204
    assert await world.content_of(await world.file_of(world.anna)) == b"helloworld"


async def test_newcomer_who_asked_first_goes_right_on(world):
    """HEAD, then PATCH from there: nothing is sent twice although the old request never ended."""
    path = await world.anna.tus.create(10)
    _, old = await hanging(world, path, 0, b"hello")
    offset = await world.anna.tus.offset(path)
    answer = await world.anna.tus.patch(path, offset, b"world")
    await old

    assert (offset, answer.status) == (5, 204)
    assert sha256(b"helloworld") == (await world.file_of(world.anna)).sha256


async def test_status_during_an_append_disturbs_nothing(world):
    """Progress polls see the bytes that came, recorded, and the append goes on."""
    path = await world.anna.tus.create(10)
    wire, task = await hanging(world, path, 0, b"hel")
    first = await world.anna.tus.offset(path)
    recorded = (await world.uploads_of(world.anna))[0].offset
    wire.push(part(b"lo", more=True))
    offsets = await asyncio.gather(*(world.anna.tus.offset(path) for _ in range(5)))
    wire.push(part(b"world"))
    await task

    assert (first, recorded) == (3, 3)
    assert all(offset in (3, 5) for offset in offsets)
    assert (wire.response.status, wire.response.headers["upload-offset"]) == (204, "10")
    assert sha256(b"helloworld") == (await world.file_of(world.anna)).sha256


async def test_offset_that_the_draft_is_told_is_taken(world):
    """
    The IETF draft: "the offset sent by the server MUST be accepted in a subsequent request to append representation
    data if no other request to append representation data or cancel was received in the meantime"; so the question ends
    the one that still runs.
    """
    path = await world.anna.tus.create(10)
    wire, task = await hanging(world, path, 0, b"hel")
    told = await world.anna.tus.send("HEAD", path, {"Upload-Draft-Interop-Version": "10"})
    wire.push(part(b"lo", more=True))
    await task
    answer = await world.anna.tus.patch(path, int(told.headers["upload-offset"]), b"loworld")

    assert (told.headers["upload-offset"], answer.status, wire.response.status) == ("3", 204, 423)
    assert sha256(b"helloworld") == (await world.file_of(world.anna)).sha256


async def test_status_during_a_checked_append_sees_nothing_unchecked(world):
    """Bytes whose checksum is still to come are not acknowledged, and the poll does not wait for them."""
    path = await world.anna.tus.create(5)
    checksum = {"Upload-Checksum": "sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00="}
    wire, task = world.anna.tus.open("PATCH", path, {**SENDING, **checksum, "Upload-Offset": "0"})
    wire.push(part(b"hel", more=True))
    while wire.read < 3:
        await asyncio.sleep(0)
    offset = await world.anna.tus.offset(path)
    wire.push(part(b"lo"))
    await task

    assert (offset, wire.response.status) == (0, 204)


async def test_termination_during_an_append_ends_both(world):
    """The append is told to stop; then everything goes, and the room comes back."""
    path = await world.anna.tus.create(10)
    wire, task = await hanging(world, path, 0, b"hello")
    ended = await world.anna.tus.send("DELETE", path, TUS)
    await task
    usage = await world.usage_of(world.anna)

    assert (ended.status, wire.response.status) == (204, 423)
    assert (await world.anna.tus.send("HEAD", path, TUS)).status == 410
    assert (usage.bytes_total, usage.bytes_in_flight) == (0, 0)


async def test_last_of_many_newcomers_wins(world):
    """Each stops the one before it; whoever is stopped says how far it came."""
    path = await world.anna.tus.create(10)
    _, old = await hanging(world, path, 0, b"he")
    newcomers = [world.anna.tus.patch(path, 2, b"llo world"[:8]) for _ in range(5)]
    answers = await asyncio.gather(*newcomers)
    await old

    assert {answer.status for answer in answers} <= {204, 409, 423}
    assert sum(answer.status == 204 for answer in answers) == 1
    assert await world.content_of(await world.file_of(world.anna)) == b"hello worl"


async def test_quota_holds_under_many_creations_at_once(world):
    """Twenty ask for a tenth each: ten get it, and not a byte more is promised."""
    await world.limit(world.anna, stored_bytes_max=100)
    begin = world.product.services.uploads.begin
    tries = [begin(world.anna.principal, NewUpload(f"{number}.txt", 10)) for number in range(20)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert sum(isinstance(outcome, QuotaExceeded) for outcome in outcomes) == 10
    assert (await world.usage_of(world.anna)).bytes_total == 100
    assert len(await world.uploads_of(world.anna)) == 10


async def test_one_idempotency_key_makes_one_upload(world):
    """However many devices ask at once; and it is counted once."""
    new = NewUpload("a.txt", 10, idempotency_key="key")
    begin = world.product.services.uploads.begin
    uploads = await asyncio.gather(*(begin(world.anna.principal, new) for _ in range(20)))

    assert len({upload.id for upload in uploads}) == 1
    assert (await world.usage_of(world.anna)).bytes_total == 10


async def test_server_that_stops_keeps_what_came(world):
    """SIGTERM: every running body is ended and recorded before the process goes."""
    path = await world.anna.tus.create(10)
    wire, task = await hanging(world, path, 0, b"hello")
    world.product.services.uploads.stop_receiving()
    await task

    assert (wire.response.status, wire.response.headers["upload-offset"]) == (423, "5")


async def test_server_that_stops_begins_no_long_body(world):
    """A request that came a moment after the signal must not hold up the end."""
    path = await world.anna.tus.create(10)
    world.product.services.uploads.stop_receiving()
    wire, task = world.anna.tus.open("PATCH", path, {**SENDING, "Upload-Offset": "0"})
    await asyncio.wait_for(task, 5)

    assert (423, "0") == (wire.response.status, wire.response.headers["upload-offset"])


# ---- maintenance meets a request


async def test_upload_whose_bytes_are_coming_does_not_expire(world):
    """A slow client is no absent one; a minute after it ended, time counts again."""
    path = await world.anna.tus.create(10)
    wire, task = await hanging(world, path, 0, b"hello")
    world.clock.advance(seconds=8 * 86400)
    await world.product.maintenance.run_once()
    wire.push(part(b"world"))
    await task

    assert wire.response.status == 204
    assert sha256(b"helloworld") == (await world.file_of(world.anna)).sha256


async def test_append_that_came_first_wins_over_the_sweep(rig):
    """The sweep found an upload that was continued a moment later: it is left alone."""
    user = await rig.new_user()
    upload = await rig.uploads.begin(user, NewUpload("a.txt", 10))
    moved = await rig.uploads.append(user, AppendBytes(upload.id, 0), body(b"hello"))
    with pytest.raises(Conflict):
        await rig.uploads.expire(upload)

    assert moved.offset == (await rig.uploads.status(user, upload.id)).offset


async def test_sweep_that_came_first_ends_the_append(rig):
    """Another process expired it under our hands: the request is refused, and nothing comes back to life."""
    user = await rig.new_user()
    upload = await rig.uploads.begin(user, NewUpload("a.txt", 10))
    other = _second_process(rig)
    slow = body(b"hello")
    holding = asyncio.ensure_future(rig.uploads.append(user, AppendBytes(upload.id, 0), slow))
    await other.expire(upload)
    with pytest.raises(LighterageError):
        await holding
    usage = await rig.usage_of(user)

    assert UploadStatus.EXPIRED is (await rig.uploads.get(user, upload.id)).status
    assert (usage.file_count, usage.bytes_total, usage.bytes_in_flight) == (0, 0, 0)


def _second_process(rig: Rig) -> UploadService:
    return Rig(rig.records, rig.blobs, rig.clock).uploads


async def test_two_processes_on_one_upload_store_the_right_bytes(rig):
    """Each offset has one winner; the loser is told and asks again."""
    content = random.Random(5).randbytes(4000)
    user = await rig.new_user()
    upload = await rig.uploads.begin(user, NewUpload("a.bin", len(content)))

    async def send(uploads: UploadService, size: int) -> None:
        for _ in range(400):
            try:
                now = await uploads.status(user, upload.id)
                if now.status is UploadStatus.COMPLETED:
                    return
                piece = body(content[now.offset : now.offset + size])
                await uploads.append(user, AppendBytes(upload.id, now.offset), piece)
            except LighterageError:
                await asyncio.sleep(0)
        raise AssertionError("no end")

    await asyncio.gather(send(rig.uploads, 97), send(_second_process(rig), 131))
    await rig.maintain()
    (file,) = await rig.files_of(user)

    assert content == await rig.content_of(file)
    assert sha256(content) == file.sha256
    assert len(await rig.created_events_of(user)) == 1


async def test_process_cannot_write_over_what_another_is_about_to_record(rig, tmp_path, monkeypatch):
    """Bytes are stored, their record is on its way: a second process must wait, or acknowledged bytes would change."""
    with MachineLocks(tmp_path / "locks") as locks, MachineLocks(tmp_path / "locks") as other_locks:
        one = Rig(rig.records, rig.blobs, rig.clock, lambda: locks)
        two = Rig(rig.records, rig.blobs, rig.clock, lambda: other_locks)
        user = await rig.new_user()
        upload = await one.uploads.begin(user, NewUpload("a.txt", 10))
        stored, go_on = asyncio.Event(), asyncio.Event()
        save = one.uploads._save

        async def wait_and_save(*args: Any) -> Upload:
            stored.set()
            await go_on.wait()
            return await save(*args)

        monkeypatch.setattr(one.uploads, "_save", wait_and_save)
        first = asyncio.ensure_future(one.uploads.append(user, AppendBytes(upload.id, 0), body(b"hello")))
        await stored.wait()
        second = asyncio.ensure_future(two.uploads.append(user, AppendBytes(upload.id, 0), body(b"HELLO")))
        await asyncio.wait({second}, timeout=0.05)
        go_on.set()
        await first
        with pytest.raises(OffsetMismatch):
            await second
        await two.uploads.append(user, AppendBytes(upload.id, 5), body(b" world"[:5]))
        (file,) = await rig.files_of(user)

    assert b"hello worl" == await rig.content_of(file)


# ---- cut off between the last byte and the file


def _with_pauses(real: Any) -> Any:
    """Let others have a turn before each call, as a store over the network does."""

    async def call(*args: Any) -> Any:
        for _ in range(random.randrange(1, 4)):
            await asyncio.sleep(0)
        return await real(*args)

    return call


async def test_many_who_ask_at_once_finish_an_upload_once(rig, monkeypatch):
    """A first try left its blob, a second its bytes, then the process died: those who ask must not undo each other."""
    user = await rig.new_user()
    upload = await rig.uploads.begin(user, NewUpload("a.txt", 10))
    first = await rig.blobs.append(upload.writer, body(b"HELLOWORLD").chunks(limit=10))
    await rig.blobs.complete(first)
    half = await rig.uploads.append(user, AppendBytes(upload.id, 0), body(b"hello"))
    writer = await rig.blobs.append(half.writer, body(b"world").chunks(limit=5))
    whole = half.advance(writer, now=rig.clock.now(), expires_at=half.expires_at)
    await rig.records.collection(UPLOADS).save(whole, expected_revision=half.revision)
    rig.clock.advance(seconds=61)
    for name in ("complete", "delete"):
        monkeypatch.setattr(rig.blobs, name, _with_pauses(getattr(rig.blobs, name)))
    asked = [rig.uploads.status(user, upload.id) for _ in range(5)]
    await asyncio.gather(*asked, rig.maintenance.finish_assembling(), *(rig.uploads.recover(whole) for _ in range(3)))
    (file,) = await rig.files_of(user)

    assert b"helloworld" == await rig.content_of(file)


@pytest.mark.parametrize("mode", [Mode.KILLED_BEFORE, Mode.KILLED_AFTER], ids=lambda mode: mode.value)
async def test_whole_upload_becomes_a_file_without_its_client(rig, mode):
    """The client sent its last byte and went home; the process died at call 1, 2, 3 … after it was recorded."""
    assembling = 0
    for number in range(1, 40):
        user = await rig.new_user()
        sender = Sender(rig, user, b"hello world", new=NewUpload("a.txt", 11))
        upload = await rig.uploads.begin(user, NewUpload("a.txt", 11))
        await rig.uploads.append(user, AppendBytes(upload.id, 0), body(b"hello"))
        rig.plan = Plan(mode, fail_at=number)
        rig.restart()
        await rig.attempt(lambda: rig.uploads.append(user, AppendBytes(upload.id, 5), body(b" world")))  # noqa: B023
        was_hit, rig.plan = rig.plan.has_failed, Plan()
        rig.restart()
        if (await rig.uploads.get(user, upload.id)).offset == 11:
            assembling += was_hit
            rig.clock.advance(seconds=61)
            await sender.check()
        if not was_hit:
            break

    assert assembling >= 3


async def test_uploads_survive_a_process_that_is_gone(tmp_path):
    """Acknowledged bytes, sessions and files are there when another process opens the same directory."""
    async with open_world(tmp_path) as gone:
        path = await gone.anna.tus.create(10)
        await gone.bert.upload(b"done")
        _, task = await hanging(gone, path, 0, b"hello")
        acknowledged = await gone.anna.tus.offset(path)
        task.cancel()  # nothing else of it is closed: it is abandoned where it stands
        async with open_world(tmp_path) as world:
            offset = await world.anna.tus.offset(path)
            answer = await world.anna.tus.patch(path, offset, b"world")
            file, old = await world.file_of(world.anna), await world.file_of(world.bert)
            principal = await world.product.services.accounts.authenticate(gone.anna.session.access_token)

            assert (acknowledged, offset, answer.status) == (5, 5, 204)
            assert await world.content_of(file) == b"helloworld"
            assert await world.content_of(old) == b"done"
            assert gone.anna.principal == principal


async def test_crash_is_not_caught_by_any_room(rig):
    """What stands for a killed process in these tests must go through every handler, else they prove nothing."""
    user = await rig.new_user()
    rig.plan = Plan(Mode.KILLED_BEFORE, fail_at=1)
    rig.restart()
    with pytest.raises(Crash):
        await rig.uploads.begin(user, NewUpload("a.txt", 1))


# ---- maintenance goes on


async def test_broken_file_does_not_stop_other_maintenance(world):
    """One upload's bytes are lost; another's time is over all the same."""
    anna, bert = world.anna, world.bert
    await anna.tus.create(5)
    path = await bert.tus.create(10)
    await bert.tus.patch(path, 0, b"hello")
    (upload,) = await world.uploads_of(bert)
    uploads = world.product.records.collection(UPLOADS)
    whole = replace(upload, status=UploadStatus.ASSEMBLING, writer=replace(upload.writer, size_bytes=10))
    await uploads.save(whole, expected_revision=upload.revision)
    world.clock.advance(seconds=8 * 86400)
    with pytest.raises(LighterageError):
        await world.product.maintenance.run_once()

    assert [one.status for one in await world.uploads_of(anna)] == [UploadStatus.EXPIRED]
    assert (await world.usage_of(anna)).bytes_in_flight == 0


async def test_limits_of_a_tenant_are_their_own(world):
    """One tenant's full quota costs another nothing."""
    await world.limit(world.anna, stored_bytes_max=1)
    tenants = world.product.records.collection(TENANTS)

    assert Limits() == (await tenants.get("system", world.bert.tenant_id)).limits
    assert await world.bert.tus.create(100)
