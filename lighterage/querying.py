"""
What `lighterage query` does: runs a statement over a file of this machine, or asks a server about one of its files.

Both take what is asked in the form of the REST API's body, and are answered in the same text.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from domain.clock import SystemClock
from domain.content import SNIFF_BYTES, UNKNOWN, sniff
from domain.errors import InvalidValue
from query.engine.facade import EngineLimits, QueryEngine, Statistics
from query.errors import QueryError
from rest.queries import ResultFormat, parse_query

THREADS_MAX = 8
MEMORY_BYTES = 512 << 20
TIMEOUT_SECONDS = 24 * 3600.0  # whoever waits at a terminal ends it by hand
CHUNK_BYTES = 1 << 18

Write = Callable[[bytes], object]


class QueryFault(Exception):
    """Why there is no result, or no more of it."""

    def __init__(self, message: str, position: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.message, self.position = message, position

    def pointer(self, sql: str) -> list[str]:
        """Give the line of the statement that is at fault, and a line that points at the place in it."""
        if self.position is None:
            return []
        line, column = self.position
        return ["  " + sql.split("\n")[line - 1], "  " + " " * (column - 1) + "^"]


@dataclass(frozen=True, slots=True)
class Asked:
    """
    What is asked of which file; `body` as in the REST API, None for what is not said.

    Attributes:
        save_as: What a new file on the server is called that keeps the result; None: it is written here.
    """

    file: str
    body: Mapping[str, Any]
    url: str
    token: str | None
    save_as: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: _said(value) if isinstance(value, dict) else value for name, value in self.body.items()}


def answers(asked: Asked, write: Write) -> str:
    """
    Write the result as it comes, and say what it took.

    Raises:
        QueryFault: Nothing or not everything came.
    """
    path = Path(asked.file)
    if str(asked.body["output"]["format"]).upper() == ResultFormat.FRAMES.name:
        raise QueryFault("frames are for programs; take csv or json here")
    if path.is_file() and asked.save_as is not None:
        raise QueryFault("--save keeps a result on the server, of a file there: give its id, or write it here with >")
    if path.is_file():
        stats = asyncio.run(_run(path, asked.to_json(), write))
        return (
            f"{stats.returned_rows} records, {stats.returned_bytes} bytes; {stats.scanned_bytes} bytes read, "
            f"{stats.processed_bytes} after decompression; {stats.elapsed_seconds:.3f} s"
        )
    if asked.token is None:
        raise QueryFault(f"there is no file {asked.file}; for the id of a file on a server give --token")
    return _ask(asked, write)


async def _run(path: Path, body: Mapping[str, Any], write: Write) -> Statistics:
    try:
        select, _, output = parse_query(body)
        with path.open("rb") as stream:
            content_type = sniff(stream.read(SNIFF_BYTES), name=path.name, declared=UNKNOWN)
        reading = select.reading.of(name=path.name, content_type=content_type)
        limits = EngineLimits(
            workers=1,
            threads=min(THREADS_MAX, os.cpu_count() or 1),
            memory_bytes=MEMORY_BYTES,
            timeout_seconds=TIMEOUT_SECONDS,
        )
        async with (
            QueryEngine(limits, now=SystemClock().now) as engine,
            engine.open(select.sql, path, input=reading, output=output) as rows,
        ):
            async for chunk in rows.chunks():
                write(chunk)
            return rows.stats
    except QueryError as error:
        place = None if error.position is None else (error.position.line, error.position.column)
        raise QueryFault(f"{error.code}: {error.message}", place) from error
    except InvalidValue as error:
        raise QueryFault(error.message) from error
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise QueryFault(f"{path}: {error.strerror}") from error


def _ask(asked: Asked, write: Write) -> str:
    address = f"{asked.url}/api/v1/files/{asked.file}"
    headers = {"Authorization": f"Bearer {asked.token}"}
    written = 0
    try:
        if asked.save_as is not None:
            return _save(f"{address}/results", asked, headers, write)
        with requests.post(
            f"{address}/query", json=asked.to_json(), headers=headers, stream=True, timeout=TIMEOUT_SECONDS
        ) as answer:
            if answer.status_code != 200:
                raise _refusal(answer)
            for chunk in answer.iter_content(CHUNK_BYTES):
                write(chunk)
                written += len(chunk)
            return f"{written} bytes; {answer.elapsed.total_seconds():.3f} s to the first"
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError) as error:
        if written:
            raise QueryFault("the query failed on the way: what came is not the whole result") from error
        raise QueryFault(f"{asked.url} does not answer: is the server running?") from error
    except requests.RequestException as error:
        raise QueryFault(f"{asked.url}: {error}") from error


def _save(address: str, asked: Asked, headers: Mapping[str, str], write: Write) -> str:
    """Have the result kept, and write the new file's id."""
    body = asked.to_json() | {"name": asked.save_as}
    with requests.post(address, json=body, headers=headers, timeout=TIMEOUT_SECONDS) as answer:
        if answer.status_code != 201:
            raise _refusal(answer)
        kept = answer.json()
    write(f"{kept['id']}\n".encode())
    stats = kept["stats"]
    return f"{stats['rows_returned']} records, {kept['size']} bytes; {stats['bytes_scanned']} bytes read"


def _refusal(answer: requests.Response) -> QueryFault:
    try:
        problem = answer.json()
    except requests.exceptions.JSONDecodeError:
        return QueryFault(f"the server answered {answer.status_code}")
    code = f"{problem['sql_code']}: " if "sql_code" in problem else ""
    place = (problem["line"], problem["column"]) if "line" in problem else None
    return QueryFault(f"{code}{problem.get('detail', answer.status_code)}", place)


def _said(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
