"""API keys of whoever asks."""

from typing import Annotated

import strawberry

from domain.errors import LighterageError
from domain.principal import Scope
from resolvers.context import Info
from resolvers.ids import parse_api_key_id
from schema.errors import refusal
from schema.keys import ApiKey, CreateApiKeyInput, CreateApiKeyPayload, RevokeApiKeyInput, RevokeApiKeyPayload
from schema.pagination import Connection, whole_page


async def list_api_keys(
    info: Info,
    first: Annotated[int, strawberry.argument(description="At most so many, up to 100.")] = 20,
    after: Annotated[str | None, strawberry.argument(description="Begin behind this cursor.")] = None,
) -> Connection[ApiKey]:
    keys = await info.context.services.keys.list_own(info.context.principal)
    nodes = [ApiKey.from_domain(key) for key in keys]
    return whole_page(nodes, cursors=[key.id for key in keys], first=first, after=after)


async def create_api_key(
    info: Info, input: Annotated[CreateApiKeyInput, strawberry.argument(description="The new key.")]
) -> CreateApiKeyPayload | None:
    try:
        issued = await info.context.services.keys.create(
            info.context.principal,
            name=input.name,
            scopes=[Scope(scope.value) for scope in input.scopes],
            expires_at=input.expires_at,
            client=info.context.client,
        )
    except LighterageError as error:
        return CreateApiKeyPayload(user_errors=refusal(error))
    key = ApiKey.from_domain(issued.key)
    return CreateApiKeyPayload(api_key=key, token=issued.token, secret_access_key=issued.secret)


async def revoke_api_key(
    info: Info, input: Annotated[RevokeApiKeyInput, strawberry.argument(description="Which key ends.")]
) -> RevokeApiKeyPayload | None:
    try:
        key_id = parse_api_key_id(input.api_key_id)
        key = await info.context.services.keys.revoke(info.context.principal, key_id, client=info.context.client)
    except LighterageError as error:
        return RevokeApiKeyPayload(user_errors=refusal(error))
    return RevokeApiKeyPayload(api_key=ApiKey.from_domain(key))
