"""What time it is. Everything that needs the time is handed a Clock; only this module asks the machine."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Give the wall clock: aware, UTC, whole milliseconds (what every face and database keeps)."""
        ...

    def monotonic(self) -> float:
        """Give seconds that never run backwards, for durations and leases."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time_ns() // 1_000_000 / 1000, UTC)

    def monotonic(self) -> float:
        return time.monotonic()
