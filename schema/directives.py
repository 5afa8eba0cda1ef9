"""What the SDL says about a field besides its type: what it costs, and who it is for."""

import strawberry
from strawberry.schema_directive import Location

from schema.enums import Scope, TenantRole


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    description=(
        "What a field costs, for the static limiter: cost = weight + (assumed or asked list size) * cost of the "
        "children. Of a connection, only `edges` and `nodes` count as many times."
    ),
)
class Cost:
    weight: int = strawberry.directive_field(name="weight", default=1)
    list_size: int | None = strawberry.directive_field(name="listSize", default=strawberry.UNSET)
    sized_by: str | None = strawberry.directive_field(name="sizedBy", default=strawberry.UNSET)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.OBJECT],
    description="It needs a signed-in user, optionally one with this scope or role in the tenant.",
)
class Auth:
    scope: Scope | None = strawberry.directive_field(name="scope", default=strawberry.UNSET)
    role: TenantRole | None = strawberry.directive_field(name="role", default=strawberry.UNSET)
