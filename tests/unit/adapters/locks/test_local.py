"""Locks within one process: one holder, newcomers who ask, and patience that ends."""

import asyncio

import pytest

from adapters.locks.local import LocalLocks
from domain.errors import NotFound, UploadLocked


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def locks() -> LocalLocks:
    return LocalLocks()


def nothing() -> None:
    """Ask for nothing."""


async def test_newcomer_asks_the_holder_once_and_comes_in(locks):
    """The holder is told, lets go, and the newcomer goes on at once."""
    asked = asyncio.Event()
    calls = []

    async def hold() -> None:
        async with locks.hold("a", on_contention=lambda: (calls.append("asked"), asked.set()), patience_seconds=1):
            await asked.wait()

    holder = asyncio.ensure_future(hold())
    await asyncio.sleep(0)
    async with locks.hold("a", on_contention=nothing, patience_seconds=5):
        assert holder.done()

    assert calls == ["asked"]


async def test_keys_do_not_stand_in_each_others_way(locks):
    """One upload's lock is no other's."""
    async with (
        locks.hold("a", on_contention=nothing, patience_seconds=0.01),
        locks.hold("b", on_contention=nothing, patience_seconds=0.01),
    ):
        pass


async def test_patience_ends(locks):
    """UploadLocked, and the holder holds on."""
    async with locks.hold("a", on_contention=nothing, patience_seconds=1):
        with pytest.raises(UploadLocked):
            async with locks.hold("a", on_contention=nothing, patience_seconds=0.01):
                pass
        with pytest.raises(UploadLocked):
            async with locks.hold("a", on_contention=nothing, patience_seconds=0.01):
                pass


async def test_lock_is_let_go_whatever_happens_inside(locks):
    """A fault or a cancellation leaves nothing locked."""
    with pytest.raises(RuntimeError):
        async with locks.hold("a", on_contention=nothing, patience_seconds=1):
            raise RuntimeError

    async def hang() -> None:
        async with locks.hold("a", on_contention=nothing, patience_seconds=1):
            await asyncio.Event().wait()

    hanging = asyncio.ensure_future(hang())
    await asyncio.sleep(0)
    hanging.cancel()
    async with locks.hold("a", on_contention=nothing, patience_seconds=1):
        pass


async def test_newcomer_that_gives_up_leaves_no_trace(locks):
    """The next one comes in as if it had never been."""
    async with locks.hold("a", on_contention=nothing, patience_seconds=1):
        waiting = asyncio.ensure_future(_enter(locks, []))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with locks.hold("a", on_contention=nothing, patience_seconds=0.01):
        pass


async def _enter(locks: LocalLocks, inside: list[int]) -> None:
    stop = asyncio.Event()
    async with locks.hold("a", on_contention=stop.set, patience_seconds=5):
        inside.append(1)
        assert sum(inside) == 1, "one holder at a time"
        await asyncio.sleep(0)
        inside.remove(1)


async def test_many_at_once_come_in_one_by_one(locks):
    """None is forgotten, no two meet."""
    await asyncio.gather(*(_enter(locks, inside) for inside in [[]] for _ in range(50)))


async def test_stranger_disturbs_nobody(locks):
    """Who fails the check neither ends the holder's work nor waits; where nobody holds the key nobody is checked."""
    calls = []

    async def refuse() -> None:
        raise NotFound("upload")

    async with locks.hold("a", on_contention=lambda: calls.append("asked"), patience_seconds=1, check=refuse):
        with pytest.raises(NotFound):
            async with locks.hold("a", on_contention=nothing, patience_seconds=1, check=refuse):
                pass

    assert calls == []
