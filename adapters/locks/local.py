"""Locks within one process. What two processes may not do at once, the stores and `expected_revision` keep apart."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from domain.errors import UploadLocked
from domain.lock import Hold


class _Holder:
    def __init__(self, on_contention: Callable[[], None]) -> None:
        self.on_contention = on_contention
        self.released = asyncio.Event()


class LocalLocks:
    """At most one holder a key; a newcomer asks the holder to let go."""

    def __init__(self) -> None:
        self._holders: dict[str, _Holder] = {}

    @asynccontextmanager
    async def hold(
        self, key: str, *, on_contention: Callable[[], None], patience_seconds: float
    ) -> AsyncGenerator[Hold, None]:
        try:
            async with asyncio.timeout(patience_seconds):
                while (holder := self._holders.get(key)) is not None:
                    holder.on_contention()
                    await holder.released.wait()
        except TimeoutError as error:
            raise UploadLocked from error
        # No await between the look and this line, so nobody can have come in between.
        mine = _Holder(on_contention)
        self._holders[key] = mine
        try:
            yield Hold()
        finally:
            del self._holders[key]
            mine.released.set()
