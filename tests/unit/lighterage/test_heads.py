"""What becomes of requests whose head is too large, too slow, or no head at all; by uvicorn's own protocol class."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from domain.problem import CONTENT_TYPE
from lighterage.heads import (
    FIELDS_MAX,
    HEAD_FAULTS,
    LINGER_BYTES_MAX,
    LINGER_SECONDS,
    PIPELINED_MAX,
    TARGET_BYTES_MAX,
    HeadBounds,
    bounded_by,
    parse_hosts,
)
from tests.support.sources import read

BOUNDS = HeadBounds(bytes_max=4096, seconds=20.0)
HOST = "Host: test\r\n"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Timer:
    due: float
    act: Callable[[], None]
    is_cancelled: bool = False

    def cancel(self) -> None:
        self.is_cancelled = True


@dataclass
class Loop:
    """A loop whose time the test moves; tasks run on the real one."""

    now: float = 0.0
    timers: list[Timer] = field(default_factory=list)

    def call_later(self, delay: float, act: Callable[[], None]) -> Timer:
        self.timers.append(Timer(self.now + delay, act))
        return self.timers[-1]

    def create_task(self, work):
        return asyncio.get_running_loop().create_task(work)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in list(self.timers):
            if timer.due <= self.now and not timer.is_cancelled:
                self.timers.remove(timer)
                timer.act()


@dataclass
class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    written: bytes = b""
    is_half_closed: bool = False
    is_closed: bool = False
    is_reading_paused: bool = False

    def __post_init__(self) -> None:
        super().__init__()

    def write(self, data):
        assert not self.is_half_closed
        self.written += data

    def write_eof(self):
        self.is_half_closed = True

    def can_write_eof(self):
        return True

    def close(self):
        self.is_closed = True

    def is_closing(self):
        return self.is_closed

    def pause_reading(self):
        self.is_reading_paused = True

    def resume_reading(self):
        self.is_reading_paused = False

    @property
    def is_ended(self) -> bool:
        return self.is_half_closed or self.is_closed


class App:
    """Echoes a request's body; `gate` holds its answers back, `events` tells what it met."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.events: list[str] = []

    async def __call__(self, scope, receive, send):
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.events.append(f"{scope['path']} cut at {len(body)}")
                return
            body += message["body"]
            more = message["more_body"]
        await self.gate.wait()
        self.events.append(f"{scope['path']} {len(body)}")
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Connection:
    def __init__(self, bounds: HeadBounds = BOUNDS) -> None:
        self.app = App()
        self.loop = Loop()
        self.wire = Wire()
        config = uvicorn.Config(self.app, lifespan="off", log_config=None, ws="none")
        config.load()
        self.protocol = bounded_by(bounds)(config, ServerState(), {}, _loop=self.loop)  # type: ignore[arg-type]
        self.protocol.connection_made(self.wire)

    async def send(self, *pieces: str | bytes) -> None:
        for piece in pieces:
            self.protocol.data_received(piece.encode("latin-1") if isinstance(piece, str) else piece)
            for _ in range(5):
                await asyncio.sleep(0)

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.wire.written)]

    @property
    def refusals(self) -> list[int]:
        return [status for status in self.statuses if status >= 400]

    @property
    def problem(self) -> dict:
        head, _, body = self.wire.written.rpartition(b"\r\n\r\n")
        assert f"content-type: {CONTENT_TYPE}".encode() in head
        assert f"content-length: {len(body)}".encode() in head
        assert b"connection: close" in head
        return json.loads(body)


def get(path: str = "/a", *, fields: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\n{HOST}{fields}\r\n"


def post(body: str, *, path: str = "/a", fields: str = "") -> str:
    return f"POST {path} HTTP/1.1\r\n{HOST}{fields}\r\n{body}"


REFUSED = {
    "one long field": (get(fields=f"X: {'x' * 4100}\r\n"), 431, "head_too_large"),
    "many fields": (get(fields="X: 1\r\n" * FIELDS_MAX), 431, "head_too_large"),
    "long target": (get("/" + "a" * TARGET_BYTES_MAX), 414, "target_too_long"),
    "two lengths": (post("hello", fields="Content-Length: 5\r\nContent-Length: 5\r\n"), 400, "request_malformed"),
    "length and coding": (
        post("0\r\n\r\n", fields="Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        400,
        "request_malformed",
    ),
    "coding and length": (
        post("0\r\n\r\n", fields="Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        400,
        "request_malformed",
    ),
    "coding twice": (post("0\r\n\r\n", fields="Transfer-Encoding: chunked, chunked\r\n"), 400, "request_malformed"),
    "gzip as coding": (post("", fields="Transfer-Encoding: gzip, chunked\r\n"), 501, "transfer_coding_unknown"),
    "negative length": (post("", fields="Content-Length: -5\r\n"), 400, "request_malformed"),
    "signed length": (post("", fields="Content-Length: +5\r\n"), 400, "request_malformed"),
    "length as a word": (post("", fields="Content-Length: five\r\n"), 400, "request_malformed"),
    "hexadecimal length": (post("", fields="Content-Length: 0x5\r\n"), 400, "request_malformed"),
    "huge length": (post("", fields=f"Content-Length: {2**64}\r\n"), 400, "request_malformed"),
    "folded field": (get(fields="X: a\r\n b\r\n"), 400, "request_malformed"),
    "blank before the colon": (get(fields="X : a\r\n"), 400, "request_malformed"),
    "NUL in a field": (get(fields="X: a\0b\r\n"), 400, "request_malformed"),
    "bare line feeds": ("GET / HTTP/1.1\nHost: test\n\n", 400, "request_malformed"),
    "no host": ("GET / HTTP/1.1\r\n\r\n", 400, "host_invalid"),
    "two hosts": (get(fields=HOST), 400, "host_invalid"),
    "host with a path": ("GET / HTTP/1.1\r\nHost: test/files\r\n\r\n", 400, "host_invalid"),
    "host with a user": ("GET / HTTP/1.1\r\nHost: a@test\r\n\r\n", 400, "host_invalid"),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00", 400, "request_malformed"),
    "HTTP/2 preface": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "request_malformed"),
    "unknown version": ("GET / HTTP/9.9\r\nHost: test\r\n\r\n", 400, "request_malformed"),
    "not HTTP": ("hello\r\n\r\n", 400, "request_malformed"),
    "encoded target": ("GET /\xff HTTP/1.1\r\nHost: test\r\n\r\n", 400, "request_malformed"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("split", [False, True], ids=["at once", "byte by byte"])
async def test_bad_head_is_refused(name, split):
    """Each with its status and a helpful body; nothing of it reaches the application, and the connection closes."""
    raw, status, code = REFUSED[name]
    raw = raw.encode("latin-1") if isinstance(raw, str) else raw
    connection = Connection()

    for piece in [raw[at : at + 1] for at in range(len(raw))] if split else [raw]:
        connection.protocol.data_received(piece)
    await asyncio.sleep(0)

    assert [status] == connection.statuses
    assert (status, code) == (connection.problem["status"], connection.problem["code"])
    assert connection.problem["hint"]
    assert connection.wire.is_half_closed
    assert connection.app.events == []
    connection.loop.advance(LINGER_SECONDS)
    assert connection.wire.is_closed


async def test_good_heads_pass():
    """Up to the bounds, in any pieces, one after the other on one connection."""
    connection = Connection()
    raw = post("hello", fields=f"X: {'x' * 3900}\r\nContent-Length: 5\r\n") + get("/" + "b" * 100)

    await connection.send(
        *[raw[at : at + 7] for at in range(0, len(raw), 7)], get("/c"), get("/d", fields="Y: 1\r\n" * 99)
    )

    assert connection.statuses == [200] * 4
    assert not connection.wire.is_ended


async def test_long_body_does_not_count_as_head():
    """A head that comes with much of its body, and one that begins behind a body, are still heads of their own size."""
    connection = Connection()
    body = "x" * 100_000
    raw = post(body, fields=f"Content-Length: {len(body)}\r\n") + get("/b", fields=f"X: {'x' * 3000}\r\n")

    await connection.send(raw[:-1], raw[-1:])

    assert ["/a 100000", "/b 0"] == connection.app.events


async def test_dripping_head_times_out():
    """A byte now and then keeps no connection: the time counts from the head's first byte."""
    connection = Connection()

    await connection.send("GET /a HTTP/1.1\r\n")
    for _ in range(3):
        connection.loop.advance(6)
        await connection.send("X: 1\r\n")
    assert connection.statuses == []
    connection.loop.advance(6)

    assert connection.statuses == [408]
    assert connection.problem["code"] == "head_timeout"


async def test_second_head_times_out_too():
    """The bound is of each head, not of the first."""
    connection = Connection()

    await connection.send(get(), "GET")
    connection.loop.advance(20)

    assert connection.statuses == [200, 408]


async def test_silent_connection_is_closed():
    """Who connects and says nothing is told nothing."""
    connection = Connection()

    connection.loop.advance(20)

    assert connection.wire.is_closed
    assert connection.wire.written == b""


async def test_slow_body_is_no_slow_head():
    """A body has its own bounds."""
    connection = Connection()

    await connection.send(post("he", fields="Content-Length: 5\r\n"))
    connection.loop.advance(60)
    await connection.send("llo")

    assert connection.statuses == [200]


async def test_pipelined_requests_are_answered_in_order():
    """As RFC 9112, 9.3.2 wants."""
    connection = Connection()

    await connection.send(get("/a") + post("hello", path="/b", fields="Content-Length: 5\r\n") + get("/c"))

    assert ["/a 0", "/b 5", "/c 0"] == connection.app.events


async def test_garbage_behind_a_request_closes_after_its_answer():
    """The answer stays whole; what came behind it is nobody's request."""
    connection = Connection()
    connection.app.gate.clear()

    await connection.send(post("hello garbage", fields="Content-Length: 5\r\n"), "more garbage")
    assert connection.wire.written == b""
    connection.app.gate.set()
    await connection.send("yet more")

    assert connection.statuses == [200]
    assert connection.wire.written.endswith(b"\r\n\r\nhello")
    assert b"connection: close" in connection.wire.written
    assert connection.wire.is_closed


async def test_fault_in_a_body_cuts_it():
    """What came until then is the application's; the client is told."""
    connection = Connection()

    await connection.send(post("5\r\nhello\r\n", fields="Transfer-Encoding: chunked\r\n"), "zz\r\n")

    assert connection.statuses == [400]
    assert "chunk size" in connection.problem["detail"]
    assert connection.app.events in (["/a cut at 5"], ["/a cut at 0"])


async def test_fault_in_the_body_of_a_waiting_request():
    """The earlier request is answered, the broken one never begun."""
    connection = Connection()
    connection.app.gate.clear()

    await connection.send(get("/a") + post("zz\r\n", path="/b", fields="Transfer-Encoding: chunked\r\n"))
    connection.app.gate.set()
    await connection.send("x")

    assert ["/a 0"] == connection.app.events
    assert connection.statuses == [200]
    assert connection.wire.is_closed


async def test_queue_of_pipelined_requests_is_bounded():
    """Nobody may pile up requests behind one that takes long."""
    connection = Connection()
    connection.app.gate.clear()

    await connection.send(get() * (PIPELINED_MAX + 10))
    connection.app.gate.set()
    for _ in range(PIPELINED_MAX):
        await connection.send("x")

    assert len(connection.statuses) == PIPELINED_MAX + 1
    assert connection.wire.is_closed


async def test_refused_client_that_goes_on_sending_is_not_read():
    """It may read its answer; what it sends costs nothing."""
    connection = Connection()

    await connection.send("nonsense\r\n", *["x" * 65536] * (LINGER_BYTES_MAX // 65536 + 1))

    assert connection.statuses == [400]
    assert connection.wire.is_reading_paused


@pytest.mark.parametrize(
    ("host", "status"),
    [("files.example", 200), ("FILES.EXAMPLE:8000", 200), ("[::1]:80", 200), ("evil.example", 421), ("", 421)],
)
async def test_hosts_may_be_named(host, status):
    """RFC 9110, 15.5.20: 421 for a host that this server does not answer for."""
    connection = Connection(HeadBounds(hosts=parse_hosts(" Files.Example, [::1] ")))

    await connection.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")

    assert connection.statuses == [status]


def test_star_stands_for_every_host():
    """As in the other settings."""
    assert parse_hosts("*") == parse_hosts("") == frozenset()


def test_reference_has_every_fault_of_a_head():
    """Such answers come from no face, so the faces' tables do not hold them."""
    page = read("docs/reference/protocols.md")

    assert [fault.code for fault in HEAD_FAULTS if f"| {fault.status} | `{fault.code}` |" not in page] == []


PIECES = st.sampled_from(
    [
        b"GET /a HTTP/1.1\r\n",
        b"POST /b HTTP/1.1\r\n",
        b"Host: test\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: -1\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        b"X: " + b"x" * 5000 + b"\r\n",
        b"\r\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n\r\n",
        b"\0",
        b"\xff\xfe",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=8), max_size=12), st.integers(1, 64))
def test_any_bytes_are_answered_or_waited_for(pieces, size):
    """Whatever comes, in whatever pieces: no exception, no 5xx but that for an unknown coding, no answer in another."""
    raw = b"".join(pieces)

    async def run() -> None:
        connection = Connection()
        await connection.send(*[raw[at : at + size] for at in range(0, len(raw), size)])
        connection.loop.advance(BOUNDS.seconds)
        await connection.send()
        connection.loop.advance(LINGER_SECONDS)
        assert set(connection.statuses) <= {100, 200, 400, 408, 414, 421, 431, 501}
        assert len(connection.refusals) <= 1
        if connection.refusals:
            assert connection.wire.is_closed
            assert connection.statuses[-1] == connection.refusals[0]

    asyncio.run(run())
