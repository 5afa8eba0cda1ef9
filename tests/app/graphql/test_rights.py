"""
Who may ask for what: every root field of the schema, by everybody, over the product on a real socket.

What is expected stands in `rights.tsv`, one line a field; a field without a line fails. `$file` and the like in its
arguments is a thing of the tenant's, made for this one question by `member`; of what a question needs of who asks,
`tests/support/graphql_people.py` makes their own.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from domain.principal import ALL_SCOPES, Scope
from tests.support.graphql_people import MARK, PEOPLE, Everyone, Person
from tests.support.graphql_questions import FIELDS, auth_of, outcome, question, read_table

TABLE = Path(__file__).with_name("rights.tsv")
ROWS = {tuple(line["field"].split()): line for line in read_table(TABLE)}
GUARDED = {key: auth for key, field in FIELDS.items() if (auth := auth_of(field)) is not None}

pytestmark = pytest.mark.slow


async def answers(everyone: Everyone, key: tuple[str, str], person: Person) -> list[dict[str, Any]]:
    """Ask for a field by every transport that has it."""
    kind, name = key
    asks = [everyone.ask] if kind != "subscription" else [everyone.first_event, everyone.first_message]
    found = []
    for ask in asks:
        arguments = await everyone.filled(json.loads(ROWS[key]["arguments"]), person)
        found.append(await ask(question(kind, name, arguments), arguments, person))
    return found


def test_every_field_has_its_line() -> None:
    """A new field is open to nobody until somebody has written down to whom it is."""
    assert sorted(ROWS) == sorted(FIELDS), f"{TABLE.name} and the schema differ"


@pytest.mark.parametrize("key", sorted(FIELDS), ids=" ".join)
async def test_each_gets_what_is_theirs(everyone: Everyone, key: tuple[str, str]) -> None:
    """Over HTTP; a subscription as an event stream and over a socket. A stranger hears nothing of the tenant."""
    for who in PEOPLE:
        person = everyone.people[who]
        for answer in await answers(everyone, key, person):
            assert (who, outcome(answer, key[1])) == (who, ROWS[key][who]), answer
            if who in {"guest", "other"}:
                assert MARK not in str(answer)


@pytest.mark.parametrize("key", sorted(GUARDED), ids=" ".join)
def test_who_is_let_in_is_what_the_schema_says(key: tuple[str, str]) -> None:
    """`@auth` is what clients read: no guest passes it, and only an admin where it names that role."""
    row, auth = ROWS[key], GUARDED[key]

    assert row["guest"] == "UNAUTHENTICATED"
    if auth.role:
        assert {"FORBIDDEN"} == {row[who] for who in ("viewer", "colleague", "member")}


@pytest.mark.parametrize("key", sorted(key for key, auth in GUARDED.items() if auth.scope), ids=" ".join)
async def test_a_key_without_the_scope_is_refused(everyone: Everyone, key: tuple[str, str]) -> None:
    """Whoever made it may be the owner, and the thing may be there."""
    wanted = GUARDED[key].scope
    assert wanted is not None
    narrow = await everyone.key_of("owner", ALL_SCOPES - {Scope(wanted.value)})

    for answer in await answers(everyone, key, narrow):
        assert outcome(answer, key[1]) == "FORBIDDEN", answer


def test_what_is_open_is_open() -> None:
    """Who am I, what is this, and the ways in; nothing else is without @auth."""
    assert {name for _, name in set(FIELDS) - set(GUARDED)} == {
        *("viewer", "node", "nodes", "sharedFile", "serverInfo", "logIn", "refreshToken", "logOut"),
        *("signUp", "verifyEmail", "resendVerification", "requestPasswordReset", "resetPassword"),
    }
