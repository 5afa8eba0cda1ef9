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
    came = asyncio.Event()

    async def listen() -> None:
        async with aclosing(signals):
            async for _ in signals:
                came.set()

    async def wait(seconds: float) -> None:
        if listening.done():
            await listening  # raises what ended it
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await came.wait()
        came.clear()

    # One task for all signals: thousands listen, and a task for each signal of each would be most of what it costs.
    listening = asyncio.create_task(listen())
    try:
        yield wait
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening
