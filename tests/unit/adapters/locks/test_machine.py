"""Locks among the processes of one machine: kept apart by the kernel, given back by death."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.locks.machine import WATCH_SECONDS, MachineLocks, _place_of
from domain.errors import NotFound, UploadLocked

ROOT = Path(__file__).parents[4]
HOLDING = """
import asyncio, sys
from pathlib import Path
from adapters.locks.machine import MachineLocks

async def main():
    locks = MachineLocks(Path(sys.argv[1]))
    async with locks.hold("a", on_contention=lambda: None, patience_seconds=1):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def nothing() -> None:
    """Ask for nothing."""


async def test_newcomer_in_the_same_process_asks_the_holder(tmp_path):
    """As with locks in memory alone."""
    asked = asyncio.Event()
    with MachineLocks(tmp_path / "locks") as locks:

        async def hold() -> None:
            async with locks.hold("a", on_contention=asked.set, patience_seconds=1):
                await asked.wait()

        holder = asyncio.ensure_future(hold())
        await asyncio.sleep(0)
        async with locks.hold("a", on_contention=nothing, patience_seconds=5):
            assert holder.done()


async def test_two_openings_keep_each_other_out(tmp_path):
    """One after the other, key by key; a fault inside lets go."""
    with MachineLocks(tmp_path / "locks") as one, MachineLocks(tmp_path / "locks") as two:
        async with one.hold("a", on_contention=nothing, patience_seconds=1):
            with pytest.raises(UploadLocked):
                async with two.hold("a", on_contention=nothing, patience_seconds=0.02):
                    pass
            async with two.hold("b", on_contention=nothing, patience_seconds=0.02):
                pass
        with pytest.raises(RuntimeError):
            async with two.hold("a", on_contention=nothing, patience_seconds=0.02):
                raise RuntimeError
        async with one.hold("a", on_contention=nothing, patience_seconds=0.02):
            pass


async def test_newcomer_waits_until_the_other_lets_go(tmp_path):
    """Not longer than a poll."""
    with MachineLocks(tmp_path / "locks") as one, MachineLocks(tmp_path / "locks") as two:
        inside = asyncio.Event()

        async def wait() -> None:
            async with two.hold("a", on_contention=nothing, patience_seconds=5):
                inside.set()

        async with one.hold("a", on_contention=nothing, patience_seconds=1):
            waiting = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            assert not inside.is_set()
        await asyncio.wait_for(waiting, 5)


@pytest.mark.slow
async def test_killed_process_keeps_nothing(tmp_path):
    """kill -9, and the next one is in."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path / "locks")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with holder, MachineLocks(tmp_path / "locks") as locks:
        assert holder.stdout is not None
        assert "held" == holder.stdout.readline().strip()
        with pytest.raises(UploadLocked):
            async with locks.hold("a", on_contention=nothing, patience_seconds=0.02):
                pass
        holder.kill()
        async with locks.hold("a", on_contention=nothing, patience_seconds=5):
            pass


async def test_newcomer_of_another_opening_asks_the_holder(tmp_path):
    """The holder sees the wish while it holds, lets go, and afterwards nobody's wish is left."""
    asked, again = asyncio.Event(), asyncio.Event()
    with MachineLocks(tmp_path / "locks") as one, MachineLocks(tmp_path / "locks") as two:

        async def hold() -> None:
            async with one.hold("a", on_contention=asked.set, patience_seconds=1):
                await asked.wait()

        holder = asyncio.ensure_future(hold())
        await asyncio.sleep(0)
        async with two.hold("a", on_contention=again.set, patience_seconds=5):
            assert holder.done()
            await asyncio.sleep(2 * WATCH_SECONDS)

        assert not again.is_set()


async def test_stranger_of_another_process_disturbs_nobody(tmp_path):
    """Who fails the check makes no wish that the holder could see."""
    asked: list[str] = []

    async def refuse() -> None:
        raise NotFound("upload")

    with MachineLocks(tmp_path / "locks") as one, MachineLocks(tmp_path / "locks") as two:
        async with one.hold("a", on_contention=lambda: asked.append("asked"), patience_seconds=1):
            with pytest.raises(NotFound):
                async with two.hold("a", on_contention=nothing, patience_seconds=5, check=refuse):
                    pass
            assert not one._is_wanted(_place_of("a"))
        async with two.hold("a", on_contention=nothing, patience_seconds=0.02, check=refuse):
            pass

    assert asked == []
