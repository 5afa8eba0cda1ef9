"""
One request's answer to what types and resolvers ask: who is asking, the services, and the loaders.

A subscription keeps its context for hours, so each event gets a fresh one: loaders must neither grow nor go stale.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import strawberry

from domain.errors import NotFound
from domain.file import File
from domain.ids import FileId, TenantId, UserId
from domain.job import Job
from domain.principal import Principal
from domain.share import ShareLink
from domain.tenant import Membership, Tenant, Usage
from domain.upload import Upload
from domain.user import User
from domain.version import FileVersion
from resolvers.filters import file_query
from resolvers.loaders import Loader
from schema.context import FilePageRequest, Members
from schema.enums import SqlFormat
from schema.files import File as FileType
from schema.files import FileFilter, FileOrder
from schema.pagination import Connection, connection
from schema.queries import SqlColumn, SqlSchema
from schema.scalars import BIG_INT_MAX
from schema.shares import ShareLink as ShareLinkType
from services import Services


@dataclass(frozen=True, slots=True)
class Facts:
    """What the server tells anyone about itself."""

    version: str
    tus_url: str
    public_url: str = ""
    sign_up_enabled: bool = False


@dataclass(frozen=True, slots=True)
class _Loaders:
    users: Loader[UserId, User]
    files: Loader[FileId, File]
    tenants: Loader[TenantId, Tenant]
    jobs: Loader[FileId, list[Job]]


@dataclass(frozen=True, slots=True)
class RequestContext:
    """
    Attributes:
        client: The caller's network address, for rate limits.
        request_id: What a masked error names, so that the log can be searched for it.
        public_url: Address of this server as the client reaches it, where a trusted proxy told; else that of the facts.
    """

    services: Services
    facts: Facts
    principal: Principal
    client: str
    request_id: str
    public_url: str | None = None
    _made: list[_Loaders] = field(init=False, default_factory=list)

    def renew(self) -> "RequestContext":
        """Give the same request with empty loaders."""
        return replace(self)

    @property
    def _loaders(self) -> _Loaders:
        # Made when first asked for: thousands of subscriptions hold a context that never loads anything itself.
        if not self._made:
            users, files, tenants = Loader(self._load_users), Loader(self._load_files), Loader(self._load_tenants)
            self._made.append(_Loaders(users, files, tenants, Loader(self._load_jobs)))
        return self._made[0]

    @property
    def file_size_max(self) -> int:
        return min(self.services.uploads.length_max, BIG_INT_MAX)

    async def find_user(self, user_id: UserId) -> User | None:
        return await self._loaders.users.load(user_id)

    async def find_file(self, file_id: FileId) -> File | None:
        return await self._loaders.files.load(file_id)

    async def get_tenant(self, tenant_id: TenantId) -> Tenant:
        tenant = await self._loaders.tenants.load(tenant_id)
        if tenant is None:
            raise NotFound("tenant")
        return tenant

    async def usage_of(self, tenant_id: TenantId) -> Usage:
        return await self.services.tenants.usage(self.principal, tenant_id)

    async def memberships(self) -> Sequence[tuple[Membership, Tenant]]:
        return await self.services.accounts.memberships(self.principal)

    async def members(self, tenant_id: TenantId, *, first: int, after: str | None) -> Members:
        service = self.services.members
        if tenant_id != self.principal.tenant_id:
            raise NotFound("tenant")
        found = await service.list_members(self.principal, first=first, after=after)
        page = found.page

        async def count() -> int:
            return await service.count_members(self.principal)

        return Members(
            page.items, page.has_next, page.has_previous, lambda place: found.cursor_of(page.items[place]), count
        )

    async def files(
        self, tenant_id: str | None, filter: FileFilter | None, order_by: FileOrder | None, page: FilePageRequest
    ) -> Connection[FileType]:
        service, query = self.services.files, file_query(tenant_id, filter, order_by)
        found = await service.list_files(
            self.principal, query, first=page.first, after=page.after, last=page.last, before=page.before
        )

        async def count() -> int:
            return await service.count_files(self.principal, query)

        return connection(
            found.page,
            FileType.from_domain,
            cursor_at=lambda place: found.cursor_of(found.page.items[place]),
            count=count,
        )

    async def share_links(self, file: File | None, *, first: int, after: str | None) -> Connection[ShareLinkType]:
        shares, principal = self.services.shares, self.principal
        if file is None:
            found = await shares.list_of_tenant(principal, first=first, after=after)
        else:
            found = await shares.list_of_file(principal, file, first=first, after=after)
        page = found.page

        async def count() -> int:
            return await (shares.count_of_tenant(principal) if file is None else shares.count_of_file(principal, file))

        return connection(
            page, ShareLinkType.from_domain, cursor_at=lambda place: found.cursor_of(page.items[place]), count=count
        )

    def share_url(self, link: ShareLink) -> str:
        return self.as_reached(self.services.shares.url_of(link))

    async def jobs(self, file: File) -> Sequence[Job]:
        return await self._loaders.jobs.load(file.id) or []

    async def versions_of(self, file: File) -> Sequence[FileVersion]:
        return await self.services.versions.list_of_file(self.principal, file)

    async def download_url(
        self, file: File, *, ttl_seconds: int, inline: bool, version: FileVersion | None = None
    ) -> str | None:
        files = self.services.files
        url = await files.download_url(self.principal, file, ttl_seconds=ttl_seconds, inline=inline, version=version)
        return None if url is None else self.as_reached(url)

    async def sql_schema(self, file: File) -> SqlSchema | None:
        found = await self.services.queries.schema_of(self.principal, file)
        if found is None:
            return None
        columns = [SqlColumn(name=one.name, type=one.type, nullable=one.nullable) for one in found.columns]
        return SqlSchema(format=SqlFormat[found.format.name], columns=columns)

    def upload_url(self, upload: Upload) -> str:
        return self.as_reached(self.services.uploads.url_of(upload))

    def as_reached(self, url: str) -> str:
        """Give one of our addresses as the client reaches it."""
        return url if self.public_url is None else self.public_url + url.removeprefix(self.facts.public_url)

    def upload_headers(self, upload: Upload) -> dict[str, str]:
        return self.services.uploads.headers_for(self.principal, upload)

    def chunk_size(self, upload: Upload) -> int:
        return self.services.uploads.chunk_size_of(upload)

    async def _load_users(self, ids: list[UserId]) -> dict[UserId, User]:
        return await self.services.accounts.get_users(self.principal, ids)

    async def _load_jobs(self, ids: list[FileId]) -> dict[FileId, list[Job]]:
        return await self.services.processing.of_files(self.principal, ids)

    async def _load_files(self, ids: list[FileId]) -> dict[FileId, File]:
        return await self.services.files.get_many(self.principal, ids)

    async def _load_tenants(self, ids: list[TenantId]) -> dict[TenantId, Tenant]:
        # A page of files is of one tenant, so this is one call; one that is not there must not fail the others.
        found = {}
        for tenant_id in ids:
            with suppress(NotFound):
                found[tenant_id] = await self.services.tenants.get(self.principal, tenant_id)
        return found


Info: TypeAlias = strawberry.Info[RequestContext, None]
