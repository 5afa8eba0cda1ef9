"""
Requests and answers as bytes: what a well-formed request is, and JSON out. No socket, no framework.

Whatever is not a well-formed request is refused with BAD_REQUEST and a message that says what would be one; no input
raises anything else.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from resolvers.execution import Operation
from resolvers.masking import refused
from schema.errors import ErrorCode

JSON = "application/json"
RESPONSE_JSON = "application/graphql-response+json"
EVENT_STREAM = "text/event-stream"

_CONTENT_TYPE = re.compile(r'application/json(\s*;\s*charset\s*=\s*"?utf-8"?)?\s*', re.ASCII | re.IGNORECASE)
_KNOWN_KEYS = ("query", "operationName", "variables", "extensions")


def encode(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        # What orjson has no form for (a number past 64 bits, half a surrogate pair) is rare, and still JSON.
        return json.dumps(value, separators=(",", ":")).encode()


def decode(text: bytes | str) -> object:
    """
    Read JSON.

    Raises:
        Refused: It is none, or nested without end.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise refused(ErrorCode.BAD_REQUEST, "this is not JSON in UTF-8") from error


def parse_operation(content: object) -> Operation:
    """
    Read the four keys of a GraphQL request.

    Raises:
        Refused: A key is missing or of the wrong type.
    """
    if not isinstance(content, dict):
        raise refused(ErrorCode.BAD_REQUEST, "a request is one JSON object; batches are not taken")
    query, name = content.get("query"), content.get("operationName")
    if not isinstance(query, str) or not query.strip():
        if "query" not in content and isinstance(content.get("extensions"), dict):
            _refuse_persisted(content["extensions"])
        raise refused(ErrorCode.BAD_REQUEST, "'query' must be a string that holds a document")
    if name is not None and not isinstance(name, str):
        raise refused(ErrorCode.BAD_REQUEST, "'operationName' must be a string or null")
    for key in ("variables", "extensions"):
        if content.get(key) is not None and not isinstance(content[key], dict):
            raise refused(ErrorCode.BAD_REQUEST, f"'{key}' must be an object or null")
    return Operation(query, name or None, content.get("variables") or {})


def parse_query_string(fields: Mapping[str, str]) -> Operation:
    """
    Read a request out of a URL, where `variables` and `extensions` are JSON texts.

    Raises:
        Refused: As for a body.
    """
    content: dict[str, Any] = {key: fields[key] for key in _KNOWN_KEYS if key in fields}
    for key in ("variables", "extensions"):
        if key in content:
            content[key] = decode(content[key]) if content[key] else None
    return parse_operation(content)


def _refuse_persisted(extensions: dict[str, Any]) -> None:
    if "persistedQuery" in extensions:
        raise refused(ErrorCode.PERSISTED_QUERY_NOT_FOUND, "persisted documents are not kept; send 'query'")


def is_json(content_type: str | None) -> bool:
    """Tell whether a body is what is taken: JSON in UTF-8, and no other media type that a browser's form could send."""
    return content_type is not None and _CONTENT_TYPE.fullmatch(content_type.strip()) is not None


@dataclass(frozen=True, slots=True)
class _Range:
    type: str
    quality: float


def negotiate(accept: str | None) -> str | None:
    """
    Choose the media type of the answer: the most wanted of the three, JSON where it does not matter.

    Returns:
        None where nothing that can be given is wanted.
    """
    if accept is None or not accept.strip():
        return JSON
    ranges = [_range(part) for part in accept.split(",")[:32]]
    best: tuple[float, str] | None = None
    for offered in (JSON, RESPONSE_JSON, EVENT_STREAM):
        quality = _quality(offered, ranges)
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, offered)
    if best is None:
        return None
    # Equal wishes: the first named wins, so that `graphql-response+json, application/json` means what it looks like.
    named = [one.type for one in ranges if one.type in {JSON, RESPONSE_JSON, EVENT_STREAM} and one.quality == best[0]]
    return named[0] if named else best[1]


def _range(text: str) -> _Range:
    media, *parameters = (part.strip().lower() for part in text.split(";"))
    quality = 1.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            quality = float(value) if re.fullmatch(r"[01](\.\d{0,3})?", value.strip()) else 0.0
    return _Range(media, quality)


def _quality(offered: str, ranges: list[_Range]) -> float:
    for wanted in (offered, offered.split("/", maxsplit=1)[0] + "/*", "*/*"):
        # An event stream is only given to who names it: `*/*` is what every client sends.
        if offered == EVENT_STREAM and wanted != offered:
            return 0.0
        found = [one.quality for one in ranges if one.type == wanted]
        if found:
            return max(found)
    return 0.0
