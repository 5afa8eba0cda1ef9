"""The use cases of tenants: what one is, and how much it holds."""

from auth.policy import Action, require
from domain.errors import NotFound
from domain.ids import SYSTEM, TenantId
from domain.principal import Principal
from domain.records import Records
from domain.tenant import TENANTS, USAGES, Tenant, Usage


class TenantService:
    def __init__(self, *, records: Records) -> None:
        self._tenants = records.collection(TENANTS)
        self._usages = records.collection(USAGES)

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
