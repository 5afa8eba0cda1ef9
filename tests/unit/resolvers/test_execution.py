"""Execution: subscriptions leave nothing behind, and errors are masked."""

import gc
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import orjson
import pytest
from graphql import GraphQLObjectType

from domain.event import FileEvent
from domain.file import File
from domain.tenant import TenantRole
from resolvers.context import RequestContext
from resolvers.execution import Engine, Operation, Prepared
from resolvers.limits import DocumentLimits
from resolvers.masking import Refused
from resolvers.root import build_schema
from resolvers.sharing import PERSONAL_FIELDS
from resolvers.wire import encode
from tests.support.graphql_client import FACTS
from tests.support.graphql_fakes import ACME, ROLES, Fakes, event, file, principal, user

EVENTS = "subscription { fileEvents { cursor file { name resource { id } metadata { key } } actor { username } } }"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def engine() -> Engine:
    return Engine(build_schema(), DocumentLimits())


def context(services: Any) -> RequestContext:
    return RequestContext(services, FACTS, principal("anna"), client="127.0.0.1", request_id="request-1")


def prepare(engine: Engine, text: str, **variables: object) -> Prepared:
    return engine.prepare(Operation(text, variables=variables), is_guest=False)


class EndlessEvents(Fakes):
    """Events without end, as fast as they are taken."""

    def __init__(self, *, fails_after: int | None = None) -> None:
        super().__init__()
        self.is_closed = False
        self.files.events = self._events  # type: ignore[method-assign]
        self._fails_after = fails_after

    async def _events(self, *_: object, **__: object) -> AsyncGenerator[tuple[str, FileEvent, File | None], None]:
        one = file()
        told = event(one)
        number = 0
        try:
            while number != self._fails_after:
                number += 1
                del self.accounts.batches[:-1]
                yield str(number), told, one
            raise RuntimeError("password=hunter2")
        finally:
            self.is_closed = True


@pytest.mark.slow
async def test_events_leave_nothing_behind(engine: Engine) -> None:
    """graphql-core 3.3.2 keeps 1-2 KB of every event of a subscription over objects."""
    services = EndlessEvents()
    objects = []

    async with aclosing(engine.subscribe(prepare(engine, EVENTS), context(services))) as answers:
        async for answer in answers:
            number = int(orjson.loads(encode(answer))["data"]["fileEvents"]["cursor"])
            if number in (1_000, 5_000):
                gc.collect()
                objects.append(len(gc.get_objects()))
            if number == 5_000:
                break

    assert objects[1] - objects[0] < 100
    assert services.is_closed


async def test_each_event_is_looked_up_anew(engine: Engine) -> None:
    """A loader that kept its answers for hours would show yesterday's names."""
    services = EndlessEvents()
    asked = []
    get_users = services.accounts.get_users

    async def counted(*arguments: Any) -> Any:
        asked.append(arguments)
        return await get_users(*arguments)

    services.accounts.get_users = counted  # type: ignore[method-assign]
    async with aclosing(engine.subscribe(prepare(engine, EVENTS), context(services))) as answers:
        await anext(answers)
        await anext(answers)

    assert len(asked) == 2


async def test_a_source_that_fails_ends_masked(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    """After what came before it; the fault is in the log."""
    services = EndlessEvents(fails_after=2)
    answers = engine.subscribe(prepare(engine, EVENTS), context(services))

    await anext(answers)
    await anext(answers)
    with pytest.raises(Refused) as refused:
        await anext(answers)

    [entry] = refused.value.formatted()
    assert entry["extensions"] == {"code": "INTERNAL", "requestId": "request-1"}
    assert "hunter2" not in str(entry)
    assert "hunter2" in caplog.text


async def test_variables_that_do_not_fit_are_the_callers_fault(engine: Engine) -> None:
    """With the place, and without a stack."""
    prepared = prepare(engine, "query ($input: SelectInput!) { select(input: $input) { truncated } }", input={"sql": 1})

    with pytest.raises(Refused) as refused:
        await engine.execute(prepared, context(Fakes()))

    assert {entry["extensions"]["code"] for entry in refused.value.formatted()} == {"BAD_REQUEST"}


# ---- one event, many who watch it

EVERYTHING = (
    "subscription { fileEvents { cursor action at fileId actor { id username email name emailVerifiedAt createdAt }"
    " file { id name contentType size sha256 status visibility resource { type id } metadata { key value } createdAt"
    " updatedAt expiresAt deletedAt version downloadUrl jobs { kind status attempt progress error result queuedAt }"
    " sqlSchema { format columns { name } }"
    " versions { nodes { number size isCurrent createdBy { id } downloadUrl } }"
    " tenant { id slug name createdAt usage { fileCount } limits { trashRetentionDays }"
    " members { nodes { role joinedAt user { id } } } }"
    " uploadedBy { id } } } }"
)


async def first_answer(engine: Engine, services: Any, text: str, who: str) -> Any:
    asking = RequestContext(services, FACTS, principal(who), client="127.0.0.1", request_id=f"request of {who}")
    async with aclosing(engine.subscribe(prepare(engine, text), asking)) as answers:
        return await anext(answers)


async def test_an_event_is_worked_out_once_for_those_alike(engine: Engine) -> None:
    """Six times less work where many watch the same."""
    services = EndlessEvents()

    answers = [await first_answer(engine, services, EVENTS, "anna") for _ in range(3)]

    assert answers[0] is answers[1] is answers[2]
    assert len(services.accounts.batches) == 1


@pytest.mark.parametrize(("one", "other"), [("anna", "ben"), ("anna", "mallory"), ("ben", "vera")])
async def test_another_role_or_tenant_has_its_own_answer(engine: Engine, one: str, other: str) -> None:
    """What authorisation looks at is part of the name."""
    services = EndlessEvents()

    first = await first_answer(engine, services, EVENTS, one)
    second = await first_answer(engine, services, EVENTS, other)

    assert first is not second


async def test_what_is_personal_is_never_shared(engine: Engine) -> None:
    """`memberships` shows everyone their own only, so two users of one role ask each for themselves."""
    services = EndlessEvents()
    text = "subscription { fileEvents { actor { memberships { nodes { role } } } } }"
    ROLES["amy"] = (user("amy"), ACME, TenantRole.OWNER)
    try:
        annas = orjson.loads(encode(await first_answer(engine, services, text, "anna")))
        amys = orjson.loads(encode(await first_answer(engine, services, text, "amy")))
    finally:
        del ROLES["amy"]

    assert annas["data"]["fileEvents"]["actor"]["memberships"]["nodes"] == [{"role": "OWNER"}]
    assert amys["data"]["fileEvents"]["actor"]["memberships"]["nodes"] == []


async def test_everything_else_is_the_same_for_two_of_one_role() -> None:
    """Over every field that an event leads to, but the personal ones: else sharing would tell the wrong thing."""
    services = EndlessEvents()
    ROLES["amy"] = (user("amy"), ACME, TenantRole.OWNER)
    try:
        annas = encode(await first_answer(Engine(build_schema(), DocumentLimits()), services, EVERYTHING, "anna"))
        amys = encode(await first_answer(Engine(build_schema(), DocumentLimits()), services, EVERYTHING, "amy"))
    finally:
        del ROLES["amy"]

    # Each call makes a new file, so ids differ; everything else must not.
    assert b"errors" not in annas
    assert without_ids(annas) == without_ids(amys)


def without_ids(answer: bytes) -> str:
    return re.sub(r"file_[0-9a-z]{26}", "file", answer.decode())


def test_every_field_of_an_event_was_asked_for() -> None:
    """A new field must be put into one of the two lists."""
    schema = build_schema()._schema
    asked = set(re.findall(r"\w+", EVERYTHING)) | PERSONAL_FIELDS

    for name in ("FileEvent", "File", "User", "Tenant"):
        type_ = schema.type_map[name]
        assert isinstance(type_, GraphQLObjectType)
        assert set(type_.fields) <= asked


async def test_an_answer_with_errors_is_for_one(engine: Engine) -> None:
    """It names the request that it belongs to."""
    services = EndlessEvents()

    async def fail(*_: object) -> None:
        raise RuntimeError("gone")

    services.accounts.get_users = fail  # type: ignore[method-assign, assignment]

    first = await first_answer(engine, services, EVENTS, "anna")
    second = await first_answer(engine, services, EVENTS, "anna")

    assert first["errors"][0]["extensions"]["code"] == second["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert first is not second
