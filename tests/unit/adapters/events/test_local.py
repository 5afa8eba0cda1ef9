"""Signals within one process: who is woken, what is merged, what is left behind."""

import asyncio
from contextlib import aclosing

import pytest

from adapters.events.local import LocalEvents
from domain.event import FilesChanged, UploadMoved
from domain.ids import TenantId, UploadId

A, B = TenantId("tenant_a"), TenantId("tenant_b")
ONE, TWO = UploadId("upload_1"), UploadId("upload_2")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def events() -> LocalEvents:
    return LocalEvents()


async def listening(signals):
    """Begin the first step, so that the listener is there."""
    step = asyncio.ensure_future(anext(signals))
    await asyncio.sleep(0)
    return step


async def test_listener_hears_of_its_tenant_alone(events):
    """Not even that something happened elsewhere."""
    async with aclosing(events.listen(A)) as signals:
        step = await listening(signals)
        events.publish(FilesChanged(B))
        await asyncio.sleep(0)
        assert not step.done()
        events.publish(FilesChanged(A))

        assert FilesChanged(A) == await step


async def test_listener_to_one_upload_hears_of_that_alone(events):
    """Nor of files."""
    async with aclosing(events.listen(A, upload_id=ONE)) as signals:
        step = await listening(signals)
        events.publish(UploadMoved(A, TWO))
        events.publish(FilesChanged(A))
        await asyncio.sleep(0)
        assert not step.done()
        events.publish(UploadMoved(A, ONE))

        assert UploadMoved(A, ONE) == await step


async def test_signals_that_nobody_fetched_are_merged(events):
    """A slow reader holds two at most, and is woken again for what came after it read."""
    async with aclosing(events.listen(A)) as signals:
        step = await listening(signals)
        for _ in range(1000):
            events.publish(FilesChanged(A))
            events.publish(UploadMoved(A, ONE))
        first, second = await step, await anext(signals)
        third = await listening(signals)
        assert not third.done()
        events.publish(FilesChanged(A))

        assert {FilesChanged(A), UploadMoved(A, ONE)} == {first, second}
        assert FilesChanged(A) == await third


async def test_signal_between_two_steps_is_not_lost(events):
    """It waits until the reader comes back."""
    async with aclosing(events.listen(A)) as signals:
        step = await listening(signals)
        events.publish(FilesChanged(A))
        await step
        events.publish(FilesChanged(A))

        assert FilesChanged(A) == await anext(signals)


async def test_all_are_woken_by_a_change_of_another_process(events):
    """Each with what it listens to."""
    async with aclosing(events.listen(A)) as files, aclosing(events.listen(B, upload_id=ONE)) as upload:
        steps = [await listening(files), await listening(upload)]
        events.wake_all()

        assert [FilesChanged(A), UploadMoved(B, ONE)] == [await step for step in steps]


async def test_listener_that_is_gone_is_forgotten(events):
    """Closed, cancelled or dropped in mid-wait: nothing is kept for it."""
    signals = events.listen(A)
    step = await listening(signals)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    await signals.aclose()

    assert dict(events._listeners) == {}
    events.publish(FilesChanged(A))
