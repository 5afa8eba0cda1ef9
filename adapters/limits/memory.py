"""
Rate limits in memory: of each key one moment is kept, at which all its tries will be forgiven (the generic cell rate
algorithm of ATM Forum TM 4.1). A try costs the same whatever the number of keys.
"""

import math
from collections import OrderedDict

from domain.clock import Clock
from domain.errors import RateLimited
from domain.rate import Rate

KEYS_MAX = 100_000  # about 20 MB; past that, the key that was longest not tried is forgotten


class MemoryRateLimits:
    """Counts for one process: of N processes of a server, each counts by itself."""

    def __init__(self, *, clock: Clock, keys_max: int = KEYS_MAX) -> None:
        self._clock = clock
        self._keys_max = keys_max
        self._forgiven_at: OrderedDict[str, float] = OrderedDict()

    async def hit(self, key: str, rate: Rate) -> None:
        now = self._clock.monotonic()
        interval = rate.seconds / rate.times
        forgiven_at = max(self._forgiven_at.get(key, now), now) + interval
        wait = forgiven_at - now - rate.seconds
        # Less than a microsecond is what adding up fractions leaves.
        if wait > 1e-6:
            raise RateLimited(retry_after_seconds=math.ceil(wait - 1e-6))
        self._forgiven_at[key] = forgiven_at
        self._forgiven_at.move_to_end(key)
        while len(self._forgiven_at) > self._keys_max:
            self._forgiven_at.popitem(last=False)

    async def forget(self, key: str) -> None:
        self._forgiven_at.pop(key, None)
