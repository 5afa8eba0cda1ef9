"""Versions: a file gets another content by an upload, keeps those before it within bounds, and can go back."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import FileDeleted, LighterageError, NotFound, PermissionDenied, Unauthenticated
from domain.event import FILE_EVENTS, FileEventAction
from domain.file import FileStatus, Visibility
from domain.ids import FileId, UploadId
from domain.page import Order, PageRequest
from domain.principal import ALL_SCOPES, GUEST, Principal
from domain.share import ShareLinkKind
from domain.tenant import TenantRole
from domain.upload import AppendBytes, NewUpload, UploadStatus
from domain.version import FILE_VERSIONS
from services.files import FileChanges
from services.processing import Outcome
from services.shares import NewShareLink
from tests.support.product import ADDRESS, body, http_client, open_world, sha256, tus_client


@pytest.fixture
def versions(world):
    return world.product.services.versions


@pytest.fixture
def uploads(world):
    return world.product.services.uploads


@pytest.fixture
def files(world):
    return world.product.services.files


@pytest.fixture
async def file(world, anna):
    await anna.upload(b"one", name="plan.txt")
    return await world.file_of(anna)


async def add_version(world, caller, file, content, **more):
    """Upload a new content of a file; gives the file with it."""
    uploads = world.product.services.uploads
    new = NewUpload("other name.txt", len(content), FileId(file.id), **more)
    upload = await uploads.begin(caller.principal, new)
    if content:
        await uploads.append(caller.principal, AppendBytes(UploadId(upload.id), 0), body(content))
    return await world.product.services.files.get(caller.principal, FileId(file.id))


async def settle(world):
    """Let maintenance look at what was put aside."""
    world.clock.advance(seconds=61)
    while await world.product.maintenance.run_once():
        pass


async def contents_of(world, caller, file):
    """Give number and bytes of each version, read as a guest with a download URL does."""
    services = world.product.services
    found = []
    async with http_client(world.app) as http:
        for version in await services.versions.list_of_file(caller.principal, file):
            url = await services.files.download_url(
                caller.principal, file, ttl_seconds=60, inline=False, version=version
            )
            found.append((version.number, (await http.get(url)).content))
    return found


async def test_new_content_takes_the_place_of_the_old(world, anna, file):
    """Same id, same name, same address; the old one can still be read, and both take room."""
    changed = await add_version(world, anna, file, b"number two")
    event = (
        await world.product.records.collection(FILE_EVENTS).list(
            anna.tenant_id, order=Order("number"), page=PageRequest(10)
        )
    ).items[-1]

    assert (file.id, "plan.txt", 10, sha256(b"number two"), 2) == (
        changed.id,
        changed.name,
        changed.size,
        changed.sha256,
        changed.version_number,
    )
    assert [(2, b"number two"), (1, b"one")] == await contents_of(world, anna, changed)
    usage = await world.usage_of(anna)
    assert (1, 13, 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
    assert (FileEventAction.VERSION_ADDED, file.id, anna.principal.user_id) == (
        event.action,
        event.file_id,
        event.actor_id,
    )


async def test_download_that_runs_reads_the_content_it_began_with(world, anna, file, files):
    """A reader is never given half of each."""
    content = await files.content(anna.principal, FileId(file.id))
    await add_version(world, anna, file, b"TWO")

    assert b"one" == b"".join([chunk async for chunk in content.read(0, 3)])


async def test_empty_content_is_a_version_too(world, anna, file):
    """It has all its bytes as soon as it is begun."""
    changed = await add_version(world, anna, file, b"")

    assert [(2, b""), (1, b"one")] == await contents_of(world, anna, changed)


async def test_old_content_is_chosen_again(world, anna, file, versions):
    """As a new version; nothing is copied, and each content takes room once."""
    second = await add_version(world, anna, file, b"number two")
    _, first = await versions.list_of_file(anna.principal, second)
    world.clock.advance(seconds=5)
    restored = await versions.restore(anna.principal, FileId(file.id), first.id)

    assert (3, b"one", file.key) == (restored.version_number, await world.content_of(restored), restored.key)
    assert [(3, b"one"), (2, b"number two")] == await contents_of(world, anna, restored)
    assert 13 == (await world.usage_of(anna)).bytes_total
    await settle(world)
    assert [(3, b"one"), (2, b"number two")] == await contents_of(world, anna, restored)


async def test_going_back_and_forth_loses_nothing(world, anna, file, versions):
    """However often; maintenance in between removes no bytes that are still a version's."""
    changed = await add_version(world, anna, file, b"number two")
    for _ in range(4):
        _, old = await versions.list_of_file(anna.principal, changed)
        changed = await versions.restore(anna.principal, FileId(file.id), old.id)
        await settle(world)

    assert [(6, b"number two"), (5, b"one")] == await contents_of(world, anna, changed)
    assert 13 == (await world.usage_of(anna)).bytes_total


async def test_only_so_many_are_kept(tmp_path):
    """The oldest goes first, bytes and room with it."""
    async with open_world(tmp_path, versions_max=2) as world:
        anna = world.anna
        await anna.upload(b"1")
        file = await world.file_of(anna)
        for text in (b"22", b"333", b"4444", b"55555"):
            file = await add_version(world, anna, file, text)
            world.clock.advance(seconds=1)
        gone = list(await world.product.services.versions.list_of_file(anna.principal, file))[3:]
        await settle(world)

        assert [(5, b"55555"), (4, b"4444"), (3, b"333")] == await contents_of(world, anna, file)
        assert 12 == (await world.usage_of(anna)).bytes_total
        for version in gone:
            with pytest.raises(NotFound):
                await world.product.blobs.stat(version.key)


async def test_one_too_many_stays_while_it_is_being_chosen(tmp_path):
    """Without transactions its bytes would go from under the file that is about to have them."""
    async with open_world(tmp_path, versions_max=1) as world:
        anna, records = world.anna, world.product.records.collection(FILE_VERSIONS)
        await anna.upload(b"1")
        file = await add_version(world, anna, await world.file_of(anna), b"22")
        file = await add_version(world, anna, file, b"333")
        first = (await world.product.services.versions.list_of_file(anna.principal, file))[-1]
        world.clock.advance(seconds=61)
        touched = replace(await records.get(anna.tenant_id, first.id), touched_at=world.clock.now())
        await records.save(touched, expected_revision=first.revision)
        await world.product.maintenance.run_once()
        during = await contents_of(world, anna, file)
        await settle(world)

        assert [(3, b"333"), (2, b"22"), (1, b"1")] == during
        assert [(3, b"333"), (2, b"22")] == await contents_of(world, anna, file)


async def test_file_goes_with_all_its_versions(world, anna, file, files):
    """Out of the store, for good: bytes, room, versions and links."""
    changed = await add_version(world, anna, file, b"number two")
    shares = world.product.services.shares
    link = await shares.create(
        anna.principal, NewShareLink(ShareLinkKind.DOWNLOAD, file_id=FileId(file.id)), client="test"
    )
    assert [changed] == await files.purge(anna.principal, [FileId(file.id)])
    usage = await world.usage_of(anna)

    assert (0, 0) == (usage.file_count, usage.bytes_total)
    for key in (file.key, changed.key):
        with pytest.raises(NotFound):
            await world.product.blobs.stat(key)
    assert 0 == await world.product.records.collection(FILE_VERSIONS).count(anna.tenant_id)
    async with http_client(world.app) as guest:
        assert 404 == (await guest.get(shares.url_of(link))).status_code


async def test_expired_file_goes_with_all_its_versions(world, anna, file, files):
    """As well when nobody asks for it."""
    changed = await add_version(world, anna, file, b"number two")
    later = world.clock.now() + timedelta(seconds=10)
    await files.update(anna.principal, FileId(file.id), FileChanges(expires_at=later), if_version=None)
    world.clock.advance(seconds=11)
    await world.product.maintenance.run_once()

    assert 0 == (await world.usage_of(anna)).bytes_total
    for key in (file.key, changed.key):
        with pytest.raises(NotFound):
            await world.product.blobs.stat(key)


async def test_two_at_once_become_two_versions(world, anna, file, uploads):
    """None is lost, and the file has one of them."""
    begun = [await uploads.begin(anna.principal, NewUpload("x", 3, FileId(file.id))) for _ in range(3)]
    texts = [b"aaa", b"bbb", b"ccc"]
    done = await asyncio.gather(
        *(
            uploads.append(anna.principal, AppendBytes(UploadId(upload.id), 0), body(text))
            for upload, text in zip(begun, texts, strict=True)
        )
    )
    now = await world.product.services.files.get(anna.principal, FileId(file.id))
    found = await contents_of(world, anna, now)

    assert [UploadStatus.COMPLETED] * 3 == [upload.status for upload in done]
    assert [4, 3, 2, 1] == [number for number, _ in found]
    assert {b"one", *texts} == {content for _, content in found}
    assert 12 == (await world.usage_of(anna)).bytes_total


async def test_content_that_is_not_what_was_declared_changes_nothing(world, anna, file, uploads):
    """The file stays as it was."""
    with pytest.raises(LighterageError):
        await add_version(world, anna, file, b"two", sha256="0" * 64)

    assert [(1, b"one")] == await contents_of(world, anna, file)
    assert 3 == (await world.usage_of(anna)).bytes_total


async def test_who_may_not_change_a_file_adds_no_version(world, anna, bert, file, uploads, versions):
    """Nor goes back to one; of another tenant the file is not there."""
    changed = await add_version(world, anna, file, b"number two")
    _, first = await versions.list_of_file(anna.principal, changed)
    await world.product.services.files.update(
        anna.principal, FileId(file.id), FileChanges(visibility=Visibility.TENANT), if_version=None
    )
    colleague = Principal(bert.principal.user_id, anna.tenant_id, TenantRole.MEMBER, ALL_SCOPES)
    for who, refusal in ((colleague, PermissionDenied), (bert.principal, NotFound), (GUEST, Unauthenticated)):
        with pytest.raises(refusal):
            await uploads.begin(who, NewUpload("x", 3, FileId(file.id)))
        with pytest.raises(refusal):
            await versions.restore(who, FileId(file.id), first.id)
    with pytest.raises(NotFound):
        await versions.get(bert.principal, first.id)


async def test_guest_adds_no_version(world, anna, file, uploads):
    """A file request brings files, and changes none."""
    shares, accounts = world.product.services.shares, world.product.services.accounts
    link = await shares.create(anna.principal, NewShareLink(ShareLinkKind.UPLOAD), client="test")
    token = shares.url_of(link).removeprefix(f"{ADDRESS}/s/")
    guest = await accounts.authenticate((await shares.open(token, None, client="test")).token)
    with pytest.raises(NotFound):
        await uploads.begin(guest, NewUpload("x", 3, FileId(file.id)))


async def test_file_in_the_trash_gets_no_version(world, anna, file, files, uploads, versions):
    """Nor goes back to one, nor changes its name; what was begun before comes to its end."""
    begun = await uploads.begin(anna.principal, NewUpload("x", 3, FileId(file.id)))
    await files.delete(anna.principal, [FileId(file.id)])
    await uploads.append(anna.principal, AppendBytes(UploadId(begun.id), 0), body(b"two"))
    trashed = await files.get(anna.principal, FileId(file.id))
    _, first = await versions.list_of_file(anna.principal, trashed)
    for refused in (
        uploads.begin(anna.principal, NewUpload("x", 3, FileId(file.id))),
        versions.restore(anna.principal, FileId(file.id), first.id),
        files.update(anna.principal, FileId(file.id), FileChanges(name="b"), if_version=None),
    ):
        with pytest.raises(FileDeleted):
            await refused
    (restored,) = await files.restore(anna.principal, [FileId(file.id)])

    assert b"two" == await world.content_of(restored)


async def test_upload_for_a_file_that_was_purged_leaves_nothing(world, anna, file, files, uploads):
    """Neither bytes nor room; its client is told."""
    begun = await uploads.begin(anna.principal, NewUpload("x", 3, FileId(file.id)))
    await files.purge(anna.principal, [FileId(file.id)])
    with pytest.raises(FileDeleted):
        await uploads.append(anna.principal, AppendBytes(UploadId(begun.id), 0), body(b"two"))
    usage = await world.usage_of(anna)

    assert (0, 0, 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)
    assert UploadStatus.FAILED is (await world.upload_of(anna, begun.id)).status


async def test_ended_upload_of_a_version_leaves_the_file(world, anna, file):
    """DELETE of a finished upload throws away the file it made, and this one made none."""
    new = NewUpload("x", 3, FileId(file.id))
    begun = await world.product.services.uploads.begin(anna.principal, new)
    tus = tus_client(world.app, anna.session.access_token)
    await tus.patch(f"/files/{begun.id}", 0, b"two")
    ended = await tus.send("DELETE", f"/files/{begun.id}", {"Tus-Resumable": "1.0.0"})

    assert 204 == ended.status
    assert (await world.file_of(anna)).deleted_at is None


async def test_quota_holds_for_versions(world, anna, file, uploads):
    """Each content takes room."""
    await world.limit(anna, stored_bytes_max=10)
    world.clock.advance(seconds=1)
    with pytest.raises(LighterageError) as caught:
        await add_version(world, anna, file, b"12345678")
    await add_version(world, anna, file, b"1234567")

    assert "quota_exceeded" == caught.value.code


async def test_jobs_of_the_old_content_say_nothing_of_the_new(tmp_path):
    """Each content that has to be checked is, before anybody reads it."""
    async with open_world(tmp_path, processing="*=scan!") as world:
        anna, processing = world.anna, world.product.services.processing
        await anna.upload(b"one")
        leased = await processing.lease(anna.principal, kinds=["scan"], seconds=60)
        assert leased is not None
        job, _ = leased
        await processing.acknowledge(anna.principal, job.id, job.lease_id, Outcome({}))
        file = await world.file_of(anna)
        changed = await add_version(world, anna, file, b"number two")

        assert (FileStatus.READY, FileStatus.PROCESSING) == (file.status, changed.status)
        assert ["queued"] == [one.status.value for one in await processing.of_file(anna.principal, changed)]
