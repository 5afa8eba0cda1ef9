"""What every queue of jobs promises: each job takes effect once, whoever dies on the way."""

import asyncio

import pytest

from domain.errors import Conflict, LeaseLost
from domain.job import ATTEMPTS_MAX, JOBS, JobStatus
from domain.records import Add, Delete, Save
from tests.contract.queues.conftest import OTHER_FILE, over
from tests.support.records import PARCELS, TALLIES, Tally, parcel


async def test_job_is_handed_out_to_one_at_a_time(rig):
    """Two workers do not do the same."""
    (job,) = await rig.record("process")
    taken = await rig.queue.receive(seconds=30)
    again = await rig.queue.receive(seconds=30)

    assert (job.id, JobStatus.RUNNING, 1) == (taken.id, taken.status, taken.attempt)
    assert again is None


async def test_queue_without_jobs_has_none(rig):
    """And says so at once."""
    assert await rig.queue.receive(seconds=30) is None


async def test_racing_workers_get_different_jobs(rig):
    """All that wait are handed out, none twice."""
    await rig.record("scan", "profile", "process", "digest")
    taken = [job for job in await asyncio.gather(*[rig.queue.receive(seconds=30) for _ in range(4)]) if job]
    while (job := await rig.queue.receive(seconds=30)) is not None:
        taken.append(job)

    assert {"scan", "profile", "process", "digest"} == {job.kind for job in taken}
    assert 4 == len(taken)


async def test_lease_that_ran_out_is_handed_on(rig):
    """Whoever had it is dead, or slower than it said."""
    await rig.record("process")
    first = await rig.queue.receive(seconds=30)
    rig.clock.advance(seconds=31)
    second = await rig.queue.receive(seconds=30)

    assert (first.id, 2) == (second.id, second.attempt)
    assert first.lease_id != second.lease_id


async def test_lease_that_is_extended_is_kept(rig):
    """A long job needs no long lease."""
    await rig.record("process")
    job = await rig.queue.receive(seconds=30)
    rig.clock.advance(seconds=29)
    await rig.queue.extend(job, job.lease_id, seconds=30, progress=0.5)
    rig.clock.advance(seconds=29)

    assert await rig.queue.receive(seconds=30) is None
    assert 0.5 == (await rig.stored(job)).progress


async def test_old_lease_can_do_nothing_R001_15(rig):
    """Exactly-once effect: what a worker reports that was given up has none."""
    await rig.record("process")
    old = await rig.queue.receive(seconds=30)
    rig.clock.advance(seconds=31)
    new = await rig.queue.receive(seconds=30)
    effect = Add(TALLIES, Tally("tally_1", "tenant_a"))
    with pytest.raises(LeaseLost):
        await rig.queue.acknowledge(old, old.lease_id, over(old), effect)
    with pytest.raises(LeaseLost):
        await rig.queue.reject(old, old.lease_id, old.fail("late", may_retry=True, now=rig.clock.now()))
    with pytest.raises(LeaseLost):
        await rig.queue.extend(old, old.lease_id, seconds=30)

    assert (JobStatus.RUNNING, new.lease_id) == ((found := await rig.stored(new)).status, found.lease_id)
    assert {} == await rig.records.collection(TALLIES).get_many("tenant_a", ["tally_1"])


async def test_lease_on_a_job_that_went_away_is_lost(rig):
    """Its file was purged, or has other content and other jobs: what is reported of it has no effect."""
    await rig.record("process")
    job = await rig.queue.receive(seconds=30)
    await rig.records.write(Delete(JOBS, job.tenant_id, job.id))
    with pytest.raises(LeaseLost):
        await rig.queue.acknowledge(job, job.lease_id, over(job), Add(TALLIES, Tally("tally_1", "tenant_a")))
    with pytest.raises(LeaseLost):
        await rig.queue.extend(job, job.lease_id, seconds=30)

    assert {} == await rig.records.collection(TALLIES).get_many("tenant_a", ["tally_1"])


async def test_acknowledgement_and_effect_are_one(rig):
    """And the second of two equal acknowledgements is refused, so that the effect is there once."""
    await rig.record("process")
    job = await rig.queue.receive(seconds=30)
    await rig.queue.acknowledge(job, job.lease_id, over(job, rows=3), Add(TALLIES, Tally("tally_1", "tenant_a")))
    with pytest.raises(LeaseLost):
        await rig.queue.acknowledge(job, job.lease_id, over(job), Add(TALLIES, Tally("tally_2", "tenant_a")))

    found = await rig.stored(job)
    assert (JobStatus.SUCCEEDED, {"rows": 3}, None) == (found.status, dict(found.result), found.lease_id)
    assert {"tally_1"} == (await rig.records.collection(TALLIES).get_many("tenant_a", ["tally_1", "tally_2"])).keys()
    rig.clock.advance(seconds=3600)
    assert await rig.queue.receive(seconds=30) is None


async def test_effect_that_conflicts_is_told(rig):
    """Its file was changed meanwhile: whoever acknowledges looks again."""
    await rig.record("process")
    job = await rig.queue.receive(seconds=30)
    await rig.records.write(Add(PARCELS, parcel("a")))
    with pytest.raises(Conflict):
        await rig.queue.acknowledge(job, job.lease_id, over(job), Save(PARCELS, parcel("a"), 7))


async def test_rejected_job_comes_back_later(rig):
    """With a rest in between, which grows."""
    await rig.record("process")
    rests = []
    for attempt in range(1, 4):
        job = await rig.queue.receive(seconds=30)
        assert attempt == job.attempt
        after = job.fail("away", may_retry=True, now=rig.clock.now())
        await rig.queue.reject(job, job.lease_id, after)
        await rig.queue.announce()
        rests.append((after.due_at - rig.clock.now()).total_seconds())
        rig.clock.advance(seconds=rests[-1] - 1)
        assert await rig.queue.receive(seconds=30) is None
        rig.clock.advance(seconds=1)

    assert [5, 10, 20] == rests
    assert "away" == (await rig.queue.receive(seconds=30)).error


async def test_job_that_always_fails_ends_as_a_dead_letter(rig):
    """It is there to be looked at, and to be queued again."""
    await rig.record("process")
    for _ in range(ATTEMPTS_MAX):
        job = await rig.queue.receive(seconds=30)
        after = job.fail("no", may_retry=True, now=rig.clock.now())
        report = rig.queue.acknowledge if after.status.is_over else rig.queue.reject
        await report(job, job.lease_id, after)
        await rig.queue.announce()
        rig.clock.advance(seconds=3600)
    dead = await rig.stored(job)
    nothing = await rig.queue.receive(seconds=30)
    await rig.records.write(Save(JOBS, dead.queue_again(now=rig.clock.now()), dead.revision))
    await rig.queue.announce()

    assert (JobStatus.FAILED, "no", None) == (dead.status, dead.error, nothing)
    assert ATTEMPTS_MAX + 1 == (await rig.queue.receive(seconds=30)).attempt


async def test_only_what_was_asked_for_is_handed_out(rig):
    """A worker takes the kinds it knows, and one of a tenant only that tenant's."""
    await rig.record("scan", "process")
    await rig.record("process", file_id=OTHER_FILE, tenant_id="tenant_b")
    ours = await rig.queue.receive(kinds=["process"], tenant_id="tenant_b", seconds=30)

    assert ("tenant_b", "process") == (ours.tenant_id, ours.kind)
    assert await rig.queue.receive(kinds=["process"], tenant_id="tenant_b", seconds=30) is None
    assert "scan" == (await rig.queue.receive(kinds=["scan", "digest"], seconds=30)).kind
