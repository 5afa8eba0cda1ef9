"""Signatures against Amazon's own examples, and connections that servers close."""

import asyncio
import hashlib
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.blobs.bucket import S3Settings
from adapters.blobs.parts import Memory, Part
from adapters.blobs.signing import EMPTY_SHA256, UNSIGNED, Credentials, encode, encode_query, sign
from adapters.blobs.wire import Starved, Wire
from domain.clock import SystemClock

AMAZONS = Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "payload", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {},
            {"range": "bytes=0-9"},
            EMPTY_SHA256,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            {},
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/",
            {"lifecycle": ""},
            {},
            EMPTY_SHA256,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            {"prefix": "J", "max-keys": "2"},
            {},
            EMPTY_SHA256,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_are_as_in_amazons_examples(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], payload: str, signature: str
) -> None:
    """Amazon S3 API reference, "Signature Calculations for the Authorization Header", examples."""
    signed = sign(
        method,
        encode(path, safe="/"),
        encode_query(query),
        {"host": "examplebucket.s3.amazonaws.com", **headers},
        payload_sha256=payload,
        credentials=AMAZONS,
        region="us-east-1",
        now=datetime(2013, 5, 24, tzinfo=UTC),
    )

    assert signed["authorization"].endswith(f"Signature={signature}")


@pytest.mark.parametrize(
    ("settings", "url", "is_signed"),
    [
        (S3Settings("box", region="eu-west-1"), "https://box.s3.eu-west-1.amazonaws.com", False),
        (S3Settings("my.box"), "https://s3.us-east-1.amazonaws.com/my.box", False),
        (S3Settings("box", endpoint="http://store.lan:9000/"), "http://store.lan:9000/box", True),
        (S3Settings("box", endpoint="http://127.0.0.1:9000"), "http://127.0.0.1:9000/box", False),
        (S3Settings("box", endpoint="https://store.lan", path_style=False), "https://box.store.lan", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_where_a_bucket_is_and_who_vouches_for_the_bytes(settings: S3Settings, url: str, is_signed: bool) -> None:
    assert url == settings.url
    assert is_signed == settings.is_payload_signed


OK = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'


@contextmanager
def server(*connections: int) -> Iterator[tuple[str, list[bytes]]]:
    """Answer as many requests on each connection in turn, then close it."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for requests in connections:
                peer, _ = listener.accept()
                with peer:
                    for _ in range(requests):
                        got = b""
                        while not got.endswith(b"end") and (piece := peer.recv(65_536)):
                            got += piece
                        received.append(got)
                        peer.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/box", received
        finally:
            thread.join(5)


def wire_to(url: str, *, signs_payload: bool = True, timeout_seconds: float = 5, connections_max: int = 4) -> Wire:
    return Wire(
        url,
        region="r",
        credentials=lambda: AMAZONS,
        clock=SystemClock(),
        signs_payload=signs_payload,
        timeout_seconds=timeout_seconds,
        connections_max=connections_max,
    )


def part_of(tmp_path: Path, *chunks: bytes, room: int = 10**9) -> Part:
    part = Part(Memory(room), tmp_path)
    for chunk in chunks:
        part.add(chunk)
    part.seal()
    return part


@pytest.mark.parametrize("signs_payload", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("room", [0, 10**9], ids=["file", "memory"])
async def test_a_body_arrives_as_it_is(tmp_path: Path, room: int, signs_payload: bool) -> None:
    chunks = [bytes([number % 251]) * (20_000 + number) for number in range(90)] + [b"end"]
    part = part_of(tmp_path, *chunks, room=room)
    with server(1) as (url, received):
        wire = wire_to(url, signs_payload=signs_payload)
        answer = await wire.put("a key/ä", part, query={"partNumber": "1"}, headers={"x-amz-meta-a": "b"})
        wire.close()
    part.close()

    head, _, sent = received[0].partition(b"\r\n\r\n")
    assert b"".join(chunks) == sent
    assert head.startswith(b"PUT /box/a%20key/%C3%A4?partNumber=1 HTTP/1.1\r\n")
    assert f"content-length: {part.size}".encode() in head
    digest = hashlib.sha256(sent).hexdigest() if signs_payload else UNSIGNED
    assert f"x-amz-content-sha256: {digest}\r\n".encode() in head
    assert (answer.status, answer.headers["etag"]) == (200, '"e"')


async def test_a_connection_that_was_closed_while_idle_is_replaced(tmp_path: Path) -> None:
    """The server may close at the very moment of the next request; nothing was wrong with that one."""
    part = part_of(tmp_path, b"end")
    with server(2, 1) as (url, received):
        wire = wire_to(url)
        for _ in range(3):
            assert (await wire.put("key", part, query={}, headers={})).status == 200
        wire.close()

    assert len(received) == 3


async def test_a_part_is_sent_while_it_fills(tmp_path: Path) -> None:
    """Small pieces are joined, and what finds no room in memory goes on in a file; all of it comes in order."""
    part = Part(Memory(100_000), tmp_path, length=163_003)
    with server(1) as (url, received):
        wire = wire_to(url, signs_payload=False, connections_max=2)
        putting = asyncio.create_task(wire.put("key", part, query={}, headers={}))
        for chunk in (b"a" * 60_000, b"b" * 3_000, b"c" * 30_000, b"d" * 70_000, b"end"):
            part.add(chunk)
            await asyncio.sleep(0)
        assert not putting.done()
        assert not wire.takes_early
        part.seal()
        assert (await putting).status == 200
        assert wire.takes_early
        wire.close()
    part.close()

    _, _, sent = received[0].partition(b"\r\n\r\n")
    assert b"a" * 60_000 + b"b" * 3_000 + b"c" * 30_000 + b"d" * 70_000 + b"end" == sent


async def test_a_part_whose_client_is_silent_gives_its_connection_back(tmp_path: Path) -> None:
    part = Part(Memory(10), tmp_path, length=10)
    with server(1) as (url, received):
        wire = wire_to(url, signs_payload=False, timeout_seconds=0.04)
        with pytest.raises(Starved):
            await wire.put("key", part, query={}, headers={})

        assert wire.takes_early
        wire.close()
    part.close()

    assert b"".join(received).endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200),
        (b"HTTP/1.1 503 Slow Down\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 503),
        (b"SSH-2.0-OpenSSH\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", None),
    ],
    ids=["interim", "chunked", "no HTTP", "cut"],
)
async def test_answers_are_read_to_their_end(tmp_path: Path, answer: bytes, status: int | None) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"end")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listener:
        wire = wire_to(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/box")
        put = wire.put("key", part_of(tmp_path, b"end"), query={}, headers={})
        if status is None:
            with pytest.raises(ConnectionError):
                await put
        else:
            assert status == (await put).status
        wire.close()


async def test_an_answer_that_comes_early_ends_the_sending(tmp_path: Path) -> None:
    """A server that is too busy says so before it has read the body."""
    part = Part(Memory(10**9), tmp_path, length=10**8)

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n")
        with closing(writer), suppress(ConnectionError):
            await writer.drain()
            while await reader.read(65_536):
                pass

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as listener:
        wire = wire_to(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/box", signs_payload=False)
        putting = asyncio.create_task(wire.put("key", part, query={}, headers={}))
        while not putting.done():
            part.add(bytes(20_000))
            await asyncio.sleep(0)
        assert (await putting).status == 503
        wire.close()
    part.close()
