"""Users, sessions and tenants."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from domain.ids import TenantId, UserId
from domain.tenant import Membership as MembershipRecord
from domain.tenant import Tenant as TenantRecord
from domain.user import User as UserRecord
from schema.context import FilePageRequest, Info
from schema.directives import Auth, Cost
from schema.enums import Scope, TenantRole
from schema.errors import UserError
from schema.fields import computed
from schema.node import Node
from schema.pagination import Connection, whole_page
from schema.scalars import URL, BigInt

if TYPE_CHECKING:
    from schema.files import File, FileFilter, FileOrder
    from schema.shares import ShareLink


@strawberry.type(description="How much a tenant has stored.")
class TenantUsage:
    file_count: int = strawberry.field(description="Finished files, the trash included.")
    bytes_stored: BigInt = strawberry.field(description="Bytes in finished files.")
    bytes_in_flight: BigInt = strawberry.field(description="Bytes promised by unfinished uploads.")


@strawberry.type(description="What a tenant may store.")
class TenantLimits:
    max_bytes_stored: BigInt | None = strawberry.field(
        description="Bytes in all files and unfinished uploads together; null: no limit."
    )
    max_file_size: BigInt = strawberry.field(description="Bytes in one file.")
    allowed_content_types: list[str] | None = strawberry.field(
        description="Media types taken, `image/*` for a family; null: all."
    )
    trash_retention_days: int = strawberry.field(description="Days until what is in the trash is purged.")


@strawberry.type(description="Whose files they are.", directives=[Auth()])
class Tenant(Node):
    slug: str = strawberry.field(description="Its name in addresses: lower-case letters, digits and dashes.")
    name: str = strawberry.field(description="Its name for people.")
    created_at: datetime = strawberry.field(description="When it was founded.")
    record: strawberry.Private[TenantRecord]

    @computed(description="How much it has stored.", directives=[Cost(weight=5)])
    async def usage(self, info: Info) -> TenantUsage:
        usage = await info.context.usage_of(TenantId(self.record.id))
        return TenantUsage(
            file_count=usage.file_count,
            bytes_stored=BigInt(usage.bytes_stored),
            bytes_in_flight=BigInt(usage.bytes_in_flight),
        )

    @computed(description="What it may store.")
    def limits(self, info: Info) -> TenantLimits:
        limits, size_max = self.record.limits, info.context.file_size_max
        return TenantLimits(
            max_bytes_stored=None if limits.stored_bytes_max is None else BigInt(limits.stored_bytes_max),
            max_file_size=BigInt(size_max if limits.file_size_max is None else min(limits.file_size_max, size_max)),
            allowed_content_types=None if limits.content_types is None else list(limits.content_types),
            trash_retention_days=limits.trash_retention_days,
        )

    @computed(
        description="Its members, in the order of joining.",
        directives=[Auth(role=TenantRole.ADMIN), Cost(list_size=20, sized_by="first")],
    )
    async def members(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="At most so many, up to 100.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
    ) -> Connection[Annotated["Membership", strawberry.lazy("schema.accounts")]]:
        found = await info.context.members(TenantId(self.record.id), first=first, after=after)
        return Connection(
            nodes=[Membership.from_domain(one, self.record) for one in found.items],
            has_next=found.has_next,
            has_previous=found.has_previous,
            cursor_at=found.cursor_at,
            count=found.count,
        )

    @computed(description="Its files.", directives=[Auth(scope=Scope.FILES_READ), Cost(list_size=50, sized_by="first")])
    async def files(
        self,
        info: Info,
        filter: Annotated[
            Annotated["FileFilter", strawberry.lazy("schema.files")] | None,
            strawberry.argument(description="Which of them."),
        ] = None,
        order_by: Annotated[
            Annotated["FileOrder", strawberry.lazy("schema.files")] | None,
            strawberry.argument(description="Default: the newest first."),
        ] = None,
        first: Annotated[int | None, strawberry.argument(description="At most so many, up to 100; default 50.")] = None,
        after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
        last: Annotated[int | None, strawberry.argument(description="The last so many, up to 100.")] = None,
        before: Annotated[str | None, strawberry.argument(description="End ahead of this cursor.")] = None,
    ) -> Connection[Annotated["File", strawberry.lazy("schema.files")]]:
        page = FilePageRequest(first=first, after=after, last=last, before=before)
        return await info.context.files(str(self.id), filter, order_by, page)

    @computed(
        description="Links for guests that you made, newest first; to an admin all of them.",
        directives=[Auth(scope=Scope.FILES_SHARE), Cost(list_size=20, sized_by="first")],
    )
    async def share_links(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="At most so many, up to 100.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
    ) -> Connection[Annotated["ShareLink", strawberry.lazy("schema.shares")]]:
        return await info.context.share_links(None, first=first, after=after)

    @classmethod
    def from_domain(cls, record: TenantRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            slug=record.slug,
            name=record.name,
            created_at=record.created_at,
            record=record,
        )


@strawberry.type(description="A user's place in a tenant.")
class Membership:
    tenant: Tenant = strawberry.field(description="The tenant.")
    role: TenantRole = strawberry.field(description="What the user may do there.")
    joined_at: datetime = strawberry.field(description="Since when.")
    record: strawberry.Private[MembershipRecord]

    @computed(description="Who is the member.", same_for=attrgetter("record.user_id"))
    async def user(self, info: Info) -> Annotated["User", strawberry.lazy("schema.accounts")] | None:
        return await find_user(info, self.record.user_id)

    @classmethod
    def from_domain(cls, record: MembershipRecord, tenant: TenantRecord) -> Self:
        role = TenantRole(record.role.value)
        return cls(tenant=Tenant.from_domain(tenant), role=role, joined_at=record.joined_at, record=record)


@strawberry.type(description="Somebody who can log in.", directives=[Auth()])
class User(Node):
    username: str = strawberry.field(description="The name to log in with; the e-mail address where none was chosen.")
    email: str | None = strawberry.field(description="E-mail address; null for users made by name alone.")
    name: str | None = strawberry.field(description="The name for people, if one was given.")
    email_verified_at: datetime | None = strawberry.field(description="When the address was proved to be theirs.")
    created_at: datetime = strawberry.field(description="When the account was made.")

    @computed(
        description="Tenants this user is a member of, in the order of joining. Only filled on oneself.",
        directives=[Cost(list_size=20, sized_by="first")],
    )
    async def memberships(
        self,
        info: Info,
        first: Annotated[int, strawberry.argument(description="At most so many, up to 100.")] = 20,
        after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
    ) -> Connection[Membership]:
        is_self = str(self.id) == info.context.principal.user_id
        pairs = await info.context.memberships() if is_self else ()
        return membership_page(pairs, first=first, after=after)

    @classmethod
    def from_domain(cls, record: UserRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            username=record.username,
            email=record.email,
            name=record.name,
            email_verified_at=record.email_verified_at,
            created_at=record.created_at,
        )


def membership_page(
    pairs: Sequence[tuple[MembershipRecord, TenantRecord]], *, first: int, after: str | None
) -> Connection[Membership]:
    """Cut a page out of all memberships of a user: they are few, and come at once. A cursor is the tenant's id."""
    nodes = [Membership.from_domain(*pair) for pair in pairs]
    return whole_page(nodes, cursors=[tenant.id for _, tenant in pairs], first=first, after=after)


async def find_user(info: Info, user_id: UserId | None) -> User | None:
    record = None if user_id is None else await info.context.find_user(user_id)
    return None if record is None else User.from_domain(record)


@strawberry.type(
    description="A log-in: `accessToken` is a short-lived bearer token; `refreshToken` is good for one use and rotates."
)
class Session:
    access_token: str = strawberry.field(description="Send it as `Authorization: Bearer …`.")
    expires_at: datetime = strawberry.field(description="When the access token's time has passed.")
    refresh_token: str = strawberry.field(description="Swap it for a new session with `refreshToken`; good once.")
    refresh_expires_at: datetime = strawberry.field(description="When the refresh token's time has passed.")
    viewer: User = strawberry.field(description="Who is logged in.")
    tenant: Tenant | None = strawberry.field(description="The tenant that the token was made for.")


@strawberry.type(description="Public facts a client needs before anyone signs in.")
class ServerInfo:
    version: str = strawberry.field(description="The server's version.")
    tus_url: URL = strawberry.field(description="Where tus clients create uploads.")
    max_file_size: BigInt = strawberry.field(description="Bytes in one file, unless the tenant's limit is smaller.")
    sign_up_enabled: bool = strawberry.field(description="Anybody may make an account.")


@strawberry.input(description="Who signs up.")
class SignUpInput:
    email: str = strawberry.field(description="E-mail address; the log-in.")
    password: str = strawberry.field(description="At least 10 characters.")
    name: str | None = strawberry.field(default=None, description="The name for people.")
    tenant_name: str | None = strawberry.field(default=None, description="What the new tenant is called.")
    invite_token: str | None = strawberry.field(
        default=None, description="The token of an invitation, sent to this address: into its tenant, not a new one."
    )


@strawberry.input(description="What the letter brought.")
class VerifyEmailInput:
    token: str = strawberry.field(description="The token in the letter.")


@strawberry.input(description="Who waits for a letter.")
class ResendVerificationInput:
    email: str = strawberry.field(description="The address that was signed up with.")


@strawberry.input(description="Who forgot the password.")
class RequestPasswordResetInput:
    email: str = strawberry.field(description="The account's e-mail address.")


@strawberry.input(description="What the letter brought, and the password from now on.")
class ResetPasswordInput:
    token: str = strawberry.field(description="The token in the letter.")
    new_password: str = strawberry.field(description="At least 10 characters.")


@strawberry.input(description="Who logs in.")
class LogInInput:
    email: str = strawberry.field(description="E-mail address or user name.")
    password: str = strawberry.field(description="The password.")


@strawberry.input(description="Which session goes on.")
class RefreshTokenInput:
    refresh_token: str = strawberry.field(description="The newest refresh token of the session.")
    tenant_id: strawberry.ID | None = strawberry.field(
        default=None, description="The tenant of the new session; default: the same as before."
    )


@strawberry.input(description="Which session ends.")
class LogOutInput:
    refresh_token: str = strawberry.field(description="The newest refresh token of the session.")
    everywhere: bool | None = strawberry.field(default=False, description="End all sessions of this user.")


@strawberry.type(description="Outcome of `signUp`.")
class SignUpPayload:
    user: User | None = strawberry.field(
        default=None,
        description="The new user; null where a letter was sent, which alone tells whether the address was taken.",
    )
    verification_sent: bool = strawberry.field(default=False, description="A letter is on its way to the address.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was done.")


@strawberry.type(description="Outcome of `verifyEmail`.")
class VerifyEmailPayload:
    user: User | None = strawberry.field(default=None, description="Whose address is confirmed.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it is not.")


@strawberry.type(description="Outcome of `resendVerification`.")
class ResendVerificationPayload:
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was sent.")


@strawberry.type(description="Outcome of `requestPasswordReset`.")
class RequestPasswordResetPayload:
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was sent.")


@strawberry.type(description="Outcome of `resetPassword`.")
class ResetPasswordPayload:
    session: Session | None = strawberry.field(default=None, description="The new session; all others ended.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was changed.")


@strawberry.type(description="Outcome of `logIn`.")
class LogInPayload:
    session: Session | None = strawberry.field(default=None, description="The new session.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is none.")


@strawberry.type(description="Outcome of `refreshToken`.")
class RefreshTokenPayload:
    session: Session | None = strawberry.field(default=None, description="The session with new tokens.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is none.")


@strawberry.type(description="Outcome of `logOut`.")
class LogOutPayload:
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why nothing was ended.")
