"""The loop beside the requests: it rests when there is nothing to do, and no fault ends it."""

import asyncio
import logging

import pytest

from domain.errors import StoreUnavailable
from jobs.maintenance import run_maintenance


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Work:
    """Gives its outcomes one a round, then stands still."""

    def __init__(self, *outcomes: int | Exception) -> None:
        self._outcomes = list(outcomes)
        self.is_done = asyncio.Event()

    async def run_once(self) -> int:
        if not self._outcomes:
            self.is_done.set()
            await asyncio.Event().wait()
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def run(work: Work, *, pause_seconds: float) -> None:
    task = asyncio.ensure_future(run_maintenance(work, pause_seconds=pause_seconds))
    try:
        await asyncio.wait_for(work.is_done.wait(), 5)
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_work_goes_on_without_a_pause_while_there_is_some():
    """An hour between two pieces would never be over."""
    await run(Work(3, 100, 1), pause_seconds=3600)


async def test_faults_do_not_end_the_loop(caplog):
    """A store that is away comes back; a mistake of ours is logged, and the next round runs."""
    with caplog.at_level(logging.WARNING):
        await run(Work(StoreUnavailable("database"), RuntimeError("ours"), 0), pause_seconds=0)

    assert "the database does not answer" in caplog.text
    assert "ours" in caplog.text
