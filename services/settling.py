"""
Holds the counters of tenants to what they count, where a database does not write several records as one.

There a process that dies between two records leaves room taken for an upload that is not there, or that is over.
"""

from dataclasses import dataclass, replace

from domain.clock import Clock
from domain.errors import Conflict, NotFound
from domain.file import FILES
from domain.ids import SYSTEM
from domain.page import Order, PageRequest, Position, equals, one_of
from domain.records import Records
from domain.tenant import TENANTS, USAGES, Tenant, Usage
from domain.upload import UPLOADS, UploadStatus
from domain.version import FILE_VERSIONS

QUIET_SECONDS = 60.0  # longer than any write lasts
WALK_SECONDS = 3600.0  # between two looks at every tenant; the first is taken at once
BATCH = 100

_OPEN = (UploadStatus.CREATED, UploadStatus.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class _Suspicion:
    """Counters that were found wrong, what they should be, and when that was."""

    usage: Usage
    counted: Usage
    at: float


class UsageSettler:
    """Counters are set right once nothing about their tenant has changed for a while, so that no write is under way."""

    def __init__(self, *, records: Records, clock: Clock) -> None:
        self._tenants = records.collection(TENANTS)
        self._usages = records.collection(USAGES)
        self._uploads = records.collection(UPLOADS)
        self._files = records.collection(FILES)
        self._versions = records.collection(FILE_VERSIONS)
        self._clock = clock
        self._suspicions: dict[str, _Suspicion] = {}
        self._walked_at: float | None = None
        self._after: Position | None = None

    async def run_once(self) -> int:
        """Look at some tenants, set right what was wrong for long enough; gives for how many that was done."""
        now = self._clock.monotonic()
        settled = 0
        for tenant_id, suspicion in list(self._suspicions.items()):
            if now - suspicion.at >= QUIET_SECONDS:
                settled += await self._settle(tenant_id, suspicion)
        if self._walked_at is None or now - self._walked_at >= WALK_SECONDS:
            await self._walk()
        return settled

    async def _walk(self) -> None:
        """Look at the next batch of tenants."""
        request = PageRequest(BATCH, after=self._after)
        page = await self._tenants.list(SYSTEM, order=Order("created_at"), page=request)
        for tenant in page.items:
            await self._suspect(tenant.id)
        self._after = _position(page.items[-1]) if len(page.items) == BATCH else None
        if self._after is None:
            self._walked_at = self._clock.monotonic()

    async def _suspect(self, tenant_id: str) -> None:
        self._suspicions.pop(tenant_id, None)
        try:
            usage = await self._usages.get(tenant_id, tenant_id)
        except NotFound:
            return
        counted = await self._count(usage)
        if counted != usage:
            self._suspicions[tenant_id] = _Suspicion(usage, counted, self._clock.monotonic())

    async def _settle(self, tenant_id: str, suspicion: _Suspicion) -> int:
        await self._suspect(tenant_id)
        now = self._suspicions.get(tenant_id)
        if now is None or (now.usage, now.counted) != (suspicion.usage, suspicion.counted):
            return 0
        # What was put aside a moment ago may be a leftover of a change that broke off, and be counted twice.
        if await self._versions.count(tenant_id, [equals("is_settled", False)]):
            return 0
        # An upload that is about to become a file is counted as both; whoever carries on with it settles that.
        if await self._uploads.count(tenant_id, [one_of("status", (UploadStatus.ASSEMBLING,))]):
            return 0
        try:
            await self._usages.save(now.counted, expected_revision=now.usage.revision)
        except Conflict:
            return 0
        del self._suspicions[tenant_id]
        return 1

    async def _count(self, usage: Usage) -> Usage:
        """Give the counters as they should be."""
        tenant_id = usage.tenant_id
        reserved, after = 0, None
        while True:
            request = PageRequest(BATCH, after=after)
            where = [one_of("status", (*_OPEN, UploadStatus.ASSEMBLING))]
            page = await self._uploads.list(tenant_id, where, order=Order("created_at"), page=request)
            reserved += sum(upload.reserved_bytes for upload in page.items)
            if len(page.items) < BATCH:
                break
            after = Position(page.items[-1].created_at, page.items[-1].id)
        stored = await self._files.sum(tenant_id, "size") + await self._versions.sum(tenant_id, "size")
        files = await self._files.count(tenant_id)
        return replace(usage, file_count=files, bytes_total=stored + reserved, bytes_in_flight=reserved)


def _position(tenant: Tenant) -> Position:
    return Position(tenant.created_at, tenant.id)
