"""The audit log: what is written, and who may read it."""

from dataclasses import dataclass

from auth.policy import Action, require
from domain.audit import AUDIT_EVENTS, AuditAction, AuditEvent
from domain.clock import Clock
from domain.errors import Unauthenticated
from domain.ids import SYSTEM, UserId, new_audit_id
from domain.page import Order, Page, Position, encode_cursor, equals, page_request
from domain.principal import Principal
from domain.records import Add, Records

_NEWEST_FIRST = Order("number", descending=True)


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of acts, and what its cursors are made with."""

    page: Page[AuditEvent]
    scope: str

    def cursor_of(self, event: AuditEvent) -> str:
        return encode_cursor(Position(event.number, event.id), scope=self.scope)


class AuditLog:
    def __init__(self, *, records: Records, clock: Clock) -> None:
        self._records = records
        self._events = records.collection(AUDIT_EVENTS)
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

    async def of_tenant(self, principal: Principal, *, first: int | None = None, after: str | None = None) -> AuditPage:
        """Give what was done in the token's tenant, newest first."""
        tenant_id = require(principal, Action.READ_AUDIT)
        scope = f"audit {tenant_id}"
        request = page_request(first=first, after=after, last=None, before=None, scope=scope)
        return AuditPage(await self._events.list(tenant_id, order=_NEWEST_FIRST, page=request), scope)

    async def of_oneself(
        self, principal: Principal, *, first: int | None = None, after: str | None = None
    ) -> AuditPage:
        """Give what was done with the caller's own account, newest first: log-ins, wrong ones too, and passwords."""
        if principal.user_id is None or principal.upload_id is not None:
            raise Unauthenticated("this needs a log-in")
        scope = f"audit of {principal.user_id}"
        request = page_request(first=first, after=after, last=None, before=None, scope=scope)
        where = [equals("actor_id", principal.user_id)]
        return AuditPage(await self._events.list(SYSTEM, where, order=_NEWEST_FIRST, page=request), scope)
