"""File requests: guests without an account upload by tus into the tenant of whoever asked, and do nothing else."""

import asyncio
from base64 import b64encode
from datetime import timedelta

import pytest

from domain.errors import LinkExhausted, LinkExpired, NotFound, TokenInvalid, Unauthenticated
from domain.file import Visibility
from domain.ids import ShareLinkId, UploadId
from domain.share import SHARE_LINKS, ShareLinkKind
from domain.tenant import MEMBERSHIPS, membership_id
from domain.upload import CreateUpload, NewUpload, UploadStatus
from services.files import FileQuery
from services.shares import NewShareLink
from tests.support.product import ADDRESS, NOON, PASSWORD, body, http_client, tus_client
from tests.support.upload_client import TUS

SECRET = "a word between us"


@pytest.fixture
def shares(world):
    return world.product.services.shares


@pytest.fixture
def uploads(world):
    return world.product.services.uploads


async def ask_for_files(shares, caller, **terms):
    return await shares.create(caller.principal, NewShareLink(ShareLinkKind.UPLOAD, **terms), client="test")


async def opened(world, shares, link, password=None):
    """Open a link as a guest does; gives a tus client, and the guest as the services see them."""
    url = shares.url_of(link).removeprefix(ADDRESS)
    headers = {} if password is None else {"Share-Password": password}
    async with http_client(world.app) as http:
        told = (await http.get(url, headers=headers)).json()
    token = told["headers"]["Authorization"].removeprefix("Bearer ")
    return tus_client(world.app, token), await world.product.services.accounts.authenticate(token)


async def uses_of(world, link):
    return (await world.product.records.collection(SHARE_LINKS).get("system", link.id)).use_count


async def test_guest_uploads_into_the_tenant_of_who_asked(world, shares, anna, bert):
    """The file is theirs alone, takes room of their tenant, and names no uploader."""
    tus, _ = await opened(world, shares, await ask_for_files(shares, anna))
    path = await tus.create(5, Upload_Metadata=f"filename {b64encode(b'from outside.txt').decode()}")
    sent = await tus.patch(path, 0, b"hello")
    file = await world.file_of(anna)

    assert (204, b"hello") == (sent.status, await world.content_of(file))
    assert ("from outside.txt", anna.principal.user_id, None, Visibility.PRIVATE) == (
        file.name,
        file.uploaded_by,
        file.uploader,
        file.visibility,
    )
    assert 5 == (await world.usage_of(anna)).bytes_total
    assert [] == await world.files_of(bert)


async def test_upload_is_resumed_after_the_page_was_closed(world, shares, anna):
    """By the same link, opened anew: its address is kept by the client, as tus has it."""
    link = await ask_for_files(shares, anna)
    tus, _ = await opened(world, shares, link)
    path = await tus.create(10)
    await tus.patch(path, 0, b"hello")
    world.clock.advance(seconds=3600)
    later, _ = await opened(world, shares, link)

    assert 5 == await later.offset(path)
    assert 204 == (await later.patch(path, 5, b"world")).status
    assert b"helloworld" == await world.content_of(await world.file_of(anna))
    assert 1 == await uses_of(world, link)


async def test_guest_does_nothing_else(world, shares, uploads, anna):
    """Neither lists nor reads, nor sees what other links brought; not even what they brought themselves."""
    services = world.product.services
    await anna.upload(b"secret", name="own.txt")
    own = await world.file_of(anna)
    tus, guest = await opened(world, shares, await ask_for_files(shares, anna))
    _, other = await opened(world, shares, await ask_for_files(shares, anna))
    theirs = await uploads.begin(other, NewUpload("theirs.txt", length=3))
    hers = await uploads.begin(anna.principal, NewUpload("hers.txt", length=3))

    for refused in (
        services.files.list_files(guest, FileQuery()),
        services.tenants.get(guest, None),
        uploads.list_own(guest, statuses=[UploadStatus.CREATED], limit=5),
        services.shares.list_of_tenant(guest, first=5, after=None),
        services.shares.create(guest, NewShareLink(ShareLinkKind.UPLOAD), client="test"),
    ):
        with pytest.raises(Unauthenticated):
            await refused
    for hidden in (
        services.files.get(guest, own.id),
        services.files.content(guest, own.id),
        services.files.delete(guest, [own.id]),
        uploads.status(guest, theirs.id),
        uploads.terminate(guest, hers.id),
    ):
        outcome = await asyncio.gather(hidden, return_exceptions=True)
        flat = outcome[0] if not isinstance(outcome[0], list) else outcome[0][0]
        assert isinstance(flat, NotFound), flat
    assert 404 == (await tus.send("HEAD", f"/files/{hers.id}", TUS)).status


async def test_guest_decides_nothing_about_the_file(world, shares, uploads, anna):
    """A guest's file is not public, and hangs at nothing of the customer's, whatever the guest says."""
    _, guest = await opened(world, shares, await ask_for_files(shares, anna))
    new = NewUpload(
        "a.txt", length=0, visibility=Visibility.PUBLIC, idempotency_key="1", file_expires_at=NOON + timedelta(days=1)
    )
    first, second = await uploads.begin(guest, new), await uploads.begin(guest, new)
    files = await world.files_of(anna)

    assert first.id != second.id
    assert [(Visibility.PRIVATE, None)] * 2 == [(file.visibility, file.expires_at) for file in files]


async def test_uses_are_counted_when_uploads_begin(world, shares, uploads, anna):
    """Of many guests at once so many get in as the link says, and no other reserves room."""
    link = await ask_for_files(shares, anna, max_uses=3)
    _, guest = await opened(world, shares, link)
    tries = [uploads.begin(guest, NewUpload(f"{n}.bin", length=10)) for n in range(8)]
    outcomes = await asyncio.gather(*tries, return_exceptions=True)

    assert 5 == len([outcome for outcome in outcomes if isinstance(outcome, LinkExhausted)])
    assert 3 == await uses_of(world, link)
    assert (30, 30) == ((usage := await world.usage_of(anna)).bytes_in_flight, usage.bytes_total)
    assert 3 == len([upload for upload in await world.uploads_of(anna) if upload.status.is_open])


@pytest.mark.parametrize("how", ["terminated", "expired"])
async def test_use_is_given_back_where_nothing_came_of_it(world, shares, uploads, anna, how):
    """A guest who gave up has not taken the place of another."""
    link = await ask_for_files(shares, anna, max_uses=1)
    _, guest = await opened(world, shares, link)
    upload = await uploads.begin(guest, NewUpload("a.bin", length=10))
    if how == "terminated":
        await uploads.terminate(guest, UploadId(upload.id))
    else:
        world.clock.advance(seconds=8 * 86400)
        await world.product.maintenance.run_once()
    _, again = await opened(world, shares, link)

    assert 0 == await uses_of(world, link)
    assert (await uploads.begin(again, NewUpload("a.bin", length=10))).status is UploadStatus.CREATED


async def test_what_was_uploaded_stays_a_use(world, shares, uploads, anna):
    """Also when its file is thrown away."""
    link = await ask_for_files(shares, anna, max_uses=1)
    _, guest = await opened(world, shares, link)
    await uploads.begin(guest, NewUpload("a.bin", length=0))
    await world.product.services.files.delete(anna.principal, [(await world.file_of(anna)).id])
    with pytest.raises(LinkExhausted):
        await uploads.begin(guest, NewUpload("b.bin", length=0))


async def test_request_past_its_time_takes_no_more(world, shares, uploads, anna):
    """But what began in time comes to its end."""
    tus, guest = await opened(world, shares, await ask_for_files(shares, anna, expires_at=NOON + timedelta(minutes=1)))
    path = await tus.create(5)
    world.clock.advance(seconds=60)
    with pytest.raises(LinkExpired):
        await uploads.begin(guest, NewUpload("b.bin", length=0))
    refused = await tus.send("POST", "/files/", {**TUS, "Upload-Length": "1"}, b"")

    assert (403, "link_expired") == (refused.status, refused.problem["code"])
    assert 204 == (await tus.patch(path, 0, b"hello")).status


async def test_revoked_request_stops_uploads_too(world, shares, anna):
    """Within a second: whoever ends it wants no more bytes."""
    link = await ask_for_files(shares, anna)
    tus, _ = await opened(world, shares, link)
    path = await tus.create(5)
    await shares.revoke(anna.principal, ShareLinkId(link.id), client="test")
    world.clock.advance(seconds=1)

    assert 401 == (await tus.patch(path, 0, b"hello")).status


@pytest.mark.parametrize("change", ["switched off", "member no more"])
async def test_request_ends_with_its_maker(world, shares, anna, change):
    """Nobody may bring files to somebody who could not upload them."""
    accounts, members = world.product.services.accounts, world.product.records
    tus, _ = await opened(world, shares, await ask_for_files(shares, anna))
    if change == "switched off":
        await accounts.save_user("anna@example.org", PASSWORD, is_active=False)
    else:
        await members.collection(MEMBERSHIPS).delete("system", membership_id(anna.principal.user_id, anna.tenant_id))
    world.clock.advance(seconds=1)

    assert 401 == (await tus.send("POST", "/files/", {**TUS, "Upload-Length": "1"}, b"")).status


async def test_limits_of_the_tenant_hold_for_guests(world, shares, anna):
    """Size, room and types; and each is told to whoever opens the link."""
    await world.limit(anna, file_size_max=100, stored_bytes_max=150, content_types=("text/*",))
    link = await ask_for_files(shares, anna)
    async with http_client(world.app) as http:
        told = (await http.get(shares.url_of(link))).json()
    tus, _ = await opened(world, shares, link)
    too_large = await tus.send("POST", "/files/", {**TUS, "Upload-Length": "101"}, b"")
    path = await tus.create(100)
    no_room = await tus.send("POST", "/files/", {**TUS, "Upload-Length": "51"}, b"")
    wrong = await tus.patch(path, 0, b"\x89PNG\r\n\x1a\n" + bytes(92))

    assert (100, ["text/*"]) == (told["size_max"], told["content_types"])
    assert [(413, "length_exceeded"), (413, "quota_exceeded"), (415, "content_type_not_allowed")] == [
        (answer.status, answer.problem["code"]) for answer in (too_large, no_room, wrong)
    ]
    assert 1 == await uses_of(world, link)


async def test_guest_makes_no_parts(world, shares, uploads, anna):
    """Each would count as a file."""
    tus, _ = await opened(world, shares, await ask_for_files(shares, anna))
    for concat in ("partial", "final;/files/upload_00000000000000000000000000"):
        fields = {**TUS, "Upload-Length": "1", "Upload-Concat": concat}
        if concat.startswith("final"):
            del fields["Upload-Length"]
        answer = await tus.send("POST", "/files/", fields, b"")
        assert (403, "permission_denied") == (answer.status, answer.problem["code"])


async def test_password_is_needed_to_upload(world, shares, anna):
    """The link alone gives no token."""
    link = await ask_for_files(shares, anna, password=SECRET)
    async with http_client(world.app) as http:
        refused = await http.get(shares.url_of(link))
    tus, _ = await opened(world, shares, link, SECRET)

    assert (403, "link_password_required") == (refused.status_code, refused.json()["code"])
    assert (await tus.create(1)).startswith("/files/")


async def test_visit_of_a_download_is_no_way_to_upload(world, shares, anna):
    """A token is good for what its link is."""
    await anna.upload(b"x")
    file = await world.file_of(anna)
    link = await shares.create(anna.principal, NewShareLink(ShareLinkKind.DOWNLOAD, file_id=file.id), client="test")
    async with http_client(world.app) as http:
        url = (await http.get(shares.url_of(link))).json()["download_url"]
        request = await ask_for_files(shares, anna)
        content = await http.get(f"{shares.url_of(request)}/content")
    with pytest.raises(TokenInvalid):
        await world.product.services.accounts.authenticate(url.partition("visit=")[2])

    assert 404 == content.status_code


async def test_own_uploads_are_not_mixed_with_those_of_guests(world, shares, uploads, anna):
    """What to resume is one's own; a guest's transfer can be seen and ended by who asked for it."""
    _, guest = await opened(world, shares, await ask_for_files(shares, anna))
    theirs = await uploads.begin(guest, NewUpload("theirs.txt", length=3))
    own = await uploads.begin(anna.principal, NewUpload("own.txt", length=3))
    listed = await uploads.list_own(anna.principal, statuses=[UploadStatus.CREATED], limit=5)
    await uploads.terminate(anna.principal, UploadId(theirs.id))

    assert [own.id] == [upload.id for upload in listed]
    assert UploadStatus.ABORTED is (await world.upload_of(anna, theirs.id)).status


async def test_creation_with_bytes_is_one_request(world, shares, uploads, anna):
    """As small files come; refused, it leaves nothing."""
    link = await ask_for_files(shares, anna)
    _, guest = await opened(world, shares, link)
    command = CreateUpload(length=5, has_body=True, body_length=5)
    done = await uploads.create(guest, command, body(b"hello"))

    assert UploadStatus.COMPLETED is done.status
    assert link.id == (await world.file_of(anna)).link_id
