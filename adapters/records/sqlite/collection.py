"""
The collection port on one table.

Reads that an index answers run on the event loop, where they are done before a thread would have started; the others
run in threads.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from typing import Generic

from adapters.records.codec import GET_MANY_MAX
from adapters.records.paging import Steps, Stretch, steps
from adapters.records.sqlite.query import quoted, simplified, stretch_sql, where_sql
from adapters.records.sqlite.reader import Reader, Rows
from adapters.records.sqlite.table import Table
from adapters.records.sqlite.writer import Writer
from domain.errors import NotFound
from domain.page import Comparison, Condition, Order, Page, PageRequest, Value
from domain.records import Add, Delete, Increment, Kind, R, Save, Write

SORTED_MAX = 5000  # records; to read and sort so many takes some milliseconds
_RANGES = {Comparison.AT_LEAST, Comparison.BELOW, Comparison.STARTS_WITH}


@dataclass(frozen=True, slots=True)
class _Way:
    """
    How a page is read.

    Attributes:
        used: Fields of fixed value that the index begins with.
        barred: Fields by which SQLite is not to choose another index than ours.
        is_ordered: By an index that has the records in order.
        is_short: No more records are met than the page has.
    """

    used: AbstractSet[str]
    barred: AbstractSet[str]
    is_ordered: bool
    is_short: bool


class SqliteCollection(Generic[R]):
    """The collection port on one table."""

    def __init__(self, kind: Kind[R], table: Table[R], reader: Reader, writer: Writer) -> None:
        self._kind = kind
        self._table = table
        self._codec = table.codec
        self._reader = reader
        self._writer = writer
        self._select = f'SELECT "_document" FROM {quoted(kind.name)} WHERE "tenant_id" = ?'  # noqa: S608
        self._groups = [(), *kind.indexes, *([(kind.sequence,)] if kind.sequence is not None else [])]
        self._get = self._select + ' AND "id" = ?'
        self._get_many = _all_in_one(self._select + ' AND "id" IN (SELECT "value" FROM json_each(?))')  # noqa: S608

    # ---- reads

    async def get(self, tenant_id: str, id: str, /) -> R:
        rows = self._reader.rows(self._get, (tenant_id, id))
        if not rows:
            raise NotFound(self._codec.noun)
        return self._codec.decode(rows[0][0])

    async def find(self, tenant_id: str, /, **unique: Value) -> R | None:
        assert any(set(group) == unique.keys() for group in self._kind.unique), "find goes by a unique group"
        if None in unique.values():
            return None
        where, parameters = where_sql([Condition(name, Comparison.EQUALS, value) for name, value in unique.items()])
        rows = self._reader.rows(self._select + where, [tenant_id, *parameters])
        return self._codec.decode(rows[0][0]) if rows else None

    async def get_many(self, tenant_id: str, ids: Sequence[str], /) -> dict[str, R]:
        assert len(ids) <= GET_MANY_MAX
        rows = self._reader.rows(self._get_many, (tenant_id, json.dumps(ids)))
        return {record.id: record for record in self._codec.decode_all(rows[0][0])}

    async def list(
        self, tenant_id: str, /, where: Sequence[Condition] = (), *, order: Order, page: PageRequest
    ) -> Page[R]:
        where = simplified(where)
        way = self._way(where, order)
        if way.is_short:
            return self._page(self._reader.rows, tenant_id, where, order, page, way)

        def read(rows: Rows) -> Page[R]:
            found = way
            if not way.is_ordered and self._are_many(rows, tenant_id, where, way):
                # To sort them all would take longer than to go through the order until a page is full.
                found = self._way(where, order, is_ordered=True)
            return self._page(rows, tenant_id, where, order, page, found)

        return await self._reader.in_thread(read)

    async def count(self, tenant_id: str, /, where: Sequence[Condition] = ()) -> int:
        return await self._number("count(*)", tenant_id, where)

    async def sum(self, tenant_id: str, field: str, /, where: Sequence[Condition] = ()) -> int:
        return await self._number(f"coalesce(sum({quoted(field)}), 0)", tenant_id, where)

    async def scan(self, where: Sequence[Condition], *, order: Order, limit: int) -> Sequence[R]:
        table, (conditions, parameters) = quoted(self._kind.name), where_sql(simplified(where), is_rare=True)
        direction = "DESC" if order.descending else "ASC"
        by = ", ".join(f"{quoted(name)} {direction}" for name in dict.fromkeys([order.field, "id", "tenant_id"]))
        # Indexes begin with the tenant: going from tenant to tenant finds few among many without reading all.
        sql = (
            f'WITH RECURSIVE "tenants"("tenant") AS (SELECT min("tenant_id") FROM {table} UNION ALL'  # noqa: S608
            f' SELECT (SELECT min("tenant_id") FROM {table} WHERE "tenant_id" > "tenant") FROM "tenants"'
            ' WHERE "tenant" IS NOT NULL)'
            f' SELECT "_document" FROM "tenants" CROSS JOIN {table} WHERE "tenant_id" = "tenant"{conditions}'
            f" ORDER BY {by} LIMIT ?"
        )
        rows = await self._reader.in_thread(lambda rows: rows(_all_in_one(sql), [*parameters, limit]))
        return self._codec.decode_all(rows[0][0])

    # ---- writes

    async def add(self, record: R) -> R:
        return await self._writer.do(self._table.add(record))

    async def save(self, record: R, *, expected_revision: int) -> R:
        return await self._writer.do(self._table.save(record, expected_revision))

    async def increment(
        self,
        tenant_id: str,
        id: str,
        /,
        amounts: Mapping[str, int],
        *,
        at_most: Mapping[str, int] | None = None,
        once: str | None = None,
    ) -> R:
        increment = Increment(self._kind, tenant_id, id, amounts, at_most or {}, once)
        return await self._writer.do(partial(self._table.increment, increment))

    async def delete(self, tenant_id: str, id: str, /) -> None:
        await self._writer.do(partial(self._table.delete, tenant_id, id))

    def prepare(self, write: Write, *, finds_revision: int) -> Callable[[], object]:
        """
        Give what does this write, to be called in a transaction of the writer.

        Args:
            finds_revision: What the record of a Save is at, which may be before the one that it expects.
        """
        if isinstance(write, Add):
            return self._table.add(write.record, if_absent=write.if_absent)
        if isinstance(write, Save):
            return self._table.save(write.record, finds_revision, revision=write.expected_revision + 1)
        if isinstance(write, Delete):
            return partial(self._table.delete, write.tenant_id, write.id)
        return partial(self._table.increment, write)

    # ---- how

    def _way(self, where: Sequence[Condition], order: Order, *, is_ordered: bool = False) -> "_Way":
        """
        Choose the index to read a page by.

        SQLite itself chooses badly here: it cannot know which values are common. The one with the most fixed fields
        wins, where None does not count as much, for that is common; then one that has the order.

        Args:
            is_ordered: Choose among those that have the order, if there are any.
        """
        fixed = {one.field: one.value is not None for one in where if one.comparison is Comparison.EQUALS}
        best, used = (False, 0, False, 0), frozenset[str]()
        for group in self._groups:
            prefix = list(takewhile(fixed.__contains__, group))
            has_order = group[len(prefix) : len(prefix) + 1] == (() if order.field == "id" else (order.field,))
            score = (is_ordered and has_order, sum(fixed[field] for field in prefix), has_order, len(prefix))
            if score > best:
                best, used = score, frozenset(prefix)
        rest = [one for one in where if one.field not in used or one.comparison is not Comparison.EQUALS]
        is_short = best[2] and all(one.field == order.field and one.comparison in _RANGES for one in rest)
        return _Way(used, fixed.keys() - used if any(best) else frozenset(), best[2], is_short)

    def _are_many(self, rows: Rows, tenant_id: str, where: Sequence[Condition], way: "_Way") -> bool:
        """Tell whether more records than should be sorted have the fixed values that a way begins with."""
        begin = [one for one in where if one.comparison is Comparison.EQUALS and one.field in way.used]
        if not begin:
            return False
        conditions, parameters = where_sql(begin)
        some = f'SELECT 1 FROM {quoted(self._kind.name)} WHERE "tenant_id" = ?{conditions} LIMIT ?'  # noqa: S608
        counted = rows(f"SELECT count(*) FROM ({some})", [tenant_id, *parameters, SORTED_MAX + 1])  # noqa: S608
        return bool(counted[0][0] > SORTED_MAX)

    def _page(
        self,
        rows: Rows,
        tenant_id: str,
        where: Sequence[Condition],
        order: Order,
        request: PageRequest,
        way: "_Way",
    ) -> Page[R]:
        conditions, parameters = where_sql(where, barred=way.barred)
        select = self._select + conditions

        def read(stretch: Stretch, limit: int) -> list[R]:
            place, more = stretch_sql(stretch, is_ordered=way.is_ordered)
            found = rows(_all_in_one(f"{select}{place} LIMIT ?"), [tenant_id, *parameters, *more, limit])
            return self._codec.decode_all(found[0][0])

        reading: Steps[R] = steps(order, request, is_nullable=self._codec.is_nullable(order.field))
        try:
            step = next(reading)
            while True:
                step = reading.send(read(*step))
        except StopIteration as done:
            page: Page[R] = done.value
            return page

    async def _number(self, expression: str, tenant_id: str, where: Sequence[Condition]) -> int:
        conditions, parameters = where_sql(simplified(where))
        sql = f'SELECT {expression} FROM {quoted(self._kind.name)} WHERE "tenant_id" = ?{conditions}'  # noqa: S608
        rows = await self._reader.in_thread(lambda rows: rows(sql, [tenant_id, *parameters]))
        number: int = rows[0][0]
        return number


def _all_in_one(select: str) -> str:
    """
    Let SQLite put the documents of all rows into one text, in their order (a LIMIT keeps it).

    A thread gives up the interpreter for each row that it fetches, and a busy event loop is slow to give it back.
    """
    return f"SELECT group_concat(CAST(\"_document\" AS TEXT), ',') FROM ({select})"  # noqa: S608
