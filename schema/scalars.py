"""
The scalars past GraphQL's own: how each is written, read and refused. Nothing here knows a noun.

What cannot be read raises ValueError: graphql-core tells the client the message and the place.
"""

import math
import re
from datetime import UTC, datetime
from typing import NewType

import orjson
import strawberry
from graphql import IntValueNode, StringValueNode, ValueNode
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

BIG_INT_MAX = 2**53 - 1  # what every JSON parser reads without loss; 8 PiB as a size

BigInt = NewType("BigInt", int)
URL = NewType("URL", str)

__all__ = ["BIG_INT_MAX", "JSON", "SCALARS", "URL", "BigInt", "read_big_int", "read_timestamp", "write_json"]

# RFC 3339, section 5.6, with the offset that makes an instant of it; the year may not be 0000.
_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})",
    re.ASCII,
)
_WHOLE = re.compile(r"-?\d{1,16}", re.ASCII)


def write_big_int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("BigInt cannot represent this value")
    return min(value, BIG_INT_MAX)


def read_big_int(value: object) -> BigInt:
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        value = int(value)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > BIG_INT_MAX:
        raise ValueError("BigInt takes a whole number from -(2^53-1) to 2^53-1, or the same as a string")
    return BigInt(value)


def _big_int_literal(node: ValueNode, _variables: object = None) -> BigInt:
    return read_big_int(node.value if isinstance(node, IntValueNode | StringValueNode) else None)


def write_timestamp(value: object) -> str:
    if not isinstance(value, datetime):
        raise TypeError("DateTime cannot represent this value")
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    # A quarter of the cost of isoformat; but it leaves out a fraction that is zero.
    text = orjson.dumps(value)
    return f"{text[1:24].decode()}Z" if value.microsecond else f"{text[1:20].decode()}.000Z"


def read_timestamp(value: object) -> datetime:
    match = _TIMESTAMP.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("DateTime takes an RFC 3339 timestamp with an offset, like 2026-01-31T12:00:00.000Z")
    date, time, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(f"{date}T{time}{offset.upper().replace('Z', '+00:00')}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("DateTime takes an RFC 3339 timestamp; there is no such moment") from error
    milliseconds = int((fraction or ".0")[1:4].ljust(3, "0"))
    return moment.replace(microsecond=milliseconds * 1000)


def _timestamp_literal(node: ValueNode, _variables: object = None) -> datetime:
    return read_timestamp(node.value if isinstance(node, StringValueNode) else None)


def _read_url(value: object) -> URL:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")):
        raise ValueError("URL takes an absolute http or https address")
    return URL(value)


def write_json(value: object) -> object:
    """Give a cell as JSON can hold it: what JSON has no form for goes as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int):
        return value if abs(value) <= BIG_INT_MAX else str(value)
    if isinstance(value, list | tuple):
        return [write_json(item) for item in value]
    if isinstance(value, dict):
        return {str(key): write_json(item) for key, item in value.items()}
    return str(value)


def _refuse(_value: object, _variables: object = None) -> object:
    raise ValueError("JSON is only used in answers")


SCALARS: dict[object, ScalarDefinition] = {
    BigInt: strawberry.scalar(
        name="BigInt",
        description="Whole number up to 2^53-1, sent as a JSON number; accepted as a number or a decimal string.",
        serialize=write_big_int,
        parse_value=read_big_int,
        parse_literal=_big_int_literal,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description="RFC 3339 timestamp, always UTC with `Z`, milliseconds: 2026-01-31T12:00:00.000Z.",
        specified_by_url="https://scalars.graphql.org/andimarek/date-time",
        serialize=write_timestamp,
        parse_value=read_timestamp,
        parse_literal=_timestamp_literal,
    ),
    URL: strawberry.scalar(
        name="URL",
        description="Absolute http(s) URL.",
        specified_by_url="https://url.spec.whatwg.org/",
        serialize=str,
        parse_value=_read_url,
    ),
    JSON: strawberry.scalar(
        name="JSON",
        description="Any JSON value. Only used for cells of SQL results.",
        serialize=write_json,
        parse_value=_refuse,
        parse_literal=_refuse,
    ),
}
