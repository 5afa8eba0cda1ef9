"""How often something may be tried: a rate, and who counts."""

import re
from dataclasses import dataclass
from typing import Protocol

from domain.errors import InvalidValue

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,3})?([smhd])", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rate:
    """
    So many tries in so long a time.

    All of them may come at once; after that one more is free each `seconds / times`.
    """

    times: int
    seconds: int


def parse_rate(text: str) -> Rate | None:
    """
    Read a rate as it is written in a setting: `10/15m` for ten in fifteen minutes, `off` for no limit.

    Raises:
        InvalidValue: It has another form.
    """
    text = text.strip().lower()
    if text == "off":
        return None
    match = _FORM.fullmatch(text)
    if match is None:
        raise InvalidValue("a rate is written as 10/15m: times, a slash, a number and one of s, m, h, d; or off")
    return Rate(times=int(match[1]), seconds=int(match[2] or 1) * _UNITS[match[3]])


class RateLimits(Protocol):
    """Counts tries by key."""

    async def hit(self, key: str, rate: Rate) -> None:
        """Count one try, or raise RateLimited and count none."""
        ...

    async def forget(self, key: str) -> None:
        """Let the key begin anew."""
        ...
