"""The audit log: what is written, and who may read it."""

from domain.audit import AUDIT_EVENTS, AuditAction, AuditEvent
from domain.clock import Clock
from domain.ids import SYSTEM, UserId, new_audit_id
from domain.records import Add, Records


class AuditLog:
    def __init__(self, *, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock

    def entry(
        self,
        action: AuditAction,
        actor_id: UserId | None,
        *,
        tenant_id: str = SYSTEM,
        subject_id: str | None = None,
        client: str | None = None,
        detail: str | None = None,
    ) -> Add[AuditEvent]:
        """Make the write of an act, to be done together with the act itself."""
        now = self._clock.now()
        event = AuditEvent(new_audit_id(now), tenant_id, now, action, actor_id, subject_id, client, detail)
        return Add(AUDIT_EVENTS, event)

    async def record(
        self, action: AuditAction, actor_id: UserId | None, *, client: str | None = None, detail: str | None = None
    ) -> None:
        """Write down an act of a user's own."""
        await self._records.write(self.entry(action, actor_id, client=client, detail=detail))
