"""Bodies of requests that are JSON: read within a bound, and taken apart field by field."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request

from domain.errors import InvalidValue, LengthExceeded

BODY_BYTES_MAX = 1 << 20  # a statement of 256 KB, every character of which may be an escape of six

Field = Callable[[object, tuple[str, ...]], object]
"""Turns a JSON value into one of ours, or raises InvalidValue with the path of the field."""

_E = TypeVar("_E", bound=Enum)


async def read_body(request: Request, *, most: int = BODY_BYTES_MAX) -> bytes:
    """
    Read a small body.

    Raises:
        LengthExceeded: There is more than `most`; the rest is not read.
    """
    pieces: list[bytes] = []
    left = most
    try:
        async for piece in request.stream():
            left -= len(piece)
            if left < 0:
                raise LengthExceeded(f"the body of this request has at most {most} bytes")
            pieces.append(piece)
    except ClientDisconnect as error:
        raise InvalidValue("the body ended before its length") from error
    return b"".join(pieces)


async def read_json(request: Request) -> Mapping[str, object]:
    """
    Read a body that is a JSON object.

    Raises:
        InvalidValue: It is none.
    """
    try:
        content: Any = orjson.loads(await read_body(request))
    except orjson.JSONDecodeError as error:
        raise InvalidValue(f"the body is not JSON: {error}") from error
    return as_object(content, ())


def as_object(value: object, path: tuple[str, ...]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise InvalidValue(f"{_named(path)} must be an object", path=path)
    return value


def take(content: Mapping[str, object], fields: Mapping[str, Field], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """
    Take an object apart; null counts as not given.

    Raises:
        InvalidValue: A value is not what its field takes, or there is no such field.
    """
    for name in content:
        if name not in fields:
            known = ", ".join(fields)
            raise InvalidValue(f"there is no field {name[:60]!r} here; known are {known}", path=(*path, name[:60]))
    return {name: fields[name](value, (*path, name)) for name, value in content.items() if value is not None}


def text(value: object, path: tuple[str, ...]) -> str:
    if not isinstance(value, str):
        raise InvalidValue(f"{_named(path)} must be text", path=path)
    return value


def flag(value: object, path: tuple[str, ...]) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue(f"{_named(path)} must be true or false", path=path)
    return value


def count(value: object, path: tuple[str, ...]) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidValue(f"{_named(path)} must be a whole number from 0 on", path=path, reason="out_of_range")
    return value


def one_of(choices: type[_E]) -> Field:
    """A field that takes the names of an enum, in any letter case."""

    def choose(value: object, path: tuple[str, ...]) -> _E:
        name = value.upper() if isinstance(value, str) else ""
        if name not in choices.__members__:
            known = ", ".join(choices.__members__).lower()
            raise InvalidValue(f"{_named(path)} must be one of {known}", path=path)
        return choices[name]

    return choose


def _named(path: tuple[str, ...]) -> str:
    return ".".join(path) or "the body"
