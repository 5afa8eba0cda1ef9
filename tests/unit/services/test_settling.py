"""Counters of a tenant that a process left wrong: they are set right when nothing moves, and not before."""

from dataclasses import replace

import pytest

from domain.ids import TenantId
from domain.tenant import TENANTS, USAGES, Usage
from services import settling
from services.settling import QUIET_SECONDS, UsageSettler
from tests.support.product import World


@pytest.fixture
def settler(world: World) -> UsageSettler:
    return UsageSettler(records=world.product.records, clock=world.clock)


async def leak(world: World, **amounts: int) -> Usage:
    """Leave Anna's counters as a process does that dies before it records what they were raised for."""
    usages = world.product.records.collection(USAGES)
    return await usages.increment(world.anna.tenant_id, world.anna.tenant_id, amounts)


async def test_room_that_nothing_takes_comes_back(world, settler):
    """A finished file and an unfinished upload keep theirs."""
    await world.anna.upload(b"stored")
    await world.anna.tus.create(100)
    await leak(world, bytes_total=1000, bytes_in_flight=1000)
    first = await settler.run_once()
    world.clock.advance(seconds=QUIET_SECONDS)
    second = await settler.run_once()
    usage = await world.usage_of(world.anna)

    assert (0, 1) == (first, second)
    assert (1, 106, 100) == (usage.file_count, usage.bytes_total, usage.bytes_in_flight)


async def test_counters_that_are_right_are_left_alone(world, settler):
    """However often they are looked at."""
    await world.anna.upload(b"stored")
    await world.anna.tus.create(100)
    before = await world.usage_of(world.anna)
    for _ in range(3):
        assert await settler.run_once() == 0
        world.clock.advance(seconds=settling.WALK_SECONDS)

    assert before == await world.usage_of(world.anna)


async def test_counters_that_move_wait(world, settler):
    """What looks wrong may be a write that is half done: only after a quiet while it is not."""
    await leak(world, bytes_total=1000)
    await settler.run_once()
    world.clock.advance(seconds=QUIET_SECONDS)
    await world.anna.tus.create(100)
    moved = await settler.run_once()
    between = await world.usage_of(world.anna)
    world.clock.advance(seconds=QUIET_SECONDS)
    quiet = await settler.run_once()

    assert (0, 1100, 1) == (moved, between.bytes_total, quiet)
    assert (await world.usage_of(world.anna)).bytes_total == 100


async def test_every_tenant_is_looked_at(world, settler, monkeypatch):
    """However many there are: some in each round."""
    monkeypatch.setattr(settling, "BATCH", 1)
    tenants, usages = world.product.records.collection(TENANTS), world.product.records.collection(USAGES)
    first = await tenants.get("system", world.anna.tenant_id)
    for number in range(3):
        tenant_id = TenantId(f"tenant_{number}")
        await tenants.add(replace(first, id=tenant_id, slug=f"slug-{number}", revision=0))
        await usages.add(Usage(tenant_id, tenant_id, bytes_total=7))
    for _ in range(10):
        await settler.run_once()
    world.clock.advance(seconds=QUIET_SECONDS)

    assert await settler.run_once() == 3
    assert [0, 0, 0] == [(await usages.get(f"tenant_{n}", f"tenant_{n}")).bytes_total for n in range(3)]
