"""The limiter: what passes, what does not, and that no document makes it slow."""

import time

import pytest
from graphql import GraphQLSchema, get_introspection_query, parse

from resolvers.limits import DocumentLimits, Limiter, Measured, TooComplex, cost_table
from resolvers.root import build_schema

LIMITS = DocumentLimits()


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema()._schema


def check(schema: GraphQLSchema, text: str, **variables: object) -> Measured:
    return Limiter(schema, LIMITS).check(parse(text), variables)


def doubling(count: int, last: str) -> str:
    """Write fragments that each spread the next one twice."""
    fragments = [f"fragment f{number} on Query {{ ...f{number + 1} ...f{number + 1} }}" for number in range(count)]
    return "{ ...f0 } " + " ".join(fragments) + f" fragment f{count} on Query {{ {last} }}"


def test_costs_are_read_from_the_schema(schema: GraphQLSchema) -> None:
    """What the SDL says is what counts."""
    table = cost_table(schema)

    assert (table["Query", "files"].list_size, table["Query", "files"].sized_by) == (50, "first")
    assert table["Mutation", "logIn"].weight == 50
    assert table["FileConnection", "totalCount"].weight == 10


@pytest.mark.parametrize(
    "text",
    [
        "{ viewer { id } }",
        "{ files(first: 100) { totalCount pageInfo { endCursor } nodes { id size downloadUrl uploadedBy { name } } } }",
        get_introspection_query(),
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a viewer { id } }",
        "{ ...missing nonsense { of { no { type } } } }",
        "{ viewer { " + "id " * 30 + "} }",
    ],
)
def test_ordinary_and_merely_wrong_documents_pass(schema: GraphQLSchema, text: str) -> None:
    """Whether a document fits the schema is validation's business."""
    check(schema, text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{ a " * 13 + "}" * 13, "nested at most 12"),
        ("{ " + "viewer { id } " * 21 + "}", "20 root fields"),
        ("{ " + " ".join(f"a{number}: __typename" for number in range(31)) + " }", "30 aliases"),
        ("{ viewer { " + "id " * 31 + "} }", "30 times in one place"),
        ("{ viewer { " + "... { id } " * 31 + "} }", "30 times in one place"),
        (" ".join(f"query q{number} {{ __typename }}" for number in range(11)), "10 operations"),
        (doubling(70, "__typename"), "60 fragments"),
        (doubling(10, "viewer { id }"), "20 root fields"),
        ("{ __typename } " + doubling(10, "a: viewer { id }").removeprefix("{ ...f0 } "), "30 aliases"),
        (
            "{ files(first: 100) { nodes { a: sqlSchema { format } b: sqlSchema { format } sqlSchema { format } } } }",
            "costs",
        ),
        ("{ files(first: 99999999999999999999) { nodes { id } } }", "costs"),
        ("query ($n: Int = 9000) { files(first: $n) { nodes { id } } }", "costs"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_too_much_is_refused(schema: GraphQLSchema, text: str, reason: str) -> None:
    """And the reason says which limit it was."""
    with pytest.raises(TooComplex, match=reason):
        check(schema, text)


def test_a_size_may_come_by_variable(schema: GraphQLSchema) -> None:
    """So the same text may pass once and fail the next time; whoever keeps documents must know."""
    text = "query ($n: Int) { files(first: $n) { nodes { id } } }"

    assert check(schema, text, n=10).depends_on_variables
    assert not check(schema, "{ files(first: 10) { nodes { id } } }").depends_on_variables
    with pytest.raises(TooComplex):
        check(schema, text, n=6000)


@pytest.mark.parametrize("size", [None, "9", -5, True, 1.5, {}, [1] * 10])
def test_an_odd_size_is_for_others_to_refuse(schema: GraphQLSchema, size: object) -> None:
    """Variables are not checked yet."""
    check(schema, "query ($n: Int) { files(first: $n) { nodes { id } } }", n=size)


def test_only_the_nodes_of_a_connection_count_as_often_as_asked(schema: GraphQLSchema) -> None:
    """totalCount is worked out once a page."""
    limits = DocumentLimits(cost_max=320)

    Limiter(schema, limits).check(
        parse("{ files(first: 100) { totalCount pageInfo { endCursor } nodes { id name } } }"), {}
    )


def test_introspection_is_found_wherever_it_is(schema: GraphQLSchema) -> None:
    """In a fragment, under an alias; but `__typename` is none."""
    assert check(schema, "{ ...a } fragment a on Query { x: __schema { types { name } } }").introspects
    assert check(schema, '{ __type(name: "File") { name } }').introspects
    assert not check(schema, "{ __typename viewer { __typename } }").introspects


def test_doubling_fragments_take_no_time() -> None:
    """Each is measured once: a 700-byte document must not stop the worker."""
    limiter = Limiter(
        build_schema()._schema, DocumentLimits(fragments_max=1000, root_fields_max=10**9, aliases_max=10**9)
    )
    document = parse(doubling(150, "viewer { id }"))

    started = time.process_time()
    with pytest.raises(TooComplex):
        limiter.check(document, {})
    assert time.process_time() - started < 0.1
