"""Plans give the answers that graphql-core gives, errors and order included."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLSchema, get_named_type, is_leaf_type

from domain.file import MetadataEntry, Resource
from domain.upload import NewUpload
from resolvers.context import RequestContext
from resolvers.execution import Engine, Operation
from resolvers.limits import DocumentLimits
from resolvers.root import build_schema
from resolvers.wire import encode
from tests.support.graphql_client import FACTS
from tests.support.graphql_fakes import NOW, Fakes, file, principal

LOOSE = DocumentLimits(cost_max=10**6, depth_max=20, tokens_max=10_000, aliases_max=1000)
BUILT = build_schema()
SCHEMA: GraphQLSchema = BUILT._schema


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def services() -> Fakes:
    services = Fakes()
    one = file(sha256="0" * 64, expires_at=NOW, resource=Resource("product", "1"), metadata=(MetadataEntry("k", "v"),))
    services.files.add(one, file("ümlaut \U0001f600", size=2**52))
    return services


def engines() -> Iterator[Engine]:
    """Give two: as it is, and one that makes no plans."""
    yield Engine(BUILT, LOOSE)
    plain = Engine(BUILT, LOOSE)
    plain._plan = lambda _: None  # type: ignore[method-assign]
    yield plain


async def both(services: Fakes, text: str, **variables: object) -> list[bytes]:
    found = []
    for engine in engines():
        context = RequestContext(services, FACTS, principal("anna"), client="127.0.0.1", request_id="request-1")  # type: ignore[arg-type]
        prepared = engine.prepare(Operation(text, variables=variables), is_guest=False)
        found.append(encode(await engine.execute(prepared, context)))
    return found


def everything(type_: Any, depth: int) -> str:
    """Select every field that needs no argument, leaves under two names, so many levels down."""
    chosen = []
    for name, field in getattr(type_, "fields", {}).items():
        named = get_named_type(field.type)
        if is_leaf_type(named):
            chosen += [name, f"other_{name}: {name}"]
        elif depth > 0:
            chosen.append(f"{name} {{ {everything(named, depth - 1)} }}")
    return " ".join([*chosen, "__typename"])


@pytest.mark.parametrize("name", ["viewer", "serverInfo", "tenant", "files", "uploads"])
async def test_every_field_has_the_same_answer(services: Fakes, name: str) -> None:
    """Byte for byte: values, nulls and the order of keys."""
    await services.uploads.begin(principal("anna"), NewUpload("a.csv", length=5))
    assert SCHEMA.query_type is not None
    field = SCHEMA.query_type.fields[name]

    short, plain = await both(services, f"{{ {name} {{ {everything(get_named_type(field.type), 4)} }} }}")

    assert b"errors" not in plain
    assert short == plain


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("name", None),
        ("name", 5),
        ("name", object()),
        ("size", None),
        ("size", "many"),
        ("size", True),
        ("created_at", "yesterday"),
        ("expires_at", "tomorrow"),
        ("sha256", 7),
        ("sha256", ["x"]),
        ("revision", 2**40),
    ],
)
async def test_what_cannot_be_written_fails_the_same_way(services: Fakes, attribute: str, value: object) -> None:
    """The same masked errors at the same paths, and the same nulls above them."""
    for found in list(services.files.files.values())[:1]:
        services.files.files[found.id] = replace(found, **{attribute: value})

    short, plain = await both(services, "{ files { nodes { id name size createdAt expiresAt sha256 version } } }")

    assert short == plain


async def test_fields_keep_the_order_asked_for(services: Fakes) -> None:
    """Leaves among objects, aliases and fields left out."""
    text = (
        "query ($no: Boolean!) { files(first: 1) { nodes { size uploadedBy { email id } name @skip(if: $no)"
        " a: name resource { id type } b: downloadUrl id ...F } } } fragment F on File { status name tenant { slug } }"
    )

    for no in (True, False):
        short, plain = await both(services, text, no=no)
        assert short == plain


@pytest.mark.parametrize(
    "text",
    [
        '{ viewer { id } file(id: "file_00000000000000000000000000") { id } serverInfo { version } }',
        "{ viewer { id } files(first: 1000) { nodes { id } } }",
        "{ files { nodes { name downloadUrl(ttlSeconds: 0) } } }",
        "{ files { nodes { tenant { members(first: 0) { nodes { role } } } } } }",
        "query ($first: Int = 1, $ttl: Int!) { files(first: $first) { nodes { downloadUrl(ttlSeconds: $ttl) } } }",
        "query ($field: FileOrderField!) { files(orderBy: {field: $field}) { nodes { name } } }",
        "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on File { name } ... on Node { other: id } } }",
        """{ ...A ...A files { ... on FileConnection { ...B } nodes { size } } } fragment A on Query { viewer { id } }
        fragment B on FileConnection { nodes { name size } totalCount }""",
        "{ __typename viewer { __typename } }",
        '{ __type(name: "File") { name } viewer { id } }',
    ],
)
async def test_what_is_asked_in_another_way_has_the_same_answer(services: Fakes, text: str) -> None:
    """Errors of root fields and below, variables in arguments and in inputs, fragments, names of types."""
    given = {"ttl": 60, "field": "NAME", "ids": [*services.files.files, "file_00000000000000000000000000", "x"]}
    named = {name: value for name, value in given.items() if f"${name}:" in text}

    planned, plain = await both(services, text, **named)

    assert planned == plain


def test_resolvers_ask_their_info_for_the_context_alone() -> None:
    """Plans give them nothing else."""
    root = Path(__file__).parents[3]
    asked = {
        name
        for room in ("schema", "resolvers")
        for path in (root / room).glob("*.py")
        for name in re.findall(r"\binfo\.(\w+)", path.read_text())
    }

    assert asked == {"context"}


def test_a_plan_knows_its_limits() -> None:
    """A mutation, introspection and conditions are left to graphql-core."""
    engine = Engine(BUILT, LOOSE)
    for text, is_planned in (
        ("{ viewer { id } }", True),
        ("subscription { fileEvents { cursor file { name } } }", True),
        ('mutation { logOut(input: {refreshToken: "x"}) { userErrors { code } } }', False),
        ("{ __schema { queryType { name } } }", False),
        ("{ viewer { id @skip(if: true) } }", False),
    ):
        prepared = engine.prepare(Operation(text), is_guest=False)
        assert (engine._plan(prepared) is not None) is is_planned, text
