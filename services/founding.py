"""How a tenant begins: the tenant, its counters and its owner, as writes to be done with whatever brought it about."""

import secrets
from dataclasses import replace
from datetime import datetime

from domain.ids import SYSTEM, UserId, new_tenant_id
from domain.records import Add, Records, Write
from domain.tenant import (
    MEMBERSHIPS,
    TENANTS,
    USAGES,
    Limits,
    Membership,
    Tenant,
    TenantRole,
    Usage,
    membership_id,
    slug_of,
)
from domain.user import User

DEFAULT_LIMITS = Limits()


async def found_tenant(
    records: Records, *, owner_id: UserId, name: str, now: datetime, limits: Limits = DEFAULT_LIMITS
) -> tuple[Tenant, tuple[Write, ...]]:
    """Give a tenant as it will be stored, and the writes that make it."""
    tenant_id = new_tenant_id(now)
    tenant = Tenant(tenant_id, await _free_slug(records, name), name, now, limits, revision=1)
    joined = Membership(membership_id(owner_id, tenant_id), owner_id, tenant_id, TenantRole.OWNER, now)
    usage = Usage(tenant_id, tenant_id)
    return tenant, (Add(TENANTS, tenant), Add(USAGES, usage), Add(MEMBERSHIPS, joined))


async def confirmed(
    records: Records, user: User, *, now: datetime, limits: Limits = DEFAULT_LIMITS
) -> tuple[User, tuple[Write, ...]]:
    """Give a user whose e-mail address is known to be theirs, and the writes of the tenant that they waited for."""
    if user.email is not None and user.email_verified_at is None:
        user = replace(user, email_verified_at=now)
    if user.tenant_wish is None:
        return user, ()
    _, founding = await found_tenant(records, owner_id=UserId(user.id), name=user.tenant_wish, now=now, limits=limits)
    return replace(user, tenant_wish=None), founding


async def _free_slug(records: Records, name: str) -> str:
    slug = slug_of(name.partition("@")[0])
    if await records.collection(TENANTS).find(SYSTEM, slug=slug) is None:
        return slug
    return f"{slug[:54]}-{secrets.token_hex(4)}"
