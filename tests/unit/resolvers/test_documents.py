"""Documents: what is refused how, and what is kept."""

import pytest
from graphql import GraphQLSchema

import resolvers.documents
from resolvers.documents import Documents
from resolvers.limits import DocumentLimits
from resolvers.masking import Refused
from resolvers.root import build_schema


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema()._schema


@pytest.fixture
def documents(schema: GraphQLSchema) -> Documents:
    return Documents(schema, DocumentLimits())


def refusal(documents: Documents, text: str, *, is_guest: bool = True) -> Refused:
    with pytest.raises(Refused) as refused:
        documents.prepare(text, {}, is_guest=is_guest)
    return refused.value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{", "GRAPHQL_PARSE_FAILED"),
        ('{ node(id: "\\ud800") { id } }', "GRAPHQL_PARSE_FAILED"),
        ("\x00", "GRAPHQL_PARSE_FAILED"),
        ("{ nonsense }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...a } fragment a on Query { ...a }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ " + "a " * 3000 + "}", "QUERY_TOO_COMPLEX"),
        ("{ __typename } #" + "x" * 100_000, "QUERY_TOO_COMPLEX"),
        ("{a" * 900 + "}" * 900, "QUERY_TOO_COMPLEX"),
        ("{ nodes(ids: " + "[" * 900 + "]" * 900 + ") { id } }", "QUERY_TOO_COMPLEX"),
        ("query ($a: " + "[" * 900 + "Int" + "]" * 900 + ") { __typename }", "QUERY_TOO_COMPLEX"),
        ("{ __schema { types { name } } }", "UNAUTHENTICATED"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_every_fault_has_its_code(documents: Documents, text: str, code: str) -> None:
    """Parsing, size, rights, validation: in this order."""
    assert refusal(documents, text).code.value == code


@pytest.mark.parametrize(
    "text", ["{ viewr { id } }", "{ files(orderBy: {field: NAM}) { nodes { id } } }", "{ node(idd: 1) { id } }"]
)
def test_suggestions_are_for_those_who_are_logged_in(documents: Documents, text: str) -> None:
    """To anyone else they would spell out the schema."""
    assert not any("Did you mean" in error.message for error in refusal(documents, text).errors)
    assert any("Did you mean" in error.message for error in refusal(documents, text, is_guest=False).errors)


def test_introspection_is_for_those_who_are_logged_in(documents: Documents) -> None:
    """Also when somebody else's document is kept already."""
    text = "{ __schema { types { name } } }"

    documents.prepare(text, {}, is_guest=False)

    assert refusal(documents, text).code.value == "UNAUTHENTICATED"


def test_what_passed_is_parsed_once(documents: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small queries are 4.5 times as fast by it."""
    first = documents.prepare("{ __typename }", {}, is_guest=True)
    monkeypatch.setattr(resolvers.documents, "parse", None)

    assert documents.prepare("{ __typename }", {}, is_guest=True) is first


def test_a_kept_document_is_measured_again_with_other_variables(documents: Documents) -> None:
    """A page of ten must not open the door for one of a million."""
    text = "query ($n: Int) { files(first: $n) { nodes { id } } }"
    documents.prepare(text, {"n": 10}, is_guest=False)

    with pytest.raises(Refused, match="costs"):
        documents.prepare(text, {"n": 10**6}, is_guest=False)


def test_the_oldest_are_forgotten(schema: GraphQLSchema, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can fill the memory with documents."""
    monkeypatch.setattr(resolvers.documents, "CACHE_DOCUMENTS_MAX", 2)
    documents = Documents(schema, DocumentLimits())
    first = documents.prepare("{ __typename }", {}, is_guest=True)

    for number in range(3):
        documents.prepare(f"query q{number} {{ __typename }}", {}, is_guest=True)

    assert documents.prepare("{ __typename }", {}, is_guest=True) is not first


def test_several_operations_need_a_name(documents: Documents) -> None:
    """One alone does not."""
    two = documents.prepare("query A { __typename } query B { __typename }", {}, is_guest=True)
    one = documents.prepare("query A { __typename }", {}, is_guest=True)

    assert two.find(None) is None
    assert two.find("B") is two.operations[1]
    assert one.find(None) is one.find("A") is one.operations[0]
    assert one.find("B") is None
