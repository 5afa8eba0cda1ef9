"""A worker that is a system of its own, with nothing but HTTP."""

from typing import Any

import pytest

from domain.file import FileStatus
from tests.support.product import Caller, http_client

CONTENT = b"here be dragons"
QUEUE = "/api/v1/queue"


async def ask(caller: Caller, path: str, **given: Any) -> Any:
    async with caller.http as http:
        return await http.post(f"{QUEUE}{path}", json=given)


async def get(caller: Caller, path: str) -> Any:
    async with caller.http as http:
        return await http.get(path)


@pytest.fixture
async def leased(anna):
    await anna.upload(CONTENT, name="map.txt", collection="maps")
    return (await ask(anna, "/lease", kinds=["process"], seconds=30)).json()


async def test_worker_leases_reads_and_acknowledges_R001_14_R001_15(world, anna):
    """Upload, one message waits; lease it, read the raw bytes that nobody else may, say it is done."""
    await anna.upload(CONTENT, name="map.txt", collection="maps")
    before = (await get(anna, f"{QUEUE}/stats")).json()
    job = (await ask(anna, "/lease")).json()
    during = (await get(anna, f"{QUEUE}/stats")).json()
    raw = await get(anna, job["content"])
    hidden = await get(anna, f"/api/v1/files/{job['file']['id']}/content")
    done = await ask(anna, f"/jobs/{job['id']}/acknowledge", lease=job["lease"], result={"tiles": 4})
    given = await get(anna, f"/api/v1/files/{job['file']['id']}/content")

    assert (1, 0, 0) == (before["waiting"], before["running"], before["dead"])
    assert (0, 1) == (during["waiting"], during["running"])
    assert ("map.txt", len(CONTENT), "maps") == tuple(job["file"][name] for name in ("name", "size", "collection"))
    assert (200, CONTENT) == (raw.status_code, raw.content)
    assert (409, "not_processed") == (hidden.status_code, hidden.json()["code"])
    assert (200, "succeeded") == (done.status_code, done.json()["status"])
    assert CONTENT == given.content
    file = await world.file_of(anna)
    (kept,) = await world.product.services.processing.of_file(anna.principal, file)
    assert {"tiles": 4} == dict(kept.result)


async def test_one_job_is_leased_by_its_id(world, anna, bert):
    """By a system that SQS told of it; a second one is too late, and another tenant's system finds nothing."""
    await anna.upload(CONTENT, name="map.txt", collection="maps")
    (job,) = await world.product.services.processing.of_file(anna.principal, await world.file_of(anna))
    foreign = await ask(bert, f"/jobs/{job.id}/lease")
    first = await ask(anna, f"/jobs/{job.id}/lease", seconds=30)
    second = await ask(anna, f"/jobs/{job.id}/lease")

    assert (404, 200, 409) == (foreign.status_code, first.status_code, second.status_code)
    assert CONTENT == (await get(anna, first.json()["content"])).content


async def test_no_job_is_told_at_once(anna):
    assert 204 == (await ask(anna, "/lease")).status_code


async def test_lease_is_extended(world, anna, leased):
    """A worker that is slow says so in time."""
    world.clock.advance(seconds=29)
    extended = await ask(anna, f"/jobs/{leased['id']}/extend", lease=leased["lease"], seconds=30, progress=0.5)
    world.clock.advance(seconds=29)

    assert 200 == extended.status_code
    assert 204 == (await ask(anna, "/lease")).status_code


async def test_old_lease_is_refused_everywhere(world, anna, leased):
    """And nothing happens to the file."""
    world.clock.advance(seconds=31)
    new = (await ask(anna, "/lease")).json()
    path = f"/jobs/{leased['id']}"
    answers = [
        await ask(anna, f"{path}/acknowledge", lease=leased["lease"]),
        await ask(anna, f"{path}/reject", lease=leased["lease"], retry=False),
        await ask(anna, f"{path}/extend", lease=leased["lease"]),
        await get(anna, leased["content"]),
    ]

    assert [(409, "lease_lost")] * 4 == [(one.status_code, one.json()["code"]) for one in answers]
    assert leased["id"] == new["id"]
    assert FileStatus.PROCESSING is (await world.file_of(anna)).status


async def test_rejected_job_waits_or_is_dead(world, anna, leased):
    """As the worker says."""
    waiting = await ask(anna, f"/jobs/{leased['id']}/reject", lease=leased["lease"], error="no tiles today")
    world.clock.advance(seconds=6)
    again = (await ask(anna, "/lease")).json()
    dead = await ask(anna, f"/jobs/{again['id']}/reject", lease=again["lease"], error="no map", retry=False)

    assert ("queued", "no tiles today") == (waiting.json()["status"], waiting.json()["error"])
    assert ("failed", "no map") == (dead.json()["status"], dead.json()["error"])
    assert FileStatus.FAILED is (await world.file_of(anna)).status
    assert 1 == (await get(anna, f"{QUEUE}/stats")).json()["dead"]


async def test_what_a_worker_finds_bad_is_quarantined(world, anna, leased):
    await ask(anna, f"/jobs/{leased['id']}/acknowledge", lease=leased["lease"], quarantine=True)

    assert FileStatus.QUARANTINED is (await world.file_of(anna)).status


async def test_other_tenants_jobs_are_not_there(anna, bert, leased):
    """Neither to be leased, nor by id, with the right lease even."""
    path = f"/jobs/{leased['id']}"

    assert 204 == (await ask(bert, "/lease")).status_code
    assert 404 == (await ask(bert, f"{path}/acknowledge", lease=leased["lease"])).status_code
    assert 404 == (await get(bert, leased["content"])).status_code
    assert 404 == (await ask(anna, "/jobs/job_nonsense/acknowledge", lease="x")).status_code
    assert 0 == (await get(bert, f"{QUEUE}/stats")).json()["running"]


async def test_guest_works_on_nothing(world, leased):
    async with http_client(world.app) as http:
        assert 401 == (await http.post(f"{QUEUE}/lease", json={})).status_code
        assert 401 == (await http.get(f"{QUEUE}/stats")).status_code
        assert 401 == (await http.get(leased["content"])).status_code


@pytest.mark.parametrize(
    ("path", "given", "field"),
    [
        ("/lease", {"seconds": 0}, "seconds"),
        ("/lease", {"seconds": "x"}, "seconds"),
        ("/lease", {"kinds": []}, "kinds"),
        ("/lease", {"kinds": [1]}, "kinds"),
        ("/lease", {"other": 1}, "other"),
        ("/jobs/{id}/acknowledge", {}, "lease"),
        ("/jobs/{id}/acknowledge", {"lease": "x", "result": []}, "result"),
        ("/jobs/{id}/acknowledge", {"lease": "x", "result": {"a": "x" * 70_000}}, "result"),
        ("/jobs/{id}/extend", {"lease": "x", "progress": 2}, "progress"),
    ],
)
async def test_what_cannot_be_right_is_told_with_its_field_R001_23(anna, leased, path, given, field):
    answer = await ask(anna, path.format(id=leased["id"]), **given)

    assert (422, field) == (answer.status_code, answer.json()["path"][0])
