"""The calls of the map stock, as its README has them."""

import re

from services.processing import Outcome
from tests.app.rest.conftest import post_file
from tests.support.product import http_client

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def ask(caller, method, path, **options):
    async with caller.http as http:
        return await http.request(method, path, **options)


async def upload(caller, **fields):
    return await post_file(caller, b"here be dragons", name="file.txt", path="/api/v1/maps", **fields)


async def process(world):
    processor = world.product.processing.processor
    job, _ = await processor.receive()
    await processor.acknowledge(job, job.lease_id, Outcome({}))


async def test_map_from_upload_to_guests_R001_9_R001_10_R001_11_R001_12_R001_13_R001_18_R001_19(world, anna, bert):
    """201 with a uuid; 409 until it is processed; then for everybody who knows the id."""
    made = await upload(anna)
    path = made.headers["location"]
    early = await ask(anna, "GET", path)
    await process(world)
    mine, theirs = await ask(anna, "GET", path), await ask(bert, "GET", path)
    async with http_client(world.app) as guest:
        without = await guest.get(path)

    assert made.status_code == 201
    assert UUID.fullmatch(made.json()["id"])
    assert path == f"/api/v1/maps/{made.json()['id']}"
    assert (early.status_code, early.json()["code"]) == (409, "not_processed")
    assert int(early.headers["retry-after"]) > 0
    assert [b"here be dragons"] * 3 == [one.content for one in (mine, theirs, without)]


async def test_map_is_changed_by_its_owner_alone_R001_29(world, anna, bert):
    """200, 404 for another, 401 for a guest."""
    path = (await upload(anna)).headers["location"]
    async with http_client(world.app) as guest:
        nobody = await guest.patch(path, json={"name": "x"})
    other = await ask(bert, "PATCH", path, json={"name": "x"})
    mine = await ask(anna, "PATCH", path, json={"name": "harbour.txt"})
    deleted = [await ask(caller, "DELETE", path) for caller in (bert, anna, anna)]

    assert [401, 404, 200] == [one.status_code for one in (nobody, other, mine)]
    assert mine.json()["name"] == "harbour.txt"
    assert [404, 204, 404] == [one.status_code for one in deleted]


async def test_private_map_stays_ones_own(world, anna, bert):
    """What is said at the upload goes before what maps are by default."""
    path = (await upload(anna, visibility="private")).headers["location"]
    await process(world)

    assert [200, 404] == [(await ask(caller, "GET", path)).status_code for caller in (anna, bert)]


async def test_other_files_are_no_maps(anna):
    """An address says what is there."""
    made = (await post_file(anna, is_public="true")).json()

    assert (await ask(anna, "GET", f"/api/v1/maps/{made['id']}")).status_code == 404
