"""Bodies that stop coming, where no upload keeps what came."""

import asyncio
import itertools
import json
import time

import pytest

from lighterage.patience import Patience
from tests.support.upload_client import DISCONNECT, part


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Exchange:
    """A request whose messages the test gives; the application reads all and echoes them."""

    def __init__(self, *messages, headers=((b"content-length", b"5"),)) -> None:
        self.messages = list(messages)
        self.headers = list(headers)
        self.sent: list[dict] = []
        self.seen: list[dict] = []

    async def receive(self):
        if self.messages:
            return self.messages.pop(0)
        await asyncio.Event().wait()
        raise AssertionError("nobody waits so long")

    async def send(self, message):
        self.sent.append(message)

    async def app(self, scope, receive, send):
        while True:
            self.seen.append(await receive())
            if self.seen[-1]["type"] == "http.disconnect":
                return
            if not self.seen[-1]["more_body"]:
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def run(self, *, idle_seconds: float = 0.01, rate: int = 0, now=time.monotonic) -> int | None:
        scope = {"type": "http", "headers": self.headers, "lighterage.request_id": "req_1"}
        patience = Patience(self.app, idle_seconds=idle_seconds, rate_min_bytes_per_second=rate, now=now)
        await patience(scope, self.receive, self.send)  # type: ignore[arg-type]
        return self.sent[0]["status"] if self.sent else None


async def test_body_that_comes_is_left_alone():
    exchange = Exchange(part(b"he", more=True), part(b"llo"))

    assert await exchange.run(idle_seconds=60) == 200
    assert b"hello" == b"".join(message["body"] for message in exchange.seen)


async def test_body_that_stops_is_answered_with_408():
    """The application is told that the client is gone, the client what it did wrong."""
    exchange = Exchange(part(b"he", more=True))

    assert await exchange.run() == 408
    assert exchange.seen[-1] == DISCONNECT
    problem = json.loads(exchange.sent[1]["body"])
    assert (problem["code"], problem["request_id"]) == ("request_idle", "req_1")
    assert (b"connection", b"close") in exchange.sent[0]["headers"]


async def test_body_that_drips_is_answered_with_408():
    """A byte now and then keeps no connection for ever."""
    exchange = Exchange(*[part(b"x", more=True)] * 10)
    seconds = itertools.count(step=30)

    assert await exchange.run(idle_seconds=60, rate=64, now=lambda: float(next(seconds))) == 408
    assert len(exchange.seen) == 3


async def test_client_that_is_gone_is_told_nothing():
    exchange = Exchange(DISCONNECT)

    assert await exchange.run() is None


async def test_request_without_a_body_may_take_long():
    """A stream of events waits for its client's going, and for nothing else."""
    exchange = Exchange(headers=[(b"content-length", b"0")])
    task = asyncio.create_task(exchange.run())
    await asyncio.sleep(0.03)

    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
