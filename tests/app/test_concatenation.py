"""tus 1.0, concatenation: partial uploads are joined, once, in order, and are nobody's files before."""

from dataclasses import replace

from domain.upload import UPLOADS
from services.maintenance import Retention
from tests.support.product import body
from tests.support.upload_client import TUS

PARTIAL = {"Upload_Concat": "partial"}


async def final_of(caller, *paths, **headers):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return await caller.tus.send("POST", "/files/", {**TUS, "Upload-Concat": "final;" + " ".join(paths), **fields})


async def partial(caller, content: bytes) -> str:
    path = await caller.tus.create(len(content), **PARTIAL)
    assert (await caller.tus.patch(path, 0, content)).status == 204
    return path


async def test_partial_uploads_are_joined_in_the_order_named(world, anna):
    """The file has the bytes of all, one after the other; the partial uploads are gone and give their room back."""
    second, first = await partial(anna, b"world"), await partial(anna, b"hello ")
    assert await world.files_of(anna) == []
    answer = await final_of(anna, f"http://test{first}", second, Upload_Metadata="filename YS50eHQ=")
    file = await world.file_of(anna)
    head = await anna.tus.send("HEAD", answer.headers["location"], TUS)

    assert answer.status == 201
    assert (file.name, file.size) == ("a.txt", 11)
    assert await world.content_of(file) == b"hello world"
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == ("11", "11")
    assert f"final;http://test{first} {second}" == head.headers["upload-concat"]
    assert (await anna.tus.send("HEAD", first, TUS)).status == 410
    usage = await world.usage_of(anna)
    assert (usage.file_count, usage.bytes_total, usage.bytes_in_flight) == (1, 11, 0)


async def test_unfinished_members_are_waited_for(world, anna):
    """concatenation-unfinished: the final upload may be asked for while its parts are still coming."""
    first = await anna.tus.create(3, **PARTIAL)
    answer = await final_of(anna, first, await partial(anna, b"def"))
    waiting = await anna.tus.send("HEAD", answer.headers["location"], TUS)
    assert await world.files_of(anna) == []
    await anna.tus.patch(first, 0, b"abc")

    assert "upload-offset" not in waiting.headers
    assert "6" == waiting.headers["upload-length"]
    assert await world.content_of(await world.file_of(anna)) == b"abcdef"


async def test_asking_twice_gives_one_file(world, anna):
    """The answer to the first request may have been lost."""
    members = await partial(anna, b"abc"), await partial(anna, b"def")
    first, again = await final_of(anna, *members), await final_of(anna, *members)

    assert (first.status, again.status) == (201, 201)
    assert first.headers["location"] == again.headers["location"]
    assert len(await world.files_of(anna)) == 1


async def test_wrong_members_are_refused(world, anna, bert):
    """Another tenant's, one that is no part, one named twice, one that was never there: 400, and nothing is made."""
    mine, whole = await partial(anna, b"abc"), await anna.tus.create(3)
    before = await world.uploads_of(anna)
    wrong = {
        "another tenant's": (mine, await partial(bert, b"x")),
        "no partial one": (mine, whole),
        "twice": (mine, mine),
        "unknown": (mine, "/files/upload_00000000000000000000000000"),
    }
    answers = {name: (await final_of(anna, *members)).status for name, members in wrong.items()}

    assert dict.fromkeys(wrong, 400) == answers
    assert before == await world.uploads_of(anna)


async def test_final_upload_takes_no_bytes(world, anna):
    """tus 1.0: "MUST respond with the 403 Forbidden status to PATCH requests against a final upload URL"."""
    first = await anna.tus.create(3, **PARTIAL)
    answer = await final_of(anna, first)
    refused = await anna.tus.patch(answer.headers["location"], 0, b"abc")

    assert (refused.status, refused.read) == (403, 0)


async def test_joining_is_carried_on_by_maintenance(world, anna):
    """The process may go between the request and the file."""
    first = await anna.tus.create(3, **PARTIAL)
    await final_of(anna, first)
    upload = await world.upload_of(anna, first.rpartition("/")[2])
    stored = await world.product.blobs.append(upload.writer, body(b"abc").chunks(limit=3))
    uploads = world.product.records.collection(UPLOADS)
    await uploads.save(replace(upload, writer=stored), expected_revision=upload.revision)
    world.clock.advance(seconds=Retention().grace.total_seconds() + 1)
    await world.product.maintenance.run_once()

    assert await world.content_of(await world.file_of(anna)) == b"abc"


async def test_empty_partial_upload_is_no_file(world, anna):
    """It has all its bytes at once, and waits for its final upload like any other."""
    empty = await anna.tus.send("POST", "/files/", {**TUS, "Upload-Length": "0", "Upload-Concat": "partial"}, b"")
    path = empty.headers["location"]

    assert 0 == await anna.tus.offset(path)
    assert [] == await world.files_of(anna)
    answer = await final_of(anna, path, await partial(anna, b"hello"))
    assert 201 == answer.status
    assert b"hello" == await world.content_of(await world.file_of(anna))


async def test_types_are_judged_by_the_whole_file(world, anna):
    """The middle of a picture looks like nothing; only the final upload has a beginning."""
    await world.limit(anna, content_types=("image/png",))
    picture = b"\x89PNG\r\n\x1a\n" + b"middle and end"
    parts = [await partial(anna, picture[:5]), await partial(anna, picture[5:])]

    assert 201 == (await final_of(anna, *parts)).status
    assert "image/png" == (await world.file_of(anna)).content_type


async def test_types_that_are_not_taken_cannot_be_joined(world, anna):
    """Nothing of it stays, and its room comes back."""
    await world.limit(anna, content_types=("image/png",))
    final = await final_of(anna, await partial(anna, b"hello"), await partial(anna, b"world"))
    head = await anna.tus.send("HEAD", final.headers["location"], TUS)
    world.clock.advance(seconds=8 * 86400)
    await world.product.maintenance.run_once()
    usage = await world.usage_of(anna)

    assert 410 == head.status
    assert [] == await world.files_of(anna)
    assert (0, 0) == (usage.bytes_total, usage.bytes_in_flight)
