"""Members, the tenant's settings, and the audit log."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import strawberry

from domain.errors import InvalidValue, LighterageError
from domain.tenant import TenantRole
from resolvers.context import Info
from resolvers.ids import parse_user_id
from schema.accounts import Membership, Tenant
from schema.errors import refusal
from schema.members import (
    AcceptInvitationInput,
    AcceptInvitationPayload,
    AuditEvent,
    InviteMemberInput,
    InviteMemberPayload,
    RemoveMemberInput,
    RemoveMemberPayload,
    UpdateMemberInput,
    UpdateMemberPayload,
    UpdateTenantInput,
    UpdateTenantPayload,
)
from schema.pagination import Connection
from services.audit import AuditPage
from services.tenants import TenantChanges

First = Annotated[int, strawberry.argument(description="At most so many, up to 100.")]
After = Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")]


async def audit_events(info: Info, first: First = 20, after: After = None) -> Connection[AuditEvent]:
    return await _events(info.context.services.audit.of_tenant, info, first, after)


async def security_events(info: Info, first: First = 20, after: After = None) -> Connection[AuditEvent]:
    return await _events(info.context.services.audit.of_oneself, info, first, after)


async def _events(
    ask: Callable[..., Awaitable[AuditPage]], info: Info, first: int, after: str | None
) -> Connection[AuditEvent]:
    found = await ask(info.context.principal, first=first, after=after)

    async def count() -> None:
        return None

    return Connection(
        nodes=[AuditEvent.from_domain(event) for event in found.page.items],
        has_next=found.page.has_next,
        has_previous=found.page.has_previous,
        cursor_at=lambda place: found.cursor_of(found.page.items[place]),
        count=count,
    )


async def invite_member(
    info: Info, input: Annotated[InviteMemberInput, strawberry.argument(description="Who is asked in.")]
) -> InviteMemberPayload | None:
    context = info.context
    try:
        role = TenantRole(input.role.value)
        await context.services.members.invite(context.principal, input.email, role, client=context.client)
    except LighterageError as error:
        return InviteMemberPayload(user_errors=refusal(error))
    return InviteMemberPayload()


async def accept_invitation(
    info: Info, input: Annotated[AcceptInvitationInput, strawberry.argument(description="What the letter brought.")]
) -> AcceptInvitationPayload | None:
    context = info.context
    try:
        joined = await context.services.members.accept(context.principal, input.token, client=context.client)
    except LighterageError as error:
        return AcceptInvitationPayload(user_errors=refusal(error))
    return AcceptInvitationPayload(tenant_id=strawberry.ID(joined.id))


async def update_member(
    info: Info, input: Annotated[UpdateMemberInput, strawberry.argument(description="Who, and what they may do.")]
) -> UpdateMemberPayload | None:
    context = info.context
    try:
        user_id, role = parse_user_id(input.user_id), TenantRole(input.role.value)
        record = await context.services.members.set_role(context.principal, user_id, role, client=context.client)
        tenant = await context.get_tenant(record.member_of)
    except LighterageError as error:
        return UpdateMemberPayload(user_errors=refusal(error))
    return UpdateMemberPayload(membership=Membership.from_domain(record, tenant))


async def remove_member(
    info: Info, input: Annotated[RemoveMemberInput, strawberry.argument(description="Who is put out.")]
) -> RemoveMemberPayload | None:
    context = info.context
    try:
        user_id = parse_user_id(input.user_id)
        await context.services.members.remove(context.principal, user_id, client=context.client)
    except LighterageError as error:
        return RemoveMemberPayload(user_errors=refusal(error))
    return RemoveMemberPayload(removed_user_id=strawberry.ID(user_id))


async def update_tenant(
    info: Info, input: Annotated[UpdateTenantInput, strawberry.argument(description="What changes.")]
) -> UpdateTenantPayload | None:
    context = info.context
    try:
        changes = tenant_changes(input)
        record = await context.services.tenants.update(context.principal, changes, client=context.client)
    except LighterageError as error:
        return UpdateTenantPayload(user_errors=refusal(error))
    return UpdateTenantPayload(tenant=Tenant.from_domain(record))


def tenant_changes(input: UpdateTenantInput) -> TenantChanges:
    """
    Put what is asked into the words of the service.

    Raises:
        InvalidValue: Null where there must be something.
    """
    changes: dict[str, Any] = {}
    for name, maybe in (("name", input.name), ("trash_retention_days", input.trash_retention_days)):
        if maybe is not None:
            if maybe.value is None:
                raise InvalidValue(f"{name.replace('_', ' ')} cannot be null", path=(name,), reason="required")
            changes[name] = maybe.value
    if input.max_file_size is not None:
        changes["file_size_max"] = input.max_file_size.value
    if input.allowed_content_types is not None:
        types = input.allowed_content_types.value
        changes["content_types"] = None if types is None else tuple(types)
    return TenantChanges(**changes)
