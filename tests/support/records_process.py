"""
A process that works on records, for tests of several at once: `python -m tests.support.records_process TASK …`.

It prints `ready`, waits for a line on its input, and then does its task, printing what was acknowledged.
"""

import asyncio
import sys
from dataclasses import replace

from domain.errors import Conflict
from domain.page import Order, PageRequest, Position
from domain.records import Records
from tests.support.records import KINDS, PARCELS, TALLIES, Tally, parcel
from tests.support.records_open import Database, open_records

TENANT = "tenant_a"
TASKS_AT_ONCE = 4


async def compare_and_set(records: Records, name: str, rounds: int) -> None:
    """Try each round's record once, at the revision that everybody expects; print the rounds that were won."""
    tallies = records.collection(TALLIES)

    async def attempt(number: int) -> None:
        try:
            await tallies.save(Tally(f"round_{number}", TENANT, int(name)), expected_revision=1)
        except Conflict:
            return
        print(number, flush=True)

    for number in range(rounds):
        await asyncio.gather(*(attempt(number) for _ in range(TASKS_AT_ONCE)))


async def increment(records: Records, name: str, times: int) -> None:
    """Raise one record from several tasks; print every acknowledged sum."""
    tallies = records.collection(TALLIES)

    async def raise_it() -> None:
        for _ in range(times // TASKS_AT_ONCE):
            after = await tallies.increment(TENANT, "shared", {"count": 1})
            print(after.count, flush=True)

    await asyncio.gather(*(raise_it() for _ in range(TASKS_AT_ONCE)))


async def increment_derived(records: Records, name: str, times: int) -> None:
    """The same on a kind whose derived field makes the store compare and set."""
    for _ in range(times):
        after = await records.collection(PARCELS).increment(TENANT, "parcel_shared", {"size_bytes": 1})
        print(after.size_bytes, flush=True)


async def increment_once(records: Records, name: str, times: int) -> None:
    """Everybody writes the same keys, each more than once."""
    tallies = records.collection(TALLIES)
    for number in range(times):
        same = [tallies.increment(TENANT, "shared", {"count": 1}, once=f"key {number}") for _ in range(TASKS_AT_ONCE)]
        await asyncio.gather(*same)


async def fill_up(records: Records, name: str, times: int) -> None:
    """Take from a limit until it is refused; print what was given."""
    tallies = records.collection(TALLIES)
    try:
        while True:
            after = await tallies.increment(TENANT, "shared", {"count": 1}, at_most={"count": times})
            print(after.count, flush=True)
    except Conflict:
        return


async def add(records: Records, name: str, times: int) -> None:
    """Add numbered records until killed or done; print the id of each that was acknowledged."""
    parcels = records.collection(PARCELS)

    async def add_some(task: int) -> None:
        for number in range(times // TASKS_AT_ONCE):
            added = await parcels.add(parcel(f"{name}_{task}_{number}", code=f"{name} {task} {number}"))
            added = await parcels.save(replace(added, title="saved"), expected_revision=1)
            print(added.id, added.number, flush=True)

    await asyncio.gather(*(add_some(task) for task in range(TASKS_AT_ONCE)))


async def follow(records: Records, name: str, times: int) -> None:
    """Read on from the last number seen, again and again, until there are so many; print the numbers in turn."""
    last, seen = 0, 0
    while seen < times:
        request = PageRequest(100, after=Position(last, "￿"))
        page = await records.collection(PARCELS).list(TENANT, order=Order("number"), page=request)
        for one in page.items:
            print(one.number)
            last, seen = one.number, seen + 1
        await asyncio.sleep(0)


_TASKS = {
    task.__name__: task
    for task in (compare_and_set, increment, increment_derived, increment_once, fill_up, add, follow)
}


async def main(task: str, name: str, times: str, adapter: str, where: str, database: str) -> None:
    async with open_records(Database(adapter, where, database), KINDS) as records:
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await _TASKS[task](records, name, int(times))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
