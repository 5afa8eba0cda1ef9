"""The use cases of a tenant's members: who they are, asking somebody in, roles, and out again."""

from dataclasses import dataclass, replace
from datetime import timedelta

from auth.policy import Action, require
from domain.apikey import API_KEYS
from domain.audit import AuditAction
from domain.clock import Clock
from domain.errors import Conflict, InvalidValue, NotFound, PermissionDenied, Unauthenticated
from domain.ids import SYSTEM, TenantId, UserId
from domain.page import PAGE_SIZE_MAX, Order, Page, PageRequest, Position, encode_cursor, equals, page_request
from domain.principal import Principal
from domain.records import Add, Delete, Records, Save, Write
from domain.tenant import MEMBERSHIPS, TENANTS, Membership, Tenant, TenantRole, membership_id
from domain.ticket import Purpose, Ticket
from domain.user import USERS, parse_email
from services import letters
from services.audit import AuditLog
from services.mailing import Postman
from services.throttling import Throttle
from services.tickets import Tickets

INVITATION_LIFETIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class MemberPage:
    """One page of members, and what its cursors are made with."""

    page: Page[Membership]
    scope: str

    def cursor_of(self, membership: Membership) -> str:
        return encode_cursor(Position(membership.joined_at, membership.id), scope=self.scope)


class MemberService:
    """
    Who changes members saves the tenant's record with it: of two changes at once one is refused, so that two owners
    cannot put each other out and leave nobody.
    """

    def __init__(
        self,
        *,
        records: Records,
        tickets: Tickets,
        postman: Postman,
        audit: AuditLog,
        throttle: Throttle,
        clock: Clock,
    ) -> None:
        self._records = records
        self._memberships = records.collection(MEMBERSHIPS)
        self._tenants = records.collection(TENANTS)
        self._tickets = tickets
        self._postman = postman
        self._audit = audit
        self._throttle = throttle
        self._clock = clock

    async def list_members(
        self, principal: Principal, *, first: int | None = None, after: str | None = None
    ) -> MemberPage:
        """Give the members of the token's tenant, in the order of joining."""
        tenant_id = require(principal, Action.SEE_MEMBERS)
        scope = f"members {tenant_id}"
        request = page_request(first=first, after=after, last=None, before=None, scope=scope)
        where = [equals("member_of", tenant_id)]
        return MemberPage(await self._memberships.list(SYSTEM, where, order=Order("joined_at"), page=request), scope)

    async def count_members(self, principal: Principal) -> int:
        tenant_id = require(principal, Action.SEE_MEMBERS)
        return await self._memberships.count(SYSTEM, [equals("member_of", tenant_id)])

    # ---- in

    async def invite(self, principal: Principal, email: str, role: TenantRole, *, client: str) -> None:
        """
        Send a letter that lets its reader into the tenant; an account is made with it or was there before.

        Raises:
            InvalidValue: This is no address.
            PermissionDenied: The caller may not, or not with this role.
            RateLimited: Too many letters to this address.
        """
        tenant_id = require(principal, Action.MANAGE_MEMBERS)
        _require_reach(principal, role)
        email = parse_email(email)
        await self._throttle.mail(email)
        tenant = await self._tenants.get(SYSTEM, tenant_id)
        secret = await self._tickets.invite(email, tenant_id, role, INVITATION_LIFETIME)
        await self._records.write(self._entry(AuditAction.MEMBER_INVITED, principal, None, client, role.value))
        self._postman.post(letters.invitation(email, tenant=tenant.name, token=secret, lifetime=INVITATION_LIFETIME))

    async def find_invitation(self, token: str, email: str) -> Ticket:
        """Give an invitation that was sent to this address; raises TokenInvalid, TokenExpired or InvalidValue."""
        ticket = await self._tickets.find(token, Purpose.INVITE)
        if ticket.email != email:
            raise InvalidValue("this invitation was sent to another address", path=("email",))
        return ticket

    def joining(self, ticket: Ticket, user_id: UserId, *, client: str) -> tuple[Write, ...]:
        """Give the writes that an invitation is good for."""
        assert ticket.invited_to is not None
        assert ticket.role is not None
        joined = Membership(
            membership_id(user_id, ticket.invited_to), user_id, ticket.invited_to, ticket.role, self._clock.now()
        )
        entry = self._audit.entry(
            AuditAction.MEMBER_JOINED, user_id, tenant_id=ticket.invited_to, client=client, detail=ticket.role.value
        )
        # Who is a member already stays what they are: an old letter must not change a role.
        return Add(MEMBERSHIPS, joined, if_absent=True), entry

    async def accept(self, principal: Principal, token: str, *, client: str) -> Tenant:
        """
        Join a tenant with the account that one has.

        Raises:
            TokenInvalid, TokenExpired: The invitation was used before, is too old, or is none.
            InvalidValue: It was sent to another address.
        """
        if principal.user_id is None:
            raise Unauthenticated("this needs a log-in")
        if principal.api_key_id is not None or principal.upload_id is not None:
            raise PermissionDenied("an invitation is accepted by somebody who is logged in")
        await self._throttle.address(client)
        user = await self._records.collection(USERS).get(SYSTEM, principal.user_id)
        ticket = await self.find_invitation(token, user.email or "")
        assert ticket.invited_to is not None
        await self._tickets.redeem(ticket, *self.joining(ticket, principal.user_id, client=client))
        return await self._tenants.get(SYSTEM, ticket.invited_to)

    # ---- roles, and out

    async def set_role(self, principal: Principal, user_id: UserId, role: TenantRole, *, client: str) -> Membership:
        """
        Give a member another role.

        Raises:
            NotFound: There is no such member.
            PermissionDenied: The caller may not, or not with this role or this member.
            Conflict: Nobody would be left who owns the tenant, or another change was faster.
        """
        tenant_id = require(principal, Action.MANAGE_MEMBERS)
        _require_reach(principal, role)
        tenant, found = await self._find(tenant_id, user_id)
        _require_reach(principal, found.role)
        if found.role is TenantRole.OWNER and role is not TenantRole.OWNER:
            await self._require_another_owner(found)
        await self._records.write(
            Save(TENANTS, tenant, tenant.revision),
            Save(MEMBERSHIPS, replace(found, role=role), found.revision),
            self._entry(AuditAction.ROLE_CHANGED, principal, user_id, client, f"{found.role.value} to {role.value}"),
        )
        return replace(found, role=role, revision=found.revision + 1)

    async def remove(self, principal: Principal, user_id: UserId, *, client: str) -> Membership:
        """
        Put a member out, or go oneself. Files stay the tenant's; API keys that they made for it end.

        Raises: As `set_role` does.
        """
        is_self = user_id == principal.user_id
        tenant_id = require(principal, Action.LEAVE_TENANT if is_self else Action.MANAGE_MEMBERS)
        tenant, found = await self._find(tenant_id, user_id)
        if not is_self:
            _require_reach(principal, found.role)
        if found.role is TenantRole.OWNER:
            await self._require_another_owner(found)
        keys = await self._records.collection(API_KEYS).list(
            SYSTEM, [equals("user_id", user_id)], order=Order("created_at"), page=PageRequest(PAGE_SIZE_MAX)
        )
        await self._records.write(
            Save(TENANTS, tenant, tenant.revision),
            *(Delete(API_KEYS, SYSTEM, key.id) for key in keys.items if key.in_tenant == tenant_id),
            Delete(MEMBERSHIPS, SYSTEM, found.id),
            self._entry(AuditAction.MEMBER_REMOVED, principal, user_id, client, found.role.value),
        )
        return found

    async def _find(self, tenant_id: TenantId, user_id: UserId) -> tuple[Tenant, Membership]:
        # The tenant first: what is read after it cannot be older than the revision that it is saved at.
        tenant = await self._tenants.get(SYSTEM, tenant_id)
        try:
            return tenant, await self._memberships.get(SYSTEM, membership_id(user_id, tenant_id))
        except NotFound as error:
            raise NotFound("member") from error

    async def _require_another_owner(self, leaving: Membership) -> None:
        after = None
        while True:
            page = await self._memberships.list(
                SYSTEM,
                [equals("member_of", leaving.member_of)],
                order=Order("joined_at"),
                page=PageRequest(PAGE_SIZE_MAX, after=after),
            )
            if any(one.role is TenantRole.OWNER and one.id != leaving.id for one in page.items):
                return
            if not page.has_next:
                raise Conflict("a tenant needs an owner; make another member owner first")
            after = Position(page.items[-1].joined_at, page.items[-1].id)

    def _entry(
        self, action: AuditAction, principal: Principal, subject_id: UserId | None, client: str, detail: str
    ) -> Write:
        assert principal.tenant_id is not None
        return self._audit.entry(
            action,
            principal.user_id,
            tenant_id=principal.tenant_id,
            subject_id=subject_id,
            client=client,
            detail=detail,
        )


def _require_reach(principal: Principal, role: TenantRole) -> None:
    """Let nobody give, change or take away a role above their own."""
    if principal.role is None or not principal.role.covers(role):
        raise PermissionDenied(f"only an {TenantRole.OWNER.value} may do this to an {role.value}")
