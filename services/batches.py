"""Work on many things of which some may fail: the others are done all the same."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from domain.errors import Conflict, LighterageError, NotFound

T = TypeVar("T")


async def each(found: Iterable[T], act: Callable[[T], Awaitable[object]]) -> int:
    """
    Act on every one, and give for how many it was done.

    Raises:
        LighterageError: The first fault there was, when all have had their turn.
    """
    done = 0
    faults: list[LighterageError] = []
    for one in found:
        try:
            await act(one)
        except (Conflict, NotFound):
            # Somebody was faster, a user or another process; what is left to do the next round finds.
            continue
        except LighterageError as error:
            faults.append(error)
            continue
        done += 1
    if faults:
        raise faults[0]
    return done
