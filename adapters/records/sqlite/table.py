"""The writes of one table, as what runs in a transaction of the writer."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Generic

from adapters.records.codec import ONCE_KEYS_KEPT, Codec, Stored, unkeepable
from adapters.records.sqlite.query import quoted
from adapters.records.sqlite.schema import next_number
from domain.errors import Conflict, NotFound
from domain.records import Increment, Kind, R

_HAD_ONCE = 'SELECT 1 FROM "_once" WHERE "kind" = ? AND "tenant_id" = ? AND "id" = ? AND "key" = ?'
_REMEMBER = 'INSERT INTO "_once" ("kind", "tenant_id", "id", "key", "revision") VALUES (?, ?, ?, ?, ?)'
_FORGET = 'DELETE FROM "_once" WHERE "kind" = ? AND "tenant_id" = ? AND "id" = ?'


class Table(Generic[R]):
    """The writes of one table. What these methods return or do runs in a transaction of the writer, and there alone."""

    def __init__(self, kind: Kind[R], connection: sqlite3.Connection) -> None:
        self.codec = Codec(kind)
        self._kind = kind
        self._connection = connection
        table, fields = quoted(kind.name), [quoted(field) for field in self.codec.fields]
        columns = ['"tenant_id"', '"id"', '"revision"', '"_document"', *fields]
        key = '"tenant_id" = ? AND "id" = ?'
        self._fields = fields
        self._insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        self._insert_if_absent = self._insert + ' ON CONFLICT ("tenant_id", "id") DO NOTHING'
        self._compare = f"SELECT {', '.join(columns[2:3] + fields)} FROM {table} WHERE {key}"  # noqa: S608
        self._updates: dict[tuple[int, ...], str] = {}
        self._get = f'SELECT "_document" FROM {table} WHERE {key}'  # noqa: S608
        self._delete = f"DELETE FROM {table} WHERE {key}"  # noqa: S608

    def add(self, record: R, *, if_absent: bool = False) -> Callable[[], R]:
        insert = self._insert_if_absent if if_absent else self._insert
        sequence = self._kind.sequence
        if sequence is None:
            new = self.codec.change(record, {"revision": 1})
            row = self._row(new)

            def do() -> R:
                self._run(insert, [new.tenant_id, new.id, *row])
                return new

        else:

            def do() -> R:
                number = next_number(self._connection, self._kind, record.tenant_id)
                new = self.codec.change(record, {"revision": 1, sequence: number})
                self._run(insert, [new.tenant_id, new.id, *self._row(new)])
                return new

        return do

    def save(self, record: R, expected_revision: int) -> Callable[[], R]:
        new = self.codec.change(record, {"revision": expected_revision + 1})
        document, values = self.codec.encode(new), self.codec.values(new)

        def do() -> R:
            rows = self._run(self._compare, (new.tenant_id, new.id)).fetchall()
            if not rows:
                raise NotFound(self.codec.noun)
            revision, *old = rows[0]
            if revision != expected_revision:
                raise Conflict(f"the {self.codec.noun} was changed by another")
            self._replace(new, document, values, old)
            return new

        return do

    def increment(self, increment: Increment) -> R:
        tenant_id, identifier, once = increment.tenant_id, increment.id, increment.once
        rows = self._run(self._get, (tenant_id, identifier)).fetchall()
        if not rows:
            raise NotFound(self.codec.noun)
        record = self.codec.decode(rows[0][0])
        if once is not None and self._run(_HAD_ONCE, (self._kind.name, tenant_id, identifier, once)).fetchall():
            return record
        new = self.codec.add_to(record, increment.amounts)
        for field, most in increment.at_most.items():
            if getattr(new, field) > most:
                raise Conflict(f"{field} of the {self.codec.noun} would be more than {most}")
        self._replace(new, self.codec.encode(new), self.codec.values(new), self.codec.values(record))
        if once is not None:
            self._remember(new, once)
        return new

    def delete(self, tenant_id: str, identifier: str) -> None:
        self._run(self._delete, [tenant_id, identifier])
        self._run(_FORGET, [self._kind.name, tenant_id, identifier])

    def _replace(self, new: R, document: bytes, values: Sequence[Stored], old: Sequence[Stored]) -> None:
        """Write over a record. Columns that stay are left out, since SQLite writes every index that is mentioned."""
        changed = tuple(index for index, (one, other) in enumerate(zip(values, old, strict=True)) if one != other)
        update = self._updates.get(changed) or self._update(changed)
        fresh = [values[index] for index in changed]
        self._run(update, [new.revision, document, *fresh, new.tenant_id, new.id])

    def _update(self, changed: tuple[int, ...]) -> str:
        columns = ['"revision"', '"_document"', *(self._fields[index] for index in changed)]
        assignments = ", ".join(f"{column} = ?" for column in columns)
        update = f'UPDATE {quoted(self._kind.name)} SET {assignments} WHERE "tenant_id" = ? AND "id" = ?'  # noqa: S608
        self._updates[changed] = update
        return update

    def _remember(self, record: R, once: str) -> None:
        self._run(_REMEMBER, [self._kind.name, record.tenant_id, record.id, once, record.revision])
        if record.revision % ONCE_KEYS_KEPT == 0:
            oldest = record.revision - ONCE_KEYS_KEPT
            self._run(_FORGET + ' AND "revision" <= ?', [self._kind.name, record.tenant_id, record.id, oldest])

    def _row(self, record: R) -> list[Stored | bytes]:
        return [record.revision, self.codec.encode(record), *self.codec.values(record)]

    def _run(self, sql: str, parameters: Sequence[Stored | bytes]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, parameters)
        except (UnicodeEncodeError, OverflowError) as error:
            raise unkeepable(error) from error
