"""
Every way into SQL, asked one case after the other: what comes out as the table of cases writes it.

A door that has no word for how a case's data is read gives None: GraphQL knows a header and a delimiter only.
"""

import asyncio
import csv
import io
import json
from collections.abc import Callable, Coroutine, Sequence
from contextlib import closing
from typing import Any

import boto3
import httpx2
from botocore.config import Config
from botocore.exceptions import ClientError, EventStreamError

from domain.file import File
from lighterage.querying import Asked, QueryFault, answers
from query import Compression, Header, InputFormat, JsonType, Kind, QuoteFields
from tests.support.graphql_client import events_of
from tests.support.query_cases import DATA, Case

CUT = "cut"
"""A fault that came after the first records, at a door that can only stop then."""
SUFFIXES = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.BZIP2: ".bz2", Compression.ZSTD: ".zst"}
SELECT = "query ($input: SelectInput!) { select(input: $input) { rows } }"
SELECT_ROWS = """subscription ($input: SelectInput!) { selectRows(input: $input) { ... on SqlRows { rows } } }"""

Found = str | list[list[Any]] | None
"""The result as CSV or as rows; `!` and the code of the error, or of a door's own fault; None: cannot be asked."""


def file_name(name: str) -> str:
    """What a case's data is called, so that its name tells how it is read."""
    given = DATA[name][1]
    lines = given.json_type is JsonType.LINES
    suffix = "csv" if given.kind is Kind.CSV else "jsonl" if lines else "json"
    return f"{name}.{suffix}{SUFFIXES[given.compression]}"


def rest_input(given: InputFormat) -> dict[str, Any]:
    kinds = {(Kind.JSON, JsonType.LINES): "json_lines", (Kind.JSON, JsonType.DOCUMENT): "json_document"}
    found: dict[str, Any] = {
        "format": kinds.get((given.kind, given.json_type), "csv"),
        "compression": given.compression.lower(),
        "header": given.header.lower(),
        "delimiter": given.delimiter,
        "record_delimiter": given.record_delimiter,
        "quote": given.quote,
        "escape": given.escape,
        "comment": given.comment,
    }
    if given.scan_range is not None:
        ends = {"start": given.scan_range.start, "end": given.scan_range.end}
        found["scan_range"] = {name: value for name, value in ends.items() if value is not None}
    return found


class Doors:
    """The doors of one running server, for the user with these credentials."""

    def __init__(self, url: str, token: str, access_key_id: str, secret: str, files: dict[str, File]) -> None:
        self._url = url
        self._token = token
        self._pair = (access_key_id, secret)
        self._files = files

    async def rest(self, cases: Sequence[Case]) -> list[Found]:
        async with self._http() as http:
            return [await self._rest(http, case) for case in cases]

    async def _rest(self, http: httpx2.AsyncClient, case: Case) -> Found:
        body = {"sql": case.sql, "input": rest_input(DATA[case.name][1])}
        path = f"/api/v1/files/{self._files[case.name].id}/query"
        try:
            answer = await http.post(path, json=body)
        except httpx2.RemoteProtocolError:
            frames = await http.post(path, json={**body, "output": {"format": "frames"}})
            return "!" + str(json.loads(frames.text.splitlines()[-1])["error"]["sql_code"])
        if answer.status_code == 400:
            return "!" + str(answer.json()["sql_code"])
        assert answer.status_code == 200, answer.text
        return answer.text.removesuffix("\n")

    async def graphql(self, cases: Sequence[Case]) -> list[Found]:
        async with self._http() as http:
            return [await self._graphql(http, case) for case in cases]

    async def _graphql(self, http: httpx2.AsyncClient, case: Case) -> Found:
        asked = self._input(case)
        if asked is None:
            return None
        answer = (await http.post("/graphql", json={"query": SELECT, "variables": {"input": asked}})).json()
        return _sql_code(answer) if "errors" in answer else list(answer["data"]["select"]["rows"])

    async def subscription(self, cases: Sequence[Case]) -> list[Found]:
        async with self._http() as http:
            http.headers["accept"] = "text/event-stream"
            return [await self._subscription(http, case) for case in cases]

    async def _subscription(self, http: httpx2.AsyncClient, case: Case) -> Found:
        asked = self._input(case)
        if asked is None:
            return None
        answer = await http.post("/graphql", json={"query": SELECT_ROWS, "variables": {"input": asked}})
        rows: list[list[Any]] = []
        for kind, content in events_of(answer.text):
            if kind != "next":
                continue
            if "errors" in content:
                return _sql_code(content)
            rows += content["data"]["selectRows"].get("rows", [])
        return rows

    def _input(self, case: Case) -> dict[str, Any] | None:
        given = DATA[case.name][1]
        plain = InputFormat(
            kind=given.kind,
            compression=given.compression,
            header=given.header,
            delimiter=given.delimiter,
            json_type=given.json_type,
            scan_range=given.scan_range,
        )
        # What is packed is told by the bytes; these are called so, but are not.
        if given != plain or given.header is Header.IGNORE or case.name == "zstd-none":
            return None
        asked: dict[str, Any] = {"fileId": self._files[case.name].id, "sql": case.sql}
        if given.kind is Kind.CSV:
            asked |= {"csvHeader": given.header is Header.USE, "csvDelimiter": given.delimiter}
        if given.scan_range is not None:
            if given.scan_range.start is None:
                return None  # the last so many bytes
            asked |= {"startByte": given.scan_range.start, "endByte": given.scan_range.end}
        return asked

    async def command(self, cases: Sequence[Case]) -> list[Found]:
        return await asyncio.to_thread(lambda: [self._command(case) for case in cases])

    def _command(self, case: Case) -> Found:
        written: list[bytes] = []
        body = {"sql": case.sql, "input": rest_input(DATA[case.name][1]), "output": {"format": "csv"}}
        try:
            answers(Asked(self._files[case.name].id, body, self._url, self._token), written.append)
        except QueryFault as fault:
            return f"!{CUT}" if "on the way" in fault.message else "!" + fault.message.partition(":")[0]
        return b"".join(written).decode().removesuffix("\n")

    async def wire(self, cases: Sequence[Case]) -> list[Found]:
        session = boto3.Session(*self._pair, region_name="eu-north-1")
        config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
        with closing(session.client("s3", endpoint_url=self._url, config=config)) as client:
            return await asyncio.to_thread(lambda: [self._wire(client, case) for case in cases])

    def _wire(self, client: Any, case: Case) -> Found:
        file, given = self._files[case.name], DATA[case.name][1]
        request: dict[str, Any] = {"InputSerialization": _serialization(given)}
        if given.scan_range is not None:
            ends = {"Start": given.scan_range.start, "End": given.scan_range.end}
            request["ScanRange"] = {name: value for name, value in ends.items() if value is not None}
        try:
            answer = client.select_object_content(
                Bucket="lighterage",
                Key=file.key,
                Expression=case.sql,
                ExpressionType="SQL",
                OutputSerialization={"CSV": {"QuoteFields": QuoteFields.ASNEEDED.value}},
                **request,
            )
            with closing(answer["Payload"]) as payload:
                events = list(payload)
        except (ClientError, EventStreamError) as error:
            return "!" + str(error.response["Error"]["Code"])
        text = b"".join(event["Records"]["Payload"] for event in events if "Records" in event)
        return text.decode().removesuffix("\n")

    def _http(self) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=self._url, headers={"Authorization": f"Bearer {self._token}"}, timeout=30)


DOORS: dict[str, Callable[[Doors, Sequence[Case]], Coroutine[Any, Any, list[Found]]]] = {
    "REST": Doors.rest,
    "GraphQL": Doors.graphql,
    "GraphQL stream": Doors.subscription,
    "S3 Select": Doors.wire,
    "command": Doors.command,
}


def _serialization(given: InputFormat) -> dict[str, Any]:
    packed = {"CompressionType": given.compression.value}
    if given.kind is Kind.JSON:
        return {"JSON": {"Type": given.json_type.value}, **packed}
    options: dict[str, Any] = {
        "FileHeaderInfo": given.header.value,
        "FieldDelimiter": given.delimiter,
        "RecordDelimiter": given.record_delimiter,
        "QuoteCharacter": given.quote,
        "QuoteEscapeCharacter": given.escape,
        "AllowQuotedRecordDelimiter": True,
    }
    if given.comment:
        options["Comments"] = given.comment
    return {"CSV": options, **packed}


def _sql_code(answer: dict[str, Any]) -> str:
    return "!" + str(answer["errors"][0]["extensions"]["sqlCode"])


def is_as_expected(found: Found, expected: str) -> bool:
    """Tell whether a door's answer says what the table does, values of JSON being what they would be as text."""
    if found == f"!{CUT}":
        return expected.startswith("!")
    if found is None or isinstance(found, str):
        return found == expected
    if expected.startswith("!"):
        return False
    # Every line is a record; where an empty field is all of it, CSV has an empty line.
    wanted = [record or [""] for record in csv.reader(io.StringIO(expected))] if expected or found else []
    if len(wanted) < len(found):
        wanted += [[""]] * (len(found) - len(wanted))
    return len(wanted) == len(found) and all(map(_is_same, found, wanted))


def _is_same(row: list[Any], texts: list[str]) -> bool:
    # `*` over JSON: the whole object is one cell, and in CSV the values of its keys.
    if len(row) == 1 and isinstance(row[0], dict) and (len(texts) > 1 or not texts[0].startswith("{")):
        row = list(row[0].values())
    width = max(len(row), len(texts))
    # A record that has fewer fields than others comes with null for them.
    cells = row + [None] * (width - len(row))
    return all(map(_is_same_cell, cells, texts + [""] * (width - len(texts))))


def _is_same_cell(cell: Any, text: str) -> bool:
    if cell is None:
        return text in ("", "null")
    if isinstance(cell, bool):
        return text == ("true" if cell else "false")
    if isinstance(cell, int | float):
        return float(text) == float(cell)
    if isinstance(cell, list | dict):
        return bool(json.loads(text) == cell)
    return bool(cell == text)
