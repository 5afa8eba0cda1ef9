"""Locks within one process. What two processes may not do at once, the stores and `expected_revision` keep apart."""

import asyncio
from collections.abc import Awaitable, Callable

from domain.errors import UploadLocked
from domain.lock import Hold

Check = Callable[[], Awaitable[object]]

_HOLD = Hold()


class LocalLocks:
    """At most one holder a key; a newcomer asks the holder to let go."""

    def __init__(self) -> None:
        self._holders: dict[str, _Holding] = {}

    def hold(
        self, key: str, *, on_contention: Callable[[], None], patience_seconds: float, check: Check | None = None
    ) -> "_Holding":
        return _Holding(self._holders, key, on_contention, patience_seconds, check)


class _Holding:
    """One who holds a key or waits for it. A class of its own, since every request of an upload goes through it."""

    __slots__ = ("_check", "_holders", "_key", "_patience_seconds", "on_contention", "released")

    def __init__(
        self,
        holders: "dict[str, _Holding]",
        key: str,
        on_contention: Callable[[], None],
        patience_seconds: float,
        check: Check | None,
    ) -> None:
        self._holders = holders
        self._key = key
        self._patience_seconds = patience_seconds
        self._check = check
        self.on_contention = on_contention
        self.released = asyncio.Event()

    async def __aenter__(self) -> Hold:
        if self._key in self._holders:
            if self._check is not None:
                await self._check()
            await self._wait()
        # No await between the look and this line, so nobody can have come in between.
        self._holders[self._key] = self
        return _HOLD

    async def __aexit__(self, *_exc: object) -> None:
        del self._holders[self._key]
        self.released.set()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._patience_seconds):
                while (holder := self._holders.get(self._key)) is not None:
                    holder.on_contention()
                    await holder.released.wait()
        except TimeoutError as error:
            raise UploadLocked from error
