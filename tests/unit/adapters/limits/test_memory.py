"""Rate limits in memory: how many, how soon again, and how much is kept."""

import pytest

from adapters.limits.memory import MemoryRateLimits
from domain.errors import InvalidValue, RateLimited
from domain.rate import Rate, parse_rate
from tests.support.product import FakeClock

TEN = Rate(10, 900)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def hits(limits: MemoryRateLimits, count: int, *, key: str = "a", rate: Rate = TEN) -> int | None:
    """Try so often; gives the seconds to wait once it was refused."""
    for _ in range(count):
        try:
            await limits.hit(key, rate)
        except RateLimited as error:
            return error.retry_after_seconds
    return None


async def test_as_many_as_allowed_may_come_at_once(clock):
    """And the next is told when it may."""
    limits = MemoryRateLimits(clock=clock)

    assert None is await hits(limits, 10)
    assert 90 == await hits(limits, 1)
    assert None is await hits(limits, 10, key="b")


async def test_one_more_is_free_after_its_share_of_the_time(clock):
    """Exactly then, not a moment before."""
    limits = MemoryRateLimits(clock=clock)
    await hits(limits, 10)
    clock.advance(seconds=89)
    early = await hits(limits, 1)
    clock.advance(seconds=1)

    assert (1, None, 90) == (early, await hits(limits, 1), await hits(limits, 1))


async def test_all_are_free_after_the_whole_time(clock):
    """Refused tries are not held against anybody."""
    limits = MemoryRateLimits(clock=clock)
    await hits(limits, 10)
    for _ in range(100):
        await hits(limits, 1)
    clock.advance(seconds=900)

    assert None is await hits(limits, 10)
    assert 90 == await hits(limits, 1)


async def test_forgotten_key_begins_anew(clock):
    """As after a right log-in."""
    limits = MemoryRateLimits(clock=clock)
    await hits(limits, 11)
    await limits.forget("a")
    await limits.forget("never seen")

    assert None is await hits(limits, 10)


async def test_no_more_keys_are_kept_than_may_be(clock):
    """The one longest not tried goes; names can be made up without end."""
    limits = MemoryRateLimits(clock=clock, keys_max=3)
    for key in "abc":
        await hits(limits, 10, key=key)
    await hits(limits, 1, key="a")
    await hits(limits, 1, key="d")

    assert 90 == await hits(limits, 1, key="b")
    assert None is await hits(limits, 10, key="a")


@pytest.mark.parametrize(
    ("text", "rate"),
    [("10/15m", TEN), ("5/h", Rate(5, 3600)), ("1/1s", Rate(1, 1)), (" 2/D ", Rate(2, 86400)), ("off", None)],
)
def test_rate_is_read(text, rate):
    """As settings write it."""
    assert rate == parse_rate(text)


@pytest.mark.parametrize("text", ["", "10", "10/", "/m", "0/m", "10/0m", "-1/m", "10/m/m", "10/15w", "1.5/m", "ten/m"])
def test_rate_that_is_none_is_refused(text):
    """With a word about what would be one."""
    with pytest.raises(InvalidValue, match="10/15m"):
        parse_rate(text)
