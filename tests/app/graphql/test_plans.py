"""Plans give the answers that graphql-core gives: every field of the schema, over the real services, as everybody."""

import json
import re
from typing import Any

import pytest

from resolvers.context import RequestContext
from resolvers.execution import Engine, Operation, Prepared
from resolvers.limits import DocumentLimits
from resolvers.root import build_schema
from resolvers.wire import encode
from tests.app.graphql.test_rights import ROWS
from tests.support.graphql_client import FACTS
from tests.support.graphql_people import PEOPLE, Everyone, Person
from tests.support.graphql_questions import FIELDS, question

LOOSE = DocumentLimits(cost_max=10**9, depth_max=30, tokens_max=100_000, aliases_max=10_000)
_NEW_EACH_TIME = re.compile(rb'eyJ[\w.-]+|"elapsedMs":\d+|"other_elapsedMs":\d+')
READING = sorted(key for key in FIELDS if key[0] != "mutation")

pytestmark = pytest.mark.slow


class Watched(Engine):
    """Tells whether graphql-core was asked to execute."""

    def __init__(self, *, plans: bool) -> None:
        super().__init__(build_schema(), LOOSE)
        self._plans = plans
        self.built = 0

    def _plan(self, prepared: Prepared) -> Any:
        return super()._plan(prepared) if self._plans else None

    def _build(self, prepared: Prepared, context: RequestContext) -> Any:
        self.built += 1
        return super()._build(prepared, context)

    async def first(self, everyone: Everyone, person: Person, text: str, variables: dict[str, Any]) -> bytes:
        """Give the first answer, as bytes: the order of keys is part of it."""
        context = RequestContext(
            everyone.product.services, FACTS, person.principal, client="127.0.0.1", request_id="request-1"
        )
        prepared = self.prepare(Operation(text, variables=variables), is_guest=False)
        stream = self.answers(prepared, context)
        try:
            answer = encode(await anext(stream))
        except Exception as error:
            answer = encode([one.formatted for one in error.errors] if hasattr(error, "errors") else str(error))
        finally:
            await stream.aclose()
        return _NEW_EACH_TIME.sub(b"", answer)


@pytest.fixture(scope="module")
def engines() -> tuple[Watched, Watched]:
    return Watched(plans=True), Watched(plans=False)


def arguments_of(key: tuple[str, str]) -> dict[str, Any]:
    """Give those of the table of rights; of a list two are enough."""
    arguments: dict[str, Any] = json.loads(ROWS[key]["arguments"])
    return arguments | ({"first": 2} if "first" in FIELDS[key].args else {})


@pytest.mark.parametrize("key", READING, ids=" ".join)
async def test_everybody_gets_the_same_answer(
    everyone: Everyone, engines: tuple[Watched, Watched], key: tuple[str, str]
) -> None:
    """Byte for byte: values, nulls, errors and the order of keys."""
    planning, plain = engines
    for who in PEOPLE:
        depth = 3 if who == "owner" else 1
        person = everyone.people[who]
        arguments = await everyone.filled(arguments_of(key), person)
        text = question(*key, arguments, depth=depth, whole=True)

        assert await planning.first(everyone, person, text, arguments) == await plain.first(
            everyone, person, text, arguments
        )


@pytest.mark.parametrize("key", [key for key in READING if key[0] == "query"], ids=" ".join)
async def test_a_query_that_succeeds_needs_no_graphql_core(
    everyone: Everyone, engines: tuple[Watched, Watched], key: tuple[str, str]
) -> None:
    """Else the test above would compare it with itself."""
    planning, owner = engines[0], everyone.people["owner"]
    arguments = await everyone.filled(arguments_of(key), owner)
    before = planning.built
    answer = await planning.first(everyone, owner, question(*key, arguments, depth=3, whole=True), arguments)

    assert b"errors" not in answer
    assert planning.built == before
