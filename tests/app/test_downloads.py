"""Contents over HTTP: ranges and conditions, names, digests, and links that carry their own right."""

import base64
import hashlib
from urllib.parse import unquote

import pytest

from domain.ids import uuid_of
from tests.support.product import http_client

CONTENT = b"0123456789"


@pytest.fixture
async def path(world, anna) -> str:
    await anna.upload(CONTENT)
    return f"/api/v1/files/{(await world.file_of(anna)).id}/content"


async def get(caller, path, method="GET", **headers):
    async with caller.http as http:
        return await http.request(method, path, headers={key.replace("_", "-"): v for key, v in headers.items()})


async def test_content_comes_whole_with_its_digest(world, anna, path):
    """RFC 9530: the client can hold what it got against what was stored."""
    answer = await get(anna, path)
    digest = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()

    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, CONTENT, "10")
    assert f"sha-256=:{digest}:" == answer.headers["repr-digest"]
    assert f'"{(await world.file_of(anna)).etag}"' == answer.headers["etag"]
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(("wanted", "is_there"), [("sha-256=5", True), ("sha-512=5", False), ("sha-256=0", False)])
async def test_digest_of_the_whole_is_left_out_where_unwanted(anna, path, wanted, is_there):
    """RFC 9530, 4: Want-Repr-Digest."""
    assert is_there is ("repr-digest" in (await get(anna, path, Want_Repr_Digest=wanted)).headers)


@pytest.mark.parametrize(
    ("header", "content"), [("bytes=3-5", b"345"), ("bytes=0-", CONTENT), ("bytes=9-", b"9"), (None, CONTENT)]
)
async def test_range_brings_its_own_digest_where_wanted(anna, path, header, content):
    """RFC 9530, 2: Content-Digest is of the bytes that are sent, Repr-Digest of the whole file."""
    fields = {"Want_Content_Digest": "sha-256=1"} | ({"Range": header} if header else {})
    answer = await get(anna, path, **fields)
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()

    assert (f"sha-256=:{digest}:", content) == (answer.headers["content-digest"], answer.content)
    assert answer.status_code == (206 if header else 200)
    assert "repr-digest" in answer.headers
    assert "content-digest" not in (await get(anna, path, Range="bytes=3-5")).headers


async def test_large_range_brings_no_digest(anna, path, monkeypatch):
    """It would have to be held, or read twice; the manifest is for that."""
    monkeypatch.setattr("rest.contents.CONTENT_DIGEST_BYTES_MAX", 2)
    answer = await get(anna, path, Range="bytes=3-5", Want_Content_Digest="sha-256=1")

    assert (206, b"345") == (answer.status_code, answer.content)
    assert "content-digest" not in answer.headers


RANGES = {
    "bytes=0-0": (206, b"0", "bytes 0-0/10"),
    "bytes=3-5": (206, b"345", "bytes 3-5/10"),
    "bytes=7-": (206, b"789", "bytes 7-9/10"),
    "bytes=7-99": (206, b"789", "bytes 7-9/10"),
    "bytes=-3": (206, b"789", "bytes 7-9/10"),
    "bytes=-99": (206, CONTENT, "bytes 0-9/10"),
    "bytes=10-": (416, None, "bytes */10"),
    "bytes=-0": (416, None, "bytes */10"),
    "bytes=5-3": (200, CONTENT, None),
    "bytes=0-1,3-4": (200, CONTENT, None),
    "bytes=-": (200, CONTENT, None),
    "lines=1-2": (200, CONTENT, None),
    "bytes=+1-2": (200, CONTENT, None),
}


@pytest.mark.parametrize(("header", "expected"), RANGES.items(), ids=RANGES)
async def test_range_gives_the_bytes_it_names(anna, path, header, expected):
    """RFC 9110, 14: what cannot be read is ignored, what lies outside is 416."""
    status, content, content_range = expected
    answer = await get(anna, path, Range=header)

    assert (status, content_range) == (answer.status_code, answer.headers.get("content-range"))
    assert content is None or content == answer.content


async def test_range_goes_with_the_content_it_was_made_for(anna, path):
    """If-Range: another content is sent whole, so that no client glues two files together."""
    etag = (await get(anna, path)).headers["etag"]

    assert (await get(anna, path, Range="bytes=0-1", If_Range=etag)).status_code == 206
    assert (await get(anna, path, Range="bytes=0-1", If_Range='"another"')).status_code == 200
    assert (await get(anna, path, Range="bytes=0-1", If_Range=f"W/{etag}")).status_code == 200


async def test_content_that_is_known_is_not_sent_again(anna, path):
    """If-None-Match compares weakly, and * is any."""
    etag = (await get(anna, path)).headers["etag"]
    answers = [await get(anna, path, If_None_Match=tag) for tag in (etag, f'"x", W/{etag}', "*")]

    assert [(answer.status_code, answer.content) for answer in answers] == [(304, b"")] * 3
    assert (await get(anna, path, If_None_Match='"x"')).status_code == 200


async def test_head_tells_the_whole_and_sends_nothing(anna, path):
    """RFC 9110, 14.2: a Range is for GET alone."""
    answer = await get(anna, path, method="HEAD", Range="bytes=0-1")

    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "10", b"")
    assert "content-range" not in answer.headers


NAMES = {
    "plain": "report.csv",
    "quotes": 'a"b\\c.txt',
    "path": "../../etc/passwd",
    "line": "a\r\nSet-Cookie: x=1.txt",
    "emoji": "🦆 größe.txt",
    "right to left": "\u202etxt.exe",
    "percent": "100%.txt",
    "trailing": "name. ",
    "decomposed": "e\u0301.txt",
    "question": "?#&.txt",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
async def test_original_name_comes_back_R000_19(world, anna, name):
    """The key is made safe, the name is not lost, and no name breaks out of its header."""
    await anna.upload(CONTENT, name=name)
    file = await world.file_of(anna)
    answer = await get(anna, f"/api/v1/files/{file.id}/content")
    plain, _, extended = answer.headers["content-disposition"].partition("; filename*=UTF-8''")

    assert name == unquote(extended)
    assert plain.startswith('attachment; filename="')
    assert plain.isascii()
    assert plain.count('"') == 2
    assert "set-cookie" not in answer.headers


async def test_pages_are_never_shown_on_this_origin(world, anna):
    """A script in an uploaded page would run with the rights of whoever looks at it."""
    await anna.upload(b"<script>alert(1)</script>", name="a.html")
    link = await world.download_path(anna, (await world.file_of(anna)).id, inline=True)
    answer = await get(anna, link)

    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


# ---- links


async def test_link_lets_whoever_holds_it_read(world, anna, path):
    """Also without a log-in: that is what it is for."""
    link = await world.download_path(anna, path.split("/")[4])
    async with http_client(world.app) as http:
        answer = await http.get(link)

    assert (answer.status_code, answer.content) == (200, CONTENT)


async def test_link_ends_with_its_time(world, anna, path):
    """To the second; and no log-in helps."""
    link = await world.download_path(anna, path.split("/")[4], ttl_seconds=60)
    world.clock.advance(seconds=59)
    before = await get(anna, link)
    world.clock.advance(seconds=1)
    after = await get(anna, link)

    assert (before.status_code, after.status_code) == (200, 403)
    assert CONTENT not in after.content


async def test_tampered_link_is_refused_R000_24(world, anna, path):
    """Any change of it, or another file's id in front of it, makes it worth nothing."""
    link = await world.download_path(anna, path.split("/")[4])
    await anna.upload(b"another")
    other = (await world.files_of(anna))[1]
    base, _, token = link.partition("?token=")
    head, claims, signature = token.split(".")
    tampered = [
        f"{base}?token={head}.{claims}.{signature[:-4]}AAAA",
        f"{base}?token={head}.{claims[:-4]}AAAA.{signature}",
        f"{base}?token={head}.{claims}.",
        f"{base}?token=x",
        f"{base}?token=",
        f"{base}?token={anna.session.access_token}",
    ]
    async with http_client(world.app) as http:
        statuses = [(await http.get(one)).status_code for one in tampered]
        elsewhere = await http.get(f"/api/v1/files/{other.id}/content?token={token}")

    assert [403] * len(tampered) == statuses
    assert elsewhere.status_code == 404


async def test_link_of_a_deleted_file_leads_nowhere(world, anna, path):
    """The trash is not public."""
    link = await world.download_path(anna, path.split("/")[4])
    await world.product.services.files.delete(anna.principal, [path.split("/")[4]])

    assert (await get(anna, link)).status_code == 404
    assert (await get(anna, path)).status_code == 404


async def test_lost_blob_is_told_before_bytes_are_promised(world, anna, path):
    """Somebody removed the file behind our back: 404 and no half answer."""
    await world.product.blobs.delete((await world.file_of(anna)).key)
    answer = await get(anna, path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_file_is_found_by_either_form_of_its_id(world, anna, path):
    """REST clients know UUIDs."""
    file = await world.file_of(anna)

    assert (await get(anna, f"/api/v1/files/{uuid_of(file.id)}/content")).content == CONTENT


@pytest.mark.parametrize("wrong", ["x", "..", "%2e%2e", "file_1", "0", "file_" + "z" * 26, "%00"])
async def test_id_that_is_none_finds_nothing_R000_24(anna, path, wrong):
    """Nothing but an id reaches a store."""
    assert (await get(anna, f"/api/v1/files/{wrong}/content")).status_code == 404
