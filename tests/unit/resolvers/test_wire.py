"""Requests as bytes: what is read, what is refused, and that nothing else can happen."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resolvers.execution import Engine, Operation
from resolvers.limits import DocumentLimits
from resolvers.masking import Refused
from resolvers.root import build_schema
from resolvers.wire import decode, encode, is_json, negotiate, parse_operation, parse_query_string
from schema.errors import ErrorCode

ENGINE = Engine(build_schema(), DocumentLimits())

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
KEYS = st.sampled_from(["query", "variables", "operationName", "extensions", "id", "persistedQuery"])
# Words that documents are made of, in no order: most of it is nonsense, some of it parses.
WORDS = st.sampled_from(
    [
        *("{", "}", "(", ")", "[", "]", ":", "$", "@", "...", "!", "=", '"', '"""', "#", "\\u", "\ud7ff"),
        *("query", "mutation", "subscription", "fragment", "on", "a", "$a", "@skip(if: true)", "@include"),
        *("viewer", "id", "{ id }", "files", "first: 1", "nodes", "__typename", "__schema", "__type", "Query", "User"),
        *("true", "null", "1", "-1", "1e9"),
    ]
)


def refusal_of(act: Callable[[], object]) -> Refused | None:
    """Do something that may be refused; anything else that is raised is a fault."""
    try:
        act()
    except Refused as error:
        return error
    return None


@pytest.mark.slow
@settings(deadline=None)
@given(VALUES | st.dictionaries(KEYS, VALUES))
def test_any_json_is_an_operation_or_refused(content: Any) -> None:
    """No value of any key is anything but a bad request."""
    error = refusal_of(lambda: parse_operation(content))

    assert error is None or error.code in {ErrorCode.BAD_REQUEST, ErrorCode.PERSISTED_QUERY_NOT_FOUND}


@settings(deadline=None)
@given(st.binary(max_size=64) | st.text(max_size=64))
def test_any_bytes_are_json_or_refused(text: bytes | str) -> None:
    """Half a character, a bracket too many, a number without end."""
    error = refusal_of(lambda: decode(text))

    assert error is None or error.code is ErrorCode.BAD_REQUEST


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=40), st.booleans(), VALUES)
def test_any_document_is_prepared_or_refused(text: str, is_guest: bool, value: Any) -> None:
    """The parser, the limiter and validation raise nothing that would be a fault of ours."""
    operation = Operation(text, variables={"a": value, "first": value})

    error = refusal_of(lambda: ENGINE.prepare(operation, is_guest=is_guest))

    assert error is None or (error.code is not ErrorCode.INTERNAL and error.formatted())


@settings(deadline=None)
@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["*/*", "a/b", "application/json", ";q=", "1", ",", "é"])).map("".join)
)
def test_any_accept_header_is_understood(header: str) -> None:
    """Or takes nothing: but it is never a fault."""
    assert negotiate(header) in {None, "application/json", "application/graphql-response+json", "text/event-stream"}
    is_json(header)


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, "application/json"),
        ("", "application/json"),
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream, application/json;q=0.1", "text/event-stream"),
        ("text/*", None),
        ("application/json;q=0", None),
        ("application/json;q=0, */*", "application/graphql-response+json"),
        ("image/png", None),
    ],
)
def test_the_most_wanted_is_given(accept: str | None, media: str | None) -> None:
    """An event stream only to who names it."""
    assert negotiate(accept) == media


def test_a_query_string_holds_json_in_its_fields() -> None:
    """As an EventSource sends it."""
    operation = parse_query_string({"query": "{ a }", "variables": '{"b": 1}', "operationName": "", "other": "x"})

    assert (operation.text, operation.name, operation.variables) == ("{ a }", None, {"b": 1})


@pytest.mark.parametrize("variables", ["{", "1", "[]"])
def test_a_query_string_may_be_wrong(variables: str) -> None:
    """In the same words as a body."""
    with pytest.raises(Refused):
        parse_query_string({"query": "{ a }", "variables": variables})


@pytest.mark.parametrize("value", [{"a": 2**70}, {"a": "\ud800"}, {"a": [1, None, "ü"]}])
def test_what_orjson_cannot_write_is_still_json(value: object) -> None:
    """Numbers past 64 bits, half a surrogate pair."""
    assert json.loads(encode(value)) == value
