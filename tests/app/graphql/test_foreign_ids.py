"""
The id of another tenant's thing, in every place of the schema that takes one: what comes is what comes for an id that
nobody has.

The places are found in the schema; `foreign-ids.tsv` says what is asked there, and who would see the thing. A place
without a line fails.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.graphql_people import MARK, Everyone
from tests.support.graphql_questions import places_of_ids, question, question_of_tenant, read_table

TABLE = Path(__file__).with_name("foreign-ids.tsv")
ROWS = read_table(TABLE)
BEYOND_IDS = {"Query.tenant slug"}
"""Places that name a thing by another text than an id."""
_ID = re.compile(r"\b([a-z]+)_[0-9a-z]{26}\b")
_NEW_EACH_TIME = {"cursor", "elapsedMs", "accessToken", "value", "downloadUrl"}

pytestmark = pytest.mark.slow


def alike(answer: Any) -> Any:
    """Take out of an answer what is another at each asking."""
    if isinstance(answer, dict):
        return {name: "" if name in _NEW_EACH_TIME else alike(value) for name, value in answer.items()}
    if isinstance(answer, list):
        return [alike(value) for value in answer]
    return _ID.sub(r"\1", answer) if isinstance(answer, str) else answer


async def ask(everyone: Everyone, row: dict[str, str], who: str, *, there: bool) -> tuple[Any, bool]:
    """
    Ask for what a line says, with a thing of the tenant's or with ids that nobody has.

    Returns:
        The answer, and whether the tenant has what it had before.
    """
    root, _, name = row["place"].split()[0].partition(".")
    person = everyone.people[who]
    arguments = await everyone.filled(json.loads(row["arguments"]), person, there=there)
    text = question_of_tenant(name, arguments) if root == "Tenant" else question(root.lower(), name, arguments)
    before = await everyone.state()
    if root == "Subscription":
        answer = await everyone.first_event(text, arguments, person)
        assert alike(answer) == alike(await everyone.first_message(text, arguments, person))
    else:
        answer = await everyone.ask(text, arguments, person)
    return answer, before == await everyone.state()


def test_every_place_has_its_line() -> None:
    """A new argument, or a new field of an input, that takes an id."""
    assert sorted({row["place"] for row in ROWS} - BEYOND_IDS) == sorted(places_of_ids())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['place']} {row['arguments']}")
async def test_another_tenants_id_answers_as_a_missing_one(everyone: Everyone, row: dict[str, str]) -> None:
    """Nothing of the tenant is told, and nothing in it changes."""
    for who in ("other", "guest"):
        missing, _ = await ask(everyone, row, who, there=False)
        foreign, is_untouched = await ask(everyone, row, who, there=True)

        assert alike(missing) == alike(foreign)
        assert MARK not in str(foreign)
        assert is_untouched


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['place']} {row['arguments']}")
async def test_who_may_see_it_gets_another_answer(everyone: Everyone, row: dict[str, str]) -> None:
    """Else the test above would see nothing."""
    missing, _ = await ask(everyone, row, row["seen by"], there=False)
    found, _ = await ask(everyone, row, row["seen by"], there=True)

    assert alike(found) != alike(missing)
