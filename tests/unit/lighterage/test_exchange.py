"""What uvicorn knows and does not tell: the last bytes of a client that went away, and interim answers."""

import asyncio

import pytest

from lighterage.exchange import INFORMATIONAL, Exchange


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Cycle:
    """An exchange of uvicorn's, as far as it is looked into; `receive` is its own, shortened."""

    def __init__(self, *bodies: bytes, lost: bytes = b"", more_body: bool = True) -> None:
        self._bodies = list(bodies)
        self._lost = lost
        self.body = b""
        self.more_body = more_body
        self.disconnected = False
        self.response_complete = False
        self.chunked_encoding: bool | None = None
        self.expected_content_length = 0
        self.transport = self
        self.written = b""

    async def receive(self):
        if self._bodies:
            return {"type": "http.request", "body": self._bodies.pop(0), "more_body": True}
        if not self.disconnected:
            self.disconnected, self.body = True, self._lost
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.written += message["type"].encode()

    def write(self, line):
        self.written += line


async def received_by(cycle: Cycle) -> list[dict]:
    """Give every message that an application gets, up to the disconnect."""
    messages = []

    async def app(scope, receive, send):
        while not messages or messages[-1]["type"] != "http.disconnect":
            messages.append(await receive())

    await Exchange(app)({"type": "http"}, cycle.receive, cycle.send)
    return messages


async def test_bytes_before_a_close_are_handed_on():
    """They were received; to drop them would make an orderly close lose what the client's kernel saw delivered."""
    messages = await received_by(Cycle(b"one", lost=b"two"))

    assert [message["body"] for message in messages[:-1]] == [b"one", b"two"]
    assert messages[1]["more_body"]


async def test_whole_body_before_a_close_is_whole():
    """The client may go as soon as it has sent everything."""
    messages = await received_by(Cycle(lost=b"all", more_body=False))

    assert messages[0] == {"type": "http.request", "body": b"all", "more_body": False}


async def test_bytes_behind_the_answer_are_nobodys():
    """What is left in the buffer when the answer is out belongs to no reader."""
    cycle = Cycle(lost=b"late")
    cycle.response_complete = True

    assert await received_by(cycle) == [{"type": "http.disconnect"}]


async def test_interim_answer_goes_to_the_wire():
    """104 Upload Resumption Supported, which ASGI has no message for."""
    cycle = Cycle()

    async def app(scope, receive, send):
        assert INFORMATIONAL in scope["extensions"]
        await send({"type": INFORMATIONAL, "status": 104, "headers": [(b"location", b"/files/x")]})
        await send({"type": "http.response.start", "status": 201, "headers": []})

    await Exchange(app)({"type": "http", "extensions": None}, cycle.receive, cycle.send)

    assert cycle.written == b"HTTP/1.1 104 \r\nlocation: /files/x\r\n\r\nhttp.response.start"


async def test_other_servers_are_left_as_they_are():
    """Where `receive` is nobody's method there is nothing to look into, and nothing is offered."""
    scope = {"type": "http"}

    async def receive():
        await asyncio.sleep(0)
        return {"type": "http.disconnect"}

    async def app(scope, receive, send):
        await receive()

    await Exchange(app)(scope, receive, receive)

    assert scope == {"type": "http"}
