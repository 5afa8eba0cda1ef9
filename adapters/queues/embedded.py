"""The queue of jobs that is made of their records alone: nothing has to be started, nothing can be out of step."""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from domain.clock import Clock
from domain.errors import Conflict, LeaseLost, NotFound
from domain.job import JOBS, Job
from domain.page import Condition, Order, PageRequest, below, equals, one_of
from domain.records import Records, Save, Write

CANDIDATES = 20  # jobs looked at in one try; with more workers than that on one queue some find nothing, and come again
TRIES = 3
_LONGEST_DUE = Order("due_at")


class EmbeddedQueue:
    def __init__(self, *, records: Records, clock: Clock) -> None:
        self._records = records
        self._jobs = records.collection(JOBS)
        self._clock = clock

    async def announce(self) -> int:
        return 0

    async def receive(
        self, *, kinds: Sequence[str] | None = None, tenant_id: str | None = None, seconds: float
    ) -> Job | None:
        for _ in range(TRIES):
            candidates = await self._due(kinds, tenant_id)
            for job in candidates:
                taken = await self.take(job, seconds=seconds)
                if taken is not None:
                    return taken
            if not candidates:
                return None
        return None

    async def take(self, job: Job, *, seconds: float) -> Job | None:
        now = self._clock.now()
        if not job.is_due(now=now):
            return None
        until = now + timedelta(seconds=seconds)
        leased = job.lease(secrets.token_urlsafe(16), now=now, until=until)
        try:
            return await self._jobs.save(leased, expected_revision=job.revision)
        except (Conflict, NotFound):
            return None

    async def extend(self, job: Job, lease_id: str, *, seconds: float, progress: float | None = None) -> Job:
        while True:
            found = await self._found(job, lease_id)
            extended = found.extend(until=self._clock.now() + timedelta(seconds=seconds), progress=progress)
            try:
                return await self._jobs.save(extended, expected_revision=found.revision)
            except Conflict:
                continue  # taken over, which the next look tells, or extended twice at once

    async def acknowledge(self, job: Job, lease_id: str, after: Job, *also: Write) -> None:
        found = await self._found(job, lease_id)
        await self._records.write(Save(JOBS, after, found.revision), *also)

    async def reject(self, job: Job, lease_id: str, after: Job) -> None:
        found = await self._found(job, lease_id)
        await self._jobs.save(after, expected_revision=found.revision)

    async def _due(self, kinds: Sequence[str] | None, tenant_id: str | None) -> Sequence[Job]:
        # Times are whole milliseconds: what is due at this one is due now.
        where: list[Condition] = [below("due_at", self._clock.now() + timedelta(milliseconds=1))]
        if kinds is not None:
            where.insert(0, equals("kind", kinds[0]) if len(kinds) == 1 else one_of("kind", kinds))
        if tenant_id is None:
            return await self._jobs.scan(where, order=_LONGEST_DUE, limit=CANDIDATES)
        return (await self._jobs.list(tenant_id, where, order=_LONGEST_DUE, page=PageRequest(CANDIDATES))).items

    async def _found(self, job: Job, lease_id: str) -> Job:
        try:
            found = await self._jobs.get(job.tenant_id, job.id)
        except NotFound as error:
            raise LeaseLost from error  # its file went away, or has other content now
        found.require_lease(lease_id)
        return found
