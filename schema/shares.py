"""Share links: what guests without an account may do, and what they see."""

from datetime import datetime
from operator import attrgetter
from typing import Self

import strawberry

from domain.share import ShareLink as ShareLinkRecord
from schema.accounts import User, find_user
from schema.context import Info
from schema.enums import ShareLinkKind
from schema.errors import UserError
from schema.fields import computed
from schema.files import File
from schema.node import Node
from schema.scalars import URL, BigInt


@strawberry.type(description="A way in for guests without an account. Seen by its maker and by admins.")
class ShareLink(Node):
    kind: ShareLinkKind = strawberry.field(description="What guests do by it.")
    has_password: bool = strawberry.field(description="Guests need a password besides the address.")
    max_uses: int | None = strawberry.field(description="How often it may be used; null: as often as one likes.")
    use_count: int = strawberry.field(description="How often it was: downloads begun, or files uploaded.")
    expires_at: datetime | None = strawberry.field(description="When it ends by itself; null: never.")
    revoked_at: datetime | None = strawberry.field(description="When it was ended by somebody.")
    created_at: datetime = strawberry.field(description="When it was made.")
    record: strawberry.Private[ShareLinkRecord]

    @computed(description="The file that guests download; null for UPLOAD links, and once it is gone.")
    async def file(self, info: Info) -> File | None:
        record = None if self.record.file_id is None else await info.context.find_file(self.record.file_id)
        return None if record is None else File.from_domain(record)

    @computed(description="Where guests go. Whoever has it needs nothing else, but for the password.")
    def url(self, info: Info) -> URL:
        return URL(info.context.share_url(self.record))

    @computed(
        description="Who made it; null for somebody who is no member any more.",
        same_for=attrgetter("record.created_by"),
    )
    async def created_by(self, info: Info) -> User | None:
        return await find_user(info, self.record.created_by)

    @classmethod
    def from_domain(cls, record: ShareLinkRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            kind=ShareLinkKind(record.kind.value),
            has_password=record.password_hash is not None,
            max_uses=record.max_uses,
            use_count=record.use_count,
            expires_at=record.expires_at,
            revoked_at=record.revoked_at,
            created_at=record.created_at,
            record=record,
        )


@strawberry.type(description="What a guest sees of a link: no owner, no tenant internals.")
class SharedFile:
    name: str = strawberry.field(description="The file's name.")
    content_type: str = strawberry.field(description="Its media type.")
    size: BigInt = strawberry.field(description="Bytes.")
    expires_at: datetime | None = strawberry.field(description="When the link ends; null: never.")
    download_url: URL | None = strawberry.field(
        description="Good for an hour; one use of the link, however often it is asked. Null unless READY."
    )


@strawberry.input(description="A new link for guests.")
class CreateShareLinkInput:
    kind: ShareLinkKind = strawberry.field(default=ShareLinkKind.DOWNLOAD, description="What guests do by it.")
    file_id: strawberry.ID | None = strawberry.field(
        default=None, description="The file that they download; none for UPLOAD."
    )
    tenant_id: strawberry.ID | None = strawberry.field(
        default=None, description="Where they upload to: the token's tenant, which is the default."
    )
    expires_at: datetime | None = strawberry.field(default=None, description="When it ends by itself; default: never.")
    max_uses: int | None = strawberry.field(
        default=None, description="So many downloads, or uploaded files; default: no limit."
    )
    password: str | None = strawberry.field(
        default=None, description="What guests have to know, at least 10 characters; default: only the address."
    )


@strawberry.input(description="Which link ends.")
class RevokeShareLinkInput:
    share_link_id: strawberry.ID = strawberry.field(description="The link.")


@strawberry.type(description="Outcome of `createShareLink`.")
class CreateShareLinkPayload:
    share_link: ShareLink | None = strawberry.field(default=None, description="The new link.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is none.")


@strawberry.type(description="Outcome of `revokeShareLink`.")
class RevokeShareLinkPayload:
    share_link: ShareLink | None = strawberry.field(default=None, description="The link as it is now.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was not ended.")
