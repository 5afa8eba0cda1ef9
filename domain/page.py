"""
Lists a page at a time, by keyset: a cursor names the last thing seen, so a page costs the same wherever it is.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Generic, TypeVar

from domain.errors import CursorInvalid, InvalidValue

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 100

T = TypeVar("T")
U = TypeVar("U")

# What a declared field of a record may hold, and so what a condition may compare it with. None sorts first.
Value = str | int | bool | datetime | Enum | None


class Comparison(Enum):
    EQUALS = "equals"
    IN = "in"
    AT_LEAST = "at_least"
    BELOW = "below"
    STARTS_WITH = "starts_with"
    CONTAINS = "contains"


@dataclass(frozen=True, slots=True)
class Condition:
    """
    One test of one declared field; a list of conditions holds when all of them do.

    EQUALS takes a value (None: the field is empty), IN a tuple of them. AT_LEAST and BELOW order numbers, times and
    text (by code point); an empty field is never at least or below anything, and nothing is at least or below None.
    STARTS_WITH and CONTAINS are for text, and an empty field meets neither. CONTAINS does not regard case: the record
    keeps a case-folded field for it, and the store folds the condition's value.
    """

    field: str
    comparison: Comparison
    value: Value | tuple[Value, ...]


def equals(field: str, value: Value) -> Condition:
    return Condition(field, Comparison.EQUALS, value)


def one_of(field: str, values: Sequence[Value]) -> Condition:
    return Condition(field, Comparison.IN, tuple(values))


def at_least(field: str, value: Value) -> Condition:
    return Condition(field, Comparison.AT_LEAST, value)


def below(field: str, value: Value) -> Condition:
    return Condition(field, Comparison.BELOW, value)


@dataclass(frozen=True, slots=True)
class Order:
    """By one declared field, ties by id in the same direction."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """A place in an order: the value of its field and the id of the record there."""

    value: Value
    id: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """
    Which part of a list is wanted.

    Attributes:
        limit: Records at most, 1 to `PAGE_SIZE_MAX`.
        after: Begin behind this place.
        before: End ahead of this place.
        from_end: Take the last `limit` of what lies between, still in the list's order.
    """

    limit: int = PAGE_SIZE_DEFAULT
    after: Position | None = None
    before: Position | None = None
    from_end: bool = False


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """
    Part of a list, in the list's order.

    `has_next` and `has_previous` tell whether records of the list lie behind and before this part, also those that the
    request's `before` and `after` leave out.
    """

    items: list[T]
    has_next: bool
    has_previous: bool

    def map(self, function: Callable[[T], U]) -> "Page[U]":
        return Page([function(item) for item in self.items], self.has_next, self.has_previous)


def _fingerprint(scope: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(scope.encode()).digest()[:6]).decode()


def encode_cursor(position: Position, *, scope: str) -> str:
    """
    Write a place as opaque text.

    Args:
        scope: Names the list: its kind, tenant, filter and order. A cursor is refused in any other.
    """
    value: object = position.value
    if isinstance(value, datetime):
        value = {"t": value.isoformat()}
    elif isinstance(value, Enum):
        value = value.value
    content = json.dumps([_fingerprint(scope), value, position.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, *, scope: str) -> Position:
    """
    Read what `encode_cursor` wrote.

    Raises:
        CursorInvalid: It was made by another list, or not by us.
    """
    if len(cursor) > 2048:
        raise CursorInvalid("this cursor was not made by this list", path=("cursor",))
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        fingerprint, value, identifier = content
        known = True
        if isinstance(value, dict):
            value = datetime.fromisoformat(value["t"])
            known = value.tzinfo is not None
            value = value.astimezone(UTC)
        known = known and fingerprint == _fingerprint(scope) and isinstance(identifier, str)
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, binascii.Error):
        known = False
    if not known or not isinstance(value, str | int | bool | datetime | None):
        raise CursorInvalid("this cursor was not made by this list", path=("cursor",))
    return Position(value, identifier)


def page_request(
    *,
    first: int | None,
    after: str | None,
    last: int | None,
    before: str | None,
    scope: str,
    default: int = PAGE_SIZE_DEFAULT,
) -> PageRequest:
    """
    Check the four paging arguments that clients know and make a request of them.

    Raises:
        InvalidValue: Both or a wrong `first` or `last`.
        CursorInvalid: A cursor of another list.
    """
    if first is not None and last is not None:
        raise InvalidValue("give first or last, not both", path=("first",))
    for name, limit in (("first", first), ("last", last)):
        if limit is not None and not 0 < limit <= PAGE_SIZE_MAX:
            raise InvalidValue(f"{name} must be from 1 to {PAGE_SIZE_MAX}", path=(name,), reason="out_of_range")
    return PageRequest(
        limit=first or last or default,
        after=decode_cursor(after, scope=scope) if after is not None else None,
        before=decode_cursor(before, scope=scope) if before is not None else None,
        from_end=last is not None,
    )
