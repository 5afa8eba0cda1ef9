"""The loader: batches, what is not there, and failures."""

import asyncio

import pytest

from resolvers.loaders import BATCH_SIZE_MAX, Loader


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Store:
    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fault: Exception | None = None

    async def fetch(self, keys: list[str]) -> dict[str, str]:
        self.batches.append(keys)
        if self.fault is not None:
            raise self.fault
        return {key: key.upper() for key in keys if key != "missing"}


async def test_keys_of_one_turn_are_fetched_together() -> None:
    """Each once, and what is not there is None."""
    store = Store()
    loader = Loader[str, str](store.fetch)

    found = await asyncio.gather(*(loader.load(key) for key in ("a", "b", "a", "missing")))

    assert found == ["A", "B", "A", None]
    assert store.batches == [["a", "b", "missing"]]
    assert await loader.load("a") == "A"
    assert len(store.batches) == 1


async def test_a_batch_has_a_limit() -> None:
    """As the services do."""
    store = Store()
    loader = Loader[str, str](store.fetch)

    await asyncio.gather(*(loader.load(str(number)) for number in range(BATCH_SIZE_MAX + 1)))

    assert [len(batch) for batch in store.batches] == [BATCH_SIZE_MAX, 1]


async def test_a_failure_reaches_everyone_who_waits() -> None:
    """And nobody waits for ever."""
    store = Store()
    store.fault = RuntimeError("gone")
    loader = Loader[str, str](store.fetch)

    found = await asyncio.gather(loader.load("a"), loader.load("b"), return_exceptions=True)

    assert found == [store.fault, store.fault]


async def test_one_who_gives_up_does_not_take_the_others_along() -> None:
    """A cancelled field leaves the batch running."""
    store = Store()
    loader = Loader[str, str](store.fetch)
    impatient = asyncio.ensure_future(loader.load("a"))
    patient = asyncio.ensure_future(loader.load("a"))
    await asyncio.sleep(0)

    impatient.cancel()

    assert await patient == "A"
