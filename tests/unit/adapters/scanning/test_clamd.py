"""The scanner, against the real clamd, and against servers that are none."""

import asyncio
from collections.abc import AsyncGenerator, Iterator

import pytest

from adapters.scanning.clamd import Clamd
from domain.errors import ScannerUnavailable
from domain.scan import Finding, Verdict
from tests.support import clamd


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with clamd.running(tmp_path_factory.mktemp("clamd")) as place:
        yield place


async def pieces(content: bytes, size: int = 70_000) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def scan(address: str, content: bytes, *, bytes_max: int = 2**30) -> Verdict:
    return await Clamd(address, bytes_max=bytes_max).scan(pieces(content), size=len(content))


@pytest.mark.slow
async def test_what_is_infected_is_found_and_named(address):
    """Also where the signature lies across two chunks."""
    content = b"x" * 69_990 + clamd.PATTERN + b"y" * 100_000

    found = await scan(address, content)

    assert Finding.INFECTED is found.finding
    assert found.signature is not None
    assert found.signature.startswith(clamd.NAME)


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"nothing bad", b"x" * 500_000], ids=len)
async def test_what_is_clean_is_clean(address, content):
    assert Verdict(Finding.CLEAN) == await scan(address, content)


@pytest.mark.slow
async def test_stream_above_the_scanners_limit_is_too_large(address):
    """It breaks off in the middle; that is told as what it is, not as clean and not as a fault."""
    content = b"x" * (clamd.STREAM_BYTES_MAX + 2**20)

    assert Verdict(Finding.TOO_LARGE) == await scan(address, content)


async def test_file_above_our_limit_is_not_even_sent():
    """Nor is the scanner asked."""
    assert Verdict(Finding.TOO_LARGE) == await scan("/nowhere/at/all", b"x" * 11, bytes_max=10)


async def test_scanner_that_is_away_is_a_fault(tmp_path):
    """Nothing is clean that nobody looked at."""
    with pytest.raises(ScannerUnavailable):
        await scan(str(tmp_path / "socket"), b"abc")


@pytest.mark.parametrize("answer", [b"", b"UNKNOWN COMMAND\0", b"stream: \0", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_answer_that_is_none_is_a_fault(tmp_path, answer):
    """A scanner that dies on the way, a program that is no scanner."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    place = str(tmp_path / "socket")
    async with await asyncio.start_unix_server(talk, place):
        with pytest.raises(ScannerUnavailable):
            await scan(place, b"abc")
