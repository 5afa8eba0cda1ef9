"""
ClamAV's daemon, by its own protocol (clamd(8), INSTREAM): chunks, each with its length before it, and an empty one.

What it answers is told as it is: a stream above its limit is TOO_LARGE and never "clean", and a daemon that is away, or
breaks off, is a fault.
"""

import asyncio
import re
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress

from domain.errors import ScannerUnavailable
from domain.scan import Finding, Verdict

ANSWER_BYTES_MAX = 4096
ANSWER_SECONDS_MAX = 300.0  # from the last byte; large archives take long
CONNECT_SECONDS_MAX = 5.0
CHUNK_BYTES_MAX = 2**18
_FOUND = re.compile(r"stream: (.+) FOUND")


class Clamd:
    """
    Args:
        address: `host:port`, or the path of a Unix socket.
        bytes_max: Files above it are not sent; clamd's `StreamMaxLength`, 100 MiB unless it was told otherwise.
    """

    def __init__(self, address: str, *, bytes_max: int) -> None:
        self._address = address
        self._bytes_max = bytes_max

    async def scan(self, chunks: AsyncGenerator[bytes, None], *, size: int) -> Verdict:
        if size > self._bytes_max:
            return Verdict(Finding.TOO_LARGE)
        # A plain socket: asyncio's streams forget what was read when a write fails.
        with await self._connect() as client:
            # It may answer before it has everything, and close: what is still sent fails then, and the answer is there.
            with suppress(ConnectionError):
                await self._send(client, chunks)
            try:
                answer = await asyncio.wait_for(_read(client), ANSWER_SECONDS_MAX)
            except (OSError, TimeoutError) as error:
                raise ScannerUnavailable from error
        return _verdict(answer)

    async def _connect(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        client = socket.socket(socket.AF_UNIX) if self._address.startswith("/") else None
        place: str | tuple[str, int] = self._address
        try:
            if client is None:
                host, _, port = self._address.rpartition(":")
                found = await loop.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
                family, _, _, _, place = found[0]  # type: ignore[assignment]
                client = socket.socket(family)
            client.setblocking(False)
            await asyncio.wait_for(loop.sock_connect(client, place), CONNECT_SECONDS_MAX)
        except (OSError, TimeoutError) as error:
            if client is not None:
                client.close()
            raise ScannerUnavailable from error
        return client

    async def _send(self, client: socket.socket, chunks: AsyncGenerator[bytes, None]) -> None:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(client, b"zINSTREAM\0")
        async for chunk in chunks:
            for start in range(0, len(chunk), CHUNK_BYTES_MAX):
                piece = chunk[start : start + CHUNK_BYTES_MAX]
                await loop.sock_sendall(client, len(piece).to_bytes(4) + piece)
        await loop.sock_sendall(client, bytes(4))


async def _read(client: socket.socket) -> bytes:
    """Give the answer, which ends with a zero byte."""
    answer = b""
    while b"\0" not in answer and len(answer) < ANSWER_BYTES_MAX:
        more = await asyncio.get_running_loop().sock_recv(client, ANSWER_BYTES_MAX)
        if not more:
            break
        answer += more
    return answer


def _verdict(answer: bytes) -> Verdict:
    text = answer.split(b"\0")[0].decode(errors="replace").strip()
    if text == "stream: OK":
        return Verdict(Finding.CLEAN)
    if "size limit exceeded" in text:
        return Verdict(Finding.TOO_LARGE)
    found = _FOUND.fullmatch(text)
    if found is None:
        raise ScannerUnavailable
    # With AlertExceedsMax it "finds" that it did not look at everything.
    if found[1].startswith("Heuristics.Limits.Exceeded"):
        return Verdict(Finding.TOO_LARGE)
    return Verdict(Finding.INFECTED, found[1])
