"""
A server that speaks Trino's client protocol, as its documentation has it, and runs what it is asked over local files.

DuckDB stands in for Trino's engine: what the translation uses means the same in both, two functions by other names.
"""

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PAGE_ROWS = 2
_CREATE = re.compile(r"CREATE TABLE (\w+) \((.*?)\) WITH \((.*)\)", re.DOTALL)
_KINDS = {"BIGINT": "bigint", "VARCHAR": "varchar", "DOUBLE": "double", "BOOLEAN": "boolean", "HUGEINT": "bigint"}


def open_engine() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("CREATE MACRO is_finite(number) AS isfinite(number)")
    connection.execute("CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern)")
    return connection


def create(engine: duckdb.DuckDBPyConnection, statement: str) -> None:
    """Make the table of a CREATE TABLE: the lines of the one file in the folder, as OpenCSV reads them."""
    found = _CREATE.fullmatch(statement)
    assert found is not None, statement
    options = dict(re.findall(r"(\w+) = ('(?:[^']|'')*'|\d+)", found[3]))
    texts = {name: value[1:-1].replace("''", "'") for name, value in options.items()}
    (path,) = Path(texts["external_location"].removeprefix("s3:/")).iterdir()
    lines = path.read_text().splitlines()[int(options.get("skip_header_line_count", "0")) :]
    width = found[2].count(",") + 1
    engine.execute(f"CREATE TABLE {found[1]} ({found[2]})")
    delimiter, quote = texts["csv_separator"], texts["csv_quote"]
    for record in csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, quotechar=quote):
        if record:
            cells = [*record, *([None] * width)][:width]
            engine.execute(f"INSERT INTO {found[1]} VALUES ({', '.join('?' * width)})", cells)


@dataclass
class TrinoServer:
    """
    Attributes:
        trouble: Statuses that are answered instead, one a request, before it does what it is asked.
        cancelled: The statements that were ended by DELETE.
    """

    statements: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    trouble: list[int] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    elsewhere: str | None = None
    _pages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _engine: duckdb.DuckDBPyConnection = field(default_factory=open_engine)

    def close(self) -> None:
        self._engine.close()

    @property
    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/statement", self._begin, methods=["POST"]),
                Route("/v1/statement/executing/{id}/{page}", self._go_on, methods=["GET"]),
                Route("/v1/statement/executing/{id}/{page}", self._cancel, methods=["DELETE"]),
            ]
        )

    async def _begin(self, request: Request) -> Response:
        if self.trouble:
            return Response(status_code=self.trouble.pop(0), headers={"retry-after": "0"})
        statement = (await request.body()).decode()
        self.statements.append(statement)
        self.headers.append(dict(request.headers))
        number = str(len(self.statements))
        self._pages[number] = self._run(statement)
        return JSONResponse(self._page(request, number, 0, {"stats": {"state": "QUEUED"}}))

    async def _go_on(self, request: Request) -> Response:
        if self.trouble:
            return Response(status_code=self.trouble.pop(0), headers={"retry-after": "0"})
        number, page = request.path_params["id"], int(request.path_params["page"])
        return JSONResponse(self._page(request, number, page, self._pages[number][page - 1]))

    async def _cancel(self, request: Request) -> Response:
        self.cancelled.append(self.statements[int(request.path_params["id"]) - 1])
        return Response(status_code=204)

    def _page(self, request: Request, number: str, page: int, content: dict[str, Any]) -> dict[str, Any]:
        found = {"id": number, "infoUri": f"{request.base_url}ui/{number}", **content}
        if page < len(self._pages[number]):
            base = self.elsewhere or str(request.base_url)
            found["nextUri"] = f"{base}v1/statement/executing/{number}/{page + 1}"
        return found

    def _run(self, statement: str) -> list[dict[str, Any]]:
        """The pages of a statement's answer."""
        if statement.startswith("CREATE TABLE"):
            create(self._engine, statement)
            return [{"stats": {"state": "FINISHED"}, "updateType": "CREATE TABLE"}]
        try:
            cursor = self._engine.execute(statement)
            rows = [list(row) for row in cursor.fetchall()]
        except duckdb.ConversionException:
            error = {"errorName": "INVALID_CAST_ARGUMENT", "errorType": "USER_ERROR", "message": "Cannot cast"}
            return [{"error": error, "stats": {"state": "FAILED"}}]
        if statement.startswith("DROP"):
            return [{"stats": {"state": "FINISHED"}, "updateType": "DROP TABLE"}]
        columns = [{"name": name, "type": _KINDS[str(kind)]} for name, kind, *_ in cursor.description or ()]
        pages = [rows[at : at + PAGE_ROWS] for at in range(0, len(rows), PAGE_ROWS)] or [[]]
        return [
            {
                "columns": columns,
                "data": page,
                "stats": {"state": "RUNNING", "processedRows": 3, "physicalInputBytes": 51},
            }
            for page in pages
        ]
