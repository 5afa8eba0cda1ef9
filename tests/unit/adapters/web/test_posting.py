"""Webhooks' requests: they reach a public address, and nothing of our own network by any spelling of it."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator

import pytest

from adapters.web import posting
from adapters.web.posting import WebhookCourier
from domain.webhook import DeliveryFailed

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Target:
    """A server that keeps what it was sent, and answers as it is told to."""

    def __init__(self) -> None:
        self.answer = b"HTTP/1.1 204 No Content\r\n\r\n"
        self.requests: list[bytes] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        self.requests.append(head + await reader.readexactly(length))
        writer.write(self.answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    made = Target()
    async with await asyncio.start_server(made.serve, "127.0.0.1", 0) as server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


async def post(url: str, *, allowed=(LOOPBACK,), body: bytes = b"{}") -> None:
    await WebhookCourier(allowed=allowed).post(url, {"webhook-id": "x"}, body)


async def test_request_arrives_as_it_is(target):
    await post(f"http://127.0.0.1:{target.port}/hooks?a=b", body=b'{"type":"file.completed"}')
    head, _, body = target.requests[0].partition(b"\r\n\r\n")

    assert head.startswith(b"POST /hooks?a=b HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{target.port}".encode() in head.lower()
    assert b'{"type":"file.completed"}' == body


@pytest.mark.parametrize("status", ["301 Moved\r\nLocation: http://127.0.0.1:1/", "404 Not Found", "500 Oh"])
async def test_everything_but_success_is_a_failure(target, status):
    """A redirect too: it is not followed."""
    target.answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(DeliveryFailed, match=status[:3]):
        await post(f"http://127.0.0.1:{target.port}/")

    assert 1 == len(target.requests)


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n"])
async def test_answer_that_is_none_is_a_failure(target, answer):
    target.answer = answer
    with pytest.raises(DeliveryFailed):
        await post(f"http://127.0.0.1:{target.port}/")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "2130706433",
        "0.0.0.0",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:169.254.169.254]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "localhost",
    ],
)
async def test_no_spelling_of_a_private_address_is_reached(host, monkeypatch):
    """Nor is a connection tried."""

    def connect(*_: object, **__: object) -> None:
        raise AssertionError("it was connected to")

    monkeypatch.setattr(posting.socket, "create_connection", connect)
    with pytest.raises(DeliveryFailed, match=r"not public|not known"):
        await post(f"https://{host}/", allowed=())


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names lead to these addresses, one list after the other; gives the names that were asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_: object):
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    return asked


async def test_name_that_leads_to_both_is_refused(monkeypatch):
    """Public beside private: the next connection might take the other."""
    resolving(monkeypatch, ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(DeliveryFailed, match="not public"):
        await post("https://example.org/", allowed=())


async def test_address_that_was_looked_at_is_the_one_connected_to(monkeypatch, target):
    """A name server that answers otherwise the second time (rebinding) is not asked a second time."""
    asked = resolving(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
    await post(f"http://hooks.example:{target.port}/")

    assert ["hooks.example"] == asked
    assert f"host: hooks.example:{target.port}".encode() in target.requests[0].lower()


async def test_name_that_is_not_known_is_a_failure(monkeypatch):
    async def getaddrinfo(*_: object, **__: object):
        raise socket.gaierror("no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    with pytest.raises(DeliveryFailed, match="not known"):
        await post("https://nowhere.invalid/")


async def test_answer_that_does_not_end_is_cut(target, monkeypatch):
    """All steps together have a bound."""
    monkeypatch.setattr(posting, "TOTAL_SECONDS", 0.05)

    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.")
        await reader.read()
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        ended.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        with pytest.raises(DeliveryFailed):
            await post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        await ended.wait()
