"""What many ask at the same moment is looked up once."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Joined(Generic[K, V]):
    """
    Gives all who ask for one key in one turn of the event loop the outcome of one look-up.

    Who comes after it has begun gets another: a signal that woke them may tell of what it did not see. A cancelled
    caller leaves it running for the others.
    """

    def __init__(self, look_up: Callable[[K], Awaitable[V]]) -> None:
        self._look_up = look_up
        self._coming: dict[K, _Coming[V]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V:
        coming = self._coming.get(key)
        if coming is None:
            coming = self._coming[key] = _Coming()
            asyncio.get_running_loop().call_soon(self._begin, key)
        await coming.is_there.wait()
        if coming.error is not None:
            raise coming.error
        return coming.values[0]

    def _begin(self, key: K) -> None:
        task = asyncio.create_task(self._answer(key, self._coming.pop(key)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, key: K, coming: "_Coming[V]") -> None:
        try:
            coming.values.append(await self._look_up(key))
        except Exception as error:
            coming.error = error
        except BaseException:
            coming.error = asyncio.CancelledError()
            raise
        finally:
            coming.is_there.set()


@dataclass(slots=True)
class _Coming(Generic[V]):
    """What a look-up will give: one value, or an error. Many wait, and none can cancel it for the others."""

    is_there: asyncio.Event = field(default_factory=asyncio.Event)
    values: list[V] = field(default_factory=list)
    error: BaseException | None = None
