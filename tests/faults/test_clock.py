"""The clock jumps in the middle of uploads, forwards by an hour and backwards by a day, as clocks that are set do."""

import asyncio

import pytest

from adapters.locks.leases import LEASE_SECONDS, LeaseLocks
from adapters.records.sqlite import SqliteRecords
from domain.errors import UploadLocked
from domain.ids import UploadId
from domain.lock import LEASES
from domain.upload import UploadStatus
from tests.faults.test_hands import hanging
from tests.support.product import FakeClock, sha256
from tests.support.upload_client import part

HOUR, DAY = 3600, 86400
JUMPS = pytest.mark.parametrize("seconds", [HOUR, -DAY], ids=["an hour on", "a day back"])


@JUMPS
async def test_upload_goes_on_over_a_jump_in_its_request(world, seconds):
    """What comes behind the jump is stored as what came before it; maintenance finds nothing to end."""
    path = await world.anna.tus.create(10)
    wire, task = await hanging(world, path, 0, b"hello")
    world.clock.jump(seconds=seconds)
    await world.product.maintenance.run_once()
    wire.push(part(b"world"))
    await task
    await world.product.maintenance.run_once()

    assert (204, "10") == (wire.response.status, wire.response.headers["upload-offset"])
    assert sha256(b"helloworld") == (await world.file_of(world.anna)).sha256
    assert (await world.usage_of(world.anna)).bytes_in_flight == 0


@JUMPS
async def test_upload_goes_on_by_its_own_token_after_a_jump(world, seconds):
    """A session may be over by the new time, the upload's token is not, and the upload's time is counted anew."""
    path = await world.anna.tus.create(10)
    await world.anna.tus.patch(path, 0, b"he")
    (upload,) = await world.uploads_of(world.anna)
    headers = world.product.services.uploads.headers_for(world.anna.principal, upload)
    world.clock.jump(seconds=seconds)
    by_session = await world.anna.tus.patch(path, 2, b"l")
    stands = 2 if seconds > 0 else 3
    by_upload = await world.anna.tus.patch(path, stands, b"hello"[stands:], Authorization=headers["Authorization"])
    (moved,) = await world.uploads_of(world.anna)

    assert (401 if seconds > 0 else 204) == by_session.status
    assert (204, "5") == (by_upload.status, by_upload.headers["upload-offset"])
    assert moved.expires_at - world.clock.now() == upload.expires_at - upload.updated_at


async def test_clock_that_is_put_right_again_ends_no_upload(world):
    """A day back and forth: lifetimes are counted from the last bytes, by whatever time it was then."""
    path = await world.anna.tus.create(10)
    world.clock.jump(seconds=-DAY)
    await world.anna.tus.patch(path, 0, b"hello")
    world.clock.jump(seconds=DAY)
    await world.product.maintenance.run_once()
    stands = await world.anna.tus.offset(path)
    answer = await world.anna.tus.patch(path, stands, b"world")
    upload = await world.upload_of(world.anna, UploadId(path.rpartition("/")[2]))

    assert (5, 204, UploadStatus.COMPLETED) == (stands, answer.status, upload.status)


class _Elsewhere(LeaseLocks):
    """Of another machine, whose processes nobody here can see."""

    def __init__(self, name: str, **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self._process = self._process.__class__(name, 1, "1")


async def _dies_holding(locks: LeaseLocks) -> None:
    """Take a lease, and leave it as a machine does that loses its power."""
    await locks._take("upload_1", f"{locks._process.name}/1", 1)


async def _is_let_in(locks: LeaseLocks) -> bool:
    try:
        async with locks.hold("upload_1", on_contention=lambda: None, patience_seconds=0.1):
            return True
    except UploadLocked:
        return False


@pytest.mark.slow
async def test_lease_of_the_dead_ends_though_the_clock_went_back(tmp_path):
    """It would last a day and ten seconds by the new time; a newcomer sees that nobody renews it."""
    clock = FakeClock()
    async with SqliteRecords.open(tmp_path / "records.db", [LEASES]) as records:
        dead, alive = (_Elsewhere(name, records=records, clock=clock) for name in ("one", "two"))
        await _dies_holding(dead)
        clock.jump(seconds=-DAY)
        first = await _is_let_in(alive)
        clock.advance(seconds=LEASE_SECONDS + 1)
        second = await _is_let_in(alive)

    assert (False, True) == (first, second)


@JUMPS
@pytest.mark.slow
async def test_lease_of_the_living_outlasts_a_jump(tmp_path, seconds):
    """Whoever holds a lease is asked to let go, and is not robbed of it."""
    clock, asked = FakeClock(), asyncio.Event()
    async with SqliteRecords.open(tmp_path / "records.db", [LEASES]) as records:
        one, two = (_Elsewhere(name, records=records, clock=clock) for name in ("one", "two"))

        async def hold() -> None:
            async with one.hold("upload_1", on_contention=asked.set, patience_seconds=1) as held:
                assert not held.was_stolen
                await asked.wait()

        holder = asyncio.ensure_future(hold())
        await asyncio.sleep(0.05)
        clock.jump(seconds=seconds)
        async with two.hold("upload_1", on_contention=lambda: None, patience_seconds=5) as held:
            was_stolen = held.was_stolen
        asked.set()
        await holder

    # Forwards, the lease has run out by the new time: a thief is let in, and the robbed cannot record any more.
    assert was_stolen is (seconds > 0)
