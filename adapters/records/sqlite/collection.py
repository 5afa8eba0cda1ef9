"""
The collection port on one table.

Reads that an index answers run on the event loop, where they are done before a thread would have started; the others
run in threads.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Generic

from adapters.records.codec import GET_MANY_MAX
from adapters.records.paging import Steps, Stretch, steps
from adapters.records.sqlite.query import quoted, stretch_sql, where_sql
from adapters.records.sqlite.reader import Reader, Rows
from adapters.records.sqlite.table import Table
from adapters.records.sqlite.writer import Writer
from domain.errors import NotFound
from domain.page import Comparison, Condition, Order, Page, PageRequest, Value
from domain.records import Add, Delete, Increment, Kind, R, Save, Write

_RANGES = {Comparison.AT_LEAST, Comparison.BELOW, Comparison.STARTS_WITH}


class SqliteCollection(Generic[R]):
    """The collection port on one table."""

    def __init__(self, kind: Kind[R], table: Table[R], reader: Reader, writer: Writer) -> None:
        self._kind = kind
        self._table = table
        self._codec = table.codec
        self._reader = reader
        self._writer = writer
        self._select = f'SELECT "_document" FROM {quoted(kind.name)} WHERE "tenant_id" = ?'  # noqa: S608
        self._indexed = {(frozenset(group[:-1]), group[-1]) for group in kind.indexes}
        self._indexed |= {(frozenset(group), "id") for group in ((), *kind.indexes)}
        if kind.sequence is not None:
            self._indexed.add((frozenset(), kind.sequence))
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
        if self._is_indexed(where, order):
            return self._page(self._reader.rows, tenant_id, where, order, page)
        return await self._reader.in_thread(lambda rows: self._page(rows, tenant_id, where, order, page))

    async def count(self, tenant_id: str, /, where: Sequence[Condition] = ()) -> int:
        return await self._number("count(*)", tenant_id, where)

    async def sum(self, tenant_id: str, field: str, /, where: Sequence[Condition] = ()) -> int:
        return await self._number(f"coalesce(sum({quoted(field)}), 0)", tenant_id, where)

    async def scan(self, where: Sequence[Condition], *, order: Order, limit: int) -> Sequence[R]:
        table, (conditions, parameters) = quoted(self._kind.name), where_sql(where)
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

    def prepare(self, write: Write) -> Callable[[], object]:
        """Give what does this write, to be called in a transaction of the writer."""
        if isinstance(write, Add):
            return self._table.add(write.record, if_absent=write.if_absent)
        if isinstance(write, Save):
            return self._table.save(write.record, write.expected_revision)
        if isinstance(write, Delete):
            return partial(self._table.delete, write.tenant_id, write.id)
        return partial(self._table.increment, write)

    # ---- how

    def _is_indexed(self, where: Sequence[Condition], order: Order) -> bool:
        """Tell whether one index serves all the conditions and the order, so that a page is a few dozen rows."""
        fixed = frozenset(one.field for one in where if one.comparison is Comparison.EQUALS)
        ranged = {one.field for one in where if one.comparison in _RANGES}
        return (
            all(one.field in (fixed if one.comparison is Comparison.EQUALS else ranged) for one in where)
            and ranged <= {order.field}
            and (fixed, order.field) in self._indexed
        )

    def _page(
        self, rows: Rows, tenant_id: str, where: Sequence[Condition], order: Order, request: PageRequest
    ) -> Page[R]:
        conditions, parameters = where_sql(where)
        select = self._select + conditions

        def read(stretch: Stretch, limit: int) -> list[R]:
            place, more = stretch_sql(stretch)
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
        conditions, parameters = where_sql(where)
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
