"""What is done though nobody asks: each piece, its limits, and what it must leave alone."""

from base64 import b64encode
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.event import FILE_EVENTS, FileEventAction
from domain.file import FILES, FileStatus
from domain.page import Order, PageRequest
from domain.upload import UPLOADS, UploadStatus
from domain.user import SESSIONS
from services import maintenance as module
from services.batches import each
from tests.support.product import PASSWORD, Caller, World, sha256
from tests.support.upload_client import TUS

DAY = 86400


async def maintain(world: World) -> None:
    while await world.product.maintenance.run_once():
        pass


async def actions_of(world: World, caller: Caller) -> list[FileEventAction]:
    events = world.product.records.collection(FILE_EVENTS)
    page = await events.list(caller.tenant_id, order=Order("number"), page=PageRequest(100))
    return [event.action for event in page.items]


async def in_two_processes(world: World, caller: Caller, content: bytes, **metadata: str) -> None:
    """Upload so that no process sees all the bytes pass."""
    path = await caller.tus.create(len(content), **metadata)
    await caller.tus.patch(path, 0, content[:3])
    world.product.services.uploads._digests.forget(path.rpartition("/")[2])
    assert (await caller.tus.patch(path, 3, content[3:])).status == 204


# ---- digests


async def test_digest_that_nobody_saw_passing_is_computed(world):
    """The file can be read meanwhile; its digest follows, and is an update, no change of its status."""
    await in_two_processes(world, world.anna, b"hello world")
    before = await world.file_of(world.anna)
    await maintain(world)
    after = await world.file_of(world.anna)

    assert (None, FileStatus.READY) == (before.sha256, before.status)
    assert (sha256(b"hello world"), FileStatus.READY) == (after.sha256, after.status)
    assert [FileEventAction.CREATED, FileEventAction.UPDATED] == await actions_of(world, world.anna)


@pytest.mark.parametrize(("declared", "status"), [(b"hello world", FileStatus.READY), (b"other", FileStatus.FAILED)])
async def test_declared_digest_is_held_against_the_bytes(world, declared, status):
    """Until then the file is PROCESSING and gives no bytes."""
    header = "sha256 " + b64encode(sha256(declared).encode()).decode()
    await in_two_processes(world, world.anna, b"hello world", Upload_Metadata=header)
    before = await world.file_of(world.anna)
    await maintain(world)

    assert FileStatus.PROCESSING is before.status
    assert status is (await world.file_of(world.anna)).status
    assert FileEventAction.STATUS_CHANGED in await actions_of(world, world.anna)


async def test_file_whose_bytes_are_gone_fails_once_R000_13(world):
    """Somebody removed the object behind our back: the list says so, and no later round looks for it again."""
    await in_two_processes(world, world.anna, b"hello world")
    await world.product.blobs.delete((await world.file_of(world.anna)).key)
    await maintain(world)

    assert FileStatus.FAILED is (await world.file_of(world.anna)).status
    assert 0 == await world.product.maintenance.compute_digests()


# ---- trash and time


async def test_trash_is_purged_when_its_time_is_over(world):
    """Thirty days; then the bytes go, the room comes back, and one event tells it."""
    await world.anna.upload(b"hello")
    file = await world.file_of(world.anna)
    await world.product.services.files.delete(world.anna.principal, [file.id])
    world.clock.advance(seconds=30 * DAY - 1)
    await maintain(world)
    assert [file.id] == [one.id for one in await world.files_of(world.anna)]
    world.clock.advance(seconds=1)
    await maintain(world)
    usage = await world.usage_of(world.anna)

    assert [] == await world.files_of(world.anna)
    assert (0, 0, 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
    assert not any(path.is_file() for path in (world.product.settings.data_dir / "files").rglob("*"))


async def test_file_taken_out_of_the_trash_is_not_purged(world):
    """Not even when the round that purges it has begun."""
    await world.anna.upload(b"hello")
    file = await world.file_of(world.anna)
    files = world.product.services.files
    (in_trash,) = await files.delete(world.anna.principal, [file.id])
    await files.restore(world.anna.principal, [file.id])

    assert 0 == await each([in_trash], world.product.maintenance._purge)
    assert b"hello" == await world.content_of(await world.file_of(world.anna))
    assert 1 == (await world.usage_of(world.anna)).file_count


async def test_long_trash_of_one_tenant_does_not_hide_anothers(world, monkeypatch):
    """Each tenant says how long it keeps its trash, and each is kept to its word."""
    monkeypatch.setattr(module, "BATCH", 2)
    await world.limit(world.anna, trash_retention_days=365)
    await world.limit(world.bert, trash_retention_days=1)
    for caller in [world.anna] * 5 + [world.bert]:
        await caller.upload(b"hello")
    for caller in (world.anna, world.bert):
        ids = [file.id for file in await world.files_of(caller)]
        await world.product.services.files.delete(caller.principal, ids)
        world.clock.advance(seconds=1)
    world.clock.advance(seconds=2 * DAY)
    for _ in range(10):
        await world.product.maintenance.purge_trash()

    assert 5 == len(await world.files_of(world.anna))
    assert [] == await world.files_of(world.bert)


async def test_expired_file_is_removed_bytes_and_all(world):
    """At its time nobody can read it any more; the next round removes it."""
    await world.anna.upload(b"hello")
    file = await world.file_of(world.anna)
    soon = replace(file, expires_at=world.clock.now() + timedelta(seconds=60))
    await world.product.records.collection(FILES).save(soon, expected_revision=file.revision)
    world.clock.advance(seconds=61)
    async with world.anna.http as http:
        assert 404 == (await http.get(f"/api/v1/files/{file.id}/content")).status_code
    await maintain(world)

    assert [] == await world.files_of(world.anna)
    assert [FileEventAction.CREATED, FileEventAction.PURGED] == await actions_of(world, world.anna)


# ---- what is over


async def test_ended_upload_is_gone_for_a_day_and_then_unknown(world):
    """410 first, so that its client stops trying; 404 when nobody can be waiting any more."""
    anna = world.anna
    path = await anna.tus.create(5)
    await anna.tus.send("DELETE", path, TUS)
    await maintain(world)
    gone = await anna.tus.send("HEAD", path, TUS)
    world.clock.advance(seconds=DAY + 1)
    await maintain(world)
    session = await world.product.services.accounts.log_in("anna@example.org", PASSWORD, client="test")
    again = replace(anna, session=session)

    assert (410, 404) == (gone.status, (await again.tus.send("HEAD", path, TUS)).status)


async def test_finished_upload_is_never_gone(world):
    """However old: its file is there."""
    path = (await world.anna.upload(b"hello")).headers["location"]
    world.clock.advance(seconds=14 * 60)
    await maintain(world)

    assert 5 == await world.anna.tus.offset(path)


async def test_unfinished_upload_expires_and_leaves_nothing(world):
    """Its bytes, its room and its name on disk."""
    path = await world.anna.tus.create(10)
    await world.anna.tus.patch(path, 0, b"hello")
    world.clock.advance(seconds=7 * DAY + 1)
    await maintain(world)
    usage = await world.usage_of(world.anna)

    assert [UploadStatus.EXPIRED] == [upload.status for upload in await world.uploads_of(world.anna)]
    assert (0, 0) == (usage.bytes_total, usage.bytes_in_flight)
    assert not any(path.is_file() for path in (world.product.settings.data_dir / "files").rglob("*"))


async def test_upload_that_goes_on_does_not_expire(world):
    """Its time begins anew with every byte."""
    path = await world.anna.tus.create(10)
    world.clock.advance(seconds=10 * 60)
    await world.anna.tus.patch(path, 0, b"hello")
    (upload,) = await world.uploads_of(world.anna)

    assert world.clock.now() + timedelta(days=7) == upload.expires_at


async def test_events_and_sessions_are_forgotten_in_time(world):
    """A week, and when their refresh token is no good any more."""
    await world.anna.upload(b"hello")
    world.clock.advance(seconds=31 * DAY)
    await maintain(world)
    sessions = world.product.records.collection(SESSIONS)

    assert [] == await actions_of(world, world.anna)
    assert 0 == await sessions.count("system")


async def test_round_with_nothing_to_do_says_so(world):
    """Else the loop would never rest."""
    await world.anna.upload(b"hello")
    await world.anna.tus.create(5)

    assert 0 == await world.product.maintenance.run_once()


async def test_upload_left_assembling_is_finished_after_its_grace(world):
    """The process that was about to may still live: a minute is waited."""
    path = await world.anna.tus.create(10)
    await world.anna.tus.patch(path, 0, b"hello")
    uploads = world.product.records.collection(UPLOADS)
    (upload,) = await world.uploads_of(world.anna)
    whole = replace(upload, length=5, writer=replace(upload.writer, length=5), status=UploadStatus.ASSEMBLING)
    await uploads.save(whole, expected_revision=upload.revision)
    early = await world.product.maintenance.finish_assembling()
    world.clock.advance(seconds=61)
    late = await world.product.maintenance.finish_assembling()

    assert (0, 1) == (early, late)
    assert b"hello" == await world.content_of(await world.file_of(world.anna))
