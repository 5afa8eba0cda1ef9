"""Two tenants see nothing of each other, whichever way they ask."""

import asyncio
from contextlib import aclosing

import pytest

from domain.errors import NotFound
from domain.ids import FileId, TenantId, UploadId
from domain.upload import UploadStatus
from services.files import FileChanges, FileQuery
from tests.support.product import http_client, tus_client
from tests.support.upload_client import TUS


@pytest.fixture
async def file(world, anna):
    await anna.upload(b"secret", name="plans.txt")
    return await world.file_of(anna)


async def test_lists_hold_only_ones_own_R000_15(world, anna, bert, file):
    """Files, uploads and counts."""
    await anna.tus.create(5)
    files, uploads = world.product.services.files, world.product.services.uploads
    seen = await files.list_files(bert.principal, FileQuery())

    assert seen.page.items == []
    assert await files.count_files(bert.principal, FileQuery(name_eq="plans.txt")) == 0
    assert await uploads.list_own(bert.principal, statuses=list(UploadStatus), limit=10) == []
    assert await files.get_many(bert.principal, [file.id]) == {}


async def test_content_of_another_tenant_looks_like_none_R000_24(bert, file):
    """The same body as for an id that never was."""
    unknown = f"/api/v1/files/file_{'0' * 26}/content"
    async with bert.http as http:
        theirs, missing = await http.get(f"/api/v1/files/{file.id}/content"), await http.get(unknown)

    assert (theirs.status_code, missing.status_code) == (404, 404)
    drop = {"request_id": None}
    assert theirs.json() | drop == missing.json() | drop


async def test_nothing_of_another_tenant_can_be_changed(world, anna, bert, file):
    """Every use case that takes an id answers NotFound and leaves all as it was."""
    files = world.product.services.files
    with pytest.raises(NotFound):
        await files.get(bert.principal, file.id)
    with pytest.raises(NotFound):
        await files.update(bert.principal, file.id, FileChanges(name="mine"), if_version=None)
    with pytest.raises(NotFound):
        await files.download_url(bert.principal, file, ttl_seconds=60, inline=False)
    outcomes = [*await files.delete(bert.principal, [file.id]), *await files.restore(bert.principal, [file.id])]

    assert [NotFound, NotFound] == [type(outcome) for outcome in outcomes]
    assert file == await world.file_of(anna)


async def test_tenant_cannot_be_chosen_by_a_stranger(world, anna, bert):
    """Naming another tenant's id is the same as naming none that is there."""
    services = world.product.services
    with pytest.raises(NotFound):
        await services.files.list_files(bert.principal, FileQuery(tenant_id=anna.tenant_id))
    with pytest.raises(NotFound):
        await services.tenants.get(bert.principal, anna.tenant_id)
    with pytest.raises(NotFound):
        await services.tenants.usage(bert.principal, anna.tenant_id)
    with pytest.raises(NotFound):
        await services.accounts.refresh(bert.session.refresh_token, client="test", tenant_id=TenantId(anna.tenant_id))


async def test_users_of_another_tenant_are_not_told(world, anna, bert):
    """Names and addresses are the tenant's own."""
    accounts = world.product.services.accounts

    assert await accounts.get_users(bert.principal, [anna.principal.user_id]) == {}
    assert [anna.principal.user_id] == list(await accounts.get_users(anna.principal, [anna.principal.user_id]))


async def test_events_reach_only_their_tenant(world, anna, bert):
    """Bert listens, Anna uploads, then Bert does: the first event that he hears of is his own."""
    events = world.product.services.files.events(bert.principal, after=None)
    async with aclosing(events):
        heard = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0)
        await anna.upload(b"secret")
        await bert.upload(b"mine")
        _, event, file = await asyncio.wait_for(heard, 5)

    assert bert.tenant_id == event.tenant_id
    assert (await world.file_of(bert)).id == file.id


async def test_progress_of_another_tenant_is_not_told(world, anna, bert):
    """Not even that there is any."""
    path = await anna.tus.create(5)
    frames = world.product.services.uploads.progress(bert.principal, UploadId(path.rpartition("/")[2]))
    async with aclosing(frames):
        with pytest.raises(NotFound):
            await anext(frames)


async def test_uploads_of_two_tenants_do_not_meet(world, anna, bert):
    """The same name, the same time, the same idempotency key of neither: two files."""
    await asyncio.gather(anna.upload(b"hers", name="same.txt"), bert.upload(b"his", name="same.txt"))

    assert await world.content_of(await world.file_of(anna)) == b"hers"
    assert await world.content_of(await world.file_of(bert)) == b"his"


async def test_guest_is_told_to_log_in_R000_14(world, file):
    """Without a token nothing can be read, and the answer says how one would."""
    async with http_client(world.app) as http:
        answer = await http.get(f"/api/v1/files/{file.id}/content")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["hint"]
    assert (await tus_client(world.app).send("HEAD", "/files/upload_x", TUS)).status == 401


async def test_file_id_of_another_kind_is_not_found(world, anna):
    """An upload's id is no file's."""
    path = await anna.tus.create(5)
    with pytest.raises(NotFound):
        await world.product.services.files.get(anna.principal, FileId(path.rpartition("/")[2]))
