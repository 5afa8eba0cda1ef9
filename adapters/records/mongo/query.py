"""Conditions, stretches and keys as MongoDB filters; only what every server that speaks its protocol gets right."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from adapters.records.codec import Stored, stored
from adapters.records.paging import Bound, Stretch
from domain.page import Comparison, Condition

Filter = dict[str, Any]
Document = dict[str, Any]


def key_of(tenant_id: str, identifier: str) -> str:
    """Give a record's `_id`: the tenant, a slash that no tenant has, and the id."""
    return f"{tenant_id.replace('%', '%25').replace('/', '%2F')}/{identifier}"


def unique_key(key: str, tenant_id: str, values: Sequence[Stored]) -> str:
    """
    Give what a unique index holds for a group of values.

    A group with a None in it is free, which a plain unique index allows if it then holds something of its own.
    """
    return f"-{key}" if None in values else "+" + json.dumps([tenant_id, *values])


def unique_field(group: Sequence[str]) -> str:
    return f"_unique_{'_'.join(group)}"


def index_of_duplicate(message: str) -> str:
    """Name the index that refused a document. Only the words before the values are looked at: those are a user's."""
    found = re.search(r"index: (\S+) dup key", message)
    return found[1] if found else ""


def where_filters(conditions: Sequence[Condition]) -> list[Filter]:
    return [{one.field: _TESTS[one.comparison](one.value)} for one in conditions]


def all_of(filters: Sequence[Filter]) -> Filter:
    return {"$and": list(filters)} if len(filters) > 1 else dict(*filters)


def stretch_filters(stretch: Stretch) -> list[Filter]:
    if stretch.is_empty or stretch.field == "id":
        filters: list[Filter] = [{stretch.field: None}] if stretch.is_empty else []
        for bound, sign in ((stretch.low, "$gt"), (stretch.high, "$lt")):
            if bound is not None:
                filters.append({"id": {_sign(sign, bound): bound.id}})
        return filters

    filters = [{stretch.field: {"$ne": None}}]
    for bound, sign in ((stretch.low, "$gt"), (stretch.high, "$lt")):
        if bound is None:
            continue
        beyond = {stretch.field: {sign: bound.value}}
        tie = {stretch.field: bound.value, "id": {_sign(sign, bound): bound.id}}
        # The first of the two is implied by the second; it is what an index can start from.
        filters += [{stretch.field: {f"{sign}e": bound.value}}, {"$or": [beyond, tie]}]
    return filters


def stretch_sort(stretch: Stretch) -> list[tuple[str, int]]:
    direction = -1 if stretch.descending else 1
    by_id = stretch.is_empty or stretch.field == "id"
    return [("id", direction)] if by_id else [(stretch.field, direction), ("id", direction)]


def _sign(sign: str, bound: Bound) -> str:
    return f"{sign}e" if bound.is_included else sign


# ---- conditions

_NOTHING: Filter = {"$in": []}


def _equals(value: Any) -> Any:
    return {"$eq": stored(value)}


def _in(value: Any) -> Filter:
    return {"$in": [stored(one) for one in value]}


def _at_least(value: Any) -> Filter:
    return _NOTHING if value is None else {"$gte": stored(value)}


def _below(value: Any) -> Filter:
    return _NOTHING if value is None else {"$lt": stored(value)}


def _starts_with(value: Any) -> Filter:
    return {"$regex": f"^{_literal(value)}"}


def _contains(value: Any) -> Filter:
    return {"$regex": _literal(value.casefold())}


_TESTS: dict[Comparison, Callable[[Any], Any]] = {
    Comparison.EQUALS: _equals,
    Comparison.IN: _in,
    Comparison.AT_LEAST: _at_least,
    Comparison.BELOW: _below,
    Comparison.STARTS_WITH: _starts_with,
    Comparison.CONTAINS: _contains,
}


def _literal(text: str) -> str:
    """Escape a text for a regular expression, which itself must not hold a NUL."""
    return re.escape(text).replace("\0", "\\x00")
