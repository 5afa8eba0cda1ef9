"""
SQL over a file: `POST /api/v1/files/{id}/query`.

The result is streamed as CSV, as JSON lines, or as frames: one JSON object a line, that says which kind it is. With
`POST /api/v1/files/{id}/results` it is kept as a new file instead.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from enum import Enum
from typing import Any, Protocol

import orjson
from starlette.requests import Request
from starlette.responses import Response

from domain.errors import InvalidValue, LighterageError
from domain.file import Visibility, parse_name
from domain.ids import FileId, uuid_of
from domain.principal import Principal
from domain.problem import problem_document
from domain.upload import NewUpload
from rest.bodies import Field, as_object, count, flag, one_of, read_json, take, text
from rest.callers import principal_of
from rest.contents import parse_file_id
from rest.documents import EXAMPLE_UUID
from rest.operations import Answer, Content, Operation, json_answer, json_body
from rest.problems import STATUS_BY_CODE
from rest.streaming import StreamResponse
from services.queries import End, Progress, Rows, Stats
from services.reading import Compression, Format, Header, OutputFormat, OutputKind, QuoteFields, Reading, Select
from services.saving import SavedResult

TRAILERS = {
    "Query-Bytes-Scanned": "bytes_scanned",
    "Query-Bytes-Processed": "bytes_processed",
    "Query-Bytes-Returned": "bytes_returned",
    "Query-Rows-Returned": "rows_returned",
    "Query-Elapsed-Ms": "elapsed_ms",
}
"""What a query took, in fields after the body."""


class ResultFormat(Enum):
    CSV = "text/csv; charset=utf-8"
    JSON = "application/x-ndjson"
    FRAMES = "application/x-ndjson; profile=frames"


class Queries(Protocol):
    def select_text(
        self, principal: Principal, file_id: FileId, query: Select, output: OutputFormat
    ) -> AsyncGenerator[bytes | Progress | End, None]: ...
    def select_rows(
        self, principal: Principal, file_id: FileId, query: Select
    ) -> AsyncGenerator[Rows | Progress | End, None]: ...


class Saving(Protocol):
    async def save(
        self, principal: Principal, file_id: FileId, query: Select, output: OutputFormat, new: NewUpload
    ) -> SavedResult: ...


def query_operations(queries: Queries, saving: Saving) -> list[Operation]:
    """Make the operations of SQL."""

    async def query(request: Request) -> Response:
        principal = principal_of(request)
        file_id = parse_file_id(request.path_params["id"])
        select, result, written = parse_query(await read_json(request))
        headers = {"content-type": result.value, "cache-control": "no-store", "x-content-type-options": "nosniff"}
        if result is ResultFormat.FRAMES:
            return StreamResponse(_frames(queries.select_rows(principal, file_id, select)), headers)
        chunks = _texts(queries.select_text(principal, file_id, select, written))
        return StreamResponse(chunks, headers, trailers=tuple(TRAILERS))

    async def save(request: Request) -> Response:
        principal = principal_of(request)
        file_id = parse_file_id(request.path_params["id"])
        body = dict(await read_json(request))
        new = _new_file(take({name: body.pop(name) for name in _NEW if name in body}, _NEW))
        select, result, written = parse_query(body)
        if result is ResultFormat.FRAMES:
            raise InvalidValue("frames are not kept; take csv or json", path=("output", "format"))
        saved = await saving.save(principal, file_id, select, written, new)
        content = orjson.dumps(_saved(saved))
        location = f"/api/v1/files/{uuid_of(saved.file.id)}/content"
        return Response(content, 201, {"location": location, "cache-control": "no-store"}, "application/json")

    asked = Operation(
        "POST",
        "/api/v1/files/{id}/query",
        "queryFile",
        "Run SQL over a file",
        "Files",
        query,
        (
            Answer(
                200,
                "The result, streamed. What the query took comes in trailer fields.",
                (
                    Content("text/csv", {"type": "string"}, {"csv": "name,price\nnorth,12\n"}),
                    Content("application/x-ndjson", {"type": "string"}, {"json": '{"name":"north","price":12}\n'}),
                ),
            ),
        ),
        notes="The dialect is that of S3 Select: docs/reference/sql.md.",
        body=json_body(
            _QUERY_SCHEMA,
            usual={"sql": "SELECT s.name, s.price FROM S3Object s WHERE CAST(s.price AS INT) > 10"},
            ndjson={"sql": "SELECT * FROM S3Object s LIMIT 5", "output": {"format": "json"}},
        ),
        faults=_FAULTS,
    )
    kept = Operation(
        "POST",
        "/api/v1/files/{id}/results",
        "saveQueryResult",
        "Run SQL over a file and keep the result as a file",
        "Files",
        save,
        (json_answer(201, "It is stored.", {"type": "object"}, _EXAMPLE_SAVED, Location="Where its bytes are."),),
        body=json_body(
            _SAVING_SCHEMA,
            usual={"sql": "SELECT * FROM S3Object s LIMIT 5", "name": "five.csv", "visibility": "private"},
        ),
        faults=(*_FAULTS, "conflict", "quota_exceeded", "content_type_not_allowed", "store_full"),
    )
    return [asked, kept]


_FAULTS = ("file_not_ready", "not_processed", "sql_invalid", "query_limit_exceeded", "rate_limited")
_EXAMPLE_SAVED = {
    "id": EXAMPLE_UUID,
    "name": "five.csv",
    "size": 96,
    "content_type": "text/csv",
    "sha256": None,
    "status": "ready",
    "visibility": "private",
    "created_at": "2026-11-21T12:00:00Z",
    "content": f"/api/v1/files/{EXAMPLE_UUID}/content",
    "stats": {
        "bytes_scanned": 2048,
        "bytes_processed": 2048,
        "bytes_returned": 96,
        "rows_returned": 5,
        "elapsed_ms": 9,
    },
}


# ---- what is asked

_SCAN_RANGE: Mapping[str, Field] = {"start": count, "end": count}
_READING: Mapping[str, Field] = {
    "format": one_of(Format),
    "compression": one_of(Compression),
    "header": one_of(Header),
    "delimiter": text,
    "record_delimiter": text,
    "quote": text,
    "escape": text,
    "comment": text,
    "allow_quoted_record_delimiter": flag,
    "scan_range": lambda value, path: take(as_object(value, path), _SCAN_RANGE, path),
}
_WRITING: Mapping[str, Field] = {
    "format": one_of(ResultFormat),
    "header": flag,
    "delimiter": text,
    "record_delimiter": text,
    "quote": text,
    "escape": text,
    "quote_fields": one_of(QuoteFields),
}
_QUERY: Mapping[str, Field] = {
    "sql": text,
    "input": lambda value, path: _reading(take(as_object(value, path), _READING, path)),
    "output": lambda value, path: take(as_object(value, path), _WRITING, path),
}


_NEW: Mapping[str, Field] = {
    "name": lambda value, path: parse_name(text(value, path)),
    "visibility": one_of(Visibility),
}


def _new_file(given: dict[str, Any]) -> NewUpload:
    if "name" not in given:
        raise InvalidValue("name is missing: what the new file is to be called", path=("name",), reason="required")
    return NewUpload(**given)


def _choice(names: type[Enum]) -> dict[str, object]:
    return {"type": "string", "enum": [name.lower() for name in names.__members__]}


_TEXT_SCHEMA = {"type": "string"}
_QUERY_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "required": ["sql"],
    "additionalProperties": False,
    "properties": {
        "sql": {"type": "string", "description": "The statement; the file is `S3Object`."},
        "input": {
            "type": "object",
            "description": "How the file is read; left out, its type and its first bytes tell.",
            "additionalProperties": False,
            "properties": {
                "format": _choice(Format),
                "compression": _choice(Compression),
                "header": _choice(Header),
                **dict.fromkeys(("delimiter", "record_delimiter", "quote", "escape", "comment"), _TEXT_SCHEMA),
                "allow_quoted_record_delimiter": {"type": "boolean"},
                "scan_range": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {name: {"type": "integer", "minimum": 0} for name in _SCAN_RANGE},
                },
            },
        },
        "output": {
            "type": "object",
            "description": "How the result is written; as CSV with a header unless said otherwise.",
            "additionalProperties": False,
            "properties": {
                "format": _choice(ResultFormat),
                "header": {"type": "boolean"},
                **dict.fromkeys(("delimiter", "record_delimiter", "quote", "escape"), _TEXT_SCHEMA),
                "quote_fields": _choice(QuoteFields),
            },
        },
    },
}
"""What `_QUERY` takes, told to readers; a test holds the two against each other."""

_SAVING_SCHEMA: Mapping[str, Any] = {
    **_QUERY_SCHEMA,
    "required": ["sql", "name"],
    "properties": {
        "name": {"type": "string", "description": "What the new file is called."},
        "visibility": _choice(Visibility),
        **_QUERY_SCHEMA["properties"],
    },
}


def parse_query(body: Mapping[str, object]) -> tuple[Select, ResultFormat, OutputFormat]:
    """
    Read what is asked, and how the result is to come.

    Raises:
        InvalidValue: A field is not what it must be; the path names it.
    """
    asked = take(body, _QUERY)
    if "sql" not in asked:
        raise InvalidValue("sql is missing", path=("sql",), reason="required")
    output = asked.get("output", {})
    result = output.pop("format", ResultFormat.CSV)
    if result is ResultFormat.FRAMES and output:
        raise InvalidValue("frames are JSON; nothing else can be chosen", path=("output", next(iter(output))))
    kind = OutputKind.CSV if result is ResultFormat.CSV else OutputKind.JSON
    return Select(asked["sql"], asked.get("input", Reading())), result, OutputFormat(kind=kind, **output)


def _reading(given: dict[str, object]) -> Reading:
    scan_range = given.pop("scan_range", {})
    assert isinstance(scan_range, dict)
    return Reading(**given, start_byte=scan_range.get("start"), end_byte=scan_range.get("end"))  # type: ignore[arg-type]


# ---- what comes out


def _saved(saved: SavedResult) -> dict[str, object]:
    file = saved.file
    return {
        "id": str(uuid_of(file.id)),
        "name": file.name,
        "size": file.size,
        "content_type": file.content_type,
        "sha256": file.sha256,
        "status": file.status.value,
        "visibility": file.visibility.value,
        "created_at": file.created_at,
        "content": f"/api/v1/files/{uuid_of(file.id)}/content",
        "stats": _counts(saved.stats),
    }


async def _texts(
    events: AsyncGenerator[bytes | Progress | End, None],
) -> AsyncGenerator[bytes | Mapping[str, str], None]:
    async with aclosing(events):
        async for event in events:
            if isinstance(event, bytes):
                yield event
            elif isinstance(event, End):
                yield {name: str(getattr(event.stats, field)) for name, field in TRAILERS.items()}


async def _frames(
    events: AsyncGenerator[Rows | Progress | End, None],
) -> AsyncGenerator[bytes | Mapping[str, str], None]:
    has_begun = False
    try:
        async with aclosing(events):
            async for event in events:
                for frame in _frame(event, is_first=not has_begun):
                    yield orjson.dumps(frame, option=orjson.OPT_APPEND_NEWLINE)
                has_begun = True
    except LighterageError as error:
        if not has_begun:
            raise
        document = problem_document(error, status=STATUS_BY_CODE[error.code])
        yield orjson.dumps({"error": document}, option=orjson.OPT_APPEND_NEWLINE)


def _frame(event: Rows | Progress | End, *, is_first: bool) -> list[dict[str, object]]:
    if isinstance(event, Rows):
        frames: list[dict[str, object]] = []
        if is_first:
            frames.append({"columns": [{"name": one.name, "type": one.type} for one in event.columns]})
        if event.rows:
            frames.append({"rows": event.rows})
        return frames
    if isinstance(event, Progress):
        return [{"progress": _counts(event.stats) | {"bytes_total": event.bytes_total}}]
    return [{"stats": _counts(event.stats)}]


def _counts(stats: Stats) -> dict[str, int]:
    return {field: getattr(stats, field) for field in TRAILERS.values()}
