"""Members of a tenant, its settings, and what was done in it."""

from datetime import datetime
from operator import attrgetter
from typing import Self

import strawberry

from domain.audit import AuditEvent as AuditEventRecord
from domain.ids import UserId
from schema.accounts import Membership, Tenant, User, find_user
from schema.context import Info
from schema.enums import TenantRole
from schema.errors import UserError
from schema.fields import computed
from schema.scalars import BigInt


@strawberry.type(description="Something that was done and touches security; nobody can change it.")
class AuditEvent:
    id: strawberry.ID = strawberry.field(description="Its own.")
    at: datetime = strawberry.field(description="When.")
    action: str = strawberry.field(description="What, as `logged_in` or `role_changed`; new ones may be added.")
    subject_id: str | None = strawberry.field(description="Id of what it was done to, where that is not the actor.")
    client: str | None = strawberry.field(description="Network address that it came from, where it came from one.")
    detail: str | None = strawberry.field(description="What else is to be known, as `member to admin`.")
    record: strawberry.Private[AuditEventRecord]

    @computed(
        description="Who did it; null where it was nobody, or somebody who is not a member any more.",
        same_for=attrgetter("record.actor_id"),
    )
    async def actor(self, info: Info) -> User | None:
        actor_id = self.record.actor_id
        return await find_user(info, None if actor_id is None else UserId(actor_id))

    @classmethod
    def from_domain(cls, record: AuditEventRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            at=record.at,
            action=record.action.value,
            subject_id=record.subject_id,
            client=record.client,
            detail=record.detail,
            record=record,
        )


@strawberry.input(description="Who is asked in.")
class InviteMemberInput:
    email: str = strawberry.field(description="Where the letter goes.")
    role: TenantRole = strawberry.field(default=TenantRole.MEMBER, description="What they may do; not above one's own.")


@strawberry.input(description="What the letter brought.")
class AcceptInvitationInput:
    token: str = strawberry.field(description="The token in the letter, sent to one's own e-mail address.")


@strawberry.input(description="Which member gets which role.")
class UpdateMemberInput:
    user_id: strawberry.ID = strawberry.field(description="The member.")
    role: TenantRole = strawberry.field(description="The role from now on.")


@strawberry.input(description="Who is put out.")
class RemoveMemberInput:
    user_id: strawberry.ID = strawberry.field(description="The member; oneself to leave.")


@strawberry.input(description="What changes about the token's tenant. What is left out stays; null takes a limit away.")
class UpdateTenantInput:
    name: strawberry.Maybe[str | None] = strawberry.field(description="A new name; never null.")
    max_file_size: strawberry.Maybe[BigInt | None] = strawberry.field(description="Bytes in one file.")
    allowed_content_types: strawberry.Maybe[list[str] | None] = strawberry.field(
        description="Media types taken, `image/*` for a family."
    )
    trash_retention_days: strawberry.Maybe[int | None] = strawberry.field(
        description="Days until what is in the trash is purged; never null."
    )


@strawberry.type(description="Outcome of `inviteMember`.")
class InviteMemberPayload:
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was sent.")


@strawberry.type(description="Outcome of `acceptInvitation`.")
class AcceptInvitationPayload:
    tenant_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where one is a member now; `refreshToken` with it goes there."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why one is not.")


@strawberry.type(description="Outcome of `updateMember`.")
class UpdateMemberPayload:
    membership: Membership | None = strawberry.field(default=None, description="As it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing changed.")


@strawberry.type(description="Outcome of `removeMember`.")
class RemoveMemberPayload:
    removed_user_id: strawberry.ID | None = strawberry.field(default=None, description="Who is a member no more.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why they still are.")


@strawberry.type(description="Outcome of `updateTenant`.")
class UpdateTenantPayload:
    tenant: Tenant | None = strawberry.field(default=None, description="As it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing changed.")
