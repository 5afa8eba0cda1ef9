"""The manifest of a file: a digest for each piece, right, kept, and for who may read the file only."""

import hashlib

import pytest

from domain.manifest import MANIFESTS
from tests.support.product import http_client, sha256
from tests.support.upload_client import TUS

CONTENT = b"0123456789abcdef!"


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("domain.manifest.PIECE_BYTES", 4)


@pytest.fixture
async def path(world, anna) -> str:
    await anna.upload(CONTENT)
    return f"/api/v1/files/{(await world.file_of(anna)).id}"


async def get(caller, path, method="GET", **headers):
    async with caller.http as http:
        return await http.request(method, path, headers={key.replace("_", "-"): v for key, v in headers.items()})


async def kept(world, caller) -> int:
    file = await world.file_of(caller)
    return len(await world.product.records.collection(MANIFESTS).get_many(caller.tenant_id, [file.id]))


async def test_manifest_holds_the_digest_of_each_piece(world, anna, path):
    """Whoever has a range from one border to another can check it without the rest."""
    first = await get(anna, f"{path}/manifest")
    again = await get(anna, f"{path}/manifest")
    file = await world.file_of(anna)
    pieces = [CONTENT[start : start + 4] for start in range(0, len(CONTENT), 4)]

    assert first.status_code == 200
    assert first.json() == {
        "file": file.id,
        "size": 17,
        "etag": file.etag,
        "sha256": sha256(CONTENT),
        "algorithm": "sha-256",
        "piece_size": 4,
        "piece_count": 5,
        "pieces": [sha256(piece) for piece in pieces],
    }
    assert first.content == again.content
    assert await kept(world, anna) == 1


async def test_ranges_are_those_of_the_manifest(anna, path):
    """The point of it: fetch a piece, hold it against its digest."""
    manifest = (await get(anna, f"{path}/manifest")).json()
    size = manifest["piece_size"]
    for number, digest in enumerate(manifest["pieces"]):
        piece = await get(anna, f"{path}/content", Range=f"bytes={number * size}-{(number + 1) * size - 1}")
        assert hashlib.sha256(piece.content).hexdigest() == digest


async def test_manifest_is_computed_once(world, anna, path, monkeypatch):
    """The second time nothing is read: the blob may be in a bucket far away."""
    first = await get(anna, f"{path}/manifest")
    monkeypatch.setattr(world.product.blobs, "open", None)

    assert first.json() == (await get(anna, f"{path}/manifest")).json()


async def test_small_file_needs_no_reading(world, anna, monkeypatch):
    """Its only piece is the whole, whose digest is known."""
    await anna.upload(b"abc")
    file = await world.file_of(anna)
    monkeypatch.setattr(world.product.blobs, "open", None)

    assert [sha256(b"abc")] == (await get(anna, f"/api/v1/files/{file.id}/manifest")).json()["pieces"]


async def test_file_without_bytes_has_no_pieces(world, anna):
    """And still a manifest."""
    await anna.upload(b"")
    file = await world.file_of(anna)
    answer = (await get(anna, f"/api/v1/files/{file.id}/manifest")).json()

    assert ([], 0, 0) == (answer["pieces"], answer["piece_count"], answer["size"])


async def test_known_manifest_is_not_sent_again(anna, path):
    """RFC 9110, 13.1.2; and HEAD tells the same field."""
    etag = (await get(anna, f"{path}/manifest", "HEAD")).headers["etag"]
    answer = await get(anna, f"{path}/manifest", If_None_Match=etag)

    assert (304, b"") == (answer.status_code, answer.content)


async def test_manifest_is_for_who_may_read_the_file(world, anna, bert, path):
    """A digest tells whether somebody has a file: it is as private as the bytes."""
    file = await world.file_of(anna)
    link = await world.download_path(anna, file.id)
    guest = http_client(world.app)
    async with guest:
        stranger = await guest.get(f"{path}/manifest")
        holder = await guest.get(link.replace("/content?", "/manifest?"))

    assert 401 == stranger.status_code
    assert 404 == (await get(bert, f"{path}/manifest")).status_code
    assert 200 == holder.status_code


async def test_manifest_goes_with_its_file(world, anna, path):
    """Nothing of a file stays behind."""
    await get(anna, f"{path}/manifest")
    file = await world.file_of(anna)
    await world.product.services.files.delete(anna.principal, [file.id])
    world.clock.advance(seconds=400 * 86400)
    while await world.product.maintenance.run_once():
        pass

    found = await world.product.records.collection(MANIFESTS).get_many(anna.tenant_id, [file.id])
    assert found == {}


async def test_broken_blob_is_told_before_a_manifest_is_promised(world, anna, path):
    """Half a manifest would be taken for one."""
    await world.product.blobs.delete((await world.file_of(anna)).key)

    assert 404 == (await get(anna, f"{path}/manifest")).status_code


async def test_unfinished_upload_has_no_manifest(world, anna, path):
    """An upload is not a file."""
    upload = await anna.tus.create(10)
    assert (await anna.tus.send("HEAD", upload, TUS)).status == 200

    assert 404 == (await get(anna, f"/api/v1{upload}/manifest")).status_code
