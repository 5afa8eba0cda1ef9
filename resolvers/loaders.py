"""
Batches of look-ups: what many fields ask for one by one is fetched once.

Smaller than Strawberry's DataLoader, and it leaves out what the caller may not see instead of raising for the row.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K", bound=str)
V = TypeVar("V")

BATCH_SIZE_MAX = 100  # ids in one call of a service


class Loader(Generic[K, V]):
    """
    Gathers keys asked for in one turn of the event loop and fetches them together; keeps what it fetched.

    A cancelled caller leaves the batch running for the others.
    """

    __slots__ = ("_fetch", "_known", "_tasks", "_waiting")

    def __init__(self, fetch: Callable[[list[K]], Awaitable[dict[K, V]]]) -> None:
        self._fetch = fetch
        self._known: dict[K, asyncio.Future[V | None]] = {}
        self._waiting: list[K] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def load(self, key: K) -> V | None:
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = asyncio.get_running_loop().create_future()
            self._waiting.append(key)
            if len(self._waiting) == 1:
                asyncio.get_running_loop().call_soon(self._dispatch)
        return await asyncio.shield(known)

    def _dispatch(self) -> None:
        keys, self._waiting = self._waiting, []
        for start in range(0, len(keys), BATCH_SIZE_MAX):
            task = asyncio.create_task(self._answer(keys[start : start + BATCH_SIZE_MAX]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, keys: list[K]) -> None:
        futures = [self._known[key] for key in keys]
        try:
            found = await self._fetch(keys)
        except BaseException as error:
            for future in futures:
                # Each caller learns of it; a future that nobody awaits any more must not complain.
                future.set_exception(error if isinstance(error, Exception) else asyncio.CancelledError())
                future.exception()
            if not isinstance(error, Exception):
                raise
        else:
            for key, future in zip(keys, futures, strict=True):
                future.set_result(found.get(key))
