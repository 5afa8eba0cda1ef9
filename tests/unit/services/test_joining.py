"""Look-ups that many share."""

import asyncio

import pytest

from services.joining import Joined


class Source:
    """Gives an answer when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.may_answer = asyncio.Event()

    async def look_up(self, key: str) -> str:
        self.asked.append(key)
        await self.may_answer.wait()
        if key == "broken":
            raise ValueError(key)
        return f"{key} {len(self.asked)}"


@pytest.fixture
def source() -> Source:
    return Source()


async def test_who_asks_at_once_shares_one_look_up(source: Source) -> None:
    """And who asks for something else has another."""
    joined = Joined(source.look_up)
    asking = [asyncio.create_task(joined.get(key)) for key in ("a", "b", "a", "a")]
    source.may_answer.set()

    assert [await one for one in asking] == ["a 1", "b 2", "a 1", "a 1"]
    assert source.asked == ["a", "b"]


async def test_who_comes_after_it_has_begun_gets_another(source: Source) -> None:
    """What woke them may have happened since."""
    joined = Joined(source.look_up)
    early = asyncio.create_task(joined.get("a"))
    while not source.asked:
        await asyncio.sleep(0)
    late = asyncio.create_task(joined.get("a"))
    while len(source.asked) < 2:
        await asyncio.sleep(0)
    source.may_answer.set()

    assert {await early, await late} == {"a 2"}


async def test_each_learns_of_an_error_and_the_next_asks_anew(source: Source) -> None:
    """Nothing of it is kept."""
    joined = Joined(source.look_up)
    source.may_answer.set()
    for _ in range(2):
        outcomes = await asyncio.gather(joined.get("broken"), joined.get("broken"), return_exceptions=True)
        assert [type(one) for one in outcomes] == [ValueError, ValueError]

    assert source.asked == ["broken", "broken"]


async def test_one_who_leaves_takes_it_from_nobody(source: Source) -> None:
    """Not even the first, who brought it about."""
    joined = Joined(source.look_up)
    first, second = (asyncio.create_task(joined.get("a")) for _ in range(2))
    while not source.asked:
        await asyncio.sleep(0)
    first.cancel()
    source.may_answer.set()

    assert await second == "a 1"
    with pytest.raises(asyncio.CancelledError):
        await first
