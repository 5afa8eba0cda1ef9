"""Conditions, stretches and positions as SQL, with every value a parameter."""

from collections.abc import Callable, Collection, Sequence

from adapters.records.codec import Stored, stored
from adapters.records.paging import Stretch
from domain.page import Comparison, Condition

Sql = tuple[str, list[Stored]]

# Any number, and any text, is at least this: an index finds where the empty values end.
_LEAST = -(2**63)


def quoted(name: str) -> str:
    return f'"{name}"'


def simplified(conditions: Sequence[Condition]) -> list[Condition]:
    """Say that a field is one of a single value as what it is: equal to that."""
    return [
        Condition(one.field, Comparison.EQUALS, one.value[0])
        if one.comparison is Comparison.IN and isinstance(one.value, tuple) and len(one.value) == 1
        else one
        for one in conditions
    ]


def where_sql(conditions: Sequence[Condition], *, barred: Collection[str] = (), is_rare: bool = False) -> Sql:
    """
    Give ` AND …` for the conditions, all of which must hold.

    Args:
        barred: Fields by which SQLite is not to choose an index.
        is_rare: Tell SQLite that few records meet any of these.
    """
    parts, parameters = [""], list[Stored]()
    for condition in conditions:
        column = ("+" if condition.field in barred else "") + quoted(condition.field)
        part, more = _CONDITIONS[condition.comparison](column, condition.value)
        parts.append(f"unlikely({part})" if is_rare else part)
        parameters += more
    return " AND ".join(parts), parameters


def stretch_sql(stretch: Stretch, *, is_ordered: bool) -> Sql:
    """Give ` AND … ORDER BY …` for a stretch; `is_ordered`: by an index, so that nothing is to be sorted."""
    bar = "" if is_ordered else "+"
    column, identifier = bar + quoted(stretch.field), bar + '"id"'
    direction = "DESC" if stretch.descending else "ASC"
    by_id = stretch.is_empty or stretch.field == "id"
    place = identifier if by_id else f"({column}, {identifier})"
    parts, parameters = [""], list[Stored]()
    if stretch.is_empty:
        parts.append(f"unlikely({column} IS NULL)")
    elif stretch.low is None and not by_id:
        parts.append(f"{column} >= {_LEAST}")
    for bound, sign in ((stretch.low, ">"), (stretch.high, "<")):
        if bound is None:
            continue
        parts.append(f"{place} {sign}{'=' * bound.is_included} {'?' if by_id else '(?, ?)'}")
        parameters += [bound.id] if by_id else [bound.value, bound.id]
    order = f"{identifier} {direction}" if by_id else f"{column} {direction}, {identifier} {direction}"
    return f"{' AND '.join(parts)} ORDER BY {order}", parameters


# ---- conditions


def _equals(column: str, value: object) -> Sql:
    # The planner is told that few are so; it would else go through a tenant's records by id where that is the order.
    return (f"unlikely({column} IS NULL)", []) if value is None else (f"unlikely({column} = ?)", [_one(value)])


def _in(column: str, value: object) -> Sql:
    assert isinstance(value, tuple)
    filled = [stored(one) for one in value if one is not None]
    within = f"{column} IN ({', '.join('?' * len(filled))})"
    return (f"({within} OR {column} IS NULL)" if None in value else within), filled


def _at_least(column: str, value: object) -> Sql:
    return f"{column} >= ?", [_one(value)]


def _below(column: str, value: object) -> Sql:
    return f"{column} < ?", [_one(value)]


def _starts_with(column: str, value: object) -> Sql:
    assert isinstance(value, str)
    if (end := _behind(value)) is None:
        return f"{column} >= ?", [value]
    return f"({column} >= ? AND {column} < ?)", [value, end]


def _contains(column: str, value: object) -> Sql:
    assert isinstance(value, str)
    return f"instr({column}, ?) > 0", [value.casefold()]


_CONDITIONS: dict[Comparison, Callable[[str, object], Sql]] = {
    Comparison.EQUALS: _equals,
    Comparison.IN: _in,
    Comparison.AT_LEAST: _at_least,
    Comparison.BELOW: _below,
    Comparison.STARTS_WITH: _starts_with,
    Comparison.CONTAINS: _contains,
}


def _one(value: object) -> Stored:
    assert not isinstance(value, tuple)
    return stored(value)  # type: ignore[arg-type]  # checked just above, but for the types of Value


def _behind(prefix: str) -> str | None:
    """Give the least text behind all that start so; None where there is none."""
    last_point, surrogates = 0x10FFFF, range(0xD800, 0xE000)
    head = prefix.rstrip(chr(last_point))
    if not head:
        return None
    following = ord(head[-1]) + 1
    return head[:-1] + chr(surrogates.stop if following in surrogates else following)
