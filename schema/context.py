"""
What a field of an object may ask for beyond the object itself.

resolvers/ implements it over the services; the types here know only these questions.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import strawberry

from domain.file import File
from domain.ids import FileId, TenantId, UserId
from domain.job import Job
from domain.principal import Principal
from domain.share import ShareLink
from domain.tenant import Membership, Tenant, Usage
from domain.upload import Upload
from domain.user import User
from domain.version import FileVersion
from schema.pagination import Connection
from schema.queries import SqlSchema

if TYPE_CHECKING:
    from schema.files import File as FileType
    from schema.files import FileFilter, FileOrder
    from schema.shares import ShareLink as ShareLinkType


@dataclass(frozen=True, slots=True)
class Members:
    """One page of members."""

    items: Sequence[Membership]
    has_next: bool
    has_previous: bool
    cursor_at: Callable[[int], str]
    count: Callable[[], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class FilePageRequest:
    """The four arguments of a list of files, as they were sent."""

    first: int | None
    after: str | None
    last: int | None
    before: str | None


class Context(Protocol):
    @property
    def principal(self) -> Principal: ...

    async def find_user(self, user_id: UserId) -> User | None:
        """Give a user that the caller may see; asked for one by one, fetched together."""
        ...

    async def find_file(self, file_id: FileId) -> File | None:
        """Give a file that the caller may see; asked for one by one, fetched together."""
        ...

    async def get_tenant(self, tenant_id: TenantId) -> Tenant: ...

    async def usage_of(self, tenant_id: TenantId) -> Usage: ...

    async def memberships(self) -> Sequence[tuple[Membership, Tenant]]:
        """Give the caller's own memberships."""
        ...

    async def members(self, tenant_id: TenantId, *, first: int, after: str | None) -> "Members":
        """Give one page of a tenant's members."""
        ...

    async def files(
        self, tenant_id: str | None, filter: "FileFilter | None", order_by: "FileOrder | None", page: FilePageRequest
    ) -> "Connection[FileType]":
        """Give one page of a tenant's files."""
        ...

    async def share_links(self, file: File | None, *, first: int, after: str | None) -> "Connection[ShareLinkType]":
        """Give one page of the caller's links, to an admin all of them: to a file, or in the whole tenant."""
        ...

    def share_url(self, link: ShareLink) -> str: ...

    async def download_url(
        self, file: File, *, ttl_seconds: int, inline: bool, version: FileVersion | None = None
    ) -> str | None: ...

    async def versions_of(self, file: File) -> Sequence[FileVersion]:
        """Give the present content of a file and those before it, the newest first."""
        ...

    async def sql_schema(self, file: File) -> SqlSchema | None: ...

    async def jobs(self, file: File) -> Sequence[Job]:
        """Give the jobs of a file; asked for one by one, fetched together."""
        ...

    def upload_url(self, upload: Upload) -> str: ...

    def upload_headers(self, upload: Upload) -> dict[str, str]: ...

    def chunk_size(self, upload: Upload) -> int: ...

    @property
    def file_size_max(self) -> int:
        """The server's own limit, for tenants that have none."""
        ...


Info: TypeAlias = strawberry.Info[Context, None]
