"""What is read for every request and changes once in a month, believed for a moment."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from domain.clock import Clock

V = TypeVar("V")

BELIEVED_SECONDS = 1.0  # how late a change may be seen, in every process; as long as a checked token is believed
REMEMBERED_MAX = 10_000


class Remembered(Generic[V]):
    """
    Values by key. A fault of reading is raised, and never remembered.

    Args:
        read: Gives the value of a key.
    """

    def __init__(self, read: Callable[[str], Awaitable[V]], *, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._known: dict[str, tuple[V, float]] = {}

    async def get(self, key: str) -> V:
        known = self._known.get(key)
        now = self._clock.monotonic()
        if known is not None and now < known[1]:
            return known[0]
        if len(self._known) >= REMEMBERED_MAX:
            self._known.clear()
        value = await self._read(key)
        self._known[key] = value, now + BELIEVED_SECONDS
        return value
