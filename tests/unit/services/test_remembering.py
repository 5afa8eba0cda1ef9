"""Values that are believed for a moment."""

import pytest

from domain.errors import StoreUnavailable
from services.remembering import BELIEVED_SECONDS, REMEMBERED_MAX, Remembered
from tests.support.product import FakeClock


class Source:
    """Values that change, and how often they were asked for."""

    def __init__(self) -> None:
        self.values = {"a": 1}
        self.reads = 0
        self.is_away = False

    async def read(self, key: str) -> int:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable("database")
        return self.values.get(key, 0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_change_is_seen_when_the_moment_is_over():
    """No sooner, which is the use of it, and no later."""
    clock, source = FakeClock(), Source()
    remembered = Remembered(source.read, clock=clock)

    before = [await remembered.get("a") for _ in range(3)]
    source.values["a"] = 2
    clock.advance(seconds=BELIEVED_SECONDS - 0.1)
    within = await remembered.get("a")
    clock.advance(seconds=0.1)
    after = await remembered.get("a")

    assert ([1, 1, 1], 1, 2) == (before, within, after)
    assert source.reads == 2


async def test_fault_is_not_remembered():
    source = Source()
    remembered = Remembered(source.read, clock=FakeClock())

    source.is_away = True
    with pytest.raises(StoreUnavailable):
        await remembered.get("a")
    source.is_away = False

    assert await remembered.get("a") == 1


async def test_number_of_values_is_bounded():
    remembered = Remembered(Source().read, clock=FakeClock())

    for number in range(REMEMBERED_MAX + 5):
        await remembered.get(str(number))

    assert len(remembered._known) <= REMEMBERED_MAX
