"""
Trino over its client protocol.

Source: Trino documentation, "Client REST API": POST /v1/statement, then GET `nextUri` until there is none, DELETE it to
cancel; 502, 503 and 504 are tried again after 50 to 100 ms, 429 after what Retry-After says.
"""

import asyncio
import http.client
import json
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from domain.errors import StoreUnavailable
from domain.warehouse import Row, WarehouseCounts, WarehouseFault

ANSWER_BYTES_MAX = 64 * 2**20  # of one page of rows; Trino's own target is 16 MiB
TIMEOUT_SECONDS = 30.0  # Trino answers within a second, also when there is nothing new
TRIES_MAX = 60
BACK_OFF_SECONDS = 0.075
RETRY_AFTER_SECONDS_MAX = 10.0
_AGAIN = frozenset({429, 502, 503, 504})
_DOUBLES = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


@dataclass(frozen=True, slots=True)
class TrinoSettings:
    """
    Attributes:
        url: Scheme, host and port.
        password: Sent by HTTP Basic, over TLS only.
        back_off_seconds: Before a busy server is asked again.
    """

    url: str
    user: str
    catalog: str
    schema: str
    password: str | None = None
    back_off_seconds: float = BACK_OFF_SECONDS


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Go nowhere else than where whoever set the address wanted."""


class Trino:
    """Runs statements at one coordinator; implements domain.warehouse.Warehouse."""

    def __init__(self, settings: TrinoSettings) -> None:
        self._settings = settings
        self._origin = urlsplit(settings.url)[:2]
        self._opener = urllib.request.build_opener(_NoRedirects(), urllib.request.ProxyHandler({}))

    async def run(self, sql: str) -> AsyncGenerator[list[Row] | WarehouseCounts, None]:
        """As domain.warehouse.Warehouse.run."""
        answer = await self._ask("POST", f"{self._settings.url}/v1/statement", sql.encode())
        following: str | None = None
        try:
            while True:
                following = self._following(answer)
                if "error" in answer:
                    following = None
                    error = answer["error"]
                    raise WarehouseFault(str(error.get("errorName", "")), str(error.get("message", "")))
                if answer.get("data"):
                    yield _rows(answer)
                stats = answer.get("stats", {})
                yield WarehouseCounts(
                    int(stats.get("physicalInputBytes") or stats.get("processedBytes") or 0),
                    int(stats.get("processedRows") or 0),
                )
                if following is None:
                    return
                answer = await self._ask("GET", following)
        finally:
            if following is not None:
                with suppress(StoreUnavailable):
                    await self._ask("DELETE", following)

    def _following(self, answer: Mapping[str, Any]) -> str | None:
        uri = answer.get("nextUri")
        # The user's name goes along: an answer must not send it, or us, to somebody else.
        if uri is not None and urlsplit(uri)[:2] != self._origin:
            raise StoreUnavailable("query cluster")
        return uri

    async def _ask(self, method: str, address: str, body: bytes | None = None) -> dict[str, Any]:
        for _ in range(TRIES_MAX):
            try:
                status, wait, content = await asyncio.to_thread(self._send, method, address, body)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise StoreUnavailable("query cluster") from error
            if status in (200, 204):
                return _object(content)
            if status not in _AGAIN:
                break
            await asyncio.sleep(self._settings.back_off_seconds if wait is None else wait)
        raise StoreUnavailable("query cluster")

    def _send(self, method: str, address: str, body: bytes | None) -> tuple[int, float | None, bytes]:
        settings = self._settings
        headers = {
            "X-Trino-User": settings.user,
            "X-Trino-Catalog": settings.catalog,
            "X-Trino-Schema": settings.schema,
            "X-Trino-Source": "lighterage",
        }
        if settings.password is not None:
            pair = f"{settings.user}:{settings.password}".encode()
            headers["Authorization"] = "Basic " + b64encode(pair).decode()
        request = urllib.request.Request(address, body, headers, method=method)  # noqa: S310 (the origin is checked)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                content = answer.read(ANSWER_BYTES_MAX + 1)
                if len(content) > ANSWER_BYTES_MAX:
                    raise ValueError("too long")
                return answer.status, None, content
        except urllib.error.HTTPError as error:
            wait = error.headers.get("Retry-After") if error.code == 429 else None
            error.close()
            seconds = min(float(wait), RETRY_AFTER_SECONDS_MAX) if wait and wait.isdigit() else None
            return error.code, seconds, b""


def _object(content: bytes) -> dict[str, Any]:
    found = json.loads(content) if content else {}
    if not isinstance(found, dict):
        raise StoreUnavailable("query cluster")
    return found


def _rows(answer: Mapping[str, Any]) -> list[Row]:
    kinds = [str(column["type"]) for column in answer["columns"]]
    return [
        [_DOUBLES.get(cell, cell) if kind == "double" else cell for kind, cell in zip(kinds, row, strict=True)]
        for row in answer["data"]
    ]
