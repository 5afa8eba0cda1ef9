"""Leases: two processes on one database, one holder a key."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta

import pytest

from adapters.locks.leases import LEASE_SECONDS, LeaseLocks
from adapters.records.sqlite import SqliteRecords
from domain.errors import UploadLocked
from domain.lock import LEASES, Lease
from tests.support.product import FakeClock

pytestmark = pytest.mark.slow  # a waiting process looks a few times a second

KEY = "upload_1"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def records(tmp_path) -> AsyncIterator[SqliteRecords]:
    async with SqliteRecords.open(tmp_path / "records.db", [LEASES]) as records:
        yield records


@pytest.fixture
def processes(records, clock) -> tuple[LeaseLocks, LeaseLocks]:
    return LeaseLocks(records=records, clock=clock), LeaseLocks(records=records, clock=clock)


class Work:
    """Holds a key until it is told to stop, or for good."""

    def __init__(self, locks: LeaseLocks, *, yields: bool = True) -> None:
        self._locks = locks
        self._yields = yields
        self.stop = asyncio.Event()
        self.holds = asyncio.Event()
        self.was_asked = False
        self.was_stolen = False

    def _asked(self) -> None:
        self.was_asked = True
        if self._yields:
            self.stop.set()

    async def run(self) -> None:
        async with self._locks.hold(KEY, on_contention=self._asked, patience_seconds=5) as hold:
            self.was_stolen = hold.was_stolen
            self.holds.set()
            await self.stop.wait()


async def test_newcomer_of_another_process_is_let_in(processes):
    """The holder is asked, lets go, and nothing was stolen."""
    first, second = Work(processes[0]), Work(processes[1])
    async with asyncio.TaskGroup() as group:
        group.create_task(first.run())
        await first.holds.wait()
        group.create_task(second.run())
        async with asyncio.timeout(2):
            await second.holds.wait()
        second.stop.set()

    assert first.was_asked
    assert not second.was_stolen


async def test_patience_ends_with_upload_locked(processes):
    """A holder that does not let go keeps the key while its lease runs."""
    first = Work(processes[0], yields=False)
    async with asyncio.TaskGroup() as group:
        group.create_task(first.run())
        await first.holds.wait()
        with pytest.raises(UploadLocked):
            async with processes[1].hold(KEY, on_contention=lambda: None, patience_seconds=0.3):
                pass
        first.stop.set()


async def test_lease_that_ran_out_is_stolen(processes, clock, records):
    """A dead process cannot let go; whoever takes over is told, and the dead one's return is noticed."""
    first = Work(processes[0])
    second = Work(processes[1])
    async with asyncio.TaskGroup() as group:
        group.create_task(first.run())
        await first.holds.wait()
        lease = await records.collection(LEASES).get("system", KEY)
        clock.advance(seconds=LEASE_SECONDS + 1)
        group.create_task(second.run())
        async with asyncio.timeout(2):
            await second.holds.wait()
        async with asyncio.timeout(2):
            await first.stop.wait()
        second.stop.set()

    assert second.was_stolen
    assert lease.owner != (await records.collection(LEASES).get("system", KEY)).owner


async def test_holder_that_died_on_this_machine_is_not_waited_for(processes, clock, records):
    """A server that was killed and started again takes up its own uploads at once."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    owner = f"{socket.gethostname()}/{dead.pid}/token/request"
    await records.collection(LEASES).add(Lease(KEY, owner, clock.now() + timedelta(seconds=LEASE_SECONDS)))

    async with processes[0].hold(KEY, on_contention=lambda: None, patience_seconds=0.1) as hold:
        assert hold.was_stolen


async def test_holder_renews_its_lease(processes, clock, records):
    """A long upload keeps its key as long as its process lives."""
    first = Work(processes[0])
    async with asyncio.TaskGroup() as group:
        group.create_task(first.run())
        await first.holds.wait()
        clock.advance(seconds=LEASE_SECONDS / 2)
        async with asyncio.timeout(2):
            lease = await renewed(records, clock)
        first.stop.set()

    assert lease.until.timestamp() == pytest.approx(clock.now().timestamp() + LEASE_SECONDS)


async def renewed(records, clock):
    """Wait until the lease reaches a whole lifetime from now."""
    while True:
        lease = await records.collection(LEASES).get("system", KEY)
        if (lease.until - clock.now()).total_seconds() >= LEASE_SECONDS:
            return lease
        await asyncio.sleep(0.05)


class _SlowToAdd:
    """Records whose answers come late: who gives up waiting has written all the same."""

    def __init__(self, records: SqliteRecords) -> None:
        self._leases = records.collection(LEASES)

    def collection(self, _kind):
        return self

    async def add(self, record):
        adding = asyncio.ensure_future(self._leases.add(record))
        await asyncio.sleep(0.1)
        return await adding

    def __getattr__(self, name):
        return getattr(self._leases, name)


async def test_impatience_leaves_no_lease_behind(records, clock):
    """A newcomer that gave up while its lease was being written would keep everybody out for 15 seconds."""
    slow = LeaseLocks(records=_SlowToAdd(records), clock=clock)  # type: ignore[arg-type]
    with suppress(UploadLocked):
        async with slow.hold(KEY, on_contention=lambda: None, patience_seconds=0.02):
            pass
    async with LeaseLocks(records=records, clock=clock).hold(KEY, on_contention=lambda: None, patience_seconds=0.2):
        pass


async def test_lease_is_given_back_though_a_cancellation_is_swallowed(records, clock, monkeypatch):
    """A driver may take one for its own: the holder must not wait for its watch for ever, nor keep the lease."""
    locks = LeaseLocks(records=records, clock=clock)
    find, is_asked, swallowed = locks._find, asyncio.Event(), []

    async def swallow(key: str) -> Lease | None:
        is_asked.set()
        if not swallowed:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                swallowed.append(key)
        return await find(key)

    async with asyncio.timeout(5), locks.hold(KEY, on_contention=lambda: None, patience_seconds=1):
        monkeypatch.setattr(locks, "_find", swallow)
        await is_asked.wait()
    lease = await records.collection(LEASES).get("system", KEY)

    assert [KEY] == swallowed
    assert lease.owner == ""
