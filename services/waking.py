"""Waiting for a signal, or for so long: signals only wake, so whoever waits looks for himself afterwards."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

from domain.event import Signal

Wait = Callable[[float], Awaitable[None]]


@asynccontextmanager
async def waking(signals: AsyncGenerator[Signal, None]) -> AsyncGenerator[Wait, None]:
    """
    Listen for the length of the block; what it gives waits for the next signal, so many seconds at most.

    A signal that comes between two waits ends the second at once. The signals are closed at the end.
    """
    async with aclosing(signals):
        coming: asyncio.Task[Signal] = asyncio.ensure_future(anext(signals))

        async def wait(seconds: float) -> None:
            nonlocal coming
            await asyncio.wait({coming}, timeout=seconds)
            if coming.done():
                coming = asyncio.ensure_future(anext(signals))

        try:
            yield wait
        finally:
            coming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await coming
