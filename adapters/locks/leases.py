"""
Locks among processes that share a database: a lease in a record, renewed while it is held, taken over when it ran out.

Within a process the newcomer and the holder meet in memory first, so one process costs one lease a key. A holder that
died on this very machine is not waited for: that it is gone can be seen.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Self

from adapters.locks.local import Check, LocalLocks
from domain.clock import Clock
from domain.errors import Conflict, LighterageError, NotFound, UploadLocked
from domain.ids import SYSTEM
from domain.lock import LEASES, Hold, Lease
from domain.records import Records

LEASE_SECONDS = 10.0  # a process that died on another machine keeps its uploads from others for so long at most
RENEW_SECONDS = 2.5  # three tries before a lease runs out
WATCH_SECONDS = 0.2  # how soon a holder notices that it is wanted elsewhere
SEEN_MAX = 10_000  # leases of others that are remembered; the one waited for the longest ago is forgotten first
ASK_SECONDS = 0.05  # how soon a newcomer notices that the holder let go


@dataclass(frozen=True, slots=True)
class _Process:
    """A process as an owner of leases: where it runs, its number there, and when it began, as numbers come again."""

    host: str
    pid: int
    began: str

    @classmethod
    def this(cls) -> Self:
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _began(pid) or secrets.token_hex(8))

    @property
    def name(self) -> str:
        return f"{self.host}/{self.pid}/{self.began}"

    def sees_dead(self, owner: str) -> bool:
        """Tell whether an owner ran on this host and is gone for sure."""
        host, pid, began, *_ = [*owner.split("/"), "", "", ""]
        if host != self.host or not pid.isdecimal():
            return False
        found = _began(int(pid))
        # A container's first process has the same number each time, but never the same beginning.
        return found is not None and found != began


def _began(pid: int) -> str | None:
    """Tell when a process began, in the kernel's ticks; "" where there is none, None where it cannot be told."""
    if not Path("/proc/self/stat").exists():
        return None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    # proc(5): the name stands in parentheses and may hold any character; starttime is the 20th field behind it.
    return stat.rpartition(")")[2].split()[19]


async def _end(task: "asyncio.Task[None]") -> None:
    """
    Cancel a task until it has ended.

    Once is not enough: `asyncio.wait_for` of Python 3.11, which database drivers use, may swallow a cancellation that
    meets an answer. The task would go on for ever, and with it the lease.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=WATCH_SECONDS / 2)


class LeaseLocks:
    """
    At most one holder a key, among all processes on one database.

    A holder that cannot renew its lease, since the database is away, is told of contention: it has to stop before
    somebody else takes over.
    """

    def __init__(self, *, records: Records, clock: Clock, lease_seconds: float = LEASE_SECONDS) -> None:
        self._leases = records.collection(LEASES)
        self._clock = clock
        self._lifetime = timedelta(seconds=lease_seconds)
        self._local = LocalLocks()
        self._process = _Process.this()
        # Leases that stood in somebody's way here, as they were, and since when they have been so.
        self._seen: dict[str, tuple[Lease, float]] = {}

    @asynccontextmanager
    async def hold(
        self, key: str, *, on_contention: Callable[[], None], patience_seconds: float, check: Check | None = None
    ) -> AsyncGenerator[Hold, None]:
        if check is not None:
            await check()  # a lease is written, so always
        async with self._local.hold(key, on_contention=on_contention, patience_seconds=patience_seconds):
            owner = f"{self._process.name}/{secrets.token_hex(4)}"
            hold = await self._take(key, owner, patience_seconds)
            watching = asyncio.create_task(self._keep(key, owner, on_contention))
            try:
                yield hold
            finally:
                await _end(watching)
                await self._release(key, owner)

    async def _take(self, key: str, owner: str, patience_seconds: float) -> Hold:
        # Patience is looked at between the writes: one that is cancelled may happen all the same, and the lease that
        # it leaves would keep everybody out until it runs out.
        now_seconds = asyncio.get_running_loop().time
        impatient_at = now_seconds() + patience_seconds
        while True:
            now = self._clock.now()
            mine = Lease(key, owner, now + self._lifetime)
            try:
                lease = await self._find(key)
                if lease is None:
                    await self._leases.add(mine)
                    return Hold()
                if not lease.owner or lease.until <= now or self._is_dead(lease):
                    await self._leases.save(replace(mine, revision=lease.revision), expected_revision=lease.revision)
                    self._seen.pop(key, None)
                    return Hold(was_stolen=bool(lease.owner))
                if not lease.is_wanted:
                    await self._leases.save(replace(lease, is_wanted=True), expected_revision=lease.revision)
            except (Conflict, NotFound):
                continue  # another was faster, the holder or a second newcomer; look again
            if now_seconds() + ASK_SECONDS > impatient_at:
                raise UploadLocked
            await asyncio.sleep(ASK_SECONDS)

    def _is_dead(self, lease: Lease) -> bool:
        """
        Tell whether a lease's owner is gone for sure, or has not renewed it for as long as it lasts.

        The latter counts when clocks were set back, or differ: then `until` may be far away.
        """
        if self._process.sees_dead(lease.owner):
            return True
        now = self._clock.monotonic()
        seen, since = self._seen.get(lease.id, (lease, now))
        if (seen.owner, seen.until) != (lease.owner, lease.until):
            since = now
        if lease.id not in self._seen and len(self._seen) >= SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        self._seen[lease.id] = (lease, since)
        return now - since >= self._lifetime.total_seconds()

    async def _keep(self, key: str, owner: str, on_contention: Callable[[], None]) -> None:
        """Renew the lease and pass on that it is wanted, until cancelled or lost."""
        renewed_at = self._clock.monotonic()
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            age = self._clock.monotonic() - renewed_at
            try:
                lease = await self._find(key)
                if lease is None or lease.owner != owner:
                    on_contention()
                    return
                if lease.is_wanted:
                    on_contention()
                if age >= RENEW_SECONDS:
                    renewed = replace(lease, until=self._clock.now() + self._lifetime)
                    await self._leases.save(renewed, expected_revision=lease.revision)
                    renewed_at = self._clock.monotonic()
            except Conflict:
                continue
            except LighterageError:
                if age >= self._lifetime.total_seconds() / 2:
                    on_contention()

    async def _release(self, key: str, owner: str) -> None:
        """Let go; a lease that cannot be given back runs out by itself."""
        with suppress(LighterageError):
            while (lease := await self._find(key)) is not None and lease.owner == owner:
                with suppress(Conflict):
                    free = replace(lease, owner="", is_wanted=False)
                    await self._leases.save(free, expected_revision=lease.revision)

    async def _find(self, key: str) -> Lease | None:
        try:
            return await self._leases.get(SYSTEM, key)
        except NotFound:
            return None
