"""Execution: subscriptions leave nothing behind, and errors are masked."""

import gc
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from domain.event import FileEvent
from domain.file import File
from resolvers.context import RequestContext
from resolvers.execution import Engine, Operation, Prepared
from resolvers.limits import DocumentLimits
from resolvers.masking import Refused
from resolvers.root import build_schema
from tests.support.graphql_client import FACTS
from tests.support.graphql_fakes import Fakes, event, file, principal

EVENTS = "subscription { fileEvents { cursor file { name resource { id } metadata { key } } actor { username } } }"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
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
                self.accounts.batches.clear()
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
            number = int(answer["data"]["fileEvents"]["cursor"])
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
