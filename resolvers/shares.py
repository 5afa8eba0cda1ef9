"""Share links: what their makers do with them, and what is behind one."""

from typing import Annotated

import strawberry

from domain.errors import LighterageError, NotFound
from domain.share import ShareLinkKind
from resolvers.context import Info
from resolvers.ids import parse_file_id, parse_share_link_id, parse_tenant_id
from schema.errors import refusal
from schema.scalars import URL, BigInt
from schema.shares import (
    CreateShareLinkInput,
    CreateShareLinkPayload,
    RevokeShareLinkInput,
    RevokeShareLinkPayload,
    SharedFile,
    ShareLink,
)
from services.shares import NewShareLink
from services.shares import SharedFile as SharedFileRecord


async def shared_file(
    info: Info,
    token: Annotated[str, strawberry.argument(description="The last part of the link's address.")],
    password: Annotated[str | None, strawberry.argument(description="The link's password, where it has one.")] = None,
) -> SharedFile | None:
    opened = await info.context.services.shares.open(token, password, client=info.context.client)
    if not isinstance(opened, SharedFileRecord):
        raise NotFound("shared file")
    return SharedFile(
        name=opened.file.name,
        content_type=opened.file.content_type,
        size=BigInt(opened.file.size),
        expires_at=opened.link.expires_at,
        download_url=None if opened.url is None else URL(info.context.as_reached(opened.url)),
    )


async def create_share_link(
    info: Info, input: Annotated[CreateShareLinkInput, strawberry.argument(description="The new link.")]
) -> CreateShareLinkPayload | None:
    try:
        new = new_share_link(input)
        link = await info.context.services.shares.create(info.context.principal, new, client=info.context.client)
    except NotFound as error:
        return CreateShareLinkPayload(user_errors=refusal(error, path=(_PATHS.get(error.kind, "fileId"),)))
    except LighterageError as error:
        return CreateShareLinkPayload(user_errors=refusal(error))
    return CreateShareLinkPayload(share_link=ShareLink.from_domain(link))


async def revoke_share_link(
    info: Info, input: Annotated[RevokeShareLinkInput, strawberry.argument(description="Which link ends.")]
) -> RevokeShareLinkPayload | None:
    try:
        link_id = parse_share_link_id(input.share_link_id)
        link = await info.context.services.shares.revoke(info.context.principal, link_id, client=info.context.client)
    except NotFound as error:
        return RevokeShareLinkPayload(user_errors=refusal(error, path=("shareLinkId",)))
    except LighterageError as error:
        return RevokeShareLinkPayload(user_errors=refusal(error))
    return RevokeShareLinkPayload(share_link=ShareLink.from_domain(link))


def new_share_link(input: CreateShareLinkInput) -> NewShareLink:
    """Put a client's words into those of the service."""
    return NewShareLink(
        kind=ShareLinkKind(input.kind.value),
        file_id=None if input.file_id is None else parse_file_id(input.file_id),
        tenant_id=None if input.tenant_id is None else parse_tenant_id(input.tenant_id),
        expires_at=input.expires_at,
        max_uses=input.max_uses,
        password=input.password,
    )


_PATHS = {"tenant": "tenantId", "file": "fileId"}
