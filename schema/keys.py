"""API keys: what programs log in with."""

from datetime import datetime
from operator import attrgetter
from typing import Self

import strawberry

from domain.apikey import ApiKey as ApiKeyRecord
from domain.ids import TenantId
from schema.accounts import Tenant
from schema.context import Info
from schema.directives import Auth
from schema.enums import Scope
from schema.errors import UserError
from schema.fields import computed
from schema.node import Node


@strawberry.type(description="What a program logs in with instead of a user's password.", directives=[Auth()])
class ApiKey(Node):
    name: str = strawberry.field(description="What it is for, in its maker's words.")
    prefix: str = strawberry.field(description="How its token begins: enough to recognise one that is found somewhere.")
    access_key_id: str = strawberry.field(
        description="Its name for clients of S3, with the secret as their secret key."
    )
    scopes: list[Scope] = strawberry.field(description="What it may do, within the role of its maker.")
    created_at: datetime = strawberry.field(description="When it was made.")
    last_used_at: datetime | None = strawberry.field(description="When it was last used, to the minute.")
    expires_at: datetime | None = strawberry.field(description="When it ends by itself; null: never.")
    record: strawberry.Private[ApiKeyRecord]

    @computed(
        description="The only tenant that it is good in; null when that is not the token's.",
        same_for=attrgetter("record.in_tenant"),
    )
    async def tenant(self, info: Info) -> Tenant | None:
        tenant_id = TenantId(self.record.in_tenant)
        if tenant_id != info.context.principal.tenant_id:
            return None
        return Tenant.from_domain(await info.context.get_tenant(tenant_id))

    @classmethod
    def from_domain(cls, record: ApiKeyRecord) -> Self:
        return cls(
            id=strawberry.ID(record.id),
            name=record.name,
            prefix=record.prefix,
            access_key_id=record.access_key_id,
            scopes=[Scope(scope.value) for scope in record.scopes],
            created_at=record.created_at,
            last_used_at=record.last_used_at,
            expires_at=record.expires_at,
            record=record,
        )


@strawberry.input(description="A new key, for the token's tenant.")
class CreateApiKeyInput:
    name: str = strawberry.field(description="What it is for.")
    scopes: list[Scope] = strawberry.field(description="What it may do; no more than the token that makes it.")
    expires_at: datetime | None = strawberry.field(default=None, description="When it ends by itself; default: never.")


@strawberry.input(description="Which key ends.")
class RevokeApiKeyInput:
    api_key_id: strawberry.ID = strawberry.field(description="The key.")


@strawberry.type(description="Outcome of `createApiKey`.")
class CreateApiKeyPayload:
    api_key: ApiKey | None = strawberry.field(default=None, description="The new key.")
    token: str | None = strawberry.field(
        default=None, description="Send it as `Authorization: Bearer …`. Shown this once."
    )
    secret_access_key: str | None = strawberry.field(
        default=None, description="For clients of S3, with the key's `accessKeyId`. Shown this once."
    )
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why there is none.")


@strawberry.type(description="Outcome of `revokeApiKey`.")
class RevokeApiKeyPayload:
    api_key: ApiKey | None = strawberry.field(default=None, description="The key as it was.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why it was not ended.")
