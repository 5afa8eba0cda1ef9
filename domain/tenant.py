"""Tenants: whose files they are, and what a tenant may store."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from domain.ids import SYSTEM, TenantId, UserId
from domain.records import Kind


class TenantRole(Enum):
    """What a member may do, from most to least."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"

    def covers(self, other: "TenantRole") -> bool:
        return _RANKS[self] <= _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(TenantRole)}


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What a tenant may store. None: no limit but the store's own.

    Attributes:
        file_size_max: Bytes in one file.
        stored_bytes_max: Bytes in all its files and unfinished uploads together.
        content_types: Media types taken, `image/*` for a family.
        processing: Jobs that its files get besides those that all tenants' get, as `domain.job.parse_rules` reads them.
    """

    file_size_max: int | None = None
    stored_bytes_max: int | None = None
    content_types: tuple[str, ...] | None = None
    trash_retention_days: int = 30
    processing: str | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    id: str
    slug: str
    name: str
    created_at: datetime
    limits: Limits = Limits()
    tenant_id: str = SYSTEM
    revision: int = 0


TENANTS = Kind("tenants", Tenant, fields=("slug", "created_at"), unique=(("slug",),))


@dataclass(frozen=True, slots=True)
class Usage:
    """
    How much a tenant has stored, as one record of counters whose id is the tenant's.

    Attributes:
        bytes_total: In finished files and promised by unfinished uploads together: what a quota limits.
        bytes_in_flight: Promised by unfinished uploads.
    """

    id: str
    tenant_id: str
    file_count: int = 0
    bytes_total: int = 0
    bytes_in_flight: int = 0
    revision: int = 0

    @property
    def bytes_stored(self) -> int:
        return self.bytes_total - self.bytes_in_flight


USAGES = Kind("usages", Usage, fields=("file_count", "bytes_total", "bytes_in_flight"))


@dataclass(frozen=True, slots=True)
class Membership:
    """A user in a tenant; its id is `user_id/of/tenant`, so that there is one at most."""

    id: str
    user_id: UserId
    member_of: TenantId
    role: TenantRole
    joined_at: datetime
    tenant_id: str = SYSTEM
    revision: int = 0


MEMBERSHIPS = Kind(
    "memberships",
    Membership,
    fields=("user_id", "member_of", "joined_at"),
    indexes=(("user_id", "joined_at"), ("member_of", "joined_at")),
)


def membership_id(user_id: UserId, tenant_id: TenantId) -> str:
    return f"{user_id}/{tenant_id}"


def slug_of(name: str) -> str:
    """Make a name fit for addresses: lower-case letters, digits and single dashes, 1 to 63 of them."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].rstrip("-") or "tenant"
