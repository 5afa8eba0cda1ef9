"""
One page of a keyset list, as steps that any database can take.

An order is cut where the empty values end, so that every step is one range of one index. Nothing here asks a database.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

from adapters.records.codec import Stored, stored
from domain.page import Order, Page, PageRequest, Position

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bound:
    """An end of a stretch. `is_included`: a record at this very place belongs to it."""

    value: Stored
    id: str
    is_included: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """
    Records in one direction between two places.

    Attributes:
        is_empty: It holds those whose field is None (ordered by id alone), else those whose field is not.
        low: Where it starts, in ascending order whatever the direction.
        high: Where it ends.
        descending: It is read from its high end.
    """

    field: str
    is_empty: bool
    low: Bound | None
    high: Bound | None
    descending: bool


# Asks for at most so many records of a stretch, is given them in its direction, and returns the page.
Steps = Generator[tuple[Stretch, int], list[T], Page[T]]


def stretches(
    field: str, *, is_nullable: bool, low: Bound | None, high: Bound | None, descending: bool
) -> list[Stretch]:
    """Give what lies between two places, in the order in which it is to be read."""
    found = []
    if is_nullable and (low is None or low.value is None):
        empty_high = high if high is not None and high.value is None else None
        found.append(Stretch(field, True, low, empty_high, descending))
    if high is None or high.value is not None:
        filled_low = low if low is not None and low.value is not None else None
        found.append(Stretch(field, False, filled_low, high, descending))
    return found[::-1] if descending else found


def steps(order: Order, request: PageRequest, *, is_nullable: bool) -> Steps[T]:
    """Lay out the reading of a page."""
    after, before = _bound(request.after), _bound(request.before)
    low, high = (before, after) if order.descending else (after, before)
    backwards = order.descending != request.from_end

    records: list[T] = []
    for stretch in stretches(order.field, is_nullable=is_nullable, low=low, high=high, descending=backwards):
        records += yield stretch, request.limit + 1 - len(records)
        if len(records) > request.limit:
            break
    goes_on = len(records) > request.limit
    del records[request.limit :]

    near, far = (request.before, request.after) if request.from_end else (request.after, request.before)
    if not goes_on:
        goes_on = yield from _has_beyond(order, far, after=not request.from_end, is_nullable=is_nullable)
    comes_from = yield from _has_beyond(order, near, after=request.from_end, is_nullable=is_nullable)
    if request.from_end:
        return Page(records[::-1], has_next=comes_from, has_previous=goes_on)
    return Page(records, has_next=goes_on, has_previous=comes_from)


def _has_beyond(
    order: Order, position: Position | None, *, after: bool, is_nullable: bool
) -> Generator[tuple[Stretch, int], list[T], bool]:
    """Tell whether any record lies at a place or beyond it, as seen from the page."""
    bound = _bound(position, is_included=True)
    if bound is None:
        return False
    upwards = after != order.descending
    low, high = (bound, None) if upwards else (None, bound)
    for stretch in stretches(order.field, is_nullable=is_nullable, low=low, high=high, descending=not upwards):
        if (yield stretch, 1):
            return True
    return False


def _bound(position: Position | None, *, is_included: bool = False) -> Bound | None:
    return None if position is None else Bound(stored(position.value), position.id, is_included)
