"""The IETF's resumable uploads through the whole app: the same uploads, told to be over in another way."""

import pytest

from tests.support.product import sha256
from tests.support.upload_client import DISCONNECT, part

V10 = {"Upload-Draft-Interop-Version": "10"}
BYTES = {"Content-Type": "application/partial-upload"}
LAST, MORE = {"Upload-Complete": "?1"}, {"Upload-Complete": "?0"}
CHUNKED = {"Transfer-Encoding": "chunked"}


async def head(caller, path: str) -> tuple[str, str]:
    """Ask where an upload stands: offset and whether it is complete."""
    answer = await caller.tus.send("HEAD", path, V10)
    assert answer.status == 204, answer
    return answer.headers["upload-offset"], answer.headers["upload-complete"]


async def check_file(world, content: bytes) -> None:
    file = await world.file_of(world.anna)
    usage = await world.usage_of(world.anna)
    assert content == await world.content_of(file)
    assert sha256(content) == file.sha256
    assert (1, len(content), 0) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)


async def create(caller, headers: dict[str, str], *messages, body: bytes | None = None):
    fields = V10 | headers
    if messages:
        wire, task = caller.tus.open("POST", "/files/", fields)
        wire.push(*messages)
        await task
        return wire
    return await caller.tus.send("POST", "/files/", fields, body)


async def test_whole_file_in_one_request(world, anna):
    """With its length, or in chunks whose end is the file's."""
    answer = await create(anna, LAST, body=b"hello")

    assert 200 <= answer.status < 300
    assert "?1" == answer.headers["upload-complete"]
    await check_file(world, b"hello")


async def test_chunked_file_in_one_request(world, anna):
    """Only the end tells how long it is; the room that it takes is counted then."""
    wire = await create(anna, LAST | CHUNKED, part(b"hel", more=True), part(b"lo"))

    assert 200 <= wire.response.status < 300
    await check_file(world, b"hello")


async def test_chunked_request_that_is_cut_is_never_complete(world, anna):
    """Even if it said that it would be: the rest comes by another request."""
    begun = await create(anna, MORE, body=b"")
    path = begun.headers["location"]
    wire, task = anna.tus.open("PATCH", path, V10 | BYTES | LAST | CHUNKED | {"Upload-Offset": "0"})
    wire.push(part(b"hello", more=True), DISCONNECT)
    await task
    assert ("5", "?0") == await head(anna, path)
    assert [] == await world.files_of(anna)
    answer = await anna.tus.send("PATCH", path, V10 | BYTES | LAST | {"Upload-Offset": "5"}, b" world")

    assert 200 <= answer.status < 300
    await check_file(world, b"hello world")


async def test_request_of_known_length_that_is_cut_keeps_its_length(world, anna):
    """What it would have been is what the upload will be."""
    path = (await create(anna, MORE, body=b"")).headers["location"]
    fields = V10 | BYTES | LAST | {"Upload-Offset": "0", "Content-Length": "11"}
    wire, task = anna.tus.open("PATCH", path, fields)
    wire.push(part(b"hello", more=True), DISCONNECT)
    await task
    wrong = await anna.tus.send("PATCH", path, V10 | BYTES | LAST | {"Upload-Offset": "5"}, b" world and more")
    right = await anna.tus.send("PATCH", path, V10 | BYTES | LAST | {"Upload-Offset": "5"}, b" world")

    assert 400 <= wrong.status < 500
    assert 200 <= right.status < 300
    await check_file(world, b"hello world")


async def test_end_may_come_without_bytes(world, anna):
    """A client that did not know that it was done says so afterwards."""
    path = (await create(anna, MORE, body=b"hello")).headers["location"]
    assert ("5", "?0") == await head(anna, path)
    answer = await anna.tus.send("PATCH", path, V10 | BYTES | LAST | {"Upload-Offset": "5"}, b"")

    assert 200 <= answer.status < 300
    await check_file(world, b"hello")


async def test_empty_file(world, anna):
    """Nothing, and complete."""
    answer = await create(anna, LAST, body=b"")

    assert 200 <= answer.status < 300
    await check_file(world, b"")


async def test_wrong_offset_tells_the_right_one(world, anna):
    """409, and nothing is changed."""
    path = (await create(anna, MORE, body=b"hello")).headers["location"]
    answer = await anna.tus.send("PATCH", path, V10 | BYTES | LAST | {"Upload-Offset": "3"}, b"x")

    assert (409, "5", 0) == (answer.status, answer.headers["upload-offset"], answer.read)
    assert ("5", "?0") == await head(anna, path)


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
async def test_other_tenants_upload_looks_like_none(world, anna, bert, method):
    """In this protocol too, and before a byte is read."""
    path = (await create(anna, MORE, body=b"hello")).headers["location"]
    answer = await bert.tus.send(method, path, V10 | BYTES | LAST | {"Upload-Offset": "5"}, b"x")

    assert (404, 0) == (answer.status, answer.read)
    assert ("5", "?0") == await head(anna, path)


async def test_one_protocol_goes_on_where_the_other_stopped(world, anna):
    """An upload belongs to no protocol."""
    path = (await create(anna, MORE | {"Upload-Length": "11"}, body=b"hello")).headers["location"]

    assert 204 == (await anna.tus.patch(path, 5, b" world")).status
    await check_file(world, b"hello world")
