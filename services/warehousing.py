"""
Queries over large files that a cluster runs: which, and how its rows become the records of a result.

The file is alone in its prefix of the bucket; a table over it is made for the query, and dropped after it.
"""

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass

from domain.blob import BlobKey
from domain.errors import LighterageError, StoreUnavailable
from domain.file import File
from domain.warehouse import Row, Warehouse, WarehouseCounts, WarehouseFault
from query.dialect.check import Query, Table, TableColumn, check
from query.dialect.nodes import Column, Type, walk
from query.dialect.parser import parse
from query.engine.facade import EngineLimits
from query.errors import QueryError
from query.formats import Header, InputFormat, OutputFormat
from query.records import header_text, row_text
from query.trino import FAULTS, create_table, drop_table, is_readable, translate


@dataclass(frozen=True, slots=True)
class Plan:
    """What the cluster is to do: statements in their order, and how the rows of the second are written."""

    create: str
    select: str
    drop: str
    query: Query
    output: OutputFormat


class Warehousing:
    """
    Args:
        location_of: Gives where the cluster finds the folder of a blob, as `s3://bucket/folder/`.
        bytes_min: Smaller files are faster here.
    """

    def __init__(self, warehouse: Warehouse, *, location_of: Callable[[BlobKey], str], bytes_min: int) -> None:
        self._warehouse = warehouse
        self._location_of = location_of
        self._bytes_min = bytes_min

    def wants(self, file: File, given: InputFormat, limits: EngineLimits) -> bool:
        """
        Tell whether a query of this file may go to the cluster, before anything is known of its statement.

        Raises:
            QueryError: The file is larger than any query may read.
        """
        if file.size < self._bytes_min or not is_readable(given):
            return False
        if limits.scan_bytes_max is not None and file.size > limits.scan_bytes_max:
            raise QueryError("OverMaxScanSize")
        return True

    def plan(self, file: File, sql: str, given: InputFormat, output: OutputFormat, names: list[str]) -> Plan | None:
        """
        Say what the cluster is to be asked; None where it would not give the same.

        Args:
            names: What the columns are called, or would be.

        Raises:
            QueryError: The statement is wrong.
        """
        output.check()
        known = names if given.header is Header.USE else []
        shape = Table(tuple(TableColumn(name, Type.FIELD) for name in known), is_open=True)
        query = check(parse(sql), shape, sql=sql)
        roots: list[object] = [output.expr for output in query.outputs]
        roots += [] if query.where is None else [query.where]
        used = [node.index + 1 for root in roots for node in walk(root) if isinstance(node, Column)]
        width = max([len(names), *used])
        table = f"lighterage_{uuid.uuid4().hex}"
        select = translate(query, table, width=width)
        if select is None:
            return None
        location = self._location_of(BlobKey(file.key))
        create = create_table(table, width=width, location=location, given=given)
        return Plan(create, select, drop_table(table), query, output)

    async def run(self, plan: Plan, limits: EngineLimits) -> AsyncGenerator[tuple[bytes, int] | WarehouseCounts, None]:
        """
        Yield records as text with their number, and counts between them.

        Raises:
            QueryError: As our own engine, for the same reasons.
        """
        returned = 0
        try:
            await self._do(plan.create)
            if plan.output.header:
                yield header_text(plan.query.outputs, plan.output).encode(), 0
            async with aclosing(self._warehouse.run(plan.select)) as events:
                while (event := await _next(events, limits.timeout_seconds)) is not None:
                    if isinstance(event, WarehouseCounts):
                        yield event
                        continue
                    text = "".join(row_text(plan.query.outputs, row, plan.output) for row in event).encode()
                    returned += len(text)
                    if limits.result_bytes_max is not None and returned > limits.result_bytes_max:
                        raise QueryError("OverMaxResultSize")
                    yield text, len(event)
        except WarehouseFault as fault:
            if fault.name in FAULTS:
                raise QueryError(FAULTS[fault.name]) from fault
            raise StoreUnavailable("query cluster") from fault
        finally:
            with suppress(LighterageError, WarehouseFault):  # a table without readers costs nothing but its name
                await asyncio.shield(asyncio.ensure_future(self._do(plan.drop)))

    async def _do(self, statement: str) -> None:
        async with aclosing(self._warehouse.run(statement)) as events:
            async for _ in events:
                pass


async def _next(
    events: AsyncGenerator[list[Row] | WarehouseCounts, None], seconds: float
) -> list[Row] | WarehouseCounts | None:
    try:
        async with asyncio.timeout(seconds):
            return await anext(events, None)
    except TimeoutError as error:
        raise QueryError("QueryTimeout") from error
