"""Any object by its id: the contract that Relay, Apollo and urql key their caches on."""

import asyncio
from typing import Annotated

import strawberry

from domain.errors import NotFound
from domain.ids import ApiKeyId, FileId, FileVersionId, JobId, ShareLinkId, TenantId, UploadId, UserId, is_id
from resolvers.context import Info, RequestContext
from resolvers.ids import check_count
from schema.accounts import Tenant, User
from schema.files import File, FileVersion
from schema.jobs import ProcessingJob
from schema.keys import ApiKey
from schema.node import Node
from schema.shares import ShareLink
from schema.uploads import Upload


async def node(info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Any id.")]) -> Node | None:
    return await find_node(info.context, id)


async def nodes(
    info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Any ids, at most 100.")]
) -> list[Node | None]:
    check_count(ids, name="ids")
    return list(await asyncio.gather(*(find_node(info.context, one) for one in ids)))


async def find_node(context: RequestContext, id: str) -> Node | None:
    """Give what the id names; None where there is none, or it is not the caller's to see."""
    if is_id(id, "file"):
        file = await context.find_file(FileId(id))
        return None if file is None else File.from_domain(file)
    if is_id(id, "user"):
        user = await context.find_user(UserId(id))
        return None if user is None else User.from_domain(user)
    try:
        if is_id(id, "upload"):
            return Upload.from_domain(await context.services.uploads.get(context.principal, UploadId(id)))
        if is_id(id, "apikey"):
            return ApiKey.from_domain(await context.services.keys.get(context.principal, ApiKeyId(id)))
        if is_id(id, "link"):
            return ShareLink.from_domain(await context.services.shares.get(context.principal, ShareLinkId(id)))
        if is_id(id, "job"):
            return ProcessingJob.from_domain(await context.services.processing.get(context.principal, JobId(id)))
        if is_id(id, "version"):
            return FileVersion.from_domain(*await context.services.versions.get(context.principal, FileVersionId(id)))
        if is_id(id, "tenant"):
            return Tenant.from_domain(await context.get_tenant(TenantId(id)))
    except NotFound:
        return None
    return None
