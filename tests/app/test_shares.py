"""Share links: whoever has the address reads the file, as long, as often and with such a password as its maker said."""

import asyncio
from datetime import timedelta

import pytest

from auth.policy import Action, require
from domain.audit import AUDIT_EVENTS, AuditAction
from domain.errors import FileDeleted, InvalidValue, NotFound, PermissionDenied, Unauthenticated
from domain.ids import FileId, ShareLinkId
from domain.page import Order, PageRequest
from domain.principal import ALL_SCOPES, GUEST, Principal, Scope
from domain.share import SHARE_LINKS, ShareLinkKind, parse_token
from domain.tenant import TenantRole
from services.shares import NewShareLink
from tests.support.product import ADDRESS, NOON, http_client

CONTENT = b"the manifest of the lighter"
SECRET = "a word between us"
HTML = {"Accept": "text/html,*/*"}


@pytest.fixture
def shares(world):
    return world.product.services.shares


@pytest.fixture
async def file(world, anna):
    await anna.upload(CONTENT, name="manifest.txt")
    return await world.file_of(anna)


@pytest.fixture
def guest(world):
    """Somebody with no account: asks without a token."""
    return http_client(world.app)


async def create(shares, caller, file=None, **terms):
    kind = ShareLinkKind.DOWNLOAD if file is not None else ShareLinkKind.UPLOAD
    new = NewShareLink(kind, file_id=None if file is None else FileId(file.id), **terms)
    return await shares.create(caller.principal, new, client="test")


async def path_of(shares, caller, file, **terms):
    return shares.url_of(await create(shares, caller, file, **terms)).removeprefix(ADDRESS)


async def uses_of(world, link):
    return (await world.product.records.collection(SHARE_LINKS).get("system", link.id)).use_count


def code_of(answer):
    return answer.status_code, answer.json()["code"]


# ---- what a guest gets


async def test_guest_sees_and_reads_the_file(shares, anna, file, guest):
    """By the address alone: a JSON document, and the bytes at the address in it."""
    path = await path_of(shares, anna, file)
    told = (await guest.get(path)).json()
    answer = await guest.get(told["download_url"])

    assert CONTENT == answer.content
    assert 'attachment; filename="manifest.txt"' in answer.headers["content-disposition"]
    assert ("download", "manifest.txt", len(CONTENT), file.sha256) == (
        told["kind"],
        told["name"],
        told["size"],
        told["sha256"],
    )


async def test_guest_learns_nothing_of_the_owner(shares, anna, file, guest):
    """Neither who shares nor where it is kept."""
    path = await path_of(shares, anna, file)
    texts = [(await guest.get(path)).text, (await guest.get(path, headers=HTML)).text]

    for word in ("anna", anna.tenant_id, file.id, file.key):
        assert not [text for text in texts if word in text]


async def test_bytes_come_in_ranges_and_are_one_use(world, shares, anna, file, guest):
    """A download that is taken up again, or that a player reads in pieces, is the same download."""
    link = await create(shares, anna, file, max_uses=1)
    url = (await guest.get(shares.url_of(link))).json()["download_url"]
    first = await guest.get(url, headers={"Range": "bytes=0-3"})
    rest = await guest.get(url, headers={"Range": "bytes=4-"})

    assert (206, 206, CONTENT) == (first.status_code, rest.status_code, first.content + rest.content)
    assert 1 == await uses_of(world, link)
    assert (410, "link_exhausted") == code_of(await guest.get(shares.url_of(link)))


async def test_each_plain_request_for_the_bytes_is_a_use(world, shares, anna, file, guest):
    """curl needs no first step; to look at what is there, or to ask for the head, is none."""
    link = await create(shares, anna, file, max_uses=2)
    path = shares.url_of(link)
    await guest.get(path)
    await guest.head(f"{path}/content")
    answers = [await guest.get(f"{path}/content") for _ in range(3)]

    assert [200, 200, 410] == [answer.status_code for answer in answers]
    assert 2 == await uses_of(world, link)


async def test_uses_are_counted_under_concurrency(world, shares, anna, file, guest):
    """Of many guests at once so many get the bytes as the link says."""
    link = await create(shares, anna, file, max_uses=5)
    path = f"{shares.url_of(link)}/content"
    answers = await asyncio.gather(*(guest.get(path) for _ in range(20)))

    assert [200] * 5 + [410] * 15 == sorted(answer.status_code for answer in answers)
    assert 5 == await uses_of(world, link)


async def test_link_ends_with_its_time(world, shares, anna, file, guest):
    """Also for whoever opened it before; the address of the bytes lives no longer than the link."""
    path = await path_of(shares, anna, file, expires_at=NOON + timedelta(seconds=60))
    url = (await guest.get(path)).json()["download_url"]
    world.clock.advance(seconds=59)
    before = await guest.get(url)
    world.clock.advance(seconds=1)

    assert 200 == before.status_code
    assert [(410, "link_expired")] * 3 == [code_of(await guest.get(one)) for one in (path, f"{path}/content", url)]


async def test_address_of_the_bytes_ends_by_itself(world, shares, anna, file, guest):
    """An hour; the link gives another. One of another link, or a made-up one, is none."""
    path, other = await path_of(shares, anna, file), await path_of(shares, anna, file, password=SECRET)
    url = (await guest.get(path)).json()["download_url"]
    visit = url.partition("?")[2]
    foreign = await guest.get(f"{other}/content?{visit}")
    forged = await guest.get(f"{path}/content?visit=x.y.z")
    world.clock.advance(seconds=3600)
    late = await guest.get(url)

    assert [(403, "permission_denied")] * 3 == [code_of(answer) for answer in (foreign, forged, late)]


async def test_revoked_link_ends_at_once(world, shares, anna, file, guest):
    """And stays in the list, with the time of its end; ending it again changes nothing."""
    link = await create(shares, anna, file)
    url = (await guest.get(shares.url_of(link))).json()["download_url"]
    revoked = await shares.revoke(anna.principal, ShareLinkId(link.id), client="test")
    world.clock.advance(seconds=5)
    again = await shares.revoke(anna.principal, ShareLinkId(link.id), client="test")

    assert (410, "link_expired") == code_of(await guest.get(url))
    assert revoked == again
    assert NOON == revoked.revoked_at


async def test_trash_and_expiry_of_the_file_end_the_link(world, shares, anna, file, guest):
    """What its owner cannot see any more nobody else can; out of the trash it is there again."""
    files = world.product.services.files
    path = await path_of(shares, anna, file)
    await files.delete(anna.principal, [FileId(file.id)])
    trashed = [code_of(await guest.get(one)) for one in (path, f"{path}/content")]
    await files.restore(anna.principal, [FileId(file.id)])

    assert [(410, "file_deleted")] * 2 == trashed
    assert CONTENT == (await guest.get(f"{path}/content")).content


@pytest.mark.parametrize("token", ["x", "0" * 26, "0" * 26 + "a" * 24, "%F0%9F%94%91" * 10, "a" * 3000])
async def test_made_up_link_is_not_there(guest, token):
    """Whatever it looks like."""
    assert [(404, "not_found")] * 2 == [code_of(await guest.get(f"/s/{token}{end}")) for end in ("", "/content")]


async def test_secret_decides_not_the_id(shares, anna, file, guest):
    """The id is no secret: it stands in the audit log."""
    link = await create(shares, anna, file)
    token = shares.url_of(link).rpartition("/")[2]
    parsed = parse_token(token)

    assert parsed is not None
    assert parsed[0] == link.id
    for wrong in (token[:-1], token + "a", token[:26] + "a" * 24):
        assert (404, "not_found") == code_of(await guest.get(f"/s/{wrong}"))


# ---- passwords


async def test_password_is_asked_for(shares, anna, file, guest):
    """Before anything of the file is told; in a header, or in a body."""
    path = await path_of(shares, anna, file, password=SECRET)
    refused = [await guest.get(path), await guest.get(f"{path}/content"), await guest.post(path, json={})]
    wrong = await guest.post(path, json={"password": "another word"})
    opened = await guest.post(path, json={"password": SECRET})
    by_header = await guest.get(f"{path}/content", headers={"Share-Password": SECRET})

    assert [(403, "link_password_required")] * 4 == [code_of(answer) for answer in (*refused, wrong)]
    assert not [answer for answer in (*refused, wrong) if "manifest.txt" in answer.text]
    assert CONTENT == (await guest.get(opened.json()["download_url"])).content == by_header.content


async def test_password_is_not_to_be_guessed(world, shares, anna, file, guest):
    """After ten wrong ones from one address even the right one waits; then it is as before."""
    path = await path_of(shares, anna, file, password=SECRET)
    answers = [await guest.post(path, json={"password": f"wrong word {n}"}) for n in range(11)]
    right = await guest.post(path, json={"password": SECRET})
    world.clock.advance(seconds=float(right.headers["retry-after"]))

    assert [403] * 10 + [429] == [answer.status_code for answer in answers]
    assert 429 == right.status_code
    assert 200 == (await guest.post(path, json={"password": SECRET})).status_code


async def test_password_and_secret_are_kept_as_hashes(world, shares, anna, file):
    """Who reads the database opens no link."""
    link = await create(shares, anna, file, password=SECRET)
    kept = repr(await world.product.records.collection(SHARE_LINKS).get("system", link.id))
    token = shares.url_of(link).rpartition("/")[2]

    assert SECRET not in kept
    assert token[26:] not in kept


async def test_browser_gets_a_page(shares, anna, file, guest):
    """Without a script: a button, or a field for the password that leads to the bytes."""
    plain = await guest.get(await path_of(shares, anna, file), headers=HTML)
    path = await path_of(shares, anna, file, password=SECRET)
    asked = await guest.get(path, headers=HTML)
    wrong = await guest.post(path, data={"password": "another word"})
    sent = await guest.post(path, data={"password": SECRET})

    assert "manifest.txt" in plain.text
    assert "/content?visit=" in plain.text
    assert 'type="password"' in asked.text
    assert "manifest.txt" not in asked.text
    assert (403, True) == (wrong.status_code, 'type="password"' in wrong.text)
    assert CONTENT == (await guest.get(sent.headers["location"])).content
    for answer in (plain, asked, wrong):
        assert ("no-store", "no-referrer") == (answer.headers["cache-control"], answer.headers["referrer-policy"])
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_page_of_a_file_with_markup_in_its_name_is_inert(world, shares, anna, guest):
    """Whoever names a file must not run a script at whoever is sent it."""
    await anna.upload(b"x", name="<script>alert(1)</script>.txt")
    (file,) = [one for one in await world.files_of(anna) if "script" in one.name]
    answer = await guest.get(await path_of(shares, anna, file), headers=HTML)

    assert "&lt;script&gt;" in answer.text
    assert "<script" not in answer.text


# ---- who shares


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"expires_at": NOON}, "expires_at"),
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": 1_000_001}, "max_uses"),
        ({"password": "short"}, "password"),
    ],
)
async def test_what_is_not_taken_is_named(shares, anna, file, terms, field):
    """For the form that asked."""
    with pytest.raises(InvalidValue) as caught:
        await create(shares, anna, file, **terms)

    assert (field,) == caught.value.path


async def test_kind_and_file_go_together(shares, anna, file):
    """A link to read needs one, a file request has none."""
    for new in (NewShareLink(ShareLinkKind.DOWNLOAD), NewShareLink(ShareLinkKind.UPLOAD, file_id=FileId(file.id))):
        with pytest.raises(InvalidValue) as caught:
            await shares.create(anna.principal, new, client="test")
        assert ("file_id",) == caught.value.path


async def test_file_in_the_trash_is_not_shared(world, shares, anna, file):
    """It would lead nowhere."""
    await world.product.services.files.delete(anna.principal, [FileId(file.id)])
    with pytest.raises(FileDeleted):
        await create(shares, anna, file)


async def test_others_neither_make_nor_see_nor_end_links(shares, anna, bert, file):
    """Of another tenant they are not there; in the same tenant they are their maker's and the admins'."""
    link = await create(shares, anna, file)
    with pytest.raises(NotFound):
        await create(shares, bert, file)
    with pytest.raises(NotFound):
        await shares.revoke(bert.principal, ShareLinkId(link.id), client="test")
    colleague = Principal(bert.principal.user_id, anna.tenant_id, TenantRole.MEMBER, ALL_SCOPES)
    with pytest.raises(NotFound):
        await shares.get(colleague, ShareLinkId(link.id))
    page = await shares.list_of_tenant(colleague, first=10, after=None)

    assert [] == page.page.items
    assert 0 == await shares.count_of_tenant(colleague)
    assert [link.id] == [
        one.id for one in (await shares.list_of_tenant(anna.principal, first=10, after=None)).page.items
    ]


async def test_scope_is_needed(shares, anna, file):
    """A token that only reads shares nothing."""
    narrow = Principal(anna.principal.user_id, anna.tenant_id, TenantRole.OWNER, ALL_SCOPES - {Scope.FILES_SHARE})
    for new in (NewShareLink(ShareLinkKind.DOWNLOAD, file_id=FileId(file.id)), NewShareLink(ShareLinkKind.UPLOAD)):
        with pytest.raises(PermissionDenied):
            await shares.create(narrow, new, client="test")
        with pytest.raises(Unauthenticated):
            await shares.create(GUEST, new, client="test")


async def test_acts_are_in_the_audit_log(world, shares, anna, file):
    """Who shared what, and who ended it."""
    link = await create(shares, anna, file)
    await shares.revoke(anna.principal, ShareLinkId(link.id), client="test")
    events = world.product.records.collection(AUDIT_EVENTS)
    page = await events.list(anna.tenant_id, order=Order("number"), page=PageRequest(10))

    assert [
        (AuditAction.SHARE_LINK_CREATED, link.id, f"download {file.id}"),
        (AuditAction.SHARE_LINK_REVOKED, link.id, None),
    ] == [(event.action, event.subject_id, event.detail) for event in page.items]


async def test_links_are_listed_newest_first(world, shares, anna, file):
    """A page at a time, of a file and of the tenant."""
    made = []
    for _ in range(3):
        made.append((await create(shares, anna, file)).id)
        world.clock.advance(seconds=1)
    request = (await create(shares, anna)).id
    first = await shares.list_of_file(anna.principal, file, first=2, after=None)
    rest = await shares.list_of_file(anna.principal, file, first=2, after=first.cursor_of(first.page.items[-1]))
    everything = await shares.list_of_tenant(anna.principal, first=10, after=None)

    assert made[::-1] == [link.id for link in (*first.page.items, *rest.page.items)]
    assert [request, *made[::-1]] == [link.id for link in everything.page.items]
    assert (3, 4) == (
        await shares.count_of_file(anna.principal, file),
        await shares.count_of_tenant(anna.principal),
    )


async def test_revoking_wins_over_those_who_use_the_link(world, shares, anna, file, guest):
    """Each use is a change of the record; the end is recorded all the same."""
    link = await create(shares, anna, file)
    path = f"{shares.url_of(link)}/content"
    *_, revoked = await asyncio.gather(
        *(guest.get(path) for _ in range(5)), shares.revoke(anna.principal, ShareLinkId(link.id), client="test")
    )

    assert revoked.revoked_at == NOON
    assert 410 == (await guest.get(path)).status_code
    assert require(anna.principal, Action.MANAGE_LINKS, revoked) == anna.tenant_id
