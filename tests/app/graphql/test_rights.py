"""A matrix made from the schema: every root field, by everyone who is not let in, over the real services."""

from collections.abc import AsyncGenerator
from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    get_named_type,
    get_nullable_type,
    is_composite_type,
)

from domain.ids import TenantId, UserId, new_api_key_id, new_file_id, new_session_id, new_upload_id, new_user_id
from domain.principal import Principal, Scope
from domain.tenant import TenantRole
from resolvers.context import RequestContext
from resolvers.execution import Engine, Operation
from resolvers.limits import DocumentLimits
from resolvers.masking import Refused
from resolvers.root import build_schema, directives_of
from schema.directives import Auth
from tests.app.graphql.test_assembled import opened
from tests.support.graphql_client import FACTS
from tests.support.graphql_fakes import NOW

SCHEMA = build_schema()._schema
FIELDS = {
    (kind, name): field
    for kind, root in (
        ("query", SCHEMA.query_type),
        ("mutation", SCHEMA.mutation_type),
        ("subscription", SCHEMA.subscription_type),
    )
    if root is not None
    for name, field in root.fields.items()
}


def auth_of(field: GraphQLField) -> Auth | None:
    return next((one for one in directives_of(field) if isinstance(one, Auth)), None)


GUARDED = {key: auth for key, field in FIELDS.items() if (auth := auth_of(field)) is not None}


def value_of(type_: GraphQLInputType, name: str) -> Any:
    """Make up a value that fits: of ids, one that could be."""
    type_ = get_nullable_type(type_)
    if isinstance(type_, GraphQLList):
        return [value_of(type_.of_type, name)]
    if isinstance(type_, GraphQLInputObjectType):
        required = {key: one for key, one in type_.fields.items() if isinstance(one.type, GraphQLNonNull)}
        return {key: value_of(one.type, key) for key, one in required.items()}
    if isinstance(type_, GraphQLEnumType):
        return next(iter(type_.values))
    if str(type_) == "ID":
        kinds = {"upload": new_upload_id(), "apikey": new_api_key_id(NOW), "userid": new_user_id(NOW)}
        return next((made for kind, made in kinds.items() if kind in name.lower()), new_file_id(NOW))
    return {"String": "text", "Int": 1, "BigInt": 1, "Boolean": True}[str(type_)]


def operation(kind: str, name: str) -> Operation:
    """Write the smallest operation that asks for a root field."""
    field = FIELDS[kind, name]
    required = {
        key: one
        for key, one in field.args.items()
        if isinstance(one.type, GraphQLNonNull) and "input" in (key, "input")
    }
    declared = ", ".join(f"${key}: {one.type}" for key, one in required.items())
    passed = ", ".join(f"{key}: ${key}" for key in required)
    text = (
        f"{kind}{f'({declared})' if declared else ''} {{ {name}{f'({passed})' if passed else ''} {selection(field)} }}"
    )
    hint = "upload" if name == "upload" else ""
    return Operation(text, variables={key: value_of(one.type, hint or key) for key, one in required.items()})


def selection(field: GraphQLField) -> str:
    return "{ __typename }" if is_composite_type(get_named_type(field.type)) else ""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def services(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Any, None]:
    async with opened(tmp_path_factory.mktemp("rights")) as product:
        yield product.services


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(build_schema(), DocumentLimits())


async def code_for(engine: Engine, services: Any, principal: Principal, kind: str, name: str) -> str | None:
    """Ask for a field as somebody; gives the first error's code."""
    context = RequestContext(services, FACTS, principal, client="127.0.0.1", request_id="request-1")
    prepared = engine.prepare(operation(kind, name), is_guest=principal.is_guest)
    stream = engine.answers(prepared, context)
    try:
        answer = await anext(stream)
    except Refused as error:
        return str(error.formatted()[0]["extensions"]["code"])
    finally:
        await stream.aclose()
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


async def member(services: Any, role: TenantRole, scopes: frozenset[Scope]) -> Principal:
    saved = await services.accounts.save_user("anna", "a password of anna's")
    return Principal(UserId(saved.user.id), TenantId(saved.tenant.id), role, scopes, new_session_id(NOW))


@pytest.mark.parametrize(("kind", "name"), sorted(GUARDED))
async def test_a_guest_is_asked_to_log_in(engine: Engine, services: Any, kind: str, name: str) -> None:
    """Wherever the SDL says @auth, the services say so too."""
    assert await code_for(engine, services, Principal(), kind, name) == "UNAUTHENTICATED"


@pytest.mark.parametrize(("kind", "name"), sorted(key for key, auth in GUARDED.items() if auth.scope))
async def test_a_token_without_the_scope_is_refused(engine: Engine, services: Any, kind: str, name: str) -> None:
    """Whoever holds it may be the owner."""
    wanted = GUARDED[kind, name].scope
    assert wanted is not None
    others = frozenset(one for one in Scope if one.value != wanted.value)
    narrow = await member(services, TenantRole.OWNER, others)

    code = await code_for(engine, services, narrow, kind, name)

    # What takes an id looks for the thing first: of one that is not there nobody learns what they might have done.
    assert code in {"FORBIDDEN", "NOT_FOUND", None}
    if not takes_id(FIELDS[kind, name]):
        assert code == "FORBIDDEN"


def takes_id(field: GraphQLField) -> bool:
    inputs = [get_named_type(one.type) for one in field.args.values()]
    nested = [inner.type for one in inputs if isinstance(one, GraphQLInputObjectType) for inner in one.fields.values()]
    return any("ID!" in str(type_) for type_ in [*(one.type for one in field.args.values()), *nested])


async def test_what_is_open_is_open(engine: Engine, services: Any) -> None:
    """A guest may ask who they are, what this is, and log in; nothing else is without @auth."""
    unguarded = {name for kind, name in set(FIELDS) - set(GUARDED)}

    assert unguarded == {
        *("viewer", "node", "nodes", "serverInfo", "logIn", "refreshToken", "logOut"),
        *("signUp", "verifyEmail", "resendVerification", "requestPasswordReset", "resetPassword"),
    }
    for kind, name in (("query", "viewer"), ("query", "serverInfo"), ("mutation", "logIn")):
        assert await code_for(engine, services, Principal(), kind, name) is None
