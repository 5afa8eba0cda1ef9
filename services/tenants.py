"""The use cases of tenants: what one is, how much it holds, and what it may hold."""

import re
from dataclasses import dataclass, replace

from auth.policy import Action, require
from domain.audit import AuditAction
from domain.errors import InvalidValue, NotFound
from domain.ids import SYSTEM, TenantId
from domain.job import parse_rules
from domain.principal import Principal
from domain.records import Records, Save
from domain.tenant import TENANTS, USAGES, Limits, Tenant, Usage
from domain.user import parse_name
from services.audit import AuditLog
from services.files import UNCHANGED, Unchanged

RETENTION_DAYS_MAX = 3650
CONTENT_TYPES_MAX = 100
_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/(\*|[a-z0-9][a-z0-9!#$&^_.+-]{0,126})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TenantChanges:
    """What an admin may change; None takes a limit away. The quota is for whoever runs the server to set."""

    name: str | Unchanged = UNCHANGED
    file_size_max: int | Unchanged | None = UNCHANGED
    content_types: tuple[str, ...] | Unchanged | None = UNCHANGED
    trash_retention_days: int | Unchanged = UNCHANGED


class TenantService:
    def __init__(self, *, records: Records, audit: AuditLog) -> None:
        self._records = records
        self._tenants = records.collection(TENANTS)
        self._usages = records.collection(USAGES)
        self._audit = audit

    async def get(self, principal: Principal, tenant_id: TenantId | None = None, *, slug: str | None = None) -> Tenant:
        """Give the token's tenant; another id or slug than its own is NotFound."""
        own_id = require(principal, Action.READ_TENANT)
        tenant = await self._tenants.get(SYSTEM, own_id)
        if (tenant_id is not None and tenant_id != own_id) or (slug is not None and slug != tenant.slug):
            raise NotFound("tenant")
        return tenant

    async def usage(self, principal: Principal, tenant_id: TenantId) -> Usage:
        tenant = await self.get(principal, tenant_id)
        return await self._usages.get(tenant.id, tenant.id)

    async def update(self, principal: Principal, changes: TenantChanges, *, client: str) -> Tenant:
        """
        Change the token's tenant; holds for what is uploaded from then on.

        Raises:
            InvalidValue: A name or limit cannot be.
            Conflict: Another change was faster.
        """
        tenant_id = require(principal, Action.CHANGE_TENANT)
        tenant = await self._tenants.get(SYSTEM, tenant_id)
        changed = replace(tenant, limits=_limits(tenant.limits, changes))
        if not isinstance(changes.name, Unchanged):
            changed = replace(changed, name=parse_name(changes.name, field="name"))
        if changed == tenant:
            return tenant
        entry = self._audit.entry(
            AuditAction.TENANT_CHANGED, principal.user_id, tenant_id=tenant_id, subject_id=tenant_id, client=client
        )
        await self._records.write(Save(TENANTS, changed, tenant.revision), entry)
        return replace(changed, revision=tenant.revision + 1)

    # ---- by whoever runs the server

    async def set_quota(self, slug: str, *, stored_bytes_max: int | None) -> Tenant:
        """Set how much a tenant may store; None: no limit. What is stored already stays."""
        tenant = await self._by_slug(slug)
        limits = replace(tenant.limits, stored_bytes_max=stored_bytes_max)
        return await self._save_limits(tenant, limits, detail=f"quota {stored_bytes_max}")

    async def set_processing(self, slug: str, rules: str | None) -> Tenant:
        """
        Set which jobs a tenant's files get besides those of all tenants, from the next upload on; None: no others.

        Raises:
            InvalidValue: They are no rules.
        """
        if rules is not None:
            parse_rules(rules)
        tenant = await self._by_slug(slug)
        return await self._save_limits(tenant, replace(tenant.limits, processing=rules), detail=f"processing {rules}")

    async def _by_slug(self, slug: str) -> Tenant:
        tenant = await self._tenants.find(SYSTEM, slug=slug)
        if tenant is None:
            raise NotFound("tenant")
        return tenant

    async def _save_limits(self, tenant: Tenant, limits: Limits, *, detail: str) -> Tenant:
        changed = replace(tenant, limits=limits)
        entry = self._audit.entry(AuditAction.TENANT_CHANGED, None, tenant_id=tenant.id, detail=detail)
        await self._records.write(Save(TENANTS, changed, tenant.revision), entry)
        return replace(changed, revision=tenant.revision + 1)


def _limits(limits: Limits, changes: TenantChanges) -> Limits:
    if not isinstance(changes.file_size_max, Unchanged):
        if changes.file_size_max is not None and changes.file_size_max < 1:
            raise InvalidValue("a file may have 1 byte at least", path=("max_file_size",), reason="out_of_range")
        limits = replace(limits, file_size_max=changes.file_size_max)
    if not isinstance(changes.content_types, Unchanged):
        limits = replace(limits, content_types=_content_types(changes.content_types))
    if not isinstance(changes.trash_retention_days, Unchanged):
        if not 0 <= changes.trash_retention_days <= RETENTION_DAYS_MAX:
            message = f"files stay in the trash for 0 to {RETENTION_DAYS_MAX} days"
            raise InvalidValue(message, path=("trash_retention_days",), reason="out_of_range")
        limits = replace(limits, trash_retention_days=changes.trash_retention_days)
    return limits


def _content_types(types: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if types is None:
        return None
    if not 0 < len(types) <= CONTENT_TYPES_MAX:
        message = f"name 1 to {CONTENT_TYPES_MAX} types, or null for all"
        raise InvalidValue(message, path=("allowed_content_types",), reason="out_of_range")
    named = tuple(dict.fromkeys(one.strip().lower() for one in types))
    for place, one in enumerate(named):
        if not _CONTENT_TYPE.fullmatch(one):
            message = "a media type is written as type/subtype, or type/* for a family"
            raise InvalidValue(message, path=("allowed_content_types", str(place)))
    return named
