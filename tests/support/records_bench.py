"""
Measures the SQLite records: `python -m tests.support.records_bench DIRECTORY` (a tmpfs shows the code, a disk itself).

One upload here is an add, a get and a save; figures are of one process unless it says so.
"""

import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import uvloop

from adapters.records.sqlite import SqliteRecords
from domain.page import Comparison, Condition, Order, PageRequest, Position, at_least, below, equals
from domain.records import Collection
from tests.support.records import KINDS, PARCELS, TALLIES, Label, Parcel, State, Tally, at, parcel

ROWS = 100_000
TENANT = "tenant_01kakc0f8sfxv8q7c3s3b2v4mn"


def fresh(number: int) -> Parcel:
    name = f"{os.urandom(13).hex()}"
    moment = at(number / 10)
    return parcel(
        name,
        tenant_id=TENANT,
        title=f"report {number} of the year.csv",
        state=State.OPEN if number % 3 else State.SENT,
        created_at=moment,
        expires_at=at(number) if number % 10 else None,
        owner=f"user_{number % 100}",
        size_bytes=number,
        label=Label("a/b/c", 1.0, moment),
        notes={"tail": "x" * 20, "parts": [1, 2, 3]},
    )


def report(what: str, seconds: float, count: int, started_cpu: float) -> None:
    cpu = (time.process_time() - started_cpu) / count * 1e6
    print(f"{what:58} {count / seconds:9,.0f} /s  {seconds / count * 1e6:9.1f} us  cpu {cpu:6.1f} us", flush=True)


async def uploads(parcels: Collection[Parcel], *, at_once: int, count: int) -> None:
    async def some() -> None:
        for number in range(count // at_once):
            added = await parcels.add(fresh(number))
            found = await parcels.get(TENANT, added.id)
            await parcels.save(replace(found, size_bytes=16384, state=State.SENT), expected_revision=1)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(some() for _ in range(at_once)))
    report(f"uploads, {at_once} at once", time.perf_counter() - started, count, cpu)


async def increments(tallies: Collection[Tally], *, at_once: int, count: int) -> None:
    async def some() -> None:
        for _ in range(count // at_once):
            await tallies.increment(TENANT, "shared", {"count": 1})

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(some() for _ in range(at_once)))
    report(f"increments of one record, {at_once} at once", time.perf_counter() - started, count, cpu)


async def repeat(what: str, call: Callable[[int], Awaitable[object]], *, count: int) -> None:
    await call(0)
    started, cpu, each = time.perf_counter(), time.process_time(), []
    for number in range(count):
        before = time.perf_counter()
        await call(number)
        each.append(time.perf_counter() - before)
    report(what, time.perf_counter() - started, count, cpu)
    print(f"{'':58} median {statistics.median(each) * 1e6:.0f} us, p99 {sorted(each)[int(count * 0.99)] * 1e6:.0f} us")


async def pages(parcels: Collection[Parcel], ids: Sequence[str]) -> None:
    by_time, by_time_down = Order("created_at"), Order("created_at", descending=True)

    def deep(number: int) -> Position:
        return Position(at(number * 7 % ROWS / 10), "")

    def listing(
        *where: Condition, order: Order, page: Callable[[int], PageRequest]
    ) -> Callable[[int], Awaitable[object]]:
        return lambda number: parcels.list(TENANT, where, order=order, page=page(number))

    sent = equals("state", State.SENT)
    named = Condition("title_folded", Comparison.CONTAINS, "report 99")
    await repeat("get", lambda n: parcels.get(TENANT, ids[n * 7919 % ROWS]), count=20_000)
    await repeat("get_many of 50", lambda n: parcels.get_many(TENANT, ids[n * 50 : n * 50 + 50]), count=1000)
    await repeat("first page of 50", listing(order=by_time_down, page=lambda _: PageRequest()), count=2000)
    await repeat("deep page of 50", listing(order=by_time, page=lambda n: PageRequest(after=deep(n))), count=2000)
    back = listing(order=by_time_down, page=lambda n: PageRequest(before=deep(n), from_end=True))
    await repeat("deep page of 50, backwards, descending", back, count=2000)
    await repeat(
        "deep page of 50, one state",
        listing(sent, order=by_time, page=lambda n: PageRequest(after=deep(n))),
        count=2000,
    )
    await repeat("page by a field that may be empty", listing(order=Order("expires_at"), page=_after_empty), count=2000)
    await repeat("page with CONTAINS (a thread)", listing(named, order=by_time, page=lambda _: PageRequest()), count=30)
    await repeat(
        "page by a field without an index (a thread)",
        listing(order=Order("size_bytes"), page=lambda _: PageRequest()),
        count=30,
    )
    await repeat("count of one state", lambda _: parcels.count(TENANT, [sent]), count=50)
    await repeat("sum of all", lambda _: parcels.sum(TENANT, "size_bytes"), count=20)
    due = [at_least("expires_at", at(500)), below("expires_at", at(600))]
    await repeat(
        "scan for what has expired", lambda _: parcels.scan(due, order=Order("expires_at"), limit=50), count=200
    )


def _after_empty(number: int) -> PageRequest:
    return PageRequest(after=Position(at(number), ""))


async def main(directory: Path) -> None:
    path = directory / "records.db"
    async with SqliteRecords.open(path, KINDS) as records:
        parcels, tallies = records.collection(PARCELS), records.collection(TALLIES)
        for at_once, count in ((1, 200), (8, 4000), (32, 12_000), (128, 20_000)):
            await uploads(parcels, at_once=at_once, count=count)
        await tallies.add(Tally("shared", TENANT))
        await increments(tallies, at_once=32, count=12_000)

    path = directory / "large.db"
    async with SqliteRecords.open(path, KINDS) as records:
        parcels = records.collection(PARCELS)
        ids = []
        for start in range(0, ROWS, 500):
            added = await asyncio.gather(*(parcels.add(fresh(number)) for number in range(start, start + 500)))
            ids += [one.id for one in added]
        print(f"{ROWS:,} rows, {path.stat().st_size / 2**20:.0f} MiB")
        await pages(parcels, ids)


async def one_of_several(path: Path) -> None:
    async with SqliteRecords.open(path, KINDS) as records:
        await uploads(records.collection(PARCELS), at_once=32, count=6400)


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        uvloop.run(one_of_several(Path(sys.argv[2])))
        sys.exit()
    with tempfile.TemporaryDirectory(dir=sys.argv[1]) as temporary:
        uvloop.run(main(Path(temporary)))
        print("two processes, each:")
        command = [sys.executable, "-m", "tests.support.records_bench", "--one", f"{temporary}/shared.db"]
        for process in [subprocess.Popen(command) for _ in range(2)]:
            process.wait()
