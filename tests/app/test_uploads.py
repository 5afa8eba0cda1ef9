"""Uploads through the whole app: who may, what is refused before a byte is read, and what a refusal leaves behind."""

import pytest

from tests.support.product import sha256, tus_client
from tests.support.upload_client import BYTES, DISCONNECT, TUS, part

UNKNOWN = "/files/upload_00000000000000000000000000"
WITH_BYTES = {**TUS, **BYTES, "Upload-Length": "5", "Upload-Offset": "0"}
METHODS = ["POST", "HEAD", "PATCH", "DELETE"]


async def test_upload_arrives_in_two_pieces_and_is_downloaded(world, anna):
    """The main way through: create, append twice, find the file, read it back."""
    path = await anna.tus.create(10, Upload_Metadata="filename YS50eHQ=")
    assert (await anna.tus.patch(path, 0, b"hello")).status == 204
    assert (await anna.tus.patch(path, 5, b"world")).status == 204
    file = await world.file_of(anna)
    async with anna.http as http:
        answer = await http.get(f"/api/v1/files/{file.id}/content")

    assert (answer.status_code, answer.content) == (200, b"helloworld")
    assert (sha256(b"helloworld"), "a.txt", "text/plain") == (file.sha256, file.name, file.content_type)
    assert file.key.startswith("anna@example.org/")  # R000_18


# ---- refused before the first byte


@pytest.mark.parametrize("method", METHODS)
async def test_missing_token_is_refused_before_the_body_is_read(world, anna, method):
    """A stranger's bytes are never touched."""
    path = "/files/" if method == "POST" else await anna.tus.create(5)
    before = await world.uploads_of(anna)
    answer = await tus_client(world.app).send(method, path, WITH_BYTES, b"hello")

    assert (answer.status, answer.read) == (401, 0)
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert before == await world.uploads_of(anna)


@pytest.mark.parametrize("method", METHODS)
async def test_bad_token_is_refused_before_the_body_is_read(world, anna, method):
    """A token that is no good is no better than none."""
    path = "/files/" if method == "POST" else await anna.tus.create(5)
    answer = await tus_client(world.app, "not.a.token").send(method, path, WITH_BYTES, b"hello")

    assert (answer.status, answer.read) == (401, 0)
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
async def test_other_tenants_upload_looks_like_none(world, anna, bert, method):
    """Not yours and not there are the same answer, to the byte."""
    path = await anna.tus.create(5)
    before = await world.uploads_of(anna)
    theirs = await bert.tus.send(method, path, WITH_BYTES, b"hello")
    missing = await bert.tus.send(method, UNKNOWN, WITH_BYTES, b"hello")

    assert (theirs.status, theirs.read) == (404, 0)
    assert _without_id(theirs) == _without_id(missing)
    assert before == await world.uploads_of(anna)


def _without_id(answer):
    request_id = answer.headers["x-request-id"]
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status, headers, answer.body.replace(request_id.encode(), b"ID")


REFUSED = {
    "wrong offset": ({"Upload-Offset": "3"}, 409, "offset_mismatch"),
    "wrong type": ({"Content-Type": "text/plain"}, 415, "media_type_unsupported"),
    "over length": ({"Content-Length": "6"}, 413, "length_exceeded"),
    "negative offset": ({"Upload-Offset": "-1"}, 400, "invalid_value"),
    "no number": ({"Upload-Offset": "1_0"}, 400, "invalid_value"),
    "another length": ({"Upload-Length": "7"}, 400, "length_mismatch"),
    "another version": ({"Tus-Resumable": "0.2.2"}, 412, "version_unsupported"),
    "unknown checksum": ({"Upload-Checksum": "md6 AAAA"}, 400, "checksum_algorithm_unsupported"),
}


@pytest.mark.parametrize(("headers", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_append_is_refused_unread_and_changes_nothing(world, anna, headers, status, code):
    """What the head decides costs no byte; the answer says what to do."""
    path = await anna.tus.create(5)
    before = await world.uploads_of(anna)
    fields = {**TUS, **BYTES, "Upload-Offset": "0", "Content-Length": "5", **headers}
    answer = await anna.tus.send("PATCH", path, fields, messages=[part(b"hello")])

    assert (status, code, 0) == (answer.status, answer.problem["code"], answer.read)
    assert answer.problem["hint"]
    assert before == await world.uploads_of(anna)


BAD_CREATIONS = {
    "bad base64": ({"Upload-Metadata": "filename !!"}, 400),
    "key twice": ({"Upload-Metadata": "a YQ==,a YQ=="}, 400),
    "not text": ({"Upload-Metadata": "filename /w=="}, 400),
    "empty name": ({"Upload-Metadata": "filename IA=="}, 400),
    "bad digest": ({"Upload-Metadata": "sha256 YWJj"}, 400),
    "no length": ({"Upload-Length": ""}, 400),
    "huge length": ({"Upload-Length": "9223372036854775808"}, 413),
}


@pytest.mark.parametrize(("headers", "status"), BAD_CREATIONS.values(), ids=BAD_CREATIONS)
async def test_creation_is_refused_and_leaves_nothing(world, anna, headers, status):
    """A creation that cannot be right makes no upload and holds no room."""
    usage = await world.usage_of(anna)
    answer = await anna.tus.send("POST", "/files/", {**TUS, "Upload-Length": "5", **headers}, b"")

    assert status == answer.status
    assert answer.problem["hint"]
    assert await world.uploads_of(anna) == []
    assert usage == await world.usage_of(anna)


# ---- cut off


async def test_bytes_before_a_disconnect_are_kept(world, anna):
    """A client that goes away in mid-body finds every byte that came."""
    path = await anna.tus.create(10)
    wire, task = anna.tus.open("PATCH", path, {**TUS, **BYTES, "Upload-Offset": "0", "Content-Length": "10"})
    wire.push(part(b"hel", more=True), part(b"lo", more=True), DISCONNECT)
    await task

    assert await anna.tus.offset(path) == 5
    assert (await anna.tus.patch(path, 5, b"world")).status == 204
    assert await world.content_of(await world.file_of(anna)) == b"helloworld"


async def test_chunked_body_that_is_cut_never_completes_more_than_it_has(world, anna):
    """Without a length only the end tells; a cut is no end."""
    path = await anna.tus.create(10)
    wire, task = anna.tus.open("PATCH", path, {**TUS, **BYTES, "Upload-Offset": "0", "Transfer-Encoding": "chunked"})
    wire.push(part(b"hello", more=True), DISCONNECT)
    await task

    assert await anna.tus.offset(path) == 5
    assert await world.files_of(anna) == []


async def test_chunked_body_that_is_too_long_keeps_what_was_there(world, anna):
    """More than the length is refused as soon as it is seen, and nothing of the request stays."""
    path = await anna.tus.create(5)
    await anna.tus.patch(path, 0, b"he")
    fields = {**TUS, **BYTES, "Upload-Offset": "2", "Transfer-Encoding": "chunked"}
    answer = await anna.tus.send("PATCH", path, fields, messages=[part(b"l", more=True), part(b"lo and more")])

    assert (answer.status, answer.problem["code"]) == (413, "length_exceeded")
    assert await anna.tus.offset(path) == 2


async def test_checksum_mismatch_keeps_nothing(world, anna):
    """tus: "460 Checksum Mismatch"; the same chunk sent again goes in."""
    path = await anna.tus.create(5)
    wrong = await anna.tus.patch(path, 0, b"hello", Upload_Checksum="sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    right = await anna.tus.patch(path, 0, b"hello", Upload_Checksum="sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=")

    assert (wrong.status, right.status) == (460, 204)
    assert sha256(b"hello") == (await world.file_of(anna)).sha256


# ---- creation with upload


async def test_creation_with_upload_makes_the_file_at_once(world, anna):
    """One request, one file, one event's worth of usage."""
    answer = await anna.upload(b"hello")
    usage = await world.usage_of(anna)

    assert answer.headers["upload-offset"] == "5"
    assert await world.content_of(await world.file_of(anna)) == b"hello"
    assert (usage.file_count, usage.bytes_total, usage.bytes_in_flight) == (1, 5, 0)


async def test_empty_upload_is_complete_as_soon_as_it_is_made(world, anna):
    """No byte is missing, so nothing need follow."""
    path = await anna.tus.create(0)

    assert await anna.tus.offset(path) == 0
    assert (0, sha256(b"")) == ((file := await world.file_of(anna)).size, file.sha256)


REFUSED_WITH_BODY = {
    "more than its length": ({"Upload-Length": "3"}, 413),
    "wrong checksum": ({"Upload-Checksum": "sha1 AAAAAAAAAAAAAAAAAAAAAAAAAAA="}, 460),
    "wrong digest": ({"Upload-Metadata": "sha256 " + "YWFhYWFhYWFhYWFhYWFh" * 4 + "YWFhYQ=="}, 460),
    "wrong type": ({"Content-Type": "text/plain"}, 415),
}


@pytest.mark.parametrize(("headers", "status"), REFUSED_WITH_BODY.values(), ids=REFUSED_WITH_BODY)
async def test_refused_creation_with_upload_holds_no_room(world, anna, headers, status):
    """The client is not told where the upload is, so nobody could continue it: it must not cost the tenant room."""
    fields = {**TUS, **BYTES, "Upload-Length": "5", **headers}
    answer = await anna.tus.send("POST", "/files/", fields, b"hello")
    usage = await world.usage_of(anna)

    assert status == answer.status
    assert (usage.file_count, usage.bytes_total, usage.bytes_in_flight) == (0, 0, 0)
    assert not any(upload.status.is_open for upload in await world.uploads_of(anna))


# ---- termination


async def test_termination_gives_the_room_back(world, anna):
    """410 afterwards: it was there, and is gone for good."""
    path = await anna.tus.create(10)
    await anna.tus.patch(path, 0, b"hello")
    ended = await anna.tus.send("DELETE", path, TUS)
    usage = await world.usage_of(anna)

    assert ended.status == 204
    assert (usage.bytes_total, usage.bytes_in_flight) == (0, 0)
    assert (await anna.tus.send("HEAD", path, TUS)).status == 410
    assert (await anna.tus.patch(path, 5, b"world")).status == 410
    assert (await anna.tus.send("DELETE", path, TUS)).status == 410


# ---- limits of the tenant


async def test_quota_is_refused_when_the_upload_begins(world, anna):
    """Room is reserved for what is promised, not for what has come."""
    await world.limit(anna, stored_bytes_max=10)
    await anna.tus.create(6)
    answer = await anna.tus.send("POST", "/files/", {**TUS, "Upload-Length": "5"}, b"")

    assert (answer.status, answer.problem["code"]) == (413, "quota_exceeded")
    assert (await world.usage_of(anna)).bytes_in_flight == 6


async def test_quota_holds_for_an_upload_of_unknown_length(world, anna):
    """Bytes count as they come; those past the limit are not acknowledged."""
    await world.limit(anna, stored_bytes_max=7)
    answer = await anna.tus.send("POST", "/files/", {**TUS, "Upload-Defer-Length": "1"}, b"")
    path = answer.headers["location"]
    first, second = await anna.tus.patch(path, 0, b"hello"), await anna.tus.patch(path, 5, b"world")

    assert (first.status, second.status) == (204, 413)
    assert second.problem["code"] == "quota_exceeded"
    assert await anna.tus.offset(path) == 5
    assert (await world.usage_of(anna)).bytes_total == 5


async def test_deferred_length_is_declared_with_the_last_patch(world, anna):
    """tus: creation-defer-length."""
    path = (await anna.tus.send("POST", "/files/", {**TUS, "Upload-Defer-Length": "1"}, b"")).headers["location"]
    await anna.tus.patch(path, 0, b"hello")
    await anna.tus.patch(path, 5, b"world", Upload_Length="10")
    usage = await world.usage_of(anna)

    assert await world.content_of(await world.file_of(anna)) == b"helloworld"
    assert (usage.file_count, usage.bytes_total, usage.bytes_in_flight) == (1, 10, 0)


PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


async def test_type_that_is_not_taken_is_refused(world, anna):
    """What counts is what the bytes are, not what the client calls them."""
    await world.limit(anna, content_types=("image/*",))
    path = await anna.tus.create(5, Upload_Metadata="filetype aW1hZ2UvcG5n")
    answer = await anna.tus.patch(path, 0, b"hello")

    assert (answer.status, answer.problem["code"]) == (415, "content_type_not_allowed")
    assert await anna.tus.offset(path) == 0


async def test_type_is_not_judged_by_a_beginning_that_was_cut(world, anna):
    """The first bytes of a picture alone are no picture yet; a cut must not cost them."""
    await world.limit(anna, content_types=("image/*",))
    path = await anna.tus.create(len(PNG), Upload_Metadata="filetype aW1hZ2UvcG5n")
    wire, task = anna.tus.open("PATCH", path, {**TUS, **BYTES, "Upload-Offset": "0", "Content-Length": "28"})
    wire.push(part(PNG[:3], more=True), DISCONNECT)
    await task

    assert await anna.tus.offset(path) == 3
    assert (await anna.tus.patch(path, 3, PNG[3:])).status == 204
    assert (await world.file_of(anna)).content_type == "image/png"


async def test_type_cannot_be_smuggled_in_by_small_pieces(world, anna):
    """An upload whose beginning came in pieces is held to the tenant's types when it is whole."""
    await world.limit(anna, content_types=("text/*",))
    path = await anna.tus.create(len(PNG), Upload_Metadata="filetype dGV4dC9wbGFpbg==")
    await anna.tus.patch(path, 0, PNG[:2])
    answer = await anna.tus.patch(path, 2, PNG[2:])
    usage = await world.usage_of(anna)

    assert (answer.status, answer.problem["code"]) == (415, "content_type_not_allowed")
    assert await world.files_of(anna) == []
    assert (usage.bytes_total, usage.bytes_in_flight) == (0, 0)
    assert (await anna.tus.send("HEAD", path, TUS)).status == 410


async def test_termination_of_a_finished_upload_puts_its_file_into_the_trash(world, anna):
    """tus 1.0, termination: "MUST respond with the 204 No Content status", and what is gone stays gone."""
    answer = await anna.upload(b"hello")
    path = answer.headers["location"]
    ended = await anna.tus.send("DELETE", path, TUS)
    again = await anna.tus.send("DELETE", path, TUS)

    assert (204, 410) == (ended.status, again.status)
    file = await world.file_of(anna)
    assert file.deleted_at == world.clock.now()
    assert b"hello" == await world.content_of(file)
